//! Columns that hold digests, serial numbers, times and reasons as text.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use time::OffsetDateTime;

use crate::cluster::duration::parse_stamp;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;

/// A column's value, parsed. A text that clusterctl never writes is an error: the ledger is damaged.
pub(super) struct Column<T>(pub(super) T);

/// An unexpected text in a column.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a {expected}")]
struct Unexpected {
    text: String,
    expected: &'static str,
}

fn parse<T>(
    value: ValueRef<'_>,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> FromSqlResult<Column<T>> {
    let text = value.as_str()?;
    let unexpected = || FromSqlError::other(Unexpected { text: text.to_owned(), expected });
    parse(text).map(Column).ok_or_else(unexpected)
}

impl FromSql for Column<Fingerprint> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        parse(value, "SHA-256 digest", Fingerprint::parse)
    }
}

impl FromSql for Column<Serial> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        parse(value, "serial number", Serial::parse)
    }
}

impl FromSql for Column<Reason> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        parse(value, "reason for a revocation", Reason::parse)
    }
}

impl FromSql for Column<OffsetDateTime> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        parse(value, "time", parse_stamp)
    }
}
