//! Backups: an encrypted tar archive with a manifest first, written and read a file at a time.

use std::io::{self, Read, Write};

use tar::{Archive, Builder, Entry, EntryType, Header};

use super::backup_manifest::{BackupManifest, BackupManifestError, FileEntry, FolderEntry, MANIFEST, MAX_MANIFEST};
use super::encrypted_stream::{DecryptedStream, StreamError};
use super::encryption::{EncryptError, EncryptedWriter, Encryptor};
use crate::pki::hasher::Hasher;

/// The most bytes that may follow the last entry: zeros, as tar pads its archives.
const MAX_PADDING: u64 = 1 << 20;

/// Errors of writing a backup.
#[derive(Debug, thiserror::Error)]
pub enum WriteBackupError {
    /// A file is not what the manifest says.
    #[error("{0} was changed while it was read")]
    Changed(String),
    /// The manifest is not one that can be read again.
    #[error(transparent)]
    Manifest(#[from] BackupManifestError),
    /// It cannot be encrypted.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// It cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a backup.
pub struct BackupWriter<W: Write> {
    tar: Builder<EncryptedWriter<W>>,
    /// The time of all entries, in Unix seconds.
    time: u64,
}

impl<W: Write> BackupWriter<W> {
    /// Begins with the manifest.
    ///
    /// # Errors
    /// Returns an error if it cannot be encoded, encrypted or written.
    pub fn begin(out: W, encryptor: &Encryptor, manifest: &BackupManifest) -> Result<Self, WriteBackupError> {
        let json = manifest.to_json()?;
        let time = u64::try_from(manifest.created.unix_timestamp()).unwrap_or(0);
        let mut writer = Self { tar: Builder::new(encryptor.writer(out)?), time };
        let mut header = writer.header(EntryType::Regular, 0o600, json.len() as u64);
        writer.tar.append_data(&mut header, MANIFEST, json.as_slice())?;
        Ok(writer)
    }

    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(self.time);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    /// Adds a folder.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn add_folder(&mut self, folder: &FolderEntry) -> Result<(), WriteBackupError> {
        let mut header = self.header(EntryType::Directory, folder.mode, 0);
        Ok(self.tar.append_data(&mut header, &folder.path, io::empty())?)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// Returns [`WriteBackupError::Changed`], or when it cannot be written.
    pub fn add_file(&mut self, file: &FileEntry, content: impl Read) -> Result<(), WriteBackupError> {
        let mut header = self.header(EntryType::Regular, file.mode, file.size);
        let mut hashed = Hashed::new(content.take(file.size.saturating_add(1)));
        self.tar.append_data(&mut header, &file.path, &mut hashed)?;
        match hashed.has_read(file) {
            true => Ok(()),
            false => Err(WriteBackupError::Changed(file.path.clone())),
        }
    }

    /// Ends the backup.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn finish(self) -> Result<W, WriteBackupError> {
        Ok(self.tar.into_inner()?.finish()?)
    }
}

/// A reader that computes the length and the SHA-256 of what it reads.
struct Hashed<R> {
    inner: R,
    length: u64,
    hasher: Hasher,
}

impl<R> Hashed<R> {
    fn new(inner: R) -> Self {
        Self { inner, length: 0, hasher: Hasher::default() }
    }

    fn has_read(self, file: &FileEntry) -> bool {
        self.length == file.size && self.hasher.finish() == file.sha256
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.length += read as u64;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// Errors of the content of a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupContentError {
    /// The manifest is missing or refused.
    #[error(transparent)]
    Manifest(#[from] BackupManifestError),
    /// It is not a tar archive.
    #[error("it is not a tar archive: {0}")]
    NotTar(String),
    /// An entry is not the one that the manifest has next, or not of its kind.
    #[error("{0:?} is in the place of another entry, or is not listed")]
    Unexpected(String),
    /// An entry of the manifest is missing.
    #[error("{0:?} is listed and missing")]
    Missing(String),
    /// A file is not what the manifest says.
    #[error("{0:?} is not the file that the manifest describes")]
    Changed(String),
    /// Something follows the last entry.
    #[error("something follows its last file")]
    Trailing,
}

/// Errors of reading a backup; `E` is that of the receiver.
#[derive(Debug)]
pub enum UnpackError<E> {
    /// The file cannot be decrypted or read.
    Stream(StreamError),
    /// It is not a backup, or not one that clusterctl wrote.
    Content(BackupContentError),
    /// The receiver failed.
    Receiver(E),
}

/// Receives the content of a backup.
pub trait BackupReceiver {
    /// Its error.
    type Error;

    /// Receives the manifest, before anything else.
    ///
    /// # Errors
    /// Returns an error if the backup is refused.
    fn manifest(&mut self, manifest: &BackupManifest) -> Result<(), Self::Error>;

    /// Receives a folder, before what is in it.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    fn folder(&mut self, folder: &FolderEntry) -> Result<(), Self::Error>;

    /// Receives a file. What is read may still turn out to be another content than the manifest's.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    fn file(&mut self, file: &FileEntry, content: &mut dyn Read) -> Result<(), Self::Error>;
}

/// Reads a whole backup, and gives its entries to `receiver` in the order of the manifest.
///
/// Where it succeeds, the archive has exactly what the manifest lists, and the encrypted file is complete.
///
/// # Errors
/// At the first byte that is not as it has to be.
pub fn unpack<I: Read, T: BackupReceiver>(
    stream: DecryptedStream<I>,
    receiver: &mut T,
) -> Result<BackupManifest, UnpackError<T::Error>> {
    let failure = stream.failure();
    let mut archive = Archive::new(stream);
    let unpacked = entries(&mut archive, receiver).and_then(|manifest| {
        let mut rest = Vec::new();
        let read = archive.into_inner().take(MAX_PADDING + 1).read_to_end(&mut rest);
        read.map_err(|error| UnpackError::Stream(StreamError::Read(error.to_string())))?;
        let is_padding = rest.len() as u64 <= MAX_PADDING && rest.iter().all(|byte| *byte == 0);
        if is_padding { Ok(manifest) } else { Err(UnpackError::Content(BackupContentError::Trailing)) }
    });
    // An error of the stream is the cause of all others.
    match failure.take() {
        Some(error) => Err(UnpackError::Stream(error)),
        None => unpacked,
    }
}

fn entries<I: Read, T: BackupReceiver>(
    archive: &mut Archive<DecryptedStream<I>>,
    receiver: &mut T,
) -> Result<BackupManifest, UnpackError<T::Error>> {
    let content = UnpackError::Content;
    let not_tar = |error: io::Error| UnpackError::Content(BackupContentError::NotTar(error.to_string()));
    let mut entries = archive.entries().map_err(not_tar)?;
    let mut next = || entries.next().transpose().map_err(not_tar);
    let Some(mut first) = next()? else { return Err(content(BackupManifestError::NotOne.into())) };
    if !is(&first, MANIFEST, EntryType::Regular) || first.size() > MAX_MANIFEST {
        return Err(content(BackupManifestError::NotOne.into()));
    }
    let mut json = Vec::new();
    first.read_to_end(&mut json).map_err(not_tar)?;
    drop(first);
    let manifest = BackupManifest::read(&json).map_err(|error| content(error.into()))?;
    drop(json);
    receiver.manifest(&manifest).map_err(UnpackError::Receiver)?;
    for folder in &manifest.folders {
        let Some(entry) = next()? else { return Err(content(BackupContentError::Missing(folder.path.clone()))) };
        if !is(&entry, &folder.path, EntryType::Directory) {
            return Err(content(BackupContentError::Unexpected(path_of(&entry))));
        }
        receiver.folder(folder).map_err(UnpackError::Receiver)?;
    }
    for file in &manifest.files {
        let Some(entry) = next()? else { return Err(content(BackupContentError::Missing(file.path.clone()))) };
        if !is(&entry, &file.path, EntryType::Regular) {
            return Err(content(BackupContentError::Unexpected(path_of(&entry))));
        }
        if entry.size() != file.size {
            return Err(content(BackupContentError::Changed(file.path.clone())));
        }
        let mut hashed = Hashed::new(entry);
        receiver.file(file, &mut hashed).map_err(UnpackError::Receiver)?;
        if !hashed.has_read(file) {
            return Err(content(BackupContentError::Changed(file.path.clone())));
        }
    }
    match next()? {
        None => Ok(manifest),
        Some(entry) => Err(content(BackupContentError::Unexpected(path_of(&entry)))),
    }
}

fn is<R: Read>(entry: &Entry<'_, R>, path: &str, kind: EntryType) -> bool {
    let found = entry.path_bytes();
    // Programs write the path of a folder with a slash at its end.
    let found = found.strip_suffix(b"/").filter(|_| kind == EntryType::Directory).unwrap_or(&found);
    entry.header().entry_type() == kind && found == path.as_bytes()
}

fn path_of<R: Read>(entry: &Entry<'_, R>) -> String {
    String::from_utf8_lossy(&entry.path_bytes()).into_owned()
}
