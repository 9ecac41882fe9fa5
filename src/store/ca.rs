//! The roots in a cluster directory: read, opened, and written once.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::StoreError;
use super::files;
use super::layout::Layout;
use super::ledger::certificates::Entry;
use super::ledger::{AuditContext, Ledger};
use super::staged::Staged;
use crate::cluster::profile::CaRole;
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::issuer::Credential;
use crate::pki::key::{KeyError, PrivateKey};
use crate::pki::passphrase::Passphrase;
use crate::pki::pem::{self, PemError};
use crate::pki::verified::Verified;

/// No root's certificate or key is larger than this, in bytes.
const LIMIT: u64 = 256 * 1024;

/// Why a root cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// The file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no root yet.
    #[error("there is no root in {0}")]
    None(String),
    /// The certificate's file is not one.
    #[error("{path} is not a PEM certificate: {source}")]
    Pem {
        /// Which file.
        path: String,
        /// Why.
        source: PemError,
    },
    /// The certificate's file holds more than one.
    #[error("{path} holds {count} certificates; a root's file holds one")]
    Several {
        /// Which file.
        path: String,
        /// How many.
        count: usize,
    },
    /// The certificate is not one.
    #[error("{path}: {source}")]
    Certificate {
        /// Which file.
        path: String,
        /// Why.
        source: CertificateError,
    },
    /// There are roots, and this one's certificate is not.
    #[error("the root's certificate {0} is not there")]
    CertificateMissing(String),
    /// The root is there, and its key is not.
    #[error("the root's key {0} is not there")]
    KeyMissing(String),
    /// The key cannot be opened.
    #[error("{path}: {source}")]
    Key {
        /// Which file.
        path: String,
        /// Why.
        source: KeyError,
    },
}

/// Reads the certificate of a root.
///
/// # Errors
/// When it is not there or not a certificate.
pub fn certificate(layout: &Layout, root: CaRole) -> Result<Certificate, CaError> {
    let path = layout.root_certificate(root);
    let shown = path.display().to_string();
    let text = match files::read(&path, LIMIT) {
        Err(StoreError::Missing(_)) if files::exists(&layout.pki()) => {
            return Err(CaError::CertificateMissing(shown));
        }
        Err(StoreError::Missing(_)) => return Err(CaError::None(layout.dir().display().to_string())),
        other => other?,
    };
    let mut found = pem::certificates(&text).map_err(|source| CaError::Pem { path: shown.clone(), source })?;
    let count = found.len();
    match (found.pop(), count) {
        (Some(der), 1) => Certificate::from_der(der).map_err(|source| CaError::Certificate { path: shown, source }),
        _ => Err(CaError::Several { path: shown, count }),
    }
}

/// The text of a root's key file, still closed; `None` when the directory holds no such key.
///
/// # Errors
/// What the system says.
pub fn key_file(layout: &Layout, root: CaRole) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    match files::read(&layout.root_key(root), LIMIT) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a root for signing: its certificate and its key, with a passphrase where the key needs one.
///
/// # Errors
/// When either is missing, unreadable, or the passphrase is wrong. That the two belong together is for
/// [`crate::pki::issuer::Issuer::open`] to say.
pub fn open(layout: &Layout, root: CaRole, passphrase: Option<&Passphrase>) -> Result<Credential, CaError> {
    let certificate = certificate(layout, root)?;
    let path = layout.root_key(root);
    let shown = path.display().to_string();
    let text = key_file(layout, root)?.ok_or_else(|| CaError::KeyMissing(shown.clone()))?;
    let key = PrivateKey::from_pem_with(&text, passphrase).map_err(|source| CaError::Key { path: shown, source })?;
    Ok(Credential { certificate, chain: Vec::new(), key })
}

/// A root to be written: what it is, what passed the check, and its key as PEM, encrypted or not.
#[derive(Debug)]
pub struct NewCa {
    /// Which of the three.
    pub kind: CaRole,
    /// Certificate and key.
    pub made: Verified<Credential>,
    /// The key's file.
    pub key_pem: Zeroizing<String>,
}

/// Writes the folder `pki` with all roots and a new ledger that knows them: all of it appears, or nothing.
///
/// # Errors
/// [`StoreError::Exists`] when there is a `pki` already, whatever is in it; or what the system says.
pub fn create_all(layout: &Layout, roots: &[NewCa], mark: &AuditContext<'_>) -> Result<(), StoreError> {
    let pki = layout.pki();
    if files::exists(&pki) {
        return Err(StoreError::Exists(pki));
    }
    files::sweep(layout.dir())?;
    let staged = Staged::begin(&pki)?;
    let inside = |path: PathBuf| path.strip_prefix(&pki).map(|path| staged.path().join(path)).unwrap_or(path);
    let mut ledger = Ledger::create(&inside(layout.ledger()))?;
    let entries: Vec<Entry<'_>> = roots
        .iter()
        .map(|root| {
            let certificate = &root.made.get().certificate;
            Entry { certificate, profile: root.kind.as_str(), host: None, issuer: certificate }
        })
        .collect();
    ledger.record(&entries, mark)?;
    ledger.log_event("init-ca", "roots", &format!("{} roots created", roots.len()), mark)?;
    drop(ledger);
    for root in roots {
        files::create_folder(&inside(layout.root_folder(root.kind)))?;
        files::write_new(&inside(layout.root_key(root.kind)), root.key_pem.as_bytes(), files::PRIVATE)?;
        let certificate = root.made.get().certificate.to_pem();
        files::write_new(&inside(layout.root_certificate(root.kind)), certificate.as_bytes(), files::PUBLIC)?;
    }
    files::sync_all(layout.dir())?;
    staged.publish_new()
}
