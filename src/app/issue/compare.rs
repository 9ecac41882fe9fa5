//! Compares the credentials in the cluster directory with those that the cluster file requires.

use std::collections::HashSet;

use rayon::iter::{Either, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use time::OffsetDateTime;

use super::error::IssuanceError;
use super::options::Wanted;
use super::reason::IssueReason;
use crate::app::error::Error;
use crate::app::observer::{Cancellation, Observer, Task};
use crate::app::renewal;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::CertificateSpec;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::store::credentials::{self, CredentialProblem, LoadedCredential};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::inventory::Inventory;
use crate::store::verification_cache::{CacheEntry, CacheKey, FileSnapshot, Snapshots, VerificationCache};

/// The number of threads that look at files: where the kernel does not have their folders in memory, each thread waits for the
/// disk most of the time.
const LOOKING_THREADS: usize = 16;

/// The plan for one subject.
#[derive(Debug)]
pub(super) struct SubjectPlan {
    /// Its number in [`Wanted`].
    pub(super) subject: usize,
    /// The numbers of the certificates that are issued, each with all reasons. The others are valid.
    pub(super) issue: Vec<(usize, Vec<IssueReason>)>,
    /// The number of valid certificates.
    pub(super) kept: usize,
    /// The numbers of the certificates whose keys only the host has, each with all reasons for which it needs a new
    /// one.
    pub(super) on_host: Vec<(usize, Vec<IssueReason>)>,
    /// A file that cannot be read, for which the subject is left as it is.
    pub(super) unreadable: Option<StoreError>,
}

impl SubjectPlan {
    fn new(subject: usize, issue: Vec<(usize, Vec<IssueReason>)>, kept: usize) -> Self {
        Self { subject, issue, kept, on_host: Vec::new(), unreadable: None }
    }
}

/// The result of the comparison.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) plans: Vec<SubjectPlan>,
    /// The verification cache's entries for files that were read and are valid, even if they are replaced because they
    /// are due.
    pub(super) cache_entries: Vec<CacheEntry>,
    pub(super) unrecorded: Vec<UnrecordedCertificate>,
}

/// A certificate that the CA signed but the ledger does not have, for example because it was restored from a backup.
///
/// It has to be recorded before its file is replaced; otherwise it could no longer be revoked.
#[derive(Debug)]
pub(super) struct UnrecordedCertificate {
    pub(super) spec: CertificateSpec,
    pub(super) certificate: Certificate,
}

/// The cluster file, the CAs and the directory that credentials are compared with.
pub(super) struct Comparer<'a> {
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) cas: &'a CaSet,
    pub(super) layout: &'a Layout,
}

impl Comparer<'_> {
    /// Compares all subjects. Files that are unchanged since they were verified are not read.
    ///
    /// # Errors
    /// Returns an error if a file or the ledger cannot be read, or a stop was requested.
    pub(super) fn compare(&self, ledger: &Ledger, observer: &dyn Observer) -> Result<Comparison, Error> {
        let cache_key = CacheKey::new(self.keys(), self.cas, ledger.revocation_count()?);
        let snapshots = Snapshots::new(self.layout, cache_key, self.wanted.now);
        let cache = ledger.verification_cache()?;
        let by_cache = |subject| match self.by_cache(subject, &snapshots, &cache) {
            Ok(plan) => Either::Left(plan),
            Err(snapshot) => Either::Right((subject, snapshot)),
        };
        let subjects = self.wanted.subjects();
        let (mut plans, others): (Vec<SubjectPlan>, Vec<(usize, Option<FileSnapshot>)>) =
            files::in_threads(LOOKING_THREADS, subjects, || (0..subjects).into_par_iter().partition_map(by_cache));
        check_stop(&observer.cancellation())?;
        if others.is_empty() {
            return Ok(Comparison { plans, ..Comparison::default() });
        }
        let progress = observer.progress(Task::Checking, others.len() as u64);
        let inventory = ledger.inventory()?;
        let by_reading = |(subject, snapshot): &(usize, Option<FileSnapshot>)| {
            let compared = self.by_reading(*subject, *snapshot, &inventory);
            progress.add(1);
            compared
        };
        let compared = others.par_iter().map(by_reading).collect::<Result<Vec<_>, StoreError>>()?;
        check_stop(&observer.cancellation())?;
        let (mut cache_entries, mut unrecorded) = (Vec::new(), Vec::new());
        for (plan, entry, of_subject) in compared {
            plans.push(plan);
            cache_entries.extend(entry.filter(|entry| !cache.has(entry)));
            unrecorded.extend(of_subject);
        }
        plans.sort_unstable_by_key(|plan| plan.subject);
        // Two hosts may have copies of one certificate.
        let mut seen = HashSet::new();
        unrecorded.retain(|one: &UnrecordedCertificate| seen.insert(one.certificate.fingerprint()));
        Ok(Comparison { plans, cache_entries, unrecorded })
    }

    fn keys(&self) -> KeyKind {
        self.wanted.cluster.keys
    }

    /// Returns the plan of a subject whose files need not be read, or else the snapshot of its files.
    fn by_cache(
        &self,
        subject: usize,
        snapshots: &Snapshots,
        cache: &VerificationCache,
    ) -> Result<SubjectPlan, Option<FileSnapshot>> {
        let specs = self.wanted.specs(subject);
        let snapshot = snapshots.take(&specs);
        let is_unchanged = |snapshot| cache.covers(&snapshot, self.wanted.now, self.wanted.valid_beyond(&specs));
        let all_for = |reason: IssueReason| (0..specs.len()).map(|i| (i, vec![reason.clone()])).collect();
        if snapshot.is_some_and(is_unchanged) {
            // The credentials are valid, so no other reason applies.
            return Ok(match self.wanted.options.reissue {
                true => SubjectPlan::new(subject, all_for(IssueReason::Requested), 0),
                false => SubjectPlan::new(subject, Vec::new(), specs.len()),
            });
        }
        let validity = snapshot.and_then(|snapshot| cache.validity_of_each(&snapshot, self.wanted.now));
        if let Some((not_before, not_after)) = validity {
            return Ok(self.of_validity(subject, &specs, not_before, not_after));
        }
        // The hosts of a new cluster have no folders; looking for each of their files would take most of the run.
        if snapshot.is_none() && specs.first().is_some_and(|spec| credentials::lacks_folder(self.layout, spec)) {
            let issue = all_for(IssueReason::Problem(CredentialProblem::NotThere));
            return Ok(SubjectPlan::new(subject, issue, 0));
        }
        Err(snapshot)
    }

    /// Returns the plan of a subject whose credentials are all valid, between these times.
    fn of_validity(
        &self,
        subject: usize,
        specs: &[CertificateSpec],
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) -> SubjectPlan {
        let reasons = |(i, spec)| (i, self.reasons_to_replace(spec, not_before, not_after));
        let (issue, kept): (Vec<_>, Vec<_>) =
            specs.iter().enumerate().map(reasons).partition(|(_, reasons)| !reasons.is_empty());
        SubjectPlan::new(subject, issue, kept.len())
    }

    /// Reads and verifies the credentials of a subject.
    fn by_reading(
        &self,
        subject: usize,
        snapshot: Option<FileSnapshot>,
        inventory: &Inventory,
    ) -> Result<(SubjectPlan, Option<CacheEntry>, Vec<UnrecordedCertificate>), StoreError> {
        let specs = self.wanted.specs(subject);
        let mut plan = SubjectPlan::new(subject, Vec::new(), 0);
        let (mut valid, mut discarded, mut unrecorded) = (Vec::new(), Vec::new(), Vec::new());
        for (i, spec) in specs.iter().enumerate() {
            let ca = self.cas.issuer_of(spec);
            let found = credentials::read_good(self.layout, spec, self.keys(), ca, inventory, self.wanted.now);
            if found.is_err() {
                unrecorded.extend(self.unrecorded(spec, inventory));
            }
            if matches!(found.as_ref().map_err(Vec::as_slice), Err([CredentialProblem::KeyDiscarded { .. }])) {
                discarded.push(i);
            }
            let reasons = match self.reasons(spec, &found, inventory) {
                Err(error) if self.wanted.options.skips_unreadable => {
                    let plan = SubjectPlan { unreadable: Some(error), ..SubjectPlan::new(subject, Vec::new(), 0) };
                    return Ok((plan, None, Vec::new()));
                }
                other => other?,
            };
            if found.is_err() && credentials::is_key_on_host(self.layout, spec, inventory) {
                // A key generated here would not be the key of the host.
                plan.kept += usize::from(reasons.is_empty());
                plan.on_host.push((i, reasons));
            } else if reasons.is_empty() {
                plan.kept += 1;
            } else {
                plan.issue.push((i, reasons));
            }
            valid.extend(found.ok().map(|loaded| loaded.credential.certificate));
        }
        // A new bundle needs all of its host's keys.
        if !plan.issue.is_empty() {
            discarded.retain(|i| plan.issue.iter().all(|(issued, _)| issued != i));
            plan.kept -= discarded.len();
            plan.issue.extend(discarded.into_iter().map(|i| (i, vec![IssueReason::KeyDiscarded])));
        }
        let snapshot = snapshot.filter(|_| valid.len() == specs.len());
        let entry = snapshot.zip(specs.first()).and_then(|(snapshot, spec)| snapshot.entry(spec, valid.iter()));
        Ok((plan, entry, unrecorded))
    }

    /// Returns the certificate of a credential if the CA signed it and the ledger does not have it.
    fn unrecorded(&self, spec: &CertificateSpec, inventory: &Inventory) -> Option<UnrecordedCertificate> {
        let certificate = credentials::read_certificate(self.layout, spec).ok()?;
        let is_unknown = inventory.sequence(certificate.fingerprint()).is_none();
        let is_own = is_unknown && self.cas.issuer_of(spec).signer_of(&certificate).is_some();
        is_own.then(|| UnrecordedCertificate { spec: spec.clone(), certificate })
    }

    /// Returns the reasons for issuing a credential; empty if the credential is kept.
    fn reasons(
        &self,
        spec: &CertificateSpec,
        found: &Result<LoadedCredential, Vec<CredentialProblem>>,
        inventory: &Inventory,
    ) -> Result<Vec<IssueReason>, StoreError> {
        let by_rotation = |certificate: &Certificate| {
            let sequence = inventory.sequence(certificate.fingerprint());
            self.cas.replaces(spec, certificate, sequence).then_some(IssueReason::Rotation)
        };
        Ok(match found.as_ref().map_err(Vec::as_slice) {
            // An I/O error or a missing permission proves nothing about the credential, which may be valid.
            Err([CredentialProblem::Unreadable(error)]) => return Err(error.clone()),
            // A key that was discarded, or that only the host has, is not missing.
            Err([CredentialProblem::KeyDiscarded { not_after } | CredentialProblem::KeyOnHost { not_after }]) => {
                let certificate = credentials::read_certificate(self.layout, spec).ok();
                let not_before = certificate.as_ref().map_or(self.wanted.now, |certificate| certificate.not_before);
                let mut reasons = self.reasons_to_replace(spec, not_before, *not_after);
                reasons.extend(certificate.as_ref().and_then(by_rotation));
                reasons
            }
            Err(problems) => problems.iter().cloned().map(IssueReason::Problem).collect(),
            Ok(loaded) => {
                let certificate = &loaded.credential.certificate;
                let mut reasons = self.reasons_to_replace(spec, certificate.not_before, certificate.not_after);
                reasons.extend(by_rotation(certificate));
                reasons
            }
        })
    }

    /// Returns the reasons for replacing a valid certificate: on request, or because it expires soon.
    fn reasons_to_replace(
        &self,
        spec: &CertificateSpec,
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) -> Vec<IssueReason> {
        let Wanted { options, cluster, now } = self.wanted;
        let (left, lifetime) = (not_after - *now, spec.lifetime.duration());
        let mut reasons = Vec::new();
        let is_requested = options.renew_within.is_some_and(|within| left <= within.duration());
        let is_due = renewal::starts(cluster, lifetime, not_before, not_after) <= *now;
        let ca_not_after = self.cas.issuer_of(spec).active().not_after();
        let lasts_longer = renewal::lasts_longer(lifetime, not_after, ca_not_after, *now);
        if is_requested || (is_due && lasts_longer) {
            reasons.push(IssueReason::Expires { after: left });
        }
        if options.reissue {
            reasons.push(IssueReason::Requested);
        }
        reasons
    }
}

fn check_stop(cancellation: &Cancellation) -> Result<(), IssuanceError> {
    if cancellation.is_cancelled() { Err(IssuanceError::StoppedBeforeChange) } else { Ok(()) }
}
