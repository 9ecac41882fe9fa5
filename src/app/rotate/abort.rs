//! Goes back, before clients have certificates issued by the new CA: first to certificates issued by the old CA, then to trusting only
//! the old root.

use std::path::PathBuf;

use super::advance::{evidence, prove};
use super::error::RotateError;
use super::handover;
use super::left::RetiredRoot;
use super::retire::check_left;
use super::start::inconsistent;
use super::state::{had_canaries, is_aborting, last_step, not_rotating, record};
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::certificate::Certificate;
use crate::pki::rotation::{Phase, Rotation};
use crate::pki::trust_bundle::CaState;
use crate::store::ca;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::rotation;

/// The name of the step in the ledger.
const ABORT: &str = "abort";

/// The result of aborting a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbortReport {
    /// The role.
    pub role: CaRole,
    /// The phase in which it was aborted; `None` if a killed command had done all but remove its files.
    pub phase: Option<Phase>,
    /// The folders of credentials below `pki` that were put back.
    pub restored: Vec<String>,
    /// Whether the rotation is over. Otherwise hosts get back their certificates issued by the old CA, and still trust both roots.
    pub is_over: bool,
    /// Whether hosts need bundles again.
    pub needs_delivery: bool,
}

/// Returns true if an abort needs the proof that hosts no longer present certificates issued by the new CA.
///
/// # Errors
/// Returns an error if the CAs cannot be read.
pub fn abort_needs_proof(role: CaRole, cluster: &Cluster, env: &Env) -> Result<bool, Error> {
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    match cas.of(role).rotation() {
        Some(present) => is_going_back(present, role, &ledger, env),
        None => Ok(false),
    }
}

/// Returns true if the rotation is in the phase to which an abort goes back, and hosts may have had certificates of the new CA.
///
/// The saved certificates may be lost, and a ledger that was made anew has no phases.
fn is_going_back(present: &Rotation, role: CaRole, ledger: &Ledger, env: &Env) -> Result<bool, Error> {
    let had_new = || Ok(rotation::has_saved(&env.layout, role) || is_aborting(ledger, role, present)?);
    if present.phase == Phase::TrustBoth { had_new() } else { Ok(false) }
}

/// Aborts a rotation.
///
/// If hosts may have certificates issued by the new CA, those issued by the old CA are restored, and hosts still trust both roots: a
/// host that trusted only the old root would reject the others. After that, and in earlier phases, the new CA is retired
/// and its key deleted.
///
/// # Errors
/// Returns [`RotateError::NotRotating`], [`RotateError::TooLate`], [`RotateError::Gate`] or [`RotateError::Left`], or an error if a file cannot be
/// written.
pub fn abort(
    role: CaRole,
    report: Option<&(PathBuf, Vec<u8>)>,
    cluster: &Cluster,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<AbortReport, Error> {
    let _lock = directory::lock(env, "rotate-ca abort", observer)?;
    let (mut ledger, cas) = directory::cas(&env.layout, cluster)?;
    let trust = cas.of(role);
    let Some(present) = trust.rotation() else {
        if files::exists(&env.layout.rotation(role)) && last_step(&ledger, role)?.as_deref() == Some(ABORT) {
            rotation::remove(&env.layout, role)?;
            return Ok(AbortReport { role, phase: None, restored: Vec::new(), is_over: true, needs_delivery: true });
        }
        return Err(not_rotating(role, &cas, env)?.into());
    };
    let (phase, fingerprints) = (present.phase, (present.old, present.new));
    if !phase.can_abort() {
        return Err(RotateError::TooLate { role, phase }.into());
    }
    let inconsistent = |error| inconsistent(&env.layout, role, error);
    if phase.new_ca_signs() {
        // A ledger that was made anew lacks the phase, by which later commands know that this is an abort.
        if !had_canaries(&ledger, role, present)? {
            record(&mut ledger, role, Phase::Canary.as_str(), fingerprints, &env.audit())?;
        }
        record(&mut ledger, role, Phase::TrustBoth.as_str(), fingerprints, &env.audit())?;
        let new = trust.find(present.new).map(|(ca, _)| ca.certificate().clone());
        let is_new = |leaf: &Certificate| new.as_ref().is_some_and(|new| leaf.is_signed_by(new));
        let restored = rotation::restore_credentials(&env.layout, role, &is_new)?;
        let back = Rotation { phase: Phase::TrustBoth, began: env.now, ..present.clone() };
        let moved = trust.with_states(fingerprints, CaState::in_phase(Phase::TrustBoth));
        let moved = moved.and_then(|trust| trust.rotating(back)).map_err(inconsistent)?;
        ca::write_trust(&env.layout, &moved)?;
        return Ok(AbortReport { role, phase: Some(phase), restored, is_over: false, needs_delivery: true });
    }
    let is_begun = last_step(&ledger, role)?.as_deref() == Some(ABORT);
    if !is_begun && is_going_back(present, role, &ledger, env)? {
        let evidence = evidence(report, (role, present), (cluster, env))?;
        prove(evidence, (role, present), &mut ledger, env)?.report_limits(observer);
        check_left(RetiredRoot::New, trust, &ledger, (cluster, env))?;
    }
    record(&mut ledger, role, ABORT, fingerprints, &env.audit())?;
    let before = trust.with_states(fingerprints, (CaState::Active, CaState::Retired)).map_err(inconsistent)?;
    let root_of_new = trust.find(present.new).map(|(ca, _)| ca.root().fingerprint());
    handover::forget(&env.layout, role, root_of_new)?;
    ca::write_trust(&env.layout, &before)?;
    rotation::remove(&env.layout, role)?;
    let needs_delivery = phase.trusts_new();
    Ok(AbortReport { role, phase: Some(phase), restored: Vec::new(), is_over: true, needs_delivery })
}
