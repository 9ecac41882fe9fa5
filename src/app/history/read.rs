//! Reads entries of the history.

use std::collections::VecDeque;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::error::HistoryError;
use super::requests;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::host_pattern::expand;
use crate::cluster::similar::nearest;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::ledger::history::{HistoryEntry, HistoryFilter};
use crate::store::queue::QueueError;

/// The selection of entries to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Only entries of these hosts, accounts, serial numbers and SHA-256s: names, lists and patterns.
    pub about: Vec<String>,
    /// Only entries from this time on.
    pub since: Option<OffsetDateTime>,
    /// At most this number of entries, the newest.
    pub last: Option<usize>,
    /// The folder with the queue of the enrolment CA's server, whose entries are read, too; `None` for none.
    pub queue: Option<PathBuf>,
}

/// The entries that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryReport {
    /// The entries, the oldest first.
    pub entries: Vec<HistoryEntry>,
    /// The number of older entries that were left out.
    pub left_out: usize,
    /// Why the queue cannot be read.
    pub unread_queue: Option<QueueError>,
}

/// Returns entries of the history.
///
/// # Errors
/// Returns [`HistoryError::Unknown`], or an error if the ledger cannot be read.
pub fn history(options: HistoryOptions, env: &Env) -> Result<HistoryReport, Error> {
    let ledger = directory::ledger(&env.layout)?;
    let HistoryOptions { about, since, last, queue } = options;
    let about = names(&about, &ledger)?;
    let requests = queue.map(|folder| requests::entries(&folder, &about, since)).transpose();
    let (requests, unread_queue) = match requests {
        Ok(requests) => (requests.unwrap_or_default(), None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let mut entries = VecDeque::new();
    let mut left_out = 0;
    ledger.history(HistoryFilter { about: about.clone(), since })?.for_each(|entry| {
        entries.push_back(entry);
        if last.is_some_and(|last| entries.len() > last) {
            entries.pop_front();
            left_out += 1;
        }
    })?;
    // With a single name, any entry proves that the name is known.
    if (entries.is_empty() && left_out == 0 && requests.is_empty()) || about.len() > 1 {
        for name in about {
            if !is_known(&ledger, &name)? && !requests.iter().any(|entry| entry.is_about(&name)) {
                let similar = similar_holder(&ledger, &name)?;
                return Err(HistoryError::Unknown { query: name, similar }.into());
            }
        }
    }
    let mut entries = requests::merge(entries.into(), requests);
    let more = last.map_or(0, |last| entries.len().saturating_sub(last));
    entries.drain(..more);
    let left_out = left_out + more;
    Ok(HistoryReport { entries, left_out, unread_queue })
}

/// Returns the names of lists, and those of the ledger that match patterns.
fn names(arguments: &[String], ledger: &Ledger) -> Result<Vec<String>, Error> {
    let has_pattern = arguments.iter().any(|argument| argument.contains(['*', '?']));
    let holders = if has_pattern { ledger.holders()? } else { Vec::new() };
    Ok(expand(arguments, holders.iter().map(String::as_str)).map_err(HistoryError::from)?)
}

/// Returns true if the history has any entry about this name, number or digest.
fn is_known(ledger: &Ledger, about: &str) -> Result<bool, StoreError> {
    let mut found = false;
    let filter = HistoryFilter { about: vec![about.to_owned()], since: None };
    ledger.history(filter)?.for_each(|_| found = true)?;
    Ok(found)
}

/// Returns the host, person or account of the ledger whose name is most similar.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn similar_holder(ledger: &Ledger, name: &str) -> Result<Option<String>, StoreError> {
    let holders = ledger.holders()?;
    Ok(nearest(name, holders.iter().map(String::as_str)).map(ToOwned::to_owned))
}
