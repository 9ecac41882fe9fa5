//! Writes issued credentials: first the ledger, then complete folders. Both are durable before success is reported.

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
use super::staged::StagedFolder;
use super::verification_cache::{self, CacheEntry};
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Policy, Profile, TABLE};
use crate::cluster::spec::Role;
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::Credential;
use crate::pki::verified::Verified;

/// The new content of one folder of credentials.
#[derive(Debug)]
pub struct StagedCredentials {
    /// The host; `None` for the verifier.
    pub host: Option<HostName>,
    /// The digest of all certificates that the folder is expected to have: see
    /// [`CacheKey::expected`](verification_cache::CacheKey::expected).
    pub expected: Fingerprint,
    /// Newly issued, and verified.
    pub issued: Vec<(Profile, Verified<Credential>)>,
    /// Existing and valid: copied byte for byte.
    pub kept: Vec<(Profile, LoadedCredential)>,
    /// The profiles whose keys only the host has. Their certificates are left unchanged.
    pub on_host: Vec<Profile>,
}

/// The CAs, the time and the actor of an issue, which are recorded with every certificate.
#[derive(Debug, Clone)]
pub struct IssuanceContext<'a> {
    /// The CAs that sign.
    pub cas: &'a CaSet,
    /// The time.
    pub now: OffsetDateTime,
    /// `user@machine`
    pub by: &'a str,
}

/// Creates the parent folders of hosts' folders.
///
/// # Errors
/// Returns the system's error.
pub fn prepare(layout: &Layout) -> Result<(), StoreError> {
    [Role::Master, Role::Node].iter().try_for_each(|role| files::create_folder(&layout.hosts_folder(*role)))
}

/// The names of the folders of control-plane nodes and of nodes.
#[derive(Debug, Default)]
pub struct HostFolders {
    masters: Vec<String>,
    nodes: Vec<String>,
}

impl HostFolders {
    /// Lists the folders.
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn list(layout: &Layout) -> Result<Self, StoreError> {
        let names = |role| files::names_in(&layout.hosts_folder(role));
        Ok(Self { masters: names(Role::Master)?, nodes: names(Role::Node)? })
    }

    /// Returns the folder names of one role, sorted.
    #[must_use]
    pub fn of(&self, role: Role) -> &[String] {
        match role {
            Role::Master => &self.masters,
            Role::Node => &self.nodes,
        }
    }
}

/// Removes replaced folders, and temporary files of killed processes beside hosts' folders, which may contain keys.
///
/// Returns the hosts' folders. Only the holder of the lock may call this.
///
/// # Errors
/// Returns the system's error.
pub fn sweep(layout: &Layout) -> Result<HostFolders, StoreError> {
    let names = |role| files::sweep(&layout.hosts_folder(role));
    let folders = HostFolders { masters: names(Role::Master)?, nodes: names(Role::Node)? };
    files::sweep(&layout.pki())?;
    Ok(folders)
}

/// Returns the number of temporary files and folders beside hosts' folders, which [`sweep`] would remove.
///
/// # Errors
/// Returns the system's error.
pub fn unfinished(layout: &Layout) -> Result<usize, StoreError> {
    count([layout.hosts_folder(Role::Master), layout.hosts_folder(Role::Node), layout.pki()])
}

/// Returns the number of temporary files in each other folder, where the next command that writes there removes them.
///
/// # Errors
/// Returns the system's error.
pub fn unfinished_elsewhere(layout: &Layout) -> Result<Vec<(PathBuf, usize)>, StoreError> {
    let roots = CaRole::ALL.map(|kind| layout.root_folder(kind));
    let own = [layout.dir().to_owned(), layout.bundles(), layout.admins()];
    let folders = roots.into_iter().chain(own).filter(|folder| *folder != layout.pki());
    let counted = folders.map(|folder| Ok((folder.clone(), count([folder])?)));
    Ok(counted.collect::<Result<Vec<_>, StoreError>>()?.into_iter().filter(|(_, count)| *count > 0).collect())
}

fn count(folders: impl IntoIterator<Item = PathBuf>) -> Result<usize, StoreError> {
    folders.into_iter().map(|folder| Ok(files::list(&folder)?.unfinished.len())).sum()
}

/// Records the certificates of a batch, and the cache entries of earlier batches: all or none, durable on return.
///
/// Files are written only after that.
///
/// # Errors
/// Returns the ledger's error.
pub fn record(
    ledger: &mut Ledger,
    issuer: &IssuanceContext<'_>,
    batch: &[StagedCredentials],
    verified: &[CacheEntry],
) -> Result<(), StoreError> {
    let entries: Vec<Entry<'_>> = batch
        .iter()
        .flat_map(|credentials| {
            credentials.issued.iter().map(|(profile, made)| Entry {
                certificate: &made.get().certificate,
                profile: profile.policy().name,
                host: credentials.host.as_ref().map(HostName::as_str),
                issuer: issuer.cas.of(profile.policy().signed_by).ca_of(&made.get().certificate).certificate(),
            })
        })
        .collect();
    ledger.record_with_cache(&entries, verified, &AuditContext { at: issuer.now, by: issuer.by })
}

/// A batch of folders under temporary names. They are removed on drop unless they are committed.
#[derive(Debug)]
pub struct StagedBatch {
    staged: Vec<StagedFolder>,
    cache_entries: Vec<CacheEntry>,
}

/// Writes the folders of a recorded batch under temporary names, without syncing them.
///
/// # Errors
/// Returns the system's error. In that case, the ledger has certificates that are in no file; nothing else remains.
pub fn stage(layout: &Layout, batch: &[StagedCredentials]) -> Result<StagedBatch, StoreError> {
    // Sequentially, because the kernel creates only one folder at a time in a parent folder, and waiting threads would
    // only spin.
    let created = batch.iter().map(|credentials| begin(layout, credentials)).collect::<Result<Vec<_>, _>>()?;
    let staged = created.into_par_iter().zip(batch).map(|(folder, credentials)| fill(folder, credentials));
    let staged = staged.collect::<Result<Vec<_>, _>>()?;
    let (staged, cache_entries): (Vec<StagedFolder>, Vec<CacheEntry>) = staged.into_iter().unzip();
    Ok(StagedBatch { staged, cache_entries })
}

impl StagedBatch {
    /// Syncs the batch to the disk, then renames each folder to its final name. Returns the cache entries. Durable on
    /// return.
    ///
    /// If this fails or the machine crashes, the ledger has certificates that are in no file, and every folder is
    /// either the old or the new one. Replaced folders are left for [`sweep`].
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn commit(self, layout: &Layout) -> Result<Vec<CacheEntry>, StoreError> {
        // Contents are synced before names change, because after a power failure an existing folder must be complete.
        files::sync_all(&layout.pki())?;
        self.staged.into_iter().try_for_each(StagedFolder::publish_leaving_replaced)?;
        files::sync_all(&layout.pki())?;
        Ok(self.cache_entries)
    }
}

/// Returns one of the profiles, which determines the folder.
fn first_profile(credentials: &StagedCredentials) -> Profile {
    let mut profiles = credentials.issued.iter().map(|(p, _)| *p).chain(credentials.kept.iter().map(|(p, _)| *p));
    // A folder without credentials is never planned.
    profiles.next().unwrap_or(Profile::Verifier)
}

fn begin(layout: &Layout, credentials: &StagedCredentials) -> Result<StagedFolder, StoreError> {
    StagedFolder::begin(&layout.holder_folder(first_profile(credentials), credentials.host.as_ref()))
}

fn fill(staged: StagedFolder, credentials: &StagedCredentials) -> Result<(StagedFolder, CacheEntry), StoreError> {
    let mut files = Vec::with_capacity(credentials.issued.len() + credentials.kept.len());
    for (profile, made) in &credentials.issued {
        let (certificate, key) = (made.get().certificate_pem(), made.get().key.to_pem());
        files.push((*profile, add(&staged, *profile, certificate.as_bytes(), key.as_bytes())?));
    }
    for (profile, stored) in &credentials.kept {
        files.push((*profile, add(&staged, *profile, &stored.certificate_pem, &stored.key_pem)?));
    }
    staged.keep_others(|name| {
        let name = name.strip_suffix(".crt").or_else(|| name.strip_suffix(".key"));
        let is_on_host = |row: &Policy| credentials.on_host.contains(&row.profile);
        name.is_some_and(|name| TABLE.iter().any(|row| row.name == name && !is_on_host(row)))
    })?;
    let issued = credentials.issued.iter().map(|(_, made)| &made.get().certificate);
    let certificates = issued.chain(credentials.kept.iter().map(|(_, stored)| &stored.credential.certificate));
    let folder = verification_cache::folder(first_profile(credentials), credentials.host.as_ref());
    Ok((staged, CacheEntry::of_new_files(folder, credentials.expected, &mut files, certificates)))
}

fn add(staged: &StagedFolder, profile: Profile, certificate: &[u8], key: &[u8]) -> Result<[Identity; 2], StoreError> {
    let name = profile.policy().name;
    Ok([staged.add(&format!("{name}.crt"), certificate, PUBLIC)?, staged.add(&format!("{name}.key"), key, PRIVATE)?])
}
