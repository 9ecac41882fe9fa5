//! Determines the recipients of each host's bundle: those given for this run, those in SSH's `known_hosts`, or those in
//! the cluster file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::error::{MissingRecipient, PackageError};
use super::selection::Selection;
use crate::bundle::encryption::Encryptor;
use crate::bundle::format::{Format, encrypted_name};
use crate::bundle::input::Roles;
use crate::cluster::name::HostName;
use crate::cluster::recipient::Recipient;
use crate::cluster::spec::{Cluster, Host};
use crate::pki::known_hosts::KnownHosts;
use crate::store::files;

/// The source of the recipients of bundles.
#[derive(Debug)]
pub enum Recipients {
    /// The cluster file (`sealTo`); if it has none for any of the hosts, bundles are not encrypted.
    OfClusterFile,
    /// Given for this run; they override the cluster file.
    Given {
        /// The recipients of every bundle.
        for_all_hosts: Vec<Recipient>,
        /// The `known_hosts` file with the hosts' own keys, if each host is also a recipient.
        known_hosts: Option<KnownHosts>,
    },
    /// No recipients: bundles are not encrypted, even if the cluster file has recipients.
    None,
}

/// How bundles are encrypted.
#[derive(Debug, Clone)]
pub enum Encryption<'c> {
    /// Each to its recipients.
    To(RecipientPlan<'c>),
    /// Bundles are not encrypted.
    None {
        /// Whether this was requested, so encrypted bundles may be replaced.
        requested: bool,
    },
}

/// The recipients of each host's bundle: every host has at least one, and every key is usable. Clones share one map.
#[derive(Debug, Clone)]
pub struct RecipientPlan<'c>(Arc<HashMap<&'c str, Vec<Recipient>>>);

impl RecipientPlan<'_> {
    /// Returns the recipients of a host's bundle, sorted.
    #[must_use]
    pub fn of(&self, host: &str) -> &[Recipient] {
        self.0.get(host).map_or(&[], Vec::as_slice)
    }

    /// Returns the encryptor for the bundle of a host.
    pub(super) fn encryptor(&self, host: &str) -> Result<Encryptor, PackageError> {
        Encryptor::new(self.of(host)).map_err(|source| PackageError::Encryption { host: host.to_owned(), source })
    }
}

impl<'c> Encryption<'c> {
    /// Plans the encryption of the bundles of `hosts`.
    ///
    /// # Errors
    /// Returns an error if the format cannot be encrypted, a host has no recipient, a key is not usable, or two hosts
    /// have the same key.
    pub fn plan(
        hosts: &Selection<'c>,
        cluster: &Cluster,
        format: Format,
        recipients: &Recipients,
    ) -> Result<Self, PackageError> {
        let by_known_hosts = matches!(recipients, Recipients::Given { known_hosts: Some(_), .. });
        let (encryption, missing) = Self::plan_partly(hosts, cluster, format, recipients)?;
        match missing.is_empty() {
            true => Ok(encryption),
            false => Err(PackageError::NoRecipients { hosts: missing, by_known_hosts, is_partial: false }),
        }
    }

    /// Like [`Encryption::plan`], but also returns the hosts without a recipient instead of an error. They have to be
    /// left out.
    ///
    /// # Errors
    /// Returns the other errors of [`Encryption::plan`].
    pub fn plan_partly(
        hosts: &Selection<'c>,
        cluster: &Cluster,
        format: Format,
        recipients: &Recipients,
    ) -> Result<(Self, Vec<MissingRecipient>), PackageError> {
        let hosts = hosts.hosts();
        let (for_all_hosts, known_hosts) = match recipients {
            Recipients::None => return Ok((Self::None { requested: true }, Vec::new())),
            Recipients::OfClusterFile if hosts.iter().all(|roles| declared(roles).is_empty()) => {
                return Ok((Self::None { requested: false }, Vec::new()));
            }
            Recipients::OfClusterFile => (&[][..], None),
            Recipients::Given { for_all_hosts, known_hosts } => (for_all_hosts.as_slice(), known_hosts.as_ref()),
        };
        if format != Format::TarGz {
            return Err(PackageError::FormatNotEncrypted(format));
        }
        let by_cluster_file = matches!(recipients, Recipients::OfClusterFile);
        let of_host = |roles: &Roles<'c>| -> Result<(&'c str, Vec<Recipient>), MissingRecipient> {
            let missing = |why| MissingRecipient { host: roles.host().clone(), why };
            let own = match known_hosts {
                Some(known) => vec![known.key_of(&names(roles)).map_err(|error| missing(Some(error)))?],
                None if by_cluster_file => declared(roles),
                None => Vec::new(),
            };
            let mut recipients = [for_all_hosts, &own].concat();
            recipients.sort_unstable();
            recipients.dedup();
            if recipients.is_empty() { Err(missing(None)) } else { Ok((roles.host().as_str(), recipients)) }
        };
        let planned: Vec<_> = hosts.par_iter().map(of_host).collect();
        let (mut plan, mut missing) = (HashMap::with_capacity(planned.len()), Vec::new());
        for result in planned {
            match result {
                Ok((host, recipients)) => drop(plan.insert(host, recipients)),
                Err(one) => missing.push(one),
            }
        }
        if let Some(known) = known_hosts {
            check_keys_differ(&plan, for_all_hosts, cluster, known)?;
        }
        let plan = RecipientPlan(Arc::new(plan));
        // All keys are checked before the first bundle is written.
        plan.0.par_iter().try_for_each(|(host, _)| plan.encryptor(host).map(drop))?;
        Ok((Self::To(plan), missing))
    }

    /// Returns true if bundles are encrypted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        matches!(self, Self::To(_))
    }

    /// Refuses to replace encrypted bundles with unencrypted ones, unless that was requested.
    ///
    /// Otherwise, omitting a flag would undo the encryption of an earlier run.
    pub(super) fn check_nothing_is_undone(&self, hosts: &[Roles<'_>], folder: &Path) -> Result<(), PackageError> {
        if !matches!(self, Self::None { requested: false }) {
            return Ok(());
        }
        let names = hosts.par_iter().map(Roles::host);
        let encrypted: Vec<HostName> =
            names.filter(|host| files::exists(&folder.join(encrypted_name(host)))).cloned().collect();
        if encrypted.is_empty() { Ok(()) } else { Err(PackageError::WouldReplaceEncrypted(encrypted)) }
    }
}

/// Returns the recipients that the cluster file has for a host, in both of its roles.
fn declared(roles: &Roles<'_>) -> Vec<Recipient> {
    let entries = roles.master().into_iter().chain(roles.node());
    entries.flat_map(|host| host.recipients.iter().cloned()).collect()
}

/// Returns the names and addresses that a host may have in `known_hosts`.
fn names(roles: &Roles<'_>) -> Vec<String> {
    names_of(roles.master().into_iter().chain(roles.node()))
}

/// Returns the name of a host and the addresses of all its entries in the cluster file.
pub(in crate::app) fn names_of<'h>(entries: impl IntoIterator<Item = &'h Host>) -> Vec<String> {
    let mut names = Vec::new();
    for host in entries {
        if names.is_empty() {
            names.push(host.name.to_string());
        }
        names.extend(host.addresses.iter().map(ToString::to_string));
    }
    names
}

/// Refuses a key that two hosts share, for example clones of one image, because each could decrypt the other's bundle.
///
/// The other host may be one whose bundle is not packed now.
fn check_keys_differ(
    plan: &HashMap<&str, Vec<Recipient>>,
    for_all_hosts: &[Recipient],
    cluster: &Cluster,
    known: &KnownHosts,
) -> Result<(), PackageError> {
    let shared = |one: &str, other: &str| {
        Err(PackageError::SharedHostKey { one: one.min(other).to_owned(), other: one.max(other).to_owned() })
    };
    let mut owners: BTreeMap<&Recipient, &str> = BTreeMap::new();
    let planned: BTreeMap<&&str, &Vec<Recipient>> = plan.iter().collect();
    for (host, recipients) in planned {
        for recipient in recipients.iter().filter(|recipient| !for_all_hosts.contains(recipient)) {
            if let Some(other) = owners.insert(recipient, host) {
                return shared(other, host);
            }
        }
    }
    // Each hashed line has to be tried for each name, so only lines with the planned keys are used.
    let known = known.of_keys(|key| owners.contains_key(key));
    let others: Vec<&Host> = cluster.masters.iter().chain(&cluster.nodes).collect();
    let others = others.into_par_iter().filter(|host| !plan.contains_key(host.name.as_str()));
    let found = others.find_map_first(|host| {
        let key = known.key_of(&names_of([host])).ok()?;
        owners.get(&key).map(|owner| (*owner, host.name.as_str()))
    });
    found.map_or(Ok(()), |(owner, other)| shared(owner, other))
}
