//! How new credentials come into the directory: the ledger first, then whole folders, durable before success is told.

use std::path::PathBuf;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use time::OffsetDateTime;

use super::credentials::LoadedCredential;
use super::error::StoreError;
use super::files::{self, PRIVATE, PUBLIC};
use super::identity::Identity;
use super::layout::Layout;
use super::ledger::certificates::Entry;
use super::ledger::{AuditContext, Ledger};
use super::staged::Staged;
use super::verification_cache::{self, CacheEntry};
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Profile, TABLE};
use crate::cluster::spec::Role;
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::Credential;
use crate::pki::verified::Verified;

/// What one holder is to have in its folder.
#[derive(Debug)]
pub struct StagedCredentials {
    /// The host; `None` for the verifier.
    pub host: Option<HostName>,
    /// The digest of all certificates that it is expected to have: see
    /// [`CacheKey::expected`](verification_cache::CacheKey::expected).
    pub expected: Fingerprint,
    /// Newly made, and passed by the stranger's check.
    pub fresh: Vec<(Profile, Verified<Credential>)>,
    /// Good as they lie there: carried over byte for byte.
    pub kept: Vec<(Profile, LoadedCredential)>,
}

/// Who issues: recorded beside every certificate.
#[derive(Debug, Clone)]
pub struct IssuanceContext<'a> {
    /// The roots that signed, each what the policy says.
    pub roots: &'a CaSet,
    /// The time.
    pub now: OffsetDateTime,
    /// `user@machine`
    pub by: &'a str,
}

/// Makes the folders that holders' folders appear in.
///
/// # Errors
/// What the system says.
pub fn prepare(layout: &Layout) -> Result<(), StoreError> {
    [Role::Master, Role::Node].iter().try_for_each(|role| files::create_folder(&layout.hosts_folder(*role)))
}

/// Removes what a killed process left beside holders' folders: there may be keys in it. Only to be called under the lock.
///
/// # Errors
/// What the system says.
pub fn sweep(layout: &Layout) -> Result<(), StoreError> {
    for role in [Role::Master, Role::Node] {
        files::sweep(&layout.hosts_folder(role))?;
    }
    files::sweep(&layout.pki())
}

/// How many files and folders a killed process left beside holders' folders, which [`sweep`] would remove.
///
/// # Errors
/// What the system says.
pub fn unfinished(layout: &Layout) -> Result<usize, StoreError> {
    count([layout.hosts_folder(Role::Master), layout.hosts_folder(Role::Node), layout.pki()])
}

/// How many of them lie in all other folders, where whoever writes there next removes them.
///
/// # Errors
/// What the system says.
pub fn unfinished_elsewhere(layout: &Layout) -> Result<Vec<(PathBuf, usize)>, StoreError> {
    let roots = CaRole::ALL.map(|kind| layout.root_folder(kind));
    let own = [layout.dir().to_owned(), layout.bundles(), layout.admins()];
    let folders = roots.into_iter().chain(own).filter(|folder| *folder != layout.pki());
    let counted = folders.map(|folder| Ok((folder.clone(), count([folder])?)));
    Ok(counted.collect::<Result<Vec<_>, StoreError>>()?.into_iter().filter(|(_, count)| *count > 0).collect())
}

fn count(folders: impl IntoIterator<Item = PathBuf>) -> Result<usize, StoreError> {
    folders.into_iter().map(|folder| Ok(files::list(&folder)?.unfinished)).sum()
}

/// Records what a batch of holders is about to hold, and stores the cache entries of earlier batches: all or none, durable on
/// return. No file may be written before.
///
/// # Errors
/// What the ledger says.
pub fn record(
    ledger: &mut Ledger,
    issuer: &IssuanceContext<'_>,
    batch: &[StagedCredentials],
    verified: &[CacheEntry],
) -> Result<(), StoreError> {
    let entries: Vec<Entry<'_>> = batch
        .iter()
        .flat_map(|holding| {
            holding.fresh.iter().map(|(profile, made)| Entry {
                certificate: &made.get().certificate,
                profile: profile.policy().name,
                host: holding.host.as_ref().map(HostName::as_str),
                issuer: issuer.roots.of(profile.policy().signed_by).ca_of(&made.get().certificate).certificate(),
            })
        })
        .collect();
    ledger.record_with_cache(&entries, verified, &AuditContext { at: issuer.now, by: issuer.by })
}

/// A batch whose folders lie beside their places; removed unless they get there.
#[derive(Debug)]
pub struct StagedBatch {
    staged: Vec<Staged>,
    cache_entries: Vec<CacheEntry>,
}

/// Lays the folders of a batch that was recorded under temporary names, not yet on the disk.
///
/// # Errors
/// What the system says; the ledger knows certificates that nobody holds then, and nothing else is left behind.
pub fn lay(layout: &Layout, batch: &[StagedCredentials]) -> Result<StagedBatch, StoreError> {
    // The folder that they are all in lets in one at a time, and those that wait would only spin.
    let begun = batch.iter().map(|holding| begin(layout, holding)).collect::<Result<Vec<_>, _>>()?;
    let staged = begun.into_par_iter().zip(batch).map(|(begun, holding)| fill(begun, holding));
    let staged = staged.collect::<Result<Vec<_>, _>>()?;
    let (staged, cache_entries): (Vec<Staged>, Vec<CacheEntry>) = staged.into_iter().unzip();
    Ok(StagedBatch { staged, cache_entries })
}

impl StagedBatch {
    /// Brings the batch onto the disk, and then each folder into its place; returns what may be remembered of it. Durable on
    /// return. When it fails, or the machine does, the ledger knows certificates that nobody holds, and every folder is the old
    /// one or the new one.
    ///
    /// # Errors
    /// What the system says.
    pub fn settle(self, layout: &Layout) -> Result<Vec<CacheEntry>, StoreError> {
        // Contents before names: after a power failure a folder that is there must be whole.
        files::sync_all(&layout.pki())?;
        self.staged.into_iter().try_for_each(Staged::publish)?;
        files::sync_all(&layout.pki())?;
        Ok(self.cache_entries)
    }
}

/// By what the policy has one holder hold, its folder is known.
fn first_profile(holding: &StagedCredentials) -> Profile {
    let mut profiles = holding.fresh.iter().map(|(p, _)| *p).chain(holding.kept.iter().map(|(p, _)| *p));
    // Nobody is planned for who is to hold nothing.
    profiles.next().unwrap_or(Profile::Verifier)
}

fn begin(layout: &Layout, holding: &StagedCredentials) -> Result<Staged, StoreError> {
    Staged::begin(&layout.holder_folder(first_profile(holding), holding.host.as_ref()))
}

fn fill(staged: Staged, holding: &StagedCredentials) -> Result<(Staged, CacheEntry), StoreError> {
    let mut files = Vec::with_capacity(holding.fresh.len() + holding.kept.len());
    for (profile, made) in &holding.fresh {
        let (certificate, key) = (made.get().certificate_pem(), made.get().key.to_pem());
        files.push((*profile, add(&staged, *profile, certificate.as_bytes(), key.as_bytes())?));
    }
    for (profile, stored) in &holding.kept {
        files.push((*profile, add(&staged, *profile, &stored.certificate_pem, &stored.key_pem)?));
    }
    staged.keep_others(|name| {
        let name = name.strip_suffix(".crt").or_else(|| name.strip_suffix(".key"));
        name.is_some_and(|name| TABLE.iter().any(|row| row.name == name))
    })?;
    let fresh = holding.fresh.iter().map(|(_, made)| &made.get().certificate);
    let certificates = fresh.chain(holding.kept.iter().map(|(_, stored)| &stored.credential.certificate));
    let folder = verification_cache::folder(first_profile(holding), holding.host.as_ref());
    Ok((staged, CacheEntry::of_new_files(folder, holding.expected, &mut files, certificates)))
}

fn add(staged: &Staged, profile: Profile, certificate: &[u8], key: &[u8]) -> Result<[Identity; 2], StoreError> {
    let name = profile.policy().name;
    Ok([staged.add(&format!("{name}.crt"), certificate, PUBLIC)?, staged.add(&format!("{name}.key"), key, PRIVATE)?])
}
