//! Finds keys in a token.

use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::open::refused;
use crate::cluster::pkcs11_uri::Pkcs11Uri;
use crate::pki::signer_error::TokenError;

/// Finds the one private key that the URI names.
pub(super) fn private_key(session: &Session, uri: &Pkcs11Uri) -> Result<ObjectHandle, TokenError> {
    let mut wanted = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    wanted.extend(names(uri));
    let found = session.find_objects(&wanted).map_err(|error| refused(&error))?;
    match found.as_slice() {
        [key] => Ok(*key),
        [] => Err(TokenError::NoKey { key: uri.key_name() }),
        several => Err(TokenError::SeveralKeys { key: uri.key_name(), count: several.len() }),
    }
}

/// Returns the attributes that the URI gives a key.
pub(super) fn names(uri: &Pkcs11Uri) -> Vec<Attribute> {
    let label = uri.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec()));
    let id = uri.id.as_ref().map(|id| Attribute::Id(id.clone()));
    label.into_iter().chain(id).collect()
}
