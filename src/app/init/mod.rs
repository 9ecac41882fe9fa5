//! Writes a new cluster file: from given values, from the nodes that kubectl lists, and from answers to questions.

mod draft;
mod error;
mod import;

pub use draft::{AnswerError, Draft, InitReport, check_absent};
pub use error::{InitError, Remedy};
pub use import::Notice;

/// The maximum number of names that a list shows.
const SHOWN: usize = 10;

/// Returns the first names, and the number of the others, as text.
pub(crate) fn listing(names: &[String]) -> String {
    let more = names.len().saturating_sub(SHOWN);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}
