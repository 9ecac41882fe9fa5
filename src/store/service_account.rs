//! The key pair that signs service account tokens (`sa.key`, `sa.pub`): one for the cluster, the same on every
//! control-plane node.
//!
//! It is generated once and never replaced, because a new pair would invalidate all tokens.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::credentials::CredentialProblem;
use super::error::StoreError;
use super::files::{self, PRIVATE, PUBLIC};
use super::layout::Layout;
use super::ledger::{AuditContext, Ledger};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::key::KeyError;
use crate::pki::pem::{self, Item};
use crate::pki::token_key::TokenKey;

/// The largest size of these files, in bytes.
const LIMIT: u64 = 64 * 1024;

/// The state of the pair in the directory.
#[derive(Debug)]
pub enum KeyPairState {
    /// Neither file exists.
    Missing,
    /// The private key without the public key: a process was killed between writing the two.
    PrivateKeyOnly(TokenKey),
    /// Both files exist.
    Complete(TokenKey),
}

/// Reads the pair.
///
/// # Errors
/// Returns the problem of the key pair.
pub fn read(layout: &Layout) -> Result<KeyPairState, CredentialProblem> {
    let (key_path, public_path) = (layout.service_account_key(), layout.service_account_public());
    let key = match read_file(key_path.clone())? {
        Some(text) => TokenKey::from_pem(&text).map_err(|error| CredentialProblem::BadKey(key_path, error))?,
        None if files::exists(&public_path) => return Err(CredentialProblem::Missing(key_path)),
        None => return Ok(KeyPairState::Missing),
    };
    let Some(public) = read_file(public_path.clone())? else { return Ok(KeyPairState::PrivateKeyOnly(key)) };
    let items = pem::read_all(&public).map_err(|error| CredentialProblem::NotPem(public_path.clone(), error))?;
    if items == [Item::PublicKey(key.spki().to_vec())] {
        Ok(KeyPairState::Complete(key))
    } else {
        Err(CredentialProblem::BadKey(public_path, KeyError::Damaged))
    }
}

/// Returns the SHA-256 of the public key's SubjectPublicKeyInfo, if its file can be read.
#[must_use]
pub fn public_key(layout: &Layout) -> Option<Fingerprint> {
    let public = files::read(&layout.service_account_public(), LIMIT).ok()?;
    pem::read_all(&public).ok()?.iter().find_map(|item| match item {
        Item::PublicKey(spki) => Some(Fingerprint::of(spki)),
        _ => None,
    })
}

fn read_file(path: PathBuf) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialProblem> {
    match files::read(&path, LIMIT) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(CredentialProblem::Unreadable(error)),
    }
}

/// Records and writes a new pair. A killed process leaves no file, or only the private key: see
/// [`KeyPairState::PrivateKeyOnly`].
///
/// # Errors
/// Returns [`StoreError::Exists`] if a key exists, or the system's error.
pub fn write(layout: &Layout, key: &TokenKey, ledger: &mut Ledger, audit: &AuditContext<'_>) -> Result<(), StoreError> {
    ledger.log_event("service-account", "key pair", &format!("{} made", key.fingerprint().as_pin()), audit)?;
    files::write_new(&layout.service_account_key(), key.to_pem().as_bytes(), PRIVATE)?;
    write_public(layout, key)
}

/// Writes the public key of an existing private key.
///
/// # Errors
/// Returns the system's error.
pub fn write_public(layout: &Layout, key: &TokenKey) -> Result<(), StoreError> {
    files::replace(&layout.service_account_public(), key.public_pem().as_bytes(), PUBLIC)
}
