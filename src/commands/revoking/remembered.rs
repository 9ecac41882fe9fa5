//! What rendered files outside `pki/` remember of the ledger: which certificates they deny, and the ledger's sequence when they
//! were written. A `pki/` from a backup is older than they are, and knows less.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::OffsetDateTime;

use super::revocations::{GRACE, MAX_RULES};
use crate::app::package::reader;
use crate::bundle::format::Format;
use crate::bundle::model::Bundle;
use crate::bundle::paths;
use crate::bundle::policy::{ACCOUNTS, AUTHORIZATION};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::finding_remedies::words;
use crate::cluster::name::HostName;
use crate::cluster::spec::Role;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::rbac::denials::NAMED;
use crate::rbac::mark::LedgerMark;
use crate::store::error::StoreError;
use crate::store::files::{self, PRIVATE};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::unrecorded::NotRevoked;
use crate::verify::remedy::{FileRemedy, TargetKind};

/// What a file of rules for API servers is called in it.
const RULES: &str = "AuthorizationConfiguration";
/// What precedes a certificate's digest in the API servers' rules (Kubernetes's credential-id).
const CREDENTIAL_ID: &str = "X509SHA256=";
/// A digest's length in hexadecimal digits.
const DIGITS: usize = 64;
/// What precedes the generation in the record of packing.
const GENERATION: &str = "generation ";
/// No such record is larger than this, in bytes.
const MAX_RECORD: u64 = 4096;

/// What one file remembers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The file.
    pub(crate) path: PathBuf,
    /// The certificates that it denies, and those that it names as revoked beside them.
    pub(crate) denied: BTreeSet<Fingerprint>,
    /// Whether it is a file of rules, which names all that is denied; others know the ledger's sequence alone.
    pub(crate) is_rules: bool,
    /// The ledger's sequence when it was written; 0 where it does not say.
    pub(crate) sequence: u64,
    /// The generation of the bundles that it is about.
    pub(crate) generation: u64,
    /// The host whose bundle it is, and the certificates in it.
    pub(crate) packed: Option<(HostName, Vec<Certificate>)>,
}

impl Memory {
    fn of_rules(path: &Path, text: &str, root: &Certificate) -> Self {
        let mark = LedgerMark::find(text, root.fingerprint());
        let sequence = mark.map_or(0, |mark| mark.sequence);
        let (mut denied, is_rules) = (denied_in(text), text.contains(RULES));
        if mark.is_some() {
            denied.extend(digests_behind(NAMED, text));
        }
        Self { path: path.to_owned(), denied, is_rules, sequence, ..Self::default() }
    }

    /// Of a bundle, as far as it is of this root.
    fn of_bundle(path: &Path, bundle: &Bundle, root: &Certificate) -> Self {
        if bundle.manifest.root_pin != root.spki_fingerprint() {
            return Self { path: path.to_owned(), ..Self::default() };
        }
        let rules = bundle.file(paths::AUTHORIZATION);
        let rules = rules.map(|file| Self::of_rules(path, &String::from_utf8_lossy(&file.bytes), root));
        let packed = Some((bundle.manifest.host.clone(), certificates_in(bundle)));
        let generation = bundle.manifest.generation;
        Self { path: path.to_owned(), generation, packed, ..rules.unwrap_or_default() }
    }
}

/// The certificates in a bundle that are no root's.
pub(crate) fn certificates_in(bundle: &Bundle) -> Vec<Certificate> {
    let leaves = bundle.files.iter().filter(|file| file.path.ends_with(".crt") && paths::root_at(&file.path).is_none());
    let ders = leaves.flat_map(|file| pem::certificates(&file.bytes).unwrap_or_default());
    ders.filter_map(|der| Certificate::from_der(der).ok()).collect()
}

/// The certificates that a file of rules for API servers denies, in whatever way it is laid out.
pub(crate) fn denied_in(text: &str) -> BTreeSet<Fingerprint> {
    digests_behind(CREDENTIAL_ID, text).collect()
}

/// The digests that follow `prefix`.
fn digests_behind(prefix: &str, text: &str) -> impl Iterator<Item = Fingerprint> {
    let behind = text.match_indices(prefix).map(|(at, prefix)| &text[at + prefix.len()..]);
    behind.filter_map(|rest| Fingerprint::parse(rest.get(..DIGITS)?))
}

/// What the files of the cluster directory remember: the policy folder, and the folder of bundles.
///
/// # Errors
/// When one of them is there and cannot be read.
pub(crate) fn of_directory(layout: &Layout, root: &Certificate) -> Result<Vec<Memory>, StoreError> {
    let mut found = of_policy(layout, root)?;
    found.extend(of_bundles(layout, root)?);
    Ok(found)
}

/// What the policy folder remembers.
///
/// # Errors
/// When a file is there and cannot be read.
pub(crate) fn of_policy(layout: &Layout, root: &Certificate) -> Result<Vec<Memory>, StoreError> {
    let mut found = Vec::new();
    for name in [AUTHORIZATION, ACCOUNTS] {
        let path = layout.policy().join(name);
        if let Some(text) = read_if_there(&path, MAX_RULES)? {
            found.push(Memory::of_rules(&path, &text, root));
        }
    }
    Ok(found)
}

/// What bundles remember, by the record of their packing. Masters' bundles, which have the rules in them, are asked themselves
/// where they are newer than that record, or there is none: they were copied here, or an older version packed them.
fn of_bundles(layout: &Layout, root: &Certificate) -> Result<Vec<Memory>, StoreError> {
    let recorded = read_if_there(&layout.packing_record(), MAX_RECORD)?;
    let record = recorded.as_deref().and_then(|text| Record::parse(text, root));
    let mut found = Vec::new();
    if let Some(Record { sequence, generation }) = record {
        found.push(Memory { path: layout.bundles(), sequence, generation, ..Memory::default() });
    }
    let since = record.and_then(|_| files::modified(&layout.packing_record()));
    let masters = files::names_in(&layout.hosts_folder(Role::Master))?;
    for host in masters.iter().filter_map(|master| HostName::parse(master).ok()) {
        for path in Format::ALL.map(|format| layout.bundles().join(format.file_name(&host))) {
            let newer = |at: SystemTime| since.is_none_or(|since| at > since);
            if files::modified(&path).is_some_and(newer) {
                // What is no bundle tells nothing: `verify --offline` looks at it.
                found.extend(reader::read(&path).ok().map(|bundle| Memory::of_bundle(&path, &bundle, root)));
            }
        }
    }
    Ok(found)
}

/// The ledger's state when bundles were packed last, kept beside them: into a sealed one nobody can look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    sequence: u64,
    generation: u64,
}

impl Record {
    /// `None` where it is another root's.
    fn parse(text: &str, root: &Certificate) -> Option<Self> {
        let sequence = LedgerMark::find(text, root.fingerprint())?.sequence;
        let generation = text.lines().find_map(|line| line.strip_prefix(GENERATION)?.parse().ok());
        Some(Self { sequence, generation: generation.unwrap_or(0) })
    }
}

fn read_if_there(path: &Path, limit: u64) -> Result<Option<String>, StoreError> {
    match files::read(path, limit) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the record of what was packed.
///
/// # Errors
/// What the ledger or the system says.
pub(crate) fn record_packing(layout: &Layout, ledger: &Ledger, root: &Certificate) -> Result<(), StoreError> {
    let mark = LedgerMark { sequence: ledger.sequence()?, root: root.fingerprint() };
    let text = format!("{mark}\n{GENERATION}{}\n", ledger.last_generation()?);
    files::replace(&layout.packing_record(), text.as_bytes(), PRIVATE)
}

/// The generation that the record of packing has; `None` where there is no record of this root.
///
/// # Errors
/// When the record is there and cannot be read.
pub(crate) fn last_packed(layout: &Layout, root: &Certificate) -> Result<Option<u64>, StoreError> {
    let text = read_if_there(&layout.packing_record(), MAX_RECORD)?;
    Ok(text.and_then(|text| Record::parse(&text, root)).map(|record| record.generation))
}

/// What a file, or a folder of bundles, that a person named remembers.
///
/// # Errors
/// A usage error when it is neither rules for API servers nor bundles; or when it cannot be read.
pub(crate) fn of_given(path: &Path, root: &Certificate) -> Result<Vec<Memory>> {
    if !files::exists(path) {
        return Err(CliError::new(Exit::Usage, format!("there is no file {}", path.display())));
    }
    if files::is_folder(path) && reader::read(path).is_err() {
        return of_folder(path, root);
    }
    if let Ok(bundle) = reader::read(path) {
        return Ok(vec![Memory::of_bundle(path, &bundle, root)]);
    }
    let text = String::from_utf8_lossy(&files::read(path, MAX_RULES)?).into_owned();
    let memory = Memory::of_rules(path, &text, root);
    if memory.denied.is_empty() && !memory.is_rules {
        let what = format!("{} is no authorization.yaml, and no bundle", path.display());
        return Err(CliError::new(Exit::Usage, what).hint(
            "name policy/masters/authorization.yaml, the one of a master, a master's bundle, or the folder bundles",
        ));
    }
    Ok(vec![memory])
}

/// All bundles and all rules of a folder; what is sealed tells nothing.
fn of_folder(folder: &Path, root: &Certificate) -> Result<Vec<Memory>> {
    let mut found = Vec::new();
    for name in files::names_in(folder)? {
        let path = folder.join(name);
        if let Ok(bundle) = reader::read(&path) {
            found.push(Memory::of_bundle(&path, &bundle, root));
        } else if let (false, Ok(bytes)) = (files::is_folder(&path), files::read(&path, MAX_RULES)) {
            found.push(Memory::of_rules(&path, &String::from_utf8_lossy(&bytes), root));
        }
    }
    Ok(found)
}

/// What the ledger has forgotten of what these files deny.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn not_revoked(memories: &[Memory], ledger: &Ledger, now: OffsetDateTime) -> Result<NotRevoked, StoreError> {
    let denied: BTreeSet<&Fingerprint> = memories.iter().flat_map(|memory| &memory.denied).collect();
    ledger.not_revoked_among(denied, now - GRACE)
}

/// Why a ledger is older than a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Older {
    /// The file.
    pub(crate) path: PathBuf,
    /// In words.
    pub(crate) why: String,
}

/// Finds the first of these files that the ledger is older than.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn older_than(
    memories: &[Memory],
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Option<Older>, StoreError> {
    let sequence = ledger.sequence()?;
    for memory in memories {
        let lost = ledger.not_revoked_among(&memory.denied, now - GRACE)?;
        let lost = lost.recorded.len() + lost.unrecorded.len();
        let why = if lost > 0 {
            format!("it names {} as revoked that the ledger does not have as revoked", super::lists::count(lost))
        } else if memory.sequence > sequence {
            format!("it was written at the ledger's sequence {}, and this ledger is at {sequence}", memory.sequence)
        } else {
            continue;
        };
        return Ok(Some(Older { path: memory.path.clone(), why }));
    }
    Ok(None)
}

/// Refuses to learn from these files alone, where one of them is newer than every file of rules among them: what was revoked since
/// would be forgotten for good, as the ledger's sequence would be that of the newest.
///
/// # Errors
/// Refused, with what names it; or when the ledger cannot be used.
pub(crate) fn refuse_to_forget(memories: &[Memory], ledger: &Ledger) -> Result<()> {
    let named = memories.iter().filter(|memory| memory.is_rules).map(|memory| match memory.sequence {
        // Rules of an older version, or of a changed template, name all that they deny and say no sequence.
        0 if !memory.denied.is_empty() => u64::MAX,
        sequence => sequence,
    });
    let named = named.max().unwrap_or(0).max(ledger.sequence()?);
    let Some(newer) = memories.iter().find(|memory| memory.sequence > named) else { return Ok(()) };
    let what = format!(
        "the ledger is older than {}, which does not name what was revoked since: it was written at the ledger's sequence {}, and \
         what is known here ends at {named}",
        newer.path.display(),
        newer.sequence
    );
    let remedy = FileRemedy::RecordForgotten { from: None };
    Err(CliError::new(Exit::Refused, what).hint(words(&remedy.into(), TargetKind::Directory)))
}

/// Refuses to go on with a ledger that is older than the files that were rendered from it.
///
/// # Errors
/// Refused, with what records again what was forgotten; or when a file or the ledger cannot be used.
pub(crate) fn refuse_older(memories: &[Memory], ledger: &Ledger, now: OffsetDateTime) -> Result<()> {
    match older_than(memories, ledger, now)? {
        None => Ok(()),
        Some(older) => Err(refusal(&older)),
    }
}

/// The refusal to go on with an older ledger.
pub(crate) fn refusal(Older { path, why }: &Older) -> CliError {
    let what = format!("the ledger is older than {}: {why}", path.display());
    CliError::new(Exit::Refused, what).hint(words(&remedy(path).into(), TargetKind::Directory))
}

/// What records again what a ledger from a backup has forgotten.
pub(crate) fn remedy(path: &Path) -> FileRemedy {
    let from = (!path.ends_with(ACCOUNTS)).then(|| path.display().to_string());
    FileRemedy::RecordForgotten { from }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_however_the_rules_are_laid_out() {
        let (one, other) = (Fingerprint::of(b"one"), Fingerprint::of(b"other"));
        let text = format!("id in [\"X509SHA256={one}\",\n 'X509SHA256={other}']\n# X509SHA256=abc X509SHA256=\u{e4}");
        assert_eq!(denied_in(&text), BTreeSet::from([one, other]));
    }
}
