//! A CA's key that a program has.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::Access;
use super::process::{self, Call};
use super::protocol;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::signer::ExecSigner;
use crate::pki::public_key::{PublicKey, PublicKeyError};
use crate::pki::signer_error::ProgramError;
use crate::pki::signing_key::{SignatureAlgorithm, SigningError, SigningKey};

/// The largest answer, in bytes. A public key of RSA 8192 has 1,500 as PEM.
const LONGEST_ANSWER: usize = 16 * 1024;

/// A CA's key that a program has. It is run once for each signature, and never twice at a time: tokens and people do one
/// thing after the other.
pub(super) struct ExecKey {
    program: ExecSigner,
    access: Access,
    public_key: PublicKey,
    one_at_a_time: Mutex<()>,
}

impl ExecKey {
    pub(super) fn new(program: ExecSigner, access: Access, public_key: PublicKey) -> Self {
        Self { program, access, public_key, one_at_a_time: Mutex::new(()) }
    }
}

impl SigningKey for ExecKey {
    fn public_key(&self) -> &[u8] {
        self.public_key.spki()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.public_key.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let request = protocol::sign(&self.access, self.algorithm(), message);
        let signature = ask(&self.program, &self.access, request)?;
        let error = if !self.public_key.has_form_of_signature(&signature) {
            ProgramError::NotASignature { found: signature.len(), wanted: wanted(&self.public_key) }
        } else if !self.public_key.verifies(message, &signature) {
            ProgramError::WrongSignature
        } else {
            return Ok(signature);
        };
        Err(failure(&self.program, error))
    }
}

impl fmt::Debug for ExecKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExecKey({}, {:?})", self.program.program, self.algorithm())
    }
}

/// Asks a program for its public key.
///
/// # Errors
/// Returns an error if it does not answer, or with another kind of key than a CA can have.
pub(super) fn public_key(
    program: &ExecSigner,
    access: &Access,
    new: Option<KeyKind>,
) -> Result<PublicKey, SigningError> {
    let answer = ask(program, access, protocol::public_key(access, new))?;
    PublicKey::read(&answer).map_err(|error| {
        failure(
            program,
            match error {
                PublicKeyError::Malformed => ProgramError::NotAPublicKey(answer.len()),
                PublicKeyError::Unsupported(kind) => ProgramError::UnsupportedKey(kind),
            },
        )
    })
}

fn ask(program: &ExecSigner, access: &Access, request: Vec<u8>) -> Result<Vec<u8>, SigningError> {
    let call = Call {
        program: &program.program,
        args: &program.args,
        folder: &access.folder,
        own_group: !access.signer_env.has_terminal,
        limit: LONGEST_ANSWER,
        timeout: program.timeout,
    };
    process::run(&call, request).map_err(|error| failure(program, error))
}

fn failure(program: &ExecSigner, error: ProgramError) -> SigningError {
    SigningError::Program { program: program.program.clone(), error }
}

fn wanted(key: &PublicKey) -> String {
    match key.algorithm() {
        SignatureAlgorithm::EcdsaP256Sha256 | SignatureAlgorithm::EcdsaP384Sha384 => {
            "an ECDSA signature in DER".to_owned()
        }
        SignatureAlgorithm::Ed25519 | SignatureAlgorithm::RsaSha256 => format!("a signature by {}", key.kind()),
    }
}
