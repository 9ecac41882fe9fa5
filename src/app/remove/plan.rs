//! Plans the removal of hosts, and applies the plan: the ledger first, then CRLs and rules, then the deletion.

use std::path::PathBuf;

use super::hosts::KnownHosts;
use super::options::RemoveOptions;
use super::removal::{HostRemoval, Removal};
use crate::app::count::certificates;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::revoke::{self, RevokePlan, RevokeReport};
use crate::cluster::spec::Cluster;
use crate::pki::issuer::Issuer;
use crate::pki::reason::Reason;
use crate::store::files;
use crate::store::issuance;
use crate::store::layout::Layout;

/// The plan for removing hosts. It holds the lock of the cluster directory.
#[derive(Debug)]
pub struct RemovePlan<'a> {
    revocation: RevokePlan<'a>,
    removal: Removal,
    reason: Reason,
    env: &'a Env,
}

/// The result of removing hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveReport {
    /// What was removed, and the next steps in the cluster.
    pub removal: Removal,
    /// What was revoked and recorded, and which files were written.
    pub revocation: RevokeReport,
}

/// Returns what [`plan`] and [`RemovePlan::apply`] would do, and changes nothing.
///
/// # Errors
/// Returns the errors of [`plan`].
pub fn preview(
    options: &RemoveOptions,
    cluster: &Cluster,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<Removal, Error> {
    let ledger = directory::ledger(&env.layout)?;
    let known = KnownHosts::read(env, &ledger)?;
    let hosts = known.named(&options.hosts, cluster, &ledger)?;
    let revocation = revoke::preview(options.revocation(&hosts), cluster, env, observer)?;
    Ok(Removal::of(hosts, options, &known, &revocation, cluster, env))
}

/// Locks the cluster directory and plans the removal.
///
/// # Errors
/// Returns [`RemoveError`](super::RemoveError), the errors of [`revoke::plan`], or an error if a folder cannot be read.
pub fn plan<'a>(
    options: RemoveOptions,
    cluster: &'a Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<RemovePlan<'a>, Error> {
    let ledger = directory::ledger(&env.layout)?;
    let hosts = KnownHosts::read(env, &ledger)?.named(&options.hosts, cluster, &ledger)?;
    drop(ledger);
    let revocation = revoke::plan(options.revocation(&hosts), cluster, env, observer)?;
    // A killed command may have left keys of the hosts.
    issuance::sweep(&env.layout)?;
    // Another command may have run before the lock was taken.
    let known = KnownHosts::read(env, revocation.preview().ledger())?;
    let removal = Removal::of(hosts, &options, &known, revocation.preview(), cluster, env);
    Ok(RemovePlan { revocation, removal, reason: options.reason, env })
}

impl RemovePlan<'_> {
    /// Returns what is removed.
    #[must_use]
    pub fn removal(&self) -> &Removal {
        &self.removal
    }

    /// Revokes the certificates in the ledger, the authorization configuration and the CRLs, records the removal, and
    /// deletes the files.
    ///
    /// `issuers` are the CAs of [`Removal::crls`].
    ///
    /// # Errors
    /// Returns an error if a CRL cannot be signed, or the ledger or the disk cannot be used. In that case, running the
    /// same command again continues.
    pub fn apply(self, issuers: &[Issuer], observer: &mut dyn Observer) -> Result<RemoveReport, Error> {
        let Self { revocation, removal, reason, env } = self;
        let (revocation, mut applied) = revocation.apply_under_lock(issuers, observer)?;
        // Recorded before the files are deleted, so that the event exists even if this process is killed meanwhile.
        let hosts = removal.hosts.iter().filter(|one| !one.is_empty());
        let events: Vec<(String, String)> = hosts.map(|one| event(one, reason, &env.layout)).collect();
        applied.ledger.log_events("remove", &events, &env.audit())?;
        let (pki, bundles) = (env.layout.pki(), env.layout.bundles());
        for folder in [pki, bundles] {
            let below: Vec<_> = removal.paths().filter(|path| path.starts_with(&folder)).cloned().collect();
            files::remove_all(&folder, &below)?;
        }
        Ok(RemoveReport { removal, revocation })
    }
}

/// Returns the subject and the detail of the ledger's event for a host.
fn event(one: &HostRemoval, reason: Reason, layout: &Layout) -> (String, String) {
    let relative = |path: &PathBuf| path.strip_prefix(layout.dir()).unwrap_or(path).display().to_string();
    let paths: Vec<String> = one.paths.iter().map(relative).collect();
    let revoked = format!("{}, {reason}", certificates(one.certificates.len()));
    let detail = if paths.is_empty() { revoked } else { format!("{revoked}; deleted {}", paths.join(", ")) };
    (one.host.to_string(), detail)
}
