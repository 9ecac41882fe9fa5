//! Makes the certificates of new CAs, signed by keys that may be anywhere.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyIdMethod, KeyUsagePurpose};
use time::OffsetDateTime;

use super::ca_certificate::{CaCertificate, Origin};
use super::certificate::Certificate;
use super::issue_error::IssueError;
use super::key::KeyError;
use super::lint::{ca_violations, own_root_violations};
use super::params::{certificate_params, encode_error};
use super::rcgen_keys::PublicKey;
use super::signing_key::SigningKey;
use super::unsigned::Unsigned;
use super::verified::Verified;
use super::violation::Violation;
use crate::cluster::account::Account;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CaRole;

/// Makes a root of the cluster's own for `key`: self-signed, path length 0, valid from five minutes before `now`.
///
/// # Errors
/// Returns an error if the key does not sign, or the root breaks a rule of its profile.
pub fn root(
    role: CaRole,
    cluster: &ClusterName,
    key: &dyn SigningKey,
    lifetime: Lifetime,
    now: OffsetDateTime,
) -> Result<Verified<CaCertificate>, IssueError> {
    numbered_root(role, cluster, 1, key, lifetime, now)
}

/// Makes a root as [`root`], which replaces others of the role: the number is a part of its name.
///
/// # Errors
/// Returns an error if the key does not sign, or the root breaks a rule of its profile.
pub fn numbered_root(
    role: CaRole,
    cluster: &ClusterName,
    number: u32,
    key: &dyn SigningKey,
    lifetime: Lifetime,
    now: OffsetDateTime,
) -> Result<Verified<CaCertificate>, IssueError> {
    let certificate = self_signed(0, &role.numbered_subject(cluster, number), key, lifetime, now)?;
    checked(CaCertificate::own_root(role, certificate.clone()), key, own_root_violations(&certificate, now))
}

/// Makes a root whose key is kept offline: as [`root`], with path length 1. It only signs intermediates.
///
/// # Errors
/// Returns an error if the key does not sign, or the root breaks a rule of its profile.
pub fn offline_root(
    role: CaRole,
    cluster: &ClusterName,
    key: &dyn SigningKey,
    lifetime: Lifetime,
    now: OffsetDateTime,
) -> Result<Verified<CaCertificate>, IssueError> {
    let certificate = self_signed(1, &role.subject(cluster), key, lifetime, now)?;
    let has_length = certificate.basic_constraints.is_some_and(|constraints| constraints.path_len == Some(1));
    let mut violations = own_root_violations(&certificate, now);
    violations.retain(|violation| !has_length || *violation != Violation::PathLength);
    checked(CaCertificate::own_root(role, certificate), key, violations)
}

/// Makes an intermediate for `key`, signed by an offline root: path length 0, valid as long as the root.
///
/// # Errors
/// Returns an error if the root's key does not sign, or the intermediate cannot be a CA.
pub fn intermediate(
    cluster: &ClusterName,
    key: &dyn SigningKey,
    root: &CaCertificate,
    root_key: &dyn SigningKey,
    now: OffsetDateTime,
) -> Result<Verified<CaCertificate>, IssueError> {
    let (role, above) = (root.role(), root.certificate());
    let mut params = ca_params(0, &role.intermediate_subject(cluster), now, root.not_after())?;
    params.use_authority_key_identifier_extension = true;
    let mut issuer = CertificateParams::default();
    issuer.key_identifier_method = above.subject_key_id.clone().map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified);
    let issuer = rcgen::Issuer::new(issuer, public(root_key)?);
    let encoded = params.signed_by(&public(key)?, &issuer).map_err(encode_error)?;
    let named = Unsigned::read(encoded.der()).and_then(|unsigned| unsigned.with_issuer(&above.subject.der));
    let certificate = signed(&named.ok_or_else(not_encodable)?, root_key)?;
    let ca = CaCertificate::new(role, Origin::Generated, certificate, std::slice::from_ref(above));
    let ca = ca.map_err(|error| IssueError::Encode(error.to_string()))?;
    let violations = ca.path().flat_map(|one| ca_violations(one, now)).collect();
    checked(ca, key, violations)
}

fn self_signed(
    path_length: u8,
    subject: &Account,
    key: &dyn SigningKey,
    lifetime: Lifetime,
    now: OffsetDateTime,
) -> Result<Certificate, IssueError> {
    let params = ca_params(path_length, subject, now, now + lifetime.duration())?;
    let encoded = params.self_signed(&public(key)?).map_err(encode_error)?;
    signed(&Unsigned::read(encoded.der()).ok_or_else(not_encodable)?, key)
}

fn ca_params(
    path_length: u8,
    subject: &Account,
    now: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<CertificateParams, IssueError> {
    let mut params = certificate_params(subject, now, not_after)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn public(key: &dyn SigningKey) -> Result<PublicKey, IssueError> {
    PublicKey::read(key.public_key()).ok_or(IssueError::Key(KeyError::Foreign))
}

fn signed(unsigned: &Unsigned, key: &dyn SigningKey) -> Result<Certificate, IssueError> {
    let signature = key.sign(unsigned.tbs())?;
    Ok(Certificate::from_der(unsigned.signed(&signature).ok_or_else(not_encodable)?)?)
}

fn checked(
    ca: CaCertificate,
    key: &dyn SigningKey,
    mut violations: Vec<Violation>,
) -> Result<Verified<CaCertificate>, IssueError> {
    violations.extend((ca.certificate().spki != key.public_key()).then_some(Violation::KeyDoesNotFit));
    if violations.is_empty() { Ok(Verified::new(ca)) } else { Err(IssueError::Violations { violations }) }
}

fn not_encodable() -> IssueError {
    IssueError::Encode("its structure is not X.509's".to_owned())
}
