//! Findings as text for people, JSON for programs and JUnit for CI. Everything is returned, nothing printed; whatever a
//! peer said is escaped and cut before it gets into any of them.

use std::collections::HashMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use time::OffsetDateTime;

use super::finding::{CheckId, Finding, Property, Scope, Status, Strictness, Verdict, verdict};
use super::target::{Place, Target};
use crate::pki::inspect::stamp;

/// The version of the JSON form; it changes when a reader would have to.
pub const SCHEMA_VERSION: u32 = 1;

/// The text's width, in columns.
const WIDTH: usize = 80;
/// How wide a property's column is.
const CELL: usize = 7;
/// More hosts than this in one place, and those that are alike share a line.
const ALIKE: usize = 12;
/// How many findings of one check and status are told in full.
const TOLD: usize = 20;
/// A longer text of a peer is cut.
const LONGEST: usize = 600;
/// How many places or callers of findings that are alike are named.
const NAMED: usize = 6;

/// A run's findings with what is needed to read them later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The cluster's name.
    pub cluster: String,
    /// The roots that were trusted.
    pub roots: Vec<RootLine>,
    /// When the run began.
    pub started: OffsetDateTime,
    /// When it ended.
    pub finished: OffsetDateTime,
    /// What was found, in the order of the inventory.
    pub findings: Vec<Finding>,
    /// Which findings count.
    pub strictness: Strictness,
}

/// A root, for the report's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootLine {
    /// Its subject.
    pub subject: String,
    /// kubeadm's pin: `sha256:` over its SubjectPublicKeyInfo.
    pub pin: String,
    /// SHA-256 of its DER.
    pub sha256: String,
}

/// How the text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextStyle {
    /// With ANSI colours.
    pub color: bool,
    /// Passes too.
    pub verbose: bool,
}

/// How many findings ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All of them.
    pub total: usize,
    /// Passed.
    pub pass: usize,
    /// Failed.
    pub fail: usize,
    /// Warned of.
    pub warn: usize,
    /// Could not be tried.
    pub skipped: usize,
    /// Tried, and nothing proven.
    pub not_proven: usize,
}

impl Report {
    /// Puts findings and their context together.
    #[must_use]
    pub fn new(
        target: &Target,
        findings: Vec<Finding>,
        strictness: Strictness,
        started: OffsetDateTime,
        finished: OffsetDateTime,
    ) -> Self {
        let roots = target.roots.iter().map(|root| RootLine {
            subject: printable(&root.subject.text),
            pin: root.spki_fingerprint().as_pin(),
            sha256: root.fingerprint().to_string(),
        });
        Self { cluster: target.cluster.clone(), roots: roots.collect(), started, finished, findings, strictness }
    }

    /// What the run comes to: the exit status's reason.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        verdict(&self.findings, self.strictness)
    }

    /// Whether anybody was dialled. A directory alone proves none of the six properties, however good it is.
    #[must_use]
    pub fn dialled(&self) -> bool {
        self.findings.iter().any(|finding| matches!(finding.id.0, Scope::Node | Scope::Master))
    }

    /// How many findings ended how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |status| self.findings.iter().filter(|finding| finding.status == status).count();
        Counts {
            total: self.findings.len(),
            pass: count(Status::Pass),
            fail: count(Status::Fail),
            warn: count(Status::Warn),
            skipped: count(Status::Skipped),
            not_proven: count(Status::NotProven),
        }
    }

    /// For people: the matrix, then every finding that is not a pass, then the sum. At most 80 columns wide, but for
    /// what must not be broken.
    #[must_use]
    pub fn to_text(&self, style: TextStyle) -> String {
        let mut out = String::new();
        let paint = Paint(style.color);
        self.head(&mut out);
        if self.dialled() {
            self.matrix(&mut out, paint);
        } else {
            line(&mut out, "nothing was dialled: this says what lies in the directory, and proves no property");
            line(&mut out, "");
        }
        self.details(&mut out, paint, style.verbose);
        self.sum(&mut out, paint);
        out
    }

    fn head(&self, out: &mut String) {
        line(out, &format!("cluster {}", printable(&self.cluster)));
        for root in &self.roots {
            line(out, &format!("root    {}", root.pin));
        }
        line(out, "");
    }

    fn matrix(&self, out: &mut String, paint: Paint) {
        let rows = self.rows();
        let names = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
        let width = names.clamp(4, WIDTH - CELL * Property::ALL.len() - 1);
        let mut header = " ".repeat(width + 1);
        for property in Property::ALL {
            let _ = write!(header, "{:>CELL$}", property.as_str());
        }
        line(out, &header);
        for row in rows {
            let label = row.label.as_str();
            let mut text = if label.chars().count() > width {
                // A name is never cut: it is there to be copied.
                line(out, label);
                " ".repeat(width + 1)
            } else {
                format!("{label:<width$} ")
            };
            for cell in row.cells {
                let (word, style) = match cell {
                    None => ("-", Style::new()),
                    Some(status) => (short(status), paint.of(status)),
                };
                let pad = " ".repeat(CELL - word.len());
                let _ = write!(text, "{pad}{}", paint.with(style, word));
            }
            line(out, &text);
        }
        line(out, "");
        line(out, "1: masters call nodes, 2: nodes call masters; i found, ii proven, iii allowed");
        line(out, "");
    }

    /// One row for each host, or for each group of hosts that are alike.
    fn rows(&self) -> Vec<Row> {
        let mut order: Vec<(Place, &str)> = Vec::new();
        let mut cells: HashMap<(Place, &str), Cells> = HashMap::new();
        for finding in &self.findings {
            let host = (finding.place, finding.host.as_str());
            let calls = matches!(finding.place, Place::Endpoint | Place::Master).then_some(finding.caller.as_deref());
            let caller = calls.flatten().map(|caller| (Place::Node, caller));
            for key in std::iter::once(host).chain(caller) {
                if !cells.contains_key(&key) {
                    order.push(key);
                }
                let row = cells.entry(key).or_default();
                for property in finding.id.properties() {
                    let cell = &mut row[*property as usize];
                    *cell = (*cell).max(Some(finding.status));
                }
            }
        }
        order.sort_by_key(|(place, _)| *place);
        let mut rows: Vec<Row> = Vec::new();
        for place in [Place::Cluster, Place::Endpoint, Place::Master, Place::Node] {
            let hosts: Vec<&str> = order.iter().filter(|(p, _)| *p == place).map(|(_, host)| *host).collect();
            let of = |host: &str| cells.get(&(place, host)).copied().unwrap_or_default();
            let label = |host: &str| match place {
                Place::Cluster => "root".to_owned(),
                _ => format!("{} {}", place.as_str(), printable(host)),
            };
            if hosts.len() <= ALIKE {
                rows.extend(hosts.iter().map(|host| Row { label: label(host), cells: of(host) }));
                continue;
            }
            let mut groups: Vec<(Cells, Vec<&str>)> = Vec::new();
            for host in &hosts {
                match groups.iter_mut().find(|(cells, _)| *cells == of(host)) {
                    Some((_, members)) => members.push(host),
                    None => groups.push((of(host), vec![host])),
                }
            }
            groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
            for (cells, members) in groups {
                if members.len() <= 3 {
                    rows.extend(members.iter().map(|host| Row { label: label(host), cells }));
                } else {
                    let well = cells.iter().all(|cell| cell.is_none_or(|status| status == Status::Pass));
                    let how = if well { "pass" } else { "alike" };
                    rows.push(Row { label: format!("{} {}s {how}", members.len(), place.as_str()), cells });
                }
            }
        }
        rows
    }

    fn details(&self, out: &mut String, paint: Paint, verbose: bool) {
        let causes: std::collections::HashSet<(CheckId, &str, Option<&str>)> = self
            .findings
            .iter()
            .filter(|f| f.status != Status::Pass && f.follows.is_none())
            .map(|f| (f.id, f.host.as_str(), f.address.as_deref()))
            .collect();
        let mut consequences: HashMap<(CheckId, &str, Option<&str>), Vec<String>> = HashMap::new();
        let mut told: Vec<&Finding> = Vec::new();
        for finding in &self.findings {
            let key = finding.follows.map(|id| (id, finding.host.as_str(), finding.address.as_deref()));
            match key.filter(|key| causes.contains(key)) {
                Some(key) => {
                    let id = finding.id.to_string();
                    let id = id.split_once('.').map_or(id.as_str(), |(_, aspect)| aspect).to_owned();
                    let known = consequences.entry(key).or_default();
                    if !known.contains(&id) {
                        known.push(id);
                    }
                }
                None if finding.status != Status::Pass || verbose => told.push(finding),
                None => {}
            }
        }
        told.sort_by_key(|finding| std::cmp::Reverse(finding.status));
        let mut counts: HashMap<(CheckId, Status), usize> = HashMap::new();
        for group in alike(&told) {
            let count = counts.entry((group[0].id, group[0].status)).or_default();
            *count += 1;
            if *count > TOLD && !verbose {
                continue;
            }
            let mut after: Vec<String> = Vec::new();
            for finding in &group {
                let key = (finding.id, finding.host.as_str(), finding.address.as_deref());
                for id in consequences.remove(&key).unwrap_or_default() {
                    if !after.contains(&id) {
                        after.push(id);
                    }
                }
            }
            tell(out, &group, &after, paint);
        }
        let mut more: Vec<_> = counts.into_iter().filter(|(_, count)| *count > TOLD && !verbose).collect();
        more.sort();
        for ((id, status), count) in &more {
            line(out, &format!("and {} more of {id}: {}", count - TOLD, status.as_str()));
        }
        if !more.is_empty() {
            line(out, "(--output json has them all)\n");
        }
    }

    fn sum(&self, out: &mut String, paint: Paint) {
        let counts = self.counts();
        let mut parts = vec![format!("{} passed", counts.pass)];
        let others = [
            (counts.fail, "failed"),
            (counts.not_proven, "not proven"),
            (counts.skipped, "skipped"),
            (counts.warn, "warned of"),
        ];
        parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
        line(out, &format!("{} checks: {}", counts.total, parts.join(", ")));
        let (status, text) = match self.verdict() {
            Verdict::Proven if !self.dialled() => {
                (Status::Pass, "Good: what lies in the directory is as it should be.")
            }
            Verdict::Unproven if !self.dialled() => (Status::Fail, "Not good: see above."),
            Verdict::Proven => (Status::Pass, "Proven: every check that counts has passed."),
            Verdict::Unproven => (Status::Fail, "Not proven: see above."),
            Verdict::NothingJudged => (Status::Fail, "Nothing could be judged."),
        };
        line(out, &paint.with(paint.of(status), text));
    }

    /// For programs: everything, in the order of the inventory, complete also on failure.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            tool: Tool { name: "clusterctl", version: env!("CARGO_PKG_VERSION") },
            cluster: printable(&self.cluster),
            roots: &self.roots,
            started: stamp(self.started),
            finished: stamp(self.finished),
            looked_at: if self.dialled() { "wire" } else { "directory" },
            verdict: self.verdict().as_str(),
            summary: self.counts(),
            results: self.findings.iter().map(Line::of).collect(),
        };
        // Strings, numbers and lists: there is nothing in it that JSON cannot hold.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }

    /// For CI: a suite is a host, a class a property, a case a check.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let mut hosts: Vec<(Place, &str)> = Vec::new();
        let mut cases: HashMap<(Place, &str), Vec<&Finding>> = HashMap::new();
        for finding in &self.findings {
            let key = (finding.place, finding.host.as_str());
            let list = cases.entry(key).or_default();
            if list.is_empty() {
                hosts.push(key);
            }
            list.push(finding);
        }
        let is_error = |finding: &&&Finding| finding.status == Status::NotProven;
        let count = |list: &[&Finding], status| list.iter().filter(|finding| finding.status == status).count();
        let mut out =
            String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"clusterctl verify\">\n");
        for key in hosts {
            let list = &cases[&key];
            let name = xml(&format!("{} {}", key.0.as_str(), key.1));
            let (failures, skipped) = (count(list, Status::Fail), count(list, Status::Skipped));
            let errors = list.iter().filter(is_error).count();
            let total = list.len();
            let time = stamp(self.started);
            let _ = writeln!(
                out,
                "  <testsuite name=\"{name}\" tests=\"{total}\" failures=\"{failures}\" errors=\"{errors}\" \
                 skipped=\"{skipped}\" timestamp=\"{}\">",
                time.trim_end_matches('Z')
            );
            for finding in list {
                case(&mut out, finding);
            }
            out.push_str("  </testsuite>\n");
        }
        out.push_str("</testsuites>\n");
        out
    }
}

type Cells = [Option<Status>; 6];

struct Row {
    label: String,
    cells: Cells,
}

fn short(status: Status) -> &'static str {
    match status {
        Status::Pass => "ok",
        Status::Skipped => "skip",
        Status::Warn => "warn",
        Status::NotProven => "?",
        Status::Fail => "FAIL",
    }
}

/// Findings that differ in nothing but where they were made, together, in the order of the first of each.
fn alike<'a>(findings: &[&'a Finding]) -> Vec<Vec<&'a Finding>> {
    type Key<'a> = (CheckId, Status, &'a str, &'a str, Option<&'a str>);
    let mut groups: Vec<Vec<&'a Finding>> = Vec::new();
    let mut known: HashMap<Key<'a>, usize> = HashMap::new();
    for finding in findings {
        let hint = finding.hint.as_deref();
        let key = (finding.id, finding.status, &*finding.observed, &*finding.expected, hint);
        let group = *known.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(finding);
    }
    groups
}

fn tell(out: &mut String, group: &[&Finding], after: &[String], paint: Paint) {
    let Some(first) = group.first() else { return };
    let word = if first.status == Status::Fail { "FAIL" } else { first.status.as_str() };
    let word = paint.with(paint.of(first.status), word);
    line(out, &format!("{word} {}", first.id));
    let mut places: Vec<String> = Vec::new();
    let mut callers: Vec<String> = Vec::new();
    for finding in group {
        let host = printable(&finding.host);
        let address = finding.address.as_deref().map(printable).filter(|address| *address != host);
        let place =
            format!("{} {host}{}", finding.place.as_str(), address.map(|a| format!(" {a}")).unwrap_or_default());
        if !places.contains(&place) {
            places.push(place);
        }
        callers.extend(finding.caller.as_deref().map(printable).filter(|caller| !callers.contains(caller)));
    }
    for (i, place) in places.iter().take(NAMED).enumerate() {
        wrapped(out, if i == 0 { "at" } else { "" }, place);
    }
    if places.len() > NAMED {
        wrapped(out, "", &format!("and {} more", places.len() - NAMED));
    }
    if !callers.is_empty() {
        let more = callers.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        callers.truncate(NAMED);
        wrapped(out, "caller", &(callers.join(" ") + &more));
    }
    wrapped(out, "saw", &first.observed);
    if first.status != Status::Pass {
        wrapped(out, "wanted", &first.expected);
    }
    if let Some(hint) = &first.hint {
        wrapped(out, "hint", hint);
    }
    if !after.is_empty() {
        wrapped(out, "so also", &format!("not proven: {}", after.join(", ")));
    }
    line(out, "");
}

/// A labelled text with a hanging indent, broken at spaces only.
fn wrapped(out: &mut String, label: &str, text: &str) {
    const INDENT: usize = 12;
    let text = printable(text);
    let mut current = format!("    {label:<8}");
    let mut fresh = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !fresh && current.chars().count() + 1 + word.chars().count() > WIDTH {
            line(out, &current);
            current = " ".repeat(INDENT);
            fresh = true;
        }
        if !fresh {
            current.push(' ');
        }
        current.push_str(word);
        fresh = false;
    }
    line(out, &current);
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn of(self, status: Status) -> Style {
        let color = match status {
            Status::Pass => AnsiColor::Green,
            Status::Skipped | Status::Warn | Status::NotProven => AnsiColor::Yellow,
            Status::Fail => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(color.into()));
        if status == Status::Fail { style.bold() } else { style }
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Text that may come from a peer, made harmless: control characters, line breaks, invisible and direction-changing
/// characters become escapes, and what is too long is cut.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (i, c) in text.chars().enumerate() {
        if i == LONGEST {
            out.push_str(" …");
            break;
        }
        let invisible = matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
        if c.is_control() || invisible {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no way to write these two.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

fn case(out: &mut String, finding: &Finding) {
    let class: Vec<&str> = finding.id.properties().iter().map(|property| property.as_str()).collect();
    let (class, address) = (class.join(" "), finding.address.as_deref().unwrap_or_default());
    let mut name = finding.id.to_string();
    for part in [Some(address).filter(|a| !a.is_empty()), finding.caller.as_deref()].into_iter().flatten() {
        let _ = write!(name, " {part}");
    }
    let seconds = finding.elapsed_ms / 1000;
    let rest = finding.elapsed_ms % 1000;
    let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{}\" time=\"{seconds}.{rest:03}\"", xml(&name));
    let tag = match finding.status {
        Status::Pass => {
            out.push_str("/>\n");
            return;
        }
        Status::Fail => "failure",
        Status::NotProven => "error",
        Status::Skipped => "skipped",
        Status::Warn => "system-out",
    };
    let mut text = format!("saw {}; wanted {}", finding.observed, finding.expected);
    if let Some(hint) = &finding.hint {
        let _ = write!(text, "; hint: {hint}");
    }
    let text = xml(&text);
    let _ = match finding.status {
        Status::Warn => writeln!(out, ">\n      <{tag}>warning: {text}</{tag}>\n    </testcase>"),
        Status::Skipped => writeln!(out, ">\n      <{tag} message=\"{text}\"/>\n    </testcase>"),
        other => writeln!(out, ">\n      <{tag} type=\"{}\" message=\"{text}\"/>\n    </testcase>", other.as_str()),
    };
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    tool: Tool,
    cluster: String,
    roots: &'a [RootLine],
    started: String,
    finished: String,
    looked_at: &'static str,
    verdict: &'static str,
    summary: Counts,
    results: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    id: String,
    property: Vec<&'static str>,
    role: &'static str,
    host: &'a str,
    address: Option<&'a str>,
    server_name: Option<&'a str>,
    caller: Option<&'a str>,
    status: &'static str,
    severity: &'static str,
    observed: String,
    expected: String,
    hint: Option<&'a str>,
    follows: Option<String>,
    elapsed_ms: u64,
}

impl<'a> Line<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            id: finding.id.to_string(),
            property: finding.id.properties().iter().map(|property| property.as_str()).collect(),
            role: finding.place.as_str(),
            host: &finding.host,
            address: finding.address.as_deref(),
            server_name: finding.server_name.as_deref(),
            caller: finding.caller.as_deref(),
            status: finding.status.as_str(),
            severity: finding.severity.as_str(),
            observed: printable(&finding.observed),
            expected: printable(&finding.expected),
            hint: finding.hint.as_deref(),
            follows: finding.follows.map(|id| id.to_string()),
            elapsed_ms: finding.elapsed_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::finding::Aspect;
    use time::macros::datetime;

    fn report(findings: Vec<Finding>) -> Report {
        Report {
            cluster: "prod".into(),
            roots: vec![RootLine { subject: "CN=prod root".into(), pin: "sha256:ab".into(), sha256: "cd".into() }],
            started: datetime!(2026-11-23 12:00 UTC),
            finished: datetime!(2026-11-23 12:00:01 UTC),
            findings,
            strictness: Strictness::default(),
        }
    }

    fn finding(host: &str, aspect: Aspect, status: Status) -> Finding {
        Finding::new(CheckId::at(Place::Node, aspect), Place::Node, host, status)
            .saw("seen", "wanted")
            .address("10.0.0.1:1")
    }

    #[test]
    fn what_a_peer_says_never_reaches_the_terminal_raw() {
        assert_eq!(printable("a\u{1b}[31mb\r\n\u{202e}c"), "a\\u{1b}[31mb\\u{d}\\u{a}\\u{202e}c");
        assert_eq!(printable(&"x".repeat(5000)).chars().count(), LONGEST + 2);
        let evil = finding("n1", Aspect::Caller, Status::Fail).saw("\u{1b}]0;x\u{7}<b>&\"", "ok");
        let report = report(vec![evil]);
        for text in [report.to_text(TextStyle::default()), report.to_json(), report.to_junit()] {
            assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
        }
        assert!(report.to_junit().contains("&lt;b&gt;&amp;&quot;"));
    }

    #[test]
    fn a_thousand_nodes_are_one_line_and_those_that_differ() {
        let mut findings: Vec<_> =
            (0..1000).map(|i| finding(&format!("n{i}"), Aspect::Connect, Status::Pass)).collect();
        findings[7].status = Status::Fail;
        let text = report(findings).to_text(TextStyle::default());
        assert!(text.contains("999 nodes pass"), "{text}");
        assert!(text.contains("node n7"), "{text}");
        assert!(text.lines().count() < 25 && text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn what_follows_from_a_failure_is_told_with_it() {
        let cause = finding("n1", Aspect::Connect, Status::Fail);
        let mut after = finding("n1", Aspect::Tls, Status::NotProven);
        after.follows = Some(cause.id);
        let text = report(vec![cause, after]).to_text(TextStyle::default());
        assert!(text.contains("FAIL node.connect\n    at      node n1 10.0.0.1:1\n"), "{text}");
        assert!(text.contains("so also not proven: tls\n"), "{text}");
        assert!(!text.contains("not-proven node.tls"), "{text}");
        assert!(text.ends_with("2 checks: 0 passed, 1 failed, 1 not proven\nNot proven: see above.\n"), "{text}");
    }

    #[test]
    fn json_is_complete_on_failure_and_has_a_version() {
        let json = report(vec![finding("n1", Aspect::Chain, Status::Fail)]).to_json();
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["schemaVersion"], 1);
        assert_eq!(value["verdict"], "unproven");
        assert_eq!(value["summary"]["fail"], 1);
        assert_eq!(value["results"][0]["id"], "node.chain");
        assert_eq!(value["results"][0]["property"][0], "1.ii");
    }
}
