//! Signs, encodes, encrypts and stages a rendered bundle, and determines the files that it replaces.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::encrypted_archives::{self, EncryptedArchives};
use super::encryption::Encryption;
use super::error::PackageError;
use crate::app::error::Error;
use crate::bundle::archive;
use crate::bundle::format::{EncodedBundle, Format, encrypted_name, former_names};
use crate::bundle::input::Roles;
use crate::bundle::manifest::Manifest;
use crate::bundle::model::{Bundle, BundleFile, MANIFEST, MANIFEST_SUM, SIGNATURE, folder_mode};
use crate::bundle::packer::Packer;
use crate::bundle::signature;
use crate::cluster::name::HostName;
use crate::pki::ssh::SshKey;
use crate::store::error::StoreError;
use crate::store::files::{self, FOLDER, PRIVATE};
use crate::store::staged::{self, NewFile, StagedFiles};
use crate::store::trees::{self, StagedTrees};

/// The format of bundles, the key that signs them, and their recipients.
#[derive(Debug)]
pub(super) struct Finalizer<'c> {
    pub(super) format: Format,
    pub(super) signing_key: Option<Arc<SshKey>>,
    pub(super) encryption: Encryption<'c>,
}

impl Finalizer<'_> {
    /// Returns the name of a host's bundle in the folder of bundles.
    pub(super) fn name(&self, host: &HostName) -> String {
        match self.encryption {
            Encryption::To(_) => encrypted_name(host),
            Encryption::None { .. } => self.format.file_name(host),
        }
    }

    /// Returns the names of a host's other bundles, which are removed once this one is written.
    ///
    /// An encrypted archive supersedes unencrypted bundles of every format, and an unencrypted archive supersedes an
    /// encrypted one.
    pub(super) fn superseded(&self, host: &HostName) -> Vec<PathBuf> {
        let former = || former_names(host).into_iter().map(PathBuf::from);
        match (&self.encryption, self.format) {
            (Encryption::To(_), _) => {
                Format::ALL.into_iter().map(|format| format.file_name(host).into()).chain(former()).collect()
            }
            (Encryption::None { .. }, Format::TarGz) => vec![encrypted_name(host).into()],
            (Encryption::None { .. }, Format::CloudInit) => former().collect(),
            (Encryption::None { .. }, _) => Vec::new(),
        }
    }

    /// Refuses to remove or replace a folder that contains files which are not part of a bundle.
    ///
    /// # Errors
    /// Returns [`PackageError::WouldBeLost`] or [`PackageError::UnknownFolder`], or an error if a folder cannot be
    /// read.
    pub(super) fn check_nothing_is_lost(&self, hosts: &[Roles<'_>], bundles: &Path) -> Result<(), Error> {
        if !self.encryption.is_on() && self.format != Format::Dir {
            return Ok(());
        }
        for roles in hosts {
            let folder = bundles.join(Format::Dir.file_name(roles.host()));
            if !files::is_folder(&folder) {
                continue;
            }
            let present = files::files_below(&folder)?;
            if present.is_empty() {
                continue;
            }
            let manifest = files::read(&folder.join(MANIFEST), archive::MAX_UNPACKED).ok();
            let Some(manifest) = manifest.and_then(|bytes| Manifest::parse(&bytes).ok()) else {
                return Err(PackageError::UnknownFolder(folder).into());
            };
            let listed: HashSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
            let of_bundle = |path: &str| listed.contains(path) || [MANIFEST, MANIFEST_SUM, SIGNATURE].contains(&path);
            if let Some(path) = present.iter().find(|path| !of_bundle(path)) {
                return Err(PackageError::WouldBeLost(folder.join(path)).into());
            }
        }
        Ok(())
    }

    /// Signs, encodes and encrypts a bundle; `None` if the folder of bundles already contains exactly this bundle.
    ///
    /// # Errors
    /// Returns an error if it cannot be signed or encrypted.
    pub(super) fn finalize(
        &self,
        bundle: Bundle,
        packer: &mut Packer,
        archives: &EncryptedArchives,
        bundles: &Path,
    ) -> Result<Option<EncodedBundle>, PackageError> {
        let host = bundle.manifest.host.clone();
        let encoded = self.encode(bundle, packer)?;
        if self.is_current(&host, &encoded, archives, bundles) {
            return Ok(None);
        }
        match (encoded, &self.encryption) {
            (EncodedBundle::File(bytes), Encryption::To(plan)) => {
                let digest = encrypted_archives::digest_of(&bytes, plan.of(host.as_str()));
                let encrypted = plan
                    .encryptor(host.as_str())?
                    .encrypt(&bytes)
                    .map_err(|source| PackageError::Encryption { host: host.to_string(), source })?;
                archives.add(&host, digest, &encrypted);
                Ok(Some(EncodedBundle::File(Zeroizing::new(encrypted))))
            }
            (encoded, _) => Ok(Some(encoded)),
        }
    }

    /// Signs a bundle and encodes it in its format, without encryption.
    ///
    /// # Errors
    /// Returns an error if it cannot be signed.
    pub(super) fn encode(&self, mut bundle: Bundle, packer: &mut Packer) -> Result<EncodedBundle, PackageError> {
        if let Some(key) = &self.signing_key {
            signature::sign(&mut bundle, key).map_err(PackageError::Signing)?;
        }
        Ok(self.format.encode(bundle, packer))
    }

    /// Returns true if the folder of bundles has exactly this bundle, encrypted to the same recipients.
    pub(super) fn is_current(
        &self,
        host: &HostName,
        encoded: &EncodedBundle,
        archives: &EncryptedArchives,
        bundles: &Path,
    ) -> bool {
        let path = bundles.join(self.name(host));
        match (encoded, &self.encryption) {
            (EncodedBundle::File(bytes), Encryption::To(plan)) => {
                archives.is_current(host, encrypted_archives::digest_of(bytes, plan.of(host.as_str())), &path)
            }
            (EncodedBundle::File(bytes), Encryption::None { .. }) => files::holds_exactly(&path, bytes, PRIVATE),
            (EncodedBundle::Folder(files), _) => is_this_folder(&path, files),
        }
    }
}

/// Bundles that are written under temporary names. They are removed unless they are published.
pub(super) struct StagedBundles {
    files: Option<StagedFiles>,
    trees: Option<StagedTrees>,
}

/// Writes each bundle under a temporary name into the folder, without syncing it.
///
/// # Errors
/// Returns an error if the system refuses. In that case, no file remains.
pub(super) fn stage<'b>(
    folder: &Path,
    bundles: impl Iterator<Item = (String, &'b EncodedBundle)>,
) -> Result<StagedBundles, StoreError> {
    let (mut written, mut trees) = (Vec::<NewFile<'_>>::new(), Vec::new());
    for (name, bundle) in bundles {
        match bundle {
            EncodedBundle::File(bytes) => written.push((name, bytes.as_slice(), PRIVATE)),
            EncodedBundle::Folder(tree) => {
                let file = |file: &'b BundleFile| (file.path.as_str(), &*file.bytes, file.mode);
                trees.push((name, tree.iter().map(file).collect()));
            }
        }
    }
    let files = (!written.is_empty()).then(|| staged::stage_all(folder, &written)).transpose()?;
    let trees = (!trees.is_empty()).then(|| trees::stage_all(folder, &trees, folder_mode)).transpose()?;
    Ok(StagedBundles { files, trees })
}

impl StagedBundles {
    /// Syncs the bundles to the disk, then renames each to its final name. Durable on return.
    pub(super) fn publish(self, folder: &Path) -> Result<(), StoreError> {
        self.files.map_or(Ok(()), |files| files.commit(folder))?;
        self.trees.map_or(Ok(()), |trees| trees.commit(folder))
    }
}

/// Returns true if the folder has these files and no others, each with its mode.
fn is_this_folder(folder: &Path, wanted: &[BundleFile]) -> bool {
    let same = |file: &BundleFile| {
        let mut folders = file.path.match_indices('/').map(|(end, _)| &file.path[..end]);
        folders.all(|path| files::mode(&folder.join(path)) == Ok(folder_mode(path)))
            && files::holds_exactly(&folder.join(&file.path), &file.bytes, file.mode)
    };
    files::mode(folder) == Ok(FOLDER)
        && files::files_below(folder).is_ok_and(|present| present.len() == wanted.len())
        && wanted.iter().all(same)
}
