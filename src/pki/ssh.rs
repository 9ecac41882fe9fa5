//! SSH's keys and signatures: what signs a bundle, and whose key opens a sealed one. This and
//! [`super::allowed_signers`] are the doors to the ssh-key crate.

use std::fmt;

use ssh_key::{Algorithm, EcdsaCurve, Error, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};
use zeroize::Zeroizing;

use super::openssh_key;
use super::passphrase::Passphrase;

/// What a key signs to show that its halves belong together, in a namespace that no verifier uses.
const TRIAL: &str = "clusterctl-trial";

/// An SSH private key, perhaps still encrypted. `Debug` shows its fingerprint.
pub struct SshKey(PrivateKey);

/// Why something of SSH's cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// No key file of OpenSSH's.
    #[error("it is no private key in OpenSSH's format")]
    NotAKey,
    /// An older format, which OpenSSH still reads.
    #[error("it is a private key in PEM, an older format; ssh-keygen -p -f FILE rewrites it in OpenSSH's")]
    OldFormat,
    /// The public half of a key.
    #[error("it is a public key, and the private one is needed")]
    Public,
    /// A private key that is cut off or damaged.
    #[error("the private key is damaged: {0}")]
    Damaged(String),
    /// The key is encrypted.
    #[error("the private key is encrypted, and needs its passphrase")]
    PassphraseNeeded,
    /// The passphrase does not decrypt the key.
    #[error("the passphrase of the private key is wrong")]
    WrongPassphrase,
    /// A key of a kind that does not sign here.
    #[error("a key of the kind {0} cannot be used here; ssh-ed25519 can")]
    Unsupported(String),
    /// No signature of SSH's.
    #[error("it is no SSH signature, or it is damaged")]
    NotASignature,
    /// A signature that was made for something else.
    #[error("it was signed for {found:?}, and not for {wanted:?}")]
    OtherNamespace {
        /// What it was made for.
        found: String,
        /// What it has to be made for.
        wanted: &'static str,
    },
    /// A signature over other bytes.
    #[error("the signature of {fingerprint} does not fit: what it was made over was changed, or it was")]
    Broken {
        /// Of the key that it names.
        fingerprint: String,
    },
    /// A good signature by somebody who may not.
    #[error("it is signed by {fingerprint}, who is not among the allowed signers")]
    Stranger {
        /// Of the key that signed.
        fingerprint: String,
    },
    /// A good signature by somebody who may, but not for this or not now.
    #[error("it is signed by {fingerprint}, and line {line} does not allow that: {reason}")]
    NotAllowed {
        /// Of the key that signed.
        fingerprint: String,
        /// In the file of allowed signers, from 1.
        line: usize,
        /// Why not.
        reason: String,
    },
    /// A file of allowed signers that cannot be read.
    #[error("line {line} is none of allowed signers: {reason}")]
    Signers {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of allowed signers without an entry.
    #[error("it allows nobody; a line is a name, the kind of a key, and the key: admin@example.net ssh-ed25519 AAAA…")]
    NoSigners,
}

impl SshKey {
    /// Reads a private key as ssh-keygen writes it.
    ///
    /// # Errors
    /// When it is none.
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
            Ok(key) => Self::whole(key),
            Err(Error::AlgorithmUnsupported { algorithm }) => Err(SshError::Unsupported(algorithm.to_string())),
            Err(error) => Err(SshError::Damaged(sanitized(&error))),
        }
    }

    /// True when it has to be unlocked first.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.is_encrypted()
    }

    /// Decrypts it; one that is not encrypted stays as it is.
    ///
    /// # Errors
    /// [`SshError::WrongPassphrase`], or when it is damaged inside.
    pub fn unlock(self, passphrase: &Passphrase) -> Result<Self, SshError> {
        if !self.0.is_encrypted() {
            return Ok(self);
        }
        // bcrypt refuses to work with nothing, which is no fault of the key.
        if passphrase.is_empty() {
            return Err(SshError::WrongPassphrase);
        }
        let key = openssh_key::decrypt(&self.0, passphrase.expose()).map_err(|error| match error {
            Error::AlgorithmUnsupported { algorithm } => SshError::Unsupported(algorithm.to_string()),
            // Two numbers in front are not equal, or the cipher's tag does not fit.
            Error::Crypto => SshError::WrongPassphrase,
            error => SshError::Damaged(sanitized(&error)),
        })?;
        Self::whole(key)
    }

    /// The key, if what its private half signs its public half verifies: an ECDSA key's file has the public one twice, and nothing
    /// else tells that the private one belongs to them. Ed25519's halves the crate has compared; other kinds do not sign here.
    fn whole(key: PrivateKey) -> Result<Self, SshError> {
        let ecdsa = matches!(key.algorithm(), Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 | EcdsaCurve::NistP384 });
        if ecdsa && !key.is_encrypted() {
            let signature = key.sign(TRIAL, HashAlg::Sha512, &[]);
            let fits = signature.and_then(|signature| key.public_key().verify(TRIAL, &[], &signature));
            fits.map_err(|_| SshError::Damaged("its private half does not belong to its public one".to_owned()))?;
        }
        Ok(Self(key))
    }

    /// A detached signature over `message` (OpenSSH `PROTOCOL.sshsig`, SHA-512), as `ssh-keygen -Y sign` makes it. The same
    /// for the same message: Ed25519, and ECDSA by RFC 6979, draw nothing by chance.
    ///
    /// # Errors
    /// When the key is still encrypted, or of a kind that does not sign here: RSA's, which ssh-key 0.6 cannot, and those that
    /// a security key keeps.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<String, SshError> {
        if self.0.is_encrypted() {
            return Err(SshError::PassphraseNeeded);
        }
        let signed = self.0.sign(namespace, HashAlg::Sha512, message);
        let unsupported = |_| SshError::Unsupported(self.0.algorithm().to_string());
        signed.and_then(|signature| signature.to_pem(LineEnding::LF)).map_err(unsupported)
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Its kind, as SSH names it.
    #[must_use]
    pub fn kind(&self) -> String {
        self.0.algorithm().to_string()
    }

    /// As OpenSSH writes it, in the clear: what opens sealed bundles.
    ///
    /// # Errors
    /// When the key is still encrypted.
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

/// A detached signature, as it was found: whether it is any good, [`super::allowed_signers::AllowedSigners::judge`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSignature(pub(super) SshSig);

impl SshSignature {
    /// Reads `-----BEGIN SSH SIGNATURE-----`.
    ///
    /// # Errors
    /// [`SshError::NotASignature`].
    pub fn from_pem(bytes: &[u8]) -> Result<Self, SshError> {
        let signature = SshSig::from_pem(bytes).map_err(|_| SshError::NotASignature)?;
        // Version and lengths are not among what is signed, and the crate lets some wrong ones through: a signature is what
        // would be written like this again.
        let again = signature.to_pem(LineEnding::LF).map_err(|_| SshError::NotASignature)?;
        let given = bytes.trim_ascii().iter().filter(|&&b| b != b'\r');
        let same = signature.version() == 1 && given.eq(again.trim_ascii().as_bytes());
        if same { Ok(Self(signature)) } else { Err(SshError::NotASignature) }
    }

    /// Of the key that it names: `SHA256:…`, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// The kind of that key, as SSH names it.
    #[must_use]
    pub fn kind(&self) -> String {
        self.0.public_key().algorithm().to_string()
    }

    /// Whether it is what that key says of `message`. Nothing about who holds the key.
    ///
    /// # Errors
    /// [`SshError::OtherNamespace`] or [`SshError::Broken`].
    pub fn fits(&self, namespace: &'static str, message: &[u8]) -> Result<(), SshError> {
        if self.0.namespace() != namespace {
            return Err(SshError::OtherNamespace { found: self.0.namespace().to_owned(), wanted: namespace });
        }
        let key = PublicKey::new(self.0.public_key().clone(), "");
        let broken = |_| SshError::Broken { fingerprint: self.fingerprint() };
        key.verify(namespace, message, &self.0).map_err(broken)
    }
}

/// What the crate says, which may repeat what a stranger wrote.
pub(super) fn sanitized(error: &Error) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).collect()
}

/// SSH's patterns: `*` for any number of characters, `?` for one (ssh_config(5), PATTERNS).
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
                // The last star takes one character more.
                Some((behind, from)) => {
                    star = Some((behind, from + 1));
                    (p, t) = (behind, from + 1);
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
    use ssh_key::private::{EcdsaKeypair, Ed25519Keypair, KeypairData};
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
    fn a_signature_is_over_these_bytes_and_no_others() {
        let signed = key(1).sign(NAMESPACE, b"message").expect("signed");
        assert_eq!(signed, key(1).sign(NAMESPACE, b"message").expect("signed"), "the same every time");
        let signature = SshSignature::from_pem(signed.as_bytes()).expect("a signature");
        let fingerprint = key(1).fingerprint();
        assert_eq!(signature.fits(NAMESPACE, b"Message"), Err(SshError::Broken { fingerprint }));
        for at in 0..signed.len() {
            let mut bad = signed.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            if let Ok(signature) = SshSignature::from_pem(&bad) {
                assert!(signature.fits(NAMESPACE, b"message").is_err() || bad == signed.as_bytes(), "byte {at}");
            }
        }
    }

    #[test]
    fn what_is_no_private_key_is_told_apart() {
        assert_eq!(SshKey::from_pem(b"\xff\xfe").expect_err("binary"), SshError::NotAKey);
        assert_eq!(SshKey::from_pem(public(&key(1)).as_bytes()).expect_err("public"), SshError::Public);
        let old = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(SshKey::from_pem(old).expect_err("old"), SshError::OldFormat);
        let pem = key(1).to_pem().expect("in the clear");
        assert!(matches!(SshKey::from_pem(&pem.as_bytes()[..pem.len() / 2]), Err(SshError::Damaged(_))));
        assert_eq!(format!("{:?}", key(1)), format!("SshKey({})", key(1).fingerprint()));
    }

    #[test]
    fn a_key_whose_halves_differ_is_damaged() {
        let read = |keypair: KeypairData| {
            let key = PrivateKey::new(keypair, "").expect("in the clear");
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
    fn patterns_are_ssh_s() {
        for (pattern, text) in [("*", ""), ("a*c", "abbc"), ("a?c", "abc"), ("*.b.*", "a.b.c"), ("**", "x"), ("a", "a")]
        {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*c", "abb"), ("?", ""), ("a", "ab"), ("*.b", "a.c")] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
