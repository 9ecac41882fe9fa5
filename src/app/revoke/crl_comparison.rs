//! Compares CRLs with the ledger, the database of issued and revoked certificates.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use crate::pki::certificate::Serial;
use crate::pki::crl::Crl;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;

/// The serial numbers that the ledger records as revoked, by the fingerprint of the CA's certificate.
///
/// Certificates that have expired are left out. Revoked certificates that the ledger only has by serial number are
/// included, because their expiry is not known.
#[derive(Debug, Default)]
pub(crate) struct RevokedSerials(BTreeMap<Fingerprint, BTreeSet<Serial>>);

impl RevokedSerials {
    /// Reads the revoked serial numbers from the ledger.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be used.
    pub(crate) fn read(ledger: &Ledger, now: OffsetDateTime) -> Result<Self, StoreError> {
        let mut found: BTreeMap<Fingerprint, BTreeSet<Serial>> = BTreeMap::new();
        let recorded =
            ledger.revoked_expiring_after(now)?.all()?.into_iter().map(|issued| (issued.issuer, issued.serial));
        // Revocations of certificates that the ledger does not have.
        let unrecorded = ledger.unrecorded()?.into_iter().filter_map(|revoked| revoked.serial);
        for (issuer, serial) in recorded.chain(unrecorded) {
            found.entry(issuer).or_default().insert(serial);
        }
        Ok(Self(found))
    }

    /// Returns the revoked serial numbers of a CA.
    pub(crate) fn of(&self, issuer: Fingerprint) -> impl Iterator<Item = &Serial> {
        self.0.get(&issuer).into_iter().flatten()
    }
}

/// The differences between a CRL and the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CrlComparison {
    /// The serial numbers that the ledger records as revoked, but the CRL does not list.
    pub missing: Vec<Serial>,
    /// The serial numbers that the CRL lists, but the ledger does not record as revoked.
    pub not_revoked: Vec<Serial>,
    /// The serial numbers that the CRL lists, but the ledger does not have.
    pub unknown: Vec<Serial>,
}

impl CrlComparison {
    /// Compares the CRL of a CA with the ledger.
    ///
    /// A revoked certificate that has expired is not a difference, whether the CRL lists it or not.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be used.
    pub(crate) fn new(
        crl: &Crl,
        issuer: Fingerprint,
        revoked: &RevokedSerials,
        ledger: &Ledger,
    ) -> Result<Self, StoreError> {
        let missing = revoked.of(issuer).filter(|serial| !crl.serials.contains(*serial)).cloned().collect();
        let mut comparison = Self { missing, ..Self::default() };
        let revoked_serials: BTreeSet<&Serial> = revoked.of(issuer).collect();
        for serial in crl.serials.iter().filter(|serial| !revoked_serials.contains(serial)) {
            match ledger.by_issuer_and_serial(issuer, serial)? {
                Some(issued) if issued.revocation.is_some() => {}
                Some(_) => comparison.not_revoked.push(serial.clone()),
                None => comparison.unknown.push(serial.clone()),
            }
        }
        Ok(comparison)
    }

    /// Returns true if there is no difference.
    #[must_use]
    pub fn matches(&self) -> bool {
        *self == Self::default()
    }
}
