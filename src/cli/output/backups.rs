//! What `backup` and `restore` did, as text and JSON.

use serde_json::{Value, json};

use crate::app::backup::{BackupReport, LeftOut, RestoreReport};
use crate::app::count::{certificates, counted};
use crate::app::ledger::LedgerFinding;
use crate::bundle::backup_manifest::BackupManifest;
use crate::cli::args::output::OutputFormat;
use crate::cli::output::signers;
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// Shows what was backed up, and what was not.
pub(crate) fn show_backup(report: &BackupReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let BackupReport { file, size, sha256, manifest, certificates: count, left_out, warnings } = report;
    for one in left_out {
        screen.warn(sanitized(&words(one)));
    }
    warn(warnings, screen);
    if output == OutputFormat::Json {
        let mut value = json_of(manifest, *count);
        value["file"] = file.display().to_string().into();
        value["size"] = (*size).into();
        value["sha256"] = sha256.to_string().into();
        value["leftOut"] = left_out.iter().map(left_out_json).collect();
        return screen.answer(format_args!("{value:#}"));
    }
    let files = counted(manifest.files.len(), "file");
    screen.answer(format_args!(
        "{}: {files}, {}, {size} bytes",
        sanitized(&file.display().to_string()),
        certificates(*count)
    ));
    screen.answer(format_args!("SHA-256 {sha256}"));
    if let Some(head) = manifest.ledger_head {
        screen.answer(format_args!("head    {head}"));
    }
    if !manifest.bundles {
        screen.step("without the bundles");
    }
    screen.step("Next: copy it to another machine, and test regularly that clusterctl restore accepts it");
}

/// Shows what was restored.
pub(crate) fn show_restore(report: &RestoreReport, output: OutputFormat, is_current: bool, screen: &mut Screen<'_>) {
    let RestoreReport { directory, manifest, certificates: count, head, warnings } = report;
    warn(warnings, screen);
    if output == OutputFormat::Json {
        let mut value = json_of(manifest, *count);
        value["directory"] = directory.display().to_string().into();
        value["head"] = head.map(|head| head.to_string()).into();
        return screen.answer(format_args!("{value:#}"));
    }
    screen.answer(format_args!(
        "{}: cluster {} of {}, {}, {}",
        sanitized(&directory.display().to_string()),
        manifest.cluster,
        stamp(manifest.created),
        counted(manifest.files.len(), "file"),
        certificates(*count)
    ));
    screen.step(
        "What was issued and revoked after that is not in it: clusterctl revoke --from FILE records revocations from newer bundles \
         and rules",
    );
    let directory = sanitized(&directory.display().to_string());
    screen.step(match is_current {
        // A shell in a folder that was replaced is in the old one.
        true => format!("Next: cd {directory} && clusterctl status; clusterctl verify --offline"),
        false => format!("Next: clusterctl --dir {directory} status; clusterctl --dir {directory} verify --offline"),
    });
}

fn warn(warnings: &[LedgerFinding], screen: &mut Screen<'_>) {
    for finding in warnings {
        screen.warn(sanitized(&format!("{}: {}", finding.place, finding.observed)));
    }
}

fn words(left_out: &LeftOut) -> String {
    match left_out {
        LeftOut::Templates(path) => {
            format!("the templates in {} are outside of the cluster directory, and not in the backup", path.display())
        }
        LeftOut::Key(path) => format!("there is no key {}, so it is not in the backup", path.display()),
        LeftOut::HeldKey { role, holder, .. } => format!(
            "the key of the {} is {}, and not in the backup: a restored directory signs only with that holder",
            role.as_str(),
            signers::words(holder)
        ),
        LeftOut::Bundle { host, path } => {
            format!("the keys of {host} are only on the host and in {}, which is not in the backup", path.display())
        }
    }
}

fn left_out_json(left_out: &LeftOut) -> Value {
    let (kind, path) = match left_out {
        LeftOut::Templates(path) => ("templates", path),
        LeftOut::Key(path) => ("key", path),
        LeftOut::HeldKey { path, .. } => ("held-key", path),
        LeftOut::Bundle { path, .. } => ("bundle", path),
    };
    let mut value = json!({ "kind": kind, "path": path.display().to_string() });
    if let LeftOut::HeldKey { holder, .. } = left_out {
        value["holder"] = signers::words(holder).into();
    }
    value
}

fn json_of(manifest: &BackupManifest, count: usize) -> Value {
    json!({
        "schemaVersion": 1,
        "cluster": manifest.cluster.as_str(),
        "created": stamp(manifest.created),
        "createdBy": manifest.created_by,
        "rootPin": manifest.root_pin.as_pin(),
        "ledgerHead": manifest.ledger_head.map(|head| head.to_string()),
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
        "certificates": count,
        "bundles": manifest.bundles,
    })
}
