//! Notices of revoking, and of examining the state of revocations.

use std::path::PathBuf;

use super::crl_file::CrlFileError;
use super::removed_host::RemovedHost;
use crate::cluster::profile::CaRole;

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
    /// The CA of a role has no key usage cRLSign: what it issued is revoked without a CRL.
    NoCrl(CaRole),
    /// Hosts that are no longer in the cluster file still have certificates, files or bundles.
    RemovedHosts(Vec<RemovedHost>),
}
