//! Replaces a CA whose key was stolen: all phases in one, so that control-plane nodes can lock the attacker out at once.

use super::accounts::{OutdatedAccount, outdated_accounts};
use super::advance::{begin, check_new_key};
use super::error::RotateError;
use super::plan::{PhasePlan, emergency_plan};
use super::state::{EMERGENCY, record};
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::rotation::{Phase, Rotation};
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;

/// What an emergency changes and breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyPlan {
    /// The role.
    pub role: CaRole,
    /// What changes on hosts, and what has to be restarted.
    pub plan: PhasePlan,
    /// The number of certificates that are revoked.
    pub certificates: usize,
    /// The control-plane nodes and nodes that are cut off until they have their bundles.
    pub hosts: (usize, usize),
}

/// The result of beginning an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyReport {
    /// The role.
    pub role: CaRole,
    /// The rotation, which is in its last phase.
    pub rotation: Rotation,
    /// The phase before it; the last phase if a killed command already started it.
    pub from: Phase,
    /// What changes on hosts, and what has to be restarted.
    pub plan: PhasePlan,
    /// The accounts whose kubeconfigs are refused from now on, or trust the root whose key was stolen.
    pub accounts: Vec<OutdatedAccount>,
}

/// Returns what an emergency changes and breaks, with or without a rotation that is under way. Changes nothing.
///
/// # Errors
/// Returns an error if the CAs or the ledger cannot be read.
pub fn plan_emergency(role: CaRole, cluster: &Cluster, env: &Env) -> Result<EmergencyPlan, Error> {
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    let hosts = (cluster.masters.len(), cluster.nodes.len());
    let certificates = signed_by_old(cas.of(role), &ledger, env)?;
    Ok(EmergencyPlan { role, plan: emergency_plan(role, cluster), certificates, hosts })
}

/// Returns the number of valid certificates that were signed by the CA that is being replaced, or would be.
fn signed_by_old(trust: &TrustBundle, ledger: &Ledger, env: &Env) -> Result<usize, StoreError> {
    let active = trust.active().certificate().fingerprint();
    let old = trust.rotation().map_or(active, |rotation| rotation.old);
    let valid = ledger.valid_of_issuer(old, env.now)?.all()?;
    Ok(valid.iter().filter(|one| !one.is_canary()).count())
}

/// Begins the last phase of a rotation without any proof: hosts get only the new root, and new certificates.
///
/// A host stops trusting what the old root signed as soon as it has its new bundle. After a kill, the same command continues.
///
/// # Errors
/// Returns [`RotateError::NotRotating`], or an error if a file cannot be written.
pub fn emergency(
    role: CaRole,
    cluster: &Cluster,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<EmergencyReport, Error> {
    let _lock = directory::lock(env, "rotate-ca --emergency", observer)?;
    let (mut ledger, cas) = directory::cas(&env.layout, cluster)?;
    let trust = cas.of(role);
    let present = trust.rotation().ok_or(RotateError::NotRotating(role))?;
    let from = present.phase;
    // Without the key, all hosts would be cut off, and none could get new certificates.
    check_new_key(role, from, env)?;
    if from != Phase::DropOld {
        record(&mut ledger, role, Phase::DropOld.as_str(), (present.old, present.new), &env.audit())?;
        ledger.log_event(EMERGENCY, role.name(), &format!("from {}", from.as_str()), &env.audit())?;
        begin(Phase::DropOld, trust, present, &ledger, env)?;
    }
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    let trust = cas.of(role);
    let rotation = trust.rotation().ok_or(RotateError::NotRotating(role))?.clone();
    let accounts = match role {
        CaRole::Cluster => outdated_accounts(trust, &ledger, &env.layout, env.now)?,
        CaRole::Etcd | CaRole::FrontProxy => Vec::new(),
    };
    Ok(EmergencyReport { role, rotation, from, plan: emergency_plan(role, cluster), accounts })
}
