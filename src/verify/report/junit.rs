//! The report as JUnit XML: a suite is a host, a class a property, a case a check. A run that does not exit with 0 has
//! a failure or an error, and a run that does has none.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use super::super::finding::{Finding, Status};
use super::super::target::Place;
use super::super::verdict::Verdict;
use super::causes::Causes;
use super::summary::{RemedyText, Report};
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;

impl Report {
    /// Returns the report as JUnit XML, for CI: a suite is a host, a class a property, a case a check.
    #[must_use]
    pub fn to_junit(&self, words: RemedyText<'_>) -> String {
        let suites = self.suites(words);
        let sum = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
        let (tests, failures, errors) = (sum(Suite::tests), sum(Suite::failures), sum(Suite::errors));
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"clusterctl verify\" tests=\"{tests}\" \
             failures=\"{failures}\" errors=\"{errors}\">\n"
        );
        let time = stamp(self.started);
        for suite in &suites {
            suite.write(&mut out, time.trim_end_matches('Z'));
        }
        out.push_str("</testsuites>\n");
        out
    }

    /// Returns the suites, in the order of the target's hosts.
    fn suites(&self, words: RemedyText<'_>) -> Vec<Suite> {
        let causes = Causes::of(&self.findings);
        let mut suites: Vec<Suite> = Vec::new();
        let mut known: HashMap<Of<'_>, usize> = HashMap::new();
        let mut names = HashSet::new();
        for finding in &self.findings {
            let of = Of::finding(finding);
            let at = *known.entry(of).or_insert_with(|| {
                suites.push(Suite { name: unique(&mut names, &of.name(&self.cluster)), ..Suite::default() });
                suites.len() - 1
            });
            suites[at].add(self.case(finding, &causes, words));
        }
        let counted = suites.iter().any(|suite| suite.failures() + suite.errors() > 0);
        if self.verdict() == Verdict::NothingJudged && !counted {
            suites.push(nothing_judged(unique(&mut names, "run")));
        }
        suites
    }

    fn case(&self, finding: &Finding, causes: &Causes<'_>, words: RemedyText<'_>) -> Case {
        let class = if self.has_connections() {
            finding.properties().iter().map(|property| property.as_str()).collect::<Vec<_>>().join(" ")
        } else {
            self.looked_at().to_owned()
        };
        let of_another = (finding.place == Place::Cluster && finding.host != self.cluster).then_some(&*finding.host);
        let parts = [of_another, finding.address.as_deref(), finding.client.as_deref()];
        let name = parts.into_iter().flatten().filter(|part| !part.is_empty());
        let name = name.fold(finding.id.to_string(), |name, part| format!("{name} {part}"));
        Case { class, name, ms: finding.elapsed_ms, outcome: self.outcome(finding, causes, words) }
    }

    fn message(&self, finding: &Finding, words: RemedyText<'_>) -> String {
        let mut text = format!("saw {}; wanted {}", finding.observed, finding.expected);
        if let Some(remedy) = &finding.remedy {
            let _ = write!(text, "; hint: {}", words(remedy, self.kind));
        }
        text
    }

    /// Returns the outcome of a case. A finding that counts against the run is a failure or an error, or has a cause
    /// that is one.
    fn outcome(&self, finding: &Finding, causes: &Causes<'_>, words: RemedyText<'_>) -> Outcome {
        let message = || self.message(finding, words);
        let status = finding.status.as_str();
        let counts = self.strictness.counts(finding);
        match finding.status {
            Status::Pass => Outcome::Pass,
            Status::Warn if !counts => Outcome::Warning(message()),
            Status::Fail if !counts => Outcome::Warning(message()),
            _ => match causes.root_of(finding).filter(|root| !counts || self.strictness.counts(root)) {
                Some(root) => Outcome::Skipped(because_of(root, finding)),
                None if !counts => Outcome::Skipped(message()),
                None if matches!(finding.status, Status::Fail | Status::Warn) => Outcome::Failure(status, message()),
                None => Outcome::Error(status, message()),
            },
        }
    }
}

/// The subject of a suite. A control-plane node that is also a node is one host.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Of<'a> {
    Cluster,
    Endpoint(&'a str),
    Host(&'a str),
}

impl<'a> Of<'a> {
    fn finding(finding: &'a Finding) -> Self {
        match finding.place {
            Place::Cluster => Self::Cluster,
            Place::Endpoint => Self::Endpoint(&finding.host),
            Place::Master | Place::Node => Self::Host(&finding.host),
        }
    }

    fn name(self, cluster: &str) -> String {
        match self {
            Self::Cluster => format!("cluster {cluster}"),
            Self::Endpoint(host) => format!("endpoint {host}"),
            Self::Host(host) => host.to_owned(),
        }
    }
}

/// The cases of a host. Names are escaped for XML.
#[derive(Default)]
struct Suite {
    name: String,
    cases: Vec<Case>,
    names: HashSet<String>,
}

struct Case {
    class: String,
    name: String,
    ms: u64,
    outcome: Outcome,
}

/// The outcome of a case, with its type and its message.
enum Outcome {
    Pass,
    Warning(String),
    Skipped(String),
    Failure(&'static str, String),
    Error(&'static str, String),
}

impl Suite {
    /// Adds a case under a unique name: readers merge two cases with one name.
    fn add(&mut self, case: Case) {
        let name = unique(&mut self.names, &case.name);
        self.cases.push(Case { name, ..case });
    }

    fn tests(&self) -> usize {
        self.cases.len()
    }

    fn failures(&self) -> usize {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::Failure(..))).count()
    }

    fn errors(&self) -> usize {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::Error(..))).count()
    }

    fn skipped(&self) -> usize {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::Skipped(_))).count()
    }

    fn write(&self, out: &mut String, timestamp: &str) {
        let took = seconds(self.cases.iter().map(|case| case.ms).fold(0, u64::saturating_add));
        let (name, tests, failures) = (&self.name, self.tests(), self.failures());
        let (errors, skipped) = (self.errors(), self.skipped());
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
             skipped=\"{skipped}\" time=\"{took}\" timestamp=\"{timestamp}\">"
        );
        for case in &self.cases {
            case.write(out);
        }
        out.push_str("  </testsuite>\n");
    }
}

impl Case {
    fn write(&self, out: &mut String) {
        let (class, name, took) = (&self.class, &self.name, seconds(self.ms));
        let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{took}\"");
        let inside = match &self.outcome {
            Outcome::Pass => return out.push_str("/>\n"),
            Outcome::Warning(text) => format!("<system-out>warning: {}</system-out>", xml(text)),
            Outcome::Skipped(text) => format!("<skipped message=\"{}\"/>", xml(text)),
            Outcome::Failure(kind, text) => format!("<failure type=\"{kind}\" message=\"{}\"/>", xml(text)),
            Outcome::Error(kind, text) => format!("<error type=\"{kind}\" message=\"{}\"/>", xml(text)),
        };
        let _ = writeln!(out, ">\n      {inside}\n    </testcase>");
    }
}

/// Returns the suite of a run in which no check gave a result, so that it does not exit with 0.
fn nothing_judged(name: String) -> Suite {
    let outcome = Outcome::Error("nothing-judged", "no check gave a result".to_owned());
    let mut suite = Suite { name, ..Suite::default() };
    suite.add(Case { class: "run".to_owned(), name: "verdict".to_owned(), ms: 0, outcome });
    suite
}

/// Returns a name, escaped for XML, that is not among the `known` ones.
fn unique(known: &mut HashSet<String>, name: &str) -> String {
    let plain = xml(name);
    let mut unique = plain.clone();
    let mut count = 1;
    while !known.insert(unique.clone()) {
        count += 1;
        unique = format!("{plain} #{count}");
    }
    unique
}

/// Describes a cause, with its location if that differs from the dependent finding's.
fn because_of(cause: &Finding, dependent: &Finding) -> String {
    let mut text = format!("because of {}", cause.id);
    if cause.host != dependent.host {
        let _ = write!(text, " at {}", cause.host);
    }
    if let Some(address) = cause.address.as_deref().filter(|_| cause.address != dependent.address) {
        let _ = write!(text, " {address}");
    }
    let _ = write!(text, ": {}", cause.observed);
    text
}

fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in sanitized(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 cannot represent these two.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
