//! A CA that was imported, as text and JSON.

use serde_json::{Value, json};

use crate::app::ca::{CaWarning, CaWarningKind, ImportReport};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::ui::Screen;

/// Shows a CA that was imported.
pub(crate) fn show(report: &ImportReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let ImportReport { ca, key, root, chain, warnings, encrypted, missing } = report;
    for warning in warnings {
        screen.warn(text(warning));
    }
    if !encrypted {
        screen.warn("the CA's key is not encrypted: anyone who reads it controls the cluster");
    }
    if output == OutputFormat::Json {
        let warning = |warning: &CaWarning| json!({ "subject": warning.subject, "text": words(&warning.kind) });
        let value = json!({
            "schemaVersion": 1,
            "role": name(ca.role),
            "name": ca.name,
            "key": key,
            "root": root,
            "chain": chain,
            "file": ca.certificate,
            "expires": stamp(ca.not_after),
            "publicKey": ca.pin.as_pin(),
            "sha256": ca.fingerprint.to_string(),
            "encrypted": encrypted,
            "warnings": warnings.iter().map(warning).collect::<Vec<Value>>(),
            "missing": missing.iter().copied().map(name).collect::<Vec<_>>(),
        });
        return screen.answer(format_args!("{value:#}"));
    }
    screen.answer(format_args!(
        "{}\n  role         {}\n  key          {key}\n  root         {root}\n  file         {}\n  valid until  {}\n  pin          {}\n  fingerprint  {}",
        ca.name,
        name(ca.role),
        ca.certificate.display(),
        stamp(ca.not_after),
        ca.pin.as_pin(),
        ca.fingerprint,
    ));
    let next = match missing.is_empty() {
        true => "clusterctl issue-master --all".to_owned(),
        false => {
            let names: Vec<&str> = missing.iter().copied().map(name).collect();
            format!(
                "clusterctl import-ca --as {}, or clusterctl init-ca, which makes what is missing",
                names.join(" | ")
            )
        }
    };
    screen.step(format_args!("Next: {next}"));
}

/// Returns a role as `--as` names it.
fn name(role: CaRole) -> &'static str {
    match role {
        CaRole::Cluster => "cluster",
        CaRole::Etcd => "etcd",
        CaRole::FrontProxy => "front-proxy",
    }
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
