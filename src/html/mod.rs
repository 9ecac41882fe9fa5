//! Self-contained HTML pages: one file, one style, no script, and drawings as inline SVG.
//!
//! maud compiles the templates and escapes every text and attribute. [`Page`] adds a Content-Security-Policy that
//! allows only the page's own style.

mod graph;
mod names;
mod page;
mod timeline;
mod tone;

pub(crate) use graph::{Graph, GraphNode};
pub(crate) use names::{named, scrolling};
pub(crate) use page::{Page, Section};
pub(crate) use timeline::{Expiry, Timeline};
pub(crate) use tone::Tone;
