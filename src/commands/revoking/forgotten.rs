//! What a ledger from a backup has forgotten, by the signed lists and by the files that were rendered since.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::lists::Lost;
use super::remembered::{self, Memory};
use super::revocations::GRACE;
use crate::cli::error::Result;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::store::ledger::unrecorded::{NotRevoked, UnrecordedRevocation};

/// What the ledger has forgotten, as one from a backup does.
pub(crate) struct Forgotten {
    /// What it issued, each with its revocation.
    pub(crate) recorded: Vec<IssuedCertificate>,
    /// Serial numbers of lists, whose certificates it does not have.
    pub(crate) strangers: Vec<UnrecordedRevocation>,
    /// Digests of rules, whose certificates it does not have.
    pub(crate) unrecorded: Vec<UnrecordedRevocation>,
}

impl Forgotten {
    /// By the lists, and by what files remember.
    ///
    /// # Errors
    /// When the ledger cannot be used.
    pub(crate) fn of(lost: Lost, memories: &[Memory], ledger: &Ledger, now: OffsetDateTime) -> Result<Self> {
        let NotRevoked { recorded, unrecorded } = remembered::not_revoked(memories, ledger, now)?;
        let revocation = Revocation { reason: Reason::Unspecified, at: now };
        // A list says why and when.
        let by_list: BTreeSet<Fingerprint> = lost.known.iter().map(|issued| issued.fingerprint).collect();
        let others = recorded.into_iter().filter(|issued| !by_list.contains(&issued.fingerprint) && !issued.is_root());
        let others = others.map(|issued| IssuedCertificate { revocation: Some(revocation.clone()), ..issued });
        let unrecorded = unrecorded.into_iter().map(|sha256| UnrecordedRevocation {
            fingerprint: Some(sha256),
            serial: None,
            revocation: revocation.clone(),
        });
        Ok(Self {
            unrecorded: unrecorded.collect(),
            strangers: lost.strangers,
            recorded: lost.known.into_iter().chain(others).collect(),
        })
    }

    /// Looks whether nothing that the directory's files remember would be left forgotten.
    ///
    /// # Errors
    /// Refused, with what records it again.
    pub(crate) fn explain(
        &self,
        others: &[Memory],
        learnt: &[Memory],
        ledger: &Ledger,
        now: OffsetDateTime,
    ) -> Result<()> {
        let sequence = learnt.iter().map(|memory| memory.sequence).max().unwrap_or(0).max(ledger.sequence()?);
        let left_out = |memory: &&Memory| learnt.iter().all(|one| one.path != memory.path);
        for memory in others.iter().filter(left_out) {
            let NotRevoked { recorded, unrecorded } = ledger.not_revoked_among(&memory.denied, now - GRACE)?;
            let is_learnt = |sha256: &Fingerprint| {
                self.recorded.iter().any(|issued| issued.fingerprint == *sha256)
                    || self.unrecorded.iter().any(|one| one.fingerprint == Some(*sha256))
            };
            let lost = recorded.iter().map(|issued| &issued.fingerprint).chain(&unrecorded);
            let lost = lost.filter(|sha256| !is_learnt(sha256)).count();
            if lost > 0 || memory.sequence > sequence {
                return Err(match remembered::older_than(std::slice::from_ref(memory), ledger, now)? {
                    Some(older) => remembered::refusal(&older),
                    None => continue,
                });
            }
        }
        Ok(())
    }

    /// The roots whose lists have to name more than they do.
    pub(crate) fn lists(&self, roots: &CaSet) -> Vec<CaRole> {
        let signed = |kind: &CaRole| {
            let root = roots.of(*kind).fingerprint();
            let of_strangers = || self.strangers.iter().filter_map(|one| one.serial.as_ref());
            self.recorded.iter().any(|issued| issued.issuer == root)
                || of_strangers().any(|(issuer, _)| *issuer == root)
        };
        CaRole::ALL.into_iter().filter(signed).collect()
    }
}
