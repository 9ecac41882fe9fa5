//! The rotations that are under way, of CAs and of the key of service accounts, as a status has them.

use time::OffsetDateTime;

use crate::app::rotate::tokens::TokenRotationState;
use crate::app::rotate::{FailedProof, RotationState};
use crate::pki::rotation::Phase;
use crate::pki::token_rotation::{TokenPhase, key_id};
use crate::verify::token_keys::TOKEN_ROLE;

/// The phase of a rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationSummary {
    /// What is rotated, as `--role` names it.
    pub role: &'static str,
    /// What is rotated, in words.
    pub title: &'static str,
    /// The number and the name of the phase.
    pub phase: (u8, &'static str),
    /// The numbers and the names of all phases, in their order; the one that ends the rotation is not among them.
    pub phases: Vec<(u8, &'static str)>,
    /// The number of the phase that ends the rotation.
    pub last: u8,
    /// When the phase began.
    pub began: OffsetDateTime,
    /// Since when it is proven; `None` if it is not.
    pub proven_since: Option<OffsetDateTime>,
    /// The last proof that failed, unless it is proven.
    pub failed: Option<FailedProof>,
    /// Whether the rotation is being aborted.
    pub is_aborting: bool,
    /// What is replaced: the subject of a CA, or the id of a key.
    pub old: String,
    /// What replaces it.
    pub new: String,
}

impl From<&RotationState> for RotationSummary {
    fn from(state: &RotationState) -> Self {
        let named = |phase: Phase| (phase.number(), phase.as_str());
        Self {
            role: state.role.name(),
            title: state.role.as_str(),
            phase: named(state.rotation.phase),
            phases: Phase::of_role(state.role).iter().copied().map(named).collect(),
            last: Phase::DropOld.number() + 1,
            began: state.rotation.began,
            proven_since: state.proven_since,
            failed: state.failed.clone(),
            is_aborting: state.is_aborting,
            old: state.old.subject.clone(),
            new: state.new.subject.clone(),
        }
    }
}

impl From<&TokenRotationState> for RotationSummary {
    fn from(state: &TokenRotationState) -> Self {
        let named = |phase: TokenPhase| (phase.number(), phase.as_str());
        Self {
            role: TOKEN_ROLE,
            title: "key of service accounts",
            phase: named(state.rotation.phase),
            phases: TokenPhase::ALL.map(named).to_vec(),
            last: TokenPhase::Drop.number() + 1,
            began: state.rotation.began,
            proven_since: state.proven_since,
            // The hosts that are behind are not recorded.
            failed: None,
            is_aborting: false,
            old: key_id(state.rotation.old),
            new: key_id(state.rotation.new),
        }
    }
}
