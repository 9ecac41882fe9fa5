//! What helps where a CA's key that is elsewhere does not sign, in words.

use crate::pki::signer_error::ProgramError;
use crate::pki::signing_key::SigningError;

/// What helps where two CAs would have one key.
pub(super) const A_KEY_EACH: &str = "let each holder in cluster.yaml (signers) answer with a key of its own: one CA in the place of another would let every node into etcd";
/// Nothing was signed: the certificates that were made before are kept.
const AGAIN: &str = "run the same command again: what is done is kept";

pub(super) fn words(error: &SigningError) -> Option<String> {
    match error {
        SigningError::Failed => None,
        SigningError::Program { error, .. } => Some(of_program(error)),
    }
}

fn of_program(error: &ProgramError) -> String {
    match error {
        ProgramError::NotFound => {
            "correct its name in cluster.yaml (signers); a path is relative to the cluster directory".to_owned()
        }
        ProgramError::NotStarted(_) => "check its mode and its first line (#!)".to_owned(),
        ProgramError::Failed { .. } | ProgramError::NoAnswer { .. } => {
            format!("make it work, then {AGAIN}. clusterctl explain signers.cluster.exec says what it gets")
        }
        ProgramError::TimedOut { .. } => {
            format!("give it more time (timeout in signers), then {AGAIN}")
        }
        ProgramError::TooLong { .. } | ProgramError::NotASignature { .. } => {
            "it has to write the signature alone, in binary: ECDSA in DER, RSA as PKCS#1 v1.5, Ed25519 as 64 bytes"
                .to_owned()
        }
        ProgramError::WrongSignature | ProgramError::OtherKey => {
            "let it sign with the key of the CA's certificate, and hash what it gets once".to_owned()
        }
        ProgramError::NotAPublicKey(_) => {
            "asked for public-key, it has to write the public key as PEM or DER (SubjectPublicKeyInfo)".to_owned()
        }
        ProgramError::UnsupportedKey(_) => "a CA's key is RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519".to_owned(),
    }
}
