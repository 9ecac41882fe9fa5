//! The report of packing as text and JSON.

use std::fmt::Display;

use serde_json::json;

use crate::app::package::verifier::VerifierRefresh;
use crate::app::package::{PackageReport, PackedBundle, Warning};
use crate::bundle::format::Format;
use crate::cli::args::output::OutputFormat;
use crate::store::layout::Layout;
use crate::ui::Screen;

/// The maximum number of hosts that a line names.
const NAMED: usize = 20;
/// The maximum number of hosts that a warning names.
const NAMED_IN_WARNING: usize = 5;
/// The largest user-data that EC2 takes, in bytes; other clouds take more.
const EC2_LIMIT: u64 = 16 << 10;

/// Shows the report of packing; `seconds` is its duration.
pub(crate) fn show(
    report: &PackageReport,
    output: OutputFormat,
    seconds: f64,
    layout: &Layout,
    screen: &mut Screen<'_>,
) {
    for warning in &report.warnings {
        warn(warning, layout, screen);
    }
    show_kept(report.kept.len(), screen);
    if let Some(count) = report.discarded {
        screen.step(format_args!(
            "deleted {count} private key{}: only the recipients can decrypt {} now",
            if count == 1 { "" } else { "s" },
            if count == 1 { "it" } else { "them" },
        ));
    }
    match (output, report.bundles.as_slice()) {
        (OutputFormat::Human, []) => return screen.step("nothing was packed"),
        (OutputFormat::Json, []) => return screen.answer(format_args!("{:#}", json(report))),
        (OutputFormat::Json, _) => screen.answer(format_args!("{:#}", json(report))),
        (OutputFormat::Human, [one]) => screen.answer(one.path.display()),
        (OutputFormat::Human, _) => screen.answer(report.folder.display()),
    }
    let count = report.bundles.len();
    let have_keys = report.bundles.iter().any(|bundle| !bundle.lacks_keys);
    screen.step(format_args!(
        "packed {count} bundle{}, in {seconds:.1} s ({:.0} per second){}",
        if count == 1 { "" } else { "s" },
        count as f64 / seconds.max(0.001),
        match (have_keys, report.encrypted) {
            (false, _) => "",
            (true, true) => ". Each has its host's keys, encrypted: only its recipients can decrypt it",
            (true, false) => ". Each has its host's keys: give it only to that host",
        },
    ));
    let without: Vec<&str> =
        report.bundles.iter().filter(|bundle| bundle.lacks_keys).map(|bundle| bundle.host.as_str()).collect();
    if !without.is_empty() {
        screen.step(format_args!(
            "without the keys that only the host has: {}. install.sh looks for them there",
            first_of(&without, NAMED)
        ));
    }
    let changed = report.hosts(true);
    screen.step(match changed.as_slice() {
        [] => format!("0 of {count} changed"),
        names => format!("{} of {count} changed: {}", names.len(), first_of(names, NAMED)),
    });
    if report.format.is_user_data() {
        show_user_data(report, screen);
    }
}

fn json(report: &PackageReport) -> serde_json::Value {
    let bundle =
        |bundle: &PackedBundle| json!({ "host": bundle.host.as_str(), "file": bundle.path, "changed": bundle.changed });
    json!({
        "schemaVersion": 1,
        "folder": report.folder,
        "bundles": report.bundles.iter().map(bundle).collect::<Vec<_>>(),
        "changed": report.hosts(true),
        "unchanged": report.hosts(false),
        "refused": report.refused.iter().map(|refused| refused.host.as_str()).collect::<Vec<_>>(),
    })
}

/// Shows what became of the verifier bundle after other bundles were packed.
pub(crate) fn show_refreshed(refreshed: &VerifierRefresh, layout: &Layout, screen: &mut Screen<'_>) {
    match refreshed {
        VerifierRefresh::Current => {}
        VerifierRefresh::Packed(report) => {
            screen.step(format_args!("packed {} again", report.path.display()));
            for warning in &report.warnings {
                warn(warning, layout, screen);
            }
        }
        VerifierRefresh::Kept { path, reason } => {
            screen.warn(format_args!("{} stays as it is: {reason}", path.display()));
        }
    }
}

/// Shows the number of hosts that keep their encrypted bundle.
pub(crate) fn show_kept(kept: usize, screen: &mut Screen<'_>) {
    if kept > 0 {
        screen.warn(format_args!(
            "{kept} host{} encrypted bundle, because {} keys were discarded here; later changes are not in it. Issue new \
             keys with: clusterctl issue-node --reissue HOST",
            if kept == 1 { " keeps its" } else { "s keep their" },
            if kept == 1 { "its" } else { "their" },
        ));
    }
}

fn show_user_data(report: &PackageReport, screen: &mut Screen<'_>) {
    if report.bundles.iter().any(|bundle| !bundle.lacks_keys) {
        warn_of_keys_in_user_data(screen);
    }
    let large = report.user_data_above(EC2_LIMIT);
    if large.is_empty() {
        return;
    }
    let hosts: Vec<String> = large.iter().map(|(host, size)| format!("{host} ({size} bytes)")).collect();
    screen.step(format_args!(
        "{} of them: over {} KiB ({EC2_LIMIT} bytes), which is more than EC2 accepts: {}; {}",
        large.len(),
        EC2_LIMIT >> 10,
        first_of(&hosts, NAMED),
        match report.format {
            Format::CloudInit => "put it in a private bucket, and fetch it by user-data of #include and its URL",
            _ => "put it in a private bucket, and fetch it by a small config (ignition.config.replace)",
        }
    ));
}

fn warn_of_keys_in_user_data(screen: &mut Screen<'_>) {
    screen.warn(
        "user-data has the keys without encryption. A cloud's metadata service gives it to every process on the host that \
         asks, pods included: block pods from 169.254.169.254, and restrict who can read it in the cloud's console",
    );
}

/// Shows a warning about bundles.
pub(crate) fn warn(warning: &Warning, layout: &Layout, screen: &mut Screen<'_>) {
    match warning {
        Warning::ExposedKeys { first, count } => {
            let more = if *count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
            screen.warn(format_args!(
                "{first}{more}: every reader of a key can impersonate its host. Fix it with: find {} -name '*.key' -exec \
                 chmod 600 {{}} +   and if other users had access, replace the host's keys with: clusterctl issue-node (or \
                 issue-master) --reissue HOST",
                layout.pki().display(),
            ));
        }
        Warning::ExposedServiceAccountKey(problem) => screen.warn(format_args!(
            "{problem}: every reader can issue tokens for all service accounts. Fix it with: chmod 600 {}",
            layout.service_account_key().display(),
        )),
        Warning::Unsupported { version, what } => screen.warn(format_args!("with Kubernetes {version}, {what}")),
        Warning::VersionsChanged { hosts, before, after, overridden } => screen.warn(format_args!(
            "the versions change on {}: the last bundle had {before}, this one has {after}; {}",
            first_of(hosts, NAMED_IN_WARNING),
            match overridden {
                true => "--set applies to this run only: put it under kubernetes: in cluster.yaml to keep it",
                false => "if that is not intended, put the versions under kubernetes: in cluster.yaml, and pack again",
            }
        )),
        Warning::UnitsRemoved { hosts } => screen.warn(format_args!(
            "the systemd units are no longer in the bundles of {}: the last ones had them; if that is not intended, put \
             withUnits: true into cluster.yaml, and pack again",
            first_of(hosts, NAMED_IN_WARNING)
        )),
        Warning::SignatureRemoved { hosts } => screen.warn(format_args!(
            "the last bundles of {} were signed, and these are not: hosts that require the signer refuse them; pack again \
             with --sign-with KEY",
            first_of(hosts, NAMED)
        )),
        Warning::PolicyOfOtherVersion { policy, packed } => screen.warn(format_args!(
            "clusterctl policy writes for Kubernetes {policy}, as in cluster.yaml, and not for {packed}: put the version under \
             kubernetes: in cluster.yaml before you apply the policy",
        )),
    }
}

/// Returns the first names and the number of the others.
pub(crate) fn first_of(names: &[impl Display], at_most: usize) -> String {
    let first: Vec<String> = names.iter().take(at_most).map(ToString::to_string).collect();
    match names.len().saturating_sub(at_most) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
