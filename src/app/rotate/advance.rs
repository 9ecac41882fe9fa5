//! Begins the next phase, if the present one is proven.

use std::path::PathBuf;

use time::{Duration, OffsetDateTime};

use super::error::RotateError;
use super::gate::{self, GateReport};
use super::last_crl;
use super::left::RetiredRoot;
use super::plan::{PhasePlan, Target, plan};
use super::retire::check_left;
use super::start::inconsistent;
use super::state::{self, is_aborting, last_step, not_rotating, proven_since, record, record_proof};
use crate::app::backup::BACKUP_EVENT;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::issue::{self, IssueOptions, IssueReason, PlannedCertificate, Subjects};
use crate::app::observer::Observer;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::issuer::Issuer;
use crate::pki::rotation::{Phase, Rotation};
use crate::pki::trust_bundle::{CaState, TrustBundle};
use crate::store::ca;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::rotation;

/// The options of beginning the next phase.
#[derive(Debug, Clone)]
pub struct NextOptions {
    /// The role.
    pub role: CaRole,
    /// The report of a run of `verify --phase`: the file and its content. `None` to complete what a killed command recorded.
    pub report: Option<(PathBuf, Vec<u8>)>,
    /// Whether to begin before programs must have read their files again.
    pub no_wait: bool,
    /// Whether to keep the key of the old CA when it is retired.
    pub keep_old_key: bool,
    /// Whether the deletion of the old CA's key is confirmed.
    pub confirmed: bool,
    /// Whether to go forward again although the rotation is being aborted.
    pub resume: bool,
}

/// The result of beginning the next phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextReport {
    /// The role.
    pub role: CaRole,
    /// The phase that began, or that would begin, and what has to be done for it.
    pub plan: PhasePlan,
    /// The phase after it.
    pub then: Option<PhasePlan>,
}

/// Returns the plan of the next phase. Changes nothing, and needs no proof.
///
/// # Errors
/// Returns an error if there is no rotation of the role.
pub fn preview(role: CaRole, cluster: &Cluster, env: &Env) -> Result<NextReport, Error> {
    let (_, cas) = directory::cas(&env.layout, cluster)?;
    let Some(rotation) = cas.of(role).rotation() else { return Err(not_rotating(role, &cas, env)?.into()) };
    Ok(report(role, rotation, cluster))
}

fn report(role: CaRole, rotation: &Rotation, cluster: &Cluster) -> NextReport {
    let target = Target::after(rotation.phase, role);
    let then = match target {
        Target::Phase(phase) => Some(plan(role, Target::after(phase, role), &rotation.canaries, cluster)),
        Target::Retire => None,
    };
    NextReport { role, plan: plan(role, target, &rotation.canaries, cluster), then }
}

/// Refuses to go forward while the rotation is being aborted, unless that is wanted (`resume`).
///
/// # Errors
/// Returns [`RotateError::Aborting`], or an error if the CAs or the ledger cannot be read.
pub fn check_forward(role: CaRole, resume: bool, cluster: &Cluster, env: &Env) -> Result<(), Error> {
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    match cas.of(role).rotation() {
        Some(present) if !resume && is_aborting(&ledger, role, present)? => Err(RotateError::Aborting(role).into()),
        _ => Ok(()),
    }
}

/// Returns true if a command that was killed already had the proof of the phase and recorded the next one.
///
/// # Errors
/// Returns an error if the CAs or the ledger cannot be read.
pub fn is_recorded(role: CaRole, cluster: &Cluster, env: &Env) -> Result<bool, Error> {
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    Ok(match cas.of(role).rotation() {
        Some(present) => {
            let target = Target::after(present.phase, role);
            state::is_recorded(&ledger, role, target.as_str(), (present.old, present.new))?
        }
        None => true,
    })
}

/// Returns true if the next step deletes the key of the old CA, unless the options keep it.
///
/// # Errors
/// Returns an error if the CAs cannot be read.
pub fn deletes_key(role: CaRole, cluster: &Cluster, env: &Env) -> Result<bool, Error> {
    let (_, cas) = directory::cas(&env.layout, cluster)?;
    Ok(cas.of(role).rotation().is_some_and(|present| Target::after(present.phase, role) == Target::Retire))
}

/// Begins the next phase, if the present one is proven.
///
/// After a kill, the same command continues without another proof. `old` is the CA that is retired, if it signs
/// its last CRL ([`needs_last_crl`](super::needs_last_crl)).
///
/// # Errors
/// Returns an error if there is no rotation of the role, the phase is not proven or was not proven for long enough, or a
/// file cannot be written.
pub fn next(
    options: &NextOptions,
    old: Option<&Issuer>,
    cluster: &Cluster,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<NextReport, Error> {
    let role = options.role;
    let _lock = directory::lock(env, "rotate-ca next", observer)?;
    let (mut ledger, cas) = directory::cas(&env.layout, cluster)?;
    let trust = cas.of(role);
    let Some(present) = trust.rotation() else {
        return finish_removal(&ledger, role, &cas, (cluster, env));
    };
    let target = Target::after(present.phase, role);
    if !options.resume && is_aborting(&ledger, role, present)? {
        return Err(RotateError::Aborting(role).into());
    }
    let fingerprints = (present.old, present.new);
    if !state::is_recorded(&ledger, role, target.as_str(), fingerprints)? {
        let evidence = evidence(options.report.as_ref(), (role, present), (cluster, env))?;
        check_gate(options, present, evidence, &mut ledger, (cluster, env), observer)?;
        if target == Target::Retire && !options.keep_old_key && !options.confirmed {
            return Err(RotateError::Confirm(role).into());
        }
        if let Some(old) = old.filter(|_| target == Target::Retire) {
            last_crl::sign(old, trust, &mut ledger, env, observer)?;
        }
        record(&mut ledger, role, target.as_str(), fingerprints, &env.audit())?;
    }
    let report = report(role, present, cluster);
    match target {
        Target::Phase(phase) => begin(phase, trust, present, &ledger, env)?,
        Target::Retire => retire(options.keep_old_key, trust, present, env)?,
    }
    Ok(report)
}

/// Removes the files that a killed command left of a rotation that is over.
fn finish_removal(
    ledger: &Ledger,
    role: CaRole,
    cas: &CaSet,
    (cluster, env): (&Cluster, &Env),
) -> Result<NextReport, Error> {
    let is_over = last_step(ledger, role)?.as_deref() == Some(Target::Retire.as_str());
    if !is_over || !files::exists(&env.layout.rotation(role)) {
        return Err(not_rotating(role, cas, env)?.into());
    }
    rotation::remove(&env.layout, role)?;
    Ok(NextReport { role, plan: plan(role, Target::Retire, &[], cluster), then: None })
}

/// Begins a phase: from now on `apply` issues and packs for it.
pub(super) fn begin(
    phase: Phase,
    trust: &TrustBundle,
    present: &Rotation,
    ledger: &Ledger,
    env: &Env,
) -> Result<(), Error> {
    let role = trust.role();
    if phase == Phase::Canary {
        // From this phase on, certificates are replaced, and an abort restores the old ones.
        rotation::save_credentials(&env.layout, role)?;
    }
    let next = Rotation { phase, began: env.now, after_sequence: ledger.last_sequence()?, ..present.clone() };
    let moved = trust.with_states((present.old, present.new), CaState::in_phase(phase));
    let moved = moved.and_then(|trust| trust.rotating(next));
    Ok(ca::write_trust(&env.layout, &moved.map_err(|error| inconsistent(&env.layout, role, error))?)?)
}

/// Deletes the old CA's key, or keeps it under another name, and ends the rotation.
fn retire(keep_old_key: bool, trust: &TrustBundle, present: &Rotation, env: &Env) -> Result<(), Error> {
    let role = trust.role();
    let kept = format!("ca-{}.key", &present.old.to_string()[..16]);
    rotation::adopt_key(&env.layout, role, keep_old_key.then_some(kept.as_str()))?;
    let over = trust.with_states((present.old, present.new), (CaState::Retired, CaState::Active));
    ca::write_trust(&env.layout, &over.map_err(|error| inconsistent(&env.layout, role, error))?)?;
    Ok(rotation::remove(&env.layout, role)?)
}

/// Returns the error of a command that found no need for a proof, if another one began a phase meanwhile.
pub(super) fn completed_by_another() -> RotateError {
    let path = PathBuf::from("the proof of the phase before");
    RotateError::Report { path, why: "another command began this phase meanwhile".to_owned() }
}

/// Reads the report as the proof of the present phase.
///
/// # Errors
/// Returns [`RotateError::Report`], also without a report: another command began the phase.
pub(super) fn evidence(
    report: Option<&(PathBuf, Vec<u8>)>,
    (role, present): (CaRole, &Rotation),
    (cluster, env): (&Cluster, &Env),
) -> Result<GateReport, RotateError> {
    let (path, json) = report.ok_or_else(completed_by_another)?;
    gate::parse(path, json, (role, present), cluster, env.now)
}

/// Refuses the next phase unless the present one is proven, and has been for as long as programs take to read their files.
fn check_gate(
    options: &NextOptions,
    present: &Rotation,
    evidence: GateReport,
    ledger: &mut Ledger,
    (cluster, env): (&Cluster, &Env),
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let (role, phase) = (options.role, present.phase);
    if phase == Phase::Prepare {
        check_prepared((role, present), ledger, (cluster, env), observer)?;
    }
    if Target::after(phase, role) == Target::Retire {
        check_new_key(role, phase, env)?;
    }
    let evidence = prove(evidence, (role, present), ledger, env)?;
    evidence.report_limits(observer);
    if phase >= Phase::Clients {
        let (_, cas) = directory::cas(&env.layout, cluster)?;
        check_left(RetiredRoot::Old, cas.of(role), ledger, (cluster, env))?;
    }
    let wait = plan(role, Target::Phase(phase), &present.canaries, cluster).wait;
    let since = proven_since(ledger, role, present)?.unwrap_or(env.now);
    let until: OffsetDateTime = since + Duration::seconds(wait.into());
    match wait > 0 && !options.no_wait {
        true if env.now < until => Err(RotateError::Wait { phase, until }.into()),
        true if evidence.finished < until => Err(RotateError::OldReport { phase, until }.into()),
        _ => Ok(()),
    }
}

/// Records whether the phase is proven, and returns the proof.
///
/// # Errors
/// Returns [`RotateError::Gate`] with the hosts that are behind, or an error if the ledger cannot be written.
pub(super) fn prove(
    evidence: GateReport,
    (role, present): (CaRole, &Rotation),
    ledger: &mut Ledger,
    env: &Env,
) -> Result<GateReport, Error> {
    match evidence.is_green() {
        true => {
            record_proof(ledger, role, present, None, &env.audit())?;
            Ok(evidence)
        }
        false => {
            let behind = evidence.behind().to_vec();
            record_proof(ledger, role, present, Some(&behind), &env.audit())?;
            Err(RotateError::Gate { phase: present.phase, behind }.into())
        }
    }
}

/// Refuses to go on if the key of the new CA is missing: the backup would lack it, and the old key would stay in its place.
pub(super) fn check_new_key(role: CaRole, phase: Phase, env: &Env) -> Result<(), RotateError> {
    match rotation::has_new_key(&env.layout, role) {
        true => Ok(()),
        false => Err(RotateError::NoNewKey { role, path: env.layout.rotation_key(role), can_abort: phase.can_abort() }),
    }
}

/// Checks what has to be in place before hosts get the new root: a backup of its key, and no certificate that is due soon.
fn check_prepared(
    (role, present): (CaRole, &Rotation),
    ledger: &Ledger,
    (cluster, env): (&Cluster, &Env),
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    check_new_key(role, present.phase, env)?;
    if ledger.last_event(BACKUP_EVENT)?.is_none_or(|at| at < present.began) {
        return Err(RotateError::NoBackup.into());
    }
    let (_, cas) = directory::cas(&env.layout, cluster)?;
    for subjects in
        [Subjects::Masters(cluster.masters.iter().collect()), Subjects::Nodes(cluster.nodes.iter().collect())]
    {
        let options = IssueOptions {
            subjects,
            reissue: false,
            renew_within: Lifetime::parse("30d").ok(),
            skips_unreadable: false,
        };
        let preview = issue::preview(options, cluster, env, observer)?;
        // What expires with its CA would expire at the same time again. Only another CA helps.
        let is_due = |one: &PlannedCertificate| {
            let ca_not_after = cas.of(one.credential.profile.policy().signed_by).active().not_after();
            let is_shorter = |reason: &IssueReason| matches!(reason, IssueReason::Expires { after } if env.now + *after < ca_not_after);
            one.reasons.iter().any(is_shorter)
        };
        let due = preview.certificates().chain(preview.to_request()).find(|one| is_due(one));
        if let Some(due) = due {
            return Err(RotateError::Due(due.credential.to_string()).into());
        }
    }
    Ok(())
}
