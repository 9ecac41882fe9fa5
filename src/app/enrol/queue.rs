//! Opens the queue of the enrolment CA's server for reading, also while the server runs.

use std::path::Path;

use crate::store::files;
use crate::store::queue::{FILE, Queue, QueueError};

/// Opens the queue in a folder for reading; `None` if there is none.
///
/// # Errors
/// Returns an error if it cannot be opened, or is damaged.
pub(in crate::app) fn open(folder: &Path) -> Result<Option<Queue>, QueueError> {
    let path = folder.join(FILE);
    if files::is_plain_file(&path) { Queue::reader(&path).map(Some) } else { Ok(None) }
}
