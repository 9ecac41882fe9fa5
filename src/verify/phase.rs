//! The expectations of a run about the phase of a CA's rotation.

use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::observation::Der;
use super::recording_error::{MAX_ADDRESSES, RecordingError, at_most, damaged};
use crate::cluster::profile::CaRole;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::rotation::{Phase, Rotation};

/// The expectations of a run about the phase of a CA's rotation.
#[derive(Debug, Clone)]
pub struct ExpectedPhase {
    /// The role of the CA that is rotated.
    pub role: CaRole,
    /// The phase, the two CAs, and the hosts that present certificates issued by the new CA first.
    pub rotation: Rotation,
    /// The root of the new CA.
    pub new_root: Certificate,
    /// A client certificate of the new CA, or the reason why there is none.
    pub of_new: Result<Identity, String>,
    /// A client certificate of the old CA, or the reason why there is none.
    pub of_old: Result<Identity, String>,
}

/// The part of [`ExpectedPhase`] that the checks need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PhaseFacts {
    role: String,
    phase: String,
    began: i64,
    old: Fingerprint,
    new: Fingerprint,
    new_root: Der,
    canaries: Vec<String>,
}

impl PhaseFacts {
    pub(super) fn of(expected: &ExpectedPhase) -> Self {
        let ExpectedPhase { role, rotation, new_root, .. } = expected;
        Self {
            role: role.name().to_owned(),
            phase: rotation.phase.as_str().to_owned(),
            began: rotation.began.unix_timestamp(),
            old: rotation.old,
            new: rotation.new,
            new_root: Der(new_root.der().to_vec()),
            canaries: rotation.canaries.clone(),
        }
    }

    /// Returns the expectations without client certificates; `None` if they are damaged, which [`Self::check`] reports.
    pub(super) fn to_expected(&self) -> Option<ExpectedPhase> {
        let missing = || Err("a recording has no keys".to_owned());
        Some(ExpectedPhase {
            role: CaRole::ALL.into_iter().find(|role| role.name() == self.role)?,
            rotation: Rotation {
                phase: Phase::parse(&self.phase)?,
                began: time::OffsetDateTime::from_unix_timestamp(self.began).ok()?,
                old: self.old,
                new: self.new,
                canaries: self.canaries.clone(),
                after_sequence: 0,
            },
            new_root: Certificate::from_der(self.new_root.0.clone()).ok()?,
            of_new: missing(),
            of_old: missing(),
        })
    }

    /// Returns the names in it, which are checked like those of hosts.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.canaries.iter().chain([&self.role])
    }

    pub(super) fn check(&self) -> Result<(), RecordingError> {
        at_most("canaries", self.canaries.len(), MAX_ADDRESSES)?;
        self.to_expected().map(|_| ()).ok_or_else(|| damaged("the phase of its rotation cannot be read"))
    }
}
