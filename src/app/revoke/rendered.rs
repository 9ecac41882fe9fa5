//! Reads the state of the ledger from rendered files: the certificates that they deny, and the ledger's sequence at the
//! time. Newer files prove that `pki/` was restored from a backup.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::OffsetDateTime;

use super::denials::{GRACE, MAX_RULES};
use super::error::{LedgerEvidence, RevokeError};
use super::remedy::record_missing;
use crate::app::error::Error;
use crate::app::input::InputError;
use crate::app::package::reader;
use crate::bundle::format::Format;
use crate::bundle::model::Bundle;
use crate::bundle::paths;
use crate::bundle::policy::{ACCOUNTS, AUTHORIZATION};
use crate::cluster::name::HostName;
use crate::cluster::spec::Role;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::{CREDENTIAL_ID_PREFIX, Fingerprint};
use crate::pki::pem;
use crate::pki::trust_bundle::TrustBundle;
use crate::rbac::denials::NAMED;
use crate::rbac::mark::LedgerMark;
use crate::store::error::StoreError;
use crate::store::files::{self, PRIVATE};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::unrecorded::NotRevoked;
use crate::verify::remedy::FileRemedy;

/// The kind of an authorization configuration.
const KIND: &str = "AuthorizationConfiguration";
/// The length of a SHA-256 in hexadecimal digits.
const DIGITS: usize = 64;
/// The text before the generation in the packing record.
const GENERATION: &str = "generation ";
/// The largest packing record that is read, in bytes.
const MAX_RECORD: u64 = 4096;

/// The state of the ledger as recorded in one rendered file.
#[derive(Debug, Default)]
pub(crate) struct RenderedState {
    /// The file.
    pub(crate) path: PathBuf,
    /// The certificates that it denies, and those that it only lists as revoked.
    pub(crate) denied: BTreeSet<Fingerprint>,
    /// Whether it is an authorization configuration, which lists all denied certificates; other files have only the
    /// sequence.
    pub(crate) is_rules: bool,
    /// The ledger's sequence when it was written; 0 if the file does not contain it.
    pub(crate) sequence: u64,
    /// The generation of the bundles.
    pub(crate) generation: u64,
    /// The host of a bundle, and the certificates in it.
    pub(crate) packed: Option<(HostName, Vec<Certificate>)>,
}

impl RenderedState {
    fn of_rules(path: &Path, text: &str, root: &TrustBundle) -> Self {
        let mark = mark_in(text, root);
        let sequence = mark.map_or(0, |mark| mark.sequence);
        let (mut denied, is_rules) = (denied_in(text), text.contains(KIND));
        if mark.is_some() {
            denied.extend(digests_after(NAMED, text));
        }
        Self { path: path.to_owned(), denied, is_rules, sequence, ..Self::default() }
    }

    /// Reads the state from a bundle. It is empty if the bundle belongs to another CA.
    fn of_bundle(path: &Path, bundle: &Bundle, root: &TrustBundle) -> Self {
        if !root.pins().contains(&bundle.manifest.root_pin) {
            return Self { path: path.to_owned(), ..Self::default() };
        }
        let rules = bundle.file(paths::AUTHORIZATION);
        let rules = rules.map(|file| Self::of_rules(path, &String::from_utf8_lossy(&file.bytes), root));
        let packed = Some((bundle.manifest.host.clone(), certificates_in(bundle)));
        let generation = bundle.manifest.generation;
        Self { path: path.to_owned(), generation, packed, ..rules.unwrap_or_default() }
    }
}

/// Returns the end-entity certificates in a bundle.
pub(crate) fn certificates_in(bundle: &Bundle) -> Vec<Certificate> {
    let leaves = bundle.files.iter().filter(|file| file.path.ends_with(".crt") && paths::root_at(&file.path).is_none());
    // The certificates after the first one are its chain.
    let ders = leaves.filter_map(|file| pem::certificates(&file.bytes).unwrap_or_default().into_iter().next());
    ders.filter_map(|der| Certificate::from_der(der).ok()).collect()
}

/// Returns the certificates that an authorization configuration denies, in any YAML style.
pub(crate) fn denied_in(text: &str) -> BTreeSet<Fingerprint> {
    digests_after(CREDENTIAL_ID_PREFIX, text).collect()
}

/// Returns the SHA-256s that follow `prefix`.
fn digests_after(prefix: &str, text: &str) -> impl Iterator<Item = Fingerprint> {
    let after = text.match_indices(prefix).map(|(at, prefix)| &text[at + prefix.len()..]);
    after.filter_map(|rest| Fingerprint::parse(rest.get(..DIGITS)?))
}

/// Reads the states in the cluster directory: in the policy folder and in the folder of bundles.
///
/// # Errors
/// Returns an error if a file cannot be read.
pub(crate) fn of_directory(layout: &Layout, root: &TrustBundle) -> Result<Vec<RenderedState>, StoreError> {
    let mut found = of_policy(layout, root)?;
    found.extend(of_bundles(layout, root)?);
    Ok(found)
}

/// Reads the states in the files of the policy folder.
///
/// # Errors
/// Returns an error if a file cannot be read.
pub(crate) fn of_policy(layout: &Layout, root: &TrustBundle) -> Result<Vec<RenderedState>, StoreError> {
    let mut found = Vec::new();
    for name in [AUTHORIZATION, ACCOUNTS] {
        let path = layout.policy().join(name);
        if let Some(text) = read_if_there(&path, MAX_RULES)? {
            found.push(RenderedState::of_rules(&path, &text, root));
        }
    }
    Ok(found)
}

/// Reads the states in the packing record and in newer bundles.
///
/// Masters' bundles contain the authorization configuration. They are read if they are newer than the record or there
/// is no record: they were copied here, or an older version packed them.
fn of_bundles(layout: &Layout, root: &TrustBundle) -> Result<Vec<RenderedState>, StoreError> {
    let recorded = read_if_there(&layout.packing_record(), MAX_RECORD)?;
    let record = recorded.as_deref().and_then(|text| Record::parse(text, root));
    let mut found = Vec::new();
    if let Some(Record { sequence, generation }) = record {
        found.push(RenderedState { path: layout.bundles(), sequence, generation, ..RenderedState::default() });
    }
    let since = record.and_then(|_| files::modified(&layout.packing_record()));
    let masters = files::names_in(&layout.hosts_folder(Role::Master))?;
    for host in masters.iter().filter_map(|master| HostName::parse(master).ok()) {
        for path in Format::ALL.map(|format| layout.bundles().join(format.file_name(&host))) {
            let newer = |at: SystemTime| since.is_none_or(|since| at > since);
            if files::modified(&path).is_some_and(newer) {
                // A file that is not a bundle is ignored here, because the audit reports it.
                found.extend(reader::read(&path).ok().map(|bundle| RenderedState::of_bundle(&path, &bundle, root)));
            }
        }
    }
    Ok(found)
}

/// Returns the ledger's mark in a text, if it is of one of these CAs.
fn mark_in(text: &str, trust: &TrustBundle) -> Option<LedgerMark> {
    trust.all().find_map(|(ca, _)| LedgerMark::find(text, ca.certificate().fingerprint()))
}

/// The ledger's state when bundles were last packed. It is stored beside the bundles because encrypted bundles cannot
/// be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    sequence: u64,
    generation: u64,
}

impl Record {
    /// Parses a packing record; `None` if it belongs to another CA.
    fn parse(text: &str, root: &TrustBundle) -> Option<Self> {
        let sequence = mark_in(text, root)?.sequence;
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

/// Writes the packing record.
///
/// # Errors
/// Returns an error if the ledger cannot be read, or the file not written.
pub(crate) fn record_packing(layout: &Layout, ledger: &Ledger, root: &TrustBundle) -> Result<(), StoreError> {
    let mark = LedgerMark { sequence: ledger.sequence()?, root: root.active().certificate().fingerprint() };
    let text = format!("{mark}\n{GENERATION}{}\n", ledger.last_generation()?);
    files::replace(&layout.packing_record(), text.as_bytes(), PRIVATE)
}

/// Returns true if bundles were packed, or certificates revoked, since the packing record was written, or if there is
/// none.
///
/// An interrupted run did not write it. If nothing was ever packed, there is nothing to record.
///
/// # Errors
/// Returns an error if the record or the ledger cannot be read.
pub(crate) fn is_packing_unrecorded(layout: &Layout, ledger: &Ledger, root: &TrustBundle) -> Result<bool, StoreError> {
    let (sequence, generation) = (ledger.sequence()?, ledger.last_generation()?);
    let text = read_if_there(&layout.packing_record(), MAX_RECORD)?;
    let record = text.and_then(|text| Record::parse(&text, root));
    Ok(generation > 0 && record != Some(Record { sequence, generation }))
}

/// Returns the generation of the packing record; `None` if there is no record of this CA.
///
/// # Errors
/// Returns an error if the record cannot be read.
pub(crate) fn last_packed(layout: &Layout, root: &TrustBundle) -> Result<Option<u64>, StoreError> {
    let text = read_if_there(&layout.packing_record(), MAX_RECORD)?;
    Ok(text.and_then(|text| Record::parse(&text, root)).map(|record| record.generation))
}

/// Reads the states in a file or a folder of bundles that the user named.
///
/// # Errors
/// Returns [`InputError::Missing`], [`RevokeError::NotRendered`], or an error if the file cannot be read.
pub(crate) fn of_given(path: &Path, root: &TrustBundle) -> Result<Vec<RenderedState>, Error> {
    if !files::exists(path) {
        return Err(InputError::Missing { what: "file", path: path.to_owned() }.into());
    }
    if files::is_folder(path) && reader::read(path).is_err() {
        return Ok(of_folder(path, root)?);
    }
    if let Ok(bundle) = reader::read(path) {
        return Ok(vec![RenderedState::of_bundle(path, &bundle, root)]);
    }
    let text = String::from_utf8_lossy(&files::read(path, MAX_RULES)?).into_owned();
    let state = RenderedState::of_rules(path, &text, root);
    if state.denied.is_empty() && !state.is_rules {
        return Err(RevokeError::NotRendered(path.to_owned()).into());
    }
    Ok(vec![state])
}

/// Reads the states in all bundles and authorization configurations of a folder, except for encrypted bundles.
fn of_folder(folder: &Path, root: &TrustBundle) -> Result<Vec<RenderedState>, StoreError> {
    let mut found = Vec::new();
    for name in files::names_in(folder)? {
        let path = folder.join(name);
        if let Ok(bundle) = reader::read(&path) {
            found.push(RenderedState::of_bundle(&path, &bundle, root));
        } else if let (false, Ok(bytes)) = (files::is_folder(&path), files::read(&path, MAX_RULES)) {
            found.push(RenderedState::of_rules(&path, &String::from_utf8_lossy(&bytes), root));
        }
    }
    Ok(found)
}

/// Returns the certificates that these files deny and the ledger does not record as revoked.
///
/// # Errors
/// Returns an error if the ledger cannot be used.
pub(crate) fn not_revoked(
    states: &[RenderedState],
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<NotRevoked, StoreError> {
    let denied: BTreeSet<&Fingerprint> = states.iter().flat_map(|state| &state.denied).collect();
    ledger.not_revoked_among(denied, now - GRACE)
}

/// A rendered file that is newer than the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewerFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// The evidence.
    pub(crate) evidence: LedgerEvidence,
}

impl NewerFile {
    /// Returns the file if it lists revoked certificates, so that they can be recorded from it.
    fn record_from(&self) -> Option<&Path> {
        (!self.path.ends_with(ACCOUNTS)).then_some(&self.path)
    }

    /// Returns the remedy by which the missing revocations are recorded.
    pub(crate) fn remedy(&self) -> FileRemedy {
        record_missing(self.record_from())
    }

    /// Returns the error for a use case that refuses the older ledger.
    pub(crate) fn into_error(self) -> RevokeError {
        let record_from = self.record_from().map(ToOwned::to_owned);
        RevokeError::OutdatedLedger { path: self.path, evidence: self.evidence, record_from }
    }
}

/// Returns the first of these files that is newer than the ledger.
///
/// # Errors
/// Returns an error if the ledger cannot be used.
pub(crate) fn newer_than(
    states: &[RenderedState],
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Option<NewerFile>, StoreError> {
    let sequence = ledger.sequence()?;
    for state in states {
        let lost = ledger.not_revoked_among(&state.denied, now - GRACE)?;
        let lost = lost.recorded.len() + lost.unrecorded.len();
        let evidence = if lost > 0 {
            LedgerEvidence::Denied { count: lost }
        } else if state.sequence > sequence {
            LedgerEvidence::Sequence { written: state.sequence, ledger: sequence }
        } else {
            continue;
        };
        return Ok(Some(NewerFile { path: state.path.clone(), evidence }));
    }
    Ok(None)
}

/// Refuses to record revocations if one of these files is newer than all files that list revoked certificates.
///
/// Otherwise the ledger's sequence would become that of the newest file, and revocations that no file lists would be
/// lost.
///
/// # Errors
/// Returns [`RevokeError::UnknownRevocations`], or an error if the ledger cannot be used.
pub(crate) fn check_complete(states: &[RenderedState], ledger: &Ledger) -> Result<(), Error> {
    let named = states.iter().filter(|state| state.is_rules).map(|state| match state.sequence {
        // Rules of an older version or a customized template list all denied certificates but have no sequence.
        0 if !state.denied.is_empty() => u64::MAX,
        sequence => sequence,
    });
    let known = named.max().unwrap_or(0).max(ledger.sequence()?);
    match states.iter().find(|state| state.sequence > known) {
        None => Ok(()),
        Some(RenderedState { path, sequence, .. }) => {
            Err(RevokeError::UnknownRevocations { path: path.clone(), written: *sequence, known }.into())
        }
    }
}

/// Refuses a ledger that is older than one of these files.
///
/// # Errors
/// Returns [`RevokeError::OutdatedLedger`], or an error if the ledger cannot be used.
pub(crate) fn check_ledger_is_newer(
    states: &[RenderedState],
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<(), Error> {
    match newer_than(states, ledger, now)? {
        None => Ok(()),
        Some(newer) => Err(newer.into_error().into()),
    }
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
