//! The only room that knows a terminal: answers, steps, warnings, progress, questions, colour.
//! It decides nothing; it shows what commands hand it.

pub mod progress;
pub mod prompts;
mod screen;

pub use screen::{ColorChoice, ErrorReport, Screen, Stream, Verbosity, terminal_width};
