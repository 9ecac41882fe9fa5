//! The status of a cluster directory.

use super::error::StatusError;
use super::expiry::ExpiryRule;
use super::options::StatusOptions;
use super::report::StatusReport;
use super::row::{Credential, StatusRow};
use super::source::Source;
use super::summary::Summary;
use super::{admins, authorities, hosts, removed, requests};
use crate::app::backup::BACKUP_EVENT;
use crate::app::revoke::removed_host::RemovedHost;
use crate::app::revoke::removed_hosts;
use crate::app::{Env, Error, directory};
use crate::cluster::host_pattern::HostPattern;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;
use crate::store::issuance::HostFolders;

/// Reports what expires in a cluster directory, and returns the summary of the rows.
///
/// Rows are passed to `sink` in this order: the cluster's CAs, CRLs and verifier, administrators, hosts by name, and
/// removed hosts, then open requests of hosts.
///
/// # Errors
/// Returns [`StatusError`] for a host that does not exist, or an error if there is no CA, or the ledger cannot be read.
pub fn of_directory(
    env: &Env,
    cluster: &Cluster,
    options: &StatusOptions,
    sink: &mut dyn FnMut(StatusRow),
) -> Result<StatusReport, Error> {
    let ledger = directory::ledger(&env.layout)?;
    let rule = ExpiryRule { now: env.now, expires_within: options.expires_within };
    let source = Source { layout: &env.layout, cluster, ledger: &ledger, rule };
    let left = removed_hosts::find(&env.layout, cluster, &HostFolders::list(&env.layout)?, &ledger, env.now)?;
    check_hosts(&options.hosts, cluster, &left)?;
    let mut summary = Summary::default();
    let mut counted = |row: StatusRow| {
        summary.add(&row);
        sink(row);
    };
    let cas = authorities::read(&source);
    if options.hosts.is_empty() {
        authorities::rows(&source, &cas, &mut counted)?;
        admins::verifier(&source, &cas, &mut counted)?;
        admins::rows(&source, &cas, &mut counted)?;
    }
    let is_wanted = |name: &str| options.hosts.is_empty() || options.hosts.iter().any(|pattern| pattern.matches(name));
    hosts::rows(&source, &cas, &is_wanted, &mut counted)?;
    removed::rows(left.into_iter().filter(|removed| is_wanted(&removed.host)), &mut counted);
    let queue = options.queue.as_ref();
    let enrolment = queue.and_then(|folder| requests::rows(&source, folder, &is_wanted, &mut counted));
    let last_backup = ledger.last_event(BACKUP_EVENT)?;
    let rotations = cas.rotations(&source)?;
    Ok(StatusReport { summary, skipped: Vec::new(), rotations, last_backup, enrolment })
}

/// Reports only the CRLs of a cluster directory: those that exist, and those that are missing.
///
/// # Errors
/// Returns an error if there is no CA, or the ledger cannot be read.
pub fn crls_of_directory(
    env: &Env,
    cluster: &Cluster,
    expires_within: Option<Lifetime>,
) -> Result<Vec<StatusRow>, Error> {
    let ledger = directory::ledger(&env.layout)?;
    let rule = ExpiryRule { now: env.now, expires_within };
    let source = Source { layout: &env.layout, cluster, ledger: &ledger, rule };
    let mut crls = Vec::new();
    authorities::rows(&source, &authorities::read(&source), &mut |row| {
        if matches!(row.credential, Credential::Crl(_)) {
            crls.push(row);
        }
    })?;
    Ok(crls)
}

/// Refuses names and patterns that match neither a host of the cluster file nor a removed host.
fn check_hosts(patterns: &[HostPattern], cluster: &Cluster, left: &[RemovedHost]) -> Result<(), StatusError> {
    if patterns.is_empty() {
        return Ok(());
    }
    let present = cluster.masters.iter().chain(&cluster.nodes).map(|host| HostName::as_str(&host.name));
    let names = || present.clone().chain(left.iter().map(|removed| removed.host.as_str()));
    match patterns.iter().find(|pattern| !names().any(|name| pattern.matches(name))) {
        None => Ok(()),
        Some(pattern) => Err(pattern.unmatched(names()).into()),
    }
}
