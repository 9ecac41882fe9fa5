//! Finds bundles in the directory that lack their hosts' newest certificates, and bundles of masters that lack denials.
//!
//! The ledger has the generation of each host's last bundle. A file that changed since bundles were last packed may be
//! another bundle. It is read, or, if it is encrypted, compared with the digest of the host's last encrypted bundle.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::OffsetDateTime;

use super::authorities::Cas;
use super::row::{Credential, Problem, StatusRow, Subject};
use super::source::Source;
use super::state::State;
use crate::app::package::{reader, templates};
use crate::app::revoke::{denials, rendered};
use crate::bundle::format::{Format, encrypted_name};
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::rbac::denials::Denials;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::ledger::encrypted_bundles::EncryptedBundle;
use crate::verify::remedy::FileRemedy;

/// The bundles in the directory.
pub(super) struct Bundles<'a> {
    source: &'a Source<'a>,
    folder: PathBuf,
    names: HashSet<String>,
    /// When bundles were last packed.
    packed_at: Option<SystemTime>,
    /// The certificates that were revoked last and that masters' bundles have to deny, each with the time of its revocation.
    last_denied: Vec<(Fingerprint, OffsetDateTime)>,
    /// The digests of the last encrypted bundles, which are read once they are needed.
    encrypted: OnceCell<HashMap<String, EncryptedBundle>>,
}

/// What a host's bundle has to contain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needed<'h> {
    pub(super) host: &'h HostName,
    /// When its newest certificate was issued.
    pub(super) issued_at: OffsetDateTime,
    /// Whether it has the API server's rules.
    pub(super) has_rules: bool,
}

/// The state of a file that is a bundle.
enum FileState {
    /// It has the newest certificates, or it is not known whether it has them.
    Current,
    Outdated,
    Unreadable(Problem),
}

impl<'a> Bundles<'a> {
    /// Lists the bundles.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be listed, or the ledger cannot be read.
    pub(super) fn list(source: &'a Source<'a>, cas: &Cas) -> Result<Self, StoreError> {
        let folder = source.layout.bundles();
        let names = files::names_in(&folder)?.into_iter().collect();
        let packed_at = files::modified(&source.layout.packing_record());
        let last_denied = match cas.trust(CaRole::Cluster) {
            Some(root) => delivered_denials(source, root)?,
            None => Vec::new(),
        };
        Ok(Self { source, folder, names, packed_at, last_denied, encrypted: OnceCell::new() })
    }

    /// Returns true if the directory has an encrypted bundle of a host.
    pub(super) fn has_encrypted(&self, host: &HostName) -> bool {
        self.names.contains(&encrypted_name(host))
    }

    /// Returns the row for a host's bundle if it needs attention.
    ///
    /// `packed` is the generation of its last bundle.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be read.
    pub(super) fn row(&self, needed: Needed<'_>, packed: Option<u64>) -> Result<Option<StatusRow>, StoreError> {
        let host = needed.host;
        if let Some(generation) = packed
            && self.is_outdated(needed, generation)?
        {
            return Ok(Some(row(host, State::Outdated)));
        }
        if self.names.is_empty() {
            return Ok(None);
        }
        let plain = Format::ALL.map(|format| format.file_name(host)).into_iter().map(|name| (name, false));
        for (name, is_encrypted) in plain.chain([(encrypted_name(host), true)]) {
            if !self.names.contains(&name) {
                continue;
            }
            let path = self.folder.join(name);
            if !self.may_be_another(&path) {
                continue;
            }
            let state = match is_encrypted {
                true => self.of_encrypted(host, &path)?,
                false => self.of_plain(needed, &path)?,
            };
            match state {
                FileState::Current => {}
                FileState::Outdated => return Ok(Some(StatusRow { file: Some(path), ..row(host, State::Outdated) })),
                FileState::Unreadable(problem) => {
                    let row = row(host, State::Unreadable);
                    return Ok(Some(StatusRow { file: Some(path), problem: Some(problem), ..row }));
                }
            }
        }
        Ok(None)
    }

    /// Returns true if a file changed since bundles were last packed, or that is not known.
    fn may_be_another(&self, path: &Path) -> bool {
        match (files::modified(path), self.packed_at) {
            (Some(at), Some(packed_at)) => at > packed_at,
            _ => true,
        }
    }

    /// Compares an encrypted bundle with the last one in the ledger; if the ledger has none, it counts as current.
    fn of_encrypted(&self, host: &HostName, path: &Path) -> Result<FileState, StoreError> {
        let known = match self.encrypted.get() {
            Some(known) => known,
            None => {
                let read = self.source.ledger.encrypted_bundles()?;
                self.encrypted.get_or_init(|| read)
            }
        };
        let Some(last) = known.get(host.as_str()) else { return Ok(FileState::Current) };
        let size = files::size(path).unwrap_or(u64::MAX);
        Ok(match files::read(path, size).map(|bytes| Fingerprint::of(&bytes)) {
            Ok(digest) if digest == last.file => FileState::Current,
            Ok(_) => FileState::Outdated,
            Err(error) => FileState::Unreadable(Problem::Store(error)),
        })
    }

    fn of_plain(&self, needed: Needed<'_>, path: &Path) -> Result<FileState, StoreError> {
        Ok(match reader::read(path) {
            Ok(bundle) if self.is_outdated(needed, bundle.manifest.generation)? => FileState::Outdated,
            Ok(_) => FileState::Current,
            Err(error) => FileState::Unreadable(error.into()),
        })
    }

    /// Returns true if a bundle of this generation lacks the newest certificate, or the newest denial.
    fn is_outdated(&self, needed: Needed<'_>, generation: u64) -> Result<bool, StoreError> {
        if is_older(generation, needed.issued_at) {
            return Ok(true);
        }
        if !needed.has_rules {
            return Ok(false);
        }
        for (revoked, at) in &self.last_denied {
            let is_later = generation > seconds(*at) && generation <= seconds(self.source.rule.now);
            let is_packed_after = |ledger: &Ledger| ledger.is_packed_after(needed.host.as_str(), generation, *revoked);
            if is_older(generation, *at) || (!is_later && !is_packed_after(self.source.ledger)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the certificates that were revoked last and that the rules in masters' bundles deny; none if the templates that the
/// cluster file names have no denials, because packing again changes nothing then.
fn delivered_denials(
    source: &Source<'_>,
    root: &TrustBundle,
) -> Result<Vec<(Fingerprint, OffsetDateTime)>, StoreError> {
    let mut last = denials::last_denied(source.ledger, root, source.rule.now)?;
    if source.cluster.templates.is_some() && !last.is_empty() {
        let rules = templates::of_cluster(source.cluster, source.layout).ok().and_then(|templates| {
            let denials = Denials::of(last.iter().map(|(revoked, _)| *revoked)).ok()?;
            denials::authorization(source.cluster, &denials, &templates).ok()
        });
        let named = rendered::denied_in(&rules.unwrap_or_default());
        last.retain(|(revoked, _)| named.contains(revoked));
    }
    Ok(last)
}

/// Returns true if a bundle of this generation was packed before a time.
///
/// A generation is at least the time in Unix seconds. A bundle that is packed after a certificate was issued, or revoked, has
/// changed content and therefore a later generation.
fn is_older(generation: u64, time: OffsetDateTime) -> bool {
    generation < seconds(time)
}

fn seconds(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp()).unwrap_or(0)
}

fn row(host: &HostName, state: State) -> StatusRow {
    let remedy = FileRemedy::PackBundle { host: host.to_string(), format: None };
    StatusRow::new(Subject::Host(host.to_string()), Credential::Bundle, state).remedy(remedy)
}
