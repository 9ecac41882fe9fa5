//! Files and folders that lie beside their places under temporary names until they are whole.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::error::StoreError;
use super::files::{
    Durable, FOLDER, create_folder, exists, parent, remove_own_folder, rename, sync_all, sync_folder,
    unfinished_sibling, write_file,
};
use super::identity::Identity;

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
                if let Err(error) = rename(&self.unfinished, &self.place, RenameFlags::empty()) {
                    rename(&old, &self.place, RenameFlags::empty())?;
                    return Err(error);
                }
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
            let _ = remove_own_folder(&self.unfinished);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::{PUBLIC, names_in, read, sweep};
    use super::*;

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
