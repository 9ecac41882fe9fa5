//! Reads the certificate of an administrator's kubeconfig in the cluster directory.

use std::path::Path;

use zeroize::Zeroizing;

use crate::config::kubeconfig::{self, Credential, KubeconfigError};
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::pem::{self, PemError};
use crate::store::error::StoreError;
use crate::store::files;

/// The largest kubeconfig that is read, in bytes.
const LIMIT: u64 = 256 * 1024;

/// Errors of reading the certificate of a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminFileError {
    /// The file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not a kubeconfig.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// Its first user has no embedded certificate.
    #[error("it has no certificate")]
    NoCertificate,
    /// The certificate is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The certificate cannot be parsed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Returns the certificate in an administrator's kubeconfig.
///
/// # Errors
/// Returns [`AdminFileError`] if it does not exist or cannot be read.
pub fn certificate_in(path: &Path) -> Result<Certificate, AdminFileError> {
    read(path).map(|(certificate, _)| certificate)
}

/// Returns the certificate in an administrator's kubeconfig, and the roots that it trusts.
///
/// # Errors
/// Returns [`AdminFileError`] if it does not exist or cannot be read.
pub fn read(path: &Path) -> Result<(Certificate, Vec<Certificate>), AdminFileError> {
    let bytes = files::read(path, LIMIT).map(Zeroizing::new)?;
    let config = kubeconfig::read(&bytes)?;
    let Some(Credential::Data(pem)) = config.users.first().and_then(|user| user.certificate.as_ref()) else {
        return Err(AdminFileError::NoCertificate);
    };
    let certificate = Certificate::from_der(pem::certificates(pem)?.swap_remove(0))?;
    let roots = match config.clusters.first().and_then(|cluster| cluster.ca.as_ref()) {
        Some(Credential::Data(pem)) => pem::certificates(pem)?,
        Some(Credential::File(_)) | None => Vec::new(),
    };
    Ok((certificate, roots.into_iter().filter_map(|der| Certificate::from_der(der).ok()).collect()))
}
