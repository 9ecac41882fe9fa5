//! Converts the output of x509-parser that certificates, requests and CRLs share to owned values.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::asn1_rs::Oid;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_SIG_ED25519};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::fields::{BasicConstraints, CertificateError, KeyUsage, Name, PublicKeyKind, SignatureKind, SubjectAltName};
use super::fingerprint::hex;
use super::key_names;
use crate::cluster::key_kind::KeyKind;

#[derive(Default)]
pub(super) struct Extensions {
    pub(super) names: Vec<SubjectAltName>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<Vec<String>>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) unknown_critical: Vec<String>,
    pub(super) has_name_constraints: bool,
    pub(super) constrains_uris_or_mail: bool,
    pub(super) has_policy_rules: bool,
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
                ParsedExtension::ExtendedKeyUsage(eku) => found.extended_key_usage = Some(usages(eku)),
                ParsedExtension::SubjectAlternativeName(san) => {
                    found.names = san.general_names.iter().map(subject_alt_name).collect();
                    if extension.critical && !san.general_names.iter().any(is_known_to_go) {
                        found.unknown_critical.push(extension.oid.to_id_string());
                    }
                }
                ParsedExtension::SubjectKeyIdentifier(id) => {
                    found.subject_key_id = Some(id.0.to_vec());
                }
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    found.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                ParsedExtension::AuthorityInfoAccess(_) => {}
                ParsedExtension::NameConstraints(constraints) => {
                    found.has_name_constraints = true;
                    let subtrees =
                        constraints.permitted_subtrees.iter().chain(&constraints.excluded_subtrees).flatten();
                    let bases: Vec<_> = subtrees.map(|subtree| &subtree.base).collect();
                    let strange = bases.iter().any(|base| !is_known_to_go(base));
                    let is_unjudged =
                        |base: &&GeneralName<'_>| matches!(base, GeneralName::RFC822Name(_) | GeneralName::URI(_));
                    found.constrains_uris_or_mail = bases.iter().any(is_unjudged);
                    if extension.critical && strange {
                        found.unknown_critical.push(extension.oid.to_id_string());
                    }
                }
                ParsedExtension::PolicyMappings(_)
                | ParsedExtension::PolicyConstraints(_)
                | ParsedExtension::InhibitAnyPolicy(_) => found.has_policy_rules = true,
                // Go processes these, so a critical one is accepted.
                ParsedExtension::CertificatePolicies(_) | ParsedExtension::CRLDistributionPoints(_) => {}
                ParsedExtension::ParseError { .. } => return Err(unreadable()),
                _ if extension.critical => found.unknown_critical.push(extension.oid.to_id_string()),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Returns the names of extended key usages, and the OIDs of those without one.
pub(super) fn usages(eku: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (eku.any, "anyExtendedKeyUsage"),
        (eku.server_auth, "serverAuth"),
        (eku.client_auth, "clientAuth"),
        (eku.code_signing, "codeSigning"),
        (eku.email_protection, "emailProtection"),
        (eku.time_stamping, "timeStamping"),
        (eku.ocsp_signing, "OCSPSigning"),
    ];
    let names = known.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned());
    names.chain(eku.other.iter().map(|oid| oid.to_id_string())).collect()
}

/// The kinds of names that Go's crypto/x509 processes.
fn is_known_to_go(name: &GeneralName<'_>) -> bool {
    matches!(
        name,
        GeneralName::DNSName(_) | GeneralName::IPAddress(_) | GeneralName::RFC822Name(_) | GeneralName::URI(_)
    )
}

pub(super) fn subject_alt_name(name: &GeneralName<'_>) -> SubjectAltName {
    match name {
        GeneralName::DNSName(dns) => SubjectAltName::Dns((*dns).to_owned()),
        GeneralName::IPAddress(bytes) => {
            if let Ok(v4) = <[u8; 4]>::try_from(*bytes) {
                SubjectAltName::Ip(Ipv4Addr::from(v4).into())
            } else if let Ok(v6) = <[u8; 16]>::try_from(*bytes) {
                SubjectAltName::Ip(Ipv6Addr::from(v6).into())
            } else {
                SubjectAltName::Other(format!("iPAddress of {} bytes", bytes.len()))
            }
        }
        GeneralName::RFC822Name(mail) => SubjectAltName::Other(format!("email {mail}")),
        GeneralName::URI(uri) => SubjectAltName::Other(format!("URI {uri}")),
        other => SubjectAltName::Other(format!("{other}")),
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
        PublicKeyKind::Supported(KeyKind::EcdsaP256)
    } else if on_curve(&OID_NIST_EC_P384) {
        PublicKeyKind::Supported(KeyKind::EcdsaP384)
    } else if *algorithm == OID_SIG_ED25519 {
        PublicKeyKind::Supported(KeyKind::Ed25519)
    } else if let Ok(PublicKey::RSA(rsa)) = spki.parsed() {
        PublicKeyKind::Rsa(bits(rsa.modulus))
    } else {
        let is_ec = *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY;
        PublicKeyKind::Other(match curve.filter(|_| is_ec) {
            Some(curve) => key_names::of_curve(&curve.to_id_string()),
            None if is_ec => "EC without the name of its curve".to_owned(),
            None => key_names::of_algorithm(&algorithm.to_id_string()),
        })
    }
}

/// Returns the length of a number in bits. x509-parser counts whole octets.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let first = number.get(zeros).map_or(0, |octet| octet.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}

/// Returns the FIPS 204 name of an algorithm that Go supports since 1.27 and ring does not.
fn ml_dsa(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.16.840.1.101.3.4.3.17" => "ML-DSA-44",
        "2.16.840.1.101.3.4.3.18" => "ML-DSA-65",
        "2.16.840.1.101.3.4.3.19" => "ML-DSA-87",
        _ => return None,
    })
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
        _ => ml_dsa(oid).map_or(SignatureKind::Unknown, SignatureKind::Strong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_sizes_count_bits_and_not_octets() {
        for (number, expected) in [(&[0, 0x80, 0][..], 16), (&[0x7f, 0xff], 15), (&[1, 0, 0], 17), (&[0], 0), (&[], 0)]
        {
            assert_eq!(bits(number), expected, "{number:?}");
        }
    }
}
