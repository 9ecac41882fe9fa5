//! Hosts that are no longer in the cluster file and still have valid certificates, files or bundles.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use time::OffsetDateTime;

use super::notice::Notice;
use super::removed_host::RemovedHost;
use crate::app::env::Env;
use crate::app::observer::Observer;
use crate::bundle::format::{Format, encrypted_name};
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Profile, TABLE};
use crate::cluster::spec::{Cluster, Host, Role};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::issuance::HostFolders;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::target::Place;

/// Finds the hosts that are no longer in the cluster file and still have certificates, files or bundles, sorted by
/// name.
///
/// # Errors
/// Returns an error if the ledger or a folder cannot be read.
pub fn find(
    layout: &Layout,
    cluster: &Cluster,
    folders: &HostFolders,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Vec<RemovedHost>, StoreError> {
    let mut found: BTreeMap<String, RemovedHost> = BTreeMap::new();
    let names = |hosts| -> HashSet<&str> { names(hosts).collect() };
    let (masters, nodes) = (names(&cluster.masters), names(&cluster.nodes));
    for (role, other_role, here, other) in
        [(Role::Master, Role::Node, &masters, &nodes), (Role::Node, Role::Master, &nodes, &masters)]
    {
        let folders = folders.of(role);
        for host in removed_from(role, here, folders, ledger)? {
            let remaining_role = other.contains(host.as_str()).then_some(other_role);
            let certificates = valid_certificates(&host, role, ledger, now)?;
            let mut paths = Vec::new();
            if folders.binary_search(&host).is_ok() {
                paths.push(layout.hosts_folder(role).join(&host));
            }
            if remaining_role.is_none() {
                paths.extend(HostName::parse(&host).map(|name| bundles_of(&name, layout)).unwrap_or_default());
            }
            if certificates.is_empty() && paths.is_empty() {
                continue;
            }
            let removed = found.entry(host.clone()).or_insert_with(|| RemovedHost {
                host,
                remaining_role,
                certificates: Vec::new(),
                paths: Vec::new(),
            });
            removed.certificates.extend(certificates);
            // The bundles of a host that had both roles are found twice.
            paths.retain(|path| !removed.paths.contains(path));
            removed.paths.append(&mut paths);
        }
    }
    Ok(found.into_values().collect())
}

fn names(hosts: &[Host]) -> impl Iterator<Item = &str> {
    hosts.iter().map(|host| host.name.as_str())
}

/// Returns the hosts that had a role according to the ledger or the folders, and no longer have it.
fn removed_from(
    role: Role,
    here: &HashSet<&str>,
    folders: &[String],
    ledger: &Ledger,
) -> Result<Vec<String>, StoreError> {
    let profile = match role {
        Role::Master => Profile::Apiserver,
        Role::Node => Profile::KubeletClient,
    };
    let mut removed: Vec<String> = ledger.hosts_of(profile.policy().name)?;
    removed.retain(|host| !here.contains(host.as_str()));
    removed.extend(folders.iter().filter(|host| !here.contains(host.as_str())).cloned());
    removed.sort_unstable();
    removed.dedup();
    Ok(removed)
}

/// Returns the certificates of a host in a role that are neither expired nor revoked.
fn valid_certificates(
    host: &str,
    role: Role,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Vec<IssuedCertificate>, StoreError> {
    // A person may have the name of a host.
    let holder = match role {
        Role::Master => Holder::Master,
        Role::Node => Holder::Node,
    };
    let is_of_role = |name: &str| TABLE.iter().any(|row| row.name == name && row.holder == holder);
    let mut issued = ledger.by_host(host)?.all()?;
    issued.retain(|one| one.not_after > now && one.revocation.is_none() && is_of_role(&one.profile));
    Ok(issued)
}

/// Returns the bundles of a host, in all formats.
pub(in crate::app) fn bundles_of(host: &HostName, layout: &Layout) -> Vec<PathBuf> {
    let bundles = Format::ALL.map(|format| format.file_name(host)).into_iter().chain([encrypted_name(host)]);
    bundles.map(|bundle| layout.bundles().join(bundle)).filter(|path| files::exists(path)).collect()
}

/// Reports the hosts that are no longer in the cluster file and still have certificates, files or bundles.
///
/// # Errors
/// Returns the errors of [`find`].
pub(crate) fn report(
    env: &Env,
    cluster: &Cluster,
    folders: &HostFolders,
    ledger: &Ledger,
    observer: &mut dyn Observer,
) -> Result<(), StoreError> {
    let removed = find(&env.layout, cluster, folders, ledger, env.now)?;
    if !removed.is_empty() {
        observer.notice(Notice::RemovedHosts(removed).into());
    }
    Ok(())
}

/// Returns a finding of `store.credential` for each host that is no longer in the cluster file.
///
/// # Errors
/// Returns the errors of [`find`].
pub(crate) fn findings(
    layout: &Layout,
    cluster: &Cluster,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Vec<Finding>, StoreError> {
    let finding = |one: RemovedHost| {
        Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, &one.host, Status::Warn)
            .saw(one.to_string(), "no certificate and no file of a host that is not in the cluster file")
            .remedy(one.remedy())
    };
    let folders = HostFolders::list(layout)?;
    Ok(find(layout, cluster, &folders, ledger, now)?.into_iter().map(finding).collect())
}
