//! The terminal: results, steps, warnings, progress, prompts and colour. Decides nothing.

pub mod progress;
pub mod prompts;
mod screen;

pub use progress::Progress;
pub use screen::{ColorChoice, ErrorReport, Screen, Stream, Verbosity, terminal_width};
