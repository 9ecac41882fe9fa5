//! Errors of revoking certificates and of reading the state of revocations.

use std::fmt;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::crl_file::CrlFileError;
use super::lookup_error::LookupError;
use super::remedy::{Remedy, record_missing};
use crate::app::{self, count::certificates};
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::pki::certificate::{CertificateError, Serial};
use crate::pki::crl::CrlError;
use crate::pki::issuer::IssueError;
use crate::pki::pem::PemError;
use crate::rbac::denials::TooMany;

/// Errors of revoking certificates and of reading the state of revocations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// A CRL cannot be used, so it is not known which certificates were revoked.
    #[error("{} cannot be used, so it is not known what was revoked", path.display())]
    UnusableCrl {
        /// The CRL.
        path: PathBuf,
        /// The reason.
        source: CrlFileError,
    },
    /// The CRLs revoke certificates that the ledger has, but does not record as revoked.
    #[error("the ledger lacks the revocation of {}, which the CRLs list", certificates(*count))]
    RevocationsNotInLedger {
        /// The number of certificates.
        count: usize,
    },
    /// The ledger is older than a file that was rendered from it.
    #[error("the ledger is older than {}: {evidence}", path.display())]
    OutdatedLedger {
        /// The file.
        path: PathBuf,
        /// The evidence.
        evidence: LedgerEvidence,
        /// The file or folder from which the missing revocations can be recorded, if there is one.
        record_from: Option<PathBuf>,
    },
    /// A file is newer than all files that list revoked certificates.
    #[error(
        "the ledger is older than {}, which does not list what was revoked since: it was written at the ledger's sequence {written}, \
         and revocations are known up to {known}",
        path.display()
    )]
    UnknownRevocations {
        /// The file.
        path: PathBuf,
        /// The ledger's sequence at the time when the file was written.
        written: u64,
        /// The last sequence up to which all revocations are known.
        known: u64,
    },
    /// More certificates are revoked than the API servers' authorization configuration can deny.
    #[error("the API servers' rules cannot be written")]
    TooManyDenials(#[source] TooMany),
    /// A file has no certificate.
    #[error("{} has no certificate that can be revoked", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: NoCertificate,
    },
    /// A file is neither an authorization configuration nor a bundle.
    #[error("{} is neither an authorization.yaml nor a bundle", .0.display())]
    NotRendered(PathBuf),
    /// A certificate was not signed by any of this directory's CAs.
    #[error("none of this directory's CAs signed the certificate of {subject} in {}", path.display())]
    OtherIssuer {
        /// The file.
        path: PathBuf,
        /// The certificate's common name.
        subject: String,
    },
    /// A name refers to no certificate that can be revoked.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A host of the cluster file has no certificate yet.
    #[error("no certificate was issued to {0}")]
    NothingIssued(String),
    /// The certificate to revoke is a CA's.
    #[error("{0} is the certificate of a CA, which its own CRL cannot revoke")]
    Ca(String),
    /// All certificates have expired.
    #[error("{name} has no certificate that can be revoked: the last one expired{}", at(*last))]
    Expired {
        /// The host, account or serial number.
        name: String,
        /// When the last one expired.
        last: Option<OffsetDateTime>,
    },
    /// All certificates are revoked, and the CRLs and the authorization configuration list them.
    #[error("{name} is already revoked{}", since.map(|time| format!(", since {}", stamp(time))).unwrap_or_default())]
    AlreadyRevoked {
        /// The host, account or serial number.
        name: String,
        /// When the first one was revoked, if it is known.
        since: Option<OffsetDateTime>,
    },
    /// API servers could not deny all certificates if these were revoked, too.
    #[error("the API servers' authorization configuration could not deny so many certificates, so nothing was revoked")]
    NoRoom(#[source] TooMany),
    /// A file is not a CRL.
    #[error("{} is not a CRL", path.display())]
    NotACrl {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: CrlError,
    },
    /// A CRL cannot be signed.
    #[error("the CRL of the {} cannot be signed", role.as_str())]
    Crl {
        /// The CA.
        role: CaRole,
        /// The reason.
        source: IssueError,
    },
}

/// Errors of reading a certificate from a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCertificate {
    /// It is neither PEM, nor a kubeconfig, nor DER.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A certificate in it cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The evidence that a ledger is older than a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerEvidence {
    /// The file denies certificates that the ledger does not record as revoked.
    Denied {
        /// The number of certificates.
        count: usize,
    },
    /// The file was written at a later sequence of the ledger.
    Sequence {
        /// The sequence in the file.
        written: u64,
        /// The ledger's sequence.
        ledger: u64,
    },
    /// An encrypted bundle may have newer credentials.
    Encrypted,
    /// A bundle has a newer certificate that the ledger does not know.
    NewerCertificate(Serial),
}

impl fmt::Display for LedgerEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { count } => {
                write!(f, "it revokes {} that the ledger does not record as revoked", certificates(*count))
            }
            Self::Sequence { written, ledger } => {
                write!(f, "it was written at the ledger's sequence {written}, and this ledger is at {ledger}")
            }
            Self::Encrypted => write!(f, "it is encrypted, and may have newer credentials than pki/"),
            Self::NewerCertificate(serial) => {
                write!(f, "the ledger does not have its certificate {serial}, which is newer than those in pki/")
            }
        }
    }
}

fn at(time: Option<OffsetDateTime>) -> String {
    time.map(|time| format!(" at {}", stamp(time))).unwrap_or_default()
}

impl RevokeError {
    pub(in crate::app) fn remedy(&self) -> Option<app::Remedy> {
        Some(app::Remedy::Revoke(match self {
            Self::UnusableCrl { .. } => Remedy::RestoreOrRenewCrls,
            Self::RevocationsNotInLedger { .. } => Remedy::RecordFromCrls,
            Self::OutdatedLedger { record_from, .. } => return Some(record_missing(record_from.as_deref()).into()),
            Self::UnknownRevocations { .. } => return Some(record_missing(None).into()),
            Self::TooManyDenials(_) | Self::NoRoom(_) => Remedy::ReplaceCas,
            Self::NoCertificate { .. } => Remedy::NameCertificate,
            Self::NotRendered(_) => Remedy::NameRenderedFile,
            Self::OtherIssuer { .. } => Remedy::AskItsIssuer,
            Self::Lookup(error) => error.remedy(),
            Self::Ca(_) => Remedy::ReplaceCa,
            Self::Expired { .. } => Remedy::ExpiredIsRejected,
            Self::AlreadyRevoked { .. } => Remedy::RenewCrls,
            Self::NothingIssued(_) | Self::NotACrl { .. } | Self::Crl { .. } => return None,
        }))
    }
}
