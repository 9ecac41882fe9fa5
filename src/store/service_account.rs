//! The key pair that signs service account tokens (`sa.key`, `sa.pub`): one for the cluster, the same on every
//! control-plane node.
//!
//! It is generated once. A new pair would invalidate all tokens, so it is replaced phase by phase: then
//! [`token_rotation`] has the state.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::credentials::CredentialProblem;
use super::error::StoreError;
use super::files::{self, PRIVATE, PUBLIC};
use super::layout::Layout;
use super::ledger::{AuditContext, Ledger};
use super::token_rotation;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::key::KeyError;
use crate::pki::pem::{self, Item};
use crate::pki::service_account_key::ServiceAccountKey;
use crate::pki::token_rotation::TokenRotation;

/// The largest size of these files, in bytes.
const LIMIT: u64 = 64 * 1024;

/// The state of the pair in the directory.
#[derive(Debug)]
pub enum KeyPairState {
    /// Neither file exists.
    Missing,
    /// The private key without the public key: a process was killed between writing the two.
    PrivateKeyOnly(ServiceAccountKey),
    /// Both files exist.
    Complete(ServiceAccountKey),
}

/// Reads the pair. While it is rotated, that is the one that signs in the present phase.
///
/// # Errors
/// Returns the problem of the key pair.
pub fn read(layout: &Layout) -> Result<KeyPairState, CredentialProblem> {
    match token_rotation::state(layout).map_err(CredentialProblem::Unreadable)? {
        Some(rotation) => {
            let signs = rotation.accepted().into_iter().next().unwrap_or(rotation.new);
            key_of(layout, signs).map(KeyPairState::Complete)
        }
        None => read_pair(layout),
    }
}

/// Returns the public keys, as PEM, that API servers accept besides that of the pair, while it is rotated.
///
/// # Errors
/// Returns the problem of a key.
pub fn other_public_keys(layout: &Layout) -> Result<Vec<String>, CredentialProblem> {
    let Some(rotation) = token_rotation::state(layout).map_err(CredentialProblem::Unreadable)? else {
        return Ok(Vec::new());
    };
    rotation.accepted().into_iter().skip(1).map(|key| Ok(key_of(layout, key)?.public_pem())).collect()
}

/// Returns the key that replaces the pair in a rotation.
///
/// # Errors
/// Returns the problem of the key.
pub fn new_key(layout: &Layout, rotation: &TokenRotation) -> Result<ServiceAccountKey, CredentialProblem> {
    key_of(layout, rotation.new)
}

/// Returns one of the two keys of a rotation. When it ends, the new one is in the place of the old one already.
fn key_of(layout: &Layout, wanted: Fingerprint) -> Result<ServiceAccountKey, CredentialProblem> {
    let places = [layout.service_account_key(), layout.token_rotation().join("new.key")];
    for path in &places {
        let Some(text) = read_file(path.clone())? else { continue };
        let key = ServiceAccountKey::from_pem(&text).map_err(|error| CredentialProblem::BadKey(path.clone(), error))?;
        if key.fingerprint() == wanted {
            return Ok(key);
        }
    }
    let [place, _] = places;
    Err(CredentialProblem::BadKey(place, KeyError::Damaged))
}

fn read_pair(layout: &Layout) -> Result<KeyPairState, CredentialProblem> {
    let (key_path, public_path) = (layout.service_account_key(), layout.service_account_public());
    let key = match read_file(key_path.clone())? {
        Some(text) => ServiceAccountKey::from_pem(&text).map_err(|error| CredentialProblem::BadKey(key_path, error))?,
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
fn public_key(layout: &Layout) -> Option<Fingerprint> {
    let public = files::read(&layout.service_account_public(), LIMIT).ok()?;
    pem::read_all(&public).ok()?.iter().find_map(|item| match item {
        Item::PublicKey(spki) => Some(Fingerprint::of(spki)),
        _ => None,
    })
}

/// Returns the SHA-256 of the SubjectPublicKeyInfo of every key of service accounts: of the pair, if its public key can be
/// read, and while it is rotated, of both keys.
///
/// # Errors
/// Returns an error if the state of a rotation cannot be read.
pub fn public_keys(layout: &Layout) -> Result<Vec<Fingerprint>, StoreError> {
    let mut keys: Vec<Fingerprint> = public_key(layout).into_iter().collect();
    keys.extend(token_rotation::state(layout)?.into_iter().flat_map(|rotation| [rotation.old, rotation.new]));
    keys.dedup();
    Ok(keys)
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
pub fn write(
    layout: &Layout,
    key: &ServiceAccountKey,
    ledger: &mut Ledger,
    audit: &AuditContext<'_>,
) -> Result<(), StoreError> {
    ledger.log_event("service-account", "key pair", &format!("{} made", key.fingerprint().as_pin()), audit)?;
    files::write_new(&layout.service_account_key(), key.to_pem().as_bytes(), PRIVATE)?;
    write_public(layout, key)
}

/// Writes the public key of an existing private key.
///
/// # Errors
/// Returns the system's error.
pub fn write_public(layout: &Layout, key: &ServiceAccountKey) -> Result<(), StoreError> {
    files::replace(&layout.service_account_public(), key.public_pem().as_bytes(), PUBLIC)
}
