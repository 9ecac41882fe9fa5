//! Reads the public half of a key in a token, and makes keys.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::find::names;
use super::open::refused;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::pkcs11_uri::Pkcs11Uri;
use crate::pki::pkcs11_encoding::{ec_params, ec_public_key, rsa_public_key};
use crate::pki::public_key::{PublicKey, PublicKeyError};
use crate::pki::signer_error::TokenError;

/// The length of the identifier of a new key, in bytes.
const ID_LENGTH: u32 = 16;

/// Returns the public half of a private key: of the public key with its identifier, or what it has itself.
pub(super) fn public_key(session: &Session, private: ObjectHandle, uri: &Pkcs11Uri) -> Result<PublicKey, TokenError> {
    let id = read(session, private, AttributeType::Id);
    let mut wanted = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    match id {
        Some(id) if !id.is_empty() => wanted.push(Attribute::Id(id)),
        _ => wanted.extend(names(uri)),
    }
    let found = session.find_objects(&wanted).map_err(|error| refused(&error))?;
    let spki = found.first().and_then(|public| encoded(session, *public)).or_else(|| encoded(session, private));
    let spki = spki.ok_or_else(|| TokenError::NoPublicKey { key: uri.key_name() })?;
    PublicKey::read(&spki).map_err(|error| match error {
        PublicKeyError::Unsupported(kind) => TokenError::UnsupportedKey(kind),
        PublicKeyError::Malformed => TokenError::NoPublicKey { key: uri.key_name() },
    })
}

/// Makes a key pair that cannot be read out of the token, and returns the private key.
pub(super) fn make(session: &Session, uri: &Pkcs11Uri, kind: KeyKind) -> Result<ObjectHandle, TokenError> {
    let curve = ec_params(kind).ok_or_else(|| TokenError::UnsupportedKey(kind.to_string()))?;
    let mut named = names(uri);
    if uri.id.is_none() {
        let id = session.generate_random_vec(ID_LENGTH).map_err(|error| refused(&error))?;
        named.push(Attribute::Id(id));
    }
    let public = [
        vec![Attribute::Token(true), Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(curve)],
        named.clone(),
    ];
    let private = [
        vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ],
        named,
    ];
    let mechanism = match kind {
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => Mechanism::EccKeyPairGen,
        KeyKind::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
    };
    let made = session.generate_key_pair(&mechanism, &public.concat(), &private.concat());
    made.map(|(_, private)| private).map_err(|error| refused(&error))
}

fn encoded(session: &Session, key: ObjectHandle) -> Option<Vec<u8>> {
    let of = |kind| read(session, key, kind);
    match (of(AttributeType::EcParams), of(AttributeType::EcPoint)) {
        (Some(params), Some(point)) => ec_public_key(&params, &point),
        _ => rsa_public_key(&of(AttributeType::Modulus)?, &of(AttributeType::PublicExponent)?),
    }
}

fn read(session: &Session, key: ObjectHandle, kind: AttributeType) -> Option<Vec<u8>> {
    let found = session.get_attributes(key, &[kind]).ok()?;
    match found.into_iter().next()? {
        Attribute::Id(bytes)
        | Attribute::EcParams(bytes)
        | Attribute::EcPoint(bytes)
        | Attribute::Modulus(bytes)
        | Attribute::PublicExponent(bytes) => Some(bytes),
        _ => None,
    }
}
