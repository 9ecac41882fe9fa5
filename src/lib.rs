//! clusterctl: static clustering for Kubernetes, from a cluster file to a verified cluster.
//!
//! Modules are layers; imports point down only, and a test checks it:
//!
//! - [`sanitize`]: makes untrusted text safe to show
//! - [`cluster`]: the model: what the admin declared, and the PKI policy as a table
//! - [`pki`]: certificates, keys and CRLs
//! - [`rbac`]: the rights of accounts in the cluster, and denials
//! - [`config`]: YAML and kubectl's JSON to the model, and back
//! - [`store`]: the cluster directory
//! - [`bundle`]: the files that each host receives
//! - [`verify`]: checks of a live cluster
//! - [`explain`]: descriptions of certificates, keys, CRLs, kubeconfigs and bundles
//! - [`fake_cluster`]: a simulated cluster on loopback, for the demo and the tests
//! - [`app`]: the use cases
//! - [`ui`]: the terminal
//! - [`cli`]: what all commands share: arguments, errors in words, exit statuses
//! - [`commands`]: one module per subcommand
//! - [`program`]: the whole program, from arguments to an exit status

pub mod app;
pub mod bundle;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod explain;
pub mod fake_cluster;
pub mod pki;
pub mod program;
pub mod rbac;
pub mod sanitize;
pub mod store;
pub mod ui;
pub mod verify;

pub use program::run;
