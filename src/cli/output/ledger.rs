//! The reports of `ledger` as text and JSON.

use serde_json::{Value, json};

use crate::app::count::{certificates as certificate_count, counted};
use crate::app::ledger::{CheckReport, LedgerFinding, RebuildReport, Unknown};
use crate::cli::args::output::OutputFormat;
use crate::cli::remedies;
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// Shows the result of checking the ledger.
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
    let mut hints: Vec<String> = report.findings.iter().filter_map(remedy_text).collect();
    let mut seen = std::collections::HashSet::new();
    hints.retain(|hint| seen.insert(hint.clone()));
    hints.into_iter().for_each(|hint| screen.step(format_args!("hint: {hint}")));
    let head = report.head.map(|head| format!("; its head (the last hash) is {head}")).unwrap_or_default();
    screen.answer(format_args!(
        "the ledger {}: {}, {} in the hash chain{head}",
        if report.is_good() { "is consistent" } else { "is not consistent" },
        certificate_count(report.certificates),
        counted(report.rows, "row")
    ));
}

fn remedy_text(finding: &LedgerFinding) -> Option<String> {
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
                "remedy": remedy_text(finding),
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

/// Shows the result of rebuilding the ledger, and the information that it lacks.
pub(crate) fn show_rebuild(report: &RebuildReport, output: OutputFormat, screen: &mut Screen<'_>) {
    if output == OutputFormat::Json {
        screen.answer(format_args!("{:#}", rebuild_json(report)));
        return;
    }
    let RebuildReport { ledger, kept, certificates: count, keys_elsewhere, revoked, revoked_unknown, unknown } = report;
    screen.answer(format_args!("{}: {}", sanitized(&ledger.display().to_string()), certificate_count(*count)));
    screen.answer(format_args!("revoked: {revoked}"));
    if *revoked_unknown > 0 {
        let count = counted(*revoked_unknown, "further certificate");
        let (was, is) = if *revoked_unknown == 1 { ("was", "is") } else { ("were", "are") };
        screen.answer(format_args!("at least {count} {was} revoked, but {is} in no file here"));
    }
    if let Some(kept) = kept {
        screen.answer(format_args!("the previous ledger was renamed to {}", sanitized(&kept.display().to_string())));
    }
    screen.step(
        "lost: who issued what and when, replaced certificates that are in no readable bundle, and all other events",
    );
    if *keys_elsewhere > 0 {
        let count = certificate_count(*keys_elsewhere);
        let verb = if *keys_elsewhere == 1 { "has" } else { "have" };
        screen.step(format_args!("{count} {verb} no key in this directory; the ledger records that only the host, or its encrypted bundle, has it"));
    }
    for missing in unknown {
        let (_, path, reason) = unknown_parts(missing);
        let path = path.map(|path| format!("{path}: ")).unwrap_or_default();
        screen.warn(sanitized(&format!("{path}{reason}")));
    }
    if unknown.iter().any(|one| matches!(one, Unknown::IncompleteRevocations { .. } | Unknown::NoRevocationEvidence)) {
        screen.step(
            "To record missing revocations, use a file that lists them, such as a master's \
             /etc/kubernetes/clusterctl/authorization.yaml: clusterctl revoke --from FILE",
        );
    }
    screen
        .step("Next: clusterctl ledger check; clusterctl policy; clusterctl bundle --all; clusterctl verify --offline");
}

/// Returns the kind of missing information as in JSON, the file that is concerned, and why the information is missing.
fn unknown_parts(unknown: &Unknown) -> (&'static str, Option<String>, String) {
    match unknown {
        Unknown::File { path, reason } => ("file", Some(path.display().to_string()), reason.clone()),
        Unknown::OtherIssuer { path } => {
            let reason =
                "it has a certificate that no CA of this directory signed, and that is not recorded".to_owned();
            ("other-issuer", Some(path.display().to_string()), reason)
        }
        Unknown::Crl { path, reason } => ("crl", Some(path.display().to_string()), reason.clone()),
        // It has the same kind in JSON as `NoRevocationEvidence`, because both are about revocations.
        Unknown::IncompleteRevocations { reason } => ("revocations", None, reason.clone()),
        Unknown::Encrypted { path } => {
            let reason = "it is encrypted, so its certificates are not known".to_owned();
            ("encrypted", Some(path.display().to_string()), reason)
        }
        Unknown::NoRevocationEvidence => {
            let reason = "it is not known whether certificates were revoked: the directory has neither a CRL nor an authorization configuration of API servers";
            ("revocations", None, reason.to_owned())
        }
    }
}

fn rebuild_json(report: &RebuildReport) -> Value {
    let unknown: Vec<Value> = report
        .unknown
        .iter()
        .map(|one| {
            let (kind, path, reason) = unknown_parts(one);
            json!({ "kind": kind, "file": path, "reason": reason })
        })
        .collect();
    json!({
        "schemaVersion": 1,
        "ledger": report.ledger,
        "kept": report.kept,
        "certificates": report.certificates,
        "keysElsewhere": report.keys_elsewhere,
        "revoked": report.revoked,
        "revokedUnknown": report.revoked_unknown,
        "unknown": unknown,
    })
}
