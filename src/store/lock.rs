//! The lock of the cluster directory, for one writer at a time: an advisory lock, which the kernel releases when the
//! process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::error::StoreError;
use super::files::{PRIVATE, give_file};

/// The interval at which a waiting process tries again.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The beginning of a holder's description.
const HEAD: &str = "process ";

/// The right to write in a cluster directory; dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file is not sufficient if a child process that is being started has inherited it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock at `path`, waiting up to `timeout` for another process.
    ///
    /// `waiting` is called once with the description of the process that holds it; `purpose` describes this process.
    ///
    /// # Errors
    /// Returns [`StoreError::Locked`] with the description of the process that holds it, or the system's error.
    pub fn take(
        path: &Path,
        purpose: &str,
        timeout: Duration,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<Self, StoreError> {
        let mut file = open(path)?;
        acquire(&mut file, path, timeout, waiting)?;
        // The description is optional, so that locking also works on a full disk.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = write!(file, "{HEAD}{}: {purpose}", std::process::id());
        Ok(Self { file })
    }

    /// Takes the lock of a folder itself, which leaves no file in it, waiting up to `timeout` for another process.
    ///
    /// # Errors
    /// Returns [`StoreError::Locked`] if another process still holds it, or the system's error.
    pub fn take_of_folder(path: &Path, timeout: Duration) -> Result<Self, StoreError> {
        let mut file = File::open(path).map_err(|error| StoreError::io("lock", path, &error))?;
        acquire(&mut file, path, timeout, &mut |_| ())?;
        Ok(Self { file })
    }
}

/// Locks an open file or folder, waiting up to `timeout` for another process; `waiting` is called once with that process.
fn acquire(file: &mut File, path: &Path, timeout: Duration, waiting: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
    let started = Instant::now();
    let mut reported = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {
                let holder = holder(file);
                if started.elapsed() >= timeout {
                    return Err(StoreError::Locked { holder });
                }
                if !reported {
                    waiting(&holder);
                    reported = true;
                }
                std::thread::sleep(RETRY_INTERVAL);
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", path, &error)),
        }
    }
}

/// Opens the file of the lock, and creates it if it does not exist.
///
/// Anyone who may write in the directory could put a link to another file in its place: links are not followed, and a file
/// that does not have a lock's content is not written.
fn open(path: &Path) -> Result<File, StoreError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
    let mut file =
        options.custom_flags(flags.bits() as i32).open(path).map_err(|error| match error.raw_os_error() {
            Some(code) if code == Errno::LOOP.raw_os_error() => StoreError::InTheWay(path.to_owned()),
            _ => StoreError::io("lock", path, &error),
        })?;
    give_file(&file, path);
    let metadata = file.metadata().map_err(|error| StoreError::io("lock", path, &error))?;
    let mut begin = Vec::new();
    let is_ours = metadata.is_file()
        && metadata.nlink() <= 1
        && (&mut file).take(HEAD.len() as u64).read_to_end(&mut begin).is_ok()
        && (begin.is_empty() || begin == HEAD.as_bytes());
    if is_ours { Ok(file) } else { Err(StoreError::InTheWay(path.to_owned())) }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind();
    let _ = file.take(200).read_to_string(&mut text);
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() { "an unknown process".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_learns_which_one_has_the_lock_and_gets_it_afterwards() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lock");
        let first = Lock::take(&path, "issue-node --all", Duration::ZERO, &mut |_| {}).expect("free");
        let mut heard = Vec::new();
        let timeout = Duration::from_millis(120);
        let second = Lock::take(&path, "bundle", timeout, &mut |holder| heard.push(holder.to_owned()));
        let holder = format!("process {}: issue-node --all", std::process::id());
        assert_eq!(second.map(|_| ()), Err(StoreError::Locked { holder: holder.clone() }));
        assert_eq!(heard, [holder]);
        drop(first);
        Lock::take(&path, "bundle", Duration::ZERO, &mut |_| {}).expect("free again");
    }

    #[test]
    fn a_file_that_is_no_lock_is_neither_followed_nor_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let (lock, other) = (dir.path().join("lock"), dir.path().join("other"));
        std::fs::write(&other, "root:x:0:0\n").expect("written");
        let refused = || {
            let taken = Lock::take(&lock, "bundle", Duration::ZERO, &mut |_| {}).map(|_| ());
            assert_eq!(taken, Err(StoreError::InTheWay(lock.clone())));
            assert_eq!(std::fs::read_to_string(&other).ok().as_deref(), Some("root:x:0:0\n"));
            std::fs::remove_file(&lock).expect("removed");
        };
        std::os::unix::fs::symlink(&other, &lock).expect("a link");
        refused();
        std::fs::hard_link(&other, &lock).expect("a link");
        refused();
        std::fs::copy(&other, &lock).expect("copied");
        refused();
        std::os::unix::fs::symlink(dir.path().join("nothing"), &lock).expect("a link");
        refused();
        assert!(!dir.path().join("nothing").exists());
    }
}
