//! Finds revocations that the ledger lacks, from the CRLs and from files that were rendered from an earlier state of
//! the ledger.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::denials::GRACE;
use super::error::RevokeError;
use super::missing::{self, MissingRevocations};
use super::rendered::{self, RenderedState};
use crate::app::error::Error;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::store::ledger::unrecorded::{NotRevoked, UnrecordedRevocation};

/// Refuses a ledger that lacks revocations in CRLs or rendered files, because certificates that it records as valid may
/// be revoked.
///
/// # Errors
/// Returns [`RevokeError::UnusableCrl`], [`RevokeError::RevocationsNotInLedger`], [`RevokeError::OutdatedLedger`], or
/// an error if a file or the ledger cannot be used.
pub fn check_ledger_is_current(
    layout: &Layout,
    cas: &CaSet,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let MissingRevocations { recorded, unusable, .. } = missing::missing_revocations(layout, cas, ledger, now)?;
    if let Some((role, source)) = unusable.into_iter().next() {
        return Err(RevokeError::UnusableCrl { path: layout.revocation_list(role), source }.into());
    }
    if !recorded.is_empty() {
        return Err(RevokeError::RevocationsNotInLedger { count: recorded.len() }.into());
    }
    rendered::check_ledger_is_newer(&rendered::of_directory(layout, &cas.cluster)?, ledger, now)
}

/// Revocations that the ledger lacks.
#[derive(Debug, Default)]
pub(crate) struct NotInLedger {
    /// Certificates that the ledger has, each with its revocation.
    pub(crate) recorded: Vec<IssuedCertificate>,
    /// Revocations in CRLs whose certificates the ledger does not have, by serial number.
    pub(crate) serials: Vec<UnrecordedRevocation>,
    /// Revocations in rendered files whose certificates the ledger does not have, by SHA-256.
    pub(crate) digests: Vec<UnrecordedRevocation>,
}

impl NotInLedger {
    /// Finds the revocations that the CRLs in the directory and rendered files have and the ledger lacks.
    ///
    /// # Errors
    /// Returns an error if a CRL cannot be read, or the ledger cannot be used.
    pub(crate) fn find(
        layout: &Layout,
        cas: &CaSet,
        states: &[RenderedState],
        ledger: &Ledger,
        now: OffsetDateTime,
    ) -> Result<Self, StoreError> {
        let missing = missing::missing_revocations(layout, cas, ledger, now)?;
        let NotRevoked { recorded, unrecorded } = rendered::not_revoked(states, ledger, now)?;
        let revocation = Revocation { reason: Reason::Unspecified, at: now };
        // A CRL also has the reason and the time, so it takes precedence.
        let by_crl: BTreeSet<Fingerprint> = missing.recorded.iter().map(|issued| issued.fingerprint).collect();
        let others = recorded.into_iter().filter(|issued| !by_crl.contains(&issued.fingerprint) && !issued.is_root());
        let others = others.map(|issued| IssuedCertificate { revocation: Some(revocation.clone()), ..issued });
        let digests = unrecorded.into_iter().map(|sha256| UnrecordedRevocation {
            fingerprint: Some(sha256),
            serial: None,
            revocation: revocation.clone(),
        });
        Ok(Self {
            digests: digests.collect(),
            serials: missing.serials,
            recorded: missing.recorded.into_iter().chain(others).collect(),
        })
    }

    /// Returns true if the ledger lacks nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.recorded.is_empty() && self.serials.is_empty() && self.digests.is_empty()
    }

    /// Refuses to continue if the ledger would still lack revocations of files that are not recorded.
    ///
    /// # Errors
    /// Returns [`RevokeError::OutdatedLedger`], or an error if the ledger cannot be used.
    pub(crate) fn check_covers(
        &self,
        all: &[RenderedState],
        learnt: &[RenderedState],
        ledger: &Ledger,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let sequence = learnt.iter().map(|state| state.sequence).max().unwrap_or(0).max(ledger.sequence()?);
        let is_left_out = |state: &&RenderedState| learnt.iter().all(|one| one.path != state.path);
        for state in all.iter().filter(is_left_out) {
            let NotRevoked { recorded, unrecorded } = ledger.not_revoked_among(&state.denied, now - GRACE)?;
            let is_learnt = |sha256: &Fingerprint| {
                self.recorded.iter().any(|issued| issued.fingerprint == *sha256)
                    || self.digests.iter().any(|one| one.fingerprint == Some(*sha256))
            };
            let lost = recorded.iter().map(|issued| &issued.fingerprint).chain(&unrecorded);
            let lost = lost.filter(|sha256| !is_learnt(sha256)).count();
            if (lost > 0 || state.sequence > sequence)
                && let Some(newer) = rendered::newer_than(std::slice::from_ref(state), ledger, now)?
            {
                return Err(newer.into_error().into());
            }
        }
        Ok(())
    }

    /// Returns the CAs whose CRLs lack revocations.
    pub(crate) fn crls(&self, cas: &CaSet) -> Vec<CaRole> {
        let has_signed = |role: &CaRole| {
            let trust = cas.of(*role);
            let mut serials = self.serials.iter().filter_map(|one| one.serial.as_ref());
            self.recorded.iter().any(|issued| trust.has(issued.issuer)) || serials.any(|(issuer, _)| trust.has(*issuer))
        };
        CaRole::ALL.into_iter().filter(has_signed).collect()
    }
}
