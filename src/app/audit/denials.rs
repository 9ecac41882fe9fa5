//! Checks that the authorization configuration in the cluster directory denies all certificates that are revoked in the
//! ledger.

use std::path::Path;

use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::package::templates;
use crate::app::revoke::denials::{MAX_RULES, authorization};
use crate::app::revoke::rendered;
use crate::bundle::policy;
use crate::cluster::spec::Cluster;
use crate::pki::trust_bundle::TrustBundle;
use crate::rbac::denials::Denials;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::FileRemedy;
use crate::verify::target::Place;

/// Returns the findings `store.credential` about the files that were rendered outside of `pki/`.
///
/// They must not be newer than the ledger, and the authorization configuration must equal the one that would be written
/// now. It differs if templates or the cluster file were changed since.
///
/// # Errors
/// Returns the errors of [`authorization`].
pub(crate) fn findings(
    cluster: &Cluster,
    denials: &Denials,
    ledger: &Ledger,
    root: &TrustBundle,
    env: &Env,
) -> Result<Vec<Finding>, Error> {
    let finding = |status, path: &Path, saw: String| {
        Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "API servers' rules", status)
            .address(path.display().to_string())
            .saw(saw, "the authorization configuration that would be written now")
    };
    let newer = match rendered::of_directory(&env.layout, root) {
        Ok(states) => rendered::newer_than(&states, ledger, env.now)?,
        Err(error) => {
            let path = env.layout.policy().join(policy::AUTHORIZATION);
            return Ok(vec![finding(Status::Fail, &path, error.to_string())]);
        }
    };
    if let Some(newer) = newer {
        let saw = format!("it is newer than the ledger: {}", newer.evidence);
        return Ok(vec![finding(Status::Fail, &newer.path, saw).remedy(newer.remedy())]);
    }
    let path = env.layout.policy().join(policy::AUTHORIZATION);
    let finding = |status, saw| finding(status, &path, saw);
    if !files::exists(&env.layout.policy()) {
        return Ok(Vec::new());
    }
    let current = authorization(cluster, denials, &templates::of_cluster(cluster, &env.layout)?)?;
    let warned = |saw: String| finding(Status::Warn, saw).remedy(FileRemedy::WritePolicy);
    Ok(vec![match files::read(&path, MAX_RULES) {
        Ok(bytes) if bytes == current.as_bytes() => {
            finding(Status::Pass, format!("it denies all {} revoked certificates", denials.count()))
        }
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let missed = denials.certificates().iter().filter(|id| !text.contains(&id.to_string())).count();
            match missed {
                0 => {
                    let saw = "it differs from what would be generated now from the cluster file, the ledger and the templates";
                    warned(saw.to_owned())
                }
                missed => finding(Status::Fail, format!("it does not deny {missed} revoked certificates"))
                    .remedy(FileRemedy::WritePolicy),
            }
        }
        Err(error) => warned(error.to_string()),
    }])
}
