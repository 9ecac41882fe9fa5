//! Writes a new cluster file from given values, the nodes that kubectl lists, and answers to questions.

mod draft;
mod error;
mod import;

pub use draft::{AnswerError, Draft, InitReport, check_absent};
pub use error::{InitError, Remedy};
pub use import::Notice;

/// The maximum number of names that a message lists.
const MAX_LISTED: usize = 10;

/// Returns names as text: all of them if they are few, otherwise the first ones and the number of the others.
pub(crate) fn abbreviated_list(names: &[String]) -> String {
    match names.len().saturating_sub(MAX_LISTED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..MAX_LISTED].join(", ")),
    }
}
