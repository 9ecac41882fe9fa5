//! Joins a host to a cluster, and renews its certificates. No cluster directory is needed.
//!
//! A host finds the cluster by its id, the pin of its root. It generates its keys, requests certificates with the evidence that
//! it has, waits, checks the certificates, and installs its bundle. Its private keys never leave it.

mod api;
mod ask;
mod certificates;
mod discover;
mod error;
mod install;
mod installed;
mod notice;
mod options;
mod remedy;
mod renew;
mod report;
mod requests;
mod run;
mod state;
mod timer;
mod watch;

pub(in crate::app) use discover::record_path;
pub use error::JoinError;
pub use notice::JoinNotice;
pub use options::{JoinOptions, RenewOptions};
pub use remedy::JoinRemedy;
pub use renew::{due, renew};
pub use report::{JoinReport, JoinedCertificate, RenewReport};
pub use run::{join, whoami};
pub use state::{JoinState, STATE};
pub use timer::{SERVICE, TIMER, TimerReport, install_timer};
