//! Signs certificates in batches. While one batch is signed, the previous one is recorded, and the one before that is
//! written.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::compare::SubjectPlan;
use super::error::IssuanceError;
use super::options::Wanted;
use crate::app::batches::{Interrupt, batch_size, in_batches};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::{Observer, Task};
use crate::app::threads;
use crate::cluster::profile::CertificateSpec;
use crate::pki::ca_set::CaSet;
use crate::pki::issuer::{Credential, Issuer};
use crate::pki::lint::leaf_violations;
use crate::pki::verified::Verified;
use crate::pki::violation::Violation;
use crate::store::credentials::{self, CredentialProblem, LoadedCredential};
use crate::store::issuance::{self, IssuanceContext, StagedCredentials};
use crate::store::ledger::Ledger;
use crate::store::verification_cache::{CacheEntry, CacheKey};

/// The number of subjects in one batch: so many that syncing the disk takes a small part of the time, and so few that
/// a batch fits in memory and a run stops soon after a stop was requested.
const BATCH: RangeInclusive<usize> = 1024..=2048;

/// The inputs of signing.
pub(super) struct Signing<'a> {
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) issuers: &'a [Issuer],
    pub(super) cas: &'a CaSet,
    pub(super) env: &'a Env,
}

/// The verification cache's entries for the credentials that were written.
#[derive(Default)]
struct Written {
    all: Vec<CacheEntry>,
    /// The number of leading entries that the ledger already has.
    recorded: usize,
}

impl Written {
    fn not_recorded(&self) -> &[CacheEntry] {
        &self.all[self.recorded..]
    }
}

impl Signing<'_> {
    /// Issues all certificates of the plans, and returns the verification cache's entries that are not in the ledger
    /// yet.
    ///
    /// # Errors
    /// Returns an error if a certificate cannot be issued, the ledger or the disk cannot be used, or a stop was
    /// requested.
    pub(super) fn run(
        &self,
        work: &[&SubjectPlan],
        ledger: &mut Ledger,
        observer: &mut dyn Observer,
    ) -> Result<Vec<CacheEntry>, Error> {
        let total = certificates_in(work);
        let (progress, cancellation) = (observer.progress(Task::Issuing, total as u64), observer.cancellation());
        ledger.reserve_cache(total);
        let context = IssuanceContext { cas: self.cas, now: self.env.now, by: &self.env.actor };
        let cache_key = CacheKey::new(self.wanted.cluster.keys, self.cas, ledger.revocation_count()?);
        let written = Mutex::new(Written::default());
        let make_one = |plan: &&SubjectPlan| match cancellation.is_cancelled() {
            true => Err(Interrupt::Cancelled),
            false => self.make(plan, &cache_key).map_err(Interrupt::Failed),
        };
        let make =
            |batch: &[&SubjectPlan]| batch.par_iter().map(make_one).collect::<Result<Vec<_>, Interrupt<Error>>>();
        // Writers have their own threads: in the global pool, they would wait until the whole batch is made.
        let writers = (!threads::are_scarce())
            .then(|| ThreadPoolBuilder::new().num_threads(rayon::current_num_threads().min(work.len())).build())
            .transpose()
            .map_err(IssuanceError::from)?;
        let record = |_: &[&SubjectPlan], made: Vec<StagedCredentials>| {
            // The lock is not held while the ledger is written. Entries that are added during the write are recorded
            // with the next batch.
            let entries = lock_unpoisoned(&written).not_recorded().to_vec();
            issuance::record(ledger, &context, &made, &entries)?;
            lock_unpoisoned(&written).recorded += entries.len();
            Ok(made)
        };
        let commit = |batch: &[&SubjectPlan], made: Vec<StagedCredentials>| {
            // Files are created only here: while the disk commits a batch, creating them would block.
            let stage = || issuance::stage(&self.env.layout, &made);
            let staged = writers.as_ref().map_or_else(stage, |writers| writers.install(stage))?;
            // The keys are wiped, and their memory is free for the next batch, while the disk is synced.
            drop(made);
            let entries = staged.commit(&self.env.layout)?;
            lock_unpoisoned(&written).all.extend(entries);
            progress.add(certificates_in(batch) as u64);
            Ok(())
        };
        observer.defer_interrupts();
        let done = in_batches(work, batch_size(work.len(), BATCH), &cancellation, make, record, commit);
        let written = written.into_inner().unwrap_or_else(PoisonError::into_inner);
        let done = match done {
            Ok(done) if done < work.len() => {
                Err(IssuanceError::Stopped { issued: certificates_in(&work[..done]), total }.into())
            }
            other => other,
        };
        if done.is_err() {
            // Credentials that were written before the failure are cached, too. Without the entries the next run reads
            // the files again.
            let _ = ledger.cache_verified(written.not_recorded());
        }
        // Replaced files are deleted at the end, because deleting files slows down creating others.
        let swept = issuance::sweep(&self.env.layout);
        done?;
        swept?;
        Ok(written.not_recorded().to_vec())
    }

    /// Issues the certificates of one subject, and reads its kept credentials again.
    fn make(&self, plan: &SubjectPlan, cache_key: &CacheKey) -> Result<StagedCredentials, Error> {
        let specs = self.wanted.specs(plan.subject);
        let mut made = StagedCredentials {
            host: None,
            expected: cache_key.expected(&specs),
            issued: Vec::new(),
            kept: Vec::new(),
            on_host: Vec::new(),
        };
        for (i, spec) in specs.iter().enumerate() {
            made.host.clone_from(&spec.host);
            if plan.issue.iter().any(|(issued, _)| *issued == i) {
                made.issued.push((spec.profile, self.issue(spec)?));
            } else if plan.on_host.iter().any(|(on_host, _)| *on_host == i) {
                made.on_host.push(spec.profile);
            } else {
                made.kept.push((spec.profile, self.still_valid(spec)?));
            }
        }
        Ok(made)
    }

    fn issue(&self, spec: &CertificateSpec) -> Result<Verified<Credential>, IssuanceError> {
        let role = spec.policy().signed_by;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| issuer.ca().role() == role)
            .ok_or_else(|| IssuanceError::NoIssuer { role, credential: spec.into() })?;
        issuer
            .issue_credential(spec, self.wanted.cluster.keys, self.env.now)
            .map_err(|source| IssuanceError::Certificate { credential: spec.into(), source })
    }

    /// Reads and verifies a kept credential again, because it may have changed while the user typed the passphrase.
    fn still_valid(&self, spec: &CertificateSpec) -> Result<LoadedCredential, IssuanceError> {
        let changed = |problem| IssuanceError::Changed { credential: spec.into(), problem };
        let loaded = credentials::read(&self.env.layout, spec).map_err(changed)?;
        let (trust, credential) = (self.cas.issuer_of(spec), &loaded.credential);
        let ca = trust.ca_of(&credential.certificate).certificate();
        let mut violations = leaf_violations(&credential.certificate, spec, self.wanted.cluster.keys, ca, self.env.now);
        violations.extend((!credential.key_fits()).then_some(Violation::KeyDoesNotFit));
        let chain = credentials::chain_problem(&self.env.layout, spec, credential, trust);
        match violations.into_iter().map(CredentialProblem::Violation).chain(chain).next() {
            Some(problem) => Err(changed(problem)),
            None => Ok(loaded),
        }
    }
}

fn certificates_in(work: &[&SubjectPlan]) -> usize {
    work.iter().map(|plan| plan.issue.len()).sum()
}

/// Locks the entries. Poisoning is ignored, because a panic in any worker ends the run anyway.
fn lock_unpoisoned(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}
