//! What becomes of a host's files once they are known: signed, put into a form, sealed; and what that takes the place of.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::resealing::{self, Resealing};
use super::sealing::Sealing;
use crate::bundle::archive;
use crate::bundle::format::{Format, Parcel, former_names, sealed_name};
use crate::bundle::input::Roles;
use crate::bundle::manifest::Manifest;
use crate::bundle::model::{Bundle, BundleFile, MANIFEST, MANIFEST_SUM, SIGNATURE, folder_mode};
use crate::bundle::packer::Packer;
use crate::bundle::render::Templates;
use crate::bundle::signature;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::name::HostName;
use crate::pki::ssh::SshKey;
use crate::store::error::StoreError;
use crate::store::files::{self, FOLDER, PRIVATE};
use crate::store::staged::{self, NewFile, StagedFiles};
use crate::store::trees::{self, StagedTrees};

/// Which templates fill a host's files, who signs the bundle, in which form it is handed over, and whom it is sealed to.
pub(crate) struct Finish<'c> {
    pub(crate) templates: Templates,
    pub(crate) format: Format,
    pub(crate) key: Option<SshKey>,
    pub(crate) sealing: Option<Sealing<'c>>,
}

impl Finish<'_> {
    /// What a host's bundle is called in the folder of bundles.
    pub(crate) fn name(&self, host: &HostName) -> String {
        match self.sealing {
            Some(_) => sealed_name(host),
            None => self.format.file_name(host),
        }
    }

    /// What it takes the place of: nothing in the clear stays beside a sealed bundle, in whatever form, and no sealed archive
    /// beside a newer one in the clear.
    pub(crate) fn superseded(&self, host: &HostName) -> Vec<PathBuf> {
        let former = || former_names(host).into_iter().map(PathBuf::from);
        match (&self.sealing, self.format) {
            (Some(_), _) => {
                Format::ALL.into_iter().map(|format| format.file_name(host).into()).chain(former()).collect()
            }
            (None, Format::TarGz) => vec![sealed_name(host).into()],
            (None, Format::CloudInit) => former().collect(),
            (None, _) => Vec::new(),
        }
    }

    /// Looks that no folder which is to go, or to be replaced, holds what no bundle brought: a person laid that there.
    ///
    /// # Errors
    /// Refused, with the file; or what the system says.
    pub(crate) fn loses_nothing(&self, hosts: &[Roles<'_>], bundles: &Path) -> Result<()> {
        if self.sealing.is_none() && self.format != Format::Dir {
            return Ok(());
        }
        for roles in hosts {
            let folder = bundles.join(Format::Dir.file_name(roles.host()));
            if !files::is_folder(&folder) {
                continue;
            }
            let there = files::files_below(&folder)?;
            if there.is_empty() {
                continue;
            }
            let manifest = files::read(&folder.join(MANIFEST), archive::MAX_UNPACKED).ok();
            let Some(manifest) = manifest.and_then(|bytes| Manifest::parse(&bytes).ok()) else {
                let what =
                    format!("the folder {} has no manifest, so nobody can tell what would be lost", folder.display());
                let hint = "nothing was packed. Move the folder somewhere else, then run the same command again";
                return Err(CliError::new(Exit::Refused, what).hint(hint));
            };
            let listed: HashSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
            let brought = |path: &str| listed.contains(path) || [MANIFEST, MANIFEST_SUM, SIGNATURE].contains(&path);
            if let Some(path) = there.iter().find(|path| !brought(path)) {
                let what = format!("{} would be lost: no bundle brought it there", folder.join(path).display());
                return Err(CliError::new(Exit::Refused, what)
                    .hint("nothing was packed. Move it somewhere else, then run the same command again"));
            }
        }
        Ok(())
    }

    /// Signs the bundle, puts it into its form, and seals it. `None` where exactly that is in the folder of bundles already.
    ///
    /// # Errors
    /// None that was not looked for before the first bundle.
    pub(crate) fn parcel(
        &self,
        mut bundle: Bundle,
        packer: &mut Packer,
        resealing: &Resealing,
        bundles: &Path,
    ) -> Result<Option<Parcel>> {
        if let Some(key) = &self.key {
            sign(&mut bundle, key)?;
        }
        let host = bundle.manifest.host.clone();
        let path = bundles.join(self.name(&host));
        match (self.format.parcel(bundle, packer), &self.sealing) {
            (Parcel::File(bytes), Some(sealing)) => {
                let made_of = resealing::made_of(&bytes, sealing.recipients(host.as_str()));
                if resealing.is_there(&host, made_of, &path) {
                    return Ok(None);
                }
                let sealed = sealing.sealer(host.as_str())?.seal(&bytes).map_err(|error| {
                    CliError::new(Exit::Usage, format!("the bundle of {host} cannot be sealed")).because(error)
                })?;
                resealing.add(&host, made_of, &sealed);
                Ok(Some(Parcel::File(Zeroizing::new(sealed))))
            }
            (Parcel::File(bytes), None) if files::holds_exactly(&path, &bytes, PRIVATE) => Ok(None),
            (Parcel::Folder(files), _) if is_this_folder(&path, &files) => Ok(None),
            (parcel, _) => Ok(Some(parcel)),
        }
    }

    /// What to do with the bundles.
    pub(crate) fn advice(&self) -> &'static str {
        match self.sealing {
            Some(_) => "it is sealed, and opens for those it was sealed to alone",
            None => "hand it to that host and to nobody else",
        }
    }
}

/// Parcels that lie beside their places; removed unless they get there.
pub(crate) struct LaidParcels {
    files: Option<StagedFiles>,
    trees: Option<StagedTrees>,
}

/// Lays each parcel under a temporary name into the folder, not yet on the disk.
///
/// # Errors
/// What the system says; nothing is left behind then.
pub(crate) fn lay<'p>(
    folder: &Path,
    parcels: impl Iterator<Item = (String, &'p Parcel)>,
) -> Result<LaidParcels, StoreError> {
    let (mut written, mut trees) = (Vec::<NewFile<'_>>::new(), Vec::new());
    for (name, parcel) in parcels {
        match parcel {
            Parcel::File(bytes) => written.push((name, bytes.as_slice(), PRIVATE)),
            Parcel::Folder(tree) => {
                let file = |file: &'p BundleFile| (file.path.as_str(), &*file.bytes, file.mode);
                trees.push((name, tree.iter().map(file).collect()));
            }
        }
    }
    let files = (!written.is_empty()).then(|| staged::stage_all(folder, &written)).transpose()?;
    let trees = (!trees.is_empty()).then(|| trees::stage_all(folder, &trees, folder_mode)).transpose()?;
    Ok(LaidParcels { files, trees })
}

impl LaidParcels {
    /// Brings them onto the disk, and then each into its place. Durable on return.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn settle(self, folder: &Path) -> Result<(), StoreError> {
        self.files.map_or(Ok(()), |files| files.commit(folder))?;
        self.trees.map_or(Ok(()), |trees| trees.commit(folder))
    }
}

/// True if the folder has these files and no others, and each mode is as it would be written.
fn is_this_folder(folder: &Path, wanted: &[BundleFile]) -> bool {
    let same = |file: &BundleFile| {
        let mut folders = file.path.match_indices('/').map(|(end, _)| &file.path[..end]);
        folders.all(|path| files::mode(&folder.join(path)) == Ok(folder_mode(path)))
            && files::holds_exactly(&folder.join(&file.path), &file.bytes, file.mode)
    };
    files::mode(folder) == Ok(FOLDER)
        && files::files_below(folder).is_ok_and(|there| there.len() == wanted.len())
        && wanted.iter().all(same)
}

/// Signs a bundle.
///
/// # Errors
/// When the key, which was tried before, cannot sign.
pub(crate) fn sign(bundle: &mut Bundle, key: &SshKey) -> Result<()> {
    let failed = |error| CliError::new(Exit::Usage, "the signing key cannot sign").because(error);
    signature::sign(bundle, key).map_err(failed)
}
