//! Certificates made in batches by the roots that were opened, each checked as a stranger would before it is recorded.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use time::OffsetDateTime;

use super::plan::{Plan, certificates_in};
use super::request::Request;
use super::telling::{certificates, holder};
use crate::app::batches::{Interrupt, batch_size, in_batches};
use crate::app::threads;
use crate::cli::args::ca_passphrase::authority;
use crate::cli::context::Context;
use crate::cli::error::{self, CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::{CaRole, CertificateSpec};
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::issuer::{Credential, Issuer};
use crate::pki::lint::leaf_violations;
use crate::pki::verified::Verified;
use crate::pki::violation::Violation;
use crate::store::ca::OpenedCa;
use crate::store::credentials::{self, CredentialProblem, LoadedCredential};
use crate::store::issuance::{self, IssuanceContext, StagedCredentials};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::verification_cache::{CacheEntry, CacheKey};

/// Holders in one batch: large enough that the disk's syncs do not count, small enough for memory and for a prompt stop.
const BATCH: RangeInclusive<usize> = 1024..=2048;

/// Makes batch after batch in memory on all cores, while the one before goes into the ledger, and the one before that into files
/// and onto the disk. Returns the entries of the verification cache for what was written.
pub(super) fn make_all(
    request: &Request<'_>,
    work: &[&Plan],
    cluster: &Cluster,
    authorities: &Authorities,
    roots: &CaSet,
    ledger: &mut Ledger,
    context: &Context<'_>,
) -> Result<Written> {
    let total = certificates_in(work);
    let progress = context.screen.progress("issuing", total as u64);
    ledger.reserve_cache(total);
    let issuer = IssuanceContext { roots, now: context.env.now, by: &context.env.actor };
    let cache_key = CacheKey::new(cluster.keys, roots, ledger.revocation_count()?);
    let (layout, stop) = (&context.env.layout, &context.stop);
    let written = Mutex::new(Written::default());
    let one = |plan: &&Plan| {
        if stop.asked() {
            return Err(Interrupt::Cancelled);
        }
        Ok(make(request, plan, cluster, authorities, &issuer, layout, &cache_key)?)
    };
    let make = |batch: &[&Plan]| batch.par_iter().map(one).collect::<Result<Vec<_>, Interrupt<CliError>>>();
    // Threads of its own: else writing would wait until all of a batch was made.
    let writers = (!threads::are_scarce())
        .then(|| ThreadPoolBuilder::new().num_threads(rayon::current_num_threads().min(work.len())).build())
        .transpose()
        .map_err(|error| error::too_few_threads().because(error))?;
    let record = |_: &[&Plan], holdings: Vec<StagedCredentials>| {
        // The lock is not held while the ledger is written: entries of what is committed meanwhile come with the next batch.
        let entries = lock_unpoisoned(&written).not_recorded().to_vec();
        issuance::record(ledger, &issuer, &holdings, &entries)?;
        lock_unpoisoned(&written).recorded += entries.len();
        Ok(holdings)
    };
    let settle = |batch: &[&Plan], holdings: Vec<StagedCredentials>| {
        // Here, for while the disk commits what is settling, new files only wait for it.
        let stage = || issuance::stage(layout, &holdings);
        let staged = writers.as_ref().map_or_else(stage, |writers| writers.install(stage))?;
        let entries = staged.commit(layout)?;
        lock_unpoisoned(&written).all.extend(entries);
        progress.add(certificates_in(batch) as u64);
        Ok(())
    };
    let told = |written| format!("{} of {} issued", certificates_in(&work[..written]), certificates(total));
    context.stop.listen();
    let size = batch_size(work.len(), BATCH);
    let done = in_batches(work, size, &context.stop.cancellation(), make, record, settle).and_then(|done| {
        match done < work.len() {
            true => context.go_on(|| told(done)),
            false => Ok(()),
        }
    });
    let written = written.into_inner().unwrap_or_else(PoisonError::into_inner);
    if done.is_err() {
        // Also for what was done before the failure. Without the entries the next run reads these files again.
        let _ = ledger.remember_verified(written.not_recorded());
    }
    // What was replaced is deleted at the end: while files are being created, deleting others would slow that down.
    let swept = issuance::sweep(layout);
    done?;
    swept?;
    Ok(written)
}

/// The verification cache's entries for the credentials that were written.
#[derive(Default)]
pub(super) struct Written {
    all: Vec<CacheEntry>,
    /// How many of them, from the first on, the ledger has.
    recorded: usize,
}

impl Written {
    /// Returns the entries that the ledger does not have yet.
    pub(super) fn not_recorded(&self) -> &[CacheEntry] {
        &self.all[self.recorded..]
    }
}

/// Locks the entries. A panic in any worker ends the run, so a poisoned lock is safe to read.
fn lock_unpoisoned(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make(
    request: &Request<'_>,
    plan: &Plan,
    cluster: &Cluster,
    authorities: &Authorities,
    issuer: &IssuanceContext<'_>,
    layout: &Layout,
    cache_key: &CacheKey,
) -> Result<StagedCredentials> {
    let leaves = (request.leaves)(plan.holder);
    let mut holding =
        StagedCredentials { host: None, expected: cache_key.expected(&leaves), issued: Vec::new(), kept: Vec::new() };
    for (i, leaf) in leaves.iter().enumerate() {
        holding.host.clone_from(&leaf.host);
        if plan.issue.iter().any(|(issued, _)| *issued == i) {
            holding.issued.push((leaf.profile, authorities.issue(leaf, cluster.keys, issuer.now)?));
        } else {
            holding.kept.push((leaf.profile, still_good(leaf, cluster.keys, issuer, layout)?));
        }
    }
    Ok(holding)
}

/// What the plan found good, read and judged once more: a person may have typed a passphrase since.
fn still_good(
    leaf: &CertificateSpec,
    keys: KeyKind,
    issuer: &IssuanceContext<'_>,
    layout: &Layout,
) -> Result<LoadedCredential> {
    let changed = |what: String| {
        CliError::new(Exit::Environment, format!("{} changed while it was looked at: {what}", holder(leaf)))
            .hint("run the same command again")
    };
    let stored = credentials::read(layout, leaf).map_err(|trouble| changed(trouble.to_string()))?;
    let (trust, credential) = (issuer.roots.issuer_of(leaf), &stored.credential);
    let ca = trust.ca_of(&credential.certificate).certificate();
    let mut violations = leaf_violations(&credential.certificate, leaf, keys, ca, issuer.now);
    violations.extend((!credential.key_fits()).then_some(Violation::KeyDoesNotFit));
    let chain = credentials::chain_problem(layout, leaf, credential, trust);
    match violations.into_iter().map(CredentialProblem::Violation).chain(chain).next() {
        Some(problem) => Err(changed(problem.to_string())),
        None => Ok(stored),
    }
}

/// The roots that were opened, ready to sign.
pub(super) struct Authorities(Vec<(CaRole, Issuer)>);

impl Authorities {
    pub(super) fn open(signers: Vec<(CaRole, OpenedCa)>, now: OffsetDateTime) -> Result<Self> {
        let open = |(kind, ca)| authority(kind, ca, now).map(|authority| (kind, authority));
        signers.into_iter().map(open).collect::<Result<_>>().map(Self)
    }

    /// The authority of a root, where it was opened.
    pub(super) fn of(&self, kind: CaRole) -> Option<&Issuer> {
        self.0.iter().find(|(of, _)| *of == kind).map(|(_, authority)| authority)
    }

    fn issue(&self, leaf: &CertificateSpec, keys: KeyKind, now: OffsetDateTime) -> Result<Verified<Credential>> {
        let signer = leaf.policy().signed_by;
        let found = self.0.iter().find(|(kind, _)| *kind == signer);
        let (_, authority) = found.ok_or_else(|| {
            CliError::new(Exit::Bug, format!("the {} that signs {} was not opened", signer.as_str(), holder(leaf)))
        })?;
        authority.issue_credential(leaf, keys, now).map_err(|error| {
            CliError::new(Exit::Bug, format!("no good certificate could be made for {}", holder(leaf))).because(error)
        })
    }
}
