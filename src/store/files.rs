//! Reads with a limit and writes that are never half-visible: the mode is set when the file is created, under a
//! temporary name beside its place, synced, and only then renamed into it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(target_os = "linux")]
use rustix::fs::OFlags;
use rustix::fs::{AtFlags, CWD, RenameFlags, renameat_with, statat};
use time::OffsetDateTime;

use super::error::StoreError;

/// Begins the names of files and folders that are not finished; a crash can leave some, and the next run removes them.
const UNFINISHED: &str = ".unfinished-";
/// Mode of what everybody may read.
pub const PUBLIC: u32 = 0o644;
/// Mode of what its owner alone may read.
pub const PRIVATE: u32 = 0o600;
/// Mode of folders.
pub const FOLDER: u32 = 0o700;

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// [`StoreError::Missing`] when it is not there, [`StoreError::TooLarge`], or what the system says.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    read_with_mode(path, limit).map(|(bytes, _)| bytes)
}

/// As [`read`], with the file's permission bits.
///
/// # Errors
/// As [`read`].
pub fn read_with_mode(path: &Path, limit: u64) -> Result<(Vec<u8>, u32), StoreError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Missing(path.to_owned()),
        _ => StoreError::io("read", path, &error),
    };
    let file = open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
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

/// Opens a file for reading, where the system allows it without a note on the disk of when that was: after a large issue every
/// first read would be a write, too.
fn open(path: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        // Others than the file's owner may not ask for that.
        let quiet = OpenOptions::new().read(true).custom_flags(OFlags::NOATIME.bits().cast_signed()).open(path);
        if quiet.is_ok() {
            return quiet;
        }
    }
    File::open(path)
}

/// True when something is at `path`, a broken link too.
#[must_use]
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// True when nothing is at `path`, and not when nobody can tell.
#[must_use]
pub fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The permission bits of a file.
///
/// # Errors
/// What the system says.
pub fn mode(path: &Path) -> Result<u32, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| StoreError::io("read", path, &error))?;
    Ok(metadata.permissions().mode() & 0o7777)
}

/// A file's length in bytes.
///
/// # Errors
/// What the system says.
pub fn size(path: &Path) -> Result<u64, StoreError> {
    fs::metadata(path).map(|facts| facts.len()).map_err(|error| StoreError::io("read", path, &error))
}

/// What tells a file from any other, and from itself after a change: nobody but the kernel, or whoever may set the clock, sets
/// the time of its last change (ctime).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// When the kernel saw its last change.
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether its last change was before that.
    pub(super) fn changed_before(&self, moment: OffsetDateTime) -> bool {
        self.changed < (moment.unix_timestamp(), i64::from(moment.nanosecond()))
    }
}

/// The identity of the file at `path`; `None` when it cannot be looked at.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| Identity::of(&metadata))
}

/// Looks at many files below one folder, without going down to it for each.
#[derive(Debug)]
pub(super) struct Looker(File);

impl Looker {
    /// At this folder.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn at(folder: &Path) -> io::Result<Self> {
        File::open(folder).map(Self)
    }

    /// As [`identity`] of the file at that path in the folder.
    pub(super) fn identity(&self, path: &str) -> Option<Identity> {
        let found = statat(&self.0, path, AtFlags::empty()).ok()?;
        Some(Identity {
            inode: found.st_ino,
            size: u64::try_from(found.st_size).ok()?,
            modified: (found.st_mtime, i64::try_from(found.st_mtime_nsec).ok()?),
            changed: (found.st_ctime, i64::try_from(found.st_ctime_nsec).ok()?),
        })
    }
}

/// The names in a folder, sorted, without what is hidden; empty when there is no such folder.
///
/// # Errors
/// What the system says.
pub fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |error: io::Error| StoreError::io("list", folder, &error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.into_string().ok().filter(|name| !name.starts_with('.')));
    }
    names.sort_unstable();
    Ok(names)
}

/// The files below `folder`, as paths relative to it with `/`, sorted.
///
/// # Errors
/// [`StoreError::InTheWay`] for a link, which is not followed; or what the system says.
pub fn files_below(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((dir, prefix)) = open.pop() {
        let failed = |error: io::Error| StoreError::io("list", &dir, &error);
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
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
pub enum Durable {
    /// Before the write returns.
    Now,
    /// With the [`sync_all`] that follows a batch.
    WithTheBatch,
}

fn write_file(path: &Path, bytes: &[u8], mode: u32, durable: Durable) -> Result<File, StoreError> {
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

fn rename(from: &Path, to: &Path, how: RenameFlags) -> Result<(), StoreError> {
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

/// A file of a batch: its name in the folder, its bytes, its mode.
pub type NewFile<'a> = (String, &'a [u8], u32);

/// Files that lie beside their places; removed unless they get there.
#[derive(Debug)]
pub struct LaidFiles(Vec<Unfinished>);

/// Lays many files into one folder under temporary names, not yet on the disk.
///
/// # Errors
/// What the system says; nothing is left behind then.
pub fn lay_all(folder: &Path, files: &[NewFile<'_>]) -> Result<LaidFiles, StoreError> {
    // One after the other: the folder lets in one at a time, and those that wait would only spin.
    let lay = |(name, bytes, mode): &NewFile<'_>| {
        let place = folder.join(name);
        let unfinished = Unfinished { path: unfinished_sibling(&place), place, published: false };
        write_file(&unfinished.path, bytes, *mode, Durable::WithTheBatch)?;
        Ok(unfinished)
    };
    files.iter().map(lay).collect::<Result<_, _>>().map(LaidFiles)
}

impl LaidFiles {
    /// Brings them onto the disk, and then each into its place, where another may be. Durable on return.
    ///
    /// # Errors
    /// What the system says; places that were not yet reached are untouched then.
    pub fn settle(self, folder: &Path) -> Result<(), StoreError> {
        sync_all(folder)?;
        self.0.into_iter().try_for_each(Unfinished::publish)?;
        sync_folder(folder)
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
            Err(error) if error.kind() != io::ErrorKind::NotFound && is_folder(&path) => fs::remove_dir_all(&path),
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

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// A file under its temporary name; removed unless it gets to its place.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    place: PathBuf,
    published: bool,
}

impl Unfinished {
    fn publish(mut self) -> Result<(), StoreError> {
        rename(&self.path, &self.place, RenameFlags::empty())?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A folder that is being filled beside its place and then appears whole.
#[derive(Debug)]
pub struct Staged {
    unfinished: PathBuf,
    place: PathBuf,
    published: bool,
}

impl Staged {
    /// Begins the folder that is to appear at `place`, whose parent exists.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(place: &Path) -> Result<Self, StoreError> {
        let unfinished = unfinished_sibling(place);
        DirBuilder::new()
            .mode(FOLDER)
            .create(&unfinished)
            .map_err(|error| StoreError::io("create", &unfinished, &error))?;
        Ok(Self { unfinished, place: place.to_owned(), published: false })
    }

    /// Adds a file, and tells by what it can be known again. It is on the disk only after [`sync_all`].
    ///
    /// # Errors
    /// What the system says.
    pub fn add(&self, name: &str, bytes: &[u8], mode: u32) -> Result<Identity, StoreError> {
        let path = self.unfinished.join(name);
        let file = write_file(&path, bytes, mode, Durable::WithTheBatch)?;
        let metadata = file.metadata().map_err(|error| StoreError::io("write", &path, &error))?;
        Ok(Identity::of(&metadata))
    }

    /// Adds a file at a path below, with its folders, whose mode is 0700.
    ///
    /// # Errors
    /// What the system says.
    pub fn add_below(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            create_folder(&self.unfinished.join(folder))?;
        }
        self.add(path, bytes, mode).map(|_| ())
    }

    /// Takes over every file of the folder that it is to replace, but those that were added and those that are `replaced`: what
    /// a person laid there is nobody's to lose.
    ///
    /// # Errors
    /// [`StoreError::InTheWay`] for anything that is no plain file, or what the system says.
    pub fn keep_others(&self, replaced: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::io("list", &self.place, &error);
        match fs::symlink_metadata(&self.place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Ok(metadata) if !metadata.is_dir() => return Err(StoreError::InTheWay(self.place.clone())),
            _ => {}
        }
        let entries = match fs::read_dir(&self.place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let here = self.unfinished.join(&name);
            if !entry.file_type().map_err(failed)?.is_file() {
                return Err(StoreError::InTheWay(entry.path()));
            }
            if exists(&here) || name.to_str().is_some_and(&replaced) {
                continue;
            }
            fs::hard_link(entry.path(), &here).map_err(|error| StoreError::io("keep", &entry.path(), &error))?;
        }
        Ok(())
    }

    /// Where it is being filled.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Puts the folder in its place, where nothing may be yet.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when something is, or what the system says.
    pub fn publish_new(mut self) -> Result<(), StoreError> {
        rename(&self.unfinished, &self.place, RenameFlags::NOREPLACE)?;
        self.published = true;
        sync_folder(parent(&self.place))
    }

    /// Puts the folder in its place, in exchange for one that may be there, which is removed. To be called after
    /// [`sync_all`], so that what appears is whole after a power failure, too.
    ///
    /// # Errors
    /// What the system says; the old folder is untouched then.
    pub fn publish(mut self) -> Result<(), StoreError> {
        match rename(&self.unfinished, &self.place, RenameFlags::NOREPLACE) {
            Err(StoreError::Exists(_)) => {}
            done => {
                self.published = done.is_ok();
                return done;
            }
        }
        match renameat_with(CWD, &self.unfinished, CWD, &self.place, RenameFlags::EXCHANGE) {
            // The exchanged, old folder is removed by `drop`.
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                let old = unfinished_sibling(&self.place);
                rename(&self.place, &old, RenameFlags::empty())?;
                rename(&self.unfinished, &self.place, RenameFlags::empty())?;
                self.published = true;
                let _ = fs::remove_dir_all(old);
                Ok(())
            }
            Err(error) => Err(StoreError::io("write", &self.place, &error.into())),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
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
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(|error| StoreError::io("remove", &path, &error))?;
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(|error| StoreError::io("sync", folder, &error))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unfinished_sibling(path: &Path) -> PathBuf {
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
        assert_eq!(read(&path, 100), Ok(b"secret".to_vec()));
        assert_eq!(fs::metadata(&path).and_then(|metadata| metadata.accessed()).expect("a time"), long_ago);
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

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = dir.path().join("worker-1");
        let staged = Staged::begin(&place).expect("begun");
        staged.add("a", b"1", PUBLIC).expect("added");
        assert!(!exists(&place));
        staged.publish().expect("published");
        assert_eq!(read(&place.join("a"), 9), Ok(b"1".to_vec()));
        let again = Staged::begin(&place).expect("begun");
        again.add("b", b"2", PUBLIC).expect("added");
        again.publish().expect("exchanged");
        assert_eq!(names_in(&place), Ok(vec!["b".to_owned()]));
        let dropped = Staged::begin(&place).expect("begun");
        drop(dropped);
        std::mem::forget(Staged::begin(&place).expect("a killed process's"));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2);
        sweep(dir.path()).expect("swept");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
