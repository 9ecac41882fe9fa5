//! Errors of programs and PKCS#11 tokens that hold the key of a CA.

use std::path::PathBuf;
use std::time::Duration;

/// Errors of a program that holds a CA's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It does not exist.
    #[error("was not found")]
    NotFound,
    /// The system did not start it.
    #[error("could not be started: {0}")]
    NotStarted(String),
    /// It ended with a status other than 0.
    #[error("failed: {status}{}", describe_stderr(stderr))]
    Failed {
        /// Its exit status, or the signal that ended it.
        status: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// It did not answer in time and was ended.
    #[error("did not answer within {} seconds, and was ended{}", limit.as_secs(), describe_stderr(stderr))]
    TimedOut {
        /// The time that it had.
        limit: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// It wrote nothing on standard output.
    #[error("ended without an answer{}", describe_stderr(stderr))]
    NoAnswer {
        /// The end of its standard error.
        stderr: String,
    },
    /// It wrote more than any answer has.
    #[error("wrote more than {limit} bytes, and was ended")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// What it wrote is not a signature of the key's algorithm.
    #[error("wrote {found} bytes, which are not {wanted}")]
    NotASignature {
        /// The number of bytes that it wrote.
        found: usize,
        /// What they should be.
        wanted: String,
    },
    /// The signature does not verify under the CA's public key.
    #[error("signed with another key than the CA's, or signed other data: its signature does not verify")]
    WrongSignature,
    /// What it wrote is not a public key.
    #[error("wrote {0} bytes, which are not a public key")]
    NotAPublicKey(usize),
    /// The key is of a kind that clusterctl cannot sign with.
    #[error("has a key that no CA can have here: {0}")]
    UnsupportedKey(String),
    /// Its public key is not the one in the CA's certificate.
    #[error("has another key than the CA's certificate")]
    OtherKey,
}

/// Errors of a PKCS#11 token that holds a CA's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// This clusterctl cannot load modules.
    #[error("this clusterctl was built without PKCS#11")]
    NotBuilt,
    /// No module is named.
    #[error("no PKCS#11 module is named")]
    NoModule,
    /// The module cannot be loaded.
    #[error("the PKCS#11 module {} cannot be loaded: {reason}", path.display())]
    Module {
        /// The shared library.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// There is no such token.
    #[error("it was not found; {}", tokens(found))]
    NoToken {
        /// The labels of the tokens that were found.
        found: Vec<String>,
    },
    /// Several tokens are meant.
    #[error("{0} tokens match")]
    SeveralTokens(usize),
    /// The token has no such private key.
    #[error("it has no private key {key}")]
    NoKey {
        /// The key, as the cluster file names it.
        key: String,
    },
    /// The token has several such private keys.
    #[error("it has {count} private keys {key}")]
    SeveralKeys {
        /// The key, as the cluster file names it.
        key: String,
        /// Their number.
        count: usize,
    },
    /// The token does not show the public half of the key.
    #[error("it does not show the public key that belongs to {key}")]
    NoPublicKey {
        /// The key, as the cluster file names it.
        key: String,
    },
    /// There is no PIN.
    #[error("it needs a PIN: {0}")]
    NoPin(String),
    /// The PIN is wrong.
    #[error("the PIN is wrong; it was tried once")]
    WrongPin,
    /// Too many wrong PINs were tried.
    #[error("its PIN is locked, after too many wrong ones")]
    PinLocked,
    /// The token has no user PIN.
    #[error("its user PIN is not set")]
    NoUser,
    /// The key is of a kind that cannot sign here, or be made.
    #[error("a key of the kind {0} is not used in tokens here")]
    UnsupportedKey(String),
    /// The token or the key cannot do what is needed.
    #[error("its key or the token itself cannot do this ({0})")]
    Mechanism(String),
    /// The token was removed.
    #[error("it was removed")]
    Gone,
    /// The signature does not verify under the CA's public key.
    #[error("its key is another one than the CA's: the signature does not verify")]
    WrongSignature,
    /// The module or the token refused, with a function and a value of PKCS#11.
    #[error("it refused: {0}")]
    Refused(String),
}

fn tokens(found: &[String]) -> String {
    match found {
        [] => "there is none".to_owned(),
        found => format!("there are: {}", found.join(", ")),
    }
}

fn describe_stderr(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; standard error: {stderr}") }
}
