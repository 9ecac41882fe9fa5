//! Finds revocations that the CRLs in the cluster directory list and the ledger lacks, for example because it was
//! restored from a backup.

use time::OffsetDateTime;

use super::crl_file::{CrlFileError, StoredCrls};
use super::denials::GRACE;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::store::error::StoreError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::store::ledger::unrecorded::UnrecordedRevocation;

/// Revocations that the CRLs have and the ledger does not.
#[derive(Debug, Default)]
pub(super) struct MissingRevocations {
    /// Certificates that the ledger has, each with the revocation of the CRL.
    pub(super) recorded: Vec<IssuedCertificate>,
    /// Serial numbers whose certificates the ledger does not have.
    pub(super) serials: Vec<UnrecordedRevocation>,
    /// CRLs that are damaged, or that another CA signed.
    pub(super) unusable: Vec<(CaRole, CrlFileError)>,
}

/// Finds the revocations that the CRLs have and the ledger does not.
///
/// Certificates that expired long ago, and CRLs that the CA did not sign, are left out.
///
/// # Errors
/// Returns an error if a CRL cannot be read, or the ledger cannot be used.
pub(super) fn missing_revocations(
    layout: &Layout,
    cas: &CaSet,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<MissingRevocations, StoreError> {
    let mut missing = MissingRevocations::default();
    let unrecorded = ledger.unrecorded()?;
    for role in CaRole::ALL {
        let crls = match StoredCrls::read(layout, cas.of(role)) {
            Ok(crls) => crls,
            Err(CrlFileError::Store(error)) => return Err(error),
            Err(why @ (CrlFileError::Malformed(_) | CrlFileError::OtherIssuer(_))) => {
                missing.unusable.push((role, why));
                continue;
            }
        };
        let entries = crls.iter().flat_map(|(ca, crl)| crl.entries().into_iter().map(move |entry| (ca, entry)));
        for (ca, entry) in entries {
            let revocation = Revocation { reason: entry.reason, at: entry.at };
            match ledger.by_issuer_and_serial(ca, &entry.serial)? {
                Some(issued) if issued.revocation.is_some() || issued.not_after <= now - GRACE => {}
                Some(issued) if !issued.is_root() => {
                    missing.recorded.push(IssuedCertificate { revocation: Some(revocation), ..issued });
                }
                _ => {
                    let serial = Some((ca, entry.serial));
                    if unrecorded.iter().all(|one| one.serial != serial) {
                        missing.serials.push(UnrecordedRevocation { fingerprint: None, serial, revocation });
                    }
                }
            }
        }
    }
    Ok(missing)
}
