//! A CA's key in a PKCS#11 token, by the module of its manufacturer.

mod attributes;
mod find;
mod open;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;

use super::Access;
use super::pins::Pins;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::signer::TokenSigner;
use crate::pki::pkcs11_encoding::{ecdsa_digest, ecdsa_signature};
use crate::pki::public_key::PublicKey;
use crate::pki::signer_error::TokenError;
use crate::pki::signing_key::{SignatureAlgorithm, SigningError, SigningKey};

/// A CA's key in a token.
pub(super) struct Pkcs11Key {
    signer: TokenSigner,
    /// A token does one thing after the other. `None` after it was removed, which ends its sessions: what a module answers in
    /// such a session is not the cause.
    session: Mutex<Option<Session>>,
    private: ObjectHandle,
    public_key: PublicKey,
}

/// Opens the key that belongs to `public_key`.
///
/// # Errors
/// Returns an error if the module, the token or the key is missing, or the PIN is wrong.
pub(super) fn open(
    signer: &TokenSigner,
    access: &Access,
    public_key: PublicKey,
    pins: &mut dyn Pins,
) -> Result<Pkcs11Key, SigningError> {
    let mut opened = || {
        let session = open::session(signer, access, false, pins)?;
        let private = find::private_key(&session, &signer.uri)?;
        Ok((session, private))
    };
    let (session, private) = opened().map_err(|error| failure(signer, error))?;
    Ok(Pkcs11Key { signer: signer.clone(), session: Mutex::new(Some(session)), private, public_key })
}

/// Opens the key, and reads its public half. A token that has no such key makes one of the kind `new`, if that is given.
///
/// # Errors
/// Returns an error if the module or the token is missing, the PIN is wrong, or the key is of a kind that no CA has
/// here.
pub(super) fn open_or_make(
    signer: &TokenSigner,
    access: &Access,
    new: Option<KeyKind>,
    pins: &mut dyn Pins,
) -> Result<Pkcs11Key, SigningError> {
    let mut opened = || {
        let session = open::session(signer, access, new.is_some(), pins)?;
        let private = match (find::private_key(&session, &signer.uri), new) {
            (Err(TokenError::NoKey { .. }), Some(kind)) => attributes::make(&session, &signer.uri, kind)?,
            (found, _) => found?,
        };
        let public_key = attributes::public_key(&session, private, &signer.uri)?;
        Ok((session, private, public_key))
    };
    let (session, private, public_key) = opened().map_err(|error| failure(signer, error))?;
    Ok(Pkcs11Key { signer: signer.clone(), session: Mutex::new(Some(session)), private, public_key })
}

impl Pkcs11Key {
    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let mut open = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = self.signature_in(open.as_ref().ok_or(TokenError::Gone)?, message);
        if matches!(signed, Err(TokenError::Gone)) {
            *open = None;
        }
        signed
    }

    fn signature_in(&self, session: &Session, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let unsupported = || TokenError::UnsupportedKey(self.public_key.kind().to_string());
        let refused = |error: cryptoki::error::Error| open::refused(&error);
        let signature = match self.algorithm() {
            SignatureAlgorithm::RsaSha256 => {
                session.sign(&Mechanism::Sha256RsaPkcs, self.private, message).map_err(refused)?
            }
            SignatureAlgorithm::Ed25519 => {
                let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
                session.sign(&pure, self.private, message).map_err(refused)?
            }
            algorithm @ (SignatureAlgorithm::EcdsaP256Sha256 | SignatureAlgorithm::EcdsaP384Sha384) => {
                let digest = ecdsa_digest(algorithm, message).ok_or_else(unsupported)?;
                let raw = session.sign(&Mechanism::Ecdsa, self.private, &digest).map_err(refused)?;
                ecdsa_signature(&raw).ok_or(TokenError::WrongSignature)?
            }
        };
        match self.public_key.verifies(message, &signature) {
            true => Ok(signature),
            false => Err(TokenError::WrongSignature),
        }
    }
}

impl SigningKey for Pkcs11Key {
    fn public_key(&self) -> &[u8] {
        self.public_key.spki()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.public_key.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.signature(message).map_err(|error| failure(&self.signer, error))
    }
}

impl fmt::Debug for Pkcs11Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pkcs11Key({}, {:?})", self.signer.uri.key_name(), self.algorithm())
    }
}

fn failure(signer: &TokenSigner, error: TokenError) -> SigningError {
    SigningError::Token { token: signer.uri.token_name(), error }
}
