//! Warnings about the versions that masters run, and about features that a release of Kubernetes does not support.

use std::collections::BTreeMap;

use super::error::PackageError;
use super::report::Warning;
use crate::bundle::images::Settings;
use crate::bundle::input::Roles;
use crate::cluster::account::AccountScheme;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;

/// Returns the versions of the cluster file after applying `overrides` (`KEY=VALUE`).
///
/// # Errors
/// Returns an error if an override is not valid, or the kubelets' settings do not match the version of Kubernetes.
pub fn settings(cluster: &Cluster, overrides: &[String], with_units: bool) -> Result<Settings, PackageError> {
    let mut settings = Settings::with(&cluster.kubernetes, overrides)?;
    let fields = cluster.kubelet_fields_unknown_to(&settings.kubernetes_version);
    if !fields.is_empty() {
        return Err(PackageError::KubeletSettings { version: settings.kubernetes_version, fields });
    }
    settings.with_units = with_units || cluster.with_units;
    Ok(settings)
}

/// Returns warnings for hosts whose versions differ from those in their last bundles, or that no longer get units.
pub(super) fn changes(
    ledger: &Ledger,
    hosts: &[Roles<'_>],
    settings: &Settings,
    overridden: bool,
) -> Result<Vec<Warning>, StoreError> {
    let (last, after) = (ledger.images()?, settings.to_string());
    // The changed hosts by their last versions, in the hosts' order.
    let mut changed: BTreeMap<&str, Vec<HostName>> = BTreeMap::new();
    for host in masters(hosts) {
        if let Some(before) = last.get(host.as_str()).filter(|before| **before != after) {
            changed.entry(before).or_default().push(host.clone());
        }
    }
    let mut warnings: Vec<Warning> = changed
        .into_iter()
        .map(|(before, hosts)| Warning::VersionsChanged {
            hosts,
            before: before.to_owned(),
            after: after.clone(),
            overridden,
        })
        .collect();
    if !settings.with_units {
        let before = ledger.hosts_with_units()?;
        let lost: Vec<HostName> =
            hosts.iter().map(Roles::host).filter(|host| before.contains(host.as_str())).cloned().collect();
        if !lost.is_empty() {
            warnings.push(Warning::UnitsRemoved { hosts: lost });
        }
    }
    Ok(warnings)
}

/// Returns a warning if masters get a version other than that of the policy files.
pub(super) fn differs_from_policy(hosts: &[Roles<'_>], settings: &Settings, cluster: &Cluster) -> Option<Warning> {
    let policy = Settings::of(&cluster.kubernetes).kubernetes_version;
    let differs = policy.minor() != settings.kubernetes_version.minor() && masters(hosts).next().is_some();
    differs.then(|| Warning::PolicyOfOtherVersion { policy, packed: settings.kubernetes_version.clone() })
}

/// Records the versions of masters among `hosts`, and which hosts have units.
pub(super) fn record(ledger: &mut Ledger, hosts: &[Roles<'_>], settings: &Settings) -> Result<(), StoreError> {
    let names = || hosts.iter().map(Roles::host);
    if settings.with_units || !ledger.hosts_with_units()?.is_empty() {
        ledger.record_units(names(), settings.with_units)?;
    }
    // Each transaction waits for the disk, so none is started that would change nothing.
    let (known, images) = (ledger.images()?, settings.to_string());
    let changed: Vec<&HostName> = masters(hosts).filter(|name| known.get(name.as_str()) != Some(&images)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    ledger.record_images(changed, &images)
}

/// Returns warnings about features that the cluster's release of Kubernetes does not support.
#[must_use]
pub fn unsupported(settings: &Settings, accounts: AccountScheme, revoked: usize) -> Vec<Warning> {
    let version = &settings.kubernetes_version;
    let warning = |what| Warning::Unsupported { version: version.clone(), what };
    settings.features().shortcomings(accounts, revoked).into_iter().map(warning).collect()
}

fn masters<'h>(hosts: &'h [Roles<'_>]) -> impl Iterator<Item = &'h HostName> {
    hosts.iter().filter_map(Roles::master).map(|master| &master.name)
}
