//! What x509-parser has read, as values that own themselves: what certificates, requests and revocation lists have in common.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::asn1_rs::{Oid, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::certificate::{
    BasicConstraints, CertificateError, KeyUsage, Name, PublicKeyKind, SignatureKind, SubjectName,
};
use super::fingerprint::hex;
use crate::cluster::key_kind::KeyKind;

#[derive(Default)]
pub(super) struct Extensions {
    pub(super) names: Vec<SubjectName>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<Vec<String>>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) unknown_critical: Vec<String>,
    pub(super) has_name_constraints: bool,
    pub(super) has_policy_rules: bool,
    pub(super) go_refuses: Option<String>,
}

impl Extensions {
    pub(super) fn read(certificate: &X509Certificate<'_>) -> Result<Self, CertificateError> {
        let mut found = Self::default();
        let mut seen = Vec::new();
        for extension in certificate.extensions() {
            let unreadable = || CertificateError::Extension(extension.oid.to_id_string());
            if seen.contains(&&extension.oid) {
                return Err(unreadable());
            }
            seen.push(&extension.oid);
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(bc) => {
                    found.basic_constraints = Some(BasicConstraints {
                        critical: extension.critical,
                        ca: bc.ca,
                        path_len: bc.path_len_constraint,
                    });
                }
                ParsedExtension::KeyUsage(ku) => {
                    found.key_usage = Some(KeyUsage {
                        critical: extension.critical,
                        digital_signature: ku.digital_signature(),
                        cert_sign: ku.key_cert_sign(),
                        crl_sign: ku.crl_sign(),
                        others: ku.flags & !0b0110_0001 != 0,
                    });
                }
                ParsedExtension::ExtendedKeyUsage(eku) => {
                    let mut usages: Vec<String> = Vec::new();
                    let known = [
                        (eku.any, "anyExtendedKeyUsage"),
                        (eku.server_auth, "serverAuth"),
                        (eku.client_auth, "clientAuth"),
                        (eku.code_signing, "codeSigning"),
                        (eku.email_protection, "emailProtection"),
                        (eku.time_stamping, "timeStamping"),
                        (eku.ocsp_signing, "OCSPSigning"),
                    ];
                    usages.extend(known.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()));
                    usages.extend(eku.other.iter().map(|oid| oid.to_id_string()));
                    found.extended_key_usage = Some(usages);
                }
                ParsedExtension::SubjectAlternativeName(san) => {
                    found.names = san.general_names.iter().map(subject_name).collect();
                    found.go_refuses =
                        found.go_refuses.or_else(|| san.general_names.iter().find_map(name_refused_by_go));
                    if extension.critical && !san.general_names.iter().any(is_known_to_go) {
                        found.unknown_critical.push(extension.oid.to_id_string());
                    }
                }
                ParsedExtension::SubjectKeyIdentifier(id) => {
                    found.subject_key_id = Some(id.0.to_vec());
                    found.refuse_critical(extension.critical, "subject key identifier");
                }
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    found.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                    found.refuse_critical(extension.critical, "authority key identifier");
                }
                ParsedExtension::AuthorityInfoAccess(_) => {
                    found.refuse_critical(extension.critical, "authority info access");
                }
                ParsedExtension::NameConstraints(constraints) => {
                    found.has_name_constraints = true;
                    let subtrees =
                        constraints.permitted_subtrees.iter().chain(&constraints.excluded_subtrees).flatten();
                    let strange = subtrees.clone().any(|subtree| !is_known_to_go(&subtree.base));
                    if subtrees.count() == 0 && found.go_refuses.is_none() {
                        found.go_refuses = Some("empty name constraints extension".to_owned());
                    }
                    if extension.critical && strange {
                        found.unknown_critical.push(extension.oid.to_id_string());
                    }
                }
                ParsedExtension::PolicyMappings(_)
                | ParsedExtension::PolicyConstraints(_)
                | ParsedExtension::InhibitAnyPolicy(_) => found.has_policy_rules = true,
                // Go reads these, and a critical one is no surprise to it.
                ParsedExtension::CertificatePolicies(_) | ParsedExtension::CRLDistributionPoints(_) => {}
                ParsedExtension::ParseError { .. } => return Err(unreadable()),
                _ if extension.critical => found.unknown_critical.push(extension.oid.to_id_string()),
                _ => {}
            }
        }
        Ok(found)
    }

    /// An extension that Go refuses where it is marked critical (RFC 5280 says that it must not be).
    fn refuse_critical(&mut self, critical: bool, extension: &str) {
        if critical && self.go_refuses.is_none() {
            self.go_refuses = Some(format!("{extension} incorrectly marked critical"));
        }
    }
}

/// The kinds of names that Go's crypto/x509 processes.
fn is_known_to_go(name: &GeneralName<'_>) -> bool {
    matches!(
        name,
        GeneralName::DNSName(_) | GeneralName::IPAddress(_) | GeneralName::RFC822Name(_) | GeneralName::URI(_)
    )
}

/// Why Go cannot read a subject alternative name.
fn name_refused_by_go(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::IPAddress(bytes) => match <[u8; 16]>::try_from(*bytes) {
            Ok(v6) if Ipv6Addr::from(v6).to_ipv4_mapped().is_some() => {
                Some("an iPAddress is an IPv4 address in IPv6's form".to_owned())
            }
            Err(_) if bytes.len() != 4 => Some(format!("an iPAddress has {} bytes", bytes.len())),
            _ => None,
        },
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) if !text.is_ascii() => {
            Some("a name is not ASCII".to_owned())
        }
        GeneralName::URI(text) if is_malformed_uri(text) => Some("a URI is malformed".to_owned()),
        // Text of another character set.
        GeneralName::Invalid(Tag(1 | 2 | 6), _) => Some("a name is not ASCII".to_owned()),
        _ => None,
    }
}

/// True for a URI that Go's net/url cannot parse, or whose host is no name to crypto/x509.
fn is_malformed_uri(text: &str) -> bool {
    let escapes = text.split('%').skip(1);
    let bad_escape = |after: &str| after.len() < 2 || !after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) || escapes.into_iter().any(bad_escape) {
        return true;
    }
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let rest = match text[..end].split_once(':') {
        None => text,
        Some((scheme, _)) => {
            let begins = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
            if !begins || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
                return true;
            }
            &text[scheme.len() + 1..]
        }
    };
    let Some(authority) = rest.strip_prefix("//") else { return false };
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let strange = |byte: u8| !byte.is_ascii_alphanumeric() && !b"-._~!$&'()*+,;=:[]%".contains(&byte);
    !host.is_empty()
        && (name.split('.').any(str::is_empty)
            || host.bytes().any(strange)
            || !port.trim_end_matches(']').bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Why Go's crypto/x509 cannot read a certificate, as far as its fields and not its extensions are concerned.
pub(super) fn go_refuses(certificate: &X509Certificate<'_>) -> Option<String> {
    const RSA: &str = "1.2.840.113549.1.1.1";
    const P224: &str = "1.3.132.0.33";
    if certificate.raw_serial().first().is_some_and(|first| first & 0x80 != 0) {
        return Some("negative serial number".to_owned());
    }
    if certificate.version().0 > 2 {
        return Some("invalid version".to_owned());
    }
    if certificate.tbs_certificate.signature != certificate.signature_algorithm {
        return Some("inner and outer signature algorithm identifiers don't match".to_owned());
    }
    let key = &certificate.public_key().algorithm;
    let parameters = key.parameters.as_ref();
    if key.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let known = [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521];
        let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
        let named = curve.as_ref().is_some_and(|curve| known.contains(curve) || curve.to_id_string() == P224);
        return (!named).then(|| "unsupported elliptic curve".to_owned());
    }
    if key.algorithm.to_id_string() == RSA && parameters.is_none_or(|parameters| parameters.as_null().is_err()) {
        return Some("RSA key missing NULL parameters".to_owned());
    }
    if key.algorithm == OID_SIG_ED25519 && parameters.is_some() {
        return Some("Ed25519 key encoded with illegal parameters".to_owned());
    }
    None
}

pub(super) fn subject_name(name: &GeneralName<'_>) -> SubjectName {
    match name {
        GeneralName::DNSName(dns) => SubjectName::Dns((*dns).to_owned()),
        GeneralName::IPAddress(bytes) => {
            if let Ok(v4) = <[u8; 4]>::try_from(*bytes) {
                SubjectName::Ip(Ipv4Addr::from(v4).into())
            } else if let Ok(v6) = <[u8; 16]>::try_from(*bytes) {
                SubjectName::Ip(Ipv6Addr::from(v6).into())
            } else {
                SubjectName::Other(format!("iPAddress of {} bytes", bytes.len()))
            }
        }
        GeneralName::RFC822Name(mail) => SubjectName::Other(format!("email {mail}")),
        GeneralName::URI(uri) => SubjectName::Other(format!("URI {uri}")),
        other => SubjectName::Other(format!("{other}")),
    }
}

pub(super) fn name(parsed: &X509Name<'_>) -> Name {
    let texts = |attributes: Vec<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        attributes.iter().map(|a| a.as_str().map_or_else(|_| hex(a.as_slice()), str::to_owned)).collect()
    };
    Name {
        der: parsed.as_raw().to_vec(),
        common_names: texts(parsed.iter_common_name().collect()),
        organizations: texts(parsed.iter_organization().collect()),
        text: parsed.to_string(),
    }
}

pub(super) fn key_kind(spki: &SubjectPublicKeyInfo<'_>) -> PublicKeyKind {
    let algorithm = &spki.algorithm.algorithm;
    let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    let on_curve = |wanted: &Oid<'_>| *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve.as_ref() == Some(wanted);
    if on_curve(&OID_EC_P256) {
        PublicKeyKind::Ours(KeyKind::EcdsaP256)
    } else if on_curve(&OID_NIST_EC_P384) {
        PublicKeyKind::Ours(KeyKind::EcdsaP384)
    } else if on_curve(&OID_NIST_EC_P521) {
        PublicKeyKind::Other("ecdsa-p521".to_owned())
    } else if *algorithm == OID_SIG_ED25519 {
        PublicKeyKind::Ours(KeyKind::Ed25519)
    } else if let Ok(PublicKey::RSA(rsa)) = spki.parsed() {
        PublicKeyKind::Rsa(rsa.key_size())
    } else {
        PublicKeyKind::Other(algorithm.to_id_string())
    }
}

pub(super) fn signature_kind(oid: &str) -> SignatureKind {
    match oid {
        "1.2.840.10045.4.3.2" => SignatureKind::Strong("ecdsa-with-SHA256"),
        "1.2.840.10045.4.3.3" => SignatureKind::Strong("ecdsa-with-SHA384"),
        "1.2.840.10045.4.3.4" => SignatureKind::Strong("ecdsa-with-SHA512"),
        "1.3.101.112" => SignatureKind::Strong("ed25519"),
        "1.2.840.113549.1.1.10" => SignatureKind::Strong("RSASSA-PSS"),
        "1.2.840.113549.1.1.11" => SignatureKind::Strong("sha256WithRSA"),
        "1.2.840.113549.1.1.12" => SignatureKind::Strong("sha384WithRSA"),
        "1.2.840.113549.1.1.13" => SignatureKind::Strong("sha512WithRSA"),
        "1.2.840.113549.1.1.4" => SignatureKind::WeakHash("MD5"),
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" | "1.2.840.10045.4.1" => SignatureKind::WeakHash("SHA-1"),
        _ => SignatureKind::Unknown,
    }
}
