//! A parsed certificate (RFC 5280). The rules for certificates are checked by [`super::lint`].

use std::fmt;
use std::ops::Range;

use ring::agreement::{ECDH_P256, ECDH_P384, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;
use time::OffsetDateTime;
use x509_parser::asn1_rs::BitString;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Version};

use super::der::{Der, SEQUENCE};
use super::fingerprint::Fingerprint;
use super::go;
use super::malformed;
use super::parsed::{Extensions, key_kind, name, signature_kind};
use super::pem;
use super::signature::Signature;
use crate::cluster::account::Account;
use crate::cluster::address::Address;
use crate::cluster::key_kind::KeyKind;

pub use super::fields::{
    BasicConstraints, CertificateError, KeyUsage, Name, PublicKeyKind, Serial, SignatureKind, SignatureStatus,
    SubjectAltName,
};

/// A parsed certificate and its DER.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// SHA-256 of the DER; cached, because it is needed often.
    fingerprint: Fingerprint,
    /// The range of the signed bytes in the DER (tbsCertificate, RFC 5280 § 4.1.1). The signature follows it.
    signed: Range<usize>,
    /// The subject.
    pub subject: Name,
    /// The issuer.
    pub issuer: Name,
    /// X.509's version: 1, 2 or 3.
    pub version: u32,
    /// Serial number: the INTEGER's octets, big-endian, without the sign's leading zero.
    pub serial: Serial,
    /// Whether the serial number is negative, so its octets are in two's complement.
    pub has_negative_serial: bool,
    /// Valid from.
    pub not_before: OffsetDateTime,
    /// Valid until, inclusive (RFC 5280 § 4.1.2.5).
    pub not_after: OffsetDateTime,
    /// Subject alternative names.
    pub names: Vec<SubjectAltName>,
    /// basicConstraints, if present.
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage, if present.
    pub key_usage: Option<KeyUsage>,
    /// extKeyUsage, if present: `serverAuth`, `clientAuth`, `anyExtendedKeyUsage`, else an OID.
    pub extended_key_usage: Option<Vec<String>>,
    /// subjectKeyIdentifier.
    pub subject_key_id: Option<Vec<u8>>,
    /// authorityKeyIdentifier's keyIdentifier.
    pub authority_key_id: Option<Vec<u8>>,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The public key's kind.
    pub key: PublicKeyKind,
    /// The signature's algorithm.
    pub signature: SignatureKind,
    /// OIDs of critical extensions that neither clusterctl nor Kubernetes processes.
    pub unknown_critical: Vec<String>,
    /// Whether it has name constraints for the certificates below it.
    pub has_name_constraints: bool,
    /// Whether it has name constraints on URIs or email addresses, which webpki does not support and refuses.
    pub constrains_uris_or_mail: bool,
    /// Whether it has rules for certificate policies: mappings, constraints, anyPolicy inhibited.
    pub has_policy_rules: bool,
    /// The reason why Go's crypto/x509, which Kubernetes uses, cannot parse the certificate; `None` if it can.
    pub go_refuses: Option<String>,
}

impl Certificate {
    /// Reads one DER certificate.
    ///
    /// # Errors
    /// Returns an error if it is malformed or bytes follow it.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CertificateError> {
        let (rest, parsed) =
            X509Certificate::from_der(&der).map_err(|error| CertificateError::Malformed(malformed::reason(&error)))?;
        if !rest.is_empty() {
            return Err(CertificateError::Trailing(rest.len()));
        }
        // Go ignores the extensions of other versions.
        let is_third = parsed.version() == X509Version::V3;
        let extensions = if is_third { Extensions::read(&parsed)? } else { Extensions::default() };
        let serial = parsed.raw_serial();
        let has_negative_serial = serial.first().is_some_and(|first| first & 0x80 != 0);
        let serial = Serial(serial.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(serial).to_vec());
        let validity = parsed.validity();
        let tbs = parsed.tbs_certificate.as_ref();
        let start = tbs.as_ptr().addr() - der.as_ptr().addr();
        Ok(Self {
            signed: start..start + tbs.len(),
            subject: name(parsed.subject()),
            issuer: name(parsed.issuer()),
            version: parsed.version().0.saturating_add(1),
            serial,
            has_negative_serial,
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            names: extensions.names,
            basic_constraints: extensions.basic_constraints,
            key_usage: extensions.key_usage,
            extended_key_usage: extensions.extended_key_usage,
            subject_key_id: extensions.subject_key_id,
            authority_key_id: extensions.authority_key_id,
            spki: parsed.public_key().raw.to_vec(),
            key: key_kind(parsed.public_key()),
            signature: signature_kind(&parsed.signature_algorithm.algorithm.to_id_string()),
            unknown_critical: extensions.unknown_critical,
            has_name_constraints: extensions.has_name_constraints,
            constrains_uris_or_mail: extensions.constrains_uris_or_mail,
            has_policy_rules: extensions.has_policy_rules,
            go_refuses: go::refusal(&der),
            fingerprint: Fingerprint::of(&der),
            der,
        })
    }

    /// Returns the same certificate with another signature: `der` must hold the same tbsCertificate.
    pub(super) fn with_signature(self, der: Vec<u8>) -> Result<Self, CertificateError> {
        let changed =
            || CertificateError::Malformed("the signed content is not the content that was checked".to_owned());
        let tbs = Der::new(&der).inside(SEQUENCE).and_then(|mut outer| outer.element(SEQUENCE)).ok_or_else(changed)?;
        if tbs.whole != &self.der[self.signed.clone()] {
            return Err(changed());
        }
        let start = tbs.whole.as_ptr().addr() - der.as_ptr().addr();
        let signed = start..start + tbs.whole.len();
        Ok(Self { signed, fingerprint: Fingerprint::of(&der), der, ..self })
    }

    /// Returns false if the public key is not a point of its curve, as far as ring can tell.
    #[must_use]
    pub fn has_key_on_its_curve(&self) -> bool {
        let (algorithm, length) = match self.key {
            PublicKeyKind::Supported(KeyKind::EcdsaP256) => (&ECDH_P256, 65),
            PublicKeyKind::Supported(KeyKind::EcdsaP384) => (&ECDH_P384, 97),
            _ => return true,
        };
        // The point is at the end of the SubjectPublicKeyInfo. ring validates it before a key agreement.
        let point = self.spki.len().checked_sub(length).and_then(|start| self.spki.get(start..));
        let made = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).ok();
        point
            .zip(made)
            .is_some_and(|(point, key)| agree_ephemeral(key, &UnparsedPublicKey::new(algorithm, point), |_| ()).is_ok())
    }

    /// Returns the reason why Go, and therefore Kubernetes, cannot parse a certificate; `None` if it can.
    #[must_use]
    pub fn refused_by_go(der: &[u8]) -> Option<String> {
        go::refusal(der)
    }

    /// Returns the DER bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the certificate as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::write_certificate(&self.der)
    }

    /// SHA-256 of the DER: Kubernetes's `credential-id`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// SHA-256 of the SubjectPublicKeyInfo: kubeadm's pin of a CA.
    #[must_use]
    pub fn spki_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki)
    }

    /// Returns the public key in the encoding that private key files contain: a curve's point, an RSA key's modulus and
    /// exponent, an Ed25519 key's octets; `None` for other keys.
    #[must_use]
    pub fn public_key_octets(&self) -> Option<&[u8]> {
        let mut spki = Der::new(&self.spki).inside(SEQUENCE)?;
        spki.element(SEQUENCE)?;
        let bits = spki.bits()?;
        match self.key {
            PublicKeyKind::Supported(_) => Some(bits),
            PublicKeyKind::Rsa(_) => Some(Der::new(bits).element(SEQUENCE)?.content),
            PublicKeyKind::Other(_) => None,
        }
    }

    /// Returns true if subject and issuer are the same bytes.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject.der == self.issuer.der
    }

    /// Returns true if `issuer`'s key signed this certificate. Names, dates and usages are not checked.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        self.signed_by(issuer) == SignatureStatus::Valid
    }

    /// Verifies this certificate's signature with `issuer`'s key, as far as ring supports the algorithm. Names, dates
    /// and usages are not checked.
    #[must_use]
    pub fn signed_by(&self, issuer: &Self) -> SignatureStatus {
        let Some((algorithm, value)) = self.outer_signature() else { return SignatureStatus::Invalid };
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&issuer.spki) else { return SignatureStatus::Invalid };
        Signature { algorithm, value, signed: &self.der[self.signed.clone()] }.verify_by(&key, &issuer.key)
    }

    /// Returns the name of the signature's algorithm, or its OID if the name is not known.
    #[must_use]
    pub fn signature_name(&self) -> String {
        let named = |(algorithm, value)| Signature { algorithm, value, signed: &[] }.name();
        self.outer_signature().map(named).unwrap_or_default()
    }

    /// Returns the algorithm and the signature after the signed bytes.
    fn outer_signature(&self) -> Option<(AlgorithmIdentifier<'_>, BitString<'_>)> {
        let (after, algorithm) = AlgorithmIdentifier::from_der(&self.der[self.signed.end..]).ok()?;
        let (_, signature) = BitString::from_der(after).ok()?;
        Some((algorithm, signature))
    }

    /// Returns true for a CA whose key usage allows it to sign CRLs (RFC 5280 § 4.2.1.3), which kubeadm's CAs lack.
    #[must_use]
    pub fn can_sign_crls(&self) -> bool {
        self.key_usage.is_none_or(|usage| !usage.is_set() || usage.crl_sign)
    }

    /// Returns the account that Kubernetes derives from the subject: the last CN and the first O, if any.
    /// [`Name::organizations`] has all groups.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            user: self.subject.common_names.last().cloned().unwrap_or_default(),
            group: self.subject.organizations.first().cloned(),
        }
    }

    /// Returns true if a subject alternative name of the right kind is `address` (RFC 9525 § 6): an iPAddress for an
    /// IP, a dNSName for a name, with a wildcard as the whole leftmost label. The common name never counts.
    #[must_use]
    pub fn names_address(&self, address: &Address) -> bool {
        self.names.iter().any(|name| match (name, address) {
            (SubjectAltName::Ip(seen), Address::Ip(wanted)) => seen == wanted,
            (SubjectAltName::Dns(seen), Address::Dns(wanted)) => dns_matches(seen, wanted.as_str()),
            _ => false,
        })
    }

    /// Returns true if it has exactly this extended key usage; `anyExtendedKeyUsage` does not count.
    #[must_use]
    pub fn has_extended_usage(&self, usage: &str) -> bool {
        self.extended_key_usage.as_ref().is_some_and(|usages| usages.iter().any(|u| u == usage))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {})", self.subject.text, self.fingerprint())
    }
}

fn dns_matches(presented: &str, wanted: &str) -> bool {
    let presented = presented.to_ascii_lowercase();
    let wanted = wanted.trim_end_matches('.');
    match presented.strip_prefix("*.") {
        // The wildcard matches one whole label, even directly below a top-level domain, as in Go.
        Some(parent) => wanted.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => presented == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_one_whole_label() {
        assert!(dns_matches("*.example.net", "api.example.net"));
        assert!(dns_matches("API.example.net", "api.example.net."));
        assert!(!dns_matches("*.example.net", "example.net"));
        assert!(!dns_matches("*.example.net", "a.b.example.net"));
        assert!(dns_matches("*.net", "example.net"));
        assert!(!dns_matches("*.net", "net"));
        assert!(!dns_matches("a*.example.net", "ab.example.net"));
        assert!(!dns_matches("*", "localhost"));
    }

    #[test]
    fn garbage_is_not_a_certificate() {
        assert!(matches!(Certificate::from_der(b"garbage".to_vec()), Err(CertificateError::Malformed(_))));
        assert!(matches!(Certificate::from_der(Vec::new()), Err(CertificateError::Malformed(_))));
    }
}
