//! Nodes' certificates of the account scheme that the cluster file does not have any more: after a change of `accounts:` they
//! are as good as before, and are revoked by the issue that replaces them.

use std::collections::HashSet;

use super::{lists, revocations, signing};
use crate::app::package::templates;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::account::AccountScheme;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::{CaRole, Profile};
use crate::cluster::spec::Cluster;
use crate::pki::certificate::Certificate;
use crate::pki::issuer::Issuer;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::DirectoryRemedy;
use crate::verify::target::Place;

/// When a list that is signed on the way is due again, as that of `revoke`.
const NEXT_UPDATE: &str = "90d";

/// Finds the good certificates of nodes whose accounts are of the scheme that the cluster file does not have.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn all(
    cluster: &Cluster,
    ledger: &Ledger,
    context: &Context<'_>,
) -> Result<Vec<IssuedCertificate>, StoreError> {
    let prefix = cluster.accounts.other().prefix();
    ledger.valid_by_account_prefix(Profile::KubeletClient.policy().name, prefix, context.env.now)?.all()
}

/// As [`all`], of some hosts, which are only asked for where there are any such certificates.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn of_hosts(
    hosts: impl FnOnce() -> HashSet<String>,
    cluster: &Cluster,
    ledger: &Ledger,
    context: &Context<'_>,
) -> Result<Vec<IssuedCertificate>, StoreError> {
    let mut found = all(cluster, ledger, context)?;
    if !found.is_empty() {
        let (hosts, prefix) = (hosts(), cluster.accounts.other().prefix());
        let host =
            |issued: &IssuedCertificate| issued.account.strip_prefix(prefix).is_some_and(|host| hosts.contains(host));
        found.retain(host);
    }
    Ok(found)
}

/// Says how many there are, in one sentence.
pub(crate) fn in_words(superseded: &[IssuedCertificate], cluster: &Cluster) -> String {
    let prefix = cluster.accounts.other().prefix();
    let verb = if superseded.len() == 1 { "is" } else { "are" };
    format!(
        "{} of accounts {prefix}HOST {verb} good, and accounts: {} in cluster.yaml",
        lists::count(superseded.len()),
        cluster.accounts
    )
}

/// `store.credential` for them.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn finding(
    cluster: &Cluster,
    ledger: &Ledger,
    context: &Context<'_>,
) -> Result<Option<Finding>, StoreError> {
    let found = all(cluster, ledger, context)?;
    if found.is_empty() {
        return Ok(None);
    }
    let remedy = DirectoryRemedy::ReplaceAccounts { delete_objects: cluster.accounts == AccountScheme::SystemNode };
    let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "accounts", Status::Warn);
    let expected = "no good certificate of the other kind of accounts";
    Ok(Some(finding.saw(in_words(&found, cluster), expected).remedy(remedy)))
}

/// Revokes what was replaced: in the ledger, in the root's list, and in the API servers' rules.
///
/// # Errors
/// When the ledger or the disk cannot be used.
pub(crate) fn revoke(
    superseded: &[IssuedCertificate],
    cluster: &Cluster,
    root: &Certificate,
    authority: &Issuer,
    ledger: &mut Ledger,
    context: &mut Context<'_>,
) -> Result<()> {
    if superseded.is_empty() {
        return Ok(());
    }
    let (count, scheme) = (lists::count(superseded.len()), cluster.accounts.other());
    if let Err(error) = revocations::denials(ledger, root, context.env.now)?.room_for(superseded.len()) {
        context.screen.warn(format_args!(
            "{count} of accounts {}HOST stay good, for the API servers' rules would not hold them: {error}. Delete what gives them \
             rights: clusterctl policy names it",
            scheme.prefix()
        ));
        return Ok(());
    }
    let revocation = Revocation { reason: Reason::Superseded, at: context.env.now };
    let revoked: Vec<_> = superseded.iter().map(|issued| (issued.fingerprint, revocation.clone())).collect();
    ledger.revoke(&revoked, &context.env.audit())?;
    let next_update = Lifetime::parse(NEXT_UPDATE)
        .map_err(|error| CliError::new(Exit::Bug, "the list's lifetime is none").because(error))?;
    signing::sign(CaRole::Cluster, authority, next_update, ledger, context)?;
    let denials = revocations::denials(ledger, root, context.env.now)?;
    let path = revocations::write_authorization(
        cluster,
        &denials,
        &templates::of_cluster(cluster, &context.env.layout)?,
        context,
    )?;
    context.screen.answer(path.display());
    ledger.log_event("revoke", "accounts", &format!("{count}, {}", Reason::Superseded), &context.env.audit())?;
    context.screen.warn(format_args!(
        "revoked {count} of accounts {}HOST, which accounts: {} replaces. Apply the policy and install the nodes' bundles before \
         the masters', which deny them: clusterctl policy",
        scheme.prefix(),
        cluster.accounts,
    ));
    Ok(())
}
