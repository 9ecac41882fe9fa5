//! The CAs' files in a cluster directory: read, opened, and written once.

use std::path::PathBuf;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::error::StoreError;
use super::files;
use super::layout::{Layout, TRUST_FILE};
use super::ledger::certificates::Entry;
use super::ledger::{AuditContext, Ledger};
use super::staged::StagedFolder;
use super::trust_file::{self, TrustFileError};
use crate::cluster::profile::CaRole;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::issuer::{Credential, IssueError, Issuer};
use crate::pki::key::KeyError;
use crate::pki::local_key::LocalKey;
use crate::pki::passphrase::Passphrase;
use crate::pki::pem::{self, PemError};
use crate::pki::trust_bundle::TrustBundle;
use crate::pki::verified::Verified;

/// The largest size of a CA's certificate or key, in bytes.
const LIMIT: u64 = 256 * 1024;

/// Why a CA cannot be used.
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
        /// Why.
        source: PemError,
    },
    /// The certificate's file holds more than one.
    #[error("{path} holds {count} certificates; a root's file holds one")]
    Several {
        /// The file.
        path: String,
        /// The number of certificates.
        count: usize,
    },
    /// The certificate is not one.
    #[error("{path}: {source}")]
    Certificate {
        /// The file.
        path: String,
        /// Why.
        source: CertificateError,
    },
    /// `trust.json` cannot be used.
    #[error("{path}: {source}")]
    TrustFile {
        /// The file.
        path: String,
        /// Why.
        source: TrustFileError,
    },
    /// `ca.crt` does not hold the roots that `trust.json` trusts, in its order.
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
        /// Why.
        source: KeyError,
    },
}

/// Reads the CAs of a role with their states: those of `trust.json`, else the one root in `ca.crt`.
///
/// # Errors
/// When a file is missing or damaged, or `ca.crt` does not hold the roots that `trust.json` trusts.
pub fn trust(layout: &Layout, role: CaRole) -> Result<TrustBundle, CaError> {
    let path = layout.trust_file(role);
    let roots = certificates(layout, role)?;
    let text = match files::read(&path, LIMIT) {
        Ok(text) => text,
        Err(StoreError::Missing(_)) => return single(layout, role, roots),
        Err(error) => return Err(error.into()),
    };
    let shown = path.display().to_string();
    let trust = trust_file::parse(role, &text).map_err(|source| CaError::TrustFile { path: shown, source })?;
    if roots.iter().ne(trust.anchors()) {
        let path = layout.root_certificate(role).display().to_string();
        return Err(CaError::OtherRoots { path });
    }
    Ok(trust)
}

fn single(layout: &Layout, role: CaRole, mut roots: Vec<Certificate>) -> Result<TrustBundle, CaError> {
    let count = roots.len();
    match (roots.pop(), count) {
        (Some(root), 1) => Ok(TrustBundle::single(CaCertificate::own_root(role, root))),
        _ => Err(CaError::Several { path: layout.root_certificate(role).display().to_string(), count }),
    }
}

/// Writes the CAs of a role: `trust.json` where it is needed, then `ca.crt`.
///
/// The caller has the directory's lock. When the process is killed in between, [`trust`] reports that the two differ, and writing
/// again completes them.
///
/// # Errors
/// The system's error.
pub fn write_trust(layout: &Layout, trust: &TrustBundle) -> Result<(), StoreError> {
    let role = trust.role();
    let path = layout.trust_file(role);
    match trust_file::format(trust) {
        Some(text) => files::replace(&path, text.as_bytes(), files::PUBLIC)?,
        None if files::exists(&path) => files::remove_all(&layout.root_folder(role), &[TRUST_FILE.into()])?,
        None => {}
    }
    files::replace(&layout.root_certificate(role), trust.to_pem().as_bytes(), files::PUBLIC)
}

/// Reads the certificates in `ca.crt`, in its order.
fn certificates(layout: &Layout, role: CaRole) -> Result<Vec<Certificate>, CaError> {
    let path = layout.root_certificate(role);
    let shown = path.display().to_string();
    let text = match files::read(&path, LIMIT) {
        Err(StoreError::Missing(_)) if files::exists(&layout.pki()) => {
            return Err(CaError::CertificateMissing(shown));
        }
        Err(StoreError::Missing(_)) => return Err(CaError::None(layout.dir().display().to_string())),
        other => other?,
    };
    let found = pem::certificates(&text).map_err(|source| CaError::Pem { path: shown.clone(), source })?;
    let read = |der| Certificate::from_der(der).map_err(|source| CaError::Certificate { path: shown.clone(), source });
    found.into_iter().map(read).collect()
}

/// Reads the text of a CA's key file, encrypted or not; `None` when there is no such file.
///
/// # Errors
/// The system's error.
pub fn key_file(layout: &Layout, root: CaRole) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    match files::read(&layout.root_key(root), LIMIT) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A CA with its key, opened for signing.
#[derive(Debug)]
pub struct OpenedCa {
    /// The active CA of a role.
    pub ca: CaCertificate,
    /// Its key.
    pub key: LocalKey,
}

impl OpenedCa {
    /// Makes the issuer.
    ///
    /// # Errors
    /// When the CA must not sign at `now`, or the key belongs to another certificate.
    pub fn into_issuer(self, now: OffsetDateTime) -> Result<Issuer, IssueError> {
        Issuer::new(self.ca, Box::new(self.key), now)
    }
}

/// Opens the active CA of a role for signing, with a passphrase where its key needs one.
///
/// # Errors
/// When a certificate or the key is missing, unreadable, or the passphrase is wrong. That the two belong together is checked by
/// [`OpenedCa::into_issuer`].
pub fn open(layout: &Layout, role: CaRole, passphrase: Option<&Passphrase>) -> Result<OpenedCa, CaError> {
    let ca = trust(layout, role)?.into_active();
    let shown = layout.root_key(role).display().to_string();
    let text = key_file(layout, role)?.ok_or_else(|| CaError::KeyMissing(shown.clone()))?;
    let key = LocalKey::from_pem_with(&text, passphrase).map_err(|source| CaError::Key { path: shown, source })?;
    Ok(OpenedCa { ca, key })
}

/// A CA to be written.
#[derive(Debug)]
pub struct NewCa {
    /// Its role.
    pub kind: CaRole,
    /// Certificate and key.
    pub made: Verified<Credential>,
    /// The content of the key's file, encrypted or not.
    pub key_pem: Zeroizing<String>,
}

/// Writes the folder `pki` with all CAs and a new ledger that has them: it appears complete, or not at all.
///
/// # Errors
/// [`StoreError::Exists`] when there is a `pki` already, even an empty one; or the system's error.
pub fn create_all(layout: &Layout, roots: &[NewCa], mark: &AuditContext<'_>) -> Result<(), StoreError> {
    let pki = layout.pki();
    if files::exists(&pki) {
        return Err(StoreError::Exists(pki));
    }
    files::sweep(layout.dir())?;
    let staged = StagedFolder::begin(&pki)?;
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
