//! What a bundle changes of the versions that masters run, and what a release of Kubernetes cannot do.

use std::collections::BTreeMap;

use crate::bundle::images::Settings;
use crate::bundle::input::Roles;
use crate::cli::context::Context;
use crate::cluster::account::AccountScheme;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;

/// How many hosts a warning names.
const NAMED: usize = 5;

/// Warns where masters' bundles get other images than they had last; `is_set` if the command line says so.
///
/// # Errors
/// What the ledger says.
pub(crate) fn tell_of_changes(
    ledger: &Ledger,
    hosts: &[Roles<'_>],
    settings: &Settings,
    is_set: bool,
    context: &mut Context<'_>,
) -> Result<(), StoreError> {
    let (last, now) = (ledger.images()?, settings.to_string());
    // By what they had, in the hosts' order.
    let mut changed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for host in masters(hosts) {
        if let Some(had) = last.get(host.as_str()).filter(|had| **had != now) {
            changed.entry(had).or_default().push(host.as_str());
        }
    }
    for (had, hosts) in changed {
        let remedy = match is_set {
            true => "--set holds for this run alone: put it under kubernetes: in cluster.yaml to keep it",
            false => "if that is not meant, put the versions under kubernetes: in cluster.yaml, and pack again",
        };
        context.screen.warn(format_args!(
            "the versions change on {}: the last bundle had {had}, this one has {now}; {remedy}",
            first_of(&hosts)
        ));
    }
    if !settings.with_units {
        let had = ledger.hosts_with_units()?;
        let lost: Vec<&str> =
            hosts.iter().map(|roles| roles.host().as_str()).filter(|host| had.contains(*host)).collect();
        if !lost.is_empty() {
            context.screen.warn(format_args!(
                "the systemd units are no longer in the bundles of {}: the last ones had them; if that is not meant, put \
                 withUnits: true into cluster.yaml, and pack again",
                first_of(&lost)
            ));
        }
    }
    Ok(())
}

/// Warns where a `--set` goes past what the policy and `verify --offline` go by.
pub(crate) fn tell_of_others_versions(
    hosts: &[Roles<'_>],
    settings: &Settings,
    cluster: &Cluster,
    context: &mut Context<'_>,
) {
    let file = Settings::of(&cluster.kubernetes);
    let differs = file.kubernetes_version.minor() != settings.kubernetes_version.minor();
    if differs && masters(hosts).next().is_some() {
        context.screen.warn(format_args!(
            "clusterctl policy writes for Kubernetes {}, as cluster.yaml says, and not for {}: put the version under kubernetes: \
             in cluster.yaml before you apply the policy",
            file.kubernetes_version, settings.kubernetes_version
        ));
    }
}

fn first_of(hosts: &[&str]) -> String {
    match hosts.len().saturating_sub(NAMED) {
        0 => hosts.join(", "),
        more => format!("{} and {more} more", hosts[..NAMED].join(", ")),
    }
}

/// Remembers which images the masters among `hosts` have now, and which hosts have units.
///
/// # Errors
/// What the ledger says.
pub(crate) fn remember(ledger: &mut Ledger, hosts: &[Roles<'_>], settings: &Settings) -> Result<(), StoreError> {
    let names = || hosts.iter().map(Roles::host);
    if settings.with_units || !ledger.hosts_with_units()?.is_empty() {
        ledger.record_units(names(), settings.with_units)?;
    }
    if masters(hosts).next().is_none() {
        return Ok(());
    }
    ledger.record_images(masters(hosts), &settings.to_string())
}

/// Warns of what the cluster's release of Kubernetes cannot do.
pub(crate) fn tell_of_shortcomings(
    settings: &Settings,
    accounts: AccountScheme,
    revoked: usize,
    context: &mut Context<'_>,
) {
    for shortcoming in settings.features().shortcomings(accounts, revoked) {
        context.screen.warn(format_args!("with Kubernetes {}, {shortcoming}", settings.kubernetes_version));
    }
}

fn masters<'h>(hosts: &'h [Roles<'_>]) -> impl Iterator<Item = &'h HostName> {
    hosts.iter().filter_map(Roles::master).map(|master| &master.name)
}
