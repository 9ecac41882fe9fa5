//! The numbers of the CRLs that were signed.

use rusqlite::params;
use time::OffsetDateTime;

use super::Ledger;
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

impl Ledger {
    /// Assigns the number of an issuer's next CRL (RFC 5280 § 5.2.3). It is greater than all earlier numbers, and at
    /// least `at_least`.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn next_crl_number(
        &mut self,
        issuer: Fingerprint,
        at_least: u64,
        this_update: OffsetDateTime,
        next_update: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let number = self.write(|transaction| {
            let last: i64 = transaction.query_row(
                "SELECT coalesce(max(number), 0) FROM revocation_lists WHERE issuer_sha256 = ?1",
                [issuer.to_string()],
                |row| row.get(0),
            )?;
            let number = last.saturating_add(1).max(i64::try_from(at_least).unwrap_or(i64::MAX));
            transaction.execute(
                "INSERT INTO revocation_lists (issuer_sha256, number, this_update, next_update) VALUES (?1, ?2, ?3, ?4)",
                params![issuer.to_string(), number, stamp(this_update), stamp(next_update)],
            )?;
            Ok(number)
        })?;
        Ok(u64::try_from(number).unwrap_or(1))
    }
}
