//! Errors of reading and using a CA.

use std::path::PathBuf;

use super::error::StoreError;
use super::trust_file::TrustFileError;
use crate::cluster::profile::CaRole;
use crate::pki::certificate::CertificateError;
use crate::pki::key::KeyError;
use crate::pki::pem::PemError;

/// Errors of reading and using a CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// A file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no CA yet.
    #[error("there is no root in {0}")]
    None(String),
    /// The certificate's file is not PEM.
    #[error("{path} is not a PEM certificate: {source}")]
    Pem {
        /// The file.
        path: String,
        /// The reason.
        source: PemError,
    },
    /// The certificate's file has more than one certificate.
    #[error("{path} holds {count} certificates; a root's file holds one")]
    Several {
        /// The file.
        path: String,
        /// The number of certificates.
        count: usize,
    },
    /// The certificate cannot be parsed.
    #[error("{path}: {source}")]
    Certificate {
        /// The file.
        path: String,
        /// The reason.
        source: CertificateError,
    },
    /// `trust.json` cannot be used.
    #[error("{path}: {source}")]
    TrustFile {
        /// The file.
        path: String,
        /// The reason.
        source: TrustFileError,
    },
    /// `ca.crt` does not contain the roots that `trust.json` trusts, in its order.
    #[error("{path} does not hold the roots that trust.json beside it trusts")]
    OtherRoots {
        /// The file.
        path: String,
    },
    /// There are CAs, but this one's certificate is missing.
    #[error("the root's certificate {0} is not there")]
    CertificateMissing(String),
    /// The certificate exists, but its key is missing.
    #[error("the root's key {0} is not there")]
    KeyMissing(String),
    /// The key cannot be read or decrypted.
    #[error("{path}: {source}")]
    Key {
        /// The file.
        path: String,
        /// The reason.
        source: KeyError,
    },
    /// The certificate is not the one in the ledger.
    #[error("the {} {} differs from the one in the ledger", role.as_str(), path.display())]
    NotInLedger {
        /// The certificate.
        path: PathBuf,
        /// The role that it should have.
        role: CaRole,
    },
}
