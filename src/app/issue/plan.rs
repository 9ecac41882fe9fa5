//! Plans which credentials are issued, and issues them.

use std::collections::BTreeSet;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::compare::{Comparer, Comparison, SubjectPlan, UnrecordedCertificate};
use super::error::CredentialName;
use super::notice::Notice;
use super::options::{IssueOptions, Wanted};
use super::reason::PlannedCertificate;
use super::report::{IssueReport, NextStep};
use super::service_account::{self, ServiceAccountStep};
use super::sign::Signing;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::revoke::superseded::{Superseded, SupersededKept, SupersededReport};
use crate::app::revoke::{check_ledger_is_current, removed_hosts};
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::{Cluster, Role};
use crate::pki::ca_set::CaSet;
use crate::pki::issuer::Issuer;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::issuance::{self, HostFolders};
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::Entry;
use crate::store::lock::Lock;
use crate::store::verification_cache::CacheEntry;

/// A preview of the credentials that would be issued.
#[derive(Debug)]
pub struct IssuePreview<'a> {
    wanted: Wanted<'a>,
    /// The plans of all subjects.
    plans: Vec<SubjectPlan>,
    unrecorded: Vec<UnrecordedCertificate>,
    service_account: Option<ServiceAccountStep>,
    superseded: Superseded,
    /// The verification cache's entries for the files that were read.
    verified: Vec<CacheEntry>,
    superseded_kept: Option<SupersededKept>,
}

impl<'a> IssuePreview<'a> {
    /// Returns the certificates that would be issued, in the order of their subjects.
    pub fn certificates(&self) -> impl Iterator<Item = PlannedCertificate> {
        self.plans.iter().filter(|plan| !plan.issue.is_empty()).flat_map(|plan| {
            let specs = self.wanted.specs(plan.subject);
            let planned = |(i, reasons): &(usize, Vec<_>)| PlannedCertificate {
                credential: CredentialName::from(&specs[*i]),
                reasons: reasons.clone(),
            };
            plan.issue.iter().map(planned).collect::<Vec<_>>()
        })
    }

    /// Returns the certificates that are due but need a request from their host, in the order of their subjects.
    pub fn to_request(&self) -> impl Iterator<Item = PlannedCertificate> {
        self.plans.iter().filter(|plan| !plan.on_host.is_empty()).flat_map(|plan| {
            let specs = self.wanted.specs(plan.subject);
            let due = plan.on_host.iter().filter(|(_, reasons)| !reasons.is_empty());
            let planned = |(i, reasons): &(usize, Vec<_>)| PlannedCertificate {
                credential: CredentialName::from(&specs[*i]),
                reasons: reasons.clone(),
            };
            due.map(planned).collect::<Vec<_>>()
        })
    }

    /// Returns the subjects that are left as they are, because a file of theirs cannot be read: the host, `None` for the
    /// verifier, and the error.
    pub fn unreadable(&self) -> impl Iterator<Item = (Option<HostName>, &StoreError)> {
        self.plans.iter().filter_map(|plan| {
            let host = || self.wanted.specs(plan.subject).into_iter().find_map(|spec| spec.host);
            plan.unreadable.as_ref().map(|error| (host(), error))
        })
    }

    fn report(&self, observer: &mut dyn Observer) {
        if let Some(kept) = &self.superseded_kept {
            observer.notice(Notice::SupersededKept(kept.clone()).into());
        }
        let certificates: Vec<PlannedCertificate> = self.to_request().collect();
        if !certificates.is_empty() {
            observer.notice(Notice::RequestNeeded { certificates }.into());
        }
    }

    /// Returns the number of certificates that would be issued.
    #[must_use]
    pub fn issued(&self) -> usize {
        self.plans.iter().map(|plan| plan.issue.len()).sum()
    }

    /// Returns the number of valid certificates that are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.plans.iter().map(|plan| plan.kept).sum()
    }

    /// Returns the missing step for the key pair that signs service account tokens.
    #[must_use]
    pub fn service_account(&self) -> Option<ServiceAccountStep> {
        self.service_account
    }

    /// Returns the certificates of the former account scheme that would be revoked.
    #[must_use]
    pub fn superseded(&self) -> &Superseded {
        &self.superseded
    }

    /// Returns true if there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.issued() == 0 && self.service_account.is_none() && self.superseded.is_empty()
    }

    /// Returns the verification cache's entries for the files that were read and are valid, for [`plan_after`].
    pub(in crate::app) fn into_verified(self) -> Vec<CacheEntry> {
        self.verified
    }

    /// Returns the CAs whose keys are needed, each once.
    #[must_use]
    pub fn signers(&self) -> Vec<CaRole> {
        let Self { wanted, plans, superseded, .. } = self;
        let of_subject = |plan: &SubjectPlan| -> BTreeSet<CaRole> {
            if plan.issue.is_empty() {
                return BTreeSet::new();
            }
            let specs = wanted.specs(plan.subject);
            plan.issue.iter().map(|(i, _)| specs[*i].policy().signed_by).collect()
        };
        let mut roles = plans.par_iter().map(of_subject).reduce(BTreeSet::new, |a, b| &a | &b);
        if !superseded.is_empty() {
            roles.insert(CaRole::Cluster);
        }
        roles.into_iter().collect()
    }

    /// Compares the directory with the cluster file.
    fn new(
        wanted: Wanted<'a>,
        cas: &CaSet,
        ledger: &Ledger,
        env: &Env,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let comparer = Comparer { wanted: &wanted, cas, layout: &env.layout };
        let Comparison { plans, cache_entries: verified, unrecorded } = comparer.compare(ledger, observer)?;
        let (service_account, superseded) = match wanted.role() {
            // The accounts of control-plane nodes are the same under both schemes.
            Role::Master => (service_account::step(&env.layout)?, Superseded::default()),
            Role::Node => {
                // A host that still has to request a new certificate needs its current one until then.
                let waits = |plan: &&SubjectPlan| {
                    plan.unreadable.is_some() || plan.on_host.iter().any(|(_, reasons)| !reasons.is_empty())
                };
                let hosts = || {
                    let replaced = plans.iter().filter(|plan| !waits(plan));
                    let specs = replaced.flat_map(|plan| wanted.specs(plan.subject));
                    specs.filter_map(|spec| spec.host.map(|host| host.to_string())).collect()
                };
                (None, Superseded::of_hosts(hosts, wanted.cluster, ledger, env)?)
            }
        };
        let (superseded, superseded_kept) = superseded.that_fit(wanted.cluster, &cas.cluster, ledger, env)?;
        Ok(Self { wanted, plans, unrecorded, service_account, superseded, superseded_kept, verified })
    }
}

/// Returns a preview of what [`plan`] and [`IssuePlan::apply`] would do. Changes nothing.
///
/// # Errors
/// Returns an error if there is no CA, the ledger is not current, a file cannot be read, or a stop was requested.
pub fn preview<'a>(
    options: IssueOptions<'a>,
    cluster: &'a Cluster,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<IssuePreview<'a>, Error> {
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    check_ledger_is_current(&env.layout, &cas, &ledger, env.now)?;
    let wanted = Wanted { options, cluster, now: env.now };
    let preview = IssuePreview::new(wanted, &cas, &ledger, env, observer)?;
    removed_hosts::report(env, cluster, &HostFolders::list(&env.layout)?, &ledger, observer)?;
    preview.report(observer);
    Ok(preview)
}

/// The plan for issuing credentials. It holds the lock of the cluster directory.
#[derive(Debug)]
pub struct IssuePlan<'a> {
    preview: IssuePreview<'a>,
    env: &'a Env,
    ledger: Ledger,
    cas: CaSet,
    _lock: Lock,
}

/// Locks the cluster directory and plans which credentials are issued.
///
/// `purpose` describes this process to other processes that wait for the lock.
///
/// # Errors
/// Returns the errors of [`preview`], or an error if the directory cannot be locked.
pub fn plan<'a>(
    options: IssueOptions<'a>,
    purpose: &str,
    cluster: &'a Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<IssuePlan<'a>, Error> {
    plan_after(&[], options, purpose, cluster, env, observer)
}

/// Like [`plan`], after a [`preview`]: files that it verified and that did not change since are not read again.
///
/// # Errors
/// Returns the errors of [`plan`].
pub(in crate::app) fn plan_after<'a>(
    verified: &[CacheEntry],
    options: IssueOptions<'a>,
    purpose: &str,
    cluster: &'a Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<IssuePlan<'a>, Error> {
    let lock = directory::lock(env, purpose, observer)?;
    let (mut ledger, cas) = directory::cas(&env.layout, cluster)?;
    check_ledger_is_current(&env.layout, &cas, &ledger, env.now)?;
    cache(verified, &mut ledger, observer);
    let wanted = Wanted { options, cluster, now: env.now };
    let mut folders = Ok(HostFolders::default());
    let preview = rayon::in_place_scope(|scope| {
        // Concurrently, because listing the folders of a large cluster takes as long as reading the ledger.
        scope.spawn(|_| folders = issuance::sweep(&env.layout));
        IssuePreview::new(wanted, &cas, &ledger, env, observer)
    });
    let (folders, mut preview) = (folders?, preview?);
    cache(&std::mem::take(&mut preview.verified), &mut ledger, observer);
    removed_hosts::report(env, cluster, &folders, &ledger, observer)?;
    preview.report(observer);
    Ok(IssuePlan { preview, env, ledger, cas, _lock: lock })
}

/// Stores entries in the verification cache. A failure is only a notice: the next run reads the files again.
fn cache(entries: &[CacheEntry], ledger: &mut Ledger, observer: &mut dyn Observer) {
    if let Err(error) = ledger.cache_verified(entries) {
        observer.notice(Notice::NotCached(error).into());
    }
}

impl IssuePlan<'_> {
    /// Returns the preview of the plan.
    #[must_use]
    pub fn preview(&self) -> &IssuePreview<'_> {
        &self.preview
    }

    /// Like [`IssuePreview::signers`].
    #[must_use]
    pub fn signers(&self) -> Vec<CaRole> {
        self.preview.signers()
    }

    /// Issues the planned credentials: each certificate is verified, then recorded, then written.
    ///
    /// `issuers` are the CAs of [`Self::signers`].
    ///
    /// # Errors
    /// Returns an error if a certificate cannot be issued, the ledger or the disk cannot be used, or a stop was
    /// requested. Everything issued until then is recorded, and its files are written.
    pub fn apply(mut self, issuers: &[Issuer], observer: &mut dyn Observer) -> Result<IssueReport, Error> {
        let env = self.env;
        if self.preview.service_account.is_some() {
            service_account::complete(self.preview.wanted.cluster.keys, &mut self.ledger, env, observer)?;
        }
        self.report_shortened(observer);
        issuance::prepare(&env.layout)?;
        self.record_unrecorded(observer)?;
        let Self { preview, mut ledger, cas, .. } = self;
        let (issued, kept) = (preview.issued(), preview.kept());
        let IssuePreview { wanted, plans, superseded, .. } = preview;
        let work: Vec<&SubjectPlan> = plans.iter().filter(|plan| !plan.issue.is_empty()).collect();
        let signing = Signing { wanted: &wanted, issuers, cas: &cas, env };
        let not_cached = signing.run(&work, &mut ledger, observer)?;
        let superseded =
            revoke_superseded(&superseded, wanted.cluster, &cas.cluster, issuers, &mut ledger, env, observer)?;
        cache(&not_cached, &mut ledger, observer);
        Ok(IssueReport { issued, kept, superseded, next: NextStep::of(wanted.cluster, &env.layout) })
    }

    /// Reports the certificates whose lifetime is shortened because their CA expires earlier.
    fn report_shortened(&self, observer: &mut dyn Observer) {
        let Self { preview: IssuePreview { wanted, plans, .. }, cas, .. } = self;
        let shortened = |plan: &SubjectPlan| {
            if plan.issue.is_empty() {
                return 0;
            }
            let specs = wanted.specs(plan.subject);
            let is_shortened =
                |i: usize| wanted.now + specs[i].lifetime.duration() > cas.issuer_of(&specs[i]).active().not_after();
            plan.issue.iter().filter(|(i, _)| is_shortened(*i)).count()
        };
        let count: usize = plans.par_iter().map(shortened).sum();
        if count > 0 {
            observer.notice(Notice::Shortened { count, ca_not_after: cas.cluster.active().not_after() }.into());
        }
    }

    /// Records the certificates that the ledger does not have before their files are replaced, because they may have to
    /// be revoked.
    fn record_unrecorded(&mut self, observer: &mut dyn Observer) -> Result<(), StoreError> {
        let unrecorded = &self.preview.unrecorded;
        let Some(first) = unrecorded.first() else { return Ok(()) };
        let mut entries = Vec::with_capacity(unrecorded.len());
        for one in unrecorded {
            let (host, profile) = entry_of(one);
            let issuer = self.cas.issuer_of(&one.spec).ca_of(&one.certificate).certificate();
            entries.push(Entry { certificate: &one.certificate, profile, host, issuer });
        }
        self.ledger.record(&entries, &self.env.audit())?;
        // Certificates that were revoked only by SHA-256 or serial number stay revoked.
        self.ledger.resolve_unrecorded()?;
        let serial = first.certificate.serial.clone();
        observer.notice(Notice::Recorded { count: unrecorded.len(), serial }.into());
        Ok(())
    }
}

/// Returns the host and the profile under which the certificate is recorded; no host if the certificate is a copy of
/// another host's.
fn entry_of(UnrecordedCertificate { spec, certificate }: &UnrecordedCertificate) -> (Option<&str>, &'static str) {
    // A copy of another host's certificate has another account.
    let is_its_own = certificate.account() == spec.subject;
    (spec.host.as_ref().map(HostName::as_str).filter(|_| is_its_own), spec.policy().name)
}

/// Revokes the certificates of the former account scheme, if there are any.
fn revoke_superseded(
    superseded: &Superseded,
    cluster: &Cluster,
    trust: &TrustBundle,
    issuers: &[Issuer],
    ledger: &mut Ledger,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<Option<SupersededReport>, Error> {
    if superseded.is_empty() {
        return Ok(None);
    }
    let Some(issuer) = issuers.iter().find(|issuer| issuer.ca().role() == CaRole::Cluster) else { return Ok(None) };
    superseded.revoke(cluster, trust, issuer, ledger, env, observer).map(Some)
}
