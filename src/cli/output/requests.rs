//! Requests of hosts and signed certificates as text and JSON.

use std::path::Path;

use serde_json::{Value, json};

use crate::app::count::certificates;
use crate::app::request::{HostKey, RequestReport};
use crate::app::sign::{EarlierCertificate, HostKeyEvidence, SignReport, SignedCertificate};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::ui::Screen;

/// Shows a request that was written.
pub(crate) fn show(report: &RequestReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let RequestReport { host, path, keys } = report;
    if output == OutputFormat::Json {
        let key = |key: &HostKey| {
            json!({
                "profile": key.profile.policy().name,
                "file": key.path,
                "publicKey": key.public_key.as_pin(),
                "created": key.is_new,
            })
        };
        let keys: Vec<Value> = keys.iter().map(key).collect();
        let value = json!({ "schemaVersion": 1, "host": host.as_str(), "file": path, "keys": keys });
        return screen.answer(format_args!("{value:#}"));
    }
    for key in keys {
        let verb = if key.is_new { "made" } else { "kept" };
        screen.step(format_args!("{verb} {}: {}", key.path.display(), key.public_key.as_pin()));
    }
    screen.answer(path.display());
    screen.step(format_args!(
        "the keys stay on this host. Take the request to the cluster directory. Next: clusterctl sign {}",
        path.file_name().map_or_else(|| path.display(), |name| Path::new(name).display())
    ));
}

/// Shows the content of requests beside the content that the cluster file grants.
pub(crate) fn show_comparison<'r>(rows: impl Iterator<Item = &'r SignedCertificate>, screen: &mut Screen<'_>) {
    for row in rows {
        let SignedCertificate { file, host, profile, asked, granted, host_key, earlier, replaced_key, .. } = row;
        let account = match &granted.subject.group {
            Some(group) => format!("O={group}, CN={}", granted.subject.user),
            None => format!("CN={}", granted.subject.user),
        };
        screen.answer(format_args!("{host} {}, by {}", profile.policy().name, file.display()));
        screen.answer(format_args!(
            "  asked      {}; {}; {}; {} {}",
            asked.subject,
            listed(&asked.names, "no names"),
            listed(&asked.usages, "no usage"),
            asked.key,
            asked.public_key.as_pin(),
        ));
        if let Some(HostKeyEvidence { fingerprint, is_known, time }) = host_key {
            let whose = if *is_known { "the host's" } else { "no key of the host is known here" };
            screen.answer(format_args!("  SSH key    {fingerprint}, {whose}; signed at {}", stamp(*time)));
        }
        screen.answer(format_args!(
            "  inventory  {account}; {}; {}; {}",
            listed(&granted.names, "no names"),
            granted.usages.join(" "),
            granted.lifetime,
        ));
        if let Some(EarlierCertificate { serial, issued_at, not_after, is_due }) = earlier {
            let (issued, expires) = (stamp(*issued_at), stamp(*not_after));
            screen.answer(format_args!(
                "  earlier    serial {serial}, issued at {issued}, for the same key: it stays valid until {expires}, unless it is revoked"
            ));
            if !is_due {
                screen.warn(format_args!(
                    "{host} already has a {} certificate for this key, issued at {issued} (serial {serial}), which is not due: \
                     was this request signed before?",
                    profile.policy().name
                ));
            }
        }
        if let Some(path) = replaced_key {
            screen.answer(format_args!(
                "  deletes    {}, the key of a certificate that stays valid until it expires or is revoked",
                path.display()
            ));
        }
    }
}

fn listed(texts: &[String], none: &str) -> String {
    if texts.is_empty() { none.to_owned() } else { texts.join(" ") }
}

/// Shows the certificates that were signed, or that would be signed.
pub(crate) fn show_signed(report: &SignReport, is_dry_run: bool, output: OutputFormat, screen: &mut Screen<'_>) {
    let count = certificates(report.certificates.len());
    let hosts: Vec<&str> = report.hosts().into_iter().map(HostName::as_str).collect();
    if output == OutputFormat::Json {
        let certificates: Vec<Value> = report.certificates.iter().map(json_of).collect();
        let value = json!({
            "schemaVersion": 1,
            "dryRun": is_dry_run,
            "certificates": certificates,
            "hostsToDeliver": hosts,
        });
        return screen.answer(format_args!("{value:#}"));
    }
    if is_dry_run {
        show_comparison(report.certificates.iter(), screen);
        return screen.step(format_args!("would sign {count}; nothing was changed"));
    }
    screen.step(format_args!("signed {count}"));
    screen.step(format_args!("Next: clusterctl bundle {}   (and deliver)", hosts.join(" ")));
}

fn json_of(row: &SignedCertificate) -> Value {
    let SignedCertificate { file, host, profile, asked, granted, host_key, earlier, replaced_key, signed } = row;
    json!({
        "file": file,
        "host": host.as_str(),
        "profile": profile.policy().name,
        "asked": {
            "subject": asked.subject,
            "names": asked.names,
            "usages": asked.usages,
            "key": asked.key,
            "publicKey": asked.public_key.as_pin(),
        },
        "granted": {
            "user": granted.subject.user,
            "group": granted.subject.group,
            "names": granted.names,
            "usages": granted.usages,
        },
        "hostKey": host_key.as_ref().map(|one| json!({
            "fingerprint": one.fingerprint,
            "isKnown": one.is_known,
            "time": stamp(one.time),
        })),
        "earlier": earlier.as_ref().map(|one| json!({
            "serial": one.serial.to_string(),
            "issued": stamp(one.issued_at),
            "expires": stamp(one.not_after),
            "isDue": one.is_due,
        })),
        "deletedKey": replaced_key,
        "certificate": signed.as_ref().map(|(serial, fingerprint, not_after)| json!({
            "serial": serial.to_string(),
            "sha256": fingerprint.to_string(),
            "expires": stamp(*not_after),
        })),
    })
}
