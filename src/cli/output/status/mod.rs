//! The status as a table, JSON, CSV, metrics and HTML.

mod advice;
mod csv;
mod head;
mod html;
mod human;
mod json;
mod lines;
mod prometheus;
mod writer;

pub(crate) use head::Head;
pub(crate) use html::DirectoryCertificates;
pub(crate) use writer::{StatusFormat, Writer};
