//! Finds bundles in the directory that lack their hosts' newest certificates.
//!
//! The ledger has the generation of each host's last bundle. A file that changed since bundles were last packed may be
//! another bundle. It is read, or, if it is encrypted, compared with the digest of the host's last encrypted bundle.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::OffsetDateTime;

use super::row::{Credential, Problem, StatusRow, Subject};
use super::source::Source;
use super::state::State;
use crate::app::package::reader;
use crate::bundle::format::{Format, encrypted_name};
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::encrypted_bundles::EncryptedBundle;
use crate::verify::remedy::FileRemedy;

/// The bundles in the directory.
pub(super) struct Bundles<'a> {
    source: &'a Source<'a>,
    folder: PathBuf,
    names: HashSet<String>,
    /// When bundles were last packed.
    packed_at: Option<SystemTime>,
    /// The digests of the last encrypted bundles, which are read once they are needed.
    encrypted: OnceCell<HashMap<String, EncryptedBundle>>,
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
    /// Returns an error if the folder cannot be listed.
    pub(super) fn list(source: &'a Source<'a>) -> Result<Self, StoreError> {
        let folder = source.layout.bundles();
        let names = files::names_in(&folder)?.into_iter().collect();
        let packed_at = files::modified(&source.layout.packing_record());
        Ok(Self { source, folder, names, packed_at, encrypted: OnceCell::new() })
    }

    /// Returns true if the directory has an encrypted bundle of a host.
    pub(super) fn has_encrypted(&self, host: &HostName) -> bool {
        self.names.contains(&encrypted_name(host))
    }

    /// Returns the row for a host's bundle if it needs attention.
    ///
    /// `packed` is the generation of its last bundle, `issued_at` the time at which its newest certificate was issued.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be read.
    pub(super) fn row(
        &self,
        host: &HostName,
        packed: Option<u64>,
        issued_at: OffsetDateTime,
    ) -> Result<Option<StatusRow>, StoreError> {
        if packed.is_some_and(|generation| is_older(generation, issued_at)) {
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
                false => of_plain(&path, issued_at),
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
}

fn of_plain(path: &Path, issued_at: OffsetDateTime) -> FileState {
    match reader::read(path) {
        Ok(bundle) if is_older(bundle.manifest.generation, issued_at) => FileState::Outdated,
        Ok(_) => FileState::Current,
        Err(error) => FileState::Unreadable(error.into()),
    }
}

/// Returns true if a bundle of this generation was packed before a certificate was issued.
///
/// A generation is at least the time in Unix seconds. A bundle that is packed after a certificate was issued has
/// changed content and therefore a later generation.
fn is_older(generation: u64, issued_at: OffsetDateTime) -> bool {
    generation < u64::try_from(issued_at.unix_timestamp()).unwrap_or(0)
}

fn row(host: &HostName, state: State) -> StatusRow {
    let remedy = FileRemedy::PackBundle { host: host.to_string(), format: None };
    StatusRow::new(Subject::Host(host.to_string()), Credential::Bundle, state).remedy(remedy)
}
