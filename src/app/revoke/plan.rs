//! Plans what is revoked, and applies the plan: the ledger first, then the authorization configuration, then the CRLs.
//!
//! Running the same command again completes an interrupted run.

use super::changes::Changes;
use super::error::RevokeError;
use super::lookup::Lookup;
use super::not_in_ledger::NotInLedger;
use super::notice::Notice;
use super::options::{Request, RevokeOptions};
use super::rendered::{self, RenderedState};
use super::report::{Advice, Learnt, Outcome, RevokeReport};
use super::{certificates, compromise, crl, denials};
use crate::app::count;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::package::templates;
use crate::bundle::render::Templates;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::Issuer;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::store::ledger::unrecorded::UnrecordedRevocation;
use crate::store::lock::Lock;

/// A preview of what would be revoked.
#[derive(Debug)]
pub struct RevokePreview<'a> {
    request: Request,
    crl_validity: Lifetime,
    changes: Changes,
    not_in_ledger: NotInLedger,
    /// The rendered files from which missing revocations are recorded.
    states: Vec<RenderedState>,
    templates: Templates,
    cluster: &'a Cluster,
    env: &'a Env,
    ledger: Ledger,
    cas: CaSet,
}

/// The plan for a revocation. It holds the lock of the cluster directory.
#[derive(Debug)]
pub struct RevokePlan<'a> {
    preview: RevokePreview<'a>,
    lock: Lock,
}

/// The ledger after a plan was applied. The cluster directory is locked as long as it exists.
#[derive(Debug)]
pub(in crate::app) struct Applied {
    pub(in crate::app) ledger: Ledger,
    _lock: Lock,
}

/// Locks the cluster directory and plans the revocation.
///
/// All errors occur here, except those of writing and signing.
///
/// # Errors
/// Returns [`RevokeError`], or an error if there is no CA, a template fails, or a file or the ledger cannot be used.
pub fn plan<'a>(
    options: RevokeOptions,
    cluster: &'a Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<RevokePlan<'a>, Error> {
    let templates = templates::load(options.templates.as_deref(), cluster, &env.layout)?;
    let lock = directory::lock(env, options.request.purpose(), observer)?;
    let opened = directory::cas(&env.layout, cluster)?;
    for role in CaRole::ALL {
        files::sweep(&env.layout.root_folder(role))?;
    }
    let preview = RevokePreview::new(options, templates, opened, cluster, env)?;
    preview.report_missing_crls(observer);
    Ok(RevokePlan { preview, lock })
}

/// Returns what [`plan`] and [`RevokePlan::apply`] would do, and changes nothing.
///
/// # Errors
/// Returns the errors of [`plan`].
pub(in crate::app) fn preview<'a>(
    options: RevokeOptions,
    cluster: &'a Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<RevokePreview<'a>, Error> {
    let templates = templates::load(options.templates.as_deref(), cluster, &env.layout)?;
    let opened = directory::cas(&env.layout, cluster)?;
    let preview = RevokePreview::new(options, templates, opened, cluster, env)?;
    preview.report_missing_crls(observer);
    Ok(preview)
}

/// Reads the rendered files that this run records revocations from: those of the policy folder or, if files are named,
/// these and all of the directory.
fn states(request: &Request, cas: &CaSet, env: &Env) -> Result<Vec<RenderedState>, Error> {
    let (layout, root) = (&env.layout, &cas.cluster);
    let Request::RecordFromFiles(named) = request else { return Ok(rendered::of_policy(layout, root)?) };
    let mut found = rendered::of_directory(layout, root)?;
    let bundles = layout.bundles();
    if files::is_folder(&bundles) {
        found.extend(rendered::of_given(&bundles, root)?);
    }
    for path in named {
        found.extend(rendered::of_given(path, root)?);
    }
    Ok(found)
}

impl<'a> RevokePreview<'a> {
    fn new(
        options: RevokeOptions,
        templates: Templates,
        (ledger, cas): (Ledger, CaSet),
        cluster: &'a Cluster,
        env: &'a Env,
    ) -> Result<Self, Error> {
        let RevokeOptions { request, crl_validity, .. } = options;
        let crl_validity = crl_validity.unwrap_or_else(|| cluster.validity.of_new_crl());
        // A ledger from a backup may lack revocations that CRLs and rendered files have. They must not be lost.
        let states = states(&request, &cas, env)?;
        rendered::check_complete(&states, &ledger)?;
        let not_in_ledger = NotInLedger::find(&env.layout, &cas, &states, &ledger, env.now)?;
        if !matches!(request, Request::RecordFromFiles(_)) {
            let all = rendered::of_directory(&env.layout, &cas.cluster)?;
            not_in_ledger.check_covers(&all, &states, &ledger, env.now)?;
        }
        let lookup = Lookup { cluster, layout: &env.layout, cas: &cas, ledger: &ledger };
        let changes = match &request {
            Request::Revoke { subject, reason } => {
                let found = lookup.find(subject)?;
                Changes::revoking((&subject.name, *reason), found, &not_in_ledger, &cas, &ledger, env)?
            }
            Request::Remove { hosts, .. } => {
                Changes::removing(hosts, lookup.of_hosts(hosts)?, &not_in_ledger, &cas, env)?
            }
            Request::RecordFromFiles(_) => Changes::recording(&states, &not_in_ledger, &cas, &ledger)?,
            Request::Replaced(role) => Changes::of_replaced(*role, &cas, &ledger, env)?,
            Request::RenewCrls => Changes::of_all_crls(&cas),
        };
        let preview =
            Self { request, crl_validity, changes, not_in_ledger, states, templates, cluster, env, ledger, cas };
        preview.check_rules()?;
        Ok(preview)
    }

    /// Returns the certificates to revoke.
    #[must_use]
    pub fn certificates(&self) -> &[IssuedCertificate] {
        &self.changes.revoked
    }

    /// Returns the certificates that are already revoked, and whose reason changes.
    #[must_use]
    pub fn raised(&self) -> &[IssuedCertificate] {
        &self.changes.raised
    }

    /// Returns the serial numbers to revoke whose certificates the ledger does not have.
    pub fn serials(&self) -> impl Iterator<Item = &Serial> {
        self.changes.serials.iter().map(|(_, serial)| serial)
    }

    /// Returns the number of revoked certificates.
    #[must_use]
    pub fn count(&self) -> usize {
        self.changes.count()
    }

    /// Returns the CAs that have to sign a CRL, each once.
    #[must_use]
    pub fn signers(&self) -> &[CaRole] {
        &self.changes.crls
    }

    /// Returns the ledger.
    pub(in crate::app) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the CAs that cannot sign CRLs: those that signed revoked certificates, or all if all CRLs are renewed.
    pub(in crate::app) fn without_crl(&self) -> Vec<CaRole> {
        let Self { request, changes, cas, .. } = self;
        let is_wanted = |role: &CaRole| match request {
            Request::RenewCrls => true,
            _ => changes.revoked.iter().chain(&changes.raised).any(|one| cas.of(*role).has(one.issuer)),
        };
        let cannot = |role: &CaRole| !cas.of(*role).active().certificate().can_sign_crls();
        CaRole::ALL.into_iter().filter(cannot).filter(is_wanted).collect()
    }

    fn report_missing_crls(&self, observer: &mut dyn Observer) {
        for role in self.without_crl() {
            observer.notice(Notice::NoCrl(role).into());
        }
    }

    /// Refuses more revocations than API servers can deny, and templates that cannot be rendered.
    fn check_rules(&self) -> Result<(), Error> {
        let Self { changes, not_in_ledger, cas, ledger, env, .. } = self;
        let new =
            changes.revoked.iter().chain(&not_in_ledger.recorded).filter(|one| cas.cluster.has(one.issuer)).count();
        let denials = denials::of_ledger(ledger, &cas.cluster, env.now)?;
        denials.room_for(new + not_in_ledger.digests.len()).map_err(RevokeError::NoRoom)?;
        denials::authorization(self.cluster, &denials, &self.templates)?;
        Ok(())
    }

    /// Returns true if the ledger, the CRLs and the rules have the same revocations.
    pub(in crate::app) fn is_settled(&self) -> bool {
        self.changes.is_settled && self.not_in_ledger.is_empty()
    }

    /// Records the missing and the new revocations, before any file is written.
    fn record(&mut self) -> Result<(), StoreError> {
        let Self { request, changes, not_in_ledger, states, env, ledger, cas, cluster, .. } = self;
        let audit = env.audit();
        let highest = |of: fn(&RenderedState) -> u64| states.iter().map(of).max().unwrap_or(0);
        ledger.raise_sequences(highest(|state| state.sequence), highest(|state| state.generation))?;
        certificates::record(&changes.recorded, cas, ledger, &audit)?;
        // Before the revocations, so that none is recorded without it.
        let now = changes.revoked.iter().chain(&changes.raised).filter(|_| request.reason() == Reason::KeyCompromise);
        let is_compromised = |one: &&IssuedCertificate| {
            one.revocation.as_ref().is_some_and(|known| known.reason == Reason::KeyCompromise)
        };
        let known = not_in_ledger.recorded.iter().filter(is_compromised);
        compromise::record(now.chain(known), cluster, ledger, &audit)?;
        let revocation = Revocation { reason: request.reason(), at: env.now };
        let known = not_in_ledger.recorded.iter().filter_map(|one| Some((one.fingerprint, one.revocation.clone()?)));
        let new = changes.revoked.iter().map(|one| (one.fingerprint, revocation.clone()));
        ledger.revoke(&known.chain(new).collect::<Vec<_>>(), &audit)?;
        let raised: Vec<Fingerprint> = changes.raised.iter().map(|one| one.fingerprint).collect();
        ledger.change_reason(&raised, request.reason(), &audit)?;
        let serials = changes.serials.iter().map(|serial| UnrecordedRevocation {
            fingerprint: None,
            serial: Some(serial.clone()),
            revocation: revocation.clone(),
        });
        let unrecorded = not_in_ledger.serials.iter().chain(&not_in_ledger.digests).cloned().chain(serials);
        ledger.revoke_unrecorded(&unrecorded.collect::<Vec<_>>(), &audit)
    }
}

impl<'a> RevokePlan<'a> {
    /// Returns what is revoked.
    #[must_use]
    pub fn preview(&self) -> &RevokePreview<'a> {
        &self.preview
    }

    /// Like [`RevokePreview::signers`].
    #[must_use]
    pub fn signers(&self) -> &[CaRole] {
        self.preview.signers()
    }

    /// Applies the plan: records the revocations, writes the authorization configuration, and signs the CRLs.
    ///
    /// `issuers` are the CAs of [`RevokePreview::signers`], and those that a rotation replaces.
    ///
    /// # Errors
    /// Returns an error if a CRL cannot be signed, or the ledger or the disk cannot be used.
    pub fn apply(self, issuers: &[Issuer], observer: &mut dyn Observer) -> Result<RevokeReport, Error> {
        let RevokePreview { request, changes, env, .. } = &self.preview;
        let (env, subject) = (*env, request.event_subject().to_owned());
        let count = changes.count() + changes.raised.len();
        let detail = format!("{}, {}", count::certificates(count), request.reason());
        let (report, mut applied) = self.apply_under_lock(issuers, observer)?;
        applied.ledger.log_event("revoke", &subject, &detail, &env.audit())?;
        Ok(report)
    }

    /// Like [`Self::apply`], but records no event, and returns the ledger under the lock.
    ///
    /// # Errors
    /// Returns the errors of [`Self::apply`].
    pub(in crate::app) fn apply_under_lock(
        self,
        issuers: &[Issuer],
        observer: &mut dyn Observer,
    ) -> Result<(RevokeReport, Applied), Error> {
        let Self { mut preview, lock } = self;
        preview.record()?;
        let is_settled = preview.is_settled();
        let RevokePreview {
            request,
            crl_validity,
            changes,
            not_in_ledger,
            templates,
            cluster,
            env,
            mut ledger,
            cas,
            ..
        } = preview;
        // The rules come first, because they need no key: API servers can deny revoked certificates even if signing a CRL
        // fails.
        let rules = match is_settled {
            true => None,
            false => {
                let denials = denials::of_ledger(&ledger, &cas.cluster, env.now)?;
                Some(denials::write_authorization(cluster, &denials, &templates, &env.layout)?)
            }
        };
        let mut written = Vec::new();
        for issuer in issuers.iter().filter(|issuer| changes.crls.contains(&issuer.ca().role())) {
            let path = crl::sign(issuer, cas.of(issuer.ca().role()), crl_validity, &mut ledger, env, observer)?;
            // During a rotation, two CAs sign into the same file.
            if !written.contains(&path) {
                written.push(path);
            }
        }
        let is_signed = !written.is_empty();
        written.extend(rules);
        let report = RevokeReport {
            outcome: Outcome::of(&request, &changes),
            raised: changes.raised.len(),
            written,
            next_update: is_signed.then(|| env.now + crl_validity.duration()),
            advice: if is_settled { Vec::new() } else { Advice::of(&request, &changes, &cas) },
            learnt: Learnt::of(&request, &not_in_ledger),
        };
        Ok((report, Applied { ledger, _lock: lock }))
    }
}
