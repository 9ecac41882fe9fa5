//! Files and folders that are written under temporary names and renamed when they are complete.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::error::StoreError;
use super::files::{
    Durable, FOLDER, create_folder, exists, give_folder, parent, remove_own_folder, rename, sync_all, sync_folder,
    unfinished_sibling, write_file,
};
use super::identity::Identity;

/// A file of a batch: its name in the folder, its bytes, and its mode.
pub type NewFile<'a> = (String, &'a [u8], u32);

/// Files under temporary names. They are removed on drop unless they are committed.
#[derive(Debug)]
pub struct StagedFiles(Vec<StagedFile>);

/// Writes many files into one folder under temporary names, without syncing them.
///
/// # Errors
/// Returns the system's error. In that case, no file remains.
pub fn stage_all(folder: &Path, files: &[NewFile<'_>]) -> Result<StagedFiles, StoreError> {
    // Sequentially, because the kernel creates only one file at a time in a folder, and waiting threads would only
    // spin.
    let stage = |(name, bytes, mode): &NewFile<'_>| {
        let place = folder.join(name);
        let staged = StagedFile { path: unfinished_sibling(&place), place, published: false };
        let written = write_file(&staged.path, bytes, *mode, Durable::WithTheBatch).map(drop);
        written.map_err(|error| error.at_place(&staged.path, &staged.place))?;
        Ok(staged)
    };
    files.iter().map(stage).collect::<Result<_, _>>().map(StagedFiles)
}

impl StagedFiles {
    /// Syncs the files to the disk, then renames each to its final name, replacing existing files. Durable on return.
    ///
    /// # Errors
    /// Returns the system's error; the files that were not renamed yet are removed, and the existing files are
    /// unchanged.
    pub fn commit(self, folder: &Path) -> Result<(), StoreError> {
        sync_all(folder)?;
        self.0.into_iter().try_for_each(StagedFile::publish)?;
        sync_folder(folder)
    }
}

/// A file under its temporary name. It is removed on drop unless it is published.
#[derive(Debug)]
struct StagedFile {
    path: PathBuf,
    place: PathBuf,
    published: bool,
}

impl StagedFile {
    fn publish(mut self) -> Result<(), StoreError> {
        rename(&self.path, &self.place, RenameFlags::empty())?;
        self.published = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A folder that is filled under a temporary name and then renamed, so that it appears complete.
#[derive(Debug)]
pub struct StagedFolder {
    unfinished: PathBuf,
    place: PathBuf,
    published: bool,
}

impl StagedFolder {
    /// Creates a temporary folder that will be renamed to `place`, whose parent must exist.
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn begin(place: &Path) -> Result<Self, StoreError> {
        let unfinished = unfinished_sibling(place);
        DirBuilder::new().mode(FOLDER).create(&unfinished).map_err(|error| StoreError::io("create", place, &error))?;
        give_folder(&unfinished);
        Ok(Self { unfinished, place: place.to_owned(), published: false })
    }

    /// Returns a result of work in the folder whose error names what the folder will be, instead of its temporary path.
    ///
    /// # Errors
    /// Returns that error.
    pub fn at_place<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.map_err(|error| error.at_place(&self.unfinished, &self.place))
    }

    /// Syncs the content of the folder to the disk.
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.at_place(sync_all(&self.unfinished))
    }

    /// Adds a file, and returns its identity. It is on the disk only after [`sync_all`].
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn add(&self, name: &str, bytes: &[u8], mode: u32) -> Result<Identity, StoreError> {
        let path = self.unfinished.join(name);
        let file = self.at_place(write_file(&path, bytes, mode, Durable::WithTheBatch))?;
        let metadata = file.metadata().map_err(|error| StoreError::io("write", &self.place.join(name), &error))?;
        Ok(Identity::of(&metadata))
    }

    /// Adds a file at a relative path, and creates its folders with mode 0700.
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn add_below(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.at_place(create_folder(&self.unfinished.join(folder)))?;
        }
        self.add(path, bytes, mode).map(|_| ())
    }

    /// Adds the file of this path in the folder that it will replace, as it is: its time of modification stays.
    ///
    /// # Errors
    /// Returns the system's error, as on a file system without hard links.
    pub fn keep_below(&self, path: &str) -> Result<(), StoreError> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.at_place(create_folder(&self.unfinished.join(folder)))?;
        }
        let (from, to) = (self.place.join(path), self.unfinished.join(path));
        fs::hard_link(&from, to).map_err(|error| StoreError::io("keep", &from, &error))
    }

    /// Copies every other file of the folder that will be replaced, because a user may have put it there.
    ///
    /// Files that were already added, and those for which `replaced` is true, are not copied.
    ///
    /// # Errors
    /// Returns [`StoreError::InTheWay`] for anything that is not a plain file, or the system's error.
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
            if name.to_str().is_some_and(&replaced) || exists(&here) {
                continue;
            }
            fs::hard_link(entry.path(), &here).map_err(|error| StoreError::io("keep", &entry.path(), &error))?;
        }
        Ok(())
    }

    /// Returns the temporary path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Renames the folder to its final path, which must not exist yet.
    ///
    /// # Errors
    /// Returns [`StoreError::Exists`] if something does, or the system's error.
    pub fn publish_new(mut self) -> Result<(), StoreError> {
        rename(&self.unfinished, &self.place, RenameFlags::NOREPLACE)?;
        self.published = true;
        sync_folder(parent(&self.place))
    }

    /// Renames the folder to its final path, and removes the folder that it replaces. Call [`sync_all`] first, so that
    /// the folder is also complete after a power failure.
    ///
    /// # Errors
    /// Returns the system's error. In that case, the old folder is unchanged.
    pub fn publish(self) -> Result<(), StoreError> {
        self.exchange().map(drop)
    }

    /// Like [`StagedFolder::publish`], but leaves the replaced folder under a temporary name, for
    /// [`super::files::sweep`].
    ///
    /// A file system may be slow to create files while others are being deleted: ext4 does not reuse an inode that was
    /// just freed, and searches for another. Therefore a run that replaces many folders deletes all of them at the end.
    ///
    /// # Errors
    /// Returns the errors of [`StagedFolder::publish`].
    pub fn publish_leaving_replaced(self) -> Result<(), StoreError> {
        self.exchange().map(|mut replaced| replaced.published = true)
    }

    /// Renames the folder to its final path, and returns the replaced folder under a temporary name, if there was one.
    fn exchange(mut self) -> Result<Self, StoreError> {
        match rename(&self.unfinished, &self.place, RenameFlags::NOREPLACE) {
            Err(StoreError::Exists(_)) => {}
            done => {
                self.published = done.is_ok();
                return done.map(|()| self);
            }
        }
        match renameat_with(CWD, &self.unfinished, CWD, &self.place, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(self),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                let old = unfinished_sibling(&self.place);
                rename(&self.place, &old, RenameFlags::empty()).map_err(|error| error.at_place(&old, &self.place))?;
                if let Err(error) = rename(&self.unfinished, &self.place, RenameFlags::empty()) {
                    rename(&old, &self.place, RenameFlags::empty())?;
                    return Err(error);
                }
                self.unfinished = old;
                Ok(self)
            }
            Err(error) => Err(StoreError::io("write", &self.place, &error.into())),
        }
    }
}

impl Drop for StagedFolder {
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
    fn a_folder_appears_complete_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = dir.path().join("worker-1");
        let staged = StagedFolder::begin(&place).expect("created");
        staged.add("a", b"1", PUBLIC).expect("added");
        assert!(!exists(&place));
        staged.publish().expect("published");
        assert_eq!(read(&place.join("a"), 9), Ok(b"1".to_vec()));
        let again = StagedFolder::begin(&place).expect("created");
        again.add("b", b"2", PUBLIC).expect("added");
        again.publish().expect("exchanged");
        assert_eq!(names_in(&place), Ok(vec!["b".to_owned()]));
        let third = StagedFolder::begin(&place).expect("created");
        third.add("c", b"3", PUBLIC).expect("added");
        third.publish_leaving_replaced().expect("exchanged");
        assert_eq!(names_in(&place), Ok(vec!["c".to_owned()]));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2, "the replaced folder waits to be swept");
        sweep(dir.path()).expect("swept");
        let dropped = StagedFolder::begin(&place).expect("created");
        drop(dropped);
        std::mem::forget(StagedFolder::begin(&place).expect("a killed process's"));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2);
        sweep(dir.path()).expect("swept");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
