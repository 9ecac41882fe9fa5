//! What a run expects of the keys of service accounts while their key is rotated.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::pki::fingerprint::Fingerprint;
use crate::pki::token_rotation::{TokenPhase, TokenRotation, key_id};

/// The role of the token key, as commands and reports name it.
pub const TOKEN_ROLE: &str = "service-account";

/// What a run expects of the keys of service accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedTokenKeys {
    /// The phase.
    pub phase: String,
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// SHA-256 of the public key that is replaced.
    pub old: Fingerprint,
    /// SHA-256 of the public key that replaces it.
    pub new: Fingerprint,
}

impl ExpectedTokenKeys {
    /// Returns the expectations of a phase.
    #[must_use]
    pub fn of(rotation: &TokenRotation) -> Self {
        let (phase, began) = (rotation.phase.as_str().to_owned(), rotation.began.unix_timestamp());
        Self { phase, began, old: rotation.old, new: rotation.new }
    }

    /// Returns the rotation; `None` if a recording is damaged.
    #[must_use]
    pub fn rotation(&self) -> Option<TokenRotation> {
        Some(TokenRotation {
            phase: TokenPhase::parse(&self.phase)?,
            began: OffsetDateTime::from_unix_timestamp(self.began).ok()?,
            old: self.old,
            new: self.new,
        })
    }

    /// Returns the ids of the keys that API servers publish, in their order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.rotation().map(|rotation| rotation.accepted().into_iter().map(key_id).collect()).unwrap_or_default()
    }
}
