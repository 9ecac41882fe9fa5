//! SSH keys and signatures, which sign and decrypt bundles.
//!
//! This module, [`super::allowed_signers`] and [`super::known_hosts`] use the ssh-key crate.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{Algorithm, EcdsaCurve, Error, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};
use zeroize::Zeroizing;

use super::key_error::KeyError;
use super::openssh_key;
use super::passphrase::Passphrase;

/// The namespace of the signature that checks a key pair; no verifier accepts it.
const SELF_TEST: &str = "clusterctl-trial";

/// Returns the fingerprint `SHA256:…` of a public key, a line of OpenSSH; `None` if it is no public key.
#[must_use]
pub fn fingerprint_of(line: &str) -> Option<String> {
    PublicKey::from_openssh(line).ok().map(|key| key.fingerprint(HashAlg::Sha256).to_string())
}

/// An SSH private key, possibly encrypted. `Debug` shows its fingerprint.
pub struct SshKey(PrivateKey);

/// Errors of SSH keys, signatures and files of allowed signers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Not an OpenSSH key file.
    #[error("it is not a private key in OpenSSH's format")]
    NotAKey,
    /// An older format, which OpenSSH still supports.
    #[error("it is a private key in PEM, an older format; ssh-keygen -p -f FILE converts it")]
    OldFormat,
    /// A public key.
    #[error("it is a public key, and the private one is needed")]
    Public,
    /// A truncated or damaged private key.
    #[error("the private key is damaged: {0}")]
    Damaged(String),
    /// The key is encrypted.
    #[error("the private key is encrypted, and needs its passphrase")]
    PassphraseNeeded,
    /// The passphrase does not decrypt the key.
    #[error("the passphrase of the private key is wrong")]
    WrongPassphrase,
    /// A type of key that is not supported here.
    #[error("a key of the type {0} cannot be used here; use ssh-ed25519")]
    Unsupported(String),
    /// Not an SSH signature.
    #[error("it is not an SSH signature, or it is damaged")]
    NotASignature,
    /// A signature for another namespace.
    #[error("its namespace is {found:?}, not {wanted:?}")]
    OtherNamespace {
        /// Its namespace.
        found: String,
        /// The required namespace.
        wanted: &'static str,
    },
    /// The signature does not match the message.
    #[error("the signature by {fingerprint} is invalid: the signed content or the signature was changed")]
    Invalid {
        /// The fingerprint of the key.
        fingerprint: String,
    },
    /// A valid signature by a key that is not among the allowed signers.
    #[error("its signer {fingerprint} is not among the allowed signers")]
    UnknownSigner {
        /// The fingerprint of the key.
        fingerprint: String,
    },
    /// A valid signature by a listed key whose line does not allow it.
    #[error("line {line} of the allowed signers does not allow its signer {fingerprint}: {reason}")]
    NotAllowed {
        /// The fingerprint of the key.
        fingerprint: String,
        /// The line of the file of allowed signers, from 1.
        line: usize,
        /// The reason.
        reason: String,
    },
    /// An invalid line of a file of allowed signers.
    #[error("line {line} is not a line of allowed signers: {reason}")]
    Signers {
        /// The line, from 1.
        line: usize,
        /// The reason.
        reason: String,
    },
    /// A file of allowed signers without an entry.
    #[error("it has no signers; a line is a name, the type of a key, and the key: admin@example.net ssh-ed25519 AAAA…")]
    NoSigners,
}

impl SshKey {
    /// Parses a private key in OpenSSH's format.
    ///
    /// # Errors
    /// Returns an error if it is not one, or not supported.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, SshError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SshError::NotAKey)?.trim();
        if !text.contains(openssh_key::BEGIN) {
            return Err(match text {
                _ if text.contains("PRIVATE KEY-----") => SshError::OldFormat,
                _ if PublicKey::from_openssh(text).is_ok() => SshError::Public,
                _ => SshError::NotAKey,
            });
        }
        match openssh_key::read(text) {
            Ok(key) => Self::checked(key),
            Err(Error::AlgorithmUnsupported { algorithm }) => Err(SshError::Unsupported(algorithm.to_string())),
            Err(error) => Err(SshError::Damaged(sanitized(&error))),
        }
    }

    /// Generates an Ed25519 key.
    ///
    /// # Errors
    /// Returns an error if the system gives no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(seed.as_mut_slice()).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self(PrivateKey::from(Ed25519Keypair::from_seed(&seed))))
    }

    /// Returns the public key as a line of OpenSSH without a comment.
    #[must_use]
    pub fn public_key(&self) -> String {
        let key = PublicKey::new(self.0.public_key().key_data().clone(), "");
        key.to_openssh().unwrap_or_default()
    }

    /// Returns true if it is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.is_encrypted()
    }

    /// Decrypts it; an unencrypted key is returned as it is.
    ///
    /// # Errors
    /// Returns [`SshError::WrongPassphrase`], or an error if the key is damaged.
    pub fn unlock(self, passphrase: &Passphrase) -> Result<Self, SshError> {
        if !self.0.is_encrypted() {
            return Ok(self);
        }
        // bcrypt returns an error for an empty passphrase.
        if passphrase.is_empty() {
            return Err(SshError::WrongPassphrase);
        }
        let key = openssh_key::decrypt(&self.0, passphrase.expose()).map_err(|error| match error {
            Error::AlgorithmUnsupported { algorithm } => SshError::Unsupported(algorithm.to_string()),
            // The check numbers differ, or the cipher's tag is wrong.
            Error::Crypto => SshError::WrongPassphrase,
            error => SshError::Damaged(sanitized(&error)),
        })?;
        Self::checked(key)
    }

    /// Returns the key if its public half verifies a signature by its private half.
    ///
    /// The crate only compares an ECDSA key's two copies of the public half. It checks Ed25519 keys itself; other types
    /// do not sign here.
    fn checked(key: PrivateKey) -> Result<Self, SshError> {
        let ecdsa = matches!(key.algorithm(), Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 | EcdsaCurve::NistP384 });
        if ecdsa && !key.is_encrypted() {
            let signature = key.sign(SELF_TEST, HashAlg::Sha512, &[]);
            let verified = signature.and_then(|signature| key.public_key().verify(SELF_TEST, &[], &signature));
            verified.map_err(|_| SshError::Damaged("its private half does not belong to its public one".to_owned()))?;
        }
        Ok(Self(key))
    }

    /// Returns a detached signature over `message` (OpenSSH `PROTOCOL.sshsig`, SHA-512), like `ssh-keygen -Y sign`.
    ///
    /// It is deterministic: Ed25519, and ECDSA by RFC 6979, use no random numbers.
    ///
    /// # Errors
    /// Returns an error if the key is encrypted or cannot sign here: RSA (not supported by ssh-key 0.6) and security
    /// keys.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<String, SshError> {
        if self.0.is_encrypted() {
            return Err(SshError::PassphraseNeeded);
        }
        let signed = self.0.sign(namespace, HashAlg::Sha512, message);
        let unsupported = |_| SshError::Unsupported(self.0.algorithm().to_string());
        signed.and_then(|signature| signature.to_pem(LineEnding::LF)).map_err(unsupported)
    }

    /// Returns the fingerprint `SHA256:…`, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Returns SSH's name of its type.
    #[must_use]
    pub fn kind(&self) -> String {
        self.0.algorithm().to_string()
    }

    /// Returns the unencrypted key in OpenSSH's format, for decrypting bundles.
    ///
    /// # Errors
    /// Returns an error if the key is encrypted.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, SshError> {
        if self.0.is_encrypted() {
            return Err(SshError::PassphraseNeeded);
        }
        self.0.to_openssh(LineEnding::LF).map_err(|error| SshError::Damaged(sanitized(&error)))
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshKey({})", self.fingerprint())
    }
}

/// A detached signature, not verified. See [`super::allowed_signers::AllowedSigners::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSignature(pub(super) SshSig);

impl SshSignature {
    /// Parses `-----BEGIN SSH SIGNATURE-----`.
    ///
    /// # Errors
    /// Returns [`SshError::NotASignature`].
    pub fn from_pem(bytes: &[u8]) -> Result<Self, SshError> {
        let signature = SshSig::from_pem(bytes).map_err(|_| SshError::NotASignature)?;
        // The signature does not cover its version and lengths, and the crate accepts some invalid ones: the encoding
        // must be the one that the crate writes.
        let again = signature.to_pem(LineEnding::LF).map_err(|_| SshError::NotASignature)?;
        let given = bytes.trim_ascii().iter().filter(|&&b| b != b'\r');
        let same = signature.version() == 1 && given.eq(again.trim_ascii().as_bytes());
        if same { Ok(Self(signature)) } else { Err(SshError::NotASignature) }
    }

    /// Returns its key's fingerprint `SHA256:…`, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Returns its public key as a line of OpenSSH without a comment: the type and the base64 of the key.
    ///
    /// # Errors
    /// Returns [`SshError::NotASignature`] for a key that cannot be encoded.
    pub fn public_key(&self) -> Result<String, SshError> {
        PublicKey::from(self.0.public_key().clone()).to_openssh().map_err(|_| SshError::NotASignature)
    }

    /// Returns SSH's name of its key's type.
    #[must_use]
    pub fn kind(&self) -> String {
        self.0.public_key().algorithm().to_string()
    }

    /// Verifies the signature over `message` by its own key. It does not check whose key that is.
    ///
    /// # Errors
    /// Returns [`SshError::OtherNamespace`] or [`SshError::Invalid`].
    pub fn verify(&self, namespace: &'static str, message: &[u8]) -> Result<(), SshError> {
        if self.0.namespace() != namespace {
            return Err(SshError::OtherNamespace { found: self.0.namespace().to_owned(), wanted: namespace });
        }
        let key = PublicKey::new(self.0.public_key().clone(), "");
        let invalid = |_| SshError::Invalid { fingerprint: self.fingerprint() };
        key.verify(namespace, message, &self.0).map_err(invalid)
    }
}

/// Returns the crate's message without control characters: it may quote untrusted input.
pub(super) fn sanitized(error: &Error) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).collect()
}

/// Matches SSH's patterns: `*` matches any number of characters, `?` matches one (ssh_config(5), PATTERNS).
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                // Backtrack: the last star matches one more character.
                Some((next, from)) => {
                    star = Some((next, from + 1));
                    (p, t) = (next, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use ssh_key::private::{EcdsaKeypair, KeypairData};
    use ssh_key::public::EcdsaPublicKey;

    const NAMESPACE: &str = "clusterctl-bundle";
    const ON_P256: &str = include_str!("../../tests/data/openssh/ecdsa-256-short");

    fn key(seed: u8) -> SshKey {
        SshKey(PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32])))
    }

    fn public(key: &SshKey) -> String {
        key.0.public_key().to_openssh().expect("a key")
    }

    #[test]
    fn a_signature_verifies_for_its_message_only() {
        let signed = key(1).sign(NAMESPACE, b"message").expect("signed");
        assert_eq!(signed, key(1).sign(NAMESPACE, b"message").expect("signed"), "the same every time");
        let signature = SshSignature::from_pem(signed.as_bytes()).expect("a signature");
        let fingerprint = key(1).fingerprint();
        assert_eq!(signature.verify(NAMESPACE, b"Message"), Err(SshError::Invalid { fingerprint }));
        for at in 0..signed.len() {
            let mut bad = signed.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            if let Ok(signature) = SshSignature::from_pem(&bad) {
                assert!(signature.verify(NAMESPACE, b"message").is_err() || bad == signed.as_bytes(), "byte {at}");
            }
        }
    }

    #[test]
    fn other_files_than_private_keys_are_recognized() {
        assert_eq!(SshKey::from_pem(b"\xff\xfe").expect_err("binary"), SshError::NotAKey);
        assert_eq!(SshKey::from_pem(public(&key(1)).as_bytes()).expect_err("public"), SshError::Public);
        let old = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(SshKey::from_pem(old).expect_err("old"), SshError::OldFormat);
        let pem = key(1).to_pem().expect("unencrypted");
        assert!(matches!(SshKey::from_pem(&pem.as_bytes()[..pem.len() / 2]), Err(SshError::Damaged(_))));
        assert_eq!(format!("{:?}", key(1)), format!("SshKey({})", key(1).fingerprint()));
    }

    #[test]
    fn a_key_with_another_public_half_is_damaged() {
        let read = |keypair: KeypairData| {
            let key = PrivateKey::new(keypair, "").expect("unencrypted");
            SshKey::from_pem(key.to_openssh(LineEnding::LF).expect("PEM").as_bytes()).map(|key| key.kind())
        };
        let one = Ed25519Keypair::from_seed(&[1; 32]);
        let mut mixed = one.clone();
        mixed.public = Ed25519Keypair::from_seed(&[2; 32]).public;
        assert_eq!(read(one.into()).as_deref(), Ok("ssh-ed25519"));
        assert!(matches!(read(mixed.into()), Err(SshError::Damaged(_))));

        let key = SshKey::from_pem(ON_P256.as_bytes()).expect("a key");
        let KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private }) = key.0.key_data().clone() else {
            panic!("a key on P-256")
        };
        // The last 65 octets of a SubjectPublicKeyInfo on P-256 are its uncompressed point (RFC 5480 § 2.2).
        let spki = crate::pki::key::PrivateKey::generate(KeyKind::EcdsaP256).expect("a key").spki();
        let Ok(EcdsaPublicKey::NistP256(other)) = EcdsaPublicKey::from_sec1_bytes(&spki[spki.len() - 65..]) else {
            panic!("a point on P-256")
        };
        assert_ne!(public, other);
        assert_eq!(
            read(EcdsaKeypair::NistP256 { public, private: private.clone() }.into()).as_deref(),
            Ok("ecdsa-sha2-nistp256")
        );
        let damaged = SshError::Damaged("its private half does not belong to its public one".to_owned());
        assert_eq!(read(EcdsaKeypair::NistP256 { public: other, private }.into()), Err(damaged));
    }

    #[test]
    fn patterns_match_as_in_ssh() {
        for (pattern, text) in [("*", ""), ("a*c", "abbc"), ("a?c", "abc"), ("*.b.*", "a.b.c"), ("**", "x"), ("a", "a")]
        {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*c", "abb"), ("?", ""), ("a", "ab"), ("*.b", "a.c")] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
