//! Rows as one self-contained HTML file without scripts.

mod escape;
mod groups;
mod page;
mod timeline;

pub(super) use page::HtmlWriter;
