//! Which generation the bundle of each host is of: so that whoever installs one can refuse to go back.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};
use time::OffsetDateTime;

use super::error::StoreError;
use super::ledger::{Ledger, failed};
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;

/// What was packed for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// The bundle's generation.
    pub generation: u64,
    /// Of all that is in the bundle, but for its generation.
    pub content: Fingerprint,
}

/// What was packed last for every host, and the generation of what is otherwise now.
#[derive(Debug)]
pub struct Generations {
    last: HashMap<String, Packed>,
    next: u64,
}

impl Generations {
    /// What was packed last for `host`, as far as it is known.
    #[must_use]
    pub fn last(&self, host: &HostName) -> Option<Packed> {
        self.last.get(host.as_str()).copied()
    }

    /// Later than every generation that was ever given to a bundle.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }
}

impl Ledger {
    /// Takes the next generation, durable on return: whatever happens to what is packed with it, it is never given again. It is
    /// the time in Unix seconds, so that one that a ledger from a backup gives is later than what was packed before, too; and
    /// later than the last in any case, whatever the clock says.
    ///
    /// # Errors
    /// When SQLite cannot; nothing is taken then.
    pub fn next_generation(&mut self, now: OffsetDateTime) -> Result<Generations, StoreError> {
        let take = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let last = "SELECT coalesce((SELECT number FROM generation), 0)";
            let last: i64 = transaction.query_row(last, [], |row| row.get(0))?;
            let next = now.unix_timestamp().max(last.saturating_add(1));
            transaction.execute("INSERT OR REPLACE INTO generation (one, number) VALUES (1, ?1)", [next])?;
            transaction.commit()?;
            let mut select = connection.prepare("SELECT host, generation, content FROM bundles")?;
            let row = |row: &Row<'_>| {
                let generation = row.get::<_, i64>(1)?.unsigned_abs();
                let packed = Packed { generation, content: Fingerprint::from_bytes(row.get(2)?) };
                Ok((row.get(0)?, packed))
            };
            let last = select.query_map([], row)?.collect::<rusqlite::Result<_>>()?;
            Ok(Generations { last, next: next.unsigned_abs() })
        };
        take(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }

    /// Remembers what was packed, all or nothing. Where it never comes to that, the same bundle gets a later generation next time,
    /// which does no harm.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn remember_packed(&mut self, packed: &[(HostName, Packed)]) -> Result<(), StoreError> {
        if packed.is_empty() {
            return Ok(());
        }
        let remember = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            {
                let insert = "INSERT OR REPLACE INTO bundles (host, generation, content) VALUES (?1, ?2, ?3)";
                let mut insert = transaction.prepare(insert)?;
                for (host, Packed { generation, content }) in packed {
                    insert.execute(params![host.as_str(), generation.cast_signed(), content.bytes()])?;
                }
            }
            transaction.commit()
        };
        remember(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }
}
