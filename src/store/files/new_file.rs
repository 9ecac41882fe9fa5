//! A file of any size that appears complete in its place, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, linkat};

use super::owner::give_file;
use super::write::{parent, rename, unfinished_sibling};
use super::{exists, sync_folder};
use crate::store::error::StoreError;

/// A file that is being written.
///
/// It has no name until it is complete, where the file system can do that (Linux's `O_TMPFILE`): a process that is killed leaves
/// nothing. Elsewhere it has a temporary name beside its place.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    place: PathBuf,
    /// The temporary name, where it needs one.
    unfinished: Option<PathBuf>,
}

impl NewFile {
    /// Begins a file, which must not exist.
    ///
    /// # Errors
    /// Returns [`StoreError::Exists`], or the system's error.
    pub fn begin(place: &Path, mode: u32) -> Result<Self, StoreError> {
        if exists(place) {
            return Err(StoreError::Exists(place.to_owned()));
        }
        #[cfg(target_os = "linux")]
        {
            let flags = OFlags::TMPFILE.bits().cast_signed();
            let opened = OpenOptions::new().write(true).mode(mode).custom_flags(flags).open(parent(place));
            if let Ok(file) = opened {
                give_file(&file, place);
                return Ok(Self { file, place: place.to_owned(), unfinished: None });
            }
        }
        let unfinished = unfinished_sibling(place);
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished);
        let file = opened.map_err(|error| Self::error(place, &error))?;
        give_file(&file, place);
        Ok(Self { file, place: place.to_owned(), unfinished: Some(unfinished) })
    }

    /// Returns the store's error for a failure to write.
    #[must_use]
    pub fn error(place: &Path, error: &io::Error) -> StoreError {
        StoreError::io("write", place, error)
    }

    /// Puts the file in its place, where nothing may exist yet. Durable on return.
    ///
    /// # Errors
    /// Returns [`StoreError::Exists`], also if another process created it meanwhile, or the system's error. Nothing is
    /// left then.
    pub fn commit(mut self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|error| Self::error(&self.place, &error))?;
        match self.unfinished.take() {
            Some(unfinished) => {
                let renamed = rename(&unfinished, &self.place, RenameFlags::NOREPLACE);
                if renamed.is_err() {
                    self.unfinished = Some(unfinished);
                }
                renamed?;
            }
            None => {
                let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                match linkat(CWD, descriptor, CWD, &self.place, AtFlags::SYMLINK_FOLLOW) {
                    Err(rustix::io::Errno::EXIST) => return Err(StoreError::Exists(self.place.clone())),
                    linked => linked.map_err(|error| Self::error(&self.place, &error.into()))?,
                }
            }
        }
        sync_folder(parent(&self.place))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            let _ = fs::remove_file(unfinished);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::files::{mode, read};

    #[test]
    fn a_file_appears_when_it_is_complete_and_replaces_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = dir.path().join("backup");
        let mut file = NewFile::begin(&place, 0o600).expect("created");
        file.write_all(b"one").expect("written");
        assert!(!exists(&place));
        let mut late = NewFile::begin(&place, 0o600).expect("created");
        late.write_all(b"two").expect("written");
        file.commit().expect("in its place");
        assert_eq!((read(&place, 9), mode(&place)), (Ok(b"one".to_vec()), Ok(0o600)));
        assert_eq!(late.commit(), Err(StoreError::Exists(place.clone())));
        assert!(matches!(NewFile::begin(&place, 0o600), Err(StoreError::Exists(_))));
        assert_eq!(read(&place, 9), Ok(b"one".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "nothing unfinished stays");
    }
}
