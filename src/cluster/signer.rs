//! Private keys of CAs that are not in the cluster directory: `signers` in the cluster file says where they are.

use std::time::Duration;

use super::pkcs11_uri::{Pkcs11Uri, Pkcs11UriError};

/// The time that a program gets for one signature, unless the cluster file gives another.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time that it can be given.
const LONGEST_TIMEOUT: u64 = 24 * 3600;

/// `signers` as text, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawSigners {
    /// `signers.cluster`
    pub cluster: Option<RawSigner>,
    /// `signers.etcd`
    pub etcd: Option<RawSigner>,
    /// `signers.front-proxy`
    pub front_proxy: Option<RawSigner>,
    /// `signers.next-cluster`
    pub next_cluster: Option<RawSigner>,
}

/// One entry of `signers`, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawSigner {
    /// `exec`
    pub exec: Option<Vec<String>>,
    /// `timeout`
    pub timeout: Option<String>,
    /// `pkcs11`
    pub pkcs11: Option<String>,
    /// `module`
    pub module: Option<String>,
}

/// The holders of the CAs' keys; `None` if the key is a file in the cluster directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers {
    /// Of the cluster's CA.
    pub cluster: Option<Signer>,
    /// Of etcd's CA.
    pub etcd: Option<Signer>,
    /// Of the front proxy's CA.
    pub front_proxy: Option<Signer>,
    /// Of the CA that replaces the cluster's in a rotation.
    pub next_cluster: Option<Signer>,
}

/// The holder of a CA's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// A program that signs what it is given.
    Exec(ExecSigner),
    /// A PKCS#11 token.
    Pkcs11(TokenSigner),
}

/// A program that signs what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecSigner {
    /// The program: a name to be looked up in `PATH`, or a path, relative to the cluster directory.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The time that it gets for one answer.
    pub timeout: Duration,
}

/// A key in a PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSigner {
    /// The token and the key.
    pub uri: Pkcs11Uri,
    /// The module, a shared library: a name, or a path, relative to the cluster directory.
    pub module: Option<String>,
}

/// Errors of an entry of `signers`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// It has no holder.
    #[error("it names no holder of the key: exec names a program, pkcs11 a key in a token")]
    NoHolder,
    /// It has two holders.
    #[error("it names two holders of the key, exec and pkcs11")]
    TwoHolders,
    /// A key belongs to the other holder.
    #[error("it belongs to {0}")]
    OfOther(&'static str),
    /// Not the URI of a key in a token.
    #[error("not the PKCS#11 URI of a key: {0}")]
    Uri(#[from] Pkcs11UriError),
    /// No program is named.
    #[error("the first item names a program")]
    NoProgram,
    /// A text has a NUL character, which no program can be given.
    #[error("it has a NUL character")]
    Nul,
    /// Not a time.
    #[error("it must be a number with a unit: s (seconds), m (minutes) or h (hours), from 1s to 24h")]
    Timeout,
}

/// Parses `90s`, `5m` or `2h`.
///
/// # Errors
/// Returns an error if it has no known unit or is out of range.
pub fn parse_timeout(text: &str) -> Result<Duration, SignerError> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        _ => return Err(SignerError::Timeout),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SignerError::Timeout);
    }
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| (1..=LONGEST_TIMEOUT).contains(seconds)).ok_or(SignerError::Timeout)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_a_unit_and_a_range() {
        assert_eq!(parse_timeout("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_timeout("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_timeout("24h"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "s", "5", "0s", "25h", "-1s", "1.5m", "1d", "99999999999999999999h", "1é"] {
            assert_eq!(parse_timeout(wrong), Err(SignerError::Timeout), "{wrong:?}");
        }
    }
}
