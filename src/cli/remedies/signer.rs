//! What helps where a CA's key that is elsewhere does not sign, in words.

use crate::pki::signer_error::{ProgramError, TokenError};
use crate::pki::signing_key::SigningError;

/// What helps where the roots' keys would be beside the CAs.
pub(super) const ANOTHER_FOLDER: &str = "name a folder on a medium that does not stay in this machine";
/// What helps where two CAs would have one key.
pub(super) const A_KEY_EACH: &str = "let each holder in cluster.yaml (signers) answer with a key of its own: one CA in the place of another would let every node into etcd";
/// Nothing was signed: the certificates that were made before are kept.
const AGAIN: &str = "run the same command again: what is done is kept";

pub(super) fn words(error: &SigningError) -> Option<String> {
    match error {
        SigningError::Failed => None,
        SigningError::Program { error, .. } => Some(of_program(error)),
        SigningError::Token { error, .. } => Some(of_token(error)),
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

fn of_token(error: &TokenError) -> String {
    let text = match error {
        TokenError::NotBuilt => {
            "a static binary cannot load modules: build clusterctl for the system's C library with the feature pkcs11, or name a \
             program that signs (exec)"
        }
        TokenError::NoModule => {
            "name the token's module in cluster.yaml: module beside pkcs11, or module-path in the URI; or in CLUSTERCTL_PKCS11_MODULE"
        }
        TokenError::Module { .. } => {
            "install the module of the token's manufacturer (opensc-pkcs11.so for many smart cards), or correct its path"
        }
        TokenError::NoToken { .. } => "plug it in, or correct token in cluster.yaml (signers)",
        TokenError::SeveralTokens(_) => "name one of them by its serial number: serial in the URI",
        TokenError::NoKey { .. } => {
            "correct object or id in cluster.yaml (signers); pkcs11-tool --login --list-objects shows what the token has"
        }
        TokenError::SeveralKeys { .. } => "name one of them by its identifier: id in the URI",
        TokenError::NoPublicKey { .. } => "write the public key into the token, with the same identifier",
        TokenError::NoPin(_) => {
            "name a file that has it (pin-source in the URI), set CLUSTERCTL_PIN, or run on a terminal"
        }
        TokenError::WrongPin => "nothing was changed. Tokens lock after a few wrong PINs: be sure before you try again",
        TokenError::PinLocked => "unlock it with the security officer's PIN or the PUK, by the manufacturer's program",
        TokenError::NoUser => "set it: pkcs11-tool --login --login-type so --init-pin",
        TokenError::UnsupportedKey(_) => {
            "RSA, P-256, P-384 and Ed25519 are used in tokens, and all but RSA are made there (keys in cluster.yaml)"
        }
        TokenError::Mechanism(_) => {
            "use a key that may sign, and a kind that the token knows: RSA (CKM_SHA256_RSA_PKCS), P-256 or P-384 (CKM_ECDSA), \
             Ed25519 (CKM_EDDSA); pkcs11-tool --list-mechanisms shows them"
        }
        TokenError::Gone => return format!("plug it in, then {AGAIN}"),
        TokenError::WrongSignature => "name the key of the CA's certificate: object and id in cluster.yaml (signers)",
        TokenError::Refused(_) => return format!("the manufacturer's documentation tells what it means. Then {AGAIN}"),
    };
    text.to_owned()
}
