//! The rotation of the key that signs service account tokens, phase by phase: API servers accept tokens of both keys, then
//! the new one signs, then only its tokens are accepted.
//!
//! A phase only changes the state in `pki/sa-rotation`: `apply` packs the keys of the phase. Every step is recorded in the
//! ledger first, and a killed command is continued by the same command.

mod error;
mod plan;
mod steps;

pub use error::TokenRotationError;
pub use plan::{TokenPhasePlan, TokenTarget, plan};
pub(in crate::app) use steps::of_layout;
pub use steps::{
    TokenAbortReport, TokenNextOptions, TokenNextReport, TokenRotationState, abort, is_recorded, next, preview, start,
    state,
};
