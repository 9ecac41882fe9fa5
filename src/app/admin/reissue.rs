//! Issues a kubeconfig of the directory again.

use super::kubeconfig;
use super::plan::{AdminAccount, AdminOptions, AdminReport, plan};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::issuer::Issuer;

/// Issues an account's kubeconfig again, for an account of the same kind; `None` if `issuers` lack the cluster's CA.
///
/// # Errors
/// Returns the errors of [`plan()`] and of issuing.
pub(in crate::app) fn reissue(
    name: HostName,
    validity: Lifetime,
    issuers: &[Issuer],
    (cluster, env): (&Cluster, &Env),
    observer: &mut dyn Observer,
) -> Result<Option<AdminReport>, Error> {
    let Some(issuer) = issuers.iter().find(|issuer| issuer.ca().role() == CaRole::Cluster) else { return Ok(None) };
    let present = kubeconfig::certificate_in(&env.layout.admin_kubeconfig(&name));
    let account = present.ok().map(|present| AdminAccount::of(&present));
    let options = AdminOptions { name: Some(name), validity: Some(validity), account, reissue: true };
    plan(&options, cluster, env, observer)?.apply(issuer, observer).map(Some)
}
