//! Restores a backup into an empty folder.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::check::{self, Checked};
use super::error::RestoreError;
use crate::app::env::Env;
use crate::app::error::{Error, with_causes};
use crate::app::input;
use crate::app::ledger::LedgerFinding;
use crate::bundle::backup::{BackupReceiver, UnpackError, unpack};
use crate::bundle::backup_manifest::{BackupManifest, FileEntry, FolderEntry};
use crate::bundle::encrypted_stream::{EncryptedInput, StreamError};
use crate::bundle::encryption::Identity;
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::files::Input;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::restored::{Place, RestoredFolder, inspect};

/// The backup to restore, and what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOptions {
    /// The file.
    pub file: PathBuf,
    /// The expected pin of its root.
    pub pin: Option<Fingerprint>,
    /// A link that is expected in the ledger's hash chain.
    pub head: Option<Fingerprint>,
}

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The cluster directory.
    pub directory: PathBuf,
    /// The description of the backup's content.
    pub manifest: BackupManifest,
    /// The number of certificates in the ledger.
    pub certificates: usize,
    /// The last link of the hash chain, with the event of the restore.
    pub head: Option<Fingerprint>,
    /// Findings about the ledger that did not prevent the restore.
    pub warnings: Vec<LedgerFinding>,
}

/// A backup whose header was read, and an empty folder to restore it into.
pub struct OpenedBackup {
    options: RestoreOptions,
    /// The path of the cluster directory, without links.
    place: PathBuf,
    input: EncryptedInput<Input>,
}

impl OpenedBackup {
    /// Returns true if it is encrypted with a passphrase.
    #[must_use]
    pub fn needs_passphrase(&self) -> bool {
        self.input.needs_passphrase()
    }
}

impl fmt::Debug for OpenedBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedBackup").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Opens a backup to restore it as the cluster directory of `env`. Nothing is written.
///
/// # Errors
/// Returns [`RestoreError::NotEmpty`], or an error if the file cannot be read, or is not encrypted.
pub fn open(options: RestoreOptions, env: &Env) -> Result<OpenedBackup, Error> {
    let place = match inspect(env.layout.dir())? {
        Place::Free(place) => place,
        Place::Occupied(names) => {
            return Err(RestoreError::NotEmpty { folder: env.layout.dir().to_owned(), names }.into());
        }
    };
    let file = input::open(&options.file, "backup")?;
    let input =
        EncryptedInput::open(file).map_err(|source| RestoreError::Decrypt { file: options.file.clone(), source })?;
    Ok(OpenedBackup { options, place, input })
}

/// Decrypts a backup, checks all of it, and then moves it to the cluster directory with one rename.
///
/// # Errors
/// Returns [`RestoreError`], or an error if a file cannot be written. In that case, the cluster directory is unchanged.
pub fn restore(opened: OpenedBackup, identity: &Identity, env: &Env) -> Result<RestoreReport, Error> {
    let OpenedBackup { options, place, input } = opened;
    let file = &options.file;
    let undecrypted = |source: StreamError| RestoreError::Decrypt { file: file.clone(), source };
    let stream = input.decrypt(identity).map_err(undecrypted)?;
    let mut receiver = Receiver { folder: RestoredFolder::begin(&place)?, options: &options };
    let manifest = unpack(stream, &mut receiver).map_err(|error| match error {
        UnpackError::Stream(source) => undecrypted(source).into(),
        UnpackError::Content(source) => RestoreError::Content { file: file.clone(), source }.into(),
        UnpackError::Receiver(error) => error,
    })?;
    let folder = receiver.folder;
    let staged = Env { layout: Layout::new(folder.path().to_owned()), ..env.clone() };
    let checked = check::check(&staged, options.head).map_err(|error| unusable(&error, file, folder.path()))?;
    compare(&checked, &manifest, &options)?;
    let head = folder.at_place(record(&manifest, &staged))?;
    folder.publish()?;
    let certificates = checked.ledger.certificates;
    let directory = env.layout.dir().to_owned();
    // The files were checked before the folder was in its place.
    let moved =
        |text: String| text.replace(&staged.layout.dir().display().to_string(), &directory.display().to_string());
    let renamed = |finding: LedgerFinding| LedgerFinding {
        place: moved(finding.place),
        observed: moved(finding.observed),
        ..finding
    };
    let warnings = checked.warnings().into_iter().map(renamed).collect();
    Ok(RestoreReport { directory, manifest, certificates, head, warnings })
}

/// Returns the error for a directory that cannot be used, with paths relative to the directory.
fn unusable(error: &Error, file: &Path, staged: &Path) -> RestoreError {
    let reason = with_causes(error).replace(&format!("{}/", staged.display()), "");
    RestoreError::Directory { file: file.to_owned(), reason }
}

/// Compares the restored directory with the manifest and with what is expected.
fn compare(checked: &Checked, manifest: &BackupManifest, options: &RestoreOptions) -> Result<(), RestoreError> {
    let file = &options.file;
    let pin = checked.cas.cluster.pin();
    let other = [Some(manifest.root_pin), options.pin].into_iter().flatten().find(|expected| *expected != pin);
    if let Some(expected) = other {
        let (found, expected) = (pin.as_pin(), expected.as_pin());
        return Err(RestoreError::OtherCluster { file: file.clone(), found, expected });
    }
    if checked.cluster.name != manifest.cluster {
        let reason = format!("its cluster is called {}, and not {}", checked.cluster.name, manifest.cluster);
        return Err(RestoreError::Directory { file: file.clone(), reason });
    }
    let head = manifest.ledger_head.filter(|expected| checked.ledger.head != Some(*expected));
    match head.or(options.head.filter(|_| !checked.has_head())) {
        Some(expected) => Err(RestoreError::OtherHead { file: file.clone(), expected }),
        None => Ok(()),
    }
}

/// Records the restore in the restored ledger, and returns the last link of its hash chain.
fn record(manifest: &BackupManifest, staged: &Env) -> Result<Option<Fingerprint>, StoreError> {
    let mut ledger = Ledger::open(&staged.layout.ledger())?;
    let detail = format!("backup of {} by {}", stamp(manifest.created), manifest.created_by);
    ledger.log_event("restore", manifest.cluster.as_str(), &detail, &staged.audit())?;
    ledger.chain_head()
}

/// Writes the restored files into a folder with a temporary name.
struct Receiver<'a> {
    folder: RestoredFolder,
    options: &'a RestoreOptions,
}

impl BackupReceiver for Receiver<'_> {
    type Error = Error;

    /// Refuses the backup of another cluster before any of its files is written.
    fn manifest(&mut self, manifest: &BackupManifest) -> Result<(), Error> {
        match self.options.pin {
            Some(expected) if expected != manifest.root_pin => Err(RestoreError::OtherCluster {
                file: self.options.file.clone(),
                found: manifest.root_pin.as_pin(),
                expected: expected.as_pin(),
            }
            .into()),
            _ => Ok(()),
        }
    }

    fn folder(&mut self, folder: &FolderEntry) -> Result<(), Error> {
        Ok(self.folder.add_folder(&folder.path, folder.mode)?)
    }

    fn file(&mut self, file: &FileEntry, content: &mut dyn Read) -> Result<(), Error> {
        Ok(self.folder.add_file(&file.path, file.mode, content)?)
    }
}
