//! The digests of encrypted bundles and of their contents. Encrypting the same bundle twice gives different bytes, so
//! the encrypted bytes do not show whether the content changed.

use std::collections::HashMap;

use rusqlite::{Row, params};

use super::Ledger;
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// An encrypted bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedBundle {
    /// The digest of the unencrypted bundle and of its recipients.
    pub made_of: Fingerprint,
    /// The digest of the encrypted archive.
    pub file: Fingerprint,
}

impl Ledger {
    /// Returns the last encrypted bundle of each host.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn encrypted_bundles(&self) -> Result<HashMap<String, EncryptedBundle>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare("SELECT host, made_of, file FROM sealed")?;
            let row = |row: &Row<'_>| {
                let digest = |index| row.get(index).map(Fingerprint::from_bytes);
                Ok((row.get(0)?, EncryptedBundle { made_of: digest(1)?, file: digest(2)? }))
            };
            select.query_map([], row)?.collect()
        })
    }

    /// Records encrypted bundles, all or none. A bundle that was not recorded is encrypted again by the next run.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn record_encrypted_bundles(&mut self, bundles: &[(HostName, EncryptedBundle)]) -> Result<(), StoreError> {
        if bundles.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut insert =
                transaction.prepare("INSERT OR REPLACE INTO sealed (host, made_of, file) VALUES (?1, ?2, ?3)")?;
            for (host, EncryptedBundle { made_of, file }) in bundles {
                insert.execute(params![host.as_str(), made_of.bytes(), file.bytes()])?;
            }
            Ok(())
        })
    }
}
