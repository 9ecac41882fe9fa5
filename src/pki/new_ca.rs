//! Makes the certificates of new CAs, signed by keys that may be anywhere.

use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose};
use time::OffsetDateTime;

use super::ca_certificate::CaCertificate;
use super::certificate::Certificate;
use super::issue_error::IssueError;
use super::key::KeyError;
use super::lint::own_root_violations;
use super::params::{certificate_params, encode_error};
use super::rcgen_keys::PublicKey;
use super::signing_key::SigningKey;
use super::unsigned::Unsigned;
use super::verified::Verified;
use super::violation::Violation;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CaRole;

/// Makes a root of the cluster's own for `key`: self-signed, path length 0, valid from five minutes before `now`.
///
/// # Errors
/// When the key does not sign, or the root breaks a rule of its profile.
pub fn root(
    role: CaRole,
    cluster: &ClusterName,
    key: &dyn SigningKey,
    lifetime: Lifetime,
    now: OffsetDateTime,
) -> Result<Verified<CaCertificate>, IssueError> {
    let mut params = certificate_params(&role.subject(cluster), now, now + lifetime.duration())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let public = PublicKey::read(key.public_key()).ok_or(IssueError::Key(KeyError::Foreign))?;
    let encoded = params.self_signed(&public).map_err(encode_error)?;
    let unsigned = Unsigned::read(encoded.der()).ok_or_else(not_encodable)?;
    let signature = key.sign(unsigned.tbs())?;
    let certificate = Certificate::from_der(unsigned.signed(&signature).ok_or_else(not_encodable)?)?;
    let mut violations = own_root_violations(&certificate, now);
    violations.extend((certificate.spki != key.public_key()).then_some(Violation::KeyDoesNotFit));
    match violations.is_empty() {
        true => Ok(Verified::new(CaCertificate::own_root(role, certificate))),
        false => Err(IssueError::Violations { violations }),
    }
}

fn not_encodable() -> IssueError {
    IssueError::Encode("its structure is not X.509's".to_owned())
}
