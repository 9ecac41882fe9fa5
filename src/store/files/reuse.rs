//! Writes new content into files that are no longer used.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::owner::owner_of_new;
use crate::store::error::StoreError;

/// The largest file that is reused, in bytes: one page, which is written completely, so that the kernel need not read the
/// old content first.
const PAGE: usize = 4096;
const ZEROS: [u8; PAGE] = [0; PAGE];

/// Moves the unused file `from` to `to`, which must not exist, and overwrites it. It is on the disk only after
/// [`super::sync_all`].
///
/// This needs no new inode and no new block, and later no deletion, which is what an ext4 without a journal spends most
/// of its time on. A process that still has the file open sees the new content.
///
/// Returns `None`, and changes nothing, if there is no such file, or if it differs from a new one: if it has another
/// mode or owner, another name (a hard link), or is too large.
///
/// # Errors
/// Returns the system's error if the file cannot be written. In that case, it is incomplete.
pub(in crate::store) fn reuse(from: &Path, to: &Path, bytes: &[u8], mode: u32) -> Result<Option<File>, StoreError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(from);
    let Some(file) = opened.ok().filter(|file| bytes.len() <= PAGE && is_like_new(file, to, mode)) else {
        return Ok(None);
    };
    // The file is moved before it is overwritten: what is in `from` is either unchanged or gone.
    if fs::rename(from, to).is_err() {
        return Ok(None);
    }
    overwrite(&file, bytes).map_err(|error| StoreError::io("write", to, &error))?;
    Ok(Some(file))
}

/// Returns true if nothing but its content distinguishes a file from one that is created at `path` with `mode`.
fn is_like_new(file: &File, path: &Path, mode: u32) -> bool {
    let is = |found: &Metadata| {
        found.is_file()
            && found.nlink() == 1
            && found.mode() & 0o7777 == mode
            && found.len() <= PAGE as u64
            && (found.uid(), found.gid()) == owner_of_new(path)
    };
    file.metadata().is_ok_and(|found| is(&found))
}

fn overwrite(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    let written = file.write_vectored(&[IoSlice::new(bytes), IoSlice::new(&ZEROS[bytes.len()..])])?;
    // The system may write less than requested. The zeros are not needed, but all bytes are.
    if written < bytes.len() {
        file.write_all(&bytes[written..])?;
    }
    file.set_len(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::{PRIVATE, PUBLIC, exists, read, write_new};
    use super::*;
    use std::path::PathBuf;

    /// A folder, the path of an old file with these bytes, and the path of a new one.
    fn old_file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let (from, to) = (dir.path().join("old"), dir.path().join("new"));
        write_new(&from, bytes, mode).expect("written");
        (dir, from, to)
    }

    #[test]
    fn a_reused_file_has_exactly_the_new_content_and_its_inode() {
        for (old, new) in [(&b"a long old key"[..], &b"a key"[..]), (b"a key", b"a longer new key"), (b"old", b"")] {
            let (_dir, from, to) = old_file(old, PRIVATE);
            let inode = fs::metadata(&from).expect("a file").ino();
            let file = reuse(&from, &to, new, PRIVATE).expect("written").expect("reused");
            assert_eq!(file.metadata().expect("a file").ino(), inode);
            assert_eq!((read(&to, 99), exists(&from)), (Ok(new.to_vec()), false));
        }
    }

    #[test]
    fn a_file_that_differs_from_a_new_one_is_not_reused() {
        let is_left_alone = |from: &Path, to: &Path, bytes: &[u8]| {
            let before = fs::read(from).ok();
            let reused = reuse(from, to, bytes, PRIVATE).expect("not tried").is_some();
            !reused && !exists(to) && fs::read(from).ok() == before
        };
        let (dir, from, to) = old_file(b"old", PUBLIC);
        assert!(is_left_alone(&from, &to, b"another mode"));
        assert!(is_left_alone(&dir.path().join("missing"), &to, b"no file"));
        let (dir, from, to) = old_file(b"old", PRIVATE);
        assert!(is_left_alone(&from, &to, &[b'x'; PAGE + 1]));
        let (link, symlink) = (dir.path().join("hard-link"), dir.path().join("symbolic-link"));
        std::os::unix::fs::symlink(&from, &symlink).expect("linked");
        assert!(is_left_alone(&symlink, &to, b"a symbolic link"));
        fs::hard_link(&from, &link).expect("linked");
        assert!(is_left_alone(&from, &to, b"somebody keeps the old content"));
        assert_eq!(read(&link, 99), Ok(b"old".to_vec()));
        let (_dir, from, to) = old_file(&[b'x'; PAGE + 1], PRIVATE);
        assert!(is_left_alone(&from, &to, b"too large"));
    }
}
