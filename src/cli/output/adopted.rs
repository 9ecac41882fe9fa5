//! What `ledger adopt` recorded, as text and JSON.

use serde_json::{Value, json};

use crate::app::count::certificates;
use crate::app::ledger::{AdoptReport, AdoptedCertificate, Skipped};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// Shows which certificates were recorded, and what was left out.
pub(crate) fn show(report: &AdoptReport, output: OutputFormat, screen: &mut Screen<'_>) {
    warn(report, screen);
    if output == OutputFormat::Json {
        let mut value = data(report);
        value["schemaVersion"] = json!(1);
        return screen.answer(format_args!("{value:#}"));
    }
    lines(report, screen);
}

/// Warns of each certificate and file that was left out.
pub(super) fn warn(report: &AdoptReport, screen: &mut Screen<'_>) {
    for one in &report.skipped {
        screen.warn(sanitized(&words(one)));
    }
}

/// Returns the report as JSON, without the version of the schema.
pub(super) fn data(AdoptReport { adopted, known, skipped }: &AdoptReport) -> Value {
    json!({
        "adopted": adopted.iter().map(adopted_json).collect::<Vec<Value>>(),
        "known": known,
        "skipped": skipped.iter().map(skipped_json).collect::<Vec<Value>>(),
    })
}

/// Shows each certificate that was recorded, and the numbers.
pub(super) fn lines(AdoptReport { adopted, known, skipped }: &AdoptReport, screen: &mut Screen<'_>) {
    for AdoptedCertificate { issued, .. } in adopted {
        let holder = issued.host.as_deref().unwrap_or(&issued.account);
        let (holder, profile) = (sanitized(holder), sanitized(&issued.profile));
        screen.answer(format_args!(
            "adopted  {holder}  {profile}  serial {}  expires {}",
            issued.serial,
            stamp(issued.not_after)
        ));
    }
    screen.step(format_args!(
        "{} adopted, {known} known before, {} left out",
        certificates(adopted.len()),
        skipped.len()
    ));
}

fn words(skipped: &Skipped) -> String {
    let Skipped { file, subject, serial, reason } = skipped;
    let serial = serial.as_ref().map(|serial| format!(" (serial {serial})")).unwrap_or_default();
    match subject {
        Some(subject) => format!("{file}: {subject}{serial}: {reason}"),
        None => format!("{file}: {reason}"),
    }
}

fn adopted_json(adopted: &AdoptedCertificate) -> Value {
    let AdoptedCertificate { file, issued } = adopted;
    json!({
        "file": file,
        "serial": issued.serial.to_string(),
        "sha256": issued.fingerprint.to_string(),
        "profile": issued.profile,
        "host": issued.host,
        "account": issued.account,
        "expires": stamp(issued.not_after),
    })
}

fn skipped_json(skipped: &Skipped) -> Value {
    let Skipped { file, subject, serial, reason } = skipped;
    json!({
        "file": file,
        "subject": subject,
        "serial": serial.as_ref().map(ToString::to_string),
        "reason": reason.id(),
        "text": reason.to_string(),
    })
}
