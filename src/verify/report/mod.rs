//! Findings as text for people, JSON for programs and JUnit for CI. Everything is returned, nothing printed; whatever a
//! peer said is escaped and cut before it gets into any of them.

mod causes;
mod json;
mod junit;
mod lines;
mod matrix;
mod summary;
mod text;

pub use json::SCHEMA_VERSION;
pub use summary::{Counts, RemedyWords, Report, RootLine};
pub use text::TextStyle;
