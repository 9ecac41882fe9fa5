//! Creates a backup.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::check::{self, Checked};
use super::error::BackupError;
use crate::app::ca::signer;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::ledger::LedgerFinding;
use crate::app::observer::Observer;
use crate::bundle::backup::{BackupWriter, WriteBackupError};
use crate::bundle::backup_manifest::{BackupFacts, BackupManifest, FileEntry, FolderEntry};
use crate::bundle::encryption::Encryptor;
use crate::bundle::format::encrypted_name;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::signer::Signer;
use crate::cluster::spec::{Cluster, Host};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::hasher::Hasher;
use crate::store::backup_source::{self, LedgerCopy, Source, SourceEntry};
use crate::store::credentials;
use crate::store::error::StoreError;
use crate::store::files::{self, Input, NewFile, PRIVATE};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;

/// The kind of the event that records a backup.
pub const BACKUP_EVENT: &str = "backup";

/// Options of a backup.
#[derive(Debug)]
pub struct BackupOptions {
    /// The file, which must not exist.
    pub file: PathBuf,
    /// Encrypts the file.
    pub encryptor: Encryptor,
    /// Whether the backup includes the hosts' bundles.
    pub bundles: bool,
}

/// Something that is not in the backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// The folder of templates, which is outside of the cluster directory.
    Templates(PathBuf),
    /// The key of a CA, which is not in the cluster directory, and which no holder has.
    Key(PathBuf),
    /// The key of a CA that a PKCS#11 token or a program holds.
    HeldKey {
        /// The CA.
        role: CaRole,
        /// The path that the key would have as a file.
        path: PathBuf,
        /// The holder.
        holder: Box<Signer>,
    },
    /// An encrypted bundle with the only copy of its host's keys: those in the directory were deleted with
    /// `--discard-keys`.
    Bundle {
        /// The host.
        host: HostName,
        /// The path of the bundle, which may not exist any more.
        path: PathBuf,
    },
}

/// The result of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// The file.
    pub file: PathBuf,
    /// Its length, in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Fingerprint,
    /// The description of its content.
    pub manifest: BackupManifest,
    /// The number of certificates in the ledger.
    pub certificates: usize,
    /// Files that are not in it.
    pub left_out: Vec<LeftOut>,
    /// Findings about the ledger that did not prevent the backup.
    pub warnings: Vec<LedgerFinding>,
}

/// Backs the cluster directory up into a new encrypted file.
///
/// The file is written completely or not at all. Its content is consistent, because a lock keeps other commands from
/// writing meanwhile.
///
/// # Errors
/// Returns [`BackupError`], or an error if the directory is incomplete or damaged, a file cannot be read, or the backup
/// cannot be written.
pub fn backup(options: &BackupOptions, env: &Env, observer: &mut dyn Observer) -> Result<BackupReport, Error> {
    let BackupOptions { file, encryptor, bundles } = options;
    if files::exists(file) {
        return Err(StoreError::Exists(file.clone()).into());
    }
    let _lock = directory::lock(env, "backup", observer)?;
    let layout = &env.layout;
    let checked = check::check(env, None)?;
    let templates = Templates::of(&checked.cluster, layout);
    check_is_outside(file, layout, &templates)?;
    files::sweep(&layout.pki())?;
    let mut ledger = Ledger::open(&layout.ledger())?;
    let copy = LedgerCopy::make(&ledger, &layout.ledger())?;
    let head = Ledger::open_read_only(&copy.path())?.chain_head()?;
    if head != checked.ledger.head {
        return Err(BackupError::Changed(layout.ledger()).into());
    }
    let source = backup_source::list(layout, *bundles, templates.inside.as_deref())?;
    let directory = Directory { layout, copy: &copy };
    let manifest = directory.manifest(source, env, &checked, *bundles)?;
    let (size, sha256) = directory.write(file, encryptor, &manifest)?;
    // The event is recorded after the backup exists, because writing the backup can fail.
    ledger.log_event(
        BACKUP_EVENT,
        manifest.cluster.as_str(),
        &format!("{}, SHA-256 {sha256}", file.display()),
        &env.audit(),
    )?;
    let mut left_out: Vec<LeftOut> = templates.outside.into_iter().map(LeftOut::Templates).collect();
    left_out.extend(CaRole::ALL.into_iter().flat_map(|role| keys_elsewhere(role, &checked, layout)));
    if !bundles {
        left_out.extend(only_in_bundles(&checked.cluster, &ledger, layout)?);
    }
    let certificates = checked.ledger.certificates;
    Ok(BackupReport {
        file: file.clone(),
        size,
        sha256,
        manifest,
        certificates,
        left_out,
        warnings: checked.warnings(),
    })
}

/// Returns the keys of a role's CAs that are not in the directory.
fn keys_elsewhere(role: CaRole, checked: &Checked, layout: &Layout) -> Vec<LeftOut> {
    let path = layout.root_key(role);
    let own = signer(role, &checked.cluster, layout);
    // The CA that replaces it may have a holder of its own.
    let is_rotating = checked.cas.of(role).rotation().is_some();
    let next = checked.cluster.next_signer(role).filter(|next| is_rotating && own != Some(*next));
    let held = own.into_iter().chain(next);
    let held = held.map(|holder| LeftOut::HeldKey { role, path: path.clone(), holder: Box::new(holder.clone()) });
    let mut left_out: Vec<LeftOut> = held.collect();
    if own.is_none() && !files::exists(&path) {
        left_out.push(LeftOut::Key(path));
    }
    left_out
}

/// Returns the bundles with the only copies of the keys of current certificates.
fn only_in_bundles(cluster: &Cluster, ledger: &Ledger, layout: &Layout) -> Result<Vec<LeftOut>, StoreError> {
    let discarded = ledger.discarded_keys()?;
    if discarded.is_empty() {
        return Ok(Vec::new());
    }
    let has_no_key = |host: &&Host| {
        cluster.node_specs(host).iter().any(|spec| {
            let certificate = credentials::read_certificate(layout, spec);
            credentials::key_file(layout, spec).is_none()
                && certificate.is_ok_and(|certificate| discarded.contains(&certificate.fingerprint()))
        })
    };
    let bundle = |host: &Host| {
        let path = layout.bundles().join(encrypted_name(&host.name));
        LeftOut::Bundle { host: host.name.clone(), path }
    };
    Ok(cluster.nodes.iter().filter(has_no_key).map(bundle).collect())
}

/// The folder of templates that the cluster file names.
struct Templates {
    /// Its path if it is in the cluster directory.
    inside: Option<PathBuf>,
    /// Its path if it is elsewhere.
    outside: Option<PathBuf>,
}

impl Templates {
    fn of(cluster: &Cluster, layout: &Layout) -> Self {
        let none = Self { inside: None, outside: None };
        let Some(folder) = &cluster.templates else { return none };
        let is_plain = Path::new(folder)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
        // `components` removes `.`, so that the path is the one in the archive.
        let path: PathBuf = layout.dir().join(folder).components().collect();
        match is_plain && path != layout.dir() {
            true => Self { inside: Some(path), ..none },
            false => Self { outside: Some(path), ..none },
        }
    }
}

/// Refuses a file in a folder that is backed up: the next backup would contain it.
fn check_is_outside(file: &Path, layout: &Layout, templates: &Templates) -> Result<(), BackupError> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folders = [layout.pki(), layout.policy(), layout.bundles()];
    let mut folders = folders.iter().chain(&templates.inside);
    let mut above = parent.ancestors().filter_map(files::folder_id);
    let ids: Vec<(u64, u64)> = folders.by_ref().filter_map(|folder| files::folder_id(folder)).collect();
    if above.any(|id| ids.contains(&id)) { Err(BackupError::Inside(file.to_owned())) } else { Ok(()) }
}

/// The directory that is backed up.
struct Directory<'a> {
    layout: &'a Layout,
    copy: &'a LedgerCopy,
}

impl Directory<'_> {
    /// Returns the manifest. Reads every file to compute its SHA-256.
    fn manifest(&self, source: Source, env: &Env, checked: &Checked, bundles: bool) -> Result<BackupManifest, Error> {
        let mut entries = source.files;
        let ledger = self.ledger_path();
        entries.push(SourceEntry { path: ledger, mode: PRIVATE });
        let read = |SourceEntry { path, mode }: SourceEntry| -> Result<FileEntry, StoreError> {
            let mut file = self.open(&path)?;
            let mut hasher = Hasher::default();
            let size = io::copy(&mut file, &mut hasher)
                .map_err(|error| backup_source::read_error(&self.layout.dir().join(&path), &error))?;
            Ok(FileEntry { path, mode, size, sha256: hasher.finish() })
        };
        let files = entries.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let folder = |SourceEntry { path, mode }| FolderEntry { path, mode };
        let facts = BackupFacts {
            cluster: checked.cluster.name.clone(),
            created: env.now,
            created_by: env.actor.clone(),
            root_pin: checked.cas.cluster.pin(),
            ledger_head: checked.ledger.head,
            bundles,
        };
        let folders = source.folders.into_iter().map(folder).collect();
        Ok(BackupManifest::new(facts, folders, files).map_err(BackupError::Unsuited)?)
    }

    fn ledger_path(&self) -> String {
        let ledger = self.layout.ledger();
        ledger.strip_prefix(self.layout.dir()).unwrap_or(&ledger).display().to_string()
    }

    /// Opens a file of the backup; for the ledger, its copy.
    fn open(&self, path: &str) -> Result<Input, StoreError> {
        match path == self.ledger_path() {
            true => backup_source::open(&self.copy.path()),
            false => backup_source::open(&self.layout.dir().join(path)),
        }
    }

    /// Writes the backup and returns the length and the SHA-256 of the file.
    fn write(
        &self,
        file: &Path,
        encryptor: &Encryptor,
        manifest: &BackupManifest,
    ) -> Result<(u64, Fingerprint), Error> {
        let failed = |error: WriteBackupError| -> Error {
            match error {
                WriteBackupError::Changed(path) => BackupError::Changed(self.layout.dir().join(path)).into(),
                WriteBackupError::Manifest(error) => BackupError::Unsuited(error).into(),
                WriteBackupError::Encrypt(error) => BackupError::Encrypt(error).into(),
                WriteBackupError::Io(error) => NewFile::error(file, &error).into(),
            }
        };
        let out = Measured { inner: NewFile::begin(file, PRIVATE)?, length: 0, hasher: Hasher::default() };
        let mut writer = BackupWriter::begin(BufWriter::new(out), encryptor, manifest).map_err(failed)?;
        for folder in &manifest.folders {
            writer.add_folder(folder).map_err(failed)?;
        }
        for entry in &manifest.files {
            let content = self.open(&entry.path)?;
            writer.add_file(entry, content).map_err(failed)?;
        }
        let out = writer.finish().map_err(failed)?;
        let out = out.into_inner().map_err(|error| NewFile::error(file, error.error()))?;
        let Measured { inner, length, hasher } = out;
        inner.commit()?;
        Ok((length, hasher.finish()))
    }
}

/// A writer that counts the written bytes and computes their SHA-256.
struct Measured<W> {
    inner: W,
    length: u64,
    hasher: Hasher,
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.length += written as u64;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
