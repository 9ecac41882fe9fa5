//! What `issue-master` and `issue-node` share: plan, open the root, then make, check, record and write in batches.

use std::time::Instant;

use super::minting::{Authorities, make_all};
use super::plan::{Plan, Planned, UnrecordedCertificate, certificates_in, plan, signers};
use super::request::Request;
use super::telling::{
    certificates, tell_of_no_memory, tell_of_nothing, tell_of_superseded, tell_plan, warn_of_short_lives,
};
use crate::app::revoke::superseded::Superseded;
use crate::app::revoke::{check_ledger_is_current, removed_hosts};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::{Cluster, Host, Role};
use crate::pki::ca_set::CaSet;
use crate::pki::issuer::IssueError;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::issuance;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::Entry;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::service_account::{self, Found};

/// Issues what is missing or no longer good.
///
/// # Errors
/// When there is no root or it is not fit to sign, the passphrase is wrong, the ledger or the disk cannot be used. Then
/// whatever was issued before is kept, recorded and whole.
pub(crate) fn issue(request: &Request<'_>, cluster: &Cluster, context: &mut Context<'_>) -> Result<Exit> {
    if request.how.dry_run {
        let (ledger, roots) = context.roots(cluster)?;
        check_ledger_is_current(&context.env.layout, &roots, &ledger, context.env.now)?;
        let Planned { plans, .. } = plan(request, cluster, &roots, &ledger, context)?;
        tell_plan(request, &plans, pair_to_make(request, context)?.as_ref(), context);
        for issued in superseded(request, cluster, &ledger, context)?.0 {
            let IssuedCertificate { account, serial, .. } = issued;
            context.screen.answer(format_args!("revoke {account} (serial {serial}): accounts: {}", cluster.accounts));
        }
        removed_hosts::report(&context.env.clone(), cluster, &ledger, &mut context.observer())?;
        return Ok(Exit::Done);
    }
    let _lock = context.lock(request.command)?;
    let (mut ledger, roots) = context.roots(cluster)?;
    check_ledger_is_current(&context.env.layout, &roots, &ledger, context.env.now)?;
    issuance::sweep(&context.env.layout)?;
    let Planned { plans, cache_entries, strays } = plan(request, cluster, &roots, &ledger, context)?;
    if let Err(error) = ledger.remember_verified(&cache_entries) {
        tell_of_no_memory(&error, context);
    }
    let pair = make_pair(request, cluster, &mut ledger, context)?;
    let work: Vec<&Plan> = plans.iter().filter(|plan| !plan.issue.is_empty()).collect();
    let kept: usize = plans.iter().map(|plan| plan.kept).sum();
    let superseded = superseded(request, cluster, &ledger, context)?;
    removed_hosts::report(&context.env.clone(), cluster, &ledger, &mut context.observer())?;
    if work.is_empty() && !pair && superseded.is_empty() {
        tell_of_nothing(kept, request.how, context);
        return Ok(Exit::Done);
    }
    let mut kinds = signers(request, &work);
    if !superseded.is_empty() && !kinds.contains(&CaRole::Cluster) {
        kinds.push(CaRole::Cluster);
    }
    let signers = request.how.passphrase.open(&kinds, context)?;
    // Typing a passphrase is not work, and counts for nothing.
    let begun = Instant::now();
    let authorities = Authorities::open(signers, context.env.now)?;
    warn_of_short_lives(request, &work, &roots, context);
    issuance::prepare(&context.env.layout)?;
    record_strays(&strays, &roots, &mut ledger, context)?;
    let written = make_all(request, &work, cluster, &authorities, &roots, &mut ledger, context)?;
    if let Some(issuer) = authorities.of(CaRole::Cluster).filter(|_| !superseded.is_empty()) {
        let env = context.env.clone();
        let report = superseded.revoke(cluster, &roots.cluster, issuer, &mut ledger, &env, &mut context.observer())?;
        tell_of_superseded(&report, cluster.accounts, context);
    }
    if let Err(error) = ledger.remember_verified(written.not_recorded()) {
        tell_of_no_memory(&error, context);
    }
    let issued = certificates_in(&work);
    let seconds = begun.elapsed().as_secs_f64();
    context.screen.step(format_args!(
        "issued {}, kept {kept}, in {seconds:.1} s ({:.0} a second)",
        certificates(issued),
        issued as f64 / seconds.max(0.001),
    ));
    context.screen.step(format_args!("Go on with: clusterctl {}", next(cluster, context)));
    Ok(Exit::Done)
}

/// What of the account scheme that the cluster file does not have any more is replaced by this issue.
fn superseded(
    request: &Request<'_>,
    cluster: &Cluster,
    ledger: &Ledger,
    context: &Context<'_>,
) -> Result<Superseded, StoreError> {
    // Masters' accounts are the same under both.
    if request.service_account {
        return Ok(Superseded::default());
    }
    let hosts = || {
        let leaves = (0..request.holders).flat_map(|holder| (request.leaves)(holder));
        leaves.filter_map(|leaf| leaf.host.map(|host| host.to_string())).collect()
    };
    Superseded::of_hosts(hosts, cluster, ledger, &context.env)
}

/// What is to be done next: bundles of all hosts need the credentials of all.
fn next(cluster: &Cluster, context: &Context<'_>) -> &'static str {
    // Of a large fleet a part stands for all.
    const LOOKED_AT: usize = 1000;
    let lacks = |role, hosts: &[Host]| {
        let folder = context.env.layout.hosts_folder(role);
        hosts.iter().take(LOOKED_AT).any(|host| !files::exists(&folder.join(host.name.as_str())))
    };
    if lacks(Role::Master, &cluster.masters) {
        "issue-master --all"
    } else if lacks(Role::Node, &cluster.nodes) {
        "issue-node --all"
    } else {
        "bundle --all"
    }
}

/// Before they are replaced: whoever has one of them may have to be revoked.
fn record_strays(
    strays: &[UnrecordedCertificate],
    roots: &CaSet,
    ledger: &mut Ledger,
    context: &mut Context<'_>,
) -> Result<()> {
    let mut entries = Vec::with_capacity(strays.len());
    for UnrecordedCertificate { leaf, certificate } in strays {
        // Another's, that was copied here, is found by its account.
        let is_its_own = certificate.account() == leaf.subject;
        let host = leaf.host.as_ref().map(HostName::as_str).filter(|_| is_its_own);
        entries.push(Entry {
            certificate,
            profile: leaf.policy().name,
            host,
            issuer: roots.issuer_of(leaf).ca_of(certificate).certificate(),
        });
    }
    if let Some(first) = strays.first() {
        ledger.record(&entries, &context.env.audit())?;
        // What was revoked by its digest or its serial number alone stays so.
        ledger.resolve_unrecorded()?;
        context.screen.warn(format_args!(
            "{} that the ledger had forgotten {} recorded in it again, and can be revoked, for example with: clusterctl revoke {}",
            certificates(strays.len()),
            if strays.len() == 1 { "is" } else { "are" },
            first.certificate.serial,
        ));
    }
    Ok(())
}

/// What there is to be done for the service-account pair, if anything.
fn pair_to_make(request: &Request<'_>, context: &Context<'_>) -> Result<Option<Found>> {
    if !request.service_account {
        return Ok(None);
    }
    match service_account::look(&context.env.layout) {
        Ok(Found::Whole(_)) => Ok(None),
        Ok(found) => Ok(Some(found)),
        Err(trouble) => Err(CliError::new(Exit::Refused, format!("the service-account key is not good: {trouble}"))
            .hint("restore pki/sa.key and pki/sa.pub from a backup. Or remove both: then a new pair is made, and every service account's token ends")),
    }
}

/// Makes the service-account pair where it is missing; true when it did.
fn make_pair(request: &Request<'_>, cluster: &Cluster, ledger: &mut Ledger, context: &mut Context<'_>) -> Result<bool> {
    let (key, what) = match pair_to_make(request, context)? {
        None | Some(Found::Whole(_)) => return Ok(false),
        Some(Found::Half(key)) => {
            service_account::write_public(&context.env.layout, &key)?;
            (key, "wrote the public half of the pair that signs service accounts' tokens, which is as it was")
        }
        Some(Found::Nothing) => {
            let key = service_account::make(cluster.keys).map_err(IssueError::Key)?;
            service_account::write(&context.env.layout, &key, ledger, &context.env.audit())?;
            (key, "made the pair that signs service accounts' tokens")
        }
    };
    context.screen.step(format_args!("{what}: {}", key.fingerprint().as_pin()));
    Ok(true)
}
