//! Which sealed archives are in their place already: those that were made of the same bundle, for the same recipients, and have
//! not changed since.

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

/// What was sealed before this run, and in it.
pub(crate) struct Resealing {
    before: HashMap<String, EncryptedBundle>,
    /// Filled by all threads.
    now: Mutex<Vec<(HostName, EncryptedBundle)>>,
}

impl Resealing {
    /// Begins with what was sealed before.
    ///
    /// # Errors
    /// What the ledger says.
    pub(crate) fn begin(ledger: &Ledger) -> Result<Self, StoreError> {
        Ok(Self { before: ledger.encrypted_bundles()?, now: Mutex::default() })
    }

    /// True if the archive at `path` was made of this and is as it was written.
    pub(crate) fn is_there(&self, host: &HostName, made_of: Fingerprint, path: &Path) -> bool {
        let same = |sealed: &&EncryptedBundle| sealed.made_of == made_of;
        let last = self.before.get(host.as_str()).filter(same);
        last.is_some_and(|last| files::digest_of_private(path) == Some(last.file))
    }

    /// Notes an archive that was made.
    pub(crate) fn add(&self, host: &HostName, made_of: Fingerprint, archive: &[u8]) {
        let sealed = EncryptedBundle { made_of, file: Fingerprint::of(archive) };
        self.now.lock().unwrap_or_else(PoisonError::into_inner).push((host.clone(), sealed));
    }

    /// Remembers what was made, whether it reached its place or not: the file on the disk is compared.
    ///
    /// # Errors
    /// What the ledger says.
    pub(crate) fn end(self, ledger: &mut Ledger) -> Result<(), StoreError> {
        let mut sealed = self.now.into_inner().unwrap_or_else(PoisonError::into_inner);
        sealed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        ledger.record_encrypted_bundles(&sealed)
    }
}

/// Returns a digest of what is sealed, and to whom.
pub(crate) fn made_of(archive: &[u8], recipients: &[Recipient]) -> Fingerprint {
    let mut parts = Fingerprint::of(archive).bytes().to_vec();
    for recipient in recipients {
        parts.extend_from_slice(recipient.as_str().as_bytes());
        parts.push(b'\n');
    }
    Fingerprint::of(&parts)
}
