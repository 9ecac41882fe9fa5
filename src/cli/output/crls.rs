//! The description of CRLs as text and JSON.

use std::fmt::Write;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::count::certificates;
use crate::app::revoke::{CrlComparison, CrlReport, CrlState};
use crate::cluster::duration::{in_words, stamp};
use crate::cluster::profile::CaRole;
use crate::pki::certificate::Serial;
use crate::pki::crl::{Crl, Revoked};
use crate::sanitize::sanitized;

/// Returns the description as JSON (`schemas/crl.schema.json`).
pub(crate) fn json(report: &CrlReport) -> String {
    let crls: Vec<Value> = report.crls.iter().map(|state| state_json(state, report.now)).collect();
    format!("{:#}", json!({ "schemaVersion": 1, "good": report.is_good(), "crls": crls, "unlisted": report.unlisted }))
}

fn state_json(state: &CrlState, now: OffsetDateTime) -> Value {
    let role = state.role.map(|role| match role {
        CaRole::Cluster => "cluster",
        CaRole::Etcd => "etcd",
        CaRole::FrontProxy => "front-proxy",
    });
    let serials = |serials: &[Serial]| serials.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ledger = state.comparison.as_ref().map(|comparison| {
        json!({
            "matches": comparison.matches(),
            "missing": serials(&comparison.missing),
            "notRevoked": serials(&comparison.not_revoked),
            "unknown": serials(&comparison.unknown),
        })
    });
    let (crl, error) = match &state.crl {
        Ok(crl) => (Some(crl_json(crl, now)), None),
        Err(problem) => (None, Some(problem.to_string())),
    };
    json!({ "file": state.path, "ca": role, "crl": crl, "ledger": ledger, "error": error })
}

fn crl_json(crl: &Crl, now: OffsetDateTime) -> Value {
    let revoked = |Revoked { serial, at, reason }: Revoked| json!({ "serial": serial.to_string(), "reason": reason.as_str(), "date": stamp(at) });
    json!({
        "issuer": crl.issuer.text,
        "number": crl.number,
        "thisUpdate": stamp(crl.this_update),
        "nextUpdate": crl.next_update.map(stamp),
        "daysLeft": crl.next_update.map(|next| (next - now).whole_days()),
        "current": crl.is_current(now),
        "revoked": crl.entries().into_iter().map(revoked).collect::<Vec<_>>(),
    })
}

/// Returns the description of a CRL as text.
pub(crate) fn text(state: &CrlState, now: OffsetDateTime) -> String {
    let mut text = format!("{}\n", sanitized(&state.path.display().to_string()));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    let crl = match &state.crl {
        Ok(crl) => crl,
        Err(problem) => {
            line("problem", &problem.to_string());
            return text;
        }
    };
    line("issuer", &sanitized(&crl.issuer.text));
    line("number", &crl.number.map_or_else(|| "none".to_owned(), |number| number.to_string()));
    line("this update", &this_update(crl, now));
    line("next update", &next_update(crl, now));
    line("ledger", &ledger(state.comparison.as_ref()));
    line("revoked", &certificates(crl.serials.len()));
    for Revoked { serial, at, reason } in crl.entries() {
        let _ = writeln!(text, "    {serial}  {}  {reason}", stamp(at));
    }
    text
}

fn this_update(crl: &Crl, now: OffsetDateTime) -> String {
    match crl.this_update {
        from if from > now => {
            format!("{} (not valid yet: it begins in {}; compare the clocks)", stamp(from), in_words(from - now))
        }
        from => stamp(from),
    }
}

fn next_update(crl: &Crl, now: OffsetDateTime) -> String {
    match crl.next_update {
        None => "none: clients cannot tell that it is old".to_owned(),
        Some(next) if next <= now => format!("{} (expired {} ago)", stamp(next), in_words(now - next)),
        Some(next) => format!("{} (in {})", stamp(next), in_words(next - now)),
    }
}

fn ledger(comparison: Option<&CrlComparison>) -> String {
    let Some(comparison) = comparison else { return "not compared".to_owned() };
    let CrlComparison { missing, not_revoked, unknown } = comparison;
    let differences = [
        (missing, "lacks", "that the ledger records as revoked"),
        (not_revoked, "lists", "that the ledger does not record as revoked"),
        (unknown, "lists", "that the ledger does not have"),
    ];
    let found: Vec<String> = differences
        .iter()
        .filter(|(serials, ..)| !serials.is_empty())
        .map(|(serials, verb, which)| format!("{verb} {} {which}", certificates(serials.len())))
        .collect();
    if found.is_empty() { "matches".to_owned() } else { found.join(", ") }
}
