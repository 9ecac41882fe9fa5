//! One file a command: its arguments beside its `run`, a recipe of named steps. What several commands share, and the larger
//! steps of one, are in the folders beside them; `context`, `batches`, `threads` and `output` are everybody's.

mod batches;
pub mod bundle;
pub mod completions;
pub mod context;
pub mod demo;
pub(crate) mod given;
pub mod init;
pub mod init_ca;
pub mod issue_admin;
pub mod issue_master;
pub mod issue_node;
mod issuing;
pub mod man;
pub mod open;
pub mod output;
mod packing;
pub mod policy;
pub mod revoke;
mod revoking;
pub mod show;
pub mod threads;
pub mod verify;
mod verifying;
