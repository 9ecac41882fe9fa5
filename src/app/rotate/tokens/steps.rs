//! The steps of the rotation of the token key.

use std::path::PathBuf;

use time::{Duration, OffsetDateTime};

use super::error::TokenRotationError;
use super::plan::{REQUIRED, TokenPhasePlan, TokenTarget, plan, remaining};
use crate::app::backup::BACKUP_EVENT;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::issue::IssuanceError;
use crate::app::observer::Observer;
use crate::app::rotate::advance::completed_by_another;
use crate::app::rotate::gate::{Expectation, GateReport, parse_for};
use crate::app::rotate::sockets::Sockets;
use crate::app::rotate::state::{PROVEN, is_recorded_of, record_of};
use crate::cluster::spec::Cluster;
use crate::pki::issuer::IssueError;
use crate::pki::service_account_key::ServiceAccountKey;
use crate::pki::token_rotation::{TokenPhase, TokenRotation};
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::service_account::{self, KeyPairState};
use crate::store::token_rotation;
use crate::verify::token_keys::TOKEN_ROLE;

use crate::cluster::profile::CaRole;

/// The rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRotationState {
    /// The phase, and both keys.
    pub rotation: TokenRotation,
    /// Since when the phase is proven; `None` if it is not.
    pub proven_since: Option<OffsetDateTime>,
    /// The plan of the present phase.
    pub present: TokenPhasePlan,
    /// The plans of the phases that follow.
    pub next: Vec<TokenPhasePlan>,
}

impl TokenRotationState {
    fn of(rotation: TokenRotation, proven_since: Option<OffsetDateTime>, cluster: &Cluster) -> Self {
        let present = plan(TokenTarget::Phase(rotation.phase), cluster);
        let next = remaining(rotation.phase, cluster);
        Self { rotation, proven_since, present, next }
    }
}

/// The options of beginning the next phase.
#[derive(Debug, Clone)]
pub struct TokenNextOptions {
    /// The report of a run of `verify --phase`: the file and its content.
    pub report: Option<(PathBuf, Vec<u8>)>,
    /// Whether to begin before clients must have dropped the keys that they cached.
    pub no_wait: bool,
    /// Whether no token of the old key is in use any more.
    pub tokens_replaced: bool,
    /// Whether to keep the old key when it is retired.
    pub keep_old_key: bool,
    /// Whether the deletion of the old key is confirmed.
    pub confirmed: bool,
}

/// The result of beginning the next phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenNextReport {
    /// The phase that began, or that would begin.
    pub plan: TokenPhasePlan,
    /// The phase after it.
    pub then: Option<TokenPhasePlan>,
}

/// The result of aborting a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAbortReport {
    /// The phase in which it was aborted.
    pub phase: TokenPhase,
    /// Whether hosts need bundles again.
    pub needs_delivery: bool,
}

fn under_way(layout: &Layout) -> Result<TokenRotation, Error> {
    token_rotation::state(layout)?.ok_or_else(|| TokenRotationError::NotRotating.into())
}

/// Makes the new key, and keeps it beside the old one. No host gets it before the next phase.
///
/// # Errors
/// Returns an error if a rotation is under way, unless it is a CA's that can no longer be aborted, there is no key, or a file
/// cannot be written.
pub fn start(cluster: &Cluster, env: &Env, observer: &mut dyn Observer) -> Result<TokenRotationState, Error> {
    let _lock = directory::lock(env, "rotate-ca start", observer)?;
    if let Some(rotation) = token_rotation::state(&env.layout)? {
        return Err(TokenRotationError::UnderWay(rotation.phase).into());
    }
    for role in CaRole::ALL {
        // A rotation that cannot be aborted, as in an emergency, does not stand in the way of replacing a key that was stolen, too.
        if let Some(rotation) = ca::trust(&env.layout, role)?.rotation().filter(|one| one.phase.can_abort()) {
            return Err(TokenRotationError::CaUnderWay { role, phase: rotation.phase }.into());
        }
    }
    let (mut ledger, _) = directory::cas(&env.layout, cluster)?;
    let old = match service_account::read(&env.layout).map_err(IssuanceError::ServiceAccountKey)? {
        KeyPairState::Complete(key) => key.fingerprint(),
        KeyPairState::Missing | KeyPairState::PrivateKeyOnly(_) => return Err(TokenRotationError::NoKey.into()),
    };
    let key = ServiceAccountKey::generate(cluster.keys).map_err(IssueError::Key)?;
    let rotation = TokenRotation { phase: TokenPhase::Prepare, began: env.now, old, new: key.fingerprint() };
    record_of(&mut ledger, TOKEN_ROLE, rotation.phase.as_str(), (rotation.old, rotation.new), &env.audit())?;
    token_rotation::create(&env.layout, &key, &rotation)?;
    Ok(TokenRotationState::of(rotation, None, cluster))
}

/// Returns the rotation that is under way; `None` if there is none.
///
/// # Errors
/// Returns an error if its state or the ledger cannot be read.
pub fn state(cluster: &Cluster, env: &Env) -> Result<Option<TokenRotationState>, Error> {
    match token_rotation::state(&env.layout)? {
        Some(_) => Ok(of_layout(&env.layout, &directory::ledger(&env.layout)?, cluster)?),
        None => Ok(None),
    }
}

/// Like [`state`], with a ledger that is open.
///
/// # Errors
/// Returns an error if the state or the ledger cannot be read.
pub(in crate::app) fn of_layout(
    layout: &Layout,
    ledger: &Ledger,
    cluster: &Cluster,
) -> Result<Option<TokenRotationState>, StoreError> {
    let Some(rotation) = token_rotation::state(layout)? else { return Ok(None) };
    let proven_since = proven_since(ledger, &rotation)?;
    Ok(Some(TokenRotationState::of(rotation, proven_since, cluster)))
}

/// Returns the plan of the next phase. Changes nothing, and needs no proof.
///
/// # Errors
/// Returns [`TokenRotationError::NotRotating`], or an error if the state cannot be read.
pub fn preview(cluster: &Cluster, env: &Env) -> Result<TokenNextReport, Error> {
    Ok(report(under_way(&env.layout)?.phase, cluster))
}

fn report(present: TokenPhase, cluster: &Cluster) -> TokenNextReport {
    let target = TokenTarget::after(present);
    let then = match target {
        TokenTarget::Phase(phase) => Some(plan(TokenTarget::after(phase), cluster)),
        TokenTarget::Retire => None,
    };
    TokenNextReport { plan: plan(target, cluster), then }
}

/// Returns true if a command that was killed already had the proof of the phase and recorded the next one.
///
/// # Errors
/// Returns [`TokenRotationError::NotRotating`], or an error if the state or the ledger cannot be read.
pub fn is_recorded(env: &Env) -> Result<bool, Error> {
    let rotation = under_way(&env.layout)?;
    let target = TokenTarget::after(rotation.phase);
    let ledger = directory::ledger(&env.layout)?;
    Ok(is_recorded_of(&ledger, TOKEN_ROLE, target.as_str(), (rotation.old, rotation.new))?)
}

/// Begins the next phase, if the present one is proven.
///
/// After a kill, the same command continues without another proof.
///
/// # Errors
/// Returns an error if there is no rotation, the phase is not proven or was not proven for long enough, or a file cannot
/// be written.
pub fn next(
    options: &TokenNextOptions,
    cluster: &Cluster,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<TokenNextReport, Error> {
    let _lock = directory::lock(env, "rotate-ca next", observer)?;
    let (mut ledger, _) = directory::cas(&env.layout, cluster)?;
    let present = under_way(&env.layout)?;
    let target = TokenTarget::after(present.phase);
    let fingerprints = (present.old, present.new);
    if !is_recorded_of(&ledger, TOKEN_ROLE, target.as_str(), fingerprints)? {
        if options.report.is_none() {
            return Err(completed_by_another().into());
        }
        check_gate(options, &present, &mut ledger, (cluster, env), observer)?;
        if target == TokenTarget::Retire && !options.keep_old_key && !options.confirmed {
            return Err(TokenRotationError::Confirm.into());
        }
        record_of(&mut ledger, TOKEN_ROLE, target.as_str(), fingerprints, &env.audit())?;
    }
    match target {
        TokenTarget::Phase(phase) => {
            let next = TokenRotation { phase, began: env.now, ..present.clone() };
            token_rotation::write(&env.layout, &next)?;
        }
        TokenTarget::Retire => retire(options.keep_old_key, &present, env)?,
    }
    Ok(report(present.phase, cluster))
}

/// Deletes the old key, or keeps it under another name, and ends the rotation.
fn retire(keep_old_key: bool, present: &TokenRotation, env: &Env) -> Result<(), Error> {
    let new = service_account::new_key(&env.layout, present).map_err(IssuanceError::ServiceAccountKey)?;
    if keep_old_key {
        let kept = format!("sa-{}.key", &present.old.to_string()[..16]);
        token_rotation::keep(&env.layout, &kept, &new)?;
    }
    token_rotation::adopt(&env.layout, &new)?;
    Ok(token_rotation::remove(&env.layout)?)
}

/// Refuses the next phase unless the present one is proven, and was proven for long enough.
fn check_gate(
    options: &TokenNextOptions,
    present: &TokenRotation,
    ledger: &mut Ledger,
    (cluster, env): (&Cluster, &Env),
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let phase = present.phase;
    if phase == TokenPhase::Prepare && ledger.last_event(BACKUP_EVENT)?.is_none_or(|at| at < present.began) {
        return Err(TokenRotationError::NoBackup.into());
    }
    let evidence = prove(options.report.as_ref(), present, ledger, (cluster, env))?;
    evidence.report_limits(observer);
    let wait = plan(TokenTarget::Phase(phase), cluster).wait;
    let until: OffsetDateTime = proven_since(ledger, present)?.unwrap_or(env.now) + Duration::seconds(wait.into());
    if wait == 0 || (env.now >= until && evidence.finished >= until) {
        return Ok(());
    }
    match phase {
        TokenPhase::Sign if options.tokens_replaced => Ok(()),
        TokenPhase::Sign => Err(TokenRotationError::Tokens { until }.into()),
        _ if options.no_wait => Ok(()),
        _ => Err(TokenRotationError::Wait { phase, until }.into()),
    }
}

/// Records whether the phase is proven, and returns the proof.
fn prove(
    report: Option<&(PathBuf, Vec<u8>)>,
    present: &TokenRotation,
    ledger: &mut Ledger,
    (cluster, env): (&Cluster, &Env),
) -> Result<GateReport, Error> {
    let sockets = Sockets::of(cluster);
    let at_all = |id: &'static str| sockets.of_check(id).map(move |socket| socket.requires(id));
    let expectation = Expectation {
        role: TOKEN_ROLE,
        phase: present.phase.as_str(),
        began: present.began,
        new: present.new,
        required: REQUIRED.into_iter().flat_map(at_all).collect(),
        ordinary: sockets.ordinary(false),
    };
    let evidence = report.map(|(path, json)| parse_for(path, json, &expectation, cluster, env.now)).transpose()?;
    let is_green = evidence.as_ref().is_some_and(GateReport::is_green);
    if proven_since(ledger, present)?.is_some() != is_green {
        ledger.log_event(PROVEN, TOKEN_ROLE, &proof(present, is_green), &env.audit())?;
    }
    match evidence {
        Some(evidence) if is_green => Ok(evidence),
        red => {
            let behind = red.map(|red| red.behind().to_vec()).unwrap_or_default();
            Err(TokenRotationError::Gate { phase: present.phase, behind }.into())
        }
    }
}

fn proven_since(ledger: &Ledger, rotation: &TokenRotation) -> Result<Option<OffsetDateTime>, StoreError> {
    let last = ledger.events_about(PROVEN, TOKEN_ROLE)?.pop();
    Ok(last.filter(|(at, text)| *at >= rotation.began && *text == proof(rotation, true)).map(|(at, _)| at))
}

fn proof(rotation: &TokenRotation, is_proven: bool) -> String {
    let state = if is_proven { "proven" } else { "not proven" };
    format!("{} {state}, new {}", rotation.phase.as_str(), rotation.new)
}

/// Aborts a rotation before the new key signs. The new key is deleted.
///
/// # Errors
/// Returns [`TokenRotationError::NotRotating`] or [`TokenRotationError::TooLate`], or an error if a file cannot be written.
pub fn abort(cluster: &Cluster, env: &Env, observer: &mut dyn Observer) -> Result<TokenAbortReport, Error> {
    let _lock = directory::lock(env, "rotate-ca abort", observer)?;
    let (mut ledger, _) = directory::cas(&env.layout, cluster)?;
    let present = under_way(&env.layout)?;
    if !present.phase.can_abort() {
        return Err(TokenRotationError::TooLate(present.phase).into());
    }
    record_of(&mut ledger, TOKEN_ROLE, "abort", (present.old, present.new), &env.audit())?;
    files::sweep(&env.layout.pki())?;
    token_rotation::remove(&env.layout)?;
    Ok(TokenAbortReport { phase: present.phase, needs_delivery: present.phase > TokenPhase::Prepare })
}
