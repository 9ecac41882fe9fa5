//! Reads bundles from untrusted tar.gz archives, and checks every file against the manifest. [`super::packer`] writes
//! them.

use std::io::{self, Read};

use tar::EntryType;
use zeroize::Zeroizing;

use super::manifest::{Manifest, ManifestError, is_plain_path};
use super::model::{Bundle, BundleFile, MANIFEST, MANIFEST_SUM, SIGNATURE, manifest_sum};
use crate::pki::fingerprint::Fingerprint;

/// The largest unpacked size of a bundle, in bytes. A larger archive is an attempt to exhaust its reader.
pub const MAX_UNPACKED: u64 = 16 << 20;
/// The largest number of files in a bundle.
pub const MAX_FILES: usize = 1000;

/// Errors of parsing a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are not gzip or not tar, or are truncated.
    #[error("it is not a tar.gz, or it is damaged: {0}")]
    Unreadable(String),
    /// The bytes are not exactly those that clusterctl writes in this format.
    #[error("it is not {what} as clusterctl writes it, or was changed since")]
    NotOurs {
        /// The format.
        what: &'static str,
    },
    /// There are bytes after the end of the archive.
    #[error("there are bytes after the archive's end")]
    Trailing,
    /// It unpacks to more than [`MAX_UNPACKED`] bytes.
    #[error("it unpacks to more than {} MiB, which no bundle does", MAX_UNPACKED >> 20)]
    TooLarge,
    /// It has more than [`MAX_FILES`] files.
    #[error("it has more than {MAX_FILES} files, which no bundle has")]
    TooManyFiles,
    /// A path is absolute, has `..`, or is outside of the bundle's folder.
    #[error("{path:?} is not a path that a bundle may have")]
    Path {
        /// The path.
        path: String,
    },
    /// An entry is neither a file nor a folder, but for example a link or a device.
    #[error("{path:?} is not a plain file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// Two files have the same path.
    #[error("{path} is duplicated")]
    Twice {
        /// The path.
        path: String,
    },
    /// It has no manifest.
    #[error("there is no {MANIFEST} in it, so it is not a bundle of clusterctl")]
    NoManifest,
    /// The manifest cannot be read.
    #[error("its {MANIFEST} cannot be read")]
    Manifest(#[from] ManifestError),
    /// It has no checksum of the manifest.
    #[error("there is no {MANIFEST_SUM} in it, without which install.sh installs nothing")]
    NoSum,
    /// The checksum does not match the manifest.
    #[error("{MANIFEST} is damaged: its SHA-256 is {found}, and {MANIFEST_SUM} says otherwise")]
    OtherSum {
        /// The manifest's checksum.
        found: Fingerprint,
    },
    /// The folder does not have the name of the manifest's host.
    #[error("its folder is called {folder:?}, and its manifest is for {host}")]
    OtherHost {
        /// The folder's name.
        folder: String,
        /// The manifest's host.
        host: String,
    },
    /// A file is not listed in the manifest.
    #[error("{path} is not in the manifest")]
    NotListed {
        /// The path.
        path: String,
    },
    /// A file that the manifest lists is missing.
    #[error("{path} is in the manifest and not in the archive")]
    Missing {
        /// The path.
        path: String,
    },
    /// A file's checksum differs from the manifest's.
    #[error("{path} is damaged: its SHA-256 is {found}, the manifest says {listed}")]
    Damaged {
        /// The path.
        path: String,
        /// The file's checksum.
        found: Fingerprint,
        /// The manifest's value.
        listed: Fingerprint,
    },
    /// A file's mode differs from the manifest's.
    #[error("{path} has mode {found:04o}, the manifest says {listed:04o}")]
    OtherMode {
        /// The path.
        path: String,
        /// The archive's value.
        found: u32,
        /// The manifest's value.
        listed: u32,
    },
}

impl ArchiveError {
    /// Returns true if a later version wrote the bundle, and nothing else is wrong.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Manifest(ManifestError::Newer { .. }))
    }
}

/// Reads a bundle from an untrusted archive and checks each file against the manifest.
///
/// The manifest itself is authenticated by its signature, if there is one.
///
/// # Errors
/// Returns the first problem that is found.
pub fn read(bytes: &[u8]) -> Result<Bundle, ArchiveError> {
    let tar = unzip(bytes)?;
    let (folder, files) = entries(&tar)?;
    confirmed(folder, files)
}

/// Returns the bundle of files that were found in `folder`, checked against their manifest.
///
/// # Errors
/// Returns the first problem that is found.
pub fn confirmed(folder: String, mut files: Vec<BundleFile>) -> Result<Bundle, ArchiveError> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = files.iter().find(|file| file.path == MANIFEST).ok_or(ArchiveError::NoManifest)?;
    let manifest = Manifest::parse(&manifest.bytes)?;
    if manifest.host.as_str() != folder {
        return Err(ArchiveError::OtherHost { folder, host: manifest.host.to_string() });
    }
    let bundle = Bundle { manifest, files };
    confirm(&bundle, |_| true)?;
    Ok(bundle)
}

/// Returns true if these bytes are gzip whose contents begin with `prefix`.
pub(super) fn begins_with(bytes: &[u8], prefix: &[u8]) -> bool {
    let mut begin = Vec::new();
    let wanted = prefix.len() as u64;
    bytes.starts_with(&[0x1f, 0x8b])
        && flate2::bufread::GzDecoder::new(bytes).take(wanted).read_to_end(&mut begin).is_ok()
        && begin == prefix
}

pub(super) fn unzip(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, ArchiveError> {
    let mut rest = bytes;
    // gzip's last four octets are the unpacked size (RFC 1952 § 2.3.1). The buffer must not grow later, which would
    // leave copies of keys in memory.
    let said = bytes.last_chunk().map_or(0, |size| u32::from_le_bytes(*size));
    let mut tar = Zeroizing::new(Vec::with_capacity(said.min(MAX_UNPACKED as u32 + 1) as usize + 1));
    let unpacked = flate2::bufread::GzDecoder::new(&mut rest).take(MAX_UNPACKED + 1).read_to_end(&mut tar);
    let unpacked = unpacked.map_err(unreadable)?;
    if unpacked as u64 > MAX_UNPACKED {
        return Err(ArchiveError::TooLarge);
    }
    if rest.is_empty() { Ok(tar) } else { Err(ArchiveError::Trailing) }
}

fn entries(tar: &[u8]) -> Result<(String, Vec<BundleFile>), ArchiveError> {
    let mut folder: Option<String> = None;
    let mut files = Vec::new();
    for entry in tar::Archive::new(tar).entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if !matches!(kind, EntryType::Regular | EntryType::Directory) {
            return Err(ArchiveError::NotAFile { path });
        }
        let plain = path.strip_suffix('/').filter(|_| kind == EntryType::Directory).unwrap_or(&path);
        if !is_plain_path(plain) {
            return Err(ArchiveError::Path { path });
        }
        let (top, inner) = plain.split_once('/').unwrap_or((plain, ""));
        if folder.get_or_insert_with(|| top.to_owned()) != top || (inner.is_empty() && kind == EntryType::Regular) {
            return Err(ArchiveError::Path { path });
        }
        if kind == EntryType::Directory {
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(ArchiveError::TooManyFiles);
        }
        let mode = entry.header().mode().map_err(unreadable)? & 0o7777;
        // Bounded by `unzip`: an entry ends with its archive.
        let mut bytes = Zeroizing::new(Vec::with_capacity(tar.len().min(entry.size() as usize)));
        entry.read_to_end(&mut bytes).map_err(unreadable)?;
        if (bytes.len() as u64) < entry.size() {
            return Err(ArchiveError::Unreadable(format!("{plain} is cut off")));
        }
        files.push(BundleFile { path: inner.to_owned(), mode, bytes: bytes.into() });
    }
    folder.map(|folder| (folder, files)).ok_or(ArchiveError::NoManifest)
}

/// Checks the files against the manifest: each file is listed once with its checksum and mode, and no listed file is
/// missing.
///
/// `to_be_there` selects the listed files that must be present. The bundle's files are sorted by path.
pub(super) fn confirm(bundle: &Bundle, to_be_there: fn(&str) -> bool) -> Result<(), ArchiveError> {
    let listed = &bundle.manifest.files;
    if bundle.files.len() > MAX_FILES || listed.len() > MAX_FILES {
        return Err(ArchiveError::TooManyFiles);
    }
    // The host's tar would use the second file, and this program the first.
    if let Some(pair) = bundle.files.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(ArchiveError::Twice { path: pair[0].path.clone() });
    }
    for (i, entry) in listed.iter().enumerate() {
        if listed[..i].iter().any(|earlier| earlier.path == entry.path) {
            return Err(ArchiveError::Twice { path: entry.path.clone() });
        }
        let path = entry.path.clone();
        if !to_be_there(&path) {
            continue;
        }
        let file = bundle.file(&path).ok_or_else(|| ArchiveError::Missing { path: path.clone() })?;
        let found = file.bytes.sha256();
        if found != entry.sha256 {
            return Err(ArchiveError::Damaged { path, found, listed: entry.sha256 });
        }
        if file.mode != entry.mode {
            return Err(ArchiveError::OtherMode { path, found: file.mode, listed: entry.mode });
        }
    }
    if to_be_there(MANIFEST_SUM) {
        let sum = bundle.file(MANIFEST_SUM).ok_or(ArchiveError::NoSum)?;
        let found = bundle.file(MANIFEST).map(|file| file.bytes.sha256()).ok_or(ArchiveError::NoManifest)?;
        if *sum.bytes != *manifest_sum(found).as_bytes() {
            return Err(ArchiveError::OtherSum { found });
        }
    }
    for file in &bundle.files {
        let own = [MANIFEST, MANIFEST_SUM, SIGNATURE].contains(&file.path.as_str());
        if !own && !listed.iter().any(|entry| entry.path == file.path) {
            return Err(ArchiveError::NotListed { path: file.path.clone() });
        }
    }
    Ok(())
}

fn unreadable(error: io::Error) -> ArchiveError {
    ArchiveError::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::manifest::ManifestFile;
    use crate::bundle::model::INSTALLER;
    use crate::bundle::packer::{GZIP_HEADER, Packer, header, pack};
    use crate::cluster::endpoint::Endpoint;
    use crate::cluster::name::{ClusterName, HostName};
    use time::macros::datetime;

    type Entry<'a> = (&'a str, EntryType, u32, &'a [u8]);

    const KEY: &str = "var/lib/kubelet/pki/kubelet-client.key";

    fn bundle() -> Bundle {
        let file =
            |path: &str, mode, bytes: &[u8]| BundleFile { path: path.to_owned(), mode, bytes: bytes.to_vec().into() };
        let mut files = vec![file(INSTALLER, 0o755, b"#!/bin/sh\n"), file(KEY, 0o600, b"a key")];
        let listed =
            |file: &BundleFile| ManifestFile { path: file.path.clone(), mode: file.mode, sha256: file.bytes.sha256() };
        let manifest = Manifest {
            cluster: ClusterName::parse("prod").expect("a name"),
            host: HostName::parse("on").expect("a name"),
            roles: Vec::new(),
            account: "kubelet:on".into(),
            endpoint: Endpoint::parse("https://10.0.0.1:6443").expect("an endpoint"),
            root_pin: Fingerprint::of(b"root"),
            other_pins: Vec::new(),
            not_before: datetime!(2026-11-23 11:55:00 UTC),
            not_after: datetime!(2027-11-23 12:00:00 UTC),
            generation: 1,
            rotation: None,
            restarts: Vec::new(),
            files: files.iter().map(listed).collect(),
        };
        let json = manifest.to_json();
        files.insert(1, file(MANIFEST, 0o644, json.as_bytes()));
        files.insert(2, file(MANIFEST_SUM, 0o644, manifest_sum(Fingerprint::of(json.as_bytes())).as_bytes()));
        Bundle { manifest, files }
    }

    /// Packs any entries; the tar library does not check these paths either.
    fn packed(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, mode, bytes) in entries {
            let mut header = header(*kind, *mode, bytes.len() as u64);
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            if *kind == EntryType::Symlink {
                header.set_link_name("/etc/passwd").expect("a short name");
            }
            header.set_cksum();
            tar.append(&header, *bytes).expect("memory");
        }
        zipped(&tar.into_inner().expect("memory"))
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        Packer::new().gzip(bytes).to_vec()
    }

    #[test]
    fn a_bundle_round_trips_and_is_deterministic() {
        let (first, second) = (pack(&bundle()), pack(&bundle()));
        assert_eq!(first, second);
        assert_eq!(first[..10], GZIP_HEADER);
        assert_eq!(read(&first), Ok(bundle()));
        let mut other = bundle();
        other.files[0].bytes =
            (0..200_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<u8>>().into();
        let mut packer = Packer::new();
        assert_eq!(packer.pack(&bundle()), first);
        assert_eq!(packer.pack(&other), pack(&other));
        assert_eq!(packer.pack(&bundle()), first);
        packer.gzip(b"something else");
        assert_eq!(packer.pack(&bundle()), first);
        for installer in [&b"#!/bin/sh\n"[..], b"", b"exit\n", &[b'#'; 1024]] {
            // From the second archive on, the installer is cached.
            for own in [&b"a key"[..], b"another", &[0; 3000], b"a key"] {
                let mut bundle = bundle();
                for (path, bytes) in [(INSTALLER, installer), (KEY, own)] {
                    let file = bundle.files.iter_mut().find(|file| file.path == path);
                    file.expect("it is there").bytes = bytes.to_vec().into();
                }
                assert_eq!(packer.pack(&bundle), pack(&bundle));
            }
        }
    }

    #[test]
    fn a_flipped_bit_never_gives_another_bundle() {
        let good = pack(&bundle());
        // Flags, time, extra flags and system in gzip's header do not affect the contents.
        for i in (0..3).chain(10..good.len()) {
            let mut bad = good.to_vec();
            bad[i] ^= 0x10;
            let read = read(&bad);
            // A back-reference to other zeros may unpack to the same bytes, but every bit of the trailer matters.
            assert!(read.is_err() || (i < good.len() - 8 && read == Ok(bundle())), "byte {i}");
        }
        for cut in [0, 9, good.len() / 2, good.len() - 1] {
            assert!(matches!(read(&good[..cut]), Err(ArchiveError::Unreadable(_))), "cut at {cut}");
        }
        let followed = [good.as_slice(), b"x"].concat();
        assert_eq!(read(&followed), Err(ArchiveError::Trailing));
    }

    #[test]
    fn a_repacked_bundle_must_match_its_manifest() {
        let good = bundle();
        let paths: Vec<String> = good.files.iter().map(|file| format!("on/{}", file.path)).collect();
        let entry =
            |i: usize| -> Entry<'_> { (&paths[i], EntryType::Regular, good.files[i].mode, &*good.files[i].bytes) };
        let all = || vec![entry(0), entry(1), entry(2), entry(3)];
        let refused = |entries: &[Entry<'_>]| read(&packed(entries)).expect_err("a bad bundle");
        let and = |extra: Entry<'_>| refused(&[entry(0), entry(1), entry(2), entry(3), extra]);

        assert_eq!(read(&packed(&all())), Ok(bundle()));
        assert_eq!(refused(&all()[..3]), ArchiveError::Missing { path: KEY.into() });
        assert_eq!(refused(&[entry(0), entry(2), entry(3)]), ArchiveError::NoManifest);
        assert_eq!(refused(&[entry(0), entry(1), entry(3)]), ArchiveError::NoSum);
        assert_eq!(refused(&[]), ArchiveError::NoManifest);
        let mut changed = all();
        let of_another = manifest_sum(Fingerprint::of(b"another"));
        changed[2].3 = of_another.as_bytes();
        let manifest = bundle().file(MANIFEST).map(|file| file.bytes.sha256()).expect("a manifest");
        assert_eq!(refused(&changed), ArchiveError::OtherSum { found: manifest });
        changed = all();
        changed[3].3 = b"A key";
        let (found, listed) = (Fingerprint::of(b"A key"), Fingerprint::of(b"a key"));
        assert_eq!(refused(&changed), ArchiveError::Damaged { path: KEY.into(), found, listed });
        changed = all();
        changed[3].2 = 0o644;
        assert_eq!(refused(&changed), ArchiveError::OtherMode { path: KEY.into(), found: 0o644, listed: 0o600 });
        let regular = EntryType::Regular;
        assert_eq!(and(entry(0)), ArchiveError::Twice { path: "install.sh".into() });
        assert_eq!(and(("on/etc/x", regular, 0o644, b"")), ArchiveError::NotListed { path: "etc/x".into() });
        for path in ["on/../x", "/etc/x", "../x", "on//x", "x", "off/x", "on/a b", "on"] {
            assert_eq!(and((path, regular, 0o644, b"")), ArchiveError::Path { path: path.into() }, "{path}");
        }
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Block] {
            assert_eq!(and(("on/x", kind, 0o644, b"")), ArchiveError::NotAFile { path: "on/x".into() });
        }
        let moved: Vec<String> = paths.iter().map(|path| path.replacen("on/", "off/", 1)).collect();
        let moved: Vec<Entry<'_>> =
            all().into_iter().zip(&moved).map(|(e, path)| (path.as_str(), e.1, e.2, e.3)).collect();
        assert_eq!(refused(&moved), ArchiveError::OtherHost { folder: "off".into(), host: "on".into() });
    }

    #[test]
    fn an_archive_cannot_exhaust_its_reader() {
        let bomb = zipped(&vec![0; usize::try_from(MAX_UNPACKED).expect("small") + 1]);
        assert!(bomb.len() < 100_000);
        assert_eq!(read(&bomb), Err(ArchiveError::TooLarge));
        let paths: Vec<String> = (0..=MAX_FILES).map(|i| format!("on/{i}")).collect();
        let entries: Vec<Entry<'_>> =
            paths.iter().map(|path| (path.as_str(), EntryType::Regular, 0o644, b"".as_slice())).collect();
        assert_eq!(read(&packed(&entries)), Err(ArchiveError::TooManyFiles));
        // The header claims more bytes than there are.
        let mut header = header(EntryType::Regular, 0o644, 1 << 40);
        header.as_old_mut().name[..4].copy_from_slice(b"on/x");
        header.set_cksum();
        assert!(matches!(read(&zipped(header.as_bytes())), Err(ArchiveError::Unreadable(_))));
        assert!(matches!(read(b"not gzip at all"), Err(ArchiveError::Unreadable(_))));
    }
}
