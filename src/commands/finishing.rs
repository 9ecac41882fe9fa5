//! What becomes of a host's files once they are known: signed, put into a form, sealed; and what that takes the place of.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::sealing::Sealing;
use crate::bundle::archive::Packer;
use crate::bundle::contents::{Bundle, BundleFile, folder_mode};
use crate::bundle::format::{Format, Parcel};
use crate::bundle::render::Templates;
use crate::bundle::signature;
use crate::cluster::name::HostName;
use crate::failure::{Exit, Failure};
use crate::pki::ssh::SshKey;
use crate::store::error::StoreError;
use crate::store::files::{self, PRIVATE};
use crate::store::trees;

/// Which templates fill a host's files, who signs the bundle, in which form it is handed over, and whom it is sealed to.
pub(super) struct Finish<'c> {
    pub(super) templates: Templates,
    pub(super) format: Format,
    pub(super) key: Option<SshKey>,
    pub(super) sealing: Option<Sealing<'c>>,
}

impl Finish<'_> {
    /// What a host's bundle is called in the folder of bundles.
    pub(super) fn name(&self, host: &HostName) -> String {
        match self.sealing {
            Some(_) => sealed_name(host),
            None => self.format.file_name(host),
        }
    }

    /// What it takes the place of: nothing in the clear stays beside a sealed bundle, in whatever form, and no sealed archive
    /// beside a newer one in the clear.
    pub(super) fn superseded(&self, host: &HostName) -> Vec<PathBuf> {
        match (&self.sealing, self.format) {
            (Some(_), _) => Format::ALL.into_iter().map(|format| format.file_name(host).into()).collect(),
            (None, Format::TarGz) => vec![sealed_name(host).into()],
            (None, _) => Vec::new(),
        }
    }

    /// Signs the bundle, puts it into its form, and seals it.
    ///
    /// # Errors
    /// None that was not looked for before the first bundle.
    pub(super) fn parcel(&self, mut bundle: Bundle, packer: &mut Packer) -> anyhow::Result<Parcel> {
        if let Some(key) = &self.key {
            sign(&mut bundle, key)?;
        }
        let host = bundle.manifest.host.clone();
        match (self.format.parcel(bundle, packer), &self.sealing) {
            (Parcel::File(bytes), Some(sealing)) => {
                let sealed = sealing.sealer(host.as_str())?.seal(&bytes).map_err(|error| {
                    Failure::new(Exit::Usage, format!("the bundle of {host} cannot be sealed")).because(error)
                })?;
                Ok(Parcel::File(Zeroizing::new(sealed)))
            }
            (parcel, _) => Ok(parcel),
        }
    }

    /// What to do with the bundles.
    pub(super) fn advice(&self) -> &'static str {
        match self.sealing {
            Some(_) => "it is sealed, and opens for those it was sealed to alone",
            None => "hand it to that host and to nobody else",
        }
    }
}

/// Puts each parcel under its name into the folder.
///
/// # Errors
/// What the system says.
pub(super) fn write<'p>(folder: &Path, parcels: impl Iterator<Item = (String, &'p Parcel)>) -> Result<(), StoreError> {
    let (mut written, mut trees) = (Vec::<files::NewFile<'_>>::new(), Vec::new());
    for (name, parcel) in parcels {
        match parcel {
            Parcel::File(bytes) => written.push((name, bytes.as_slice(), PRIVATE)),
            Parcel::Folder(tree) => {
                let file = |file: &'p BundleFile| (file.path.as_str(), &*file.bytes, file.mode);
                trees.push((name, tree.iter().map(file).collect()));
            }
        }
    }
    if !written.is_empty() {
        files::replace_all(folder, &written)?;
    }
    if !trees.is_empty() {
        trees::replace_all(folder, &trees, folder_mode)?;
    }
    Ok(())
}

/// A sealed bundle's name in the folder of bundles.
pub(super) fn sealed_name(host: impl std::fmt::Display) -> String {
    format!("{host}.tar.gz.age")
}

/// Signs a bundle.
///
/// # Errors
/// When the key, which was tried before, cannot sign.
pub(super) fn sign(bundle: &mut Bundle, key: &SshKey) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Usage, "the signing key cannot sign").because(error);
    signature::sign(bundle, key).map_err(failed)
}
