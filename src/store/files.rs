//! Reads with a limit and writes that are never half-visible: the mode is set when the file is created, under a
//! temporary name beside its place, synced, and only then renamed into it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

use zeroize::Zeroizing;

use super::error::StoreError;
use crate::pki::fingerprint::Fingerprint;

/// Begins the names of files and folders that are not finished; a crash can leave some, and the next run removes them.
pub(super) const UNFINISHED: &str = ".unfinished-";
/// Mode of what everybody may read.
pub const PUBLIC: u32 = 0o644;
/// Mode of what its owner alone may read.
pub const PRIVATE: u32 = 0o600;
/// Mode of folders.
pub const FOLDER: u32 = 0o700;

/// Reads a whole file of at most `limit` bytes. A pipe is not waited for.
///
/// # Errors
/// [`StoreError::Missing`] when it is not there, [`StoreError::TooLarge`], [`StoreError::InTheWay`] for a pipe, a socket or a
/// device, or what the system says.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    read_opened(open_with(path, OFlags::NONBLOCK), path, limit, is_in_the_way).map(|(bytes, _)| bytes)
}

/// Returns true for a file of no bytes.
pub(super) fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// As [`read`], but of pipes and devices, too, for as long as it takes: what a person named may be `/dev/stdin`, or `<(…)`.
///
/// # Errors
/// As [`read`].
pub fn read_or_wait(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    read_opened(File::open(path), path, limit, |_| false).map(|(bytes, _)| bytes)
}

/// As [`read`], with the file's permission bits; and, where the system allows it, without a note on the disk of when that was:
/// after a large issue every first read would be a write, too.
///
/// # Errors
/// As [`read`].
pub fn read_one_of_many(path: &Path, limit: u64) -> Result<(Vec<u8>, u32), StoreError> {
    read_opened(open_quietly(path), path, limit, is_in_the_way)
}

fn is_in_the_way(metadata: &Metadata) -> bool {
    !metadata.is_file() && !metadata.is_dir()
}

fn read_opened(
    opened: io::Result<File>,
    path: &Path,
    limit: u64,
    in_the_way: impl Fn(&Metadata) -> bool,
) -> Result<(Vec<u8>, u32), StoreError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Missing(path.to_owned()),
        _ => StoreError::io("read", path, &error),
    };
    let file = opened.map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if in_the_way(&metadata) {
        return Err(StoreError::InTheWay(path.to_owned()));
    }
    let length = metadata.len();
    if length > limit {
        return Err(StoreError::TooLarge { path: path.to_owned(), limit });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // A pipe or a file that grows has no length to go by.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(StoreError::TooLarge { path: path.to_owned(), limit });
    }
    Ok((bytes, metadata.permissions().mode() & 0o7777))
}

fn open_quietly(path: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        let quiet = open_with(path, OFlags::NONBLOCK | OFlags::NOATIME);
        // Others than the file's owner may not ask for that.
        if !quiet.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return quiet;
        }
    }
    open_with(path, OFlags::NONBLOCK)
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// True when something is at `path`, a broken link too.
#[must_use]
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// True when a folder is at `path`, or a link to one.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// True when a plain file is at `path`, or a link to one.
#[must_use]
pub fn is_plain_file(path: &Path) -> bool {
    path.is_file()
}

/// True when nothing is at `path`, and not when nobody can tell.
#[must_use]
pub fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// When a file or folder was changed last; `None` where there is none, or nobody can tell.
#[must_use]
pub fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// A file's owner that is not who runs this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The owner.
    pub uid: u32,
    /// Who runs this program.
    pub ours: u32,
}

/// The owner of a file or folder, where it is neither who runs this program nor, for root, who became root with `sudo`; `None` where
/// there is no such file, too.
#[must_use]
pub fn another_owner(path: &Path, sudo: Option<u32>) -> Option<Owner> {
    let (uid, ours) = (fs::metadata(path).ok()?.uid(), rustix::process::geteuid().as_raw());
    let known = uid == ours || (ours == 0 && sudo == Some(uid));
    (!known).then_some(Owner { uid, ours })
}

/// The permission bits of a file or folder.
///
/// # Errors
/// What the system says.
pub fn mode(path: &Path) -> Result<u32, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| StoreError::io("read", path, &error))?;
    Ok(metadata.permissions().mode() & 0o7777)
}

/// The permission bits of a plain file; none where there is no such, or nobody can tell.
#[must_use]
pub fn mode_of_file(path: &Path) -> Option<u32> {
    let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
    Some(metadata.permissions().mode() & 0o7777)
}

/// True if there is a plain file, and no link to one, with exactly these bytes and this mode.
#[must_use]
pub fn holds_exactly(path: &Path, bytes: &[u8], mode: u32) -> bool {
    let as_long = |facts: Metadata| {
        facts.is_file() && facts.permissions().mode() & 0o7777 == mode && facts.len() == bytes.len() as u64
    };
    fs::symlink_metadata(path).is_ok_and(as_long)
        && read(path, bytes.len() as u64).is_ok_and(|there| *Zeroizing::new(there) == *bytes)
}

/// True if a file can be read and begins with these bytes.
#[must_use]
pub fn begins_with(path: &Path, bytes: &[u8]) -> bool {
    let mut first = vec![0; bytes.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == bytes
}

/// Returns the SHA-256 of a plain file, and no link to one, that its owner alone can read.
#[must_use]
pub fn digest_of_private(path: &Path) -> Option<Fingerprint> {
    let facts = fs::symlink_metadata(path).ok()?;
    if !facts.is_file() || facts.permissions().mode() & 0o7777 != PRIVATE {
        return None;
    }
    read(path, facts.len()).ok().map(|bytes| Fingerprint::of(&bytes))
}

/// A file's length in bytes.
///
/// # Errors
/// What the system says.
pub fn size(path: &Path) -> Result<u64, StoreError> {
    fs::metadata(path).map(|facts| facts.len()).map_err(|error| StoreError::io("read", path, &error))
}

/// The names in a folder, sorted, without what is hidden; empty when there is no such folder.
///
/// # Errors
/// What the system says.
pub fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    list(folder).map(|listing| listing.names)
}

/// What is in a folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Sorted, without what is hidden.
    pub(super) names: Vec<String>,
    /// How much is not finished: a process is at it, or was killed.
    pub(super) unfinished: usize,
}

/// Lists a folder; nothing is in one that there is not.
///
/// # Errors
/// What the system says.
pub(super) fn list(folder: &Path) -> Result<Listing, StoreError> {
    let failed = |error: io::Error| StoreError::io("list", folder, &error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listing::default()),
        other => other.map_err(failed)?,
    };
    let mut listing = Listing::default();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        listing.unfinished += usize::from(name.to_string_lossy().starts_with(UNFINISHED));
        listing.names.extend(name.into_string().ok().filter(|name| !name.starts_with('.')));
    }
    listing.names.sort_unstable();
    Ok(listing)
}

/// The files below `folder`, as paths relative to it with `/`, sorted.
///
/// # Errors
/// [`StoreError::InTheWay`] for a link, which is not followed, and for a name that is not UTF-8; or what the system says.
pub fn files_below(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((dir, prefix)) = open.pop() {
        let failed = |error: io::Error| StoreError::io("list", &dir, &error);
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A name that is no text is nothing of ours, and nothing that could be told of and kept.
            let Ok(name) = entry.file_name().into_string() else { return Err(StoreError::InTheWay(entry.path())) };
            let kind = entry.file_type().map_err(failed)?;
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                open.push((entry.path(), format!("{path}/")));
            } else if kind.is_file() {
                found.push(path);
            } else {
                return Err(StoreError::InTheWay(entry.path()));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes a folder and its missing parents with mode 0700.
///
/// # Errors
/// What the system says.
pub fn create_folder(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path).map_err(|error| StoreError::io("create", path, &error))
}

/// Makes a folder and its missing parents for everybody to read, as far as the umask allows.
///
/// # Errors
/// What the system says.
pub fn create_open_folder(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).create(path).map_err(|error| StoreError::io("create", path, &error))
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// [`StoreError::Exists`] when it is, whoever made it in the meantime; or what the system says. Nothing is left behind.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    put(path, bytes, mode, RenameFlags::NOREPLACE)
}

/// Writes a file, in place of one that may be there.
///
/// # Errors
/// What the system says; the old file is untouched then, and nothing is left behind.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    put(path, bytes, mode, RenameFlags::empty())
}

fn put(path: &Path, bytes: &[u8], mode: u32, how: RenameFlags) -> Result<(), StoreError> {
    if how == RenameFlags::NOREPLACE && exists(path) {
        return Err(StoreError::Exists(path.to_owned()));
    }
    let unfinished = unfinished_sibling(path);
    let written = write_file(&unfinished, bytes, mode, Durable::Now)
        .and_then(|_| rename(&unfinished, path, how))
        .and_then(|()| sync_folder(parent(path)));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// When a written file has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// Before the write returns.
    Now,
    /// With the [`sync_all`] that follows a batch.
    WithTheBatch,
}

pub(super) fn write_file(path: &Path, bytes: &[u8], mode: u32, durable: Durable) -> Result<File, StoreError> {
    let failed = |error: io::Error| StoreError::io("write", path, &error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    match durable {
        Durable::Now => file.sync_all().map_err(failed)?,
        Durable::WithTheBatch => {}
    }
    Ok(file)
}

/// Writes a file that must not be there yet; it is on the disk only after [`sync_all`].
pub(super) fn write_with_the_batch(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    write_file(path, bytes, mode, Durable::WithTheBatch).map(|_| ())
}

pub(super) fn rename(from: &Path, to: &Path, how: RenameFlags) -> Result<(), StoreError> {
    match renameat_with(CWD, from, CWD, to, how) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(StoreError::Exists(to.to_owned())),
        // A file system without the flag (NFS, some FUSE): the earlier look has to do, under our lock.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if how == RenameFlags::NOREPLACE => {
            if exists(to) {
                return Err(StoreError::Exists(to.to_owned()));
            }
            fs::rename(from, to).map_err(|error| StoreError::io("write", to, &error))
        }
        Err(error) => Err(StoreError::io("write", to, &error.into())),
    }
}

/// Removes those of the files and folders, by their paths below `folder`, that are there. Durable on return.
///
/// # Errors
/// What the system says.
pub fn remove_all(folder: &Path, names: &[PathBuf]) -> Result<(), StoreError> {
    let mut removed = false;
    for name in names {
        let path = folder.join(name);
        // Most are not there, and asking first would take as long again.
        let gone = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound && is_itself_a_folder(&path) => {
                fs::remove_dir_all(&path)
            }
            tried => tried,
        };
        match gone {
            Ok(()) => removed = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("remove", &path, &error)),
        }
    }
    if removed { sync_all(folder) } else { Ok(()) }
}

/// Removes a folder with all that is in it, also where somebody took away our right to write in it, as far as it is ours.
pub(super) fn remove_own_folder(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path).or_else(|error| {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        fs::set_permissions(path, fs::Permissions::from_mode(FOLDER))?;
        fs::remove_dir_all(path)
    })
}

/// Not a link to one: that is removed, and what it leads to is not.
fn is_itself_a_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Brings everything written to the file system of `folder` to the disk.
///
/// # Errors
/// What the system says: a disk that fails here has lost what was written.
pub fn sync_all(folder: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::io("sync", folder, &error);
    let handle = File::open(folder).map_err(failed)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&handle).map_err(|error| failed(error.into()))?;
    #[cfg(not(target_os = "linux"))]
    {
        drop(handle);
        for path in files_below(folder)? {
            File::open(folder.join(path)).and_then(|file| file.sync_all()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Removes what a killed process left unfinished in `folder`. Only to be called under the lock.
///
/// # Errors
/// What the system says.
pub fn sweep(folder: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::io("clean", folder, &error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            let removed = if entry.file_type().map_err(failed)?.is_dir() {
                remove_own_folder(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(|error| StoreError::io("remove", &path, &error))?;
        }
    }
    Ok(())
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(|error| StoreError::io("sync", folder, &error))
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn unfinished_sibling(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(UNFINISHED);
    name.push(format!("{}-{count}", std::process::id()));
    parent(path).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn reading_leaves_no_note_on_the_disk_of_when_that_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        fs::write(&path, "secret").expect("written");
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let times = fs::FileTimes::new().set_accessed(long_ago);
        OpenOptions::new().write(true).open(&path).and_then(|file| file.set_times(times)).expect("set back");
        let accessed = || fs::metadata(&path).and_then(|metadata| metadata.accessed()).expect("a time");
        assert_eq!(read_one_of_many(&path, 100), Ok((b"secret".to_vec(), mode(&path).expect("a mode"))));
        // On a file system that is mounted with noatime this shows nothing.
        assert_eq!(accessed(), long_ago);
    }

    #[test]
    fn a_new_file_has_its_mode_and_is_never_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("ca.key");
        write_new(&path, b"one", PRIVATE).expect("written");
        assert_eq!(mode(&path), Ok(0o600));
        assert_eq!(write_new(&path, b"two", PRIVATE), Err(StoreError::Exists(path.clone())));
        assert_eq!(read(&path, 10), Ok(b"one".to_vec()));
        assert_eq!(read(&path, 2), Err(StoreError::TooLarge { path: path.clone(), limit: 2 }));
        replace(&path, b"two", PRIVATE).expect("replaced");
        assert_eq!(read(&path, 10), Ok(b"two".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
