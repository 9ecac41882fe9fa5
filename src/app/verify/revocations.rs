//! Adds the evidence of revocation to a target: CRLs, the ledger, and the API servers' rules.

use std::collections::BTreeSet;

use super::denials;
use super::options::{TargetOptions, TargetSource};
use crate::app::{Env, Error, input, revoke};
use crate::cluster::profile::{CaRole, Profile};
use crate::pki::crl;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::rotation::Phase;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::verify::target::Target;

/// Adds the given CRLs and, from a cluster directory, its own CRL, the ledger's revocations and the rules.
///
/// A file that is not a CRL is kept, because the report has to state that it was not used.
pub(super) fn add(target: &mut Target, env: &Env, options: &TargetOptions) -> Result<(), Error> {
    let in_directory = matches!(options.source, TargetSource::Directory);
    let own = env.layout.revocation_list(CaRole::Cluster);
    let own = (in_directory && files::exists(&own)).then_some(&own);
    for path in options.crls.iter().chain(own) {
        match crl::read_all(&input::read_named(path, revoke::crl_file::MAX_BYTES, "CRL")?) {
            Ok(crls) => target.crls.extend(crls),
            Err(error) => target.crl_faults.push(format!("{}: {error}", path.display())),
        }
    }
    if !in_directory {
        return Ok(());
    }
    let rules = denials::rules(&env.layout)?;
    if !files::exists(&env.layout.ledger()) {
        target.denials = Some(denials::without_ledger(&env.layout, &rules)?);
    } else if let Err(error) = from_ledger(target, &rules, env) {
        target.crl_faults.push(error.to_string());
    }
    Ok(())
}

/// Adds the revoked certificates, those that have to be denied, and each node's newest certificate.
///
/// A certificate file in the directory may be from a backup and older than the ledger's newest certificate.
fn from_ledger(target: &mut Target, rules: &str, env: &Env) -> Result<(), StoreError> {
    let ledger = Ledger::open_read_only(&env.layout.ledger())?;
    let trust = ca::trust(&env.layout, CaRole::Cluster).ok();
    if let Some(trust) = &trust {
        target.denials = Some(denials::of_ledger(rules, &ledger, trust, env.now)?);
    }
    let revoked: BTreeSet<Fingerprint> = ledger.inventory()?.revoked().collect();
    // Without any revocation and without a CRL, there is nothing to check.
    target.revoked = (!revoked.is_empty() || target.knows_revocation()).then_some(revoked);
    let newest = ledger.newest(Profile::KubeletServer.policy().name)?;
    // An aborted rotation restored earlier certificates, so the newest may be of a CA that is no longer trusted, or, until the
    // abort is over, of the new one.
    let mut retired: Vec<Fingerprint> = trust.iter().flat_map(TrustBundle::untrusted).collect();
    let rotation = trust.as_ref().and_then(TrustBundle::rotation);
    retired.extend(rotation.filter(|rotation| rotation.phase == Phase::TrustBoth).map(|rotation| rotation.new));
    let is_retired = |certificate: Fingerprint| -> Result<bool, StoreError> {
        let issued = if retired.is_empty() { None } else { ledger.by_fingerprint(certificate)? };
        Ok(issued.is_some_and(|issued| retired.contains(&issued.issuer)))
    };
    for node in &mut target.nodes {
        if let Some(newest) = newest.get(&node.name).copied()
            && !is_retired(newest)?
        {
            node.issued = Some(newest);
        }
    }
    Ok(())
}
