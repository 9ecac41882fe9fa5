//! The last CRL of a CA that is retired: after its key is deleted, no other CRL can be signed.

use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::revoke::crl;
use crate::app::revoke::crl_file::StoredCrls;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::issuer::Issuer;
use crate::pki::rotation::Phase;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::ledger::Ledger;

/// Returns true if the old CA is retired next, and has a CRL or revoked certificates: it signs its last CRL then.
///
/// # Errors
/// Returns an error if the CAs or the ledger cannot be read.
pub fn needs_last_crl(role: CaRole, cluster: &Cluster, env: &Env) -> Result<bool, Error> {
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    let trust = cas.of(role);
    let is_last = trust.rotation().is_some_and(|rotation| rotation.phase == Phase::DropOld);
    let Some(old) = trust.outgoing().filter(|ca| is_last && ca.certificate().can_sign_crls()) else {
        return Ok(false);
    };
    let old = old.certificate().fingerprint();
    if StoredCrls::read(&env.layout, trust).is_ok_and(|stored| stored.of(old).is_some()) {
        return Ok(true);
    }
    Ok(ledger.revoked_expiring_after(env.now)?.all()?.iter().any(|one| one.issuer == old))
}

/// Signs the last CRL of the old CA, which is valid for as long as that CA.
///
/// # Errors
/// Returns an error if it cannot be signed, or the ledger or the disk cannot be used.
pub(super) fn sign(
    issuer: &Issuer,
    trust: &TrustBundle,
    ledger: &mut Ledger,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let left = std::time::Duration::try_from(issuer.ca().not_after() - env.now).unwrap_or_default();
    crl::sign(issuer, trust, Lifetime::nearest(left), ledger, env, observer)?;
    Ok(())
}
