//! The state of rotations, and its records in the ledger.

use time::OffsetDateTime;

use super::behind::{Behind, names};
use super::error::RotateError;
use super::plan::{PhasePlan, Target, abort_plan, emergency_plan, plan, remaining};
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::rotation::{Phase, Rotation};
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::ledger::{AuditContext, Ledger};
use crate::store::token_rotation;
use crate::verify::token_keys::TOKEN_ROLE;

/// The kind of the events that record the phases of rotations; their subject is the role.
pub(super) const ROTATED: &str = "rotated";
/// The kind of the events that record whether a phase is proven.
pub(super) const PROVEN: &str = "rotation-proven";
/// The kind of the event that records an emergency; its subject is the role.
pub(super) const EMERGENCY: &str = "rotation-emergency";
/// The texts before the hosts, and before the number of others, in the event of a proof that failed.
const BEHIND: &str = ", behind: ";
const MORE: &str = ", more: ";

/// One of the two CAs of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedCa {
    /// Its subject.
    pub subject: String,
    /// SHA-256 of its certificate.
    pub fingerprint: Fingerprint,
    /// The pin of its root.
    pub pin: Fingerprint,
    /// When it expires.
    pub not_after: OffsetDateTime,
}

impl RotatedCa {
    pub(super) fn of(ca: &CaCertificate) -> Self {
        Self {
            subject: ca.certificate().subject.text.clone(),
            fingerprint: ca.certificate().fingerprint(),
            pin: ca.root().spki_fingerprint(),
            not_after: ca.not_after(),
        }
    }
}

/// A rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationState {
    /// The role.
    pub role: CaRole,
    /// The phase, with its beginning and its canaries.
    pub rotation: Rotation,
    /// The CA that is replaced.
    pub old: RotatedCa,
    /// The CA that replaces it.
    pub new: RotatedCa,
    /// Since when the phase is proven; `None` if it is not.
    pub proven_since: Option<OffsetDateTime>,
    /// The last proof of the phase that failed, unless it is proven.
    pub failed: Option<FailedProof>,
    /// Whether the rotation is being aborted: hosts get back their certificates issued by the old CA.
    pub is_aborting: bool,
    /// The plan of the present phase: what was changed, and what has to be done for it.
    pub present: PhasePlan,
    /// The plans of the phases that follow.
    pub next: Vec<PhasePlan>,
}

/// A proof that failed, as recorded in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedProof {
    /// When these hosts were found to be behind.
    pub at: OffsetDateTime,
    /// The hosts that were behind, at most [`NAMED`] of them.
    pub behind: Vec<String>,
    /// How many more there were.
    pub more: usize,
}

/// The maximum number of hosts that the record of a failed proof names.
pub const NAMED: usize = 100;

/// Returns the rotations that are under way.
///
/// # Errors
/// Returns an error if the CAs or the ledger cannot be read.
pub fn state(cluster: &Cluster, env: &Env) -> Result<Vec<RotationState>, Error> {
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    let mut found = Vec::new();
    for role in CaRole::ALL {
        found.extend(of_trust(cas.of(role), &ledger, cluster)?);
    }
    Ok(found)
}

/// Returns the rotation of one role.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn of_trust(
    trust: &TrustBundle,
    ledger: &Ledger,
    cluster: &Cluster,
) -> Result<Option<RotationState>, StoreError> {
    let role = trust.role();
    let Some(rotation) = trust.rotation() else { return Ok(None) };
    let (Some((old, _)), Some((new, _))) = (trust.find(rotation.old), trust.find(rotation.new)) else {
        return Ok(None);
    };
    Ok(Some(RotationState {
        role,
        rotation: rotation.clone(),
        old: RotatedCa::of(old),
        new: RotatedCa::of(new),
        proven_since: proven_since(ledger, role, rotation)?,
        failed: failed_proof(ledger, role, rotation)?,
        is_aborting: is_aborting(ledger, role, rotation)?,
        present: present(role, rotation, ledger, cluster)?,
        next: remaining(role, rotation, cluster),
    }))
}

/// Returns the plan of the present phase.
fn present(role: CaRole, rotation: &Rotation, ledger: &Ledger, cluster: &Cluster) -> Result<PhasePlan, StoreError> {
    if is_aborting(ledger, role, rotation)? {
        return Ok(abort_plan(role, cluster));
    }
    let began_in_emergency =
        ledger.events_about(EMERGENCY, role.name())?.pop().is_some_and(|(at, _)| at >= rotation.began);
    Ok(match began_in_emergency {
        true => emergency_plan(role, cluster),
        false => plan(role, Target::Phase(rotation.phase), &rotation.canaries, cluster),
    })
}

/// Returns true if the rotation has been in a later phase, and an abort put back what was before.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn is_aborting(ledger: &Ledger, role: CaRole, rotation: &Rotation) -> Result<bool, StoreError> {
    let is_back = is_recorded(ledger, role, Phase::TrustBoth.as_str(), (rotation.old, rotation.new))?;
    Ok(rotation.phase == Phase::TrustBoth && is_back && had_canaries(ledger, role, rotation)?)
}

/// Returns true if the ledger has the phase in which the first certificates issued by the new CA are presented.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn had_canaries(ledger: &Ledger, role: CaRole, rotation: &Rotation) -> Result<bool, StoreError> {
    let canary = detail(Phase::Canary.as_str(), rotation.old, rotation.new);
    Ok(ledger.events_about(ROTATED, role.name())?.iter().any(|(_, text)| *text == canary))
}

/// Returns the text of the event of a phase, or of the end of a rotation.
pub(super) fn detail(phase: &str, old: Fingerprint, new: Fingerprint) -> String {
    format!("{phase}, old {old}, new {new}")
}

/// Records a phase, unless a killed command already did.
pub(super) fn record(
    ledger: &mut Ledger,
    role: CaRole,
    phase: &str,
    (old, new): (Fingerprint, Fingerprint),
    audit: &AuditContext<'_>,
) -> Result<(), StoreError> {
    record_of(ledger, role.name(), phase, (old, new), audit)
}

/// Like [`record`], for any subject that is rotated.
pub(super) fn record_of(
    ledger: &mut Ledger,
    subject: &str,
    phase: &str,
    (old, new): (Fingerprint, Fingerprint),
    audit: &AuditContext<'_>,
) -> Result<(), StoreError> {
    if is_recorded_of(ledger, subject, phase, (old, new))? {
        return Ok(());
    }
    ledger.log_event(ROTATED, subject, &detail(phase, old, new), audit)
}

/// Returns true if a phase is the last one that was recorded.
pub(super) fn is_recorded(
    ledger: &Ledger,
    role: CaRole,
    phase: &str,
    (old, new): (Fingerprint, Fingerprint),
) -> Result<bool, StoreError> {
    is_recorded_of(ledger, role.name(), phase, (old, new))
}

/// Like [`is_recorded`], for any subject that is rotated.
pub(super) fn is_recorded_of(
    ledger: &Ledger,
    subject: &str,
    phase: &str,
    (old, new): (Fingerprint, Fingerprint),
) -> Result<bool, StoreError> {
    let last = ledger.events_about(ROTATED, subject)?.pop();
    Ok(last.is_some_and(|(_, text)| text == detail(phase, old, new)))
}

/// Returns the name of the last recorded step: a phase, `retire` or `abort`.
pub(super) fn last_step(ledger: &Ledger, role: CaRole) -> Result<Option<String>, StoreError> {
    let last = ledger.events_about(ROTATED, role.name())?.pop();
    Ok(last.and_then(|(_, text)| text.split(',').next().map(str::to_owned)))
}

/// Returns the error for a role that is not rotated, which names another one that is.
pub(super) fn not_rotating(role: CaRole, cas: &CaSet, env: &Env) -> Result<RotateError, Error> {
    let other = CaRole::ALL.into_iter().find(|other| cas.of(*other).rotation().is_some()).map(CaRole::name);
    let rotated = match other {
        Some(other) => Some(other),
        None => token_rotation::state(&env.layout)?.map(|_| TOKEN_ROLE),
    };
    Ok(rotated.map_or(RotateError::NotRotating(role), |rotated| RotateError::OtherRole { role, rotated }))
}

/// Records whether the phase is proven now, if that changed, with the hosts that are behind.
pub(super) fn record_proof(
    ledger: &mut Ledger,
    role: CaRole,
    rotation: &Rotation,
    behind: Option<&[Behind]>,
    audit: &AuditContext<'_>,
) -> Result<(), StoreError> {
    let text = match behind {
        None => proof(rotation, true),
        Some(behind) => {
            let mut hosts = names(behind);
            let more = hosts.len().saturating_sub(NAMED);
            hosts.truncate(NAMED);
            format!("{}{BEHIND}{}{MORE}{more}", proof(rotation, false), hosts.join(" "))
        }
    };
    let last = ledger.events_about(PROVEN, role.name())?.pop();
    if last.is_some_and(|(at, last)| at >= rotation.began && last == text) {
        return Ok(());
    }
    ledger.log_event(PROVEN, role.name(), &text, audit)
}

/// Returns the last proof of the phase, if it failed.
fn failed_proof(ledger: &Ledger, role: CaRole, rotation: &Rotation) -> Result<Option<FailedProof>, StoreError> {
    let last = ledger.events_about(PROVEN, role.name())?.pop();
    Ok(last.filter(|(at, _)| *at >= rotation.began).and_then(|(at, text)| {
        let listed = text.strip_prefix(&proof(rotation, false))?.strip_prefix(BEHIND)?;
        let (hosts, more) = listed.split_once(MORE)?;
        let behind = hosts.split(' ').filter(|host| !host.is_empty()).map(str::to_owned).collect();
        Some(FailedProof { at, behind, more: more.parse().ok()? })
    }))
}

/// Returns since when the phase is proven, by what was recorded; `None` if it is not.
pub(super) fn proven_since(
    ledger: &Ledger,
    role: CaRole,
    rotation: &Rotation,
) -> Result<Option<OffsetDateTime>, StoreError> {
    let last = ledger.events_about(PROVEN, role.name())?.pop();
    Ok(last.filter(|(at, text)| *at >= rotation.began && *text == proof(rotation, true)).map(|(at, _)| at))
}

fn proof(rotation: &Rotation, is_proven: bool) -> String {
    let state = if is_proven { "proven" } else { "not proven" };
    format!("{} {state}, new {}", rotation.phase.as_str(), rotation.new)
}
