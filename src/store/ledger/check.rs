//! SQLite's own checks of the ledger, and iteration over its certificates.

use rusqlite::types::Value;

use super::{Ledger, schema};
use crate::store::error::StoreError;

/// The maximum number of problems that SQLite's check returns.
const MAX_PROBLEMS: usize = 100;

/// A row of certificates, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCertificate {
    /// Its `seq`.
    pub row: i64,
    /// The SHA-256 of its DER, as text.
    pub sha256: String,
    /// Its serial number, as text.
    pub serial: String,
    /// The SHA-256 of its issuer's DER, as text.
    pub issuer: String,
    /// Its DER.
    pub der: Vec<u8>,
}

/// A difference of the ledger's schema from that of its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaProblem {
    /// The kind: `table`, `index`, `trigger` or `view`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The difference.
    pub difference: SchemaDifference,
}

/// The ways in which the ledger's schema differs from that of its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaDifference {
    /// clusterctl did not make it.
    Foreign,
    /// It is not what clusterctl made.
    Altered,
    /// It is gone.
    Missing,
}

impl Ledger {
    /// Returns the differences of the ledger's tables, indexes, triggers and views from those of its format.
    ///
    /// Triggers and views run when the ledger is read or written: rows that they add or hide look like those of
    /// clusterctl.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn schema_problems(&self) -> Result<Vec<SchemaProblem>, StoreError> {
        let mut expected = self.read(|_| schema::expected())?;
        let mut problems = Vec::new();
        let mut add = |(kind, name), difference| problems.push(SchemaProblem { kind, name, difference });
        for (object, statement) in self.read(schema::objects)? {
            match expected.remove(&object) {
                None => add(object, SchemaDifference::Foreign),
                Some(wanted) if wanted != statement => add(object, SchemaDifference::Altered),
                Some(_) => {}
            }
        }
        expected.into_keys().for_each(|object| add(object, SchemaDifference::Missing));
        Ok(problems)
    }

    /// Returns the findings of SQLite's integrity check: damaged pages, indexes that do not match their tables.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn integrity_problems(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            let mut check = connection.prepare(&format!("PRAGMA integrity_check({MAX_PROBLEMS})"))?;
            let problems = check.query_map([], |row| row.get::<_, String>(0))?;
            problems.filter(|problem| !problem.as_ref().is_ok_and(|text| text == "ok")).collect()
        })
    }

    /// Returns the table and the number of each row that refers to a row which does not exist.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn dangling_rows(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.read(|connection| {
            let mut check = connection.prepare("PRAGMA foreign_key_check")?;
            check.query_map([], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(0))))?.collect()
        })
    }

    /// Calls `with` for each certificate in the order of issue, without keeping them in memory.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn each_stored_certificate(&self, mut with: impl FnMut(StoredCertificate)) -> Result<(), StoreError> {
        let text = |value: Value| match value {
            Value::Text(text) => text,
            _ => String::new(),
        };
        self.read(|connection| {
            let mut select =
                connection.prepare("SELECT seq, sha256, serial, issuer_sha256, der FROM certificates ORDER BY seq")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let der = match row.get(4)? {
                    Value::Blob(der) => der,
                    _ => Vec::new(),
                };
                let (sha256, serial, issuer) = (text(row.get(1)?), text(row.get(2)?), text(row.get(3)?));
                with(StoredCertificate { row: row.get(0)?, sha256, serial, issuer, der });
            }
            Ok(())
        })
    }
}
