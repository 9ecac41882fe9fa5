//! Code shared by all commands: process environment, arguments, secrets, texts of errors and remedies, exit statuses.

pub(crate) mod args;
pub mod context;
pub mod error;
pub mod exit;
pub mod finding_remedies;
mod notices;
mod observer;
pub(crate) mod output;
pub mod process;
pub(crate) mod remedies;
