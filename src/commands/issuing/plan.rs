//! What there is to be issued, and why: what lies in the directory, compared with what the cluster file asks for.

use std::collections::{BTreeSet, HashSet};

use rayon::iter::{Either, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use time::OffsetDateTime;

use super::request::{IssueArgs, Request};
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cluster::duration::in_words;
use crate::cluster::profile::{CaRole, CertificateSpec};
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::ledger::Ledger;
use crate::store::verification_cache::{CacheEntry, CacheKey, FileSnapshot, Snapshots};

/// The reason where a person asked for it.
const REISSUE: &str = "--reissue asks for it";

/// What is to be done for one holder.
pub(super) struct Plan {
    /// Its number.
    pub(super) holder: usize,
    /// Which of its leaves are issued, by number, each with all reasons. The others are good and lie beside them.
    pub(super) issue: Vec<(usize, Vec<String>)>,
    /// How many are good.
    pub(super) kept: usize,
}

/// All plans, and what was come upon on the way.
pub(super) struct Planned {
    pub(super) plans: Vec<Plan>,
    /// What may be remembered of those that were looked at and are good.
    pub(super) cache_entries: Vec<CacheEntry>,
    pub(super) strays: Vec<UnrecordedCertificate>,
}

/// A certificate that the root signed and the ledger does not know: one from a backup has forgotten it. Once its file is
/// replaced nobody could revoke it any more.
pub(super) struct UnrecordedCertificate {
    pub(super) leaf: CertificateSpec,
    pub(super) certificate: Certificate,
}

pub(super) fn certificates_in(work: &[&Plan]) -> usize {
    work.iter().map(|plan| plan.issue.len()).sum()
}

/// Compares what lies in the directory with what the cluster file asks for. Whose files were not touched since they were good
/// is not looked at more closely.
pub(super) fn plan(
    request: &Request<'_>,
    cluster: &Cluster,
    roots: &CaSet,
    ledger: &Ledger,
    context: &Context<'_>,
) -> Result<Planned> {
    let (layout, now, how) = (&context.env.layout, context.env.now, request.how);
    let cache_key = CacheKey::new(cluster.keys, roots, ledger.revocation_count()?);
    let (snapshots, cache) = (Snapshots::new(layout, cache_key, now), ledger.verification_cache()?);
    let glance = |holder: usize| {
        let leaves = (request.leaves)(holder);
        let snapshot = snapshots.take(&leaves);
        let unchanged = |snapshot| cache.covers(&snapshot, now, how.end_of(&leaves, cluster, now));
        if snapshot.is_some_and(unchanged) {
            // Nothing is wrong with them, so that there is no other reason.
            let all = || (0..leaves.len()).map(|i| (i, vec![REISSUE.to_owned()])).collect();
            return Ok(match how.reissue {
                true => Plan { holder, issue: all(), kept: 0 },
                false => Plan { holder, issue: Vec::new(), kept: leaves.len() },
            });
        }
        // Of a new fleet there are no folders, and a look at each of their files would be most of the looking.
        if snapshot.is_none() && leaves.first().is_some_and(|leaf| credentials::lacks_folder(layout, leaf)) {
            let all = (0..leaves.len()).map(|i| (i, vec![CredentialProblem::NotThere.to_string()]));
            return Ok(Plan { holder, issue: all.collect(), kept: 0 });
        }
        Err((holder, snapshot))
    };
    let sort = |glanced| match glanced {
        Ok(plan) => Either::Left(plan),
        Err(unknown) => Either::Right(unknown),
    };
    let (mut plans, others): (Vec<Plan>, Vec<(usize, Option<FileSnapshot>)>) =
        (0..request.holders).into_par_iter().map(glance).partition_map(sort);
    drop(cache);
    context.go_on(|| "nothing was changed".to_owned())?;
    if others.is_empty() {
        return Ok(Planned { plans, cache_entries: Vec::new(), strays: Vec::new() });
    }
    let progress = context.screen.progress("looking at what is there", others.len() as u64);
    let known = ledger.inventory()?;
    let one = |&(holder, snapshot): &(usize, Option<FileSnapshot>)| {
        let mut plan = Plan { holder, issue: Vec::new(), kept: 0 };
        let (leaves, mut good, mut forgotten) = ((request.leaves)(holder), Vec::new(), Vec::new());
        let mut strays = Vec::new();
        for (i, leaf) in leaves.iter().enumerate() {
            let root = roots.issuer_of(leaf);
            let found = credentials::read_good(layout, leaf, cluster.keys, root, &known, now);
            if found.is_err() {
                // Whatever else is wrong, a key that is gone too.
                let certificate = credentials::read_certificate(layout, leaf).ok();
                let unknown = certificate.filter(|certificate| known.sequence(certificate.fingerprint()).is_none());
                let ours = unknown.filter(|certificate| root.signer_of(certificate).is_some());
                strays.extend(ours.map(|certificate| UnrecordedCertificate { leaf: leaf.clone(), certificate }));
            }
            let reasons: Vec<String> = match &found {
                // A disk or a mode that keeps us from reading says nothing of what lies there: it may be good.
                Err(troubles) if let [CredentialProblem::Unreadable(error)] = troubles.as_slice() => {
                    return Err(error.clone());
                }
                // Forgotten on purpose is not missing.
                Err(troubles) if let [CredentialProblem::KeyDiscarded { not_after }] = troubles.as_slice() => {
                    forgotten.push(i);
                    let certificate = credentials::read_certificate(layout, leaf).ok();
                    let begins = certificate.map_or(now, |certificate| certificate.not_before);
                    reasons_to_replace((begins, *not_after), leaf, roots, how, cluster, now)
                }
                Err(troubles) => troubles.iter().map(ToString::to_string).collect(),
                Ok(stored) => {
                    let certificate = &stored.credential.certificate;
                    reasons_to_replace((certificate.not_before, certificate.not_after), leaf, roots, how, cluster, now)
                }
            };
            if reasons.is_empty() {
                plan.kept += 1;
                good.extend(found.ok().map(|stored| stored.credential.certificate));
            } else {
                plan.issue.push((i, reasons));
            }
        }
        // A new bundle needs all of its host's keys.
        if !plan.issue.is_empty() {
            for i in
                forgotten.into_iter().filter(|i| plan.issue.iter().all(|(issued, _)| issued != i)).collect::<Vec<_>>()
            {
                plan.kept -= 1;
                plan.issue.push((i, vec!["its key was forgotten, and the next bundle needs one".to_owned()]));
            }
        }
        progress.add(1);
        let snapshot = snapshot.filter(|_| plan.issue.is_empty());
        let entry = snapshot.zip(leaves.first()).and_then(|(snapshot, leaf)| snapshot.entry(leaf, good.iter()));
        Ok((plan, entry, strays))
    };
    let looked = others.par_iter().map(one).collect::<Result<Vec<_>, _>>()?;
    context.go_on(|| "nothing was changed".to_owned())?;
    let (mut cache_entries, mut strays) = (Vec::new(), Vec::new());
    for (plan, entry, of_plan) in looked {
        plans.push(plan);
        cache_entries.extend(entry);
        strays.extend(of_plan);
    }
    plans.sort_unstable_by_key(|plan| plan.holder);
    // A copy may lie with two hosts.
    let mut seen = HashSet::new();
    strays.retain(|stray: &UnrecordedCertificate| seen.insert(stray.certificate.fingerprint()));
    Ok(Planned { plans, cache_entries, strays })
}

/// Why a good certificate is replaced: it was asked for, or its time has come.
fn reasons_to_replace(
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
    leaf: &CertificateSpec,
    roots: &CaSet,
    how: &IssueArgs,
    cluster: &Cluster,
    now: OffsetDateTime,
) -> Vec<String> {
    let left = not_after - now;
    let mut reasons = Vec::new();
    let asked = how.renew_within.is_some_and(|within| left <= within.duration());
    // The configured life where the certificate has a longer one, so that it is the same for all of a holder's.
    let life = std::time::Duration::try_from(not_after - not_before).unwrap_or_default().min(leaf.lifetime.duration());
    let due = left <= cluster.renewed_before(life);
    // A root that ends soon shortens what it signs: a new one would end when this one does.
    let lasts_longer = (now + leaf.lifetime.duration()).min(roots.issuer_of(leaf).active().not_after()) > not_after;
    if asked || (due && lasts_longer) {
        reasons.push(format!("ends in {}", in_words(left)));
    }
    if how.reissue {
        reasons.push(REISSUE.to_owned());
    }
    reasons
}

/// The roots that the work needs, each once.
pub(super) fn signers(request: &Request<'_>, work: &[&Plan]) -> Vec<CaRole> {
    let needs = |plan: &&Plan| {
        let leaves = (request.leaves)(plan.holder);
        let kinds = plan.issue.iter().map(|(i, _)| leaves[*i].policy().signed_by);
        kinds.collect::<BTreeSet<_>>()
    };
    let all = work.par_iter().map(needs).reduce(BTreeSet::new, |a, b| &a | &b);
    all.into_iter().collect()
}
