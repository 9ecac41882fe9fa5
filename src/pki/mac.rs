//! Secrets of one-time tokens, and HMAC-SHA-256 (RFC 2104) with them.

use std::fmt;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::fingerprint::Fingerprint;
use super::key_error::KeyError;

/// The characters of random text: those of Kubernetes's bootstrap tokens.
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// An Ed25519 key's SubjectPublicKeyInfo before its 32 octets (RFC 8410 § 4).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A secret for HMAC-SHA-256. It is wiped on drop, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct MacSecret(Zeroizing<String>);

impl MacSecret {
    /// Returns a secret of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, for showing it once and for the file of tokens.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the HMAC of `message`.
    #[must_use]
    pub fn tag(&self, message: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.key(), message).as_ref());
        tag
    }

    /// Returns true if `tag` is the HMAC of `message`. It takes the same time for every wrong tag.
    #[must_use]
    pub fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key(), message, tag).is_ok()
    }

    /// Returns the public half of the Ed25519 key that is derived from the secret, as SubjectPublicKeyInfo (RFC 8410): a
    /// verifier that has it needs no secret.
    ///
    /// # Errors
    /// Returns an error if the key cannot be derived.
    pub fn public_key(&self) -> Result<Vec<u8>, KeyError> {
        Ok([ED25519_SPKI.as_slice(), self.key_pair()?.public_key().as_ref()].concat())
    }

    /// Signs `message` with the Ed25519 key that is derived from the secret.
    ///
    /// # Errors
    /// Returns an error if the key cannot be derived.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.key_pair()?.sign(message).as_ref().to_vec())
    }

    fn key_pair(&self) -> Result<Ed25519KeyPair, KeyError> {
        let seed = Zeroizing::new(*Fingerprint::of(self.0.as_bytes()).bytes());
        Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| KeyError::Damaged)
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes())
    }
}

impl fmt::Debug for MacSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacSecret(…)")
    }
}

/// Returns a random number from 0 to 1, for jitter; 0.5 if the system gives no random numbers.
#[must_use]
pub fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// Returns random lower-case letters and digits, each of the 36 with the same probability.
///
/// # Errors
/// Returns an error if the system gives no random numbers.
pub fn random_text(length: usize) -> Result<Zeroizing<String>, KeyError> {
    let random = SystemRandom::new();
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while text.len() < length {
        random.fill(bytes.as_mut_slice()).map_err(|_| KeyError::NoRandomness)?;
        // 252 is the largest multiple of 36 in an octet; the rest would make some letters more probable.
        let letters = bytes.iter().filter(|byte| **byte < 252).map(|byte| char::from(LETTERS[usize::from(byte % 36)]));
        let missing = length - text.len();
        text.extend(letters.take(missing));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::fingerprint::hex;
    use crate::pki::public_key::PublicKey;

    #[test]
    fn the_tag_is_the_one_of_the_standard() {
        // RFC 4231 § 4.3.
        let secret = MacSecret::new("Jefe".to_owned());
        let message = b"what do ya want for nothing?";
        let tag = secret.tag(message);
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(secret.verifies(message, &tag));
        assert!(!secret.verifies(message, &tag[..31]));
        assert!(!secret.verifies(b"What do ya want for nothing?", &tag));
        assert_eq!(format!("{secret:?}"), "MacSecret(…)");
    }

    #[test]
    fn the_derived_key_verifies_what_it_signed() {
        let secret = MacSecret::new("0123456789abcdef".to_owned());
        let key = PublicKey::read(&secret.public_key().expect("derived")).expect("a key");
        let signature = secret.sign(b"message").expect("signed");
        assert!(key.verifies(b"message", &signature));
        assert!(!key.verifies(b"Message", &signature));
        let other = MacSecret::new("0123456789abcdeg".to_owned()).sign(b"message").expect("signed");
        assert!(!key.verifies(b"message", &other));
    }

    #[test]
    fn random_text_has_its_length_and_letters() {
        let text = random_text(1000).expect("random numbers");
        assert_eq!(text.len(), 1000);
        assert!(text.bytes().all(|byte| LETTERS.contains(&byte)));
        assert!(LETTERS.iter().all(|letter| text.bytes().any(|byte| byte == *letter)), "each of them occurs");
    }
}
