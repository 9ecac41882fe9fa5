//! Makes the certificates of `tests/data/oracle/paths.json`: one case for each rule of path validation, and for each kind
//! of trust file that tools in use write. rcgen makes what it can make; openssl makes old versions, weak keys and hashes.

use std::path::PathBuf;
use std::process::Command;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose as Ku,
    NameConstraints, SanType, SerialNumber,
};
use time::OffsetDateTime;
use time::macros::datetime;

use super::cases::PathCase;

/// The time at which cases are judged that are not about dates.
const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);
const BEGIN: OffsetDateTime = datetime!(2025-01-01 00:00 UTC);
const END: OffsetDateTime = datetime!(2045-01-01 00:00 UTC);
const NAME: &str = "api.example.net";

/// What makes a certificate another than the usual one.
type Change<'a> = &'a dyn Fn(&mut CertificateParams);

/// A certificate with its key.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

impl Made {
    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

fn pem(der: &[u8]) -> String {
    clusterctl::pki::pem::write_certificate(der)
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(name);
    (params.not_before, params.not_after) = (BEGIN, END);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![Ku::KeyCertSign, Ku::CrlSign];
    params
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject("kube-apiserver");
    (params.not_before, params.not_after) = (BEGIN, END);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![Ku::DigitalSignature];
    params.extended_key_usages = vec![Eku::ServerAuth];
    params.subject_alt_names = vec![dns(NAME)];
    params.use_authority_key_identifier_extension = true;
    params
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).expect("ASCII"))
}

fn ip(address: &str) -> SanType {
    SanType::IpAddress(address.parse().expect("an address"))
}

fn extension(oid: &[u64], critical: bool, content: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(critical);
    extension
}

const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const CA_TRUE: &[u8] = &[0x30, 0x03, 0x01, 0x01, 0xff];
const CA_FALSE: &[u8] = &[0x30, 0x00];
const UNKNOWN: &[u64] = &[1, 2, 3, 4, 5];

fn root_with(params: CertificateParams, key: KeyPair) -> Made {
    let der = params.self_signed(&key).expect("signed").der().to_vec();
    Made { params, key, der }
}

fn root() -> Made {
    root_with(ca_params("root"), key())
}

fn root_but(change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = ca_params("root");
    change(&mut params);
    root_with(params, key())
}

fn signed(issuer: &Made, params: CertificateParams, key: KeyPair) -> Made {
    let der = params.signed_by(&key, &issuer.issuer()).expect("signed").der().to_vec();
    Made { params, key, der }
}

fn intermediate(issuer: &Made) -> Made {
    intermediate_but(issuer, |_| ())
}

fn intermediate_but(issuer: &Made, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = ca_params("intermediate");
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    signed(issuer, params, key())
}

fn leaf(issuer: &Made) -> Made {
    leaf_but(issuer, |_| ())
}

fn leaf_but(issuer: &Made, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = leaf_params();
    change(&mut params);
    signed(issuer, params, key())
}

/// The cases so far.
struct Corpus {
    cases: Vec<PathCase>,
    folder: tempfile::TempDir,
}

impl Corpus {
    /// Adds a case whose roots are `roots` and whose server sends `leaf` and then `more`.
    fn add(&mut self, id: &str, roots: &[&[u8]], leaf: (&[u8], &str), more: &[&[u8]], name: &str, now: OffsetDateTime) {
        let sent = std::iter::once(leaf.0).chain(more.iter().copied());
        self.cases.push(PathCase {
            id: id.to_owned(),
            roots: roots.iter().map(|der| pem(der)).collect(),
            sent: sent.map(pem).collect(),
            key: Some(leaf.1.to_owned()),
            name: Some(name.to_owned()),
            time: now.format(&time::format_description::well_known::Rfc3339).expect("a time"),
            crls: Vec::new(),
            client: false,
        });
    }

    fn path(&mut self, id: &str, root: &Made, leaf: &Made, more: &[&Made]) {
        self.at(id, root, leaf, more, NOW);
    }

    fn at(&mut self, id: &str, root: &Made, leaf: &Made, more: &[&Made], now: OffsetDateTime) {
        let more: Vec<&[u8]> = more.iter().map(|made| made.der.as_slice()).collect();
        self.add(id, &[&root.der], (&leaf.der, &leaf.key.serialize_pem()), &more, NAME, now);
    }

    fn roots(&mut self, id: &str, roots: &[&Made], leaf: &Made, more: &[&Made]) {
        let more: Vec<&[u8]> = more.iter().map(|made| made.der.as_slice()).collect();
        let roots: Vec<&[u8]> = roots.iter().map(|made| made.der.as_slice()).collect();
        self.add(id, &roots, (&leaf.der, &leaf.key.serialize_pem()), &more, NAME, NOW);
    }

    fn named(&mut self, id: &str, names: Vec<SanType>, asked: &str) {
        let root = root();
        let leaf = leaf_but(&root, |params| params.subject_alt_names = names);
        self.add(id, &[&root.der], (&leaf.der, &leaf.key.serialize_pem()), &[], asked, NOW);
    }

    /// A leaf whose subjectAltName has this content, in DER.
    fn named_raw(&mut self, id: &str, critical: bool, content: &[u8], asked: &str) {
        let root = root();
        let leaf = leaf_but(&root, |params| {
            params.subject_alt_names.clear();
            params.custom_extensions.push(extension(&[2, 5, 29, 17], critical, content));
        });
        self.add(id, &[&root.der], (&leaf.der, &leaf.key.serialize_pem()), &[], asked, NOW);
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").args(args).current_dir(self.folder.path()).output().expect("openssl");
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate by openssl: `name`.crt and `name`.key, signed by `issuer` or by itself. Without `extensions` it is of
    /// version 1.
    fn certificate(
        &self,
        name: &str,
        issuer: Option<&str>,
        kind: &[&str],
        digest: &[&str],
        serial: &str,
        extensions: &str,
    ) -> Vec<u8> {
        let (key, csr, crt) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        self.openssl(&[&["genpkey", "-out", &key], kind].concat());
        self.openssl(&["req", "-new", "-key", &key, "-subj", &format!("/CN={name}"), "-out", &csr]);
        let days = ["-days", "6000", "-set_serial", serial, "-in", &csr, "-out", &crt];
        let (issuer_crt, issuer_key) =
            issuer.map_or_else(Default::default, |name| (format!("{name}.crt"), format!("{name}.key")));
        let by = match issuer {
            Some(_) => vec!["-CA", &issuer_crt, "-CAkey", &issuer_key],
            None => vec!["-signkey", &key],
        };
        let mut args = [&["x509", "-req"], &by[..], &days[..], digest].concat();
        std::fs::write(self.file("ext"), extensions).expect("written");
        if !extensions.is_empty() {
            args.extend(["-extfile", "ext"]);
        }
        self.openssl(&args);
        let text = std::fs::read(self.file(&crt)).expect("a certificate");
        clusterctl::pki::pem::certificates(&text).expect("PEM").remove(0)
    }

    fn key_of(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(&format!("{name}.key"))).expect("a key")
    }

    /// A root and a leaf by openssl.
    fn pair(&mut self, id: &str, root: (&[&str], &[&str], &str, &str), leaf: (&[&str], &[&str], &str, &str)) {
        let root_der = self.certificate("root", None, root.0, root.1, root.2, root.3);
        let leaf_der = self.certificate("leaf", Some("root"), leaf.0, leaf.1, leaf.2, leaf.3);
        let key = self.key_of("leaf");
        self.add(id, &[&root_der], (&leaf_der, &key), &[], NAME, NOW);
    }
}

const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const P521: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
const P224: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"];
const ED25519: &[&str] = &["-algorithm", "ED25519"];
const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const RSA1024: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
const RSA512: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"];
const RSA1536: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1536"];
const RSA3072: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"];
const RSA4096: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"];
const RSA_E3: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"];
const SHA256: &[&str] = &["-sha256"];
const SHA384: &[&str] = &["-sha384"];
const SHA512: &[&str] = &["-sha512"];
const SHA224: &[&str] = &["-sha224"];
const SHA1: &[&str] = &["-sha1"];
const MD5: &[&str] = &["-md5"];
const PSS: &[&str] = &["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"];
const PSS384: &[&str] = &["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:48"];
const PSS512: &[&str] = &["-sha512", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:64"];
const ROOT: &str =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
const LEAF: &str = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n\
                    subjectAltName=DNS:api.example.net\n";

/// Makes all of them.
pub(super) fn made() -> Vec<PathCase> {
    let mut corpus = Corpus { cases: Vec::new(), folder: tempfile::tempdir().expect("a folder") };
    dates(&mut corpus);
    authority(&mut corpus);
    key_usage(&mut corpus);
    extended_key_usage(&mut corpus);
    path_length(&mut corpus);
    name_constraints(&mut corpus);
    critical_extensions(&mut corpus);
    key_identifiers(&mut corpus);
    versions_and_serials(&mut corpus);
    alternatives(&mut corpus);
    strength(&mut corpus);
    names(&mut corpus);
    tools(&mut corpus);
    corpus.cases
}

fn dates(corpus: &mut Corpus) {
    let second = time::Duration::SECOND;
    let good = root();
    let plain = leaf(&good);
    corpus.path("dates/good", &good, &plain, &[]);
    corpus.at("dates/at-not-before", &good, &plain, &[], BEGIN);
    corpus.at("dates/before-not-before", &good, &plain, &[], BEGIN - second);
    corpus.at("dates/at-not-after", &good, &plain, &[], END);
    corpus.at("dates/within-the-last-second", &good, &plain, &[], END + time::Duration::milliseconds(900));
    corpus.at("dates/after-not-after", &good, &plain, &[], END + second);
    let expired = |params: &mut CertificateParams| params.not_after = NOW - second;
    let early = |params: &mut CertificateParams| params.not_before = NOW + second;
    corpus.path("dates/leaf-expired", &good, &leaf_but(&good, expired), &[]);
    corpus.path("dates/leaf-early", &good, &leaf_but(&good, early), &[]);
    let between = intermediate_but(&good, expired);
    corpus.path("dates/intermediate-expired", &good, &leaf(&between), &[&between]);
    let between = intermediate_but(&good, early);
    corpus.path("dates/intermediate-early", &good, &leaf(&between), &[&between]);
    let root = root_but(expired);
    corpus.path("dates/root-expired", &root, &leaf(&root), &[]);
    let between = intermediate(&root);
    corpus.path("dates/root-of-an-intermediate-expired", &root, &leaf(&between), &[&between]);
    let root = root_but(early);
    corpus.path("dates/root-early", &root, &leaf(&root), &[]);
    let between = intermediate_but(&good, |params| params.not_after = datetime!(2035-01-01 00:00 UTC));
    corpus.path("dates/leaf-outlives-its-issuer", &good, &leaf(&between), &[&between]);
    let inverted = |params: &mut CertificateParams| (params.not_before, params.not_after) = (END, BEGIN);
    corpus.path("dates/inverted", &good, &leaf_but(&good, inverted), &[]);
    // Issued by the root to a new key of its own: a self-issued intermediate.
    for (id, change) in [("expired", &expired as &dyn Fn(&mut CertificateParams)), ("early", &early)] {
        let between = intermediate_but(&good, |params| {
            params.distinguished_name = subject("root");
            change(params);
        });
        corpus.path(&format!("dates/self-issued-intermediate-{id}"), &good, &leaf(&between), &[&between]);
    }
    let century = |params: &mut CertificateParams| params.not_after = datetime!(9999-12-31 23:59:59 UTC);
    let forever = root_but(century);
    corpus.path("dates/no-end", &forever, &leaf_but(&forever, century), &[]);
}

fn authority(corpus: &mut Corpus) {
    let without = |params: &mut CertificateParams| params.is_ca = IsCa::NoCa;
    let explicitly_not = |params: &mut CertificateParams| params.is_ca = IsCa::ExplicitNoCa;
    let not_critical = |params: &mut CertificateParams| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, false, CA_TRUE));
    };
    let false_not_critical = |params: &mut CertificateParams| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, false, CA_FALSE));
    };
    let changes: [(&str, Change<'_>); 4] = [
        ("without-basic-constraints", &without),
        ("false", &explicitly_not),
        ("true-not-critical", &not_critical),
        ("false-not-critical", &false_not_critical),
    ];
    for (id, change) in changes {
        let odd = root_but(change);
        corpus.path(&format!("ca/root-{id}"), &odd, &leaf(&odd), &[]);
        let good = root();
        let between = intermediate_but(&good, change);
        corpus.path(&format!("ca/intermediate-{id}"), &good, &leaf(&between), &[&between]);
    }
    let good = root();
    let authority = leaf_but(&good, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    corpus.path("ca/leaf-true", &good, &authority, &[]);
    corpus.path("ca/leaf-without-basic-constraints", &good, &leaf_but(&good, without), &[]);
    let issued_by_a_leaf = leaf(&good);
    corpus.path("ca/leaf-signed-by-a-leaf", &good, &leaf(&issued_by_a_leaf), &[&issued_by_a_leaf]);
    let mut params = leaf_params();
    params.use_authority_key_identifier_extension = false;
    let itself = root_with(params, key());
    corpus.path("ca/self-signed-leaf-trusted-itself", &itself, &itself, &[]);
    corpus.path("ca/self-signed-leaf-not-trusted", &good, &itself, &[]);
    let mut params = ca_params("root");
    (params.subject_alt_names, params.extended_key_usages) = (vec![dns(NAME)], vec![Eku::ServerAuth]);
    let both = root_with(params, key());
    corpus.path("ca/root-serves-itself", &both, &both, &[]);
    let pinned = leaf(&good);
    corpus.path("ca/leaf-of-a-root-trusted-alone", &pinned, &pinned, &[]);
}

fn key_usage(corpus: &mut Corpus) {
    let usages: [(&str, Vec<Ku>); 5] = [
        ("none", vec![]),
        ("crl-sign-alone", vec![Ku::CrlSign]),
        ("digital-signature-alone", vec![Ku::DigitalSignature]),
        ("cert-sign-alone", vec![Ku::KeyCertSign]),
        ("kubeadm", vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::KeyCertSign]),
    ];
    for (id, usage) in usages {
        let odd = root_but(|params| params.key_usages.clone_from(&usage));
        corpus.path(&format!("key-usage/root-{id}"), &odd, &leaf(&odd), &[]);
        let good = root();
        let between = intermediate_but(&good, |params| params.key_usages = usage);
        corpus.path(&format!("key-usage/intermediate-{id}"), &good, &leaf(&between), &[&between]);
    }
    let good = root();
    for (id, usage) in [
        ("none", vec![]),
        ("key-encipherment-alone", vec![Ku::KeyEncipherment]),
        ("cert-sign-alone", vec![Ku::KeyCertSign]),
        ("kubeadm", vec![Ku::DigitalSignature, Ku::KeyEncipherment]),
    ] {
        corpus.path(&format!("key-usage/leaf-{id}"), &good, &leaf_but(&good, |p| p.key_usages = usage), &[]);
    }
}

fn extended_key_usage(corpus: &mut Corpus) {
    let usages: [(&str, Vec<Eku>); 7] = [
        ("none", vec![]),
        ("any", vec![Eku::Any]),
        ("client", vec![Eku::ClientAuth]),
        ("server", vec![Eku::ServerAuth]),
        ("both", vec![Eku::ServerAuth, Eku::ClientAuth]),
        ("code-signing", vec![Eku::CodeSigning]),
        ("unknown", vec![Eku::Other(vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 2])]),
    ];
    for (id, usage) in usages {
        let good = root();
        let end = leaf_but(&good, |params| params.extended_key_usages.clone_from(&usage));
        corpus.path(&format!("eku/leaf-{id}"), &good, &end, &[]);
        let between = intermediate_but(&good, |params| params.extended_key_usages.clone_from(&usage));
        corpus.path(&format!("eku/intermediate-{id}"), &good, &leaf(&between), &[&between]);
        let odd = root_but(|params| params.extended_key_usages.clone_from(&usage));
        corpus.path(&format!("eku/root-{id}"), &odd, &leaf(&odd), &[]);
        // Two intermediates, the upper one limited.
        let upper = intermediate_but(&good, |params| params.extended_key_usages = usage);
        let lower = intermediate_but(&upper, |params| params.distinguished_name = subject("lower"));
        corpus.path(&format!("eku/upper-intermediate-{id}"), &good, &leaf(&lower), &[&lower, &upper]);
    }
    let good = root();
    let between = intermediate_but(&good, |params| params.extended_key_usages = vec![Eku::Any]);
    let end = leaf_but(&between, |params| params.extended_key_usages = vec![]);
    corpus.path("eku/any-above-none", &good, &end, &[&between]);
    let critical = leaf_but(&good, |params| {
        params.extended_key_usages.clear();
        let server = [0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
        params.custom_extensions.push(extension(&[2, 5, 29, 37], true, &server));
    });
    corpus.path("eku/leaf-critical", &good, &critical, &[]);
}

fn path_length(corpus: &mut Corpus) {
    let limited = |limit: u8| {
        move |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit));
        }
    };
    for limit in [0, 1, 2] {
        let good = root_but(limited(limit));
        let first = intermediate(&good);
        let second = intermediate_but(&first, |params| params.distinguished_name = subject("second"));
        corpus.path(&format!("pathlen/root-{limit}-none-between"), &good, &leaf(&good), &[]);
        corpus.path(&format!("pathlen/root-{limit}-one-between"), &good, &leaf(&first), &[&first]);
        corpus.path(&format!("pathlen/root-{limit}-two-between"), &good, &leaf(&second), &[&second, &first]);
    }
    let good = root();
    let first = intermediate_but(&good, limited(0));
    let second = intermediate_but(&first, |params| params.distinguished_name = subject("second"));
    corpus.path("pathlen/intermediate-0-none-below", &good, &leaf(&first), &[&first]);
    corpus.path("pathlen/intermediate-0-one-below", &good, &leaf(&second), &[&second, &first]);
    let renewed = intermediate_but(&first, |params| params.distinguished_name = subject("intermediate"));
    corpus.path("pathlen/intermediate-0-self-issued-below", &good, &leaf(&renewed), &[&renewed, &first]);
    let strict = root_but(limited(0));
    let renewed = intermediate_but(&strict, |params| params.distinguished_name = subject("root"));
    corpus.path("pathlen/root-0-self-issued-between", &strict, &leaf(&renewed), &[&renewed]);
    let without_ca = [0x30, 0x03, 0x02, 0x01, 0x00];
    let odd = leaf_but(&good, |params| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, true, &without_ca));
    });
    corpus.path("pathlen/leaf-without-ca", &good, &odd, &[]);
    let negative = [0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0xff];
    let odd = root_but(|params| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, true, &negative));
    });
    corpus.path("pathlen/root-negative", &odd, &leaf(&odd), &[]);
    let mut chain = vec![root()];
    for step in 0..8 {
        let next =
            intermediate_but(&chain[step], |params| params.distinguished_name = subject(&format!("step {step}")));
        chain.push(next);
    }
    let sent: Vec<&Made> = chain[1..].iter().rev().collect();
    let end = leaf(&chain[8]);
    corpus.path("pathlen/eight-between", &chain[0], &end, &sent);
}

fn name_constraints(corpus: &mut Corpus) {
    let permits =
        |subtrees: Vec<GeneralSubtree>| NameConstraints { permitted_subtrees: subtrees, excluded_subtrees: vec![] };
    let excludes =
        |subtrees: Vec<GeneralSubtree>| NameConstraints { permitted_subtrees: vec![], excluded_subtrees: subtrees };
    let domain = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let net = |a: [u8; 4], bits| GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(a, bits));
    let constraints: Vec<(&str, NameConstraints)> = vec![
        ("permits-the-domain", permits(vec![domain("example.net")])),
        ("permits-the-name", permits(vec![domain(NAME)])),
        ("permits-with-a-dot", permits(vec![domain(".example.net")])),
        ("permits-another", permits(vec![domain("example.org")])),
        ("permits-a-part-of-a-label", permits(vec![domain("ample.net")])),
        ("permits-all", permits(vec![domain("")])),
        ("excludes-the-domain", excludes(vec![domain("example.net")])),
        ("excludes-another", excludes(vec![domain("example.org")])),
        ("permits-addresses-alone", permits(vec![net([10, 0, 0, 0], 8)])),
        ("excludes-all-addresses", excludes(vec![net([0, 0, 0, 0], 0)])),
        ("permits-mail-alone", permits(vec![GeneralSubtree::Rfc822Name("example.net".into())])),
        ("permits-a-directory-name", permits(vec![GeneralSubtree::DirectoryName(subject("kube-apiserver"))])),
        ("excludes-a-directory-name", excludes(vec![GeneralSubtree::DirectoryName(subject("kube-apiserver"))])),
    ];
    for (id, limits) in constraints {
        let odd = root_but(|params| params.name_constraints = Some(limits.clone()));
        corpus.path(&format!("name-constraints/root-{id}"), &odd, &leaf(&odd), &[]);
        let good = root();
        let between = intermediate_but(&good, |params| params.name_constraints = Some(limits));
        corpus.path(&format!("name-constraints/intermediate-{id}"), &good, &leaf(&between), &[&between]);
    }
    let good = root();
    for (id, limits, name, asked) in [
        ("address-within", permits(vec![net([10, 0, 0, 0], 8)]), ip("10.1.2.3"), "10.1.2.3"),
        ("address-outside", permits(vec![net([10, 0, 0, 0], 8)]), ip("192.168.1.1"), "192.168.1.1"),
        ("address-excluded", excludes(vec![net([10, 0, 0, 0], 8)]), ip("10.1.2.3"), "10.1.2.3"),
        ("address-under-names", permits(vec![domain("example.net")]), ip("10.1.2.3"), "10.1.2.3"),
        ("wildcard-within", permits(vec![domain("example.net")]), dns("*.example.net"), NAME),
        ("wildcard-excluded-name", excludes(vec![domain(NAME)]), dns("*.example.net"), NAME),
        ("wildcard-permitted-name", permits(vec![domain(NAME)]), dns("*.example.net"), NAME),
        ("capitals", permits(vec![domain("EXAMPLE.net")]), dns("api.Example.NET"), NAME),
    ] {
        let between = intermediate_but(&good, |params| params.name_constraints = Some(limits));
        let end = leaf_but(&between, |params| params.subject_alt_names = vec![name]);
        let key = end.key.serialize_pem();
        corpus.add(&format!("name-constraints/{id}"), &[&good.der], (&end.der, &key), &[&between.der], asked, NOW);
    }
    // permittedSubtrees [0] { dNSName example.org }, not critical.
    let other = b"\x30\x11\xa0\x0f\x30\x0d\x82\x0bexample.org";
    let odd = root_but(|params| params.custom_extensions.push(extension(&[2, 5, 29, 30], false, other)));
    corpus.path("name-constraints/root-not-critical-another", &odd, &leaf(&odd), &[]);
    let between = intermediate_but(&good, |params| {
        params.custom_extensions.push(extension(&[2, 5, 29, 30], false, other));
    });
    corpus.path("name-constraints/intermediate-not-critical-another", &good, &leaf(&between), &[&between]);
    let with_mail = leaf_but(&good, |params| {
        params.custom_extensions.push(extension(&[2, 5, 29, 30], true, other));
    });
    corpus.path("name-constraints/leaf-has-some", &good, &with_mail, &[]);
    // A URI that is constrained; the name asked for is not.
    let uri = b"\x30\x11\xa0\x0f\x30\x0d\x86\x0bexample.org";
    let between = intermediate_but(&good, |params| {
        params.custom_extensions.push(extension(&[2, 5, 29, 30], true, uri));
    });
    let end = leaf_but(&between, |params| {
        params.subject_alt_names.push(SanType::URI(Ia5String::try_from("spiffe://example.net/a").expect("ASCII")));
    });
    corpus.path("name-constraints/uri-outside", &good, &end, &[&between]);
    corpus.path("name-constraints/uri-constrained-and-none-there", &good, &leaf(&between), &[&between]);
}

fn critical_extensions(corpus: &mut Corpus) {
    for (id, critical) in [("critical", true), ("not-critical", false)] {
        let odd = |params: &mut CertificateParams| params.custom_extensions.push(extension(UNKNOWN, critical, &[5, 0]));
        let good = root();
        corpus.path(&format!("unknown-extension/leaf-{id}"), &good, &leaf_but(&good, odd), &[]);
        let between = intermediate_but(&good, odd);
        corpus.path(&format!("unknown-extension/intermediate-{id}"), &good, &leaf(&between), &[&between]);
        let strange = root_but(odd);
        corpus.path(&format!("unknown-extension/root-{id}"), &strange, &leaf(&strange), &[]);
        corpus.path(&format!("unknown-extension/unused-intermediate-{id}"), &good, &leaf(&good), &[&between]);
        corpus.roots(&format!("unknown-extension/unused-root-{id}"), &[&good, &strange], &leaf(&good), &[]);
    }
    let good = root();
    // Extensions that have names and are rare: policies, CRL and OCSP addresses, policy constraints, subject information.
    let policies = [0x30, 0x06, 0x30, 0x04, 0x06, 0x02, 0x2a, 0x03];
    let points = b"\x30\x14\x30\x12\xa0\x10\xa0\x0e\x86\x0chttp://a/crl";
    let access = b"\x30\x13\x30\x11\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86\x05a:b/c";
    let no_policy = [0x30, 0x03, 0x80, 0x01, 0x00];
    for (id, oid, content) in [
        ("policies", &[2, 5, 29, 32][..], &policies[..]),
        ("crl-distribution-points", &[2, 5, 29, 31], points),
        ("authority-information", &[1, 3, 6, 1, 5, 5, 7, 1, 1], access),
        ("policy-constraints", &[2, 5, 29, 36], &no_policy),
        ("inhibit-any-policy", &[2, 5, 29, 54], &[2, 1, 0]),
        ("must-staple", &[1, 3, 6, 1, 5, 5, 7, 1, 24], &[0x30, 0x03, 0x02, 0x01, 0x05]),
        ("subject-directory", &[2, 5, 29, 9], &[0x30, 0x00]),
        ("netscape-type", &[2, 16, 840, 1, 113_730, 1, 1], &[0x03, 0x02, 0x06, 0x40]),
        ("netscape-comment", &[2, 16, 840, 1, 113_730, 1, 13], &[0x16, 0x02, 0x68, 0x69]),
    ] {
        for critical in [false, true] {
            let odd = leaf_but(&good, |params| params.custom_extensions.push(extension(oid, critical, content)));
            let word = if critical { "critical" } else { "not-critical" };
            corpus.path(&format!("extension/leaf-{id}-{word}"), &good, &odd, &[]);
            let between =
                intermediate_but(&good, |params| params.custom_extensions.push(extension(oid, critical, content)));
            corpus.path(&format!("extension/intermediate-{id}-{word}"), &good, &leaf(&between), &[&between]);
        }
    }
    let twice = leaf_but(&good, |params| {
        params.custom_extensions.push(extension(UNKNOWN, false, &[5, 0]));
        params.custom_extensions.push(extension(UNKNOWN, false, &[5, 0]));
    });
    corpus.path("extension/leaf-the-same-twice", &good, &twice, &[]);
    let twice = root_but(|params| {
        params.custom_extensions.push(extension(UNKNOWN, false, &[5, 0]));
        params.custom_extensions.push(extension(UNKNOWN, false, &[5, 0]));
    });
    corpus.path("extension/root-the-same-twice", &twice, &leaf(&twice), &[]);
    let damaged = leaf_but(&good, |params| {
        params.extended_key_usages.clear();
        params.custom_extensions.push(extension(&[2, 5, 29, 37], false, &[0x30, 0x7f]));
    });
    corpus.path("extension/leaf-damaged-eku", &good, &damaged, &[]);
    let damaged = intermediate_but(&good, |params| {
        params.custom_extensions.push(extension(&[2, 5, 29, 30], false, &[0x30, 0x7f]));
    });
    corpus.path("extension/unused-intermediate-damaged", &good, &leaf(&good), &[&damaged]);
    corpus.path("extension/intermediate-damaged", &good, &leaf(&damaged), &[&damaged]);
}

fn key_identifiers(corpus: &mut Corpus) {
    let good = root();
    let aki = |content: &'static [u8], critical| {
        move |params: &mut CertificateParams| {
            params.use_authority_key_identifier_extension = false;
            params.custom_extensions.push(extension(&[2, 5, 29, 35], critical, content));
        }
    };
    let other = b"\x30\x06\x80\x04\x01\x02\x03\x04";
    corpus.path("key-identifiers/leaf-other", &good, &leaf_but(&good, aki(other, false)), &[]);
    corpus.path("key-identifiers/leaf-critical", &good, &leaf_but(&good, aki(other, true)), &[]);
    corpus.path("key-identifiers/leaf-empty", &good, &leaf_but(&good, aki(b"\x30\x00", false)), &[]);
    let none = leaf_but(&good, |params| params.use_authority_key_identifier_extension = false);
    corpus.path("key-identifiers/leaf-none", &good, &none, &[]);
    // keyid and serial without an issuer's name.
    let serial = b"\x30\x09\x80\x04\x01\x02\x03\x04\x82\x01\x05";
    corpus.path("key-identifiers/leaf-with-a-serial", &good, &leaf_but(&good, aki(serial, false)), &[]);
    let between = intermediate_but(&good, aki(other, false));
    corpus.path("key-identifiers/intermediate-other", &good, &leaf(&between), &[&between]);
    let odd = root_but(|params| params.key_identifier_method = KeyIdMethod::PreSpecified(vec![1, 2, 3]));
    corpus.path("key-identifiers/root-of-its-own-choice", &odd, &leaf(&odd), &[]);
    // Two roots with one name; the key identifier points to the wrong one.
    let twin = root();
    let confused = leaf_but(&good, |params| {
        params.use_authority_key_identifier_extension = false;
        let id = twin.params.key_identifier(&twin.key);
        let mut content =
            vec![0x30, u8::try_from(id.len()).expect("short") + 2, 0x80, u8::try_from(id.len()).expect("short")];
        content.extend(id);
        params.custom_extensions.push(extension(&[2, 5, 29, 35], false, &content));
    });
    corpus.roots("key-identifiers/leaf-names-the-twin", &[&good, &twin], &confused, &[]);
    corpus.roots("key-identifiers/twin-alone", &[&twin], &leaf(&good), &[]);
    corpus.roots("key-identifiers/twin-first", &[&twin, &good], &leaf(&good), &[]);
    let ski_critical = root_but(|params| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, true, CA_TRUE));
        params.custom_extensions.push(extension(&[2, 5, 29, 14], true, &[4, 2, 1, 2]));
    });
    corpus.path("key-identifiers/root-critical", &ski_critical, &leaf(&ski_critical), &[]);
    let no_ski = root_but(|params| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, true, CA_TRUE));
    });
    corpus.path("key-identifiers/root-none", &no_ski, &leaf(&no_ski), &[]);
}

fn versions_and_serials(corpus: &mut Corpus) {
    corpus.pair("version/root-1", (P256, SHA256, "7", ""), (P256, SHA256, "8", LEAF));
    corpus.pair("version/leaf-1", (P256, SHA256, "7", ROOT), (P256, SHA256, "8", ""));
    let root_der = corpus.certificate("root", None, P256, SHA256, "7", ROOT);
    let between = corpus.certificate("between", Some("root"), P256, SHA256, "9", "");
    let end = corpus.certificate("leaf", Some("between"), P256, SHA256, "8", LEAF);
    let key = corpus.key_of("leaf");
    corpus.add("version/intermediate-1", &[&root_der], (&end, &key), &[&between], NAME, NOW);
    let long = "0x7fffffffffffffffffffffffffffffffffffffff";
    let longer = "0x7fffffffffffffffffffffffffffffffffffffffff";
    for (id, serial) in [
        ("zero", "0"),
        ("negative", "-5"),
        ("negative-long", "-0x7ffffffffffffffffffffff"),
        ("20-octets", long),
        ("21-octets", longer),
    ] {
        corpus.pair(&format!("serial/root-{id}"), (P256, SHA256, serial, ROOT), (P256, SHA256, "8", LEAF));
        corpus.pair(&format!("serial/leaf-{id}"), (P256, SHA256, "7", ROOT), (P256, SHA256, serial, LEAF));
        let root_der = corpus.certificate("root", None, P256, SHA256, "7", ROOT);
        let between = corpus.certificate("between", Some("root"), P256, SHA256, serial, ROOT);
        let end = corpus.certificate("leaf", Some("between"), P256, SHA256, "8", LEAF);
        let key = corpus.key_of("leaf");
        corpus.add(&format!("serial/intermediate-{id}"), &[&root_der], (&end, &key), &[&between], NAME, NOW);
        let direct = corpus.certificate("leaf", Some("root"), P256, SHA256, "8", LEAF);
        let key = corpus.key_of("leaf");
        corpus.add(&format!("serial/unused-intermediate-{id}"), &[&root_der], (&direct, &key), &[&between], NAME, NOW);
        let odd = corpus.certificate("odd", None, P256, SHA256, serial, ROOT);
        corpus.add(&format!("serial/unused-root-{id}"), &[&root_der, &odd], (&direct, &key), &[], NAME, NOW);
    }
}

fn alternatives(corpus: &mut Corpus) {
    let good = root();
    let between = intermediate(&good);
    let end = leaf(&between);
    corpus.path("path/intermediate", &good, &end, &[&between]);
    corpus.path("path/intermediate-missing", &good, &end, &[]);
    corpus.path("path/with-its-root", &good, &end, &[&between, &good]);
    corpus.path("path/root-before-the-intermediate", &good, &end, &[&good, &between]);
    corpus.path("path/intermediate-trusted-too", &between, &end, &[&between]);
    corpus.path("path/intermediate-trusted-alone", &between, &end, &[]);
    corpus.path("path/intermediate-trusted-and-root-sent", &between, &end, &[&between, &good]);
    corpus.roots("path/intermediate-and-root-trusted", &[&between, &good], &end, &[]);
    corpus.path("path/the-same-twice", &good, &end, &[&between, &between]);
    corpus.path("path/leaf-sent-twice", &good, &end, &[&end, &between]);
    let second = intermediate_but(&between, |params| params.distinguished_name = subject("second"));
    let deep = leaf(&second);
    corpus.path("path/in-order", &good, &deep, &[&second, &between]);
    corpus.path("path/out-of-order", &good, &deep, &[&between, &second]);
    corpus.path("path/one-missing", &good, &deep, &[&second]);

    // A root that was cross-signed by an older one.
    let old = root_but(|params| params.distinguished_name = subject("old root"));
    let expired_old = root_but(|params| {
        params.distinguished_name = subject("old root");
        params.not_after = NOW - time::Duration::DAY;
    });
    let cross = |issuer: &Made, change: &dyn Fn(&mut CertificateParams)| {
        let mut params = good.params.clone();
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let copy = KeyPair::from_pem(&good.key.serialize_pem()).expect("a key");
        signed(issuer, params, copy)
    };
    let fine = cross(&old, &|_| ());
    let ended = cross(&old, &|params| params.not_after = NOW - time::Duration::DAY);
    let early = cross(&old, &|params| params.not_before = NOW + time::Duration::DAY);
    let client = cross(&old, &|params| params.extended_key_usages = vec![Eku::ClientAuth]);
    corpus.path("path/cross-signed-by-the-old-root", &old, &end, &[&between, &fine]);
    corpus.path("path/cross-signed-new-root-trusted", &good, &end, &[&between, &fine]);
    corpus.roots("path/cross-signed-both-trusted", &[&old, &good], &end, &[&between, &fine]);
    corpus.path("path/expired-cross-beside", &good, &end, &[&between, &ended]);
    corpus.path("path/early-cross-beside", &good, &end, &[&between, &early]);
    corpus.path("path/client-cross-beside", &good, &end, &[&between, &client]);
    corpus.path("path/expired-cross-needed", &old, &end, &[&between, &ended]);
    corpus.path("path/client-cross-needed", &old, &end, &[&between, &client]);
    corpus.path("path/expired-cross-first", &old, &end, &[&between, &ended, &fine]);
    corpus.roots("path/expired-old-root-beside", &[&expired_old, &good], &end, &[&between, &fine]);
    let cross_of_expired = cross(&expired_old, &|_| ());
    corpus.roots("path/cross-of-an-expired-root", &[&expired_old, &good], &end, &[&between, &cross_of_expired]);
    corpus.path("path/cross-of-an-expired-root-needed", &expired_old, &end, &[&between, &cross_of_expired]);

    // What stands behind the path.
    let old_leaf = leaf_but(&between, |params| params.not_after = NOW - time::Duration::DAY);
    corpus.path("path/old-leaf-beside", &good, &end, &[&between, &old_leaf]);
    let renew = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = between.params.clone();
        change(&mut params);
        let copy = KeyPair::from_pem(&between.key.serialize_pem()).expect("a key");
        signed(&good, params, copy)
    };
    let old_between = renew(&|params| params.not_after = NOW - time::Duration::DAY);
    let later = renew(&|params| params.not_before = NOW + time::Duration::DAY);
    corpus.path("path/old-intermediate-beside", &good, &end, &[&between, &old_between]);
    corpus.path("path/old-intermediate-first", &good, &end, &[&old_between, &between]);
    corpus.path("path/later-intermediate-beside", &good, &end, &[&between, &later]);
    corpus.path("path/old-intermediate-alone", &good, &end, &[&old_between]);
    let stranger = root_but(|params| params.distinguished_name = subject("stranger"));
    let unrelated = intermediate_but(&stranger, |params| params.distinguished_name = subject("unrelated"));
    corpus.path("path/unrelated-beside", &good, &end, &[&between, &unrelated, &stranger]);
    corpus.path("path/of-another-root", &stranger, &end, &[&between]);
    corpus.path("path/of-another-root-that-is-sent", &stranger, &end, &[&between, &good]);
    let twin = intermediate(&stranger);
    corpus.path("path/intermediate-of-the-same-name-beside", &good, &end, &[&twin, &between]);
    corpus.path("path/intermediate-of-the-same-name-alone", &good, &end, &[&twin]);

    // CaSet that were renewed with the same key, and with another.
    let renewed = |not_after| {
        let mut params = good.params.clone();
        params.not_after = not_after;
        let copy = KeyPair::from_pem(&good.key.serialize_pem()).expect("a key");
        root_with(params, copy)
    };
    let expired = renewed(NOW - time::Duration::DAY);
    corpus.roots("roots/expired-of-the-same-key-beside", &[&expired, &good], &end, &[&between]);
    corpus.roots("roots/expired-of-the-same-key-alone", &[&expired], &end, &[&between]);
    let other = root();
    corpus.roots("roots/other-key-beside", &[&other, &good], &end, &[&between]);
    let expired_other = root_but(|params| params.not_after = NOW - time::Duration::DAY);
    corpus.roots("roots/expired-other-key-beside", &[&expired_other, &good], &end, &[&between]);
    corpus.roots("roots/the-same-twice", &[&good, &good], &end, &[&between]);
    corpus.roots("roots/leaf-in-the-file", &[&end, &good], &end, &[&between]);
    corpus.roots("roots/another-leaf-in-the-file", &[&leaf(&good), &good], &end, &[&between]);
    let no_ca = root_but(|params| params.is_ca = IsCa::ExplicitNoCa);
    corpus.roots("roots/no-ca-beside", &[&no_ca, &good], &end, &[&between]);

    // Signatures that are not the issuer's.
    let mut broken = end.der.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let key = end.key.serialize_pem();
    corpus.add("path/leaf-signature-broken", &[&good.der], (&broken, &key), &[&between.der], NAME, NOW);
    let mut broken = between.der.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    corpus.add("path/intermediate-signature-broken", &[&good.der], (&end.der, &key), &[&broken], NAME, NOW);
    corpus.add("path/unused-signature-broken", &[&between.der], (&end.der, &key), &[&broken], NAME, NOW);
    let mut broken = good.der.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    corpus.add("path/root-signature-broken", &[&broken], (&end.der, &key), &[&between.der], NAME, NOW);
    corpus.add(
        "path/garbage-beside",
        &[&good.der],
        (&end.der, &key),
        &[&between.der, b"\x30\x03\x02\x01\x01"],
        NAME,
        NOW,
    );
    let mut trailing = between.der.clone();
    trailing.push(0);
    corpus.add("path/bytes-behind-an-unused-one", &[&between.der], (&end.der, &key), &[&trailing], NAME, NOW);
    let mut trailing = end.der.clone();
    trailing.push(0);
    corpus.add("path/bytes-behind-the-leaf", &[&good.der], (&trailing, &key), &[&between.der], NAME, NOW);
}

fn strength(corpus: &mut Corpus) {
    for (id, kind, digest) in [
        ("p256-sha256", P256, SHA256),
        ("p256-sha384", P256, SHA384),
        ("p256-sha512", P256, SHA512),
        ("p256-sha224", P256, SHA224),
        ("p256-sha1", P256, SHA1),
        ("p384-sha384", P384, SHA384),
        ("p384-sha256", P384, SHA256),
        ("p384-sha512", P384, SHA512),
        ("p521-sha512", P521, SHA512),
        ("p521-sha256", P521, SHA256),
        ("p224-sha256", P224, SHA256),
        ("ed25519", ED25519, &[]),
        ("rsa512-sha256", RSA512, SHA256),
        ("rsa1024-sha256", RSA1024, SHA256),
        ("rsa1536-sha256", RSA1536, SHA256),
        ("rsa2048-sha256", RSA, SHA256),
        ("rsa2048-sha384", RSA, SHA384),
        ("rsa2048-sha512", RSA, SHA512),
        ("rsa2048-sha224", RSA, SHA224),
        ("rsa2048-sha1", RSA, SHA1),
        ("rsa2048-md5", RSA, MD5),
        ("rsa2048-pss-sha256", RSA, PSS),
        ("rsa2048-pss-sha384", RSA, PSS384),
        ("rsa2048-pss-sha512", RSA, PSS512),
        ("rsa2048-exponent-3", RSA_E3, SHA256),
        ("rsa3072-sha256", RSA3072, SHA256),
        ("rsa4096-sha256", RSA4096, SHA256),
    ] {
        // The root signs itself and the leaf with it.
        corpus.pair(&format!("strength/root-{id}"), (kind, digest, "7", ROOT), (P256, digest, "8", LEAF));
        if !digest.is_empty() && id.ends_with("sha256") || id.starts_with("ed") || id == "p521-sha512" {
            corpus.pair(&format!("strength/leaf-key-{id}"), (P256, SHA256, "7", ROOT), (kind, SHA256, "8", LEAF));
        }
    }
    // A root's own signature is nobody's business: it is trusted for its key.
    for (id, kind, digest) in [("sha1", RSA, SHA1), ("md5", RSA, MD5), ("p521-sha1", P521, SHA1)] {
        corpus.pair(
            &format!("strength/root-self-signed-with-{id}"),
            (kind, digest, "7", ROOT),
            (P256, SHA256, "8", LEAF),
        );
    }
    for (id, kind, digest) in [("sha1", P256, SHA1), ("rsa1024", RSA1024, SHA256), ("p521", P521, SHA512)] {
        let root_der = corpus.certificate("root", None, P256, SHA256, "7", ROOT);
        let between =
            corpus.certificate("between", Some("root"), kind, if id == "sha1" { digest } else { SHA256 }, "9", ROOT);
        let end =
            corpus.certificate("leaf", Some("between"), P256, if id == "sha1" { SHA256 } else { digest }, "8", LEAF);
        let key = corpus.key_of("leaf");
        corpus.add(&format!("strength/intermediate-{id}"), &[&root_der], (&end, &key), &[&between], NAME, NOW);
        let direct = corpus.certificate("leaf", Some("root"), P256, SHA256, "8", LEAF);
        let key = corpus.key_of("leaf");
        corpus.add(
            &format!("strength/unused-intermediate-{id}"),
            &[&root_der],
            (&direct, &key),
            &[&between],
            NAME,
            NOW,
        );
    }
}

fn names(corpus: &mut Corpus) {
    let both = || vec![dns(NAME), ip("10.0.0.1"), ip("fd00::1"), dns("kubernetes"), dns("kubernetes.default.svc")];
    for asked in [
        NAME,
        "10.0.0.1",
        "fd00::1",
        "kubernetes",
        "kubernetes.default.svc",
        "10.0.0.2",
        "fd00::2",
        "kubernetes.default",
        "API.Example.NET",
        "api.example.net.",
    ] {
        corpus.named(&format!("names/asked-for-{asked}"), both(), asked);
    }
    for (id, name, asked) in [
        ("ip-as-dns", dns("10.0.0.1"), "10.0.0.1"),
        ("ipv6-as-dns", dns("fd00::1"), "fd00::1"),
        ("capitals", dns("API.Example.NET"), NAME),
        ("wildcard", dns("*.example.net"), NAME),
        ("wildcard-two-labels", dns("*.example.net"), "a.api.example.net"),
        ("wildcard-apex", dns("*.example.net"), "example.net"),
        ("wildcard-top", dns("*.net"), "example.net"),
        ("wildcard-alone", dns("*"), "localhost"),
        ("wildcard-alone-for-two", dns("*"), NAME),
        ("wildcard-part", dns("a*.example.net"), NAME),
        ("wildcard-part-behind", dns("*i.example.net"), NAME),
        ("wildcard-second", dns("api.*.net"), NAME),
        ("wildcard-twice", dns("*.*.net"), NAME),
        ("wildcard-capitals", dns("*.EXAMPLE.net"), NAME),
        ("wildcard-single-label", dns("*.local"), "node1.local"),
        ("trailing-dot", dns("api.example.net."), NAME),
        ("leading-dot", dns(".example.net"), NAME),
        ("underscore", dns("api_1.example.net"), "api_1.example.net"),
        ("single-label", dns("node1"), "node1"),
        ("digits", dns("123"), "123"),
        ("punycode", dns("xn--bcher-kva.example"), "xn--bcher-kva.example"),
        ("space", dns("api example.net"), NAME),
        ("empty", dns(""), NAME),
        ("hyphens", dns("-api.example.net"), "-api.example.net"),
        ("with-port", dns("api.example.net:6443"), NAME),
        ("with-scheme", dns("https://api.example.net"), NAME),
        ("ipv4-mapped", ip("::ffff:10.0.0.1"), "10.0.0.1"),
        ("ipv4-asked-as-mapped", ip("10.0.0.1"), "::ffff:10.0.0.1"),
        ("ipv6-other-spelling", ip("fd00::1"), "fd00:0:0:0:0:0:0:1"),
        ("another", dns("other.example.net"), NAME),
        ("mail-alone", SanType::Rfc822Name(Ia5String::try_from("a@example.net").expect("ASCII")), NAME),
        ("uri-alone", SanType::URI(Ia5String::try_from("https://api.example.net").expect("ASCII")), NAME),
    ] {
        corpus.named(&format!("names/{id}"), vec![name], asked);
    }
    corpus.named("names/good-beside-a-wrong-one", vec![dns("bad name"), dns(NAME)], NAME);
    corpus.named("names/many", (0..300).map(|i| dns(&format!("n{i}.example.net"))).chain([dns(NAME)]).collect(), NAME);
    let root = root();
    let common_name = leaf_but(&root, |params| {
        params.subject_alt_names.clear();
        params.distinguished_name = subject(NAME);
    });
    corpus.path("names/common-name-alone", &root, &common_name, &[]);
    let nameless = leaf_but(&root, |params| params.distinguished_name = DistinguishedName::new());
    corpus.path("names/no-subject", &root, &nameless, &[]);
    let good = [&[0x30, 0x11, 0x82, 0x0f][..], NAME.as_bytes()].concat();
    corpus.named_raw("names/critical", true, &good, NAME);
    corpus.named_raw("names/none-in-the-extension", false, &[0x30, 0x00], NAME);
    corpus.named_raw(
        "names/address-of-five-octets",
        false,
        &[&[0x30, 0x18, 0x82, 0x0f][..], NAME.as_bytes(), &[0x87, 0x05, 1, 2, 3, 4, 5]].concat(),
        NAME,
    );
    corpus.named_raw(
        "names/address-with-a-mask",
        false,
        &[0x30, 0x0a, 0x87, 0x08, 10, 0, 0, 1, 255, 0, 0, 0],
        "10.0.0.1",
    );
    corpus.named_raw("names/not-ascii", false, b"\x30\x06\x82\x04\xc3\xa4.a", NAME);
    corpus.named_raw(
        "names/latin-1-beside",
        false,
        &[&[0x30, 0x17, 0x82, 0x0f][..], NAME.as_bytes(), b"\x82\x04\xe4.ab"].concat(),
        NAME,
    );
    corpus.named_raw("names/nul-inside", false, b"\x30\x13\x82\x11api.example\0.net.a", NAME);
    corpus.named_raw(
        "names/other-name-beside",
        false,
        &[
            &[0x30, 0x1b, 0x82, 0x0f][..],
            NAME.as_bytes(),
            &[0xa0, 0x08, 0x06, 0x02, 0x2a, 0x03, 0xa0, 0x02, 0x05, 0x00],
        ]
        .concat(),
        NAME,
    );
    corpus.named_raw(
        "names/registered-id-beside",
        false,
        &[&[0x30, 0x15, 0x82, 0x0f][..], NAME.as_bytes(), &[0x88, 0x02, 0x2a, 0x03]].concat(),
        NAME,
    );
    corpus.named_raw("names/extension-cut", false, &good[..10], NAME);
    corpus.named_raw(
        "names/uri-damaged-beside",
        false,
        &[&[0x30, 0x16, 0x82, 0x0f][..], NAME.as_bytes(), b"\x86\x03:::"].concat(),
        NAME,
    );
    corpus.named_raw(
        "names/mail-without-at-beside",
        false,
        &[&[0x30, 0x16, 0x82, 0x0f][..], NAME.as_bytes(), b"\x81\x03abc"].concat(),
        NAME,
    );
}

/// Trust files and serving certificates as the tools in use write them.
fn tools(corpus: &mut Corpus) {
    let server = |ku: Vec<Ku>, eku: Vec<Eku>, is_ca: IsCa| {
        move |params: &mut CertificateParams| {
            (params.key_usages, params.extended_key_usages, params.is_ca) = (ku, eku, is_ca);
        }
    };
    let usual = vec![Ku::DigitalSignature, Ku::KeyEncipherment];
    for (id, serial) in [("kubeadm", 1_234_567_890), ("kubeadm-before-mid-2023", 0)] {
        let made = root_but(|params| {
            params.distinguished_name = subject("kubernetes");
            params.subject_alt_names = vec![dns("kubernetes")];
            params.key_usages = vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::KeyCertSign];
            params.serial_number = Some(SerialNumber::from(serial));
        });
        let end = leaf_but(&made, server(usual.clone(), vec![Eku::ServerAuth], IsCa::ExplicitNoCa));
        corpus.path(&format!("tools/{id}"), &made, &end, &[]);
    }
    for (id, name, serial) in [
        ("k3s", "k3s-server-ca@1700000000", 0),
        ("rke2", "rke2-server-ca@1700000000", 0),
        ("k3s-of-today", "k3s-server-ca@1790000000", 77),
    ] {
        let made = root_but(|params| {
            params.distinguished_name = subject(name);
            params.key_usages = vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::KeyCertSign];
            params.serial_number = Some(SerialNumber::from(serial));
        });
        let end = leaf_but(&made, server(usual.clone(), vec![Eku::ServerAuth], IsCa::NoCa));
        corpus.path(&format!("tools/{id}"), &made, &end, &[]);
        corpus.path(&format!("tools/{id}-with-its-root"), &made, &end, &[&made]);
    }
    let talos = root_but(|params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "kubernetes");
        params.key_usages = vec![Ku::DigitalSignature, Ku::KeyCertSign];
        params.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
    });
    let end = leaf_but(&talos, server(usual.clone(), vec![Eku::ServerAuth, Eku::ClientAuth], IsCa::NoCa));
    corpus.path("tools/talos", &talos, &end, &[]);
    let plain_leaf = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n\
                      subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\nsubjectAltName=DNS:api.example.net,IP:10.0.0.1\n";
    for (id, kind, extensions) in [
        (
            "talos-os",
            ED25519,
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature,keyCertSign\nextendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier=hash\n",
        ),
        ("the-hard-way", RSA4096, "basicConstraints=CA:TRUE\nkeyUsage=cRLSign,keyCertSign\n"),
        (
            "the-hard-way-by-cfssl",
            RSA,
            "basicConstraints=critical,CA:TRUE,pathlen:2\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
        ),
        (
            "openssl-defaults",
            RSA,
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nbasicConstraints=critical,CA:TRUE\n",
        ),
        ("openssl-genrsa-and-x509", RSA, ""),
        (
            "cfssl",
            P256,
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n",
        ),
        (
            "easy-rsa",
            RSA,
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer:always\nbasicConstraints=CA:TRUE\nkeyUsage=cRLSign,keyCertSign\n",
        ),
        (
            "easy-rsa-2",
            RSA,
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer:always\nbasicConstraints=CA:TRUE\n",
        ),
    ] {
        let digest = if kind == ED25519 { &[][..] } else { SHA256 };
        corpus.pair(
            &format!("tools/{id}"),
            (kind, digest, "0x1234567890abcdef", extensions),
            (RSA, digest, "0x2345", plain_leaf),
        );
    }
    let step = root_but(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    let step_between = intermediate_but(&step, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let end =
        leaf_but(&step_between, server(vec![Ku::DigitalSignature], vec![Eku::ServerAuth, Eku::ClientAuth], IsCa::NoCa));
    corpus.path("tools/step", &step, &end, &[&step_between]);
    corpus.path("tools/step-without-its-intermediate", &step, &end, &[]);
    corpus.path("tools/step-intermediate-trusted", &step_between, &end, &[]);
    // kubeadm with an external CA: the intermediate is in ca.crt, alone or with its root.
    let external = intermediate_but(&step, |params| params.distinguished_name = subject("kubernetes"));
    let end = leaf(&external);
    corpus.roots("tools/kubeadm-external-ca", &[&external, &step], &end, &[]);
    corpus.roots("tools/kubeadm-external-ca-alone", &[&external], &end, &[]);
    // A kubelet that signs its own certificate.
    let mut own = ca_params("node1-ca@1700000000");
    own.key_usages = vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::KeyCertSign];
    let own = root_with(own, key());
    let end = leaf_but(&own, server(usual, vec![Eku::ServerAuth], IsCa::NoCa));
    corpus.path("tools/kubelet-self-signed", &step, &end, &[&own]);
}
