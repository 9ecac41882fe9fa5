//! Errors of programs that hold the key of a CA.

use std::time::Duration;

/// What a program that holds a CA's key did instead of answering.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It is not there.
    #[error("was not found")]
    NotFound,
    /// The system did not start it.
    #[error("could not be started: {0}")]
    NotStarted(String),
    /// It ended with another status than 0.
    #[error("failed: {status}{}", said(stderr))]
    Failed {
        /// Its exit status, or the signal that ended it.
        status: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// It did not answer in time and was ended.
    #[error("did not answer within {} seconds, and was ended{}", limit.as_secs(), said(stderr))]
    TimedOut {
        /// The time that it had.
        limit: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// It wrote nothing on standard output.
    #[error("ended without an answer{}", said(stderr))]
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
        /// How many bytes it wrote.
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

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it said: {stderr}") }
}
