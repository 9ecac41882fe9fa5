//! The commands: the tree of clap types, and one module per subcommand with its `Args` and its `run`.

pub mod announce;
pub mod apply;
pub mod backup;
pub mod bundle;
pub mod completions;
pub mod crl;
#[cfg(feature = "server")]
pub mod csr;
pub mod demo;
#[cfg(feature = "server")]
mod demo_dynamic;
mod demo_rotate;
mod dispatch;
pub mod examples;
pub mod explain;
pub mod hints;
pub mod import_ca;
pub mod init;
pub mod init_ca;
mod issue;
pub mod issue_admin;
pub mod issue_master;
pub mod issue_node;
pub mod join;
pub mod ledger;
pub mod lint;
pub mod log;
pub mod man;
pub mod open;
pub mod policy;
pub mod register;
pub mod remove;
pub mod renew;
pub mod request;
pub mod restore;
pub mod revoke;
pub mod rotate_ca;
mod rotate_emergency;
mod rotated_role;
#[cfg(feature = "server")]
pub mod serve;
pub mod show;
pub mod sign;
#[cfg(feature = "server")]
pub mod signer;
pub mod status;
pub mod token;
pub mod tree;
pub mod validate;
pub mod verify;
pub mod version;

pub use dispatch::dispatch;
