//! Rows as one self-contained HTML file without scripts.

mod certificates;
mod groups;
mod page;
mod tone;
mod trust;

pub(crate) use certificates::DirectoryCertificates;
pub(super) use page::HtmlWriter;
