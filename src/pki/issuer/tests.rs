use rcgen::{BasicConstraints, CertifiedIssuer, DnType, KeyPair, PublicKeyData};
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::cluster::address::Address;
use crate::cluster::spec::{Cluster, RawCluster, RawHost};
use crate::pki::ca_certificate::{CaCertificateError, Origin};
use crate::pki::chain::verify_chain;
use crate::pki::lint::leaf_violations;
use crate::pki::reason::Reason;
use crate::pki::request::CertificateRequest;
use crate::pki::signing_key::SigningError;

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00.5 UTC);
const KEYS: KeyKind = KeyKind::EcdsaP256;
const RSA_KEY: &str = include_str!("../untrusted_keys/ca.pem");

fn cluster(keys: KeyKind) -> Cluster {
    let host = |name: &str, address: &str| RawHost {
        name: Some(name.into()),
        addresses: vec![address.into()],
        ..RawHost::default()
    };
    let draft = RawCluster {
        name: Some("prod".into()),
        keys: Some(keys.as_str().into()),
        masters: vec![host("m1", "10.0.0.1")],
        nodes: vec![host("on", "10.0.1.1"), host("42", "fd00::2"), host("10.0.1.9", "10.0.1.9")],
        ..RawCluster::default()
    };
    draft.check().expect("a good draft")
}

fn root(role: CaRole, keys: KeyKind, lifetime: &str) -> Credential {
    let lifetime = Lifetime::parse(lifetime).expect("a lifetime");
    create_root(role, &cluster(keys).name, keys, lifetime, NOW).expect("a root").into_inner()
}

fn issuer(root: &Credential) -> Issuer {
    Issuer::open(CaRole::Cluster, root, NOW).expect("a valid root")
}

fn server_spec(cluster: &Cluster) -> CertificateSpec {
    cluster.node_specs(&cluster.nodes[0])[1].clone()
}

/// A CA as another tool makes it: with this key and name, which `change` may alter.
fn foreign_ca(name: &str, key: KeyPair, change: impl Fn(&mut CertificateParams)) -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(foreign_params(name, change), key).expect("a root")
}

fn foreign_params(name: &str, change: impl Fn(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, rcgen::DnValue::PrintableString(name.try_into().expect("ASCII")));
    (params.not_before, params.not_after) = (NOW - Duration::DAY, NOW + Duration::days(3650));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    params
}

fn read(der: &[u8]) -> Certificate {
    Certificate::from_der(der.to_vec()).expect("a certificate")
}

fn local(key: &KeyPair) -> Box<LocalKey> {
    Box::new(LocalKey::from_pem_with(key.serialize_pem().as_bytes(), None).expect("a key"))
}

#[test]
fn a_certificate_of_every_profile_and_kind_of_key_passes_its_checks() {
    for keys in KeyKind::ALL {
        let cluster = cluster(keys);
        let issuers =
            CaRole::ALL.map(|role| (role, Issuer::open(role, &root(role, keys, "10y"), NOW).expect("a valid root")));
        let masters = cluster.masters.iter().flat_map(|m| cluster.master_specs(m));
        let nodes = cluster.nodes.iter().flat_map(|n| cluster.node_specs(n));
        let admin = cluster.admin_spec(&cluster.nodes[0].name, Lifetime::ONE_YEAR);
        for spec in masters.chain(nodes).chain([cluster.verifier_spec(), admin]) {
            let (_, issuer) = issuers.iter().find(|(role, _)| *role == spec.policy().signed_by).expect("an issuer");
            let made = issuer.issue_credential(&spec, keys, NOW).expect("a credential").into_inner();
            assert_eq!(made.certificate.serial.0.len(), 16);
            assert_eq!(made.certificate.not_before, datetime!(2026-11-23 11:55:00 UTC));
            assert_eq!(made.certificate.not_after, datetime!(2027-11-23 12:00:00 UTC));
            assert!(made.chain.is_empty() && made.key_fits());
            assert_eq!(leaf_violations(&made.certificate, &spec, keys, issuer.ca().root(), NOW), []);
        }
    }
}

#[test]
fn a_certificate_expires_with_its_root_at_the_latest() {
    let root = root(CaRole::Cluster, KEYS, "30d");
    let later = NOW + Duration::days(20);
    let spec = cluster(KEYS).verifier_spec();
    let issuer = Issuer::open(CaRole::Cluster, &root, later).expect("a valid root");
    let made = issuer.issue_credential(&spec, KEYS, later).expect("a certificate");
    assert_eq!(made.get().certificate.not_after, root.certificate.not_after);
}

#[test]
fn an_expired_ca_and_another_key_sign_nothing() {
    let old = root(CaRole::Cluster, KEYS, "1d");
    let now = NOW + Duration::days(2);
    let not_after = old.certificate.not_after;
    let refused = Issuer::open(CaRole::Cluster, &old, now).map(|_| ()).expect_err("refused");
    assert_eq!(refused, IssueError::Violations { violations: vec![Violation::Expired { not_after, now }] });
    let mixed = Credential { key: root(CaRole::Cluster, KEYS, "1d").key, ..old };
    let refused = Issuer::open(CaRole::Cluster, &mixed, NOW).map(|_| ()).expect_err("refused");
    assert_eq!(refused, IssueError::Violations { violations: vec![Violation::KeyDoesNotFit] });
}

#[test]
fn a_ca_signs_only_profiles_of_its_role() {
    let cluster = cluster(KEYS);
    let etcd = cluster.master_specs(&cluster.masters[0]).into_iter().find(|s| s.policy().signed_by == CaRole::Etcd);
    let refused =
        issuer(&root(CaRole::Cluster, KEYS, "1y")).prepare(&etcd.expect("one"), SubjectKey::Generate(KEYS), NOW);
    assert!(matches!(refused, Err(IssueError::OtherRole { wanted: CaRole::Etcd, found: CaRole::Cluster, .. })));
}

#[test]
fn lint_finds_another_ca_of_the_same_name_and_cluster_file_changes() {
    let (ours, other) = (root(CaRole::Cluster, KEYS, "10y"), root(CaRole::Cluster, KEYS, "10y"));
    let before = cluster(KEYS);
    let spec = server_spec(&before);
    let made = issuer(&ours).issue_credential(&spec, KEYS, NOW).expect("a certificate").into_inner();
    let violations = |spec: &CertificateSpec, root: &Credential| {
        leaf_violations(&made.certificate, spec, KEYS, &root.certificate, NOW)
    };
    assert_eq!(violations(&spec, &ours), []);
    assert_eq!(violations(&spec, &other)[..2], [Violation::OtherKeyId, Violation::BadSignature]);
    let mut after = spec;
    after.names[1] = Address::parse("10.20.1.12").expect("an address");
    let changed = violations(&after, &ours);
    assert_eq!(changed, [Violation::NameMissing("10.20.1.12".into()), Violation::NameTooMany("10.0.1.1".into())]);
    let client = before.node_specs(&before.nodes[0])[0].clone();
    let usage = Violation::OtherUsage { found: "serverAuth".into(), wanted: &["clientAuth"] };
    assert!(violations(&client, &ours).contains(&usage));
}

/// A signing key that signs other data than requested.
struct FaultyKey {
    inner: LocalKey,
    sign: fn(&LocalKey, &[u8]) -> Result<Vec<u8>, SigningError>,
}

impl SigningKey for FaultyKey {
    fn public_key(&self) -> &[u8] {
        self.inner.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        (self.sign)(&self.inner, message)
    }
}

#[test]
fn a_failing_signing_key_issues_nothing() {
    let root = root(CaRole::Cluster, KEYS, "1y");
    let spec = server_spec(&cluster(KEYS));
    let lying = |sign| {
        let ca = CaCertificate::own_root(CaRole::Cluster, root.certificate.clone());
        let key = FaultyKey { inner: LocalKey::open(&root.key).expect("a key"), sign };
        Issuer::new(ca, Box::new(key), NOW).expect("an issuer")
    };
    type Sign = fn(&LocalKey, &[u8]) -> Result<Vec<u8>, SigningError>;
    let cases: [(Sign, IssueError); 4] = [
        (|key, _| key.sign(b"something else"), IssueError::WrongSignature),
        (|_, _| Ok(vec![0; 71]), IssueError::WrongSignature),
        (|_, _| Ok(Vec::new()), IssueError::WrongSignature),
        (|_, _| Err(SigningError::Failed), IssueError::Signing(SigningError::Failed)),
    ];
    for (sign, expected) in cases {
        let issuer = lying(sign);
        assert_eq!(issuer.issue_credential(&spec, KEYS, NOW).map(|_| ()), Err(expected.clone()));
        let list = issuer.revocation_list(&[], 1, NOW, NOW + Duration::DAY);
        assert_eq!(list.map(|_| ()), Err(expected));
    }
}

#[test]
fn nothing_with_a_violation_is_signed() {
    fn never(_: &LocalKey, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Err(SigningError::Failed)
    }
    let root = root(CaRole::Cluster, KEYS, "1y");
    let ca = CaCertificate::own_root(CaRole::Cluster, root.certificate.clone());
    let key = FaultyKey { inner: LocalKey::open(&root.key).expect("a key"), sign: never };
    let issuer = Issuer::new(ca, Box::new(key), NOW).expect("an issuer");
    let spec = server_spec(&cluster(KEYS));
    let token = issuer.prepare(&spec, SubjectKey::Generate(KEYS), NOW).expect("a token");
    assert_eq!(token.draft().account(), spec.subject);
    assert!(matches!(issuer.issue(token), Err(IssueError::Signing(_))));
    // After the root's end the certificate would be expired when it is issued.
    let late = NOW + Duration::days(400);
    let refused = issuer.prepare(&spec, SubjectKey::Generate(KEYS), late).map(|_| ());
    assert!(matches!(refused, Err(IssueError::Violations { .. })), "{refused:?}");
}

#[test]
fn a_token_is_accepted_only_by_its_own_issuer() {
    let (one, other) = (root(CaRole::Cluster, KEYS, "1y"), root(CaRole::Cluster, KEYS, "1y"));
    let token = issuer(&one).prepare(&server_spec(&cluster(KEYS)), SubjectKey::Generate(KEYS), NOW).expect("a token");
    assert!(matches!(issuer(&other).issue(token), Err(IssueError::OtherIssuer)));
}

#[test]
fn only_the_key_of_a_request_is_used() {
    let root = root(CaRole::Cluster, KEYS, "1y");
    let spec = server_spec(&cluster(KEYS));
    for key in [KeyPair::generate().expect("a key"), KeyPair::from_pem(RSA_KEY).expect("a key")] {
        let mut asked = CertificateParams::new(vec!["kubernetes.default".to_owned()]).expect("names");
        asked.distinguished_name.push(DnType::OrganizationName, "system:masters");
        let der = asked.serialize_request(&key).expect("a request").der().to_vec();
        let request = CertificateRequest::from_der(&der).expect("a request");
        let spki = request.spki.clone();
        let request = VerifiedRequest::verify(request).expect("proof of possession");
        let token = issuer(&root).prepare(&spec, SubjectKey::FromRequest(Box::new(request)), NOW).expect("a token");
        let issued = issuer(&root).issue(token).expect("a certificate");
        let Issued::Certificate(certificate) = issued else { panic!("a key for a request: {issued:?}") };
        let certificate = certificate.into_inner();
        assert_eq!(certificate.spki, spki);
        assert_eq!((certificate.account(), certificate.names.len()), (spec.subject.clone(), spec.names.len()));
        assert!(certificate.is_signed_by(&root.certificate));
    }
}

#[test]
fn a_request_that_another_key_signed_proves_nothing() {
    use crate::pki::request::RequestError;
    let key = KeyPair::generate().expect("a key");
    let der = CertificateParams::default().serialize_request(&key).expect("a request").der().to_vec();
    let good = CertificateRequest::from_der(&der).expect("a request");
    for (signed, expected) in [
        (SignatureStatus::Invalid, RequestError::WrongSignature),
        (SignatureStatus::Unverifiable("x".into()), RequestError::Unverifiable("x".into())),
    ] {
        let request = CertificateRequest { signed_by_itself: signed, ..good.clone() };
        assert_eq!(VerifiedRequest::verify(request), Err(expected));
    }
    let mut changed = der;
    let at = changed.len() - 3;
    changed[at] ^= 1;
    let changed = CertificateRequest::from_der(&changed).expect("a request");
    assert_eq!(VerifiedRequest::verify(changed), Err(RequestError::WrongSignature));
}

#[test]
fn an_imported_rsa_root_issues_and_revokes() {
    let key = KeyPair::from_pem(RSA_KEY).expect("a key");
    let signing = local(&key);
    let foreign = foreign_ca("kubernetes", key, |_| {});
    let ca = CaCertificate::new(CaRole::Cluster, Origin::Imported, read(foreign.der()), &[]).expect("a CA");
    let issuer = Issuer::new(ca, signing, NOW).expect("an issuer");
    let made = issuer.issue_credential(&server_spec(&cluster(KEYS)), KEYS, NOW).expect("a certificate").into_inner();
    let root = issuer.ca().root();
    // PrintableString in the root, byte for byte.
    assert_eq!(made.certificate.issuer.der, root.subject.der);
    assert_eq!(verify_chain(&made.certificate, &made.chain, std::slice::from_ref(root)), Ok(()));
    let revoked = [Revoked { serial: made.certificate.serial, at: NOW, reason: Reason::KeyCompromise }];
    let list = issuer.revocation_list(&revoked, 7, NOW, NOW + Duration::DAY).expect("a CRL");
    assert!(list.is_signed_by(root) && list.issuer.der == root.subject.der);
    assert_eq!((list.number, list.serials.len()), (Some(7), 1));
}

#[test]
fn an_issuers_name_is_kept_however_it_is_encoded() {
    // Two organizational units, which rcgen cannot encode: the second one is put into the certificate that it made.
    let key = KeyPair::generate().expect("a key");
    let mut params = foreign_params("kubernetes", |params| {
        params.distinguished_name.push(DnType::OrganizationalUnitName, "one");
    });
    params.key_identifier_method = KeyIdMethod::PreSpecified(vec![7; 20]);
    let encoded = params.self_signed(&key).expect("a root");
    let mut root = read(encoded.der());
    let name = root.subject.der.clone();
    let mut fields = crate::pki::der::Der::new(&name).inside(crate::pki::der::SEQUENCE).expect("a name");
    let (first, second) = (fields.any().expect("one"), fields.any().expect("two"));
    let parts = [first.whole, second.whole, second.whole].concat();
    let longer = [&[0x30, u8::try_from(parts.len()).expect("short")][..], &parts].concat();
    root.subject.der.clone_from(&longer);
    let ca = CaCertificate::own_root(CaRole::Cluster, root);
    let issuer =
        Issuer { ca, public: PublicKey::read(&key.subject_public_key_info()).expect("a key"), key: local(&key) };
    let made = issuer.issue_credential(&server_spec(&cluster(KEYS)), KEYS, NOW).expect("a certificate");
    assert_eq!(made.get().certificate.issuer.der, longer);
    assert_eq!(made.get().certificate.authority_key_id, Some(vec![7; 20]));
}

#[test]
fn an_intermediate_signs_and_sends_its_chain() {
    let (top_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let signing = local(&key);
    let top = foreign_ca("offline root", top_key, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    let below = foreign_params("signing", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.not_after = NOW + Duration::days(100);
    });
    let below = CertifiedIssuer::signed_by(below, key, &top).expect("an intermediate");
    let (root, intermediate) = (read(top.der()), read(below.der()));
    let others = [intermediate.clone(), root.clone()];
    let ca = CaCertificate::new(CaRole::Cluster, Origin::Imported, intermediate.clone(), &others).expect("a CA");
    assert_eq!((ca.certificate(), ca.root(), ca.chain()), (&intermediate, &root, std::slice::from_ref(&intermediate)));
    let issuer = Issuer::new(ca, signing, NOW).expect("an issuer");
    let made = issuer.issue_credential(&server_spec(&cluster(KEYS)), KEYS, NOW).expect("a certificate").into_inner();
    assert_eq!(made.chain, std::slice::from_ref(&intermediate));
    assert_eq!(made.certificate.not_after, intermediate.not_after, "it expires with the intermediate");
    assert_eq!(verify_chain(&made.certificate, &made.chain, std::slice::from_ref(&root)), Ok(()));
    assert!(verify_chain(&made.certificate, &[], &[root]).is_err());
}

#[test]
fn a_ca_must_have_its_path_and_be_allowed_to_sign() {
    let key = || KeyPair::generate().expect("a key");
    let new = |certificate: &Certificate, others: &[Certificate]| {
        CaCertificate::new(CaRole::Cluster, Origin::Imported, certificate.clone(), others).map(|_| ())
    };
    let top = foreign_ca("top", key(), |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let below = CertifiedIssuer::signed_by(foreign_params("below", |_| {}), key(), &top).expect("an intermediate");
    let (root, intermediate) = (read(top.der()), read(below.der()));
    assert!(matches!(new(&intermediate, &[]), Err(CaCertificateError::NoParent { .. })));
    let same_name = read(foreign_ca("top", key(), |_| {}).der());
    assert!(matches!(new(&intermediate, &[same_name]), Err(CaCertificateError::NoParent { .. })));
    let too_long = CaCertificateError::PathLength { subject: root.subject.text.clone(), allowed: 0, found: 1 };
    assert_eq!(new(&intermediate, std::slice::from_ref(&root)), Err(too_long));
    assert_eq!(new(&root, &[]), Ok(()));
    let not_a_ca = read(foreign_ca("leaf", key(), |params| params.is_ca = IsCa::ExplicitNoCa).der());
    assert!(matches!(new(&not_a_ca, &[]), Err(CaCertificateError::NotACa { violation: Violation::NotACa, .. })));
    let no_sign = foreign_ca("no", key(), |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    let refused = new(&read(no_sign.der()), &[]);
    assert!(matches!(refused, Err(CaCertificateError::NotACa { violation: Violation::NoCertSign, .. })));
    // A root of our own keeps path length 0; an imported one may have any.
    let unlimited = read(foreign_ca("any", key(), |_| {}).der());
    assert_eq!(new(&unlimited, &[]), Ok(()));
    let own = CaCertificate::own_root(CaRole::Cluster, unlimited.clone());
    assert!(own.violations(NOW).contains(&Violation::PathLength));
    let imported = CaCertificate::new(CaRole::Cluster, Origin::Imported, unlimited, &[]).expect("a CA");
    assert_eq!(imported.violations(NOW), []);
}
