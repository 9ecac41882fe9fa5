//! What a bundle changes of the versions that masters run, and what a release of Kubernetes cannot do.

use std::collections::BTreeMap;

use crate::bundle::input::Roles;
use crate::bundle::settings::Settings;
use crate::cluster::account::AccountScheme;
use crate::cluster::name::HostName;
use crate::commands::context::Context;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;

/// How many masters a warning names.
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
        let more = match hosts.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let remedy = match is_set {
            true => "--set holds for this run alone: put it under kubernetes: in cluster.yaml to keep it",
            false => "if that is not meant, put the versions under kubernetes: in cluster.yaml, and pack again",
        };
        context.screen.warn(format_args!(
            "the versions change on {}{more}: the last bundle had {had}, this one has {now}; {remedy}",
            hosts[..hosts.len().min(NAMED)].join(", ")
        ));
    }
    Ok(())
}

/// Remembers which images the masters among `hosts` have now.
///
/// # Errors
/// What the ledger says.
pub(crate) fn remember(ledger: &mut Ledger, hosts: &[Roles<'_>], settings: &Settings) -> Result<(), StoreError> {
    if masters(hosts).next().is_none() {
        return Ok(());
    }
    ledger.remember_images(masters(hosts), &settings.to_string())
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
