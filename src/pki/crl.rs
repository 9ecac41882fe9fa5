//! Parses certificate revocation lists (RFC 5280 § 5) and verifies their signatures.

use std::collections::BTreeSet;

use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::{Certificate, Name, Serial, SignatureKind, SignatureStatus};
use super::malformed;
use super::parsed::{name, signature_kind};
use super::pem::{self, Item, PemError};
use super::reason::Reason;
use super::signature::Signature;

/// A parsed CRL with its DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
    /// The issuer.
    pub issuer: Name,
    /// The time of issue.
    pub this_update: OffsetDateTime,
    /// The time by which the next one is issued; without it a stale CRL cannot be detected.
    pub next_update: Option<OffsetDateTime>,
    /// The CRL number, which increases from CRL to CRL (RFC 5280 § 5.2.3).
    pub number: Option<u64>,
    /// The revoked serial numbers.
    pub serials: BTreeSet<Serial>,
    /// The signature's algorithm.
    pub signature: SignatureKind,
    /// The OIDs of critical extensions of the CRL or its entries: a partial CRL, a delta, certificates of another
    /// issuer.
    pub critical: Vec<String>,
}

/// An entry of a CRL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The certificate's serial number.
    pub serial: Serial,
    /// The time of revocation.
    pub at: OffsetDateTime,
    /// The reason.
    pub reason: Reason,
}

/// Errors of parsing a CRL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Not DER, or not a CertificateList.
    #[error("it is not a certificate revocation list: {0}")]
    Malformed(String),
    /// Bytes follow the CRL.
    #[error("{0} bytes follow the CRL")]
    Trailing(usize),
    /// Not all of its entries can be parsed.
    #[error("it has {count} entries, of which only {parsed} can be parsed")]
    Entries {
        /// The number of entries.
        count: usize,
        /// The number that could be parsed.
        parsed: usize,
    },
    /// The PEM is damaged or empty.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The PEM has no CRL.
    #[error("there is no X509 CRL section in it")]
    NoSection,
}

impl Crl {
    /// Parses a DER CRL.
    ///
    /// # Errors
    /// Returns an error if it is malformed, bytes follow it, or an entry cannot be parsed.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CrlError> {
        let (rest, parsed) = CertificateRevocationList::from_der(&der)
            .map_err(|error| CrlError::Malformed(malformed::reason(&error)))?;
        if !rest.is_empty() {
            return Err(CrlError::Trailing(rest.len()));
        }
        let entries: Vec<_> = parsed.iter_revoked_certificates().collect();
        // The parser stops at the first entry that it cannot parse, without an error.
        let count = count_entries(parsed.tbs_cert_list.as_ref())
            .ok_or_else(|| CrlError::Malformed("its structure is broken".to_owned()))?;
        if count != entries.len() {
            return Err(CrlError::Entries { count, parsed: entries.len() });
        }
        let entry_extensions = entries.iter().flat_map(|entry| entry.extensions());
        let critical = parsed.extensions().iter().chain(entry_extensions).filter(|extension| extension.critical);
        let critical: BTreeSet<String> = critical.map(|extension| extension.oid.to_id_string()).collect();
        Ok(Self {
            issuer: name(parsed.issuer()),
            this_update: parsed.last_update().to_datetime(),
            next_update: parsed.next_update().map(|time| time.to_datetime()),
            number: parsed.crl_number().and_then(|number| number.to_string().parse().ok()),
            serials: entries.iter().map(|entry| serial(entry.raw_serial())).collect(),
            signature: signature_kind(&parsed.signature_algorithm.algorithm.to_id_string()),
            critical: critical.into_iter().collect(),
            der,
        })
    }

    /// Returns its entries in order; unknown reasons become the default.
    #[must_use]
    pub fn entries(&self) -> Vec<Revoked> {
        let Ok((_, parsed)) = CertificateRevocationList::from_der(&self.der) else { return Vec::new() };
        let entries = parsed.iter_revoked_certificates().map(|entry| Revoked {
            serial: serial(entry.raw_serial()),
            at: entry.revocation_date.to_datetime(),
            reason: entry.reason_code().and_then(|(_, code)| Reason::of_code(code.0)).unwrap_or_default(),
        });
        entries.collect()
    }

    /// Returns the PEM (RFC 7468 § 6), with LF line endings.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::write_revocation_list(&self.der)
    }

    /// Returns the DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns true if a time is between thisUpdate and nextUpdate; false without nextUpdate.
    #[must_use]
    pub fn is_current(&self, now: OffsetDateTime) -> bool {
        self.this_update <= now && self.next_update.is_some_and(|next| now < next)
    }

    /// Returns true if `issuer`'s key made the signature. Names, dates and usages are not checked.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        self.signed_by(issuer) == SignatureStatus::Valid
    }

    /// Verifies the signature by `issuer`'s key, as far as ring supports the algorithm.
    #[must_use]
    pub fn signed_by(&self, issuer: &Certificate) -> SignatureStatus {
        let (Ok((_, this)), Ok((_, key))) =
            (CertificateRevocationList::from_der(&self.der), X509Certificate::from_der(issuer.der()))
        else {
            return SignatureStatus::Invalid;
        };
        let (algorithm, value) = (this.signature_algorithm.clone(), this.signature_value.clone());
        Signature { algorithm, value, signed: this.tbs_cert_list.as_ref() }.verify_by(key.public_key(), &issuer.key)
    }
}

/// Returns a serial number without DER's sign octet.
fn serial(raw: &[u8]) -> Serial {
    Serial(raw.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(raw).to_vec())
}

/// Returns the CRLs of a file, DER or PEM, each as DER.
///
/// # Errors
/// Returns an error if the PEM is damaged or has no CRL. Bytes that are not PEM are returned as they are, unchecked.
pub fn read_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CrlError> {
    const SEQUENCE: u8 = 0x30;
    if bytes.first() == Some(&SEQUENCE) {
        return Ok(vec![bytes.to_vec()]);
    }
    let crls: Vec<Vec<u8>> = pem::read_all(bytes)?
        .into_iter()
        .filter_map(|item| match item {
            Item::Crl(der) => Some(der),
            _ => None,
        })
        .collect();
    if crls.is_empty() { Err(CrlError::NoSection) } else { Ok(crls) }
}

/// Counts the entries in `revokedCertificates` of a TBSCertList; `None` if the DER is malformed.
fn count_entries(tbs: &[u8]) -> Option<usize> {
    const INTEGER: u8 = 0x02;
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    const SEQUENCE: u8 = 0x30;
    /// Skips the first element if it has one of these tags.
    fn skip<'a>(rest: &'a [u8], tags: &[u8]) -> Option<&'a [u8]> {
        if rest.is_empty() {
            return Some(rest);
        }
        let (tag, _, after) = element(rest)?;
        Some(if tags.contains(&tag) { after } else { rest })
    }
    let (_, mut rest, _) = element(tbs)?;
    // version, signature, issuer, thisUpdate, nextUpdate
    for tags in [&[INTEGER][..], &[SEQUENCE], &[SEQUENCE], &[UTC_TIME, GENERALIZED_TIME], &[UTC_TIME, GENERALIZED_TIME]]
    {
        rest = skip(rest, tags)?;
    }
    if rest.is_empty() {
        return Some(0);
    }
    let (tag, mut entries, _) = element(rest)?;
    if tag != SEQUENCE {
        return Some(0);
    }
    let mut count = 0;
    while !entries.is_empty() {
        (_, _, entries) = element(entries)?;
        count += 1;
    }
    Some(count)
}

/// Returns the tag and content of the first element, and the rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::cluster::lifetime::Lifetime;
    use crate::cluster::name::ClusterName;
    use crate::cluster::profile::CaRole;
    use crate::pki::issuer::{Issuer, create_root};
    use crate::pki::untrusted::revocation_list;
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn root() -> Issuer {
        let name = ClusterName::parse("prod").expect("a name");
        let root = create_root(CaRole::Cluster, &name, KeyKind::EcdsaP256, Lifetime::ONE_YEAR, NOW);
        Issuer::open(CaRole::Cluster, root.expect("a root").get(), NOW).expect("a valid root")
    }

    #[test]
    fn a_crl_has_its_issuer_its_times_and_its_serial_numbers() {
        let root = root();
        let serials = [Serial(vec![1, 2, 3]), Serial(vec![0x80, 9])];
        let der = revocation_list(&root, &serials, NOW, NOW + Duration::DAY).expect("a CRL");
        let crl = Crl::from_der(der.clone()).expect("a CRL");
        assert_eq!(crl.serials, serials.into());
        assert_eq!((crl.this_update, crl.next_update), (NOW, Some(NOW + Duration::DAY)));
        assert_eq!(crl.issuer.der, root.ca().root().subject.der);
        assert!(crl.is_signed_by(root.ca().root()) && crl.critical.is_empty());
        assert!(!crl.is_signed_by(self::root().ca().root()));
        assert_eq!(read_all(&der), Ok(vec![der.clone()]));
        let empty = revocation_list(&root, &[], NOW, NOW + Duration::DAY).expect("a CRL");
        assert!(Crl::from_der(empty).expect("a CRL").serials.is_empty());
    }

    #[test]
    fn an_entry_that_cannot_be_parsed_is_an_error() {
        let root = root();
        let serials = [Serial(vec![1; 9]), Serial(vec![2; 9]), Serial(vec![3; 9])];
        let mut der = revocation_list(&root, &serials, NOW, NOW + Duration::DAY).expect("a CRL");
        let at = der.windows(9).position(|window| window == [2; 9]).expect("there");
        // The INTEGER's tag becomes a BOOLEAN's.
        der[at - 2] = 1;
        assert!(Crl::from_der(der.clone()).is_err());
        let (_, list, _) = element(&der).expect("a list");
        let (_, _, after) = element(list).expect("its content");
        assert_eq!(count_entries(&list[..list.len() - after.len()]), Some(3));
    }

    #[test]
    fn garbage_a_truncated_crl_and_other_pem_are_refused() {
        assert!(matches!(Crl::from_der(b"garbage".to_vec()), Err(CrlError::Malformed(_))));
        let root = root();
        let mut der = revocation_list(&root, &[Serial(vec![7])], NOW, NOW + Duration::DAY).expect("a CRL");
        assert!(matches!(Crl::from_der(der[..der.len() - 1].to_vec()), Err(CrlError::Malformed(_))));
        der.push(0);
        assert_eq!(Crl::from_der(der), Err(CrlError::Trailing(1)));
        assert_eq!(read_all(root.ca().root().to_pem().as_bytes()), Err(CrlError::NoSection));
        assert_eq!(read_all(b""), Err(CrlError::Pem(PemError::Nothing)));
    }
}
