//! The history of the cluster directory as text and JSON.

use serde_json::{Value, json};

use crate::app::history::HistoryReport;
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;
use crate::store::ledger::history::{CertificateId, Change, HistoryEntry};
use crate::ui::Screen;

/// Shows the history. The changes of one command to many hosts are combined on one line, unless `is_about_one`.
pub(crate) fn show(report: &HistoryReport, is_about_one: bool, output: OutputFormat, screen: &mut Screen<'_>) {
    match (output, is_about_one) {
        (OutputFormat::Json, _) => screen.answer(format_args!("{:#}", json_of(report))),
        (OutputFormat::Human, true) => {
            report.entries.iter().for_each(|entry| screen.answer(line(std::slice::from_ref(entry))));
        }
        (OutputFormat::Human, false) => {
            report.entries.chunk_by(are_alike).for_each(|group| screen.answer(line(group)));
        }
    }
    match (report.entries.is_empty(), report.left_out) {
        (true, _) => screen.step("no entries"),
        (false, 0) => {}
        (false, count) => screen.step(format_args!("{count} older not shown")),
    }
}

/// Returns true if two entries belong to the same command.
fn are_alike(one: &HistoryEntry, next: &HistoryEntry) -> bool {
    one.at == next.at && one.by == next.by && verb(&one.change) == verb(&next.change)
}

/// Returns the name of a change: stable, part of the JSON output.
fn verb(change: &Change) -> &str {
    match change {
        Change::Issued(_) => "issue",
        Change::Adopted(_) => "adopt",
        Change::Revoked { .. } | Change::RevokedUnrecorded { .. } => "revoke",
        Change::ReasonChanged { .. } => "change-reason",
        Change::KeyDiscarded { .. } => "discard-key",
        Change::Done { kind, .. } => kind,
    }
}

/// Returns entries of one command on one line.
fn line(group: &[HistoryEntry]) -> String {
    let Some(HistoryEntry { at, by, change }) = group.first() else { return String::new() };
    let what = match group {
        [_] => details(change),
        several => several_details(several),
    };
    format!("{}  {:<16}  {:<12} {}", stamp(*at), sanitized(by), sanitized(verb(change)), sanitized(&what))
}

fn details(change: &Change) -> String {
    match change {
        Change::Issued(certificate) | Change::Adopted(certificate) => named(certificate),
        Change::Revoked { certificate, reason } | Change::ReasonChanged { certificate, reason } => {
            format!("{}, {}", named(certificate), reason.as_str())
        }
        Change::RevokedUnrecorded { fingerprint, serial, reason } => {
            let name = match (serial, fingerprint) {
                (Some(serial), _) => format!("serial {serial}"),
                (None, Some(fingerprint)) => format!("SHA-256 {fingerprint}"),
                (None, None) => "a certificate".to_owned(),
            };
            format!("{name} (not in the ledger), {}", reason.as_str())
        }
        Change::KeyDiscarded { host, certificate } => format!("{host}, of the certificate with SHA-256 {certificate}"),
        Change::Done { subject, detail, .. } if detail.is_empty() => subject.clone(),
        Change::Done { subject, detail, .. } => format!("{subject}: {detail}"),
    }
}

fn named(CertificateId { serial, profile, host, account, .. }: &CertificateId) -> String {
    match host {
        Some(host) => format!("{host} {profile} ({account}), serial {serial}"),
        None => format!("{account} {profile}, serial {serial}"),
    }
}

/// Returns the subjects of a command on one line: the first hosts or accounts, and the number of the others.
fn several_details(group: &[HistoryEntry]) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<&str> = group.iter().filter_map(|entry| holder(&entry.change)).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    let is_of_a_certificate = |entry: &&HistoryEntry| !matches!(entry.change, Change::Done { .. });
    // The entry of the whole revocation is not a certificate.
    let certificates = group.iter().filter(is_of_a_certificate).count();
    let count = if certificates == 0 { group.len() } else { certificates };
    let (one, many) = match group.first().map(|entry| &entry.change) {
        Some(
            Change::Issued(_)
            | Change::Adopted(_)
            | Change::Revoked { .. }
            | Change::ReasonChanged { .. }
            | Change::RevokedUnrecorded { .. },
        ) => ("certificate", "certificates"),
        Some(Change::KeyDiscarded { .. }) => ("key", "keys"),
        Some(Change::Done { kind, .. }) if kind == "bundle" => ("bundle", "bundles"),
        _ => ("entry", "entries"),
    };
    let what = if count == 1 { one } else { many };
    if names.is_empty() {
        return format!("{count} {what}, which the ledger does not have");
    }
    let first = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => format!("{count} {what}: {first}"),
        more => format!("{count} {what}: {first} and {more} more"),
    }
}

fn holder(change: &Change) -> Option<&str> {
    match change {
        Change::Issued(certificate)
        | Change::Adopted(certificate)
        | Change::Revoked { certificate, .. }
        | Change::ReasonChanged { certificate, .. } => {
            Some(certificate.host.as_deref().unwrap_or(&certificate.account))
        }
        Change::KeyDiscarded { host: subject, .. } | Change::Done { subject, .. } => Some(subject),
        Change::RevokedUnrecorded { .. } => None,
    }
}

fn json_of(report: &HistoryReport) -> Value {
    let entries: Vec<Value> = report.entries.iter().map(entry_json).collect();
    json!({ "schemaVersion": 1, "entries": entries, "leftOut": report.left_out })
}

/// Returns an entry as JSON: every entry has every key.
fn entry_json(entry: &HistoryEntry) -> Value {
    let HistoryEntry { at, by, change } = entry;
    let mut json = json!({
        "at": stamp(*at), "by": by, "kind": verb(change), "host": null, "account": null, "profile": null, "serial": null,
        "sha256": null, "reason": null, "subject": null, "detail": null,
    });
    match change {
        Change::Issued(certificate) | Change::Adopted(certificate) => identify(&mut json, certificate),
        Change::Revoked { certificate, reason } | Change::ReasonChanged { certificate, reason } => {
            identify(&mut json, certificate);
            json["reason"] = reason.as_str().into();
        }
        Change::RevokedUnrecorded { fingerprint, serial, reason } => {
            json["serial"] = serial.as_ref().map(ToString::to_string).into();
            json["sha256"] = fingerprint.map(|digest| digest.to_string()).into();
            json["reason"] = reason.as_str().into();
        }
        Change::KeyDiscarded { host, certificate } => {
            json["host"] = host.as_str().into();
            json["sha256"] = certificate.as_str().into();
        }
        Change::Done { subject, detail, .. } => {
            json["subject"] = subject.as_str().into();
            json["detail"] = detail.as_str().into();
        }
    }
    json
}

fn identify(json: &mut Value, certificate: &CertificateId) {
    json["host"] = certificate.host.clone().into();
    json["account"] = certificate.account.as_str().into();
    json["profile"] = certificate.profile.as_str().into();
    json["serial"] = certificate.serial.to_string().into();
    json["sha256"] = certificate.fingerprint.to_string().into();
}
