//! Assembles the target that a cluster directory describes: all hosts, with the credentials in the directory.

use super::error::{TargetError, VerifyError};
use crate::app::Error;
use crate::cluster::profile::{CaRole, CertificateSpec};
use crate::cluster::spec::Cluster;
use crate::store::ca;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::layout::Layout;
use crate::store::rotation::{self, CanaryOf};
use crate::verify::phase::ExpectedPhase;
use crate::verify::target::{Identity, KnownCredential, Target};

/// Returns the target.
///
/// # Errors
/// Returns an error if the CAs' certificates cannot be read.
pub(super) fn target(cluster: &Cluster, layout: &Layout) -> Result<Target, Error> {
    let trust = ca::trust(layout, CaRole::Cluster)?;
    let roots = trust.anchors().into_iter().cloned().collect();
    Ok(Target::of(cluster, roots, |spec: &CertificateSpec| stored(spec, layout)))
}

/// Returns what the phase of the rotation that is under way requires.
///
/// # Errors
/// Returns [`TargetError::NoRotation`] if none is, or an error if the CAs' certificates cannot be read.
pub(super) fn phase(layout: &Layout) -> Result<ExpectedPhase, Error> {
    for role in CaRole::ALL {
        let trust = ca::trust(layout, role)?;
        let Some(rotation) = trust.rotation() else { continue };
        let Some((new, _)) = trust.find(rotation.new) else { continue };
        let canary = |of| match rotation::canary(layout, role, of) {
            Some(canary) => Identity::of(&canary).map_err(|error| error.to_string()),
            None => Err("the rotation's client certificate is not in the directory".to_owned()),
        };
        return Ok(ExpectedPhase {
            role: role.name().to_owned(),
            rotation: rotation.clone(),
            new_root: new.root().clone(),
            of_new: canary(CanaryOf::New),
            of_old: canary(CanaryOf::Old),
        });
    }
    Err(VerifyError::Target(TargetError::NoRotation).into())
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
