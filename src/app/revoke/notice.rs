//! Notices of revoking, and of examining the state of revocations.

use std::path::PathBuf;

use super::crl_file::CrlFileError;
use super::removed_host::RemovedHost;
use crate::cluster::profile::CaRole;

/// A notice about revocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An unusable CRL is replaced by one with the ledger's revocations.
    CrlReplaced {
        /// The CRL.
        path: PathBuf,
        /// The reason why it cannot be used.
        why: CrlFileError,
    },
    /// The CA of a role has no key usage cRLSign, so its certificates are revoked without a CRL.
    NoCrl(CaRole),
    /// Hosts that are no longer in the cluster file still have certificates, files or bundles.
    RemovedHosts(Vec<RemovedHost>),
}
