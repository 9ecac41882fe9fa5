//! Checks everything that packing needs, before anything is written.

use std::collections::HashSet;

use super::error::PackageError;
use super::finalize::Finalizer;
use super::inputs::{Inputs, other_token_keys, service_account_key};
use super::older;
use super::options::PackageOptions;
use super::permissions::ExposedKeys;
use super::preflight::{self, Preflight};
use super::templates;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::revoke::{self, denials, removed_hosts};
use crate::app::rotate;
use crate::bundle::format::Format;
use crate::bundle::input::Roles;
use crate::bundle::render::Templates;
use crate::cluster::profile::{CaRole, CertificateSpec};
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::store::credentials;
use crate::store::issuance::{self, HostFolders};
use crate::store::ledger::Ledger;
use crate::store::ledger::inventory::Inventory;
use crate::store::lock::Lock;
use crate::store::token_rotation;
use crate::store::verification_cache::{CacheKey, Snapshots};

/// The plan for packing bundles. It holds the lock of the cluster directory.
#[derive(Debug)]
pub struct Plan<'c> {
    pub(super) inputs: Inputs<'c>,
    pub(super) templates: Templates,
    pub(super) finalizer: Finalizer<'c>,
    pub(super) preflight: Preflight<'c>,
    pub(super) overrides_versions: bool,
    /// The keys to delete once the bundles are written; `None` if keys are kept.
    pub(super) discard: Option<Vec<CertificateSpec>>,
    pub(super) ledger: Ledger,
    pub(super) _lock: Lock,
}

/// Packs bundles of the hosts of one cluster.
#[derive(Debug, Clone)]
pub struct Packager {
    /// The cluster directory, the time and the actor.
    pub env: Env,
    /// The cluster file.
    pub cluster: Cluster,
}

impl Packager {
    /// Takes the directory's lock and checks credentials, CAs, revocations and the files that would be replaced.
    ///
    /// # Errors
    /// Returns an error if nothing can be packed; in that case, only the verification cache is written.
    pub fn plan<'c>(&'c self, options: PackageOptions<'c>, observer: &mut dyn Observer) -> Result<Plan<'c>, Error> {
        plan(&self.env, &self.cluster, options, observer)
    }
}

pub(in crate::app) fn plan<'c>(
    env: &Env,
    cluster: &'c Cluster,
    options: PackageOptions<'c>,
    observer: &mut dyn Observer,
) -> Result<Plan<'c>, Error> {
    let templates = templates::load(options.templates.as_deref(), cluster, &env.layout)?;
    check_discard(&options)?;
    let lock = directory::lock(env, "bundle", observer)?;
    let (mut ledger, known, cas) = trust(env, cluster)?;
    removed_hosts::report(env, cluster, &HostFolders::list(&env.layout)?, &ledger, observer)?;
    let inputs = inputs(env, cluster, &options, (&ledger, known, cas))?;
    let preflight = preflight::check(&inputs, &options.hosts);
    preflight.check_some_can_be_packed()?;
    let PackageOptions { format, signing_key, encryption, overrides_versions, discard_keys, .. } = options;
    let finalizer = Finalizer { format, signing_key, encryption };
    check_form(&finalizer, &inputs, &preflight.hosts)?;
    older::check(&inputs, &preflight.hosts, &env.layout.bundles(), ledger.last_generation()?)?;
    if !preflight.verified.is_empty() {
        ledger.cache_verified(&preflight.verified)?;
    }
    let discard = match discard_keys {
        true => {
            // Temporary folders of an interrupted run may contain keys, too.
            issuance::sweep(&env.layout)?;
            Some(left_to_discard(&preflight.kept, &inputs))
        }
        false => None,
    };
    Ok(Plan { inputs, templates, finalizer, preflight, overrides_versions, discard, ledger, _lock: lock })
}

/// Opens the ledger, which must be current, and reads the CAs, which must not have expired.
///
/// # Errors
/// Returns the errors of [`directory::cas_and_inventory`] and [`revoke::check_ledger_is_current`]; [`PackageError::CaExpired`].
pub(super) fn trust(env: &Env, cluster: &Cluster) -> Result<(Ledger, Inventory, CaSet), Error> {
    let (ledger, known, cas) = directory::cas_and_inventory(&env.layout, cluster)?;
    revoke::check_ledger_is_current(&env.layout, &cas, &ledger, env.now)?;
    check_cas(&cas, env)?;
    Ok((ledger, known, cas))
}

/// Reads what the bundles of the selected hosts are rendered from.
///
/// # Errors
/// Returns an error if the service-account key, the revocations or the ledger cannot be used.
pub(super) fn inputs<'c>(
    env: &Env,
    cluster: &'c Cluster,
    options: &PackageOptions<'c>,
    (ledger, known, cas): (&Ledger, Inventory, CaSet),
) -> Result<Inputs<'c>, Error> {
    let cache_key = CacheKey::new(cluster.keys, &cas, ledger.revocation_count()?);
    Ok(Inputs {
        env: env.clone(),
        cluster,
        service_account: service_account_key(options.hosts.hosts(), &env.layout)?,
        other_token_keys: other_token_keys(options.hosts.hosts(), &env.layout)?,
        settings: options.settings.clone(),
        denials: denials::of_ledger(ledger, &cas.cluster, env.now)?,
        marks: rotate::marks(&cas, token_rotation::state(&env.layout)?.as_ref(), ledger)?,
        read_at_start: rotate::read_at_start(cluster),
        // Only an encrypted bundle had the keys, and a bundle of another form would not replace it.
        without_keys: match options.encryption.is_on() {
            true => rotate::keys_on_hosts_only(ledger)?,
            false => HashSet::new(),
        },
        known,
        snapshots: Snapshots::new(&env.layout, cache_key, env.now),
        cache: ledger.verification_cache()?,
        exposed: ExposedKeys::default(),
        cas,
    })
}

/// Refuses a format that hosts cannot use, undoing the encryption of earlier bundles, and deleting files that are not
/// part of a bundle.
///
/// # Errors
/// Returns [`PackageError`], or an error if a folder of a bundle cannot be read.
pub(super) fn check_form(finalizer: &Finalizer<'_>, inputs: &Inputs<'_>, hosts: &[Roles<'_>]) -> Result<(), Error> {
    let folder = inputs.env.layout.bundles();
    check_format(finalizer.format, hosts, inputs)?;
    finalizer.encryption.check_nothing_is_undone(hosts, &folder)?;
    finalizer.check_nothing_is_lost(hosts, &folder)
}

/// Refuses to discard keys that would remain only in unencrypted bundles.
pub(super) fn check_discard(options: &PackageOptions<'_>) -> Result<(), PackageError> {
    if options.discard_keys && !options.encryption.is_on() {
        Err(PackageError::DiscardWithoutRecipients)
    } else {
        Ok(())
    }
}

/// Refuses a format without an installer for hosts that generated their own keys, because only the installer finds
/// these keys.
fn check_format(format: Format, hosts: &[Roles<'_>], inputs: &Inputs<'_>) -> Result<(), PackageError> {
    if format != Format::Ignition {
        return Ok(());
    }
    match hosts.iter().find(|roles| inputs.lacks_keys(roles)) {
        Some(roles) => Err(PackageError::FormatWithoutKeys { host: roles.host().clone(), format }),
        None => Ok(()),
    }
}

/// Refuses to pack certificates of a CA that has expired.
fn check_cas(cas: &CaSet, env: &Env) -> Result<(), PackageError> {
    for role in CaRole::ALL {
        let not_after = cas.of(role).active().not_after();
        if env.now > not_after {
            return Err(PackageError::CaExpired { role, not_after });
        }
    }
    Ok(())
}

/// Returns the keys that an interrupted run left undeleted, for hosts that keep their encrypted bundles.
pub(super) fn left_to_discard(kept: &[Roles<'_>], inputs: &Inputs<'_>) -> Vec<CertificateSpec> {
    let layout = &inputs.env.layout;
    let specs = kept.iter().filter_map(Roles::node).flat_map(|node| inputs.cluster.node_specs(node));
    specs.filter(|spec| credentials::has_discarded_key(layout, spec, &inputs.known)).collect()
}
