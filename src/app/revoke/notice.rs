//! Notices of revoking, and of examining the state of revocations.

use std::path::PathBuf;

use super::crl_file::CrlFileError;
use super::removed_host::RemovedHost;

/// Something about revocations that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A CRL that cannot be used is replaced by what the ledger knows.
    CrlReplaced {
        /// The CRL.
        path: PathBuf,
        /// The reason why it cannot be used.
        why: CrlFileError,
    },
    /// Hosts that are no longer in the cluster file still have certificates, files or bundles.
    RemovedHosts(Vec<RemovedHost>),
}
