//! What was found good, and has not been touched since: so that a second look at many holders need not read their files.
//! A trace is no proof. Whoever wants one reads everything: `verify --offline`.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};
use time::{Duration, OffsetDateTime};

use super::error::StoreError;
use super::identity::{Identity, identity};
use super::layout::Layout;
use super::ledger::{Ledger, failed};
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, CertificateSpec, Policy, Profile};
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;

/// The ledger's format that brought the traces.
const SINCE: i64 = 3;
/// A file that changes within one tick of the kernel's clock may keep its times. What was changed this shortly before it was
/// looked at leaves no trace, and is looked at again.
const UNSETTLED: Duration = Duration::seconds(2);

/// One holder's: what it was asked to hold, and which files were good for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its folder, below `pki`.
    pub holder: String,
    /// Of what was asked for, and of what tells its files from any others.
    pub digest: Fingerprint,
    /// What was good.
    pub good: Good,
}

impl Trace {
    /// The node's name, where a node left it.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.holder.strip_prefix("nodes/")
    }
}

/// What was found good of one holder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Good {
    /// Of what tells its files from any others.
    pub files: Fingerprint,
    /// How many certificates it has.
    pub certificates: usize,
    /// All of them are valid from here, in Unix seconds,
    pub not_before: i64,
    /// until here.
    pub not_after: i64,
}

/// All traces in the ledger: for how long what left each is good.
#[derive(Debug, Default)]
pub struct Traces(pub(super) HashMap<Fingerprint, (i64, i64)>);

impl Traces {
    /// What was seen, where it is good from `now` until after `end`, for all that was known when it was last looked at closely.
    #[must_use]
    pub fn lookup(&self, sight: &FileSnapshot, now: OffsetDateTime, end: OffsetDateTime) -> Option<Good> {
        let &(not_before, not_after) = self.0.get(&sight.digest)?;
        let lasts = not_before <= now.unix_timestamp() && end.unix_timestamp() < not_after;
        lasts.then_some(Good { files: sight.files, certificates: sight.certificates, not_before, not_after })
    }
}

impl Ledger {
    /// Remembers what was found good: each holder's newest trace.
    ///
    /// # Errors
    /// When SQLite cannot; nothing new is remembered then.
    pub fn remember(&mut self, traces: &[Trace]) -> Result<(), StoreError> {
        let remember = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            insert(&transaction, traces)?;
            transaction.commit()
        };
        remember(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }

    /// All that is remembered; nothing where the ledger is older than that.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn traces(&self) -> Result<Traces, StoreError> {
        if self.format()? < SINCE {
            return Ok(Traces::default());
        }
        let query = || {
            let mut select = self.connection.prepare("SELECT digest, not_before, not_after FROM traces")?;
            let row = |row: &Row<'_>| Ok((Fingerprint::from_bytes(row.get(0)?), (row.get(1)?, row.get(2)?)));
            select.query_map([], row)?.collect::<rusqlite::Result<_>>()
        };
        query().map(Traces).map_err(|error| failed(&self.path, &error))
    }
}

/// Writes traces as a part of somebody's transaction.
pub(super) fn insert(connection: &Connection, traces: &[Trace]) -> rusqlite::Result<()> {
    if traces.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO traces (holder, digest, not_before, not_after) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for trace in traces {
        let Good { not_before, not_after, .. } = trace.good;
        insert.execute(params![trace.holder, trace.digest.bytes(), not_before, not_after])?;
    }
    Ok(())
}

/// What is the same for all holders: of which kind keys have to be, who signs, and how many certificates were ever revoked. A
/// new revocation makes everything be looked at again.
#[derive(Debug, Clone, Copy)]
pub struct CacheKey {
    keys: KeyKind,
    roots: [Fingerprint; 3],
    revocations: u64,
}

impl CacheKey {
    /// Of keys of this kind, under these roots, as far as the ledger goes.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn new(keys: KeyKind, roots: &CaSet, ledger: &Ledger) -> Result<Self, StoreError> {
        let roots = CaRole::ALL.map(|kind| roots.of(kind).fingerprint());
        Ok(Self { keys, roots, revocations: ledger.count_of_revocations()? })
    }

    /// A digest of all that a holder is asked to hold. Whatever changes it, a new version of this program too, makes everything
    /// be looked at again.
    #[must_use]
    pub fn asked(&self, leaves: &[CertificateSpec]) -> Fingerprint {
        let policies: Vec<&Policy> = leaves.iter().map(CertificateSpec::policy).collect();
        Fingerprint::of_value(&(env!("CARGO_PKG_VERSION"), self.keys, self.roots, self.revocations, leaves, policies))
    }
}

/// What a holder's files look like from outside.
#[derive(Debug, Clone, Copy)]
pub struct FileSnapshot {
    /// To be found among the [`Traces`], if all is as it was.
    pub digest: Fingerprint,
    files: Fingerprint,
    certificates: usize,
    settled: bool,
}

/// Looks at the files that `leaves` describe, and reads none; `terms` are what is asked of them. `None` when one is not there, or
/// cannot be looked at.
#[must_use]
pub fn look(
    layout: &Layout,
    leaves: &[CertificateSpec],
    terms: &CacheKey,
    now: OffsetDateTime,
) -> Option<FileSnapshot> {
    let first = leaves.first()?;
    let folder = layout.holder_folder(first.profile, first.host.as_ref());
    let mut files = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        let identity = |ending| identity(&folder.join([leaf.policy().name, ending].concat()));
        files.push((leaf.profile, [identity(".crt")?, identity(".key")?]));
    }
    let settled = files.iter().flat_map(|(_, pair)| pair).all(|file| file.changed_before(now - UNSETTLED));
    let certificates = files.len();
    let files = of_files(&mut files);
    Some(FileSnapshot { digest: digest(terms.asked(leaves), files), files, certificates, settled })
}

impl FileSnapshot {
    /// The trace that files leave which were found good after this look at them; `certificates` are those that were
    /// read, `first` what one of them was to be.
    /// `None` when they were changed only just now.
    #[must_use]
    pub fn trace<'c>(
        &self,
        first: &CertificateSpec,
        certificates: impl Iterator<Item = &'c Certificate>,
    ) -> Option<Trace> {
        let good = || good(self.files, certificates);
        self.settled.then(|| Trace {
            holder: holder(first.profile, first.host.as_ref()),
            digest: self.digest,
            good: good(),
        })
    }
}

/// What tells a holder's files from any others: each certificate's and its key's.
pub(super) fn of_files(files: &mut [(Profile, [Identity; 2])]) -> Fingerprint {
    files.sort_unstable_by_key(|(profile, _)| *profile);
    Fingerprint::of_value(&&*files)
}

fn digest(asked: Fingerprint, files: Fingerprint) -> Fingerprint {
    Fingerprint::of_value(&(asked, files))
}

/// The trace of new files, as [`look`] will see them.
pub(super) fn of_new<'c>(
    holder: String,
    asked: Fingerprint,
    files: &mut [(Profile, [Identity; 2])],
    certificates: impl Iterator<Item = &'c Certificate>,
) -> Trace {
    let files = of_files(files);
    Trace { holder, digest: digest(asked, files), good: good(files, certificates) }
}

fn good<'c>(files: Fingerprint, certificates: impl Iterator<Item = &'c Certificate>) -> Good {
    let mut good = Good { files, certificates: 0, not_before: i64::MIN, not_after: i64::MAX };
    for certificate in certificates {
        good.certificates += 1;
        good.not_before = good.not_before.max(certificate.not_before.unix_timestamp());
        good.not_after = good.not_after.min(certificate.not_after.unix_timestamp());
    }
    good
}

pub(super) fn holder(profile: Profile, host: Option<&HostName>) -> String {
    // Not the path itself: the directory may be moved.
    let folder = Layout::new("".into()).holder_folder(profile, host);
    folder.strip_prefix("pki").unwrap_or(&folder).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_holder_of_a_nodes_trace_is_called_by_its_folder_and_known_by_its_name() {
        let digest = Fingerprint::of(b"a");
        let good = good(digest, std::iter::empty());
        let name = HostName::parse("worker-1.example.net").expect("a name");
        let trace = |profile| Trace { holder: holder(profile, Some(&name)), digest, good };
        assert_eq!(trace(Profile::KubeletServer).holder, "nodes/worker-1.example.net");
        assert_eq!(trace(Profile::KubeletServer).node(), Some("worker-1.example.net"));
        assert_eq!(trace(Profile::Apiserver).node(), None);
    }

    #[test]
    fn a_trace_vouches_for_as_long_as_the_certificates_last() {
        let (now, digest) = (datetime!(2026-11-23 12:00 UTC), Fingerprint::of(b"a"));
        let (from, until) = (now.unix_timestamp() - 300, now.unix_timestamp() + 86_400);
        let traces = Traces(HashMap::from([(digest, (from, until))]));
        let sight = |digest| FileSnapshot { digest, files: Fingerprint::of(b"files"), certificates: 2, settled: true };
        let vouches =
            |of, from: OffsetDateTime, until: OffsetDateTime| traces.lookup(&sight(of), from, until).is_some();
        assert!(vouches(digest, now, now));
        assert!(vouches(digest, now, now + Duration::hours(23)));
        assert!(!vouches(digest, now, now + Duration::days(1)));
        assert!(!vouches(digest, now - Duration::minutes(6), now));
        assert!(!vouches(Fingerprint::of(b"b"), now, now));
    }
}
