//! The use cases: options in, reports and typed errors out.
//!
//! A use case works with an [`Env`] (directory, time and actor) and reports to an [`Observer`] what happens while it
//! runs. It never prints, prompts, reads a clock or an environment variable, or sets an exit status: [`crate::cli`]
//! does that. Errors carry their evidence, and [`Error::remedy`] returns the remedy as data.

pub mod admin;
pub mod apply;
pub mod audit;
pub mod backup;
pub(crate) mod batches;
pub mod ca;
pub mod count;
pub mod directory;
mod directory_error;
pub mod enrol;
mod env;
mod error;
pub mod history;
pub mod init;
pub mod input;
pub mod inspect;
pub mod issue;
pub mod ledger;
pub mod lint;
pub mod nearby;
mod notice;
mod observer;
mod once;
pub mod package;
pub mod policy;
mod remedy;
pub mod remove;
pub mod renew;
pub mod renewal;
pub mod request;
pub mod revoke;
pub mod rotate;
pub mod sign;
pub mod status;
pub mod threads;
pub mod verify;

pub use directory_error::DirectoryError;
pub use env::Env;
pub use error::{Error, with_causes};
pub use notice::Notice;
pub use observer::{Cancellation, Observer, Progress, Silent, Task};
pub use remedy::Remedy;
