//! The key pair that signs service accounts' tokens (`sa.key`, `sa.pub`): one for the cluster, the same on every master.
//! It is made once. Another one would end every token, so that nothing here ever replaces it.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::credentials::CredentialProblem;
use super::error::StoreError;
use super::files::{self, PRIVATE, PUBLIC};
use super::layout::Layout;
use super::ledger::{AuditContext, Ledger};
use crate::cluster::key_kind::KeyKind;
use crate::pki::key::{KeyError, PrivateKey};
use crate::pki::pem::{self, Item};

/// No such file of ours is larger than this, in bytes.
const LIMIT: u64 = 64 * 1024;

/// What lies in the directory.
#[derive(Debug)]
pub enum Found {
    /// Neither file.
    Nothing,
    /// The key, without the public half beside it: a process was killed between the two.
    Half(PrivateKey),
    /// Both.
    Whole(PrivateKey),
}

/// Looks at the pair.
///
/// # Errors
/// What is wrong with it.
pub fn look(layout: &Layout) -> Result<Found, CredentialProblem> {
    let (key_path, public_path) = (layout.service_account_key(), layout.service_account_public());
    let key = match read(key_path.clone())? {
        Some(text) => PrivateKey::from_pem(&text).map_err(|error| CredentialProblem::BadKey(key_path, error))?,
        None if files::exists(&public_path) => return Err(CredentialProblem::Missing(key_path)),
        None => return Ok(Found::Nothing),
    };
    let Some(public) = read(public_path.clone())? else { return Ok(Found::Half(key)) };
    let items = pem::read_all(&public).map_err(|error| CredentialProblem::NotPem(public_path.clone(), error))?;
    if items == [Item::PublicKey(key.spki())] {
        Ok(Found::Whole(key))
    } else {
        Err(CredentialProblem::BadKey(public_path, KeyError::Damaged))
    }
}

fn read(path: PathBuf) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialProblem> {
    match files::read(&path, LIMIT) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(CredentialProblem::Unreadable(error)),
    }
}

/// Makes the pair. Kubernetes signs tokens with ECDSA or RSA alone (Kubernetes `pkg/serviceaccount`, `keyIDFromPublicKey`
/// and its signers), so that a cluster whose keys are Ed25519 has a P-256 one here.
///
/// # Errors
/// When the operating system gives no random numbers.
pub fn make(keys: KeyKind) -> Result<PrivateKey, KeyError> {
    PrivateKey::generate(match keys {
        KeyKind::EcdsaP384 => KeyKind::EcdsaP384,
        KeyKind::EcdsaP256 | KeyKind::Ed25519 => KeyKind::EcdsaP256,
    })
}

/// Writes a pair that was made, the ledger first. A killed process leaves nothing, or the key alone: see [`Found::Half`].
///
/// # Errors
/// [`StoreError::Exists`] when there is a key; or what the system says.
pub fn write(
    layout: &Layout,
    key: &PrivateKey,
    ledger: &mut Ledger,
    mark: &AuditContext<'_>,
) -> Result<(), StoreError> {
    ledger.log_event("service-account", "key pair", &format!("{} made", key.fingerprint().as_pin()), mark)?;
    files::write_new(&layout.service_account_key(), key.to_pem().as_bytes(), PRIVATE)?;
    write_public(layout, key)
}

/// Writes the public half of a key that is there.
///
/// # Errors
/// What the system says.
pub fn write_public(layout: &Layout, key: &PrivateKey) -> Result<(), StoreError> {
    files::replace(&layout.service_account_public(), key.public_pem().as_bytes(), PUBLIC)
}
