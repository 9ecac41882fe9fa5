//! Entries about requests of hosts, from the queue of the enrolment CA's server.

use std::path::Path;

use time::OffsetDateTime;

use crate::app::enrol::queue;
use crate::store::ledger::history::{Change, HistoryEntry};
use crate::store::queue::QueueError;
use crate::store::queue::history::QueueEvent;

/// Returns the entries about the requests of `hosts`, or of all hosts if there are none, the oldest first.
///
/// # Errors
/// Returns an error if the queue cannot be read. Without a queue there are no entries.
pub(super) fn entries(
    folder: &Path,
    hosts: &[String],
    since: Option<OffsetDateTime>,
) -> Result<Vec<HistoryEntry>, QueueError> {
    let Some(queue) = queue::open(folder)? else { return Ok(Vec::new()) };
    Ok(queue.events(hosts, since)?.into_iter().map(entry).collect())
}

fn entry(event: QueueEvent) -> HistoryEntry {
    let QueueEvent { at, by, kind, request, host, reason } = event;
    let detail = if reason.is_empty() { format!("request {request}") } else { format!("request {request}: {reason}") };
    HistoryEntry { at, by, change: Change::Done { kind: format!("request-{kind}"), subject: host, detail } }
}

/// Merges entries with those of the ledger, whose order stays: by time, those of the ledger first.
pub(super) fn merge(ledger: Vec<HistoryEntry>, requests: Vec<HistoryEntry>) -> Vec<HistoryEntry> {
    let mut merged = Vec::with_capacity(ledger.len() + requests.len());
    let mut requests = requests.into_iter().peekable();
    for entry in ledger {
        while let Some(earlier) = requests.next_if(|request| request.at < entry.at) {
            merged.push(earlier);
        }
        merged.push(entry);
    }
    merged.extend(requests);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, kind: &str) -> HistoryEntry {
        let change = Change::Done { kind: kind.to_owned(), subject: "node".to_owned(), detail: String::new() };
        let at = OffsetDateTime::from_unix_timestamp(seconds).expect("a time");
        HistoryEntry { at, by: "a".to_owned(), change }
    }

    #[test]
    fn entries_are_merged_by_time_and_the_ledger_keeps_its_order() {
        let ledger = vec![at(10, "a"), at(30, "b"), at(20, "c")];
        let merged = merge(ledger, vec![at(5, "1"), at(10, "2"), at(25, "3"), at(40, "4")]);
        let kinds: Vec<&str> = merged
            .iter()
            .filter_map(|entry| if let Change::Done { kind, .. } = &entry.change { Some(kind.as_str()) } else { None })
            .collect();
        assert_eq!(kinds, ["1", "a", "2", "3", "b", "c", "4"]);
    }
}
