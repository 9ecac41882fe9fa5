//! Rows for the open requests of hosts, from the queue of the enrolment CA's server.

use std::path::Path;

use super::report::EnrolmentReport;
use super::row::{Credential, Problem, StatusRow, Subject};
use super::source::{Sink, Source};
use super::state::State;
use crate::app::enrol::queue;
use crate::enrol::request::State as RequestState;
use crate::store::queue::change::RETENTION;
use crate::store::queue::{FILE, Queue, QueueError, StoredRequest};
use crate::verify::remedy::{EnrolmentRemedy, FileRemedy};

/// Reports the open requests of the selected hosts; returns how many requests are in each state, or `None` if there is
/// no queue in the folder. A queue that cannot be read is a row, too.
pub(super) fn rows(
    source: &Source<'_>,
    folder: &Path,
    is_wanted: &dyn Fn(&str) -> bool,
    sink: Sink<'_>,
) -> Option<EnrolmentReport> {
    let read = |queue: Queue| -> Result<_, QueueError> { Ok((queue.open_requests()?, queue.counts()?)) };
    match queue::open(folder).and_then(|queue| queue.map(read).transpose()) {
        Ok(found) => {
            let (open, counts) = found?;
            let oldest = open.iter().map(|request| request.created).min();
            open.into_iter().filter(|request| is_wanted(&request.host)).for_each(|request| sink(row(request)));
            Some(EnrolmentReport { counts, oldest: oldest.map(|created| source.rule.now - created) })
        }
        Err(error) => {
            let path = folder.join(FILE);
            let remedy = FileRemedy::CheckOwner { path: path.display().to_string() };
            let row = StatusRow::new(Subject::Cluster, Credential::Queue, State::Unreadable).remedy(remedy);
            sink(StatusRow { file: Some(path), problem: Some(Problem::Queue(error)), ..row });
            None
        }
    }
}

fn row(request: StoredRequest) -> StatusRow {
    let remedy = match request.state {
        RequestState::Approved => EnrolmentRemedy::StartSigner,
        _ => EnrolmentRemedy::ReviewRequests,
    };
    let life = if request.known { RETENTION.open } else { RETENTION.unknown };
    let credential = Credential::Request {
        name: request.name,
        state: request.state,
        requester: request.requester.username,
        is_proven: request.proven,
    };
    StatusRow {
        not_before: Some(request.created),
        not_after: Some(request.changed + life),
        ..StatusRow::new(Subject::Host(request.host), credential, State::Due).remedy(remedy)
    }
}
