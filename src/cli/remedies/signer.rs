//! The texts of remedies for CAs' keys in programs and tokens that cannot be used.

use crate::pki::signer_error::{ProgramError, TokenError};
use crate::pki::signing_key::SigningError;

/// The remedy if the roots' keys would be stored together with the CAs' keys.
pub(super) const ANOTHER_FOLDER: &str = "name a folder on a medium that does not stay in this machine";
/// The remedy if two CAs would have the same key.
pub(super) const A_KEY_EACH: &str = "let each program or device in cluster.yaml (signers) use a key of its own: if \
    etcd's CA had the key of the cluster's, etcd would accept every node";
/// The last step of most remedies. Certificates that were issued before the failure are kept.
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
            format!("make it work, then {AGAIN}. clusterctl explain signers.cluster.exec describes its input")
        }
        ProgramError::TimedOut { .. } => {
            format!("give it more time (timeout in signers), then {AGAIN}")
        }
        ProgramError::TooLong { .. } | ProgramError::NotASignature { .. } => {
            "it has to write only the signature, in binary: ECDSA in DER, RSA as PKCS#1 v1.5, Ed25519 as 64 bytes"
                .to_owned()
        }
        ProgramError::WrongSignature | ProgramError::OtherKey => {
            "it has to sign with the key of the CA's certificate, and to hash its input exactly once".to_owned()
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
        TokenError::PinLocked => {
            "unlock it with the security officer's PIN or the PUK, with the manufacturer's \
            program"
        }
        TokenError::NoUser => "set it: pkcs11-tool --login --login-type so --init-pin",
        TokenError::UnsupportedKey(_) => {
            "clusterctl uses RSA, P-256, P-384 and Ed25519 in tokens, and creates all of these but RSA there (keys in \
             cluster.yaml)"
        }
        TokenError::Mechanism(_) => {
            "use a key that may sign, and a kind that the token supports: RSA (CKM_SHA256_RSA_PKCS), P-256 or P-384 \
             (CKM_ECDSA), Ed25519 (CKM_EDDSA); pkcs11-tool --list-mechanisms shows them"
        }
        TokenError::Gone => return format!("plug it in, then {AGAIN}"),
        TokenError::WrongSignature => "name the key of the CA's certificate: object and id in cluster.yaml (signers)",
        TokenError::Refused(_) => return format!("the manufacturer's documentation explains this code. Then {AGAIN}"),
    };
    text.to_owned()
}
