//! The terminal: results, steps, warnings, progress, prompts and colour. It makes no decisions.

pub mod progress;
pub mod prompts;
mod screen;

pub use progress::Progress;
pub use screen::{ColorChoice, ErrorReport, Screen, Stream, Verbosity, terminal_width};
