//! Packs a bundle as a reproducible tar.gz, in one folder with the host's name.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use tar::{EntryType, Header};
use zeroize::Zeroizing;

use super::model::{Bundle, BundleFile, INSTALLER};

/// gzip's header: deflate, no name, no time, fastest level, operating system unknown (RFC 1952 § 2.3.1). It is fixed,
/// so that archives are reproducible.
pub(super) const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// tar's block size, in bytes.
const BLOCK: usize = 512;
/// The mode of the top folder: only the user who unpacks it can read it, because it contains keys.
const FOLDER_MODE: u32 = 0o700;

/// Packs bundles; one packer per thread is used for many of them.
///
/// Compression is most of the work, and setting up a compressor most of compression. The installer, the largest file of
/// a bundle, is compressed once.
pub struct Packer {
    compressor: Compress,
    /// The buffer is reused for every bundle and only wiped at the end, because wiping takes longer than filling it.
    tar: Zeroizing<Vec<u8>>,
    out: Zeroizing<Vec<u8>>,
    installer: Option<Deflated>,
}

/// The end of an archive from the installer's contents on, plain and deflated.
struct Deflated {
    plain: Zeroizing<Vec<u8>>,
    deflated: Zeroizing<Vec<u8>>,
}

impl Packer {
    /// Returns a packer.
    #[must_use]
    pub fn new() -> Self {
        // At higher levels a bundle would be a fifth smaller and take four times as long.
        Self::with(Compression::fast())
    }

    /// Returns a packer that compresses best, for formats whose size is limited.
    #[must_use]
    pub fn small() -> Self {
        Self::with(Compression::best())
    }

    fn with(level: Compression) -> Self {
        let compressor = Compress::new(level, false);
        Self { compressor, tar: Zeroizing::default(), out: Zeroizing::default(), installer: None }
    }

    /// Packs a bundle; the same bundle gives the same bytes.
    ///
    /// Files are sorted but for the installer, which is last; uid, gid and time are zero; the gzip header is fixed.
    #[must_use]
    pub fn pack(&mut self, bundle: &Bundle) -> Zeroizing<Vec<u8>> {
        let folder = bundle.manifest.host.as_str();
        let size: usize = bundle.files.iter().map(|file| file.bytes.len() + 2048).sum();
        let tar = emptied(&mut self.tar, size + 8192);
        let mut builder = tar::Builder::new(tar);
        let installer = append_all(&mut builder, folder, &bundle.files).and_then(|at| builder.finish().map(|()| at));
        drop(builder);
        let installer = installer.expect("memory can be written to, and every path in a bundle is plain");
        self.compressed(installer.unwrap_or(self.tar.len()))
    }

    /// Compresses bytes, with the same header.
    pub(super) fn gzip(&mut self, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        emptied(&mut self.tar, bytes.len()).extend_from_slice(bytes);
        self.compressed(bytes.len())
    }

    /// Compresses the archive with a fixed gzip header (RFC 1952).
    ///
    /// The parts before and from `installer` on are deflated separately, so that the second part is the same in every
    /// archive and is cached.
    fn compressed(&mut self, installer: usize) -> Zeroizing<Vec<u8>> {
        let Self { compressor, tar, out, installer: known } = self;
        let out = emptied(out, room_for(tar.len()));
        out.extend_from_slice(&GZIP_HEADER);
        let (own, plain) = tar.split_at(installer);
        if plain.is_empty() {
            deflate(compressor, own, FlushCompress::Finish, out);
        } else {
            deflate(compressor, own, FlushCompress::Sync, out);
            let part = match known.take() {
                Some(part) if *part.plain == plain => part,
                _ => {
                    let mut deflated = Zeroizing::new(Vec::with_capacity(room_for(plain.len())));
                    deflate(compressor, plain, FlushCompress::Finish, &mut deflated);
                    Deflated { plain: Zeroizing::new(plain.to_vec()), deflated }
                }
            };
            out.extend_from_slice(&part.deflated);
            *known = Some(part);
        }
        let mut crc = Crc::new();
        crc.update(tar);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&crc.amount().to_le_bytes());
        // A copy of the exact size, because many archives wait in memory to be written.
        Zeroizing::new(out.as_slice().to_vec())
    }
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

/// Packs one bundle, as [`Packer::pack`].
#[must_use]
pub fn pack(bundle: &Bundle) -> Zeroizing<Vec<u8>> {
    Packer::new().pack(bundle)
}

/// Returns a sufficient capacity for deflating this number of bytes, even if they are incompressible.
fn room_for(bytes: usize) -> usize {
    bytes + bytes / 8 + 256
}

/// Empties the buffer and ensures its capacity, because growing later would leave copies of keys in memory.
fn emptied(buffer: &mut Zeroizing<Vec<u8>>, room: usize) -> &mut Vec<u8> {
    if buffer.capacity() < room {
        // The old buffer is wiped.
        *buffer = Zeroizing::new(Vec::with_capacity(room));
    }
    buffer.clear();
    buffer
}

/// Appends `bytes` deflated (RFC 1951), without references to anything before them.
///
/// With [`FlushCompress::Sync`] it ends on a whole octet, and others may follow.
fn deflate(compressor: &mut Compress, bytes: &[u8], how: FlushCompress, out: &mut Vec<u8>) {
    compressor.reset();
    loop {
        let done = usize::try_from(compressor.total_in()).unwrap_or(usize::MAX);
        let rest = bytes.get(done..).unwrap_or_default();
        let status = compressor.compress_vec(rest, out, how);
        // Compression only fails after misuse: a dictionary, or input after the end.
        let ended = status.expect("plain deflate has nothing to refuse") == Status::StreamEnd;
        let flushed = out.len() < out.capacity() && compressor.total_in() == bytes.len() as u64;
        if ended || (flushed && !matches!(how, FlushCompress::Finish)) {
            break;
        }
        // The capacity is sufficient for incompressible bytes, so this is only a safeguard.
        out.reserve(bytes.len() + 128);
    }
}

/// Appends the folder and its files, the installer last; returns the offset of the installer's bytes, if there is one.
fn append_all(tar: &mut tar::Builder<&mut Vec<u8>>, folder: &str, files: &[BundleFile]) -> io::Result<Option<usize>> {
    let mut top = header(EntryType::Directory, FOLDER_MODE, 0);
    tar.append_data(&mut top, format!("{folder}/"), io::empty())?;
    let mut append = |file: &BundleFile| {
        let mut header = header(EntryType::Regular, file.mode, file.bytes.len() as u64);
        tar.append_data(&mut header, format!("{folder}/{}", file.path), &*file.bytes)
    };
    let is_installer = |file: &&BundleFile| file.path == INSTALLER;
    files.iter().filter(|file| !is_installer(file)).try_for_each(&mut append)?;
    let Some(installer) = files.iter().find(is_installer) else { return Ok(None) };
    append(installer)?;
    // An entry is padded to whole blocks.
    Ok(Some(tar.get_ref().len() - installer.bytes.len().next_multiple_of(BLOCK)))
}

pub(super) fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
