//! The rotation of the key that signs service account tokens: its phases, and which keys sign and verify in each.

use base64ct::{Base64UrlUnpadded, Encoding};
use time::OffsetDateTime;

use super::fingerprint::Fingerprint;

/// A phase of the rotation of the token key. The numbers are those of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenPhase {
    /// 0: the new key exists, and no host has it.
    Prepare,
    /// 1: API servers accept tokens of both keys; the old one signs.
    Add,
    /// 2: the new key signs.
    Sign,
    /// 3: API servers accept only tokens of the new key.
    Drop,
}

impl TokenPhase {
    /// All phases, in their order.
    pub const ALL: [Self; 4] = [Self::Prepare, Self::Add, Self::Sign, Self::Drop];

    /// Returns the number of the phase.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Returns the name, as files and JSON have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Add => "add",
            Self::Sign => "sign",
            Self::Drop => "drop",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Returns the phase that follows; `None` if the old key is deleted next.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::ALL.get(usize::from(self.number()) + 1).copied()
    }

    /// Returns true if the rotation can still be aborted: no token is signed by the new key.
    #[must_use]
    pub fn can_abort(self) -> bool {
        self < Self::Sign
    }
}

/// The rotation of the token key that is under way. Keys are named by the SHA-256 of their SubjectPublicKeyInfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRotation {
    /// The phase.
    pub phase: TokenPhase,
    /// When the phase began.
    pub began: OffsetDateTime,
    /// The key that is replaced.
    pub old: Fingerprint,
    /// The key that replaces it.
    pub new: Fingerprint,
}

impl TokenRotation {
    /// Returns the keys whose tokens API servers accept; the signing key comes first.
    ///
    /// API servers publish their keys in this order, so that it shows which one signs.
    #[must_use]
    pub fn accepted(&self) -> Vec<Fingerprint> {
        match self.phase {
            TokenPhase::Prepare => vec![self.old],
            TokenPhase::Add => vec![self.old, self.new],
            TokenPhase::Sign => vec![self.new, self.old],
            TokenPhase::Drop => vec![self.new],
        }
    }
}

/// Returns the id that API servers give a public key, by the SHA-256 of its SubjectPublicKeyInfo (Kubernetes
/// `pkg/serviceaccount`, `keyIDFromPublicKey`).
#[must_use]
pub fn key_id(key: Fingerprint) -> String {
    Base64UrlUnpadded::encode_string(key.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signing_key_is_accepted_and_comes_first() {
        let (old, new) = (Fingerprint::of(b"old"), Fingerprint::of(b"new"));
        let accepted = |phase| {
            let rotation = TokenRotation { phase, began: OffsetDateTime::UNIX_EPOCH, old, new };
            rotation.accepted()
        };
        assert_eq!(TokenPhase::ALL.map(accepted), [vec![old], vec![old, new], vec![new, old], vec![new]]);
        // Each phase accepts what the one before it signs.
        for pair in TokenPhase::ALL.windows(2) {
            assert_eq!(pair[0].next(), Some(pair[1]));
        }
        assert_eq!(TokenPhase::ALL.map(|phase| TokenPhase::parse(phase.as_str())), TokenPhase::ALL.map(Some));
        assert_eq!(key_id(Fingerprint::of(b"")), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
    }
}
