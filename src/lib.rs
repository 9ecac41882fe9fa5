//! clusterctl: static clustering for Kubernetes, from a cluster file to a verified cluster.
//!
//! The program is a thin layer over this library. This creates the CAs of a cluster and issues a node's certificates:
//!
//! ```
//! use clusterctl::app::ca::{self, CreateOptions};
//! use clusterctl::app::issue::{self, IssueOptions, Subjects};
//! use clusterctl::app::{Env, Silent};
//! use clusterctl::store::layout::Layout;
//! use clusterctl::{config, store};
//!
//! let cluster = config::read(
//!     b"apiVersion: clusterctl/v1
//! kind: Cluster
//! name: example
//! masters: [{name: master-1, addresses: [192.0.2.10]}]
//! nodes: [{name: node-1, addresses: [192.0.2.11]}]
//! ",
//! )?;
//! let dir = tempfile::tempdir()?;
//! let layout = Layout::new(dir.path().to_owned());
//! let env = Env { layout, now: time::OffsetDateTime::now_utc(), actor: "example".to_owned() };
//! ca::create(&env, &cluster, &CreateOptions::default())?;
//!
//! let subjects = Subjects::Nodes(cluster.nodes.iter().collect());
//! let options = IssueOptions { subjects, reissue: false, renew_within: None, skips_unreadable: false };
//! let plan = issue::plan(options, "example", &cluster, &env, &mut Silent)?;
//! let mut issuers = Vec::new();
//! for role in plan.signers() {
//!     issuers.push(store::ca::open(&env.layout, role, None)?.into_issuer(env.now)?);
//! }
//! let report = plan.apply(&issuers, &mut Silent)?;
//! assert_eq!((report.issued, report.kept), (2, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/issue_and_package.rs` does more: it packs bundles and audits the directory.
//!
//! Modules are layers; imports point down only, and a test checks it:
//!
//! - [`sanitize`]: makes untrusted text safe to show
//! - `html`: self-contained pages
//! - `metrics`: Prometheus's text format
//! - [`cluster`]: the model: the declared cluster, and the PKI policy as a table
//! - [`pki`]: certificates, keys and CRLs
//! - [`signers`]: holders of CAs' keys outside of the cluster directory
//! - [`rbac`]: the rights of accounts in the cluster, and denials
//! - [`config`]: parsing of YAML and kubectl's JSON, and writing of cluster files
//! - [`enrol`]: requests of hosts for certificates, and decisions about them
//! - [`https`]: a client for enrolment endpoints
//! - [`store`]: the cluster directory
//! - [`bundle`]: the files that each host receives
//! - [`verify`]: checks of a live cluster
//! - [`explain`]: descriptions of certificates, keys, CRLs, kubeconfigs and bundles
//! - [`fake_cluster`]: a simulated cluster on loopback, for the demo and the tests
//! - `mailbox`: a client of the API at which hosts leave their requests
//! - `server`: the server of the enrolment CA
//! - [`app`]: the use cases
//! - [`ui`]: the terminal
//! - [`cli`]: code that all commands share: arguments, texts of errors, exit statuses
//! - [`commands`]: one module per subcommand
//! - [`program`]: the whole program, from arguments to an exit status

pub mod app;
pub mod bundle;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod enrol;
pub mod explain;
pub mod fake_cluster;
mod html;
pub mod https;
#[cfg(feature = "server")]
pub mod mailbox;
mod metrics;
pub mod pki;
pub mod program;
pub mod rbac;
pub mod sanitize;
#[cfg(feature = "server")]
pub mod server;
pub mod signers;
pub mod store;
pub mod ui;
pub mod verify;

pub use program::run;
