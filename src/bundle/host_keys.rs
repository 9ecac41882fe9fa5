//! The list of keys that a bundle lacks because only its host has them. `install.sh` finds each key and compares it
//! with its certificate.

use super::input::HostCredential;
use super::paths;
use crate::pki::fingerprint::hex;

/// The name of the list. Each line has a key's path on the host and its public half. It is not installed.
pub const HOST_KEYS: &str = "host-keys";

/// Returns the list; `None` if the bundle has all keys.
///
/// The public half is in hexadecimal, encoded as in the key's file: an elliptic curve's point, an RSA key's modulus and
/// exponent (RFC 8017 § A.1.2), an Ed25519 key's octets.
pub(super) fn list(credentials: &[&HostCredential]) -> Option<String> {
    let line = |held: &&HostCredential| {
        let path = paths::key_of(held.profile).filter(|_| held.key.is_none())?;
        Some(format!("{path} {}\n", hex(held.certificate.public_key_octets()?)))
    };
    let list: String = credentials.iter().filter_map(line).collect();
    (!list.is_empty()).then_some(list)
}
