//! Determines which encrypted archives are up to date: same bundle, same recipients, and unchanged since.
//!
//! Encryption is randomized, so the archives themselves cannot be compared with new ones.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::cluster::name::HostName;
use crate::cluster::recipient::Recipient;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::ledger::encrypted_bundles::EncryptedBundle;

/// The encrypted archives of earlier runs and of this one.
pub(super) struct EncryptedArchives {
    before: HashMap<String, EncryptedBundle>,
    /// Filled by all threads.
    now: Mutex<Vec<(HostName, EncryptedBundle)>>,
}

impl EncryptedArchives {
    /// Reads the encrypted archives of earlier runs from the ledger.
    pub(super) fn begin(ledger: &Ledger) -> Result<Self, StoreError> {
        Ok(Self { before: ledger.encrypted_bundles()?, now: Mutex::default() })
    }

    /// Returns true if the archive at `path` was made from this input and is unchanged.
    pub(super) fn is_current(&self, host: &HostName, made_of: Fingerprint, path: &Path) -> bool {
        let same = |encrypted: &&EncryptedBundle| encrypted.made_of == made_of;
        let last = self.before.get(host.as_str()).filter(same);
        last.is_some_and(|last| files::digest_of_private(path) == Some(last.file))
    }

    /// Adds an archive of this run.
    pub(super) fn add(&self, host: &HostName, made_of: Fingerprint, archive: &[u8]) {
        let encrypted = EncryptedBundle { made_of, file: Fingerprint::of(archive) };
        self.now.lock().unwrap_or_else(PoisonError::into_inner).push((host.clone(), encrypted));
    }

    /// Records this run's archives, whether they were written or not: the next run compares the digests of the files.
    pub(super) fn end(self, ledger: &mut Ledger) -> Result<(), StoreError> {
        let mut encrypted = self.now.into_inner().unwrap_or_else(PoisonError::into_inner);
        encrypted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        ledger.record_encrypted_bundles(&encrypted)
    }
}

/// Returns a digest of an archive and its recipients.
pub(super) fn digest_of(archive: &[u8], recipients: &[Recipient]) -> Fingerprint {
    let mut parts = Fingerprint::of(archive).bytes().to_vec();
    for recipient in recipients {
        parts.extend_from_slice(recipient.as_str().as_bytes());
        parts.push(b'\n');
    }
    Fingerprint::of(&parts)
}
