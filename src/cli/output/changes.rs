//! What `apply` changed, or would change, as text and JSON.

use serde_json::{Value, json};

use super::{bundles, certificates, reasons, rules};
use crate::app::apply::{BundleChange, BundleReason, Changes};
use crate::app::count::{certificates as certificate_count, counted};
use crate::app::issue::ServiceAccountStep;
use crate::app::package::PackReason;
use crate::app::policy::{ChangeKind, PolicyChange};
use crate::app::renew::DueCrl;
use crate::app::rotate::{OutdatedAccount, OutdatedReason};
use crate::bundle::policy::{DELETE, MASTERS};
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cluster::profile::CaRole;
use crate::ui::Screen;

/// The maximum number of hosts that a line names.
const NAMED: usize = 20;
/// The maximum number of files of a bundle that a line names.
const FILES: usize = 3;

/// Shows what was changed, or would be changed, and what is left to do.
pub(crate) fn show(changes: &Changes, is_dry_run: bool, output: OutputFormat, context: &mut Context<'_>) {
    for warning in &changes.warnings {
        bundles::warn(warning, &context.env.layout, &mut context.screen);
    }
    let screen = &mut context.screen;
    bundles::show_kept(changes.keeping_bundles.len(), screen);
    if output == OutputFormat::Json {
        return screen.answer(format_args!("{:#}", json_of(changes, is_dry_run)));
    }
    for line in lines(changes, is_dry_run) {
        screen.answer(line);
    }
    screen.step(summary(changes, is_dry_run));
    if !is_dry_run {
        show_next(changes, screen);
    }
}

/// Returns a line for each change.
fn lines(changes: &Changes, is_dry_run: bool) -> Vec<String> {
    let verb = |plan: &'static str, done: &'static str| if is_dry_run { plan } else { done };
    let mut lines = Vec::new();
    lines.extend(changes.service_account.map(|step| match step {
        ServiceAccountStep::Create => format!("{} the service-account key pair: missing", verb("make", "made")),
        ServiceAccountStep::WritePublicKey => {
            format!("{} the service-account public key: missing", verb("write", "wrote"))
        }
    }));
    let issue = verb("issue", "issued");
    lines.extend(changes.certificates.iter().map(|one| format!("{issue} {}: {}", one.credential, reasons::of(one))));
    lines
        .extend(changes.kubeconfigs.iter().map(|one| format!("{issue} the kubeconfig of {}: {}", one.name, lack(one))));
    let revoke = verb("revoke", "revoked");
    lines
        .extend(changes.revoked.iter().map(|one| format!("{revoke} {} (serial {}): account", one.account, one.serial)));
    let sign = verb("sign", "signed");
    let crl = |due: &DueCrl| format!("{sign} the {} CRL: {}", name_of(due.role), due.state.as_str());
    lines.extend(changes.crls.iter().map(crl));
    let rule = |change: &PolicyChange| {
        let path = changes.policy_folder.join(&change.path);
        match change.kind {
            ChangeKind::Missing => format!("{} {}: missing", verb("write", "wrote"), path.display()),
            ChangeKind::Content => format!("{} {}: changed", verb("write", "wrote"), path.display()),
            ChangeKind::Superfluous => format!("{} {}: no longer needed", verb("remove", "removed"), path.display()),
        }
    };
    lines.extend(changes.policy.iter().map(rule));
    let pack = verb("pack", "packed");
    lines.extend(changes.verifier_bundle.iter().map(|path| format!("{pack} {}: changed", path.display())));
    lines.extend(changes.bundles.iter().map(|change| format!("{pack} {}: {}", change.host, in_words(&change.reason))));
    lines
}

fn lack(account: &OutdatedAccount) -> &'static str {
    match account.reason {
        OutdatedReason::MissingRoot => "it does not have both roots",
        OutdatedReason::OtherIssuer => "its certificate is issued by the CA that is being retired",
        OutdatedReason::RetiredRoot => "it trusts a root that servers no longer use",
    }
}

fn in_words(reason: &BundleReason) -> String {
    let text = match reason {
        BundleReason::Certificates => "new certificates",
        BundleReason::ServiceAccountKey => "new service-account key",
        BundleReason::Revocations => "revoked certificates",
        BundleReason::Outdated(PackReason::Missing) => "no bundle",
        BundleReason::Outdated(PackReason::Content { files }) if files.is_empty() => "other content",
        BundleReason::Outdated(PackReason::Content { files }) => {
            return format!("changed: {}", bundles::first_of(files, FILES));
        }
        BundleReason::Outdated(PackReason::Form) => "other signature, recipients or mode, or damaged",
        BundleReason::Outdated(PackReason::OtherForm) => "a superseded bundle in another format or encryption",
        BundleReason::Outdated(PackReason::Keys) => "keys that are to be deleted",
    };
    text.to_owned()
}

fn summary(changes: &Changes, is_dry_run: bool) -> String {
    let verb = |plan: &'static str, done: &'static str| if is_dry_run { plan } else { done };
    let mut parts = Vec::new();
    if !changes.certificates.is_empty() {
        parts.push(format!("{} {}", verb("issue", "issued"), certificate_count(changes.certificates.len())));
    }
    if !changes.kubeconfigs.is_empty() {
        parts.push(format!("{} {}", verb("issue", "issued"), counted(changes.kubeconfigs.len(), "kubeconfig")));
    }
    if !changes.revoked.is_empty() {
        parts.push(format!("{} {}", verb("revoke", "revoked"), certificate_count(changes.revoked.len())));
    }
    if !changes.crls.is_empty() {
        parts.push(format!("{} the CRLs", verb("sign", "signed")));
    }
    if !changes.policy.is_empty() {
        parts.push(format!("{} {}", verb("change", "changed"), counted(changes.policy.len(), "policy file")));
    }
    if !changes.bundles.is_empty() {
        parts.push(format!("{} {}", verb("pack", "packed"), counted(changes.bundles.len(), "bundle")));
    }
    if changes.verifier_bundle.is_some() {
        parts.push(format!("{} the verifier bundle", verb("pack", "packed")));
    }
    match (parts.is_empty(), is_dry_run) {
        (true, _) => "nothing to do".to_owned(),
        (false, true) => format!("would {}; nothing was changed", parts.join(", ")),
        (false, false) => parts.join(", "),
    }
}

/// Shows what a person has to do now.
fn show_next(changes: &Changes, screen: &mut Screen<'_>) {
    if let Some(count @ 1..) = changes.deleted_keys {
        screen.step(format_args!(
            "deleted {}: only the recipients of the bundles have them",
            counted(count, "private key")
        ));
    }
    if let Some(folder) = &changes.deletions {
        rules::warn_of_deletions(folder, screen);
    }
    if is_for_kubectl(changes) {
        screen.step(format_args!("Next: kubectl apply -f {}", changes.policy_folder.display()));
    }
    if !changes.kubeconfigs.is_empty() {
        screen.step("Next: give each kubeconfig in pki/admins that was issued only to its administrator");
    }
    for account in &changes.to_reissue {
        let flag = if account.is_break_glass { " --break-glass" } else { "" };
        screen.step(format_args!(
            "Next: clusterctl issue-admin {}{flag} --reissue, or revoke it: {}",
            account.name,
            lack(account)
        ));
    }
    match changes.to_deliver.as_slice() {
        [] => {}
        hosts => screen.step(format_args!(
            "Next: deliver their bundles to {}: {}",
            counted(hosts.len(), "host"),
            bundles::first_of(hosts, NAMED)
        )),
    }
}

/// Returns true if a file changed that `kubectl apply` reads.
fn is_for_kubectl(changes: &Changes) -> bool {
    let is_elsewhere = |path: &str| [MASTERS, DELETE].iter().any(|folder| path.starts_with(folder));
    changes.policy.iter().any(|change| change.kind != ChangeKind::Superfluous && !is_elsewhere(&change.path))
}

/// Returns the name of a CA in JSON and in lines.
fn name_of(role: CaRole) -> &'static str {
    match role {
        CaRole::Cluster => "cluster",
        CaRole::Etcd => "etcd",
        CaRole::FrontProxy => "front-proxy",
    }
}

fn json_of(changes: &Changes, is_dry_run: bool) -> Value {
    let crls = changes.crls.iter().map(|due| json!({ "ca": name_of(due.role), "reason": due.state.as_str() }));
    let rule =
        |change: &PolicyChange| json!({ "file": changes.policy_folder.join(&change.path), "reason": change.kind.id() });
    let bundle = |change: &BundleChange| {
        let files = match &change.reason {
            BundleReason::Outdated(PackReason::Content { files }) => files.as_slice(),
            _ => &[],
        };
        json!({ "host": change.host.as_str(), "file": change.path, "reason": change.reason.id(), "changed": files })
    };
    let account = |one: &OutdatedAccount| json!({ "name": one.name, "file": one.file, "reason": one.reason.id() });
    let is_changed = !changes.is_empty();
    json!({
        "schemaVersion": 1,
        "dryRun": is_dry_run,
        "changes": is_changed,
        "serviceAccountKey": certificates::service_account(changes.service_account),
        "certificates": changes.certificates.iter().map(certificates::json).collect::<Vec<_>>(),
        "revoked": certificates::revoked(&changes.revoked),
        "kubeconfigs": changes.kubeconfigs.iter().map(account).collect::<Vec<_>>(),
        "accountsToReissue": changes.to_reissue.iter().map(account).collect::<Vec<_>>(),
        "crls": crls.collect::<Vec<_>>(),
        "crlFiles": changes.crl_files,
        "policy": changes.policy.iter().map(rule).collect::<Vec<_>>(),
        "bundles": changes.bundles.iter().map(bundle).collect::<Vec<_>>(),
        "verifierBundle": changes.verifier_bundle,
        "hostsToDeliver": changes.to_deliver.iter().map(|host| host.as_str()).collect::<Vec<_>>(),
        "hostsToRequest": certificates::hosts(&changes.to_request),
        "hostsThatKeepTheirBundles": changes.keeping_bundles.iter().map(|host| host.as_str()).collect::<Vec<_>>(),
        "hostsRefused": changes.refused.iter().map(|one| one.host.as_str()).collect::<Vec<_>>(),
        "hostsWithoutRecipients": changes.without_recipients.iter().map(|one| one.host.as_str()).collect::<Vec<_>>(),
        "hostsThatLeft": changes.removed_hosts.iter().map(|one| one.host.as_str()).collect::<Vec<_>>(),
    })
}
