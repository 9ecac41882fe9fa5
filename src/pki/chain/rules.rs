//! Checks the certificates of a path as Kubernetes does (Go's crypto/x509).

use time::OffsetDateTime;

use super::name_constraints;
use super::path::{Path, Purpose, ViolationKind, describe};
use crate::pki::certificate::{Certificate, PublicKeyKind, SignatureKind};

/// The smallest RSA key that Go accepts, in bits.
pub(super) const MIN_RSA: usize = 1024;

/// Records why Kubernetes would refuse a path.
pub(super) fn check(path: &mut Path<'_>, purpose: Purpose, now: OffsetDateTime) {
    let certificates: Vec<&Certificate> = path.certificates().collect();
    for (at, certificate) in certificates.iter().enumerate() {
        check_certificate(path, at, certificate, purpose, now);
    }
    let is_invalid =
        path.violations.iter().any(|violation| !matches!(violation.kind, ViolationKind::Dates | ViolationKind::Usage));
    if !is_invalid && !path.is_anchored_in_leaf() {
        name_constraints::check(path, now);
    }
}

/// Records why Kubernetes would refuse one certificate of a path.
fn check_certificate(path: &mut Path<'_>, at: usize, certificate: &Certificate, purpose: Purpose, now: OffsetDateTime) {
    let last = path.leaf_and_intermediates.len();
    let who = describe(at, last, certificate);
    if let Some(reason) = &certificate.go_refuses {
        path.push(ViolationKind::Chain, at, format!("{who} is refused by Kubernetes (Go): {reason}"));
    }
    if let Some(oid) = certificate.unknown_critical.first() {
        path.push(
            ViolationKind::Chain,
            at,
            format!("{who} has a critical extension that Kubernetes does not know: {oid}"),
        );
    }
    if certificate.has_policy_rules && last > 0 {
        path.push(
            ViolationKind::Unproven,
            at,
            format!("{who} has rules for certificate policies, which are not checked here"),
        );
    }
    if !(certificate.not_before..=certificate.not_after).contains(&now) {
        path.push(ViolationKind::Dates, at, format!("{who} is not in date"));
    }
    if !allows(certificate, purpose) {
        let usages = certificate.extended_key_usage.iter().flatten().cloned().collect::<Vec<_>>().join(" + ");
        let wanted = purpose.usage();
        path.push(ViolationKind::Usage, at, format!("the extended key usage of {who} is {usages}, without {wanted}"));
    }
    if at < last
        && !path.is_anchored_in_leaf()
        && let SignatureKind::WeakHash(hash) = certificate.signature
    {
        path.push(ViolationKind::Chain, at, format!("{who} is signed with {hash}, which Kubernetes refuses"));
    }
    if let PublicKeyKind::Rsa(bits) = certificate.key
        && bits < MIN_RSA
    {
        path.push(ViolationKind::Chain, at, format!("the key of {who} is RSA {bits}, which Kubernetes refuses"));
    }
    if at > 0 {
        check_issuer(path, at, &who, certificate);
    }
}

/// Records why Go would refuse a certificate as an issuer (`CheckSignatureFrom`, `isValid`).
fn check_issuer(path: &mut Path<'_>, at: usize, who: &str, certificate: &Certificate) {
    let is_anchor = at == path.leaf_and_intermediates.len();
    match certificate.basic_constraints {
        Some(constraints) if constraints.ca => {
            let allowed = constraints.path_len.and_then(|limit| usize::try_from(limit).ok());
            if allowed.is_some_and(|allowed| at - 1 > allowed) {
                let reason = format!("{who} allows fewer intermediates below it than there are (its path length)");
                path.push(ViolationKind::Chain, at, reason);
            }
        }
        Some(_) => {
            path.push(ViolationKind::Chain, at, format!("{who} is not a CA (CA:FALSE), but signed another certificate"))
        }
        None if is_anchor && certificate.version < 3 => {}
        None => {
            let reason = format!("{who} is not a CA (it has no basicConstraints), but signed another certificate");
            path.push(ViolationKind::Chain, at, reason);
        }
    }
    if certificate.key_usage.is_some_and(|usage| usage.is_set() && !usage.cert_sign) {
        let reason = format!("{who} may not sign certificates (its key usage lacks keyCertSign)");
        path.push(ViolationKind::Chain, at, reason);
    }
}

/// Returns true if a certificate's extended key usage allows this purpose (Go: `checkChainForKeyUsage`).
fn allows(certificate: &Certificate, purpose: Purpose) -> bool {
    let wanted = [purpose.usage(), "anyExtendedKeyUsage"];
    let usages = certificate.extended_key_usage.as_deref().unwrap_or_default();
    usages.is_empty() || usages.iter().any(|usage| wanted.contains(&usage.as_str()))
}
