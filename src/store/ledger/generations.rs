//! The generations of bundles: a host's installer refuses a bundle of an earlier generation.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::query::RowQuery;
use super::{AuditContext, Ledger, events};
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// The bundle that was packed last for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Its generation.
    pub generation: u64,
    /// The digest of its content, without its generation.
    pub content: Fingerprint,
}

/// The bundles that were packed last, and the generation of bundles with other content.
#[derive(Debug)]
pub struct Generations {
    last: HashMap<String, Packed>,
    next: u64,
}

impl Generations {
    /// Returns the bundle that was packed last for `host`, if it is known.
    #[must_use]
    pub fn last(&self, host: &HostName) -> Option<Packed> {
        self.last.get(host.as_str()).copied()
    }

    /// Returns a generation that is greater than all earlier ones.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }
}

impl Ledger {
    /// Assigns the next generation, durable on return. It is never assigned again, even if no bundle with it is
    /// written.
    ///
    /// It is the time in Unix seconds, so that a ledger from a backup also assigns a greater generation than before. It
    /// is always greater than the last one, whatever the clock says.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, no value is reserved.
    pub fn next_generation(&mut self, now: OffsetDateTime) -> Result<Generations, StoreError> {
        self.write(|transaction| {
            let generations = generations(transaction, now)?;
            let next = generations.next.cast_signed();
            transaction.execute("INSERT OR REPLACE INTO generation (one, number) VALUES (1, ?1)", [next])?;
            Ok(generations)
        })
    }

    /// Returns the last bundles and the generation that [`Self::next_generation`] would assign, without assigning it.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn generations(&self, now: OffsetDateTime) -> Result<Generations, StoreError> {
        self.read(|connection| generations(connection, now))
    }

    /// Finds the generation of each host's last bundle, in the order of the hosts' names.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn packed_generations(&self) -> Result<RowQuery<'_, (String, u64)>, StoreError> {
        let of = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
        RowQuery::new(self, "SELECT host, generation FROM bundles ORDER BY host", &[], of)
    }

    /// Returns true if the bundle of a host with this generation was recorded after a certificate was revoked.
    ///
    /// Their times do not tell it if both are of the same second, or if the generation is ahead of the clock. The links of the
    /// hash chain have the order in which rows of all tables were recorded.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn is_packed_after(&self, host: &str, generation: u64, revoked: Fingerprint) -> Result<bool, StoreError> {
        self.read(|connection| {
            let number = "SELECT 'revocations', seq FROM revocations WHERE sha256 = ?1 UNION ALL \
                SELECT 'unrecorded_revocations', seq FROM unrecorded_revocations WHERE sha256 = ?1 LIMIT 1";
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let found = connection.query_row(number, [revoked.to_string()], row).optional()?;
            let Some((source, number)): Option<(String, i64)> = found else { return Ok(true) };
            // Each link begins with the number of its first row, and its last entry is the number and the digest of its last row.
            let link = "SELECT max(seq) FROM chain WHERE source = ?1 AND substr(entries, 1, 8) <= ?2";
            let link: Option<i64> =
                connection.query_row(link, params![source, &number.to_be_bytes()[..]], |row| row.get(0))?;
            let events = "SELECT substr(entries, -40, 8) FROM chain WHERE source = 'events' AND seq < ?1 ORDER BY seq DESC LIMIT 1";
            let last: Option<Vec<u8>> = connection.query_row(events, [link], |row| row.get(0)).optional()?;
            let last = last.and_then(|last| <[u8; 8]>::try_from(last).ok()).map_or(0, i64::from_be_bytes);
            let packed = "SELECT EXISTS (SELECT 1 FROM events WHERE kind = 'bundle' AND seq > ?1 AND subject = ?2 AND detail = ?3)";
            connection.query_row(packed, params![last, host, detail(generation)], |row| row.get(0))
        })
    }

    /// Records bundles that were packed, all or none, each with an event of its host. A bundle that was not recorded
    /// gets a greater generation from the next run, which is harmless.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn record_packed(&mut self, packed: &[(HostName, Packed)], audit: &AuditContext<'_>) -> Result<(), StoreError> {
        if packed.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let insert = "INSERT OR REPLACE INTO bundles (host, generation, content) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare(insert)?;
            for (host, Packed { generation, content }) in packed {
                insert.execute(params![host.as_str(), generation.cast_signed(), content.bytes()])?;
                events::insert(transaction, "bundle", host.as_str(), &detail(*generation), audit)?;
            }
            Ok(())
        })
    }
}

/// Returns the detail of the event of a bundle.
fn detail(generation: u64) -> String {
    format!("generation {generation}")
}

fn generations(connection: &Connection, now: OffsetDateTime) -> rusqlite::Result<Generations> {
    let last = "SELECT coalesce((SELECT number FROM generation), 0)";
    let last: i64 = connection.query_row(last, [], |row| row.get(0))?;
    let next = now.unix_timestamp().max(last.saturating_add(1)).unsigned_abs();
    let mut select = connection.prepare("SELECT host, generation, content FROM bundles")?;
    let row = |row: &Row<'_>| {
        let generation = row.get::<_, i64>(1)?.unsigned_abs();
        let packed = Packed { generation, content: Fingerprint::from_bytes(row.get(2)?) };
        Ok((row.get(0)?, packed))
    };
    let last = select.query_map([], row)?.collect::<rusqlite::Result<_>>()?;
    Ok(Generations { last, next })
}
