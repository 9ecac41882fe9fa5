//! PKCS#11 tokens where no module can be loaded: each is an error.

use super::Access;
use super::exec::ExecKey;
use super::pins::Pins;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::signer::TokenSigner;
use crate::pki::public_key::PublicKey;
use crate::pki::signer_error::TokenError;
use crate::pki::signing_key::SigningError;

/// Returns the error.
pub(super) fn open(signer: &TokenSigner, _: &Access, _: PublicKey, _: &mut dyn Pins) -> Result<ExecKey, SigningError> {
    Err(SigningError::Token { token: signer.uri.token_name(), error: TokenError::NotBuilt })
}

/// Returns the error.
pub(super) fn open_or_make(
    signer: &TokenSigner,
    _: &Access,
    _: Option<KeyKind>,
    _: &mut dyn Pins,
) -> Result<ExecKey, SigningError> {
    Err(SigningError::Token { token: signer.uri.token_name(), error: TokenError::NotBuilt })
}
