//! One file a command: its arguments beside its `run`, a recipe of named steps.
//! What several commands share has a file of its own: context, selection of hosts, passphrases, issuing, batches,
//! bundles in whichever form.

mod audit;
mod batches;
pub mod bundle;
pub mod completions;
pub mod context;
pub mod demo;
mod finishing;
mod forgetting;
pub mod init;
pub mod init_ca;
mod issue;
pub mod issue_admin;
pub mod issue_master;
pub mod issue_node;
mod likeness;
mod lists;
pub mod man;
pub mod open;
pub mod output;
mod parcels;
mod passphrase;
pub mod policy;
mod revocations;
pub mod revoke;
mod sealing;
pub mod secrets;
pub mod show;
mod signing;
mod ssh_keys;
mod templates;
pub mod verify;
pub mod verify_target;
