//! Findings as JSON (`schemas/lint.schema.json`).

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::lint::{LintFinding, LintReport, Severity};
use crate::cli::remedies;
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;

pub(super) fn of(report: &LintReport, now: OffsetDateTime) -> Value {
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    json!({
        "schemaVersion": 1,
        "time": stamp(now),
        "good": report.is_good(),
        "files": report.files,
        "certificates": report.certificates,
        "findings": findings,
        "summary": {
            "errors": report.count(Severity::Error),
            "warnings": report.count(Severity::Warning),
            "notes": report.count(Severity::Note),
            "hidden": report.hidden,
        },
    })
}

/// Returns a finding; untrusted text is escaped as for a terminal.
fn finding(LintFinding { rule, place, observed }: &LintFinding) -> Value {
    json!({
        "id": rule.id,
        "severity": rule.severity.as_str(),
        "file": sanitized(&place.file),
        "part": place.part.as_deref().map(sanitized),
        "title": rule.title,
        "observed": sanitized(observed),
        "remedy": rule.remedy.id(),
        "hint": remedies::of_lint(rule.remedy),
    })
}
