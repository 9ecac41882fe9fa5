//! A cluster directory that is restored: it is filled beside its place, and appears there by one rename.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::error::StoreError;
use super::files::{FOLDER, PRIVATE, exists, give_file, give_folder, parent, remove_own_folder, sync_all, sync_folder};
use super::layout::UNFINISHED;

/// The number of names that are reported of a folder that is not empty.
const NAMED: usize = 5;

/// The state of the place of a cluster directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// There is nothing, or an empty folder: its path without links.
    Free(PathBuf),
    /// There is a folder with these names in it, at most five.
    Occupied(Vec<String>),
}

/// Returns the state of the place of a cluster directory.
///
/// # Errors
/// Returns [`StoreError::InTheWay`] if there is something other than a folder, or the system's error.
pub fn inspect(place: &Path) -> Result<Place, StoreError> {
    let failed = |error: io::Error| StoreError::io("list", place, &error);
    if !exists(place) {
        return Ok(Place::Free(place.to_owned()));
    }
    if !place.is_dir() {
        return Err(StoreError::InTheWay(place.to_owned()));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(place).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    names.truncate(NAMED);
    if names.is_empty() { fs::canonicalize(place).map(Place::Free).map_err(failed) } else { Ok(Place::Occupied(names)) }
}

/// A cluster directory under a temporary name; removed unless it is published.
#[derive(Debug)]
pub struct RestoredFolder {
    unfinished: PathBuf,
    place: PathBuf,
    /// The lock of the unfinished folder, which the kernel releases when the process ends.
    lock: Option<File>,
    /// The folders and the modes that they get at the end: one of them may not be writable.
    folders: Vec<(PathBuf, u32)>,
}

impl RestoredFolder {
    /// Begins the folder that will appear at `place`, which does not exist or is an empty folder. What a killed process left is
    /// removed.
    ///
    /// # Errors
    /// Returns [`StoreError::Locked`] while another process restores into the same place, or the system's error.
    pub fn begin(place: &Path) -> Result<Self, StoreError> {
        let mut name = OsString::from(format!("{UNFINISHED}restore-"));
        name.push(place.file_name().unwrap_or_default());
        let unfinished = parent(place).join(name);
        let failed = |error: io::Error| StoreError::io("create", place, &error);
        let create = || DirBuilder::new().mode(FOLDER).create(&unfinished);
        match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                drop(lock(&unfinished, place)?);
                remove_own_folder(&unfinished).and_then(|()| create()).map_err(failed)?;
            }
            created => created.map_err(failed)?,
        }
        give_folder(&unfinished);
        let lock = Some(lock(&unfinished, place)?);
        let mode = fs::metadata(place).map_or(FOLDER, |facts| facts.permissions().mode() & 0o777);
        let folders = vec![(unfinished.clone(), mode)];
        Ok(Self { unfinished, place: place.to_owned(), lock, folders })
    }

    /// Returns the path under which it is filled.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Returns a result of work in the folder whose error names what the folder will be, instead of its temporary path.
    ///
    /// # Errors
    /// Returns that error.
    pub fn at_place<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.map_err(|error| error.at_place(&self.unfinished, &self.place))
    }

    /// Adds a folder.
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn add_folder(&mut self, path: &str, mode: u32) -> Result<(), StoreError> {
        let folder = self.unfinished.join(path);
        let created = DirBuilder::new().mode(FOLDER).create(&folder);
        created.map_err(|error| StoreError::io("create", &self.place.join(path), &error))?;
        give_folder(&folder);
        self.folders.push((folder, mode));
        Ok(())
    }

    /// Adds a file. Its mode does not depend on the umask, and is never wider than `mode`; a private key's is 0600 at most.
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn add_file(&self, path: &str, mode: u32, content: &mut dyn Read) -> Result<(), StoreError> {
        let file = self.unfinished.join(path);
        let failed = |error: io::Error| StoreError::io("write", &self.place.join(path), &error);
        let mode = if path.ends_with(".key") { mode & PRIVATE } else { mode };
        let mut out =
            OpenOptions::new().write(true).create_new(true).mode(mode & PRIVATE).open(&file).map_err(failed)?;
        give_file(&out, &file);
        io::copy(content, &mut out).map_err(failed)?;
        out.set_permissions(Permissions::from_mode(mode)).map_err(failed)
    }

    /// Puts the folder in its place. Durable on return.
    ///
    /// # Errors
    /// Returns [`StoreError::Exists`] if something was put there meanwhile, or the system's error.
    pub fn publish(mut self) -> Result<(), StoreError> {
        for (folder, mode) in self.folders.iter().rev() {
            let set = fs::set_permissions(folder, Permissions::from_mode(*mode));
            self.at_place(set.map_err(|error| StoreError::io("write", folder, &error)))?;
        }
        self.at_place(sync_all(&self.unfinished))?;
        // This replaces an empty folder, and nothing else (rename(2)).
        match renameat_with(CWD, &self.unfinished, CWD, &self.place, RenameFlags::empty()) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY) => {
                return Err(StoreError::Exists(self.place.clone()));
            }
            Err(error) => return Err(StoreError::io("write", &self.place, &error.into())),
        }
        self.lock = None;
        sync_folder(parent(&self.place))
    }
}

impl Drop for RestoredFolder {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = remove_own_folder(&self.unfinished);
        }
    }
}

/// Locks the unfinished folder that will appear at `place`.
fn lock(folder: &Path, place: &Path) -> Result<File, StoreError> {
    let failed = |error: io::Error| StoreError::io("lock", place, &error);
    let file = File::open(folder).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Locked { holder: format!("a restore, into {}", place.display()) })
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(place: &Path) -> Result<RestoredFolder, StoreError> {
        let mut folder = RestoredFolder::begin(place)?;
        folder.add_folder("pki", 0o500)?;
        folder.add_file("pki/ca.key", 0o644, &mut b"secret".as_slice())?;
        folder.add_file("pki/ca.crt", 0o644, &mut b"public".as_slice())?;
        Ok(folder)
    }

    #[test]
    fn a_folder_appears_at_once_with_its_modes_in_place_of_nothing_or_an_empty_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let (absent, empty) = (dir.path().join("absent"), dir.path().join("empty"));
        fs::create_dir(&empty).expect("a folder");
        fs::set_permissions(&empty, Permissions::from_mode(0o750)).expect("a mode");
        let mode = |path: PathBuf| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        for (place, top) in [(absent, 0o700), (empty, 0o750)] {
            drop(restored(&place).expect("staged"));
            assert_eq!(inspect(&place), Ok(Place::Free(place.clone())), "what is not published is removed");
            let first = restored(&place).expect("staged");
            assert!(matches!(restored(&place), Err(StoreError::Locked { .. })));
            first.publish().expect("in its place");
            let modes = ["", "pki", "pki/ca.key", "pki/ca.crt"].map(|path| mode(place.join(path)));
            assert_eq!(modes, [top, 0o500, 0o600, 0o644]);
            assert_eq!(inspect(&place), Ok(Place::Occupied(vec!["pki".to_owned()])));
            assert_eq!(restored(&place).and_then(RestoredFolder::publish), Err(StoreError::Exists(place)));
        }
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2, "nothing unfinished stays");
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = dir.path().join("prod");
        let mut killed = restored(&place).expect("staged");
        killed.lock = None;
        drop(killed);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
        restored(&place).and_then(RestoredFolder::publish).expect("restored");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
