//! Renders and writes planned bundles in batches, on all cores.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::encrypted_archives::EncryptedArchives;
use super::error::PackageError;
use super::finalize::{self, Finalizer, StagedBundles};
use super::generation::GenerationTracker;
use super::plan::Plan;
use super::report::{PackageReport, PackedBundle, Warning};
use super::{permissions, signatures, versions};
use crate::app::batches::{Interrupt, batch_size, in_batches};
use crate::app::error::Error;
use crate::app::observer::{Observer, Task};
use crate::app::revoke::rendered;
use crate::bundle::format::EncodedBundle;
use crate::bundle::input::Roles;
use crate::bundle::packer::Packer;
use crate::cluster::name::HostName;
use crate::store::credentials;
use crate::store::error::StoreError;
use crate::store::files;

/// The number of bundles in one batch. A few batches are in memory at the same time, until they are on the disk.
const BATCH: RangeInclusive<usize> = 512..=2048;
/// The minimum number of bundles per packer, because creating a packer is expensive.
const FEWEST: usize = 32;

impl Plan<'_> {
    /// Writes the bundles, and deletes keys if that was requested.
    ///
    /// Bundles that are up to date are not replaced.
    ///
    /// # Errors
    /// Returns an error if a credential changed since it was checked, a template fails, a stop was requested, or a file
    /// cannot be written. Bundles that were packed before that remain.
    pub fn apply(mut self, observer: &mut dyn Observer) -> Result<PackageReport, Error> {
        let hosts = std::mem::take(&mut self.preflight.hosts);
        let folder = self.inputs.env.layout.bundles();
        let (bundles, warnings) = match hosts.is_empty() {
            true => (Vec::new(), Vec::new()),
            false => self.pack(&hosts, &folder, observer)?,
        };
        let discarded = match self.discard.take() {
            None => None,
            Some(mut specs) => {
                let nodes = hosts.iter().filter_map(Roles::node);
                specs.extend(nodes.flat_map(|node| self.inputs.cluster.node_specs(node)));
                let env = &self.inputs.env;
                let is_due = !hosts.is_empty() || !specs.is_empty();
                is_due
                    .then(|| credentials::discard_keys(&env.layout, &mut self.ledger, &specs, &env.audit()))
                    .transpose()?
            }
        };
        let Finalizer { format, encryption, .. } = self.finalizer;
        Ok(PackageReport {
            folder,
            bundles,
            format,
            encrypted: encryption.is_on(),
            refused: self.preflight.refused,
            kept: self.preflight.kept.iter().map(|roles| roles.host().clone()).collect(),
            discarded,
            warnings,
        })
    }

    fn pack(
        &mut self,
        hosts: &[Roles<'_>],
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<PackedBundle>, Vec<Warning>), Error> {
        files::create_folder(folder)?;
        files::sweep(folder)?;
        let unsigned = self.finalizer.signing_key.is_none();
        let signed_before = if unsigned { signatures::signed_before(hosts, folder) } else { Vec::new() };
        let changed = self.write(hosts, folder, observer)?;
        let warnings = self.warnings(hosts, signed_before)?;
        versions::record(&mut self.ledger, hosts, &self.inputs.settings)?;
        let count = hosts.len();
        self.ledger.log_event(
            "pack",
            &format!("{count} host{}", if count == 1 { "" } else { "s" }),
            &folder.display().to_string(),
            &self.inputs.env.audit(),
        )?;
        let packed = |roles: &Roles<'_>| -> Result<PackedBundle, StoreError> {
            let host = roles.host();
            let path = folder.join(self.finalizer.name(host));
            let user_data = match self.finalizer.format.is_user_data() {
                true => Some(files::size(&path)?),
                false => None,
            };
            let lacks_keys = self.inputs.lacks_keys(roles);
            Ok(PackedBundle { changed: changed.contains(host), host: host.clone(), path, lacks_keys, user_data })
        };
        Ok((hosts.iter().map(packed).collect::<Result<_, _>>()?, warnings))
    }

    fn warnings(&mut self, hosts: &[Roles<'_>], signed_before: Vec<HostName>) -> Result<Vec<Warning>, StoreError> {
        let inputs = &mut self.inputs;
        let mut warnings = Vec::from_iter(std::mem::take(&mut inputs.exposed).warning());
        if inputs.service_account.is_some() {
            warnings.extend(permissions::service_account_warning(&inputs.env.layout));
            warnings.extend(versions::unsupported(&inputs.settings, inputs.cluster.accounts, inputs.denials.count()));
        }
        warnings.extend(versions::changes(&self.ledger, hosts, &inputs.settings, self.overrides_versions)?);
        if !signed_before.is_empty() {
            warnings.push(Warning::SignatureRemoved { hosts: signed_before });
        }
        warnings.extend(versions::differs_from_policy(hosts, &inputs.settings, inputs.cluster));
        Ok(warnings)
    }

    /// Renders each batch on all cores, while the previous batch is staged and the one before that is synced.
    ///
    /// Returns the hosts whose bundles changed; the files of the others are not changed.
    fn write(
        &mut self,
        hosts: &[Roles<'_>],
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<HashSet<HostName>, Error> {
        let generations = GenerationTracker::begin(&mut self.ledger, self.inputs.env.now)?;
        let archives = EncryptedArchives::begin(&self.ledger)?;
        let (inputs, finalizer, templates) = (&self.inputs, &self.finalizer, &self.templates);
        let (progress, cancellation) = (observer.progress(Task::Packing, hosts.len() as u64), observer.cancellation());
        let changed = Mutex::new(HashSet::new());
        let make = |batch: &[Roles<'_>]| {
            // rayon creates a packer for every part that it splits a batch into.
            let parts = batch.par_iter().with_min_len((batch.len() / 16).max(FEWEST));
            let one = |packer: &mut Packer, roles: &Roles<'_>| {
                if cancellation.is_cancelled() {
                    return Err(Interrupt::Cancelled);
                }
                let (bundle, _) = generations.render(inputs, *roles, templates).map_err(Error::from)?;
                let encoded = finalizer.finalize(bundle, packer, &archives, folder).map_err(Error::from)?;
                if encoded.is_some() {
                    changed.lock().unwrap_or_else(PoisonError::into_inner).insert(roles.host().clone());
                }
                Ok(encoded)
            };
            parts.map_init(|| finalizer.format.packer(), one).collect()
        };
        let stage = |batch: &[Roles<'_>], bundles: Vec<Option<EncodedBundle>>| {
            let names = batch.iter().map(|roles| finalizer.name(roles.host()));
            let new = names.zip(&bundles).filter_map(|(name, bundle)| Some((name, bundle.as_ref()?)));
            Ok(finalize::stage(folder, new)?)
        };
        let commit = |batch: &[Roles<'_>], staged: StagedBundles| {
            staged.publish(folder)?;
            let superseded: Vec<PathBuf> = batch.iter().flat_map(|roles| finalizer.superseded(roles.host())).collect();
            files::remove_all(folder, &superseded)?;
            progress.add(batch.len() as u64);
            Ok(())
        };
        observer.defer_interrupts();
        let packed = in_batches(hosts, batch_size(hosts.len(), BATCH), &cancellation, make, stage, commit);
        // Everything that was packed is recorded, even if an error is returned below.
        let recorded =
            generations.end(&mut self.ledger, &self.inputs.env.audit()).and_then(|()| archives.end(&mut self.ledger));
        let (packed, total) = (packed?, hosts.len());
        if packed < total {
            return Err(PackageError::Stopped { packed, total }.into());
        }
        recorded?;
        rendered::record_packing(&self.inputs.env.layout, &self.ledger, &self.inputs.cas.cluster)?;
        Ok(changed.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
