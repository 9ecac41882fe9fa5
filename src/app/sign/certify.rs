//! Issues certificates for hosts' keys: for requests in files, and for those that hosts send.

use time::OffsetDateTime;

use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::issue::IssuanceError;
use crate::cluster::name::HostName;
use crate::cluster::profile::CertificateSpec;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::issuer::{Issued, Issuer, SubjectKey};
use crate::pki::request::VerifiedRequest;
use crate::pki::verified::Verified;
use crate::store::credentials;
use crate::store::issuance::{self, IssuanceContext};
use crate::store::ledger::Ledger;
use crate::store::ledger::enrolments::EnrolmentRecord;
use crate::store::signed::{self, SignedHost};

/// A signed certificate that is not recorded yet.
pub(in crate::app) struct Made {
    pub(in crate::app) host: HostName,
    pub(in crate::app) spec: CertificateSpec,
    pub(in crate::app) certificate: Verified<Certificate>,
}

/// Signs the certificate that `spec` describes for the key of a request.
///
/// # Errors
/// Returns an error if no issuer has the CA's key, the certificate breaks a rule, or the key does not sign.
pub(in crate::app) fn make(
    spec: &CertificateSpec,
    request: VerifiedRequest,
    issuers: &[Issuer],
    now: OffsetDateTime,
) -> Result<Verified<Certificate>, IssuanceError> {
    let role = spec.policy().signed_by;
    let no_issuer = || IssuanceError::NoIssuer { role, credential: spec.into() };
    let issuer = issuers.iter().find(|issuer| issuer.ca().role() == role).ok_or_else(no_issuer)?;
    let issued = issuer
        .prepare(spec, SubjectKey::FromRequest(Box::new(request)), now)
        .and_then(|token| issuer.issue(token))
        .map_err(|source| IssuanceError::Certificate { credential: spec.into(), source })?;
    match issued {
        Issued::Certificate(certificate) => Ok(certificate),
        // A request has its key, so no key is generated.
        Issued::Credential(_) => Err(no_issuer()),
    }
}

/// Records certificates and the requests that they were issued for, and then writes each host's folder without keys. With
/// `sweeps`, what killed processes left beside hosts' folders is removed first.
///
/// Only the holder of the lock may call this.
///
/// # Errors
/// Returns an error if the ledger or a file cannot be written.
pub(in crate::app) fn write(
    made: Vec<Made>,
    requests: &[EnrolmentRecord],
    env: &Env,
    ledger: &mut Ledger,
    cas: &CaSet,
    sweeps: bool,
) -> Result<(), Error> {
    let (mut hosts, mut deleted_keys): (Vec<SignedHost>, Vec<_>) = (Vec::new(), Vec::new());
    for Made { host, spec, certificate } in made {
        // A key in the directory is deleted, because the new certificate is for the host's own key.
        if credentials::key_file(&env.layout, &spec).is_some()
            && let Ok(old) = credentials::read_certificate(&env.layout, &spec)
        {
            deleted_keys.push((host.to_string(), old.fingerprint()));
        }
        match hosts.iter_mut().find(|one| one.host == host) {
            Some(one) => one.certificates.push((spec.profile, certificate)),
            None => hosts.push(SignedHost { host, certificates: vec![(spec.profile, certificate)] }),
        }
    }
    issuance::prepare(&env.layout)?;
    if sweeps {
        issuance::sweep(&env.layout)?;
    }
    let context = IssuanceContext { cas, now: env.now, by: &env.actor };
    if !deleted_keys.is_empty() {
        ledger.record_discarded_keys(&deleted_keys, &env.audit())?;
    }
    signed::write(&env.layout, ledger, &hosts, requests, &context)?;
    Ok(())
}
