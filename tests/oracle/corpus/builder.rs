//! Builds certificates: most with rcgen, and old versions, weak keys and weak hashes with openssl.

use std::path::PathBuf;
use std::process::Command;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Eku,
    IsCa, Issuer, KeyPair, KeyUsagePurpose as Ku, SanType,
};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::oracle::cases::PathCase;

/// The time at which cases that are not about dates are evaluated.
pub(super) const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);
pub(super) const BEGIN: OffsetDateTime = datetime!(2025-01-01 00:00 UTC);
pub(super) const END: OffsetDateTime = datetime!(2045-01-01 00:00 UTC);
pub(super) const NAME: &str = "api.example.net";

/// Changes to the usual certificate.
pub(super) type Change<'a> = &'a dyn Fn(&mut CertificateParams);

/// A certificate with its key.
pub(super) struct Made {
    pub(super) params: CertificateParams,
    pub(super) key: KeyPair,
    pub(super) der: Vec<u8>,
}

impl Made {
    pub(super) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

pub(super) fn pem(der: &[u8]) -> String {
    clusterctl::pki::pem::write_certificate(der)
}

pub(super) fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

pub(super) fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

pub(super) fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(name);
    (params.not_before, params.not_after) = (BEGIN, END);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![Ku::KeyCertSign, Ku::CrlSign];
    params
}

pub(super) fn leaf_params() -> CertificateParams {
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

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).expect("ASCII"))
}

pub(super) fn ip(address: &str) -> SanType {
    SanType::IpAddress(address.parse().expect("an address"))
}

pub(super) fn extension(oid: &[u64], critical: bool, content: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(critical);
    extension
}

pub(super) const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
pub(super) const CA_TRUE: &[u8] = &[0x30, 0x03, 0x01, 0x01, 0xff];
pub(super) const CA_FALSE: &[u8] = &[0x30, 0x00];
pub(super) const UNKNOWN: &[u64] = &[1, 2, 3, 4, 5];

pub(super) fn root_with(params: CertificateParams, key: KeyPair) -> Made {
    let der = params.self_signed(&key).expect("signed").der().to_vec();
    Made { params, key, der }
}

pub(super) fn root() -> Made {
    root_with(ca_params("root"), key())
}

pub(super) fn root_but(change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = ca_params("root");
    change(&mut params);
    root_with(params, key())
}

pub(super) fn signed(issuer: &Made, params: CertificateParams, key: KeyPair) -> Made {
    let der = params.signed_by(&key, &issuer.issuer()).expect("signed").der().to_vec();
    Made { params, key, der }
}

pub(super) fn intermediate(issuer: &Made) -> Made {
    intermediate_but(issuer, |_| ())
}

pub(super) fn intermediate_but(issuer: &Made, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = ca_params("intermediate");
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    signed(issuer, params, key())
}

pub(super) fn leaf(issuer: &Made) -> Made {
    leaf_but(issuer, |_| ())
}

pub(super) fn leaf_but(issuer: &Made, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = leaf_params();
    change(&mut params);
    signed(issuer, params, key())
}

/// The cases so far.
pub(super) struct Corpus {
    pub(super) cases: Vec<PathCase>,
    pub(super) folder: tempfile::TempDir,
}

impl Corpus {
    /// Adds a case whose roots are `roots` and whose server sends `leaf` and then `more`.
    pub(super) fn add(
        &mut self,
        id: &str,
        roots: &[&[u8]],
        leaf: (&[u8], &str),
        more: &[&[u8]],
        name: &str,
        now: OffsetDateTime,
    ) {
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

    pub(super) fn path(&mut self, id: &str, root: &Made, leaf: &Made, more: &[&Made]) {
        self.at(id, root, leaf, more, NOW);
    }

    pub(super) fn at(&mut self, id: &str, root: &Made, leaf: &Made, more: &[&Made], now: OffsetDateTime) {
        let more: Vec<&[u8]> = more.iter().map(|made| made.der.as_slice()).collect();
        self.add(id, &[&root.der], (&leaf.der, &leaf.key.serialize_pem()), &more, NAME, now);
    }

    pub(super) fn roots(&mut self, id: &str, roots: &[&Made], leaf: &Made, more: &[&Made]) {
        let more: Vec<&[u8]> = more.iter().map(|made| made.der.as_slice()).collect();
        let roots: Vec<&[u8]> = roots.iter().map(|made| made.der.as_slice()).collect();
        self.add(id, &roots, (&leaf.der, &leaf.key.serialize_pem()), &more, NAME, NOW);
    }

    pub(super) fn named(&mut self, id: &str, names: Vec<SanType>, asked: &str) {
        let root = root();
        let leaf = leaf_but(&root, |params| params.subject_alt_names = names);
        self.add(id, &[&root.der], (&leaf.der, &leaf.key.serialize_pem()), &[], asked, NOW);
    }

    /// A leaf whose subjectAltName has this content, in DER.
    pub(super) fn named_raw(&mut self, id: &str, critical: bool, content: &[u8], asked: &str) {
        let root = root();
        let leaf = leaf_but(&root, |params| {
            params.subject_alt_names.clear();
            params.custom_extensions.push(extension(&[2, 5, 29, 17], critical, content));
        });
        self.add(id, &[&root.der], (&leaf.der, &leaf.key.serialize_pem()), &[], asked, NOW);
    }

    pub(super) fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").args(args).current_dir(self.folder.path()).output().expect("openssl");
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate by openssl: `name`.crt and `name`.key, signed by `issuer` or by itself. Without `extensions` it is of
    /// version 1.
    pub(super) fn certificate(
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

    pub(super) fn key_of(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(&format!("{name}.key"))).expect("a key")
    }

    /// A root and a leaf by openssl.
    pub(super) fn pair(
        &mut self,
        id: &str,
        root: (&[&str], &[&str], &str, &str),
        leaf: (&[&str], &[&str], &str, &str),
    ) {
        let root_der = self.certificate("root", None, root.0, root.1, root.2, root.3);
        let leaf_der = self.certificate("leaf", Some("root"), leaf.0, leaf.1, leaf.2, leaf.3);
        let key = self.key_of("leaf");
        self.add(id, &[&root_der], (&leaf_der, &key), &[], NAME, NOW);
    }
}

pub(super) const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
pub(super) const P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
pub(super) const P521: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
pub(super) const P224: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"];
pub(super) const ED25519: &[&str] = &["-algorithm", "ED25519"];
pub(super) const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
pub(super) const RSA1024: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
pub(super) const RSA512: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"];
pub(super) const RSA1536: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1536"];
pub(super) const RSA3072: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"];
pub(super) const RSA4096: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"];
pub(super) const RSA_E3: &[&str] =
    &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"];
pub(super) const SHA256: &[&str] = &["-sha256"];
pub(super) const SHA384: &[&str] = &["-sha384"];
pub(super) const SHA512: &[&str] = &["-sha512"];
pub(super) const SHA224: &[&str] = &["-sha224"];
pub(super) const SHA1: &[&str] = &["-sha1"];
pub(super) const MD5: &[&str] = &["-md5"];
pub(super) const PSS: &[&str] = &["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"];
pub(super) const PSS384: &[&str] = &["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:48"];
pub(super) const PSS512: &[&str] = &["-sha512", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:64"];
pub(super) const ROOT: &str =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
pub(super) const LEAF: &str = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n\
                    subjectAltName=DNS:api.example.net\n";
