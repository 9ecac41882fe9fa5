//! Checks of certificates: pure functions from a certificate, the policy and a time to a list of [`Violation`]s.
//!
//! The issuer applies them before it signs; `verify --offline` and `show` apply the same ones.

use time::{Duration, OffsetDateTime};

use super::certificate::{Certificate, PublicKeyKind, SignatureKind, SignatureStatus};
use super::violation::Violation;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::CertificateSpec;

/// The time by which notBefore precedes the time of issue, because clocks differ.
pub(super) const BACKDATED: Duration = Duration::minutes(5);

/// Returns the rules that a root breaks at `now` (RFC 5280 § 4.2.1).
///
/// rustls and webpki check none of them in a trust anchor. [`Violation::invalidates_anchor`] returns which of them make
/// Kubernetes reject a root of another tool.
#[must_use]
pub fn root_violations(root: &Certificate, now: OffsetDateTime) -> Vec<Violation> {
    let mut violations = ca_violations(root, now);
    if !root.is_self_issued() {
        violations.push(Violation::SignedByAnother(root.issuer.text.clone()));
        return violations;
    }
    match root.signed_by(root) {
        SignatureStatus::Valid => {}
        SignatureStatus::Invalid => violations.push(Violation::NotSelfSigned),
        SignatureStatus::Unverifiable(reason) => violations.push(Violation::SelfSignatureUnverified(reason)),
    }
    violations
}

/// Returns the rules that a CA's certificate breaks at `now`, whether it is a root or an intermediate.
#[must_use]
pub fn ca_violations(ca: &Certificate, now: OffsetDateTime) -> Vec<Violation> {
    let mut violations = general_violations(ca, now);
    if ca.version < 3 {
        violations.push(Violation::OldVersion(ca.version));
        return violations;
    }
    match ca.basic_constraints {
        None => violations.push(Violation::NoBasicConstraints),
        Some(constraints) if !constraints.ca => violations.push(Violation::NotACa),
        Some(constraints) if !constraints.critical => violations.push(Violation::NotCritical("basicConstraints")),
        Some(_) => {}
    }
    match ca.key_usage {
        Some(usage) if usage.cert_sign => {}
        Some(usage) if usage.is_set() => violations.push(Violation::NoCertSign),
        _ => violations.push(Violation::NoKeyUsage),
    }
    let usages = ca.extended_key_usage.as_deref().unwrap_or_default();
    let serves = |usage: &String| ["serverAuth", "anyExtendedKeyUsage"].contains(&usage.as_str());
    if !usages.is_empty() && !usages.iter().any(serves) {
        violations.push(Violation::RootUsage(usages.join(" + ")));
    }
    violations
}

/// Returns the rules that a root made by clusterctl breaks: [`root_violations`] and the rest of its profile.
#[must_use]
pub fn own_root_violations(root: &Certificate, now: OffsetDateTime) -> Vec<Violation> {
    let mut violations = root_violations(root, now);
    if root.basic_constraints.is_some_and(|bc| bc.path_len != Some(0)) {
        violations.push(Violation::PathLength);
    }
    if root
        .key_usage
        .is_some_and(|ku| !(ku.critical && ku.cert_sign && ku.crl_sign) || ku.digital_signature || ku.others)
    {
        violations.push(Violation::KeyUsage { wanted: "keyCertSign and cRLSign" });
    }
    if root.subject_key_id.is_none() {
        violations.push(Violation::Extension("subjectKeyIdentifier"));
    }
    violations
}

/// Returns the rules that an end-entity certificate breaks at `now`: it must be `wanted`, signed by `root`.
#[must_use]
pub fn leaf_violations(
    leaf: &Certificate,
    wanted: &CertificateSpec,
    keys: KeyKind,
    root: &Certificate,
    now: OffsetDateTime,
) -> Vec<Violation> {
    let mut violations = violations_except_signature(leaf, wanted, Some(keys), root, now);
    let names_the_root = leaf.issuer.der == root.subject.der;
    if names_the_root && !leaf.is_signed_by(root) {
        let position = violations.iter().take_while(|violation| matches!(violation, Violation::OtherKeyId)).count();
        violations.insert(position, Violation::BadSignature);
    }
    violations
}

/// Like [`leaf_violations`], without verifying the signature.
///
/// This is for a certificate whose signature was verified before, or which is not signed yet.
#[must_use]
pub fn violations_except_signature(
    leaf: &Certificate,
    wanted: &CertificateSpec,
    keys: Option<KeyKind>,
    root: &Certificate,
    now: OffsetDateTime,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    issuer(leaf, root, &mut violations);
    dates(leaf, now, &mut violations);
    strength(leaf, &mut violations);
    if leaf.not_after > root.not_after {
        violations.push(Violation::OutlivesRoot { not_after: leaf.not_after, root: root.not_after });
    }
    if leaf.not_after - leaf.not_before > wanted.lifetime.duration() + BACKDATED {
        violations.push(Violation::LivesTooLong { not_after: leaf.not_after, wanted: wanted.lifetime });
    }
    profile(leaf, wanted, &mut violations);
    if root.subject_key_id.is_some() && leaf.authority_key_id.is_none() {
        violations.push(Violation::Extension("authorityKeyIdentifier"));
    }
    if let Some(wanted) = keys.filter(|keys| leaf.key != PublicKeyKind::Supported(*keys)) {
        violations.push(Violation::OtherKeyKind { found: leaf.key.to_string(), wanted });
    }
    violations
}

/// Returns true if a certificate has another account, or other subject alternative names, than it should have.
#[must_use]
pub fn has_other_names(leaf: &Certificate, wanted: &CertificateSpec) -> bool {
    let mut violations = Vec::new();
    profile(leaf, wanted, &mut violations);
    let is_of_names = |one: &Violation| {
        matches!(one, Violation::OtherAccount { .. } | Violation::NameMissing(_) | Violation::NameTooMany(_))
    };
    violations.iter().any(is_of_names)
}

/// Returns the rules for any certificate that this one breaks at `now`: its dates and its strength.
#[must_use]
pub fn general_violations(certificate: &Certificate, now: OffsetDateTime) -> Vec<Violation> {
    let mut violations = Vec::new();
    dates(certificate, now, &mut violations);
    strength(certificate, &mut violations);
    violations
}

fn issuer(leaf: &Certificate, root: &Certificate, violations: &mut Vec<Violation>) {
    if leaf.issuer.der != root.subject.der {
        let (found, root) = (leaf.issuer.text.clone(), root.subject.text.clone());
        violations.push(Violation::OtherIssuer { found, root });
        return;
    }
    if leaf.authority_key_id.is_some() && leaf.authority_key_id != root.subject_key_id {
        violations.push(Violation::OtherKeyId);
    }
}

fn dates(certificate: &Certificate, now: OffsetDateTime, violations: &mut Vec<Violation>) {
    if now < certificate.not_before {
        violations.push(Violation::NotYetValid { not_before: certificate.not_before, now });
    }
    if now > certificate.not_after {
        violations.push(Violation::Expired { not_after: certificate.not_after, now });
    }
}

fn strength(certificate: &Certificate, violations: &mut Vec<Violation>) {
    match &certificate.key {
        PublicKeyKind::Supported(_) => {}
        PublicKeyKind::Rsa(bits) if *bits >= 2048 => {}
        PublicKeyKind::Other(kind) if kind == "ecdsa-p521" => {}
        weak => violations.push(Violation::WeakKey(weak.to_string())),
    }
    match certificate.signature {
        SignatureKind::Strong(_) => {}
        SignatureKind::WeakHash(hash) => violations.push(Violation::WeakHash(hash)),
        SignatureKind::Unknown => violations.push(Violation::WeakHash("unknown")),
    }
    violations.extend(certificate.unknown_critical.iter().cloned().map(Violation::UnknownCritical));
    violations.extend(certificate.go_refuses.clone().map(Violation::GoRefuses));
    let addresses = certificate.names.iter().filter(|name| name.address_in_a_dns_name().is_some());
    violations.extend(addresses.map(|name| Violation::AddressAsDnsName(name.to_string())));
    if certificate.serial.0.iter().all(|&b| b == 0) {
        violations.push(Violation::Serial("zero, and should be positive"));
    } else if certificate.serial.0.len() > 20 {
        violations.push(Violation::Serial("longer than 20 octets"));
    }
}

fn profile(leaf: &Certificate, wanted: &CertificateSpec, violations: &mut Vec<Violation>) {
    let found = leaf.account();
    let single = leaf.subject.common_names.len() == 1 && leaf.subject.organizations.len() <= 1;
    if found != wanted.subject || !single {
        violations.push(Violation::OtherAccount { found, wanted: wanted.subject.clone() });
    }
    let named: Vec<String> = leaf.names.iter().map(ToString::to_string).collect();
    let asked: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
    violations.extend(asked.iter().filter(|name| !named.contains(name)).cloned().map(Violation::NameMissing));
    violations.extend(named.iter().filter(|name| !asked.contains(name)).cloned().map(Violation::NameTooMany));
    let usages = wanted.policy().usage.names();
    if leaf.extended_key_usage.as_deref().is_none_or(|found| found != usages) {
        let found = leaf.extended_key_usage.as_ref().map_or_else(|| "absent".to_owned(), |u| u.join(" + "));
        violations.push(Violation::OtherUsage { found, wanted: usages });
    }
    match leaf.basic_constraints {
        Some(bc) if bc.ca => violations.push(Violation::LeafIsCa),
        Some(bc) if bc.critical => {}
        _ => violations.push(Violation::Extension("basicConstraints")),
    }
    match leaf.key_usage {
        Some(ku) if ku.critical && ku.digital_signature && !ku.cert_sign && !ku.crl_sign && !ku.others => {}
        _ => violations.push(Violation::KeyUsage { wanted: "digitalSignature" }),
    }
    if leaf.subject_key_id.is_none() {
        violations.push(Violation::Extension("subjectKeyIdentifier"));
    }
}
