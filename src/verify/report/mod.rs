//! Reports as text, JSON and JUnit XML. They are returned and not printed; a peer's texts are sanitized and cut.

mod causes;
mod json;
mod junit;
mod lines;
mod matrix;
mod summary;
mod text;

pub use json::SCHEMA_VERSION;
pub use summary::{Counts, RemedyText, Report, RootLine};
pub use text::TextStyle;
