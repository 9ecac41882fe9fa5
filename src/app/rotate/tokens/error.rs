//! Errors of rotating the key that signs service account tokens.

use time::OffsetDateTime;

use crate::app::Remedy;
use crate::app::rotate::behind::{Behind, listed};
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::pki::rotation::Phase;
use crate::pki::token_rotation::TokenPhase;

/// Errors of rotating the key that signs service account tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRotationError {
    /// There is no key pair.
    #[error("there is no key of service accounts in this directory")]
    NoKey,
    /// It is not being rotated.
    #[error("the key of service accounts is not being rotated")]
    NotRotating,
    /// It is being rotated.
    #[error("the key of service accounts is being rotated already, phase {} ({})", _0.number(), _0.as_str())]
    UnderWay(TokenPhase),
    /// A CA is being rotated.
    #[error("the {} is being rotated, phase {} ({})", role.as_str(), phase.number(), phase.as_str())]
    CaUnderWay {
        /// The role of the CA.
        role: CaRole,
        /// Its phase.
        phase: Phase,
    },
    /// The phase is not proven.
    #[error("phase {} ({}) is not proven: {}", phase.number(), phase.as_str(), listed(behind))]
    Gate {
        /// The phase.
        phase: TokenPhase,
        /// The hosts that are behind, and what else is missing.
        behind: Vec<Behind>,
    },
    /// The phase is proven, but others may use keys that they read before.
    #[error("phase {} ({}) is proven; the next one may begin at {}", phase.number(), phase.as_str(), stamp(*until))]
    Wait {
        /// The phase.
        phase: TokenPhase,
        /// The earliest time of the next phase.
        until: OffsetDateTime,
    },
    /// Tokens of the old key may be in use.
    #[error("tokens that the old key signed may be valid until {}", stamp(*until))]
    Tokens {
        /// The time at which the last of them expires.
        until: OffsetDateTime,
    },
    /// There is no backup since the new key was made.
    #[error("there is no backup since the new key was made: it is only here")]
    NoBackup,
    /// The rotation can no longer be aborted.
    #[error("the rotation of the key of service accounts cannot be aborted in phase {} ({})", _0.number(), _0.as_str())]
    TooLate(TokenPhase),
    /// The old key would be deleted.
    #[error("the old key of service accounts would be deleted now")]
    Confirm,
}

impl TokenRotationError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        Some(Remedy::TokenRotation(self.clone()))
    }
}
