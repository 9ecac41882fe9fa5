//! Audits a cluster directory without any connection: every file has to be what the cluster file asks for.
//!
//! Credentials are judged by the same rules that hold before they are written.

mod admins;
mod bundle_content;
mod bundles;
mod cas;
mod credentials;
mod crls;
mod denials;
mod directory;
mod drift;
mod permissions;
mod service_account;

pub use directory::{AuditOptions, AuditReport, audit};
