//! Assembles the target that a cluster directory describes: all hosts, with the credentials in the directory.

use super::assembled::narrow;
use super::error::{TargetError, VerifyError};
use super::options::{ProvenRotation, TargetOptions};
use crate::app::{self, Error};
use crate::cluster::etcd;
use crate::cluster::profile::{CaRole, CertificateSpec, Profile};
use crate::cluster::spec::Cluster;
use crate::store::ca;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::layout::Layout;
use crate::store::rotation::{self, CanaryOf};
use crate::store::token_rotation;
use crate::verify::phase::ExpectedPhase;
use crate::verify::target::{EtcdMembers, Identity, KnownCredential, Peer, Target};
use crate::verify::token_keys::{ExpectedTokenKeys, TOKEN_ROLE};

/// Returns the target, with what the phase of the rotation requires if `options.phase` is set.
///
/// # Errors
/// Returns an error if the cluster file or the CAs' certificates cannot be read, or a node or the rotation does not exist.
pub(super) fn target(layout: &Layout, options: &TargetOptions) -> Result<Target, Error> {
    let cluster = app::directory::cluster(layout)?;
    let trust = ca::trust(layout, CaRole::Cluster)?;
    let roots = trust.anchors().into_iter().cloned().collect();
    let mut target = Target::of(&cluster, roots, |spec: &CertificateSpec| stored(spec, layout));
    narrow(&mut target, &options.nodes).map_err(VerifyError::Target)?;
    if let Some(proven) = options.phase {
        add_phase(&mut target, proven, &cluster, layout)?;
    }
    Ok(target)
}

/// Adds what the phase of a rotation requires. Others that are under way require what they would without `--phase`.
///
/// # Errors
/// Returns [`TargetError::NoRotation`], [`TargetError::NotRotating`] or [`TargetError::SeveralRotations`], or an error if the
/// state of a rotation cannot be read.
fn add_phase(target: &mut Target, proven: ProvenRotation, cluster: &Cluster, layout: &Layout) -> Result<(), Error> {
    let is_proven = |role| matches!(proven, ProvenRotation::Only) || proven == ProvenRotation::Ca(role);
    let tokens = token_keys(layout)?.filter(|_| matches!(proven, ProvenRotation::Only | ProvenRotation::TokenKey));
    let mut phases = Vec::new();
    for role in CaRole::ALL.into_iter().filter(|role| is_proven(*role)) {
        phases.extend(phase(role, layout)?);
    }
    let of_cas = phases.iter().map(|phase| phase.role.name());
    let roles: Vec<&str> = of_cas.chain(tokens.iter().map(|_| TOKEN_ROLE)).collect();
    if roles.len() > 1 {
        return Err(VerifyError::Target(TargetError::SeveralRotations(roles)).into());
    }
    if roles.is_empty() {
        let error = match proven {
            ProvenRotation::Only => TargetError::NoRotation,
            ProvenRotation::Ca(role) => TargetError::NotRotating(role.name()),
            ProvenRotation::TokenKey => TargetError::NotRotating(TOKEN_ROLE),
        };
        return Err(VerifyError::Target(error).into());
    }
    target.token_keys = tokens;
    target.phase = phases.pop();
    if target.phase.as_ref().is_some_and(|phase| phase.role == CaRole::Etcd) {
        target.etcd = Some(etcd_members(cluster, layout)?);
    }
    Ok(())
}

/// Returns what the phase of a CA's rotation requires; `None` if it is not under way.
///
/// # Errors
/// Returns an error if the CA's certificates cannot be read.
fn phase(role: CaRole, layout: &Layout) -> Result<Option<ExpectedPhase>, Error> {
    let trust = ca::trust(layout, role)?;
    let Some(rotation) = trust.rotation() else { return Ok(None) };
    let Some((new, _)) = trust.find(rotation.new) else { return Ok(None) };
    let canary = |of| match rotation::canary(layout, role, of) {
        Some(canary) => Identity::of(&canary).map_err(|error| error.to_string()),
        None => Err("the rotation's client certificate is not in the directory".to_owned()),
    };
    Ok(Some(ExpectedPhase {
        role,
        rotation: rotation.clone(),
        new_root: new.root().clone(),
        of_new: canary(CanaryOf::New),
        of_old: canary(CanaryOf::Old),
    }))
}

/// Returns the keys of service accounts that the phase of their rotation requires; `None` if it is not under way.
///
/// # Errors
/// Returns an error if the state of the rotation cannot be read.
fn token_keys(layout: &Layout) -> Result<Option<ExpectedTokenKeys>, Error> {
    Ok(token_rotation::state(layout)?.as_ref().map(ExpectedTokenKeys::of))
}

/// Returns the members of etcd, with the certificates that were issued last for them.
///
/// # Errors
/// Returns an error if the CAs' certificates cannot be read.
fn etcd_members(cluster: &Cluster, layout: &Layout) -> Result<EtcdMembers, Error> {
    let trust = ca::trust(layout, CaRole::Etcd)?;
    let mut sockets = Vec::new();
    for master in &cluster.masters {
        for (profile, port) in [(Profile::EtcdServer, etcd::CLIENT_PORT), (Profile::EtcdPeer, etcd::PEER_PORT)] {
            let spec = cluster.master_specs(master).into_iter().find(|spec| spec.profile == profile);
            let issued = spec.and_then(|spec| stored(&spec, layout).issued);
            sockets.push(Peer { issued, ..Peer::at(master.name.to_string(), etcd::member_address(master), port) });
        }
    }
    Ok(EtcdMembers { roots: trust.anchors().into_iter().cloned().collect(), sockets })
}

fn stored(spec: &CertificateSpec, layout: &Layout) -> KnownCredential {
    let stored = match credentials::read(layout, spec) {
        Ok(stored) => stored,
        Err(CredentialProblem::NotThere) => {
            let missing = format!("this directory has no {} of it", spec.policy().name);
            return KnownCredential { missing: Some(missing), ..KnownCredential::default() };
        }
        Err(CredentialProblem::Missing(path)) => {
            // The key may have been deleted on purpose. The certificate is compared with what the host presents anyway.
            let certificate = credentials::read_certificate(layout, spec).ok();
            let missing = match &certificate {
                Some(_) => format!("its key is not in this directory ( {} ): deleted, or lost", path.display()),
                None => CredentialProblem::Missing(path).to_string(),
            };
            let issued = certificate.map(|certificate| certificate.fingerprint());
            return KnownCredential { issued, identity: None, missing: Some(missing) };
        }
        Err(problem) => return KnownCredential { missing: Some(problem.to_string()), ..KnownCredential::default() },
    };
    let issued = Some(stored.credential.certificate.fingerprint());
    match Identity::of(&stored.credential) {
        Ok(identity) => KnownCredential { issued, identity: Some(identity), missing: None },
        Err(error) => KnownCredential { issued, identity: None, missing: Some(error.to_string()) },
    }
}
