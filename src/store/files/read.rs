//! Reads with a limit.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::PRIVATE;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// Reads a whole file of at most `limit` bytes. Does not block on FIFOs.
///
/// # Errors
/// Returns [`StoreError::Missing`], [`StoreError::TooLarge`], [`StoreError::InTheWay`] for a FIFO, a socket or a
/// device, or the system's error.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    read_opened(open_with(path, OFlags::NONBLOCK), path, limit, is_in_the_way).map(|(bytes, _)| bytes)
}

/// Like [`read`], for a file that was named on the command line: what is below `/dev` and `/proc` may be a pipe, and is
/// waited for, because `/dev/stdin` and `<(…)` are paths there. Other pipes may have no writer.
///
/// # Errors
/// Returns the errors of [`read`]; [`StoreError::NotPlain`] for what is no plain file.
pub fn read_named(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    if is_below_dev(path) {
        return read_opened(File::open(path), path, limit, |_| false).map(|(bytes, _)| bytes);
    }
    read(path, limit).map_err(|error| if_plain(error, path))
}

/// Like [`read_named`], but also reads every other pipe: another program may write a secret into it. A pipe that no
/// program writes into is given up.
///
/// # Errors
/// Returns the errors of [`read_named`], or [`StoreError::NoWriter`].
pub fn read_or_wait(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    match kind_of(path) {
        Some(A_PIPE) if !is_below_dev(path) => read_pipe(path, limit, PATIENCE),
        _ => read_named(path, limit),
    }
}

/// How long a pipe is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two attempts to read a pipe.
const PAUSE: Duration = Duration::from_millis(20);

/// Reads a FIFO until its writer closes it.
fn read_pipe(path: &Path, limit: u64, patience: Duration) -> Result<Vec<u8>, StoreError> {
    let failed = |error: io::Error| StoreError::io("read", path, &error);
    let started = Instant::now();
    // Without NONBLOCK, it would not return before there is a writer.
    let mut pipe = open_with(path, OFlags::NONBLOCK).map_err(failed)?;
    let (mut bytes, mut buffer) = (Zeroizing::new(Vec::new()), Zeroizing::new([0; 4096]));
    loop {
        match pipe.read(&mut *buffer) {
            Ok(0) if !bytes.is_empty() => return Ok(std::mem::take(&mut *bytes)),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(failed(error)),
            Err(_) => {}
        }
        if bytes.len() as u64 > limit {
            return Err(StoreError::TooLarge { path: path.to_owned(), limit });
        }
        if started.elapsed() >= patience {
            return Err(StoreError::NoWriter { path: path.to_owned(), seconds: patience.as_secs() });
        }
        sleep(PAUSE);
    }
}

/// A folder, as [`StoreError::NotPlain`] names it.
pub const A_FOLDER: &str = "a folder";
/// A FIFO.
const A_PIPE: &str = "a pipe";

/// Returns true for the paths of standard input and `<(…)`.
fn is_below_dev(path: &Path) -> bool {
    path.starts_with("/dev") || path.starts_with("/proc")
}

/// Returns what is at a path, with an article; `None` for a plain file, or if there is nothing.
fn kind_of(path: &Path) -> Option<&'static str> {
    let kind = fs::metadata(path).ok()?.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some(A_FOLDER),
        () if kind.is_fifo() => Some(A_PIPE),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// Returns the error of reading a path, or [`StoreError::NotPlain`] if it has no plain file.
fn if_plain(error: StoreError, path: &Path) -> StoreError {
    match kind_of(path) {
        Some(kind) => StoreError::NotPlain { path: path.to_owned(), kind },
        None => error,
    }
}

/// Like [`read`], and also returns the file's permission bits.
///
/// Does not update the access time if the system allows that. Otherwise the first read of every new file would cause a
/// write.
///
/// # Errors
/// Returns the errors of [`read`].
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
    // The length of a pipe or of a growing file is not known.
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
        // Only the file's owner may suppress the update of the access time.
        if !quiet.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return quiet;
        }
    }
    open_with(path, OFlags::NONBLOCK)
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// A file that is read a piece at a time.
pub type Input = BufReader<File>;

/// Opens a file that was named on the command line, to read it a piece at a time. It waits as [`read_named`] does.
///
/// # Errors
/// Returns [`StoreError::Missing`], [`StoreError::NotPlain`], or the system's error.
pub fn open(path: &Path) -> Result<Input, StoreError> {
    let may_wait = is_below_dev(path);
    let opened = if may_wait { File::open(path) } else { open_with(path, OFlags::NONBLOCK) };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Missing(path.to_owned()),
        _ => if_plain(StoreError::io("read", path, &error), path),
    };
    let file = opened.map_err(failed)?;
    match kind_of(path).filter(|kind| !may_wait || *kind == A_FOLDER) {
        Some(kind) => Err(StoreError::NotPlain { path: path.to_owned(), kind }),
        None => Ok(Input::new(file)),
    }
}

/// Returns true if `path` is a plain file, not a link, with exactly these bytes and this mode.
#[must_use]
pub fn holds_exactly(path: &Path, bytes: &[u8], mode: u32) -> bool {
    let as_long = |facts: Metadata| {
        facts.is_file() && facts.permissions().mode() & 0o7777 == mode && facts.len() == bytes.len() as u64
    };
    fs::symlink_metadata(path).is_ok_and(as_long)
        && read(path, bytes.len() as u64).is_ok_and(|there| *Zeroizing::new(there) == *bytes)
}

/// Returns true if there is a plain file, and no link to one, with exactly these bytes, whatever its mode.
#[must_use]
pub fn holds(path: &Path, bytes: &[u8]) -> bool {
    let as_long = |facts: Metadata| facts.is_file() && facts.len() == bytes.len() as u64;
    fs::symlink_metadata(path).is_ok_and(as_long) && read(path, bytes.len() as u64).is_ok_and(|there| there == bytes)
}

/// Returns true if a file can be read and begins with these bytes.
#[must_use]
pub fn begins_with(path: &Path, bytes: &[u8]) -> bool {
    let mut first = vec![0; bytes.len()];
    open_with(path, OFlags::NONBLOCK).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == bytes
}

/// Returns the SHA-256 of a plain file that is not a link and that only its owner can read.
#[must_use]
pub fn digest_of_private(path: &Path) -> Option<Fingerprint> {
    let facts = fs::symlink_metadata(path).ok()?;
    if !facts.is_file() || facts.permissions().mode() & 0o7777 != PRIVATE {
        return None;
    }
    read(path, facts.len()).ok().map(|bytes| Fingerprint::of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::files::mode;

    #[test]
    fn a_pipe_without_a_writer_is_given_up_and_one_with_a_slow_writer_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a pipe");
        let none = StoreError::NoWriter { path: path.clone(), seconds: 0 };
        assert_eq!(read_pipe(&path, 100, PAUSE), Err(none));
        let writer = std::thread::spawn({
            let path = path.clone();
            move || {
                use std::io::Write;
                let mut pipe = OpenOptions::new().write(true).open(path)?;
                pipe.write_all(b"sec")?;
                sleep(3 * PAUSE);
                pipe.write_all(b"ret")
            }
        });
        assert_eq!(read_pipe(&path, 100, PATIENCE), Ok(b"secret".to_vec()));
        writer.join().expect("no panic").expect("written");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn reading_does_not_update_the_access_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key");
        fs::write(&path, "secret").expect("written");
        let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let times = fs::FileTimes::new().set_accessed(long_ago);
        OpenOptions::new().write(true).open(&path).and_then(|file| file.set_times(times)).expect("set back");
        let accessed = || fs::metadata(&path).and_then(|metadata| metadata.accessed()).expect("a time");
        assert_eq!(read_one_of_many(&path, 100), Ok((b"secret".to_vec(), mode(&path).expect("a mode"))));
        // On a file system that is mounted with noatime, this test cannot fail.
        assert_eq!(accessed(), long_ago);
    }
}
