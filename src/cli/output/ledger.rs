//! What `ledger` finds, as text and JSON.

use serde_json::{Value, json};

use crate::app::count::certificates;
use crate::app::ledger::{CheckReport, LedgerFinding};
use crate::cli::args::output::OutputFormat;
use crate::cli::remedies;
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// Shows what a check of the ledger found.
pub(crate) fn show_check(report: &CheckReport, output: OutputFormat, screen: &mut Screen<'_>) {
    if output == OutputFormat::Json {
        screen.answer(format_args!("{:#}", check_json(report)));
        return;
    }
    for finding in &report.findings {
        let LedgerFinding { id, severity, place, observed, .. } = finding;
        let (severity, id, place) = (severity.as_str(), id.as_str(), sanitized(place));
        screen.answer(format_args!("{severity:<7}  {id:<20}  {place}: {}", sanitized(observed)));
    }
    let mut told: Vec<String> = report.findings.iter().filter_map(remedy).collect();
    let mut seen = std::collections::HashSet::new();
    told.retain(|words| seen.insert(words.clone()));
    told.into_iter().for_each(|words| screen.step(format_args!("hint: {words}")));
    let head = report.head.map(|head| format!(", head {head}")).unwrap_or_default();
    screen.answer(format_args!(
        "{}: {}, {} rows in the hash chain{head}",
        if report.is_good() { "good" } else { "not good" },
        certificates(report.certificates),
        report.rows
    ));
}

fn remedy(finding: &LedgerFinding) -> Option<String> {
    finding.remedy.as_ref().and_then(remedies::words)
}

fn check_json(report: &CheckReport) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "id": finding.id.as_str(),
                "severity": finding.severity.as_str(),
                "place": finding.place,
                "observed": finding.observed,
                "remedy": remedy(finding),
            })
        })
        .collect();
    json!({
        "schemaVersion": 1,
        "good": report.is_good(),
        "certificates": report.certificates,
        "rows": report.rows,
        "head": report.head.map(|head| head.to_string()),
        "findings": findings,
    })
}
