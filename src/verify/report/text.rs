//! The report as text: the matrix, then every finding that is not a pass, then the summary.

use std::collections::HashMap;

use super::super::finding::{CheckId, Finding, Status};
use super::super::remedy::Remedy;
use super::super::verdict::Verdict;
use super::lines::{Paint, line, width_of, wrapped};
use super::reported::Reported;
use super::summary::{RemedyText, Report};
use crate::sanitize::sanitized;

/// The number of findings of one check and status that are written in full.
const MAX_DETAILED: usize = 20;
/// The number of locations or clients of equal findings that are named.
const MAX_NAMED: usize = 6;

/// The style of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextStyle {
    /// With ANSI colours.
    pub color: bool,
    /// With passed checks.
    pub verbose: bool,
    /// The terminal's width in columns, if there is one.
    pub width: Option<usize>,
}

impl Report {
    /// Returns the report as text, as wide as the terminal, or 80 columns.
    #[must_use]
    pub fn to_text(&self, style: TextStyle, words: RemedyText<'_>) -> String {
        let mut out = String::new();
        let (width, paint) = (width_of(style.width), Paint(style.color));
        self.header(&mut out);
        if self.has_connections() {
            self.matrix(&mut out, width, paint);
        } else {
            let what = if self.is_of_enrolment() { "enrolment endpoint" } else { "directory" };
            line(&mut out, &format!("only the {what} was checked, which proves none of the six properties"));
            line(&mut out, "");
        }
        self.details(&mut out, (width, words), paint, style.verbose);
        self.summary(&mut out, paint);
        out
    }

    fn header(&self, out: &mut String) {
        line(out, &format!("cluster {}", sanitized(&self.cluster)));
        for root in &self.roots {
            line(out, &format!("root    {}", root.pin));
        }
        line(out, "");
    }

    fn details(&self, out: &mut String, (width, words): (usize, RemedyText<'_>), paint: Paint, verbose: bool) {
        let words = |remedy: &Remedy| words(remedy, self.kind);
        let reported = Reported::of(&self.findings, verbose);
        let mut counts: HashMap<(CheckId, Status), usize> = HashMap::new();
        for group in group_equal(&reported.findings) {
            let count = counts.entry((group[0].id, group[0].status)).or_default();
            *count += 1;
            if *count > MAX_DETAILED && !verbose {
                continue;
            }
            let caused = reported.consequences_of(&group);
            write_group(out, (width, &words), &group, &caused, paint);
        }
        let mut more: Vec<_> = counts.into_iter().filter(|(_, count)| *count > MAX_DETAILED && !verbose).collect();
        more.sort();
        for ((id, status), count) in &more {
            line(out, &format!("and {} more of {id}: {}", count - MAX_DETAILED, status.as_str()));
        }
        if !more.is_empty() {
            line(out, "(the JSON report has all of them)\n");
        }
    }

    fn summary(&self, out: &mut String, paint: Paint) {
        let counts = self.counts();
        let mut parts = vec![format!("{} passed", counts.pass)];
        let others = [
            (counts.fail, "failed"),
            (counts.not_proven, "not proven"),
            (counts.skipped, "skipped"),
            (counts.warn, "with a warning"),
        ];
        parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
        line(out, &format!("{} checks: {}", counts.total, parts.join(", ")));
        let (status, text) = match self.verdict() {
            Verdict::Proven if self.is_of_enrolment() => {
                (Status::Pass, "Passed: the enrolment endpoint is the cluster's, and refuses others.")
            }
            Verdict::Proven if !self.has_connections() => (Status::Pass, "Passed: no problems found in the directory."),
            Verdict::Unproven if !self.has_connections() => (Status::Fail, "Failed: see above."),
            Verdict::Proven => (Status::Pass, "Proven: every required check passed."),
            Verdict::Unproven => (Status::Fail, "Not proven: see above."),
            Verdict::NothingJudged => (Status::Fail, "No check gave a result."),
        };
        line(out, &paint.with(paint.of(status), text));
    }
}

/// Groups findings that only differ in their location, in the order of each group's first finding.
fn group_equal<'a>(findings: &[&'a Finding]) -> Vec<Vec<&'a Finding>> {
    type Key<'a> = (CheckId, Status, &'a str, &'a str, Option<&'a Remedy>);
    let mut groups: Vec<Vec<&'a Finding>> = Vec::new();
    let mut known: HashMap<Key<'a>, usize> = HashMap::new();
    for finding in findings {
        let remedy = finding.remedy.as_ref();
        let key = (finding.id, finding.status, &*finding.observed, &*finding.expected, remedy);
        let group = *known.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(finding);
    }
    groups
}

fn write_group(
    out: &mut String,
    (width, words): (usize, &dyn Fn(&Remedy) -> String),
    group: &[&Finding],
    consequences: &[String],
    paint: Paint,
) {
    let Some(first) = group.first() else { return };
    let word = if first.status == Status::Fail { "FAIL" } else { first.status.as_str() };
    let word = paint.with(paint.of(first.status), word);
    line(out, &format!("{word} {}", first.id));
    let mut places: Vec<String> = Vec::new();
    let mut callers: Vec<String> = Vec::new();
    for finding in group {
        let host = sanitized(&finding.host);
        let address = finding.address.as_deref().map(sanitized).filter(|address| *address != host);
        let place =
            format!("{} {host}{}", finding.place.as_str(), address.map(|a| format!(" {a}")).unwrap_or_default());
        if !places.contains(&place) {
            places.push(place);
        }
        callers.extend(finding.client.as_deref().map(sanitized).filter(|client| !callers.contains(client)));
    }
    for (i, place) in places.iter().take(MAX_NAMED).enumerate() {
        wrapped(out, width, if i == 0 { "at" } else { "" }, place);
    }
    if places.len() > MAX_NAMED {
        wrapped(out, width, "", &format!("and {} more", places.len() - MAX_NAMED));
    }
    if !callers.is_empty() {
        let more = callers.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        callers.truncate(MAX_NAMED);
        wrapped(out, width, "client", &(callers.join(" ") + &more));
    }
    wrapped(out, width, "observed", &first.observed);
    if first.status != Status::Pass {
        wrapped(out, width, "expected", &first.expected);
    }
    if let Some(remedy) = &first.remedy {
        wrapped(out, width, "hint", &words(remedy));
    }
    if !consequences.is_empty() {
        wrapped(out, width, "caused", &format!("not proven: {}", consequences.join(", ")));
    }
    line(out, "");
}

#[cfg(test)]
mod tests {
    use super::super::lines::WIDTH;
    use super::super::summary::RootLine;
    use super::*;
    use crate::verify::finding::Aspect;
    use crate::verify::remedy::{ConnectionRemedy, TargetKind};
    use crate::verify::target::Place;
    use crate::verify::verdict::Strictness;
    use time::macros::datetime;

    fn report(findings: Vec<Finding>) -> Report {
        Report {
            rotation: None,
            cluster: "prod".into(),
            kind: TargetKind::Directory,
            roots: vec![RootLine { subject: "CN=prod root".into(), pin: "sha256:ab".into(), sha256: "cd".into() }],
            started: datetime!(2026-11-23 12:00 UTC),
            finished: datetime!(2026-11-23 12:00:01 UTC),
            findings,
            strictness: Strictness::default(),
        }
    }

    /// Renders a remedy as its id.
    fn ids(remedy: &Remedy, _: TargetKind) -> String {
        remedy.id()
    }

    fn text_of(report: &Report) -> String {
        report.to_text(TextStyle::default(), &ids)
    }

    fn finding(host: &str, aspect: Aspect, status: Status) -> Finding {
        Finding::new(CheckId::at(Place::Node, aspect), Place::Node, host, status)
            .saw("seen", "wanted")
            .address("10.0.0.1:1")
    }

    #[test]
    fn control_characters_of_peers_are_escaped() {
        let finding = finding("n1", Aspect::Caller, Status::Fail).saw("\u{1b}]0;x\u{7}<b>&\"", "ok");
        let report = report(vec![finding]);
        for text in [text_of(&report), report.to_json(&ids), report.to_junit(&ids)] {
            assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
        }
        assert!(report.to_junit(&ids).contains("&lt;b&gt;&amp;&quot;"));
    }

    #[test]
    fn equal_nodes_share_one_row() {
        let mut findings: Vec<_> =
            (0..1000).map(|i| finding(&format!("n{i}"), Aspect::Connect, Status::Pass)).collect();
        findings[7].status = Status::Fail;
        let text = text_of(&report(findings));
        assert!(text.contains("999 nodes pass"), "{text}");
        assert!(text.contains("node n7"), "{text}");
        assert!(text.lines().count() < 25 && text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    /// Returns findings of every property for so many nodes.
    fn fleet(size: usize) -> Vec<Finding> {
        let aspects = [Aspect::Connect, Aspect::Chain, Aspect::Dates, Aspect::Name, Aspect::Caller, Aspect::Anonymous];
        (0..size)
            .flat_map(|i| {
                aspects.map(|aspect| finding(&format!("worker-{i:04}.fra1.example.net"), aspect, Status::Pass))
            })
            .collect()
    }

    #[test]
    fn failing_nodes_follow_the_row_of_passing_nodes() {
        let mut findings = fleet(1000);
        for i in [7, 500, 999] {
            findings[6 * i + 2].status = Status::Fail;
            findings[6 * i + 2].remedy = Some(ConnectionRemedy::RaiseTimeout.into());
        }
        let text = text_of(&report(findings.clone()));
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("997 nodes pass; 3 fail:")).expect(&text);
        let cells = |line: &str| line.split_whitespace().rev().take(6).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cells(lines[at]), ["-", "-", "-", "ok", "ok", "ok"]);
        for (line, name) in lines[at + 1..].iter().zip(["0007", "0500", "0999"]) {
            assert!(line.starts_with(&format!("node worker-{name}.fra1.example.net ")), "{text}");
            assert_eq!(cells(line), ["-", "-", "-", "ok", "FAIL", "ok"]);
        }
        assert_eq!(text.matches("FAIL node.dates\n").count(), 1, "reported once for the three: {text}");
        assert!(lines.len() < 30 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{text}");
        // A node that is not proven did not fail.
        findings[6 * 3 + 4].status = Status::NotProven;
        assert!(text_of(&report(findings)).contains("\n996 nodes pass; 4 do not:"));
    }

    #[test]
    fn a_fleet_that_fails_in_many_ways_stays_readable() {
        let mut findings = fleet(1000);
        for (i, finding) in findings.iter_mut().enumerate() {
            finding.status = [Status::Fail, Status::NotProven, Status::Warn][i % 3];
            finding.observed = format!("number {i} of its own, {}", "which is long ".repeat(40));
        }
        let text = text_of(&report(findings));
        assert!(text.contains("nodes equal"), "{text}");
        assert!(text.lines().count() < 2500 && text.contains("more of node.connect: fail"), "{}", text.lines().count());
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn colours_do_not_change_the_text_and_long_names_are_not_truncated() {
        let name = format!("{}.example.net", "n".repeat(60));
        let report =
            report(vec![finding(&name, Aspect::Chain, Status::Fail), finding("n2", Aspect::Chain, Status::Pass)]);
        let plain = text_of(&report);
        assert!(plain.lines().any(|line| line == format!("node {name}")), "{plain}");
        let colored = report.to_text(TextStyle { color: true, ..TextStyle::default() }, &ids);
        let mut stripped = String::new();
        let mut rest = colored.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            stripped.push_str(before);
            rest = after.split_once('m').expect("a colour").1;
        }
        assert_eq!(stripped + rest, plain);
    }

    #[test]
    fn consequences_are_listed_under_their_cause() {
        let cause = finding("n1", Aspect::Connect, Status::Fail);
        let mut after = finding("n1", Aspect::Tls, Status::NotProven);
        after.because_of = Some(cause.as_cause());
        let text = text_of(&report(vec![cause, after]));
        assert!(text.contains("FAIL node.connect\n    at       node n1 10.0.0.1:1\n"), "{text}");
        assert!(text.contains("caused   not proven: tls\n"), "{text}");
        assert!(!text.contains("not-proven node.tls"), "{text}");
        assert!(text.ends_with("2 checks: 0 passed, 1 failed, 1 not proven\nNot proven: see above.\n"), "{text}");
    }

    #[test]
    fn the_report_fits_the_terminal_width() {
        let mut long = finding("n1", Aspect::Connect, Status::Fail);
        long.observed = "a word and ".repeat(40);
        let report = report(vec![long]);
        let lines = |width| {
            report.to_text(TextStyle { width, ..TextStyle::default() }, &ids).lines().map(|l| l.chars().count()).max()
        };
        assert!(lines(None) <= Some(80) && lines(Some(160)) > Some(150) && lines(Some(160)) <= Some(160));
        assert!(lines(Some(10)) > Some(40), "there is a minimum width");
    }

    #[test]
    fn json_is_complete_on_failure_and_has_a_version() {
        let json = report(vec![finding("n1", Aspect::Chain, Status::Fail)]).to_json(&ids);
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["schemaVersion"], 1);
        assert_eq!(value["verdict"], "unproven");
        assert_eq!(value["summary"]["fail"], 1);
        assert_eq!(value["results"][0]["id"], "node.chain");
        assert_eq!(value["results"][0]["property"][0], "1.ii");
    }
}
