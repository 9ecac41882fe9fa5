//! Caches which credential files were verified, by their metadata, so that a later run need not read them again.
//!
//! Cache entries are a hint only; `verify --offline` always reads every file.

use std::collections::HashMap;
use std::fs::File;

use time::{Duration, OffsetDateTime};

use super::identity::{Identity, identity_at};
use super::layout::Layout;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, CertificateSpec, Profile, TABLE};
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;

/// Files that changed less than this before their metadata was read are not cached, because a file that changes twice
/// within one tick of the kernel's clock may keep its timestamps.
const UNSETTLED: Duration = Duration::seconds(2);

/// Marks the digest of a folder whose certificates all have the same validity, which the entry therefore states for each
/// of them.
const SAME_VALIDITY: &str = "same validity";

/// A verified folder of credentials: the expected certificates, and the metadata of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The folder, relative to `pki`: `nodes/HOST`, `masters/NAME`, `verifier`.
    pub folder: String,
    /// The digest of the expected certificates and of the files' metadata, and of `SAME_VALIDITY` if it applies.
    pub digest: Fingerprint,
    /// The time from which all certificates of the folder are valid.
    pub not_before: OffsetDateTime,
    /// The time at which the first certificate of the folder expires.
    pub not_after: OffsetDateTime,
}

impl CacheEntry {
    /// Returns the entry of files that were just written, as [`Snapshots::take`] will compute it.
    pub(super) fn of_new_files<'c>(
        folder: String,
        expected: Fingerprint,
        files: &mut [(Profile, [Identity; 2])],
        certificates: impl Iterator<Item = &'c Certificate>,
    ) -> Self {
        Self::new(folder, digest(expected, files), certificates)
    }

    fn new<'c>(folder: String, digest: Fingerprint, certificates: impl Iterator<Item = &'c Certificate>) -> Self {
        let (mut not_before, mut not_after) =
            (OffsetDateTime::UNIX_EPOCH, time::macros::datetime!(9999-12-31 23:59:59 UTC));
        let (mut first, mut is_same) = (None, true);
        for certificate in certificates {
            let validity = (certificate.not_before, certificate.not_after);
            is_same &= *first.get_or_insert(validity) == validity;
            not_before = not_before.max(certificate.not_before);
            not_after = not_after.min(certificate.not_after);
        }
        let digest = if is_same { with_same_validity(digest) } else { digest };
        Self { folder, digest, not_before, not_after }
    }
}

/// All entries, by their digests: the validity, in Unix seconds, of the certificates that each describes.
#[derive(Debug, Default)]
pub struct VerificationCache(HashMap<Fingerprint, (i64, i64)>);

impl VerificationCache {
    /// Returns true if these files were verified before, and their certificates are valid from `now` until after `end`.
    #[must_use]
    pub fn covers(&self, snapshot: &FileSnapshot, now: OffsetDateTime, end: OffsetDateTime) -> bool {
        let validity = self.0.get(&with_same_validity(snapshot.digest)).or_else(|| self.0.get(&snapshot.digest));
        validity.is_some_and(|validity| is_valid(*validity, now, end))
    }

    /// Returns the validity of each certificate of a folder: from when on it is valid, and when it expires.
    ///
    /// `None` if these files were not verified before, their certificates are not valid at `now`, or they differ in
    /// their validity.
    #[must_use]
    pub fn validity_of_each(
        &self,
        snapshot: &FileSnapshot,
        now: OffsetDateTime,
    ) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let validity = *self.0.get(&with_same_validity(snapshot.digest))?;
        let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
        is_valid(validity, now, now).then_some(())?;
        Some((time(validity.0)?, time(validity.1)?))
    }

    /// Returns true if the cache has this entry.
    #[must_use]
    pub fn has(&self, entry: &CacheEntry) -> bool {
        self.0.contains_key(&entry.digest)
    }
}

/// Returns true if certificates are valid from `now` until after `end`.
fn is_valid((not_before, not_after): (i64, i64), now: OffsetDateTime, end: OffsetDateTime) -> bool {
    not_before <= now.unix_timestamp() && end.unix_timestamp() < not_after
}

impl FromIterator<(Fingerprint, (i64, i64))> for VerificationCache {
    fn from_iter<I: IntoIterator<Item = (Fingerprint, (i64, i64))>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// A digest of everything that the entries of all folders depend on.
#[derive(Debug, Clone, Copy)]
pub struct CacheKey(Fingerprint);

impl CacheKey {
    /// Combines the key type, the CAs, and the number of revocations in the ledger with this program's version and its
    /// profiles.
    ///
    /// A new revocation changes the key, so everything is read and verified again.
    #[must_use]
    pub fn new(keys: KeyKind, cas: &CaSet, revocations: u64) -> Self {
        let cas = CaRole::ALL.map(|kind| cas.of(kind).digest());
        Self(Fingerprint::of_value(&(env!("CARGO_PKG_VERSION"), TABLE, keys, cas, revocations)))
    }

    /// Returns a digest of the certificates that one folder is expected to have.
    #[must_use]
    pub fn expected(&self, specs: &[CertificateSpec]) -> Fingerprint {
        Fingerprint::of_value(&(self.0, specs))
    }
}

/// Takes snapshots of folders of credentials.
#[derive(Debug)]
pub struct Snapshots {
    key: CacheKey,
    /// The folder `pki`; `None` if it cannot be opened.
    pki: Option<File>,
    /// Files that changed later than this are not cached.
    settled_before: OffsetDateTime,
}

impl Snapshots {
    /// Opens the folder `pki`, below which snapshots are taken.
    #[must_use]
    pub fn new(layout: &Layout, key: CacheKey, now: OffsetDateTime) -> Self {
        Self { key, pki: File::open(layout.pki()).ok(), settled_before: now - UNSETTLED }
    }

    /// Reads the metadata of the files that `specs` describe, in one folder; `None` if one is missing or inaccessible.
    #[must_use]
    pub fn take(&self, specs: &[CertificateSpec]) -> Option<FileSnapshot> {
        let (pki, first) = (self.pki.as_ref()?, specs.first()?);
        let mut path = folder(first.profile, first.host.as_ref());
        path.push('/');
        let length = path.len();
        let mut files = Vec::with_capacity(specs.len());
        for spec in specs {
            let mut identity = |ending| {
                path.truncate(length);
                path.push_str(spec.policy().name);
                path.push_str(ending);
                identity_at(pki, &path)
            };
            files.push((spec.profile, [identity(".crt")?, identity(".key")?]));
        }
        let settled = files.iter().flat_map(|(_, pair)| pair).all(|file| file.changed_before(self.settled_before));
        Some(FileSnapshot { digest: digest(self.key.expected(specs), &mut files), settled })
    }
}

/// The metadata of one folder's credential files.
#[derive(Debug, Clone, Copy)]
pub struct FileSnapshot {
    digest: Fingerprint,
    settled: bool,
}

impl FileSnapshot {
    /// Returns the digest of the expected certificates and of the files' metadata.
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        self.digest
    }

    /// Returns the entry for files that were verified after this snapshot; `None` if they changed only shortly before.
    ///
    /// `certificates` are the certificates that were read, and `first` is the specification of one of them.
    #[must_use]
    pub fn entry<'c>(
        &self,
        first: &CertificateSpec,
        certificates: impl Iterator<Item = &'c Certificate>,
    ) -> Option<CacheEntry> {
        let folder = || folder(first.profile, first.host.as_ref());
        self.settled.then(|| CacheEntry::new(folder(), self.digest, certificates))
    }
}

fn digest(expected: Fingerprint, files: &mut [(Profile, [Identity; 2])]) -> Fingerprint {
    files.sort_unstable_by_key(|(profile, _)| *profile);
    Fingerprint::of_value(&(expected, &*files))
}

fn with_same_validity(digest: Fingerprint) -> Fingerprint {
    Fingerprint::of_value(&(digest, SAME_VALIDITY))
}

/// Returns the folder of a credential relative to `pki`, because the cluster directory may be moved.
pub(super) fn folder(profile: Profile, host: Option<&HostName>) -> String {
    Layout::holder_below_pki(profile, host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn an_entry_names_its_folder_relative_to_pki() {
        let name = HostName::parse("worker-1.example.net").expect("a name");
        assert_eq!(folder(Profile::KubeletServer, Some(&name)), "nodes/worker-1.example.net");
    }

    #[test]
    fn an_entry_covers_its_files_as_long_as_the_certificates_are_valid() {
        let (now, digest) = (datetime!(2026-11-23 12:00 UTC), Fingerprint::of(b"a"));
        let (from, until) = (now.unix_timestamp() - 300, now.unix_timestamp() + 86_400);
        let cache = VerificationCache(HashMap::from([(digest, (from, until))]));
        let covers = |digest, from, until| cache.covers(&FileSnapshot { digest, settled: true }, from, until);
        assert!(covers(digest, now, now));
        assert!(covers(digest, now, now + Duration::hours(23)));
        assert!(!covers(digest, now, now + Duration::days(1)));
        assert!(!covers(digest, now - Duration::minutes(6), now));
        assert!(!covers(Fingerprint::of(b"b"), now, now));
    }

    #[test]
    fn the_validity_of_each_certificate_is_known_only_if_all_have_the_same() {
        let (now, from) = (datetime!(2026-11-23 12:00 UTC), datetime!(2026-11-23 11:55 UTC));
        let until = now + Duration::days(90);
        let snapshot = FileSnapshot { digest: Fingerprint::of(b"a"), settled: true };
        let validity = (from.unix_timestamp(), until.unix_timestamp());
        let cached = |digest| VerificationCache(HashMap::from([(digest, validity)]));
        let same = cached(with_same_validity(snapshot.digest));
        assert!(same.covers(&snapshot, now, now));
        assert_eq!(same.validity_of_each(&snapshot, now), Some((from, until)));
        assert_eq!(same.validity_of_each(&snapshot, until), None, "expired");
        let different = cached(snapshot.digest);
        assert!(different.covers(&snapshot, now, now));
        assert_eq!(different.validity_of_each(&snapshot, now), None);
    }
}
