//! Reports as text, JSON, JUnit XML, HTML and metrics. They are returned and not printed; a peer's texts are sanitized and cut.

mod causes;
mod html;
mod json;
mod junit;
mod lines;
mod matrix;
mod prometheus;
mod reported;
mod summary;
mod text;

pub(crate) use html::CertificateDrawings;
pub use json::SCHEMA_VERSION;
pub use summary::{Counts, RemedyText, Report, RootLine};
pub use text::TextStyle;
