//! What all commands share: the process environment, arguments and secrets, errors and remedies in words, exit statuses.

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
