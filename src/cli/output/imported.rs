//! A CA that was imported, as text and JSON.

use serde_json::{Value, json};

use super::signers;
use crate::app::ca::{CaWarning, CaWarningKind, ImportReport, KeyStorage};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::ui::Screen;

/// Shows a CA that was imported.
pub(crate) fn show(report: &ImportReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let ImportReport { ca, key, root, chain, warnings, missing } = report;
    for warning in warnings {
        screen.warn(text(warning));
    }
    if ca.key == KeyStorage::Plaintext {
        screen.warn("the CA's key is not encrypted: anyone who reads it controls the cluster");
    }
    let signer = match &ca.key {
        KeyStorage::Elsewhere(signer) => Some(signer),
        KeyStorage::Encrypted | KeyStorage::Plaintext => None,
    };
    if output == OutputFormat::Json {
        let warning = |warning: &CaWarning| json!({ "subject": warning.subject, "text": words(&warning.kind) });
        let value = json!({
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
        });
        return screen.answer(format_args!("{value:#}"));
    }
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
    let next = match missing.is_empty() {
        true => "clusterctl issue-master --all".to_owned(),
        false => {
            let names: Vec<&str> = missing.iter().copied().map(CaRole::name).collect();
            format!(
                "clusterctl import-ca --as {}, or clusterctl init-ca, which makes what is missing",
                names.join(" | ")
            )
        }
    };
    screen.step(format_args!("Next: {next}"));
}

fn text(warning: &CaWarning) -> String {
    format!("{}: {}", warning.subject, words(&warning.kind))
}

fn words(kind: &CaWarningKind) -> String {
    match kind {
        CaWarningKind::Violation(violation) => violation.to_string(),
        CaWarningKind::NoCrlSign => "its key usage lacks cRLSign, so that it cannot sign CRLs".to_owned(),
    }
}
