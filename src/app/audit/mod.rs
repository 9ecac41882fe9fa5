//! Audits a cluster directory without any connection: checks that every file matches the cluster file.
//!
//! Credentials are checked by the rules that also apply before they are written.

mod admins;
mod bundle_content;
mod bundles;
mod cas;
mod credentials;
mod crls;
mod denials;
mod directory;
mod drift;
mod permissions;
mod service_account;

pub use directory::{AuditOptions, AuditReport, audit};

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::env::Env;
use super::error::Error;
use super::revoke;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::verify::finding::Finding;

/// Returns only the findings about CRLs.
///
/// # Errors
/// Returns an error if the ledger cannot be used.
pub(in crate::app) fn crl_findings(
    layout: &Layout,
    cas: &BTreeMap<CaRole, TrustBundle>,
    ledger: &Ledger,
    now: OffsetDateTime,
    expires_within: Duration,
) -> Result<Vec<Finding>, StoreError> {
    crls::findings(layout, cas, ledger, now, expires_within)
}

/// Returns only the findings about the API servers' authorization configuration.
///
/// # Errors
/// Returns an error if the ledger or the templates cannot be used.
pub(in crate::app) fn denial_findings(
    cluster: &Cluster,
    ledger: &Ledger,
    root: &TrustBundle,
    env: &Env,
) -> Result<Vec<Finding>, Error> {
    let revoked = revoke::denials::of_ledger(ledger, root, env.now)?;
    denials::findings(cluster, &revoked, ledger, root, env)
}
