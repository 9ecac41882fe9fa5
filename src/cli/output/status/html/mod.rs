//! Rows as one HTML file, which needs nothing else and runs no script.

mod escape;
mod groups;
mod page;
mod timeline;

pub(super) use page::HtmlWriter;
