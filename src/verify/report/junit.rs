//! The form for CI: a suite is a host, a class a property, a case a check.

use std::collections::HashMap;
use std::fmt::Write;

use super::super::finding::{Finding, Status};
use super::super::target::Place;
use super::summary::Report;
use crate::pki::inspect::stamp;
use crate::printable::printable;

impl Report {
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
        let sum = self.counts();
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"clusterctl verify\" tests=\"{}\" failures=\"{}\" \
             errors=\"{}\">\n",
            sum.total, sum.fail, sum.not_proven
        );
        for key in hosts {
            let list = &cases[&key];
            let name = xml(&format!("{} {}", key.0.as_str(), key.1));
            let (failures, skipped) = (count(list, Status::Fail), count(list, Status::Skipped));
            let errors = list.iter().filter(is_error).count();
            let total = list.len();
            let time = stamp(self.started);
            let took = seconds(list.iter().map(|finding| finding.elapsed_ms).fold(0, u64::saturating_add));
            let _ = writeln!(
                out,
                "  <testsuite name=\"{name}\" tests=\"{total}\" failures=\"{failures}\" errors=\"{errors}\" \
                 skipped=\"{skipped}\" time=\"{took}\" timestamp=\"{}\">",
                time.trim_end_matches('Z')
            );
            for finding in list {
                case(&mut out, finding, self.dialled());
            }
            out.push_str("  </testsuite>\n");
        }
        out.push_str("</testsuites>\n");
        out
    }
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

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn case(out: &mut String, finding: &Finding, dialled: bool) {
    let class: Vec<&str> = finding.properties().iter().map(|property| property.as_str()).collect();
    let class = if dialled { class.join(" ") } else { "directory".to_owned() };
    let (class, address) = (class, finding.address.as_deref().unwrap_or_default());
    let mut name = finding.id.to_string();
    for part in [Some(address).filter(|a| !a.is_empty()), finding.caller.as_deref()].into_iter().flatten() {
        let _ = write!(name, " {part}");
    }
    let took = seconds(finding.elapsed_ms);
    let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{}\" time=\"{took}\"", xml(&name));
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
