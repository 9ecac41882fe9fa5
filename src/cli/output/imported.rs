//! A CA that was imported, as text and JSON.

use serde_json::{Value, json};

use super::{adopted, signers};
use crate::app::ca::{CaWarning, CaWarningKind, CreatedCa, DirectoryReport, ImportReport, KeyStorage};
use crate::app::ledger::AdoptReport;
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::cluster::signer::Signer;
use crate::pki::violation::Violation;
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// Shows a CA that was imported.
pub(crate) fn show(report: &ImportReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let ImportReport { ca, warnings, missing, .. } = report;
    warn(ca.role, warnings, screen);
    if ca.key == KeyStorage::Plaintext {
        screen.warn("the CA's key is not encrypted: anyone who reads it controls the cluster");
    }
    if output == OutputFormat::Json {
        return screen.answer(format_args!("{:#}", data(report)));
    }
    card(report, screen);
    let next = match missing.is_empty() {
        true => "clusterctl issue-master --all".to_owned(),
        false => {
            let names: Vec<&str> = missing.iter().copied().map(CaRole::name).collect();
            format!(
                "clusterctl import-ca --as {}, or clusterctl init-ca, which creates the missing ones",
                names.join(" | ")
            )
        }
    };
    screen.step(format_args!("Next: {next}"));
}

/// Warns of the differences of an imported CA from CAs that clusterctl generates.
pub(crate) fn warn(role: CaRole, warnings: &[CaWarning], screen: &mut Screen<'_>) {
    for warning in warnings {
        screen.warn(text(role, warning));
    }
}

/// Shows all CAs of a control plane that were imported, and the certificates that were recorded; `None` if that failed.
pub(crate) fn show_directory(
    report: &DirectoryReport,
    recorded: Option<&AdoptReport>,
    output: OutputFormat,
    screen: &mut Screen<'_>,
) {
    let DirectoryReport { cas, trusted, service_account_key } = report;
    for ca in cas {
        warn(ca.ca.role, &ca.warnings, screen);
    }
    if cas.iter().any(|ca| ca.ca.key == KeyStorage::Plaintext) {
        screen.warn("the CAs' keys are not encrypted: anyone who reads them controls the cluster");
    }
    if let Some(recorded) = recorded {
        adopted::warn(recorded, screen);
    }
    if output == OutputFormat::Json {
        let value = json!({
            "schemaVersion": 1,
            "recorded": recorded.map(adopted::data),
            "cas": cas.iter().map(data).collect::<Vec<Value>>(),
            "trusted": trusted,
            "serviceAccountKey": service_account_key.as_pin(),
        });
        return screen.answer(format_args!("{value:#}"));
    }
    cas.iter().for_each(|ca| card(ca, screen));
    for subject in trusted {
        screen.answer(format_args!("also trusted: {}", sanitized(subject)));
    }
    screen.answer(format_args!("service accounts' key: {}", service_account_key.as_pin()));
    if let Some(recorded) = recorded {
        adopted::lines(recorded, screen);
    }
    screen.step("Next: clusterctl issue-master --all");
}

/// Returns the token or program that holds a CA's key; `None` if the key is a file.
fn signer_of(ca: &CreatedCa) -> Option<&Signer> {
    match &ca.key {
        KeyStorage::Held(signer) => Some(&**signer),
        KeyStorage::Encrypted | KeyStorage::Plaintext => None,
    }
}

fn data(report: &ImportReport) -> Value {
    let ImportReport { ca, key, root, chain, warnings, missing } = report;
    let signer = signer_of(ca);
    let warning = |warning: &CaWarning| json!({ "subject": warning.subject, "text": words(ca.role, &warning.kind) });
    json!({
        "schemaVersion": 1,
        "role": ca.role.name(),
        "name": ca.name,
        "key": key,
        "root": root,
        "chain": chain,
        "file": ca.certificate,
        "expires": stamp(ca.not_after),
        "publicKey": ca.pin.as_pin(),
        "sha256": ca.fingerprint.to_string(),
        "encrypted": ca.key == KeyStorage::Encrypted,
        "signer": signer.map(signers::kind),
        "warnings": warnings.iter().map(warning).collect::<Vec<Value>>(),
        "missing": missing.iter().copied().map(CaRole::name).collect::<Vec<_>>(),
    })
}

fn card(ImportReport { ca, key, root, .. }: &ImportReport, screen: &mut Screen<'_>) {
    let signer = signer_of(ca);
    let held = signer.map(|signer| format!(", {}", signers::words(signer))).unwrap_or_default();
    screen.answer(format_args!(
        "{}\n  role         {}\n  key          {key}{held}\n  root         {root}\n  file         {}\n  valid until  {}\n  pin          {}\n  fingerprint  {}",
        ca.name,
        ca.role.name(),
        ca.certificate.display(),
        stamp(ca.not_after),
        ca.pin.as_pin(),
        ca.fingerprint,
    ));
}

fn text(role: CaRole, warning: &CaWarning) -> String {
    format!("{}: {}", warning.subject, words(role, &warning.kind))
}

fn words(role: CaRole, kind: &CaWarningKind) -> String {
    match kind {
        // The texts of these violations are about CAs that clusterctl makes.
        CaWarningKind::Violation(Violation::PathLength) => {
            "it has no path length of 0, so that anyone who has its key can create further CAs".to_owned()
        }
        CaWarningKind::Violation(Violation::KeyUsage { .. }) => {
            "its key usage has more than keyCertSign and cRLSign, or is not marked critical".to_owned()
        }
        CaWarningKind::Violation(Violation::Extension(name)) => format!("it has no {name}"),
        CaWarningKind::Violation(violation) => violation.to_string(),
        CaWarningKind::ExpiresSoon { not_after } => {
            let of_role = if role == CaRole::Cluster { String::new() } else { format!(" --role {}", role.name()) };
            format!(
                "it expires at {}, and what it signs expires with it, at the latest: replace it before (clusterctl rotate-ca \
                 start{of_role})",
                stamp(*not_after)
            )
        }
        CaWarningKind::NoCrlSign => "its key usage lacks cRLSign, so that it cannot sign CRLs".to_owned(),
        CaWarningKind::WeakKeyEncryption => "the file from which its key was read is weakly encrypted (one round of MD5, as openssl \
                                             before PKCS#8): passphrases are tried quickly. Delete that file and copies of it as \
                                             soon as the cluster directory has a backup"
            .to_owned(),
    }
}
