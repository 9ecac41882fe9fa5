use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::OffsetDateTime;
use time::macros::datetime;

use super::path::ViolationKind;
use super::*;
use crate::pki::certificate::Certificate;

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
type Issuer = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, is_ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.example")]).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (NOW - time::Duration::DAY, NOW + time::Duration::days(30));
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = Vec::new();
    } else {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn root(change: impl Fn(&mut CertificateParams)) -> Issuer {
    let mut params = params("root", true);
    change(&mut params);
    CertifiedIssuer::self_signed(params, key()).expect("a root")
}

fn between(by: &Issuer, change: impl Fn(&mut CertificateParams)) -> Issuer {
    let mut params = params("between", true);
    change(&mut params);
    CertifiedIssuer::signed_by(params, key(), by).expect("an intermediate")
}

fn leaf(by: &Issuer) -> Certificate {
    read(params("leaf", false).signed_by(&key(), by).expect("a leaf").der())
}

fn read(der: &[u8]) -> Certificate {
    Certificate::from_der(der.to_vec()).expect("a certificate")
}

fn cert(issuer: &Issuer) -> Certificate {
    read(issuer.der())
}

/// Returns why a path is refused; empty for a valid path.
fn refused(leaf: &Certificate, others: &[Certificate], anchors: &[Certificate]) -> Vec<ViolationKind> {
    match best_path(leaf, others, anchors, Purpose::Server, NOW) {
        Ok(path) => path.violations.iter().map(|violation| violation.kind).collect(),
        Err(ChainError::NoValidPath(_)) => vec![ViolationKind::Chain],
        Err(ChainError::Unproven(_)) => vec![ViolationKind::Unproven],
    }
}

/// A change of a certificate, and why a path is refused then.
type Change = (fn(&mut CertificateParams), &'static [ViolationKind]);

const ISSUER_CHANGES: [Change; 9] = [
    (|_| (), &[]),
    (|p| p.key_usages.clear(), &[]),
    (|p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature], &[ViolationKind::Chain]),
    (|p| p.is_ca = IsCa::ExplicitNoCa, &[ViolationKind::Chain]),
    (|p| p.is_ca = IsCa::NoCa, &[ViolationKind::Chain]),
    (|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth], &[ViolationKind::Usage]),
    (|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any], &[]),
    (|p| p.not_after = NOW - time::Duration::HOUR, &[ViolationKind::Dates]),
    (|p| p.not_before = NOW + time::Duration::HOUR, &[ViolationKind::Dates]),
];

#[test]
fn every_issuer_of_a_path_is_checked_as_by_go() {
    for (at, (change, expected)) in ISSUER_CHANGES.iter().enumerate() {
        let modified = root(change);
        assert_eq!(refused(&leaf(&modified), &[], &[cert(&modified)]), *expected, "root {at}");
        let good = root(|_| ());
        let modified = between(&good, change);
        assert_eq!(refused(&leaf(&modified), &[cert(&modified)], &[cert(&good)]), *expected, "intermediate {at}");
        // The intermediate itself as the anchor, without its root and with it.
        let roots = [cert(&modified), cert(&good)];
        assert_eq!(refused(&leaf(&modified), &[], &roots[..1]), *expected, "anchored in the intermediate {at}");
        assert_eq!(refused(&leaf(&modified), &[], &roots), *expected, "anchored in either {at}");
    }
}

#[test]
fn a_self_issued_intermediate_is_checked_too() {
    let root = root(|_| ());
    // A new key under the root's name, signed by the old key, and expired.
    let rolled = between(&root, |p| {
        p.distinguished_name.push(DnType::CommonName, "root");
        p.not_after = NOW - time::Duration::HOUR;
    });
    assert!(cert(&rolled).is_self_issued());
    assert_eq!(refused(&leaf(&rolled), &[cert(&rolled)], &[cert(&root)]), [ViolationKind::Dates]);
}

#[test]
fn certificates_outside_the_path_are_ignored() {
    let (old, new) = (root(|_| ()), root(|p| p.distinguished_name.push(DnType::CommonName, "new root")));
    let issuer = between(&new, |_| ());
    let leaf = leaf(&issuer);
    // The same name and key: signed by an unknown root, expired, not yet valid, not a CA.
    let variant = |by: &Issuer, change: fn(&mut CertificateParams)| {
        let mut params = params("between", true);
        change(&mut params);
        read(params.signed_by(issuer.key(), by).expect("a variant").der())
    };
    let others_of_that_name = [
        variant(&old, |_| ()),
        variant(&new, |p| p.not_after = NOW - time::Duration::DAY),
        variant(&new, |p| p.not_before = NOW + time::Duration::DAY),
        variant(&new, |p| p.is_ca = IsCa::ExplicitNoCa),
        variant(&new, |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        cert(&old),
    ];
    for first in [true, false] {
        let mut others = others_of_that_name.to_vec();
        others.insert(if first { 0 } else { others_of_that_name.len() }, cert(&issuer));
        assert_eq!(refused(&leaf, &others, &[cert(&old), cert(&new)]), []);
    }
    assert_ne!(refused(&leaf, &others_of_that_name, &[cert(&new)]), []);
}

#[test]
fn the_path_that_expires_later_is_chosen() {
    let short = root(|p| p.not_after = NOW + time::Duration::DAY);
    let mut longer = params("root", true);
    longer.not_after = NOW + time::Duration::days(20);
    let longer = read(longer.self_signed(short.key()).expect("a root").der());
    let leaf = leaf(&short);
    for anchors in [[cert(&short), longer.clone()], [longer, cert(&short)]] {
        let path = best_path(&leaf, &[], &anchors, Purpose::Server, NOW).expect("a path");
        assert_eq!((path.not_after(), path.violations.len()), (NOW + time::Duration::days(20), 0));
    }
}

#[test]
fn path_length_limits_apply_and_the_roots_too() {
    let limited = |limit: u8| move |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit));
    for (limit, expected) in [(0, vec![ViolationKind::Chain]), (1, vec![])] {
        let root = root(limited(limit));
        let below = between(&root, |_| ());
        assert_eq!(refused(&leaf(&below), &[cert(&below)], &[cert(&root)]), expected, "root {limit}");
        let top = self::root(|_| ());
        let limiting = between(&top, limited(limit));
        let below = between(&limiting, |p| p.distinguished_name.push(DnType::CommonName, "below"));
        let others = [cert(&below), cert(&limiting)];
        assert_eq!(refused(&leaf(&below), &others, &[cert(&top)]), expected, "intermediate {limit}");
    }
}

#[test]
fn name_constraints_apply_to_the_certificates_below_them() {
    let permits = |name: &'static str| {
        move |p: &mut CertificateParams| {
            let permitted_subtrees = vec![rcgen::GeneralSubtree::DnsName(name.to_owned())];
            p.name_constraints = Some(rcgen::NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        }
    };
    for (name, expected) in [("example", vec![]), ("elsewhere", vec![ViolationKind::Chain])] {
        let root = root(permits(name));
        assert_eq!(refused(&leaf(&root), &[], &[cert(&root)]), expected, "{name}");
        let top = self::root(|_| ());
        let limiting = between(&top, permits(name));
        assert_eq!(refused(&leaf(&limiting), &[cert(&limiting)], &[cert(&top)]), expected, "{name}");
    }
}

#[test]
fn a_certificate_in_the_trust_file_is_its_own_anchor() {
    let root = root(|_| ());
    let leaf = leaf(&root);
    assert_eq!(refused(&leaf, &[], std::slice::from_ref(&leaf)), []);
    // It is not a CA, so it is not an anchor for others.
    let other = self::leaf(&root);
    assert_eq!(refused(&other, &[], &[leaf]), [ViolationKind::Chain]);
}
