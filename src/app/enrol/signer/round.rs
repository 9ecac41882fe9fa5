//! One round of a signer at a mailbox: judge what is due, approve or deny it, sign, deliver.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::json;

use super::event::{Counts, SignerEvent};
use super::metrics::Turn;
use super::options::SignerOptions;
use super::pipeline::{Batch, Done, Running, Stages, cut};
use super::waiting::{TRIES, Waiting};
use crate::app::enrol::issue::{Kept, Order};
use crate::app::enrol::judge::Judge;
use crate::app::enrol::persons::{BY_POLICY, Persons, by_persons};
use crate::app::enrol::prepared::{Prepared, Reviewers};
use crate::app::enrol::review::DECISION;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::enrolment::{Policy, Requirement};
use crate::cluster::lifetime::Lifetime;
use crate::enrol::policy::{Decision, Verdict};
use crate::enrol::request::{EnrolmentRequest, State};
use crate::mailbox::{Mailbox, MailboxError, Ruling, RulingKind};
use crate::sanitize::sanitized;
use crate::store::files;
use crate::store::ledger::enrolments::DENIED;

/// The bit of a mode that permits every user to write.
const OTHERS_WRITE: u32 = 0o002;
/// The number of requests that are judged and signed together.
const BATCH: usize = 250;
/// The number of requests that one round takes.
const MOST: usize = 5_000;
/// A round takes nothing more after this time.
const LONGEST: Duration = Duration::from_secs(2);
/// The number of programs and services that are asked at the same time.
const REVIEWS: usize = 8;

/// A signer at one mailbox.
pub(super) struct Worker<'a> {
    pub(super) mailbox: &'a dyn Mailbox,
    options: &'a SignerOptions<'a>,
    pub(super) waiting: Waiting,
    /// The time until which this signer holds the Lease.
    pub(super) lease_until: Option<Instant>,
    reviews: Reviews,
    insecure: Option<String>,
    open_programs: BTreeSet<(PathBuf, u32)>,
    kept: Arc<Kept>,
}

/// What a round did.
#[derive(Default)]
struct Tally {
    counts: Counts,
    /// Hosts and details of what was denied, for the ledger.
    denied: Vec<(String, String)>,
}

/// The next step for a request.
enum Step {
    Deny(String),
    /// The request is approved first if it is pending.
    Sign(Box<Order>),
    Queue(String),
    Retry(String),
}

impl<'a> Worker<'a> {
    pub(super) fn new(mailbox: &'a dyn Mailbox, options: &'a SignerOptions<'a>) -> Self {
        let reviews = Reviews::new(Arc::clone(&options.reviewers));
        Self {
            mailbox,
            options,
            waiting: Waiting::default(),
            lease_until: None,
            reviews,
            insecure: None,
            open_programs: BTreeSet::new(),
            kept: Arc::default(),
        }
    }

    /// Returns the result of a round that succeeded, for the metrics.
    pub(super) fn worked(&self, counts: Counts) -> Turn {
        Turn::Worked { counts, waiting: self.waiting.len(), is_insecure: self.insecure.is_some() }
    }

    /// Returns true if no request can be decided or signed now.
    pub(super) fn is_idle(&self) -> bool {
        self.reviews.running == 0 && !self.waiting.has_postponed() && !self.waiting.has_due()
    }

    /// Judges the requests that are due, and signs those that are approved.
    ///
    /// # Errors
    /// Returns an error if the cluster directory cannot be used; nothing is denied then.
    pub(super) fn round(&mut self) -> Result<Counts, Error> {
        let due = self.waiting.due(MOST);
        let reviewed = self.reviews.finished();
        if due.is_empty() && reviewed.is_empty() && !self.waiting.has_denied() {
            return Ok(Counts::default());
        }
        let env = self.options.env();
        let mut judge = Judge::open_with(&env, &self.kept.cluster)?;
        self.log_denied(&mut judge, &env)?;
        self.warn_of_insecurity(&judge, &env);
        self.warn_of_open_programs(&judge.policy, env.layout.dir());
        let mut decided: Vec<(Prepared, Decision)> = Vec::new();
        for (prepared, decision) in reviewed {
            // A request that changed meanwhile is judged again.
            if self.waiting.current(&prepared.request) == Some(&prepared.request) {
                decided.push((prepared, decision));
            }
        }
        let (mailbox, options, kept) = (self.mailbox, self.options, Arc::clone(&self.kept));
        let stages = Stages { mailbox, options, kept, lease_until: self.lease_until };
        let mut tally = Tally::default();
        let result = std::thread::scope(|scope| {
            let mut running = None;
            let result = self.feed(due, decided, &judge, &env, &mut tally, &mut |batch| {
                let stages = || stages.clone().start(scope);
                let Running { batches, done } = match &mut running {
                    Some(running) => running,
                    none => none.insert(stages()?),
                };
                // The receiver is a thread that ends when no more batches can come.
                let _ = batches.send(batch);
                Ok(done.try_iter().collect())
            });
            let Some(Running { batches, done }) = running else { return result };
            drop(batches);
            let results = done.into_iter().map(|done| self.note(done, &mut tally));
            // What was done counts, even if something failed.
            results.fold(result, Result::and)
        });
        if !tally.denied.is_empty() {
            judge.ledger.log_events(DENIED, &tally.denied, &env.audit())?;
        }
        result.map(|()| tally.counts)
    }

    /// Judges what is due, part by part, and passes each on with `work`, which returns what was done meanwhile.
    fn feed(
        &mut self,
        due: Vec<EnrolmentRequest>,
        mut decided: Vec<(Prepared, Decision)>,
        judge: &Judge,
        env: &Env,
        tally: &mut Tally,
        work: &mut dyn FnMut(Batch) -> Result<Vec<Done>, Error>,
    ) -> Result<(), Error> {
        let persons = Persons::read(judge, env);
        let start = Instant::now();
        let mut due = due.into_iter();
        loop {
            for request in due.by_ref().take(BATCH) {
                if !judge.signs_for(request.content.signer) {
                    self.waiting.remove(&request.name);
                    continue;
                }
                if decided.iter().any(|(prepared, _)| prepared.request.uid == request.uid) {
                    continue;
                }
                let prepared = judge.prepare(&request)?;
                match prepared.decide_alone() {
                    Some(decision) => decided.push((prepared, decision)),
                    None if self.reviews.start(prepared) => self.waiting.hold(&request),
                    None => self.waiting.postpone(&request),
                }
            }
            let batch = self.settle(std::mem::take(&mut decided), &persons, env, tally);
            if !batch.is_empty() {
                let results = work(batch)?.into_iter().map(|done| self.note(done, tally));
                results.fold(Ok(()), Result::and)?;
            }
            // The Lease has to be extended in time; the others are due in the next round.
            if due.len() == 0 || start.elapsed() >= LONGEST {
                return Ok(());
            }
        }
    }

    /// Records in the ledger which requests persons denied at the mailbox, each once.
    fn log_denied(&mut self, judge: &mut Judge, env: &Env) -> Result<(), Error> {
        for request in self.waiting.take_denied() {
            let denied = request.conditions.iter().find(|condition| condition.kind == "Denied");
            let Some(condition) = denied.filter(|condition| condition.reason != BY_POLICY) else { continue };
            let (name, host) = (request.name.clone(), request.content.host.clone());
            let reason = sanitized(&format!("{}: {}", condition.reason, condition.message));
            let detail =
                format!("request {name} (uid {}): denied at the mailbox ({})", request.uid, cut(reason.clone()));
            let known = judge.ledger.events_about(DENIED, host.as_str())?;
            if !known.iter().any(|(_, known)| *known == detail) {
                judge.ledger.log_event(DENIED, host.as_str(), &detail, &env.audit())?;
                self.report(SignerEvent::Denied { request: name, host, reason });
            }
        }
        Ok(())
    }

    /// Turns decisions into what is written and signed.
    fn settle(&mut self, decided: Vec<(Prepared, Decision)>, persons: &Persons, env: &Env, tally: &mut Tally) -> Batch {
        let mut batch = Batch::default();
        for (prepared, decision) in decided {
            let step = self.step(&prepared, &decision, persons, env);
            let request = prepared.request;
            match step {
                Step::Deny(reason) => {
                    let kind = if request.state == State::Approved { RulingKind::Failed } else { RulingKind::Denied };
                    batch.rulings.push((request, ruling(kind, &decision, reason), None));
                }
                Step::Sign(order) if request.state == State::Pending => {
                    let ruling = ruling(RulingKind::Approved, &decision, order.approved_by.clone());
                    batch.rulings.push((request, ruling, Some(*order)));
                }
                Step::Sign(order) => batch.orders.push(*order),
                Step::Queue(reason) => {
                    tally.counts.queued += 1;
                    if self.waiting.queue(&request) {
                        let host = request.content.host.clone();
                        self.report(SignerEvent::Queued { request: request.name, host, reason });
                    }
                }
                Step::Retry(reason) => {
                    tally.counts.retried += 1;
                    self.waiting.fail(&request);
                    self.report(SignerEvent::Retry { subject: request.name, reason });
                }
            }
        }
        batch
    }

    fn step(&self, prepared: &Prepared, decision: &Decision, persons: &Persons, env: &Env) -> Step {
        let request = &prepared.request;
        let rule = decision.rule.as_deref().unwrap_or("no rule");
        let order = |validity: Option<Lifetime>, approved_by: String| {
            Step::Sign(Box::new(Order { request: request.clone(), validity, approved_by }))
        };
        let approvals = match decision.verdict {
            Verdict::Approve { validity } => return order(validity, format!("{rule}: {}", decision.reason)),
            Verdict::Deny => return Step::Deny(decision.reason.clone()),
            Verdict::Retry { .. } if self.waiting.failures(request) < TRIES => {
                return Step::Retry(decision.reason.clone());
            }
            Verdict::Retry { approvals } | Verdict::Queue { approvals } => approvals,
        };
        match by_persons(prepared, approvals, persons, env.now) {
            Ok(Some(Ok(approved_by))) => order(None, approved_by),
            Ok(Some(Err(reason))) => Step::Deny(reason),
            Ok(None) => Step::Queue(decision.reason.clone()),
            Err(reason) => Step::Queue(format!("{}: {reason}", decision.reason)),
        }
    }

    /// Notes what was done.
    ///
    /// # Errors
    /// Returns an error if the cluster directory cannot be used.
    fn note(&mut self, done: Done, tally: &mut Tally) -> Result<(), Error> {
        match done {
            Done::Approved(request, reason) => {
                let host = request.content.host;
                self.report(SignerEvent::Approved { request: request.name, host, reason });
            }
            Done::Denied(request, reason) => {
                let detail = format!("request {}: {reason}", request.name);
                tally.denied.push((request.content.host.to_string(), detail));
                self.denied(request, reason, tally);
            }
            Done::Refused(request, reason) => self.denied(request, reason, tally),
            Done::Issued(request, chain) => {
                tally.counts.issued += 1;
                self.waiting.remove(&request.name);
                self.report(SignerEvent::Issued {
                    profile: request.content.profile(),
                    request: request.name,
                    host: request.content.host,
                    serial: chain.serial,
                    not_after: chain.not_after,
                    again: chain.again,
                });
            }
            Done::Postponed(request) => self.waiting.postpone(&request),
            Done::NotNow(request, reason) => self.retry(&request, reason, tally),
            Done::Unwritten(request, MailboxError::Gone(_)) => self.waiting.remove(&request.name),
            Done::Unwritten(request, error) => self.retry(&request, error.to_string(), tally),
            Done::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn denied(&mut self, request: EnrolmentRequest, reason: String, tally: &mut Tally) {
        tally.counts.denied += 1;
        self.waiting.remove(&request.name);
        self.report(SignerEvent::Denied { request: request.name, host: request.content.host, reason });
    }

    /// Tries a request again later.
    fn retry(&mut self, request: &EnrolmentRequest, reason: String, tally: &mut Tally) {
        tally.counts.retried += 1;
        self.waiting.fail(request);
        self.report(SignerEvent::Retry { subject: request.name.clone(), reason });
    }

    fn warn_of_insecurity(&mut self, judge: &Judge, env: &Env) {
        let Policy::InsecureAlwaysApprove { until } = &*judge.policy else {
            self.insecure = None;
            return;
        };
        let (Ok(reason) | Err(reason)) = crate::enrol::policy::insecure(*until, env.now);
        if self.insecure.as_ref() != Some(&reason) {
            self.report(SignerEvent::Insecure { reason: reason.clone() });
            self.insecure = Some(reason);
        }
    }

    /// Warns of programs that every user can change, once for each mode.
    fn warn_of_open_programs(&mut self, policy: &Policy, folder: &Path) {
        let Policy::Rules(rules) = policy else { return };
        let programs = rules.iter().flat_map(|rule| &rule.require).filter_map(|one| match one {
            // Others are searched in PATH.
            Requirement::Exec(program) | Requirement::PuppetAutosign(program) => {
                program.program.contains('/').then(|| folder.join(&program.program))
            }
            _ => None,
        });
        let open: BTreeSet<(PathBuf, u32)> = programs
            .filter_map(|path| Some((files::mode(&path).ok().filter(|mode| mode & OTHERS_WRITE != 0)?, path)))
            .map(|(mode, path)| (path, mode))
            .collect();
        for (path, mode) in open.difference(&self.open_programs) {
            self.report(SignerEvent::OpenProgram { path: path.clone(), mode: *mode });
        }
        self.open_programs = open;
    }

    fn report(&self, event: SignerEvent) {
        (self.options.report)(event);
    }
}

fn ruling(kind: RulingKind, decision: &Decision, message: String) -> Ruling {
    let mut annotations = BTreeMap::new();
    if kind != RulingKind::Failed {
        let requirements = decision.rules.iter().filter(|rule| rule.decided).flat_map(|rule| &rule.requirements);
        let requirements = requirements.map(|one| {
            let answer = one.answer.as_ref();
            json!({
                "name": one.name,
                "answer": answer.map_or("not asked", |answer| answer.as_str()),
                "evidence": answer.map(|answer| cut(answer.evidence().to_owned())),
            })
        });
        let text = json!({
            "rule": decision.rule, "verdict": decision.verdict.as_str(), "reason": cut(decision.reason.clone()),
            "requirements": requirements.collect::<Vec<_>>(),
        });
        annotations.insert(DECISION.to_owned(), text.to_string());
    }
    Ruling { kind, reason: BY_POLICY.to_owned(), message: cut(message), annotations }
}

/// Decisions that need programs or services, each in its own thread, so that one does not hold up others.
struct Reviews {
    reviewers: Arc<dyn Reviewers + Send + Sync>,
    sender: Sender<(Prepared, Decision)>,
    receiver: Receiver<(Prepared, Decision)>,
    running: usize,
}

impl Reviews {
    fn new(reviewers: Arc<dyn Reviewers + Send + Sync>) -> Self {
        let (sender, receiver) = channel();
        Self { reviewers, sender, receiver, running: 0 }
    }

    /// Starts a decision; returns false if too many run already.
    fn start(&mut self, prepared: Prepared) -> bool {
        if self.running >= REVIEWS {
            return false;
        }
        let (reviewers, sender) = (Arc::clone(&self.reviewers), self.sender.clone());
        let decide = move || {
            let decision = prepared.decide(&*reviewers);
            // The receiver may be gone.
            let _ = sender.send((prepared, decision));
        };
        let started = std::thread::Builder::new().name("review".to_owned()).spawn(decide).is_ok();
        self.running += usize::from(started);
        started
    }

    fn finished(&mut self) -> Vec<(Prepared, Decision)> {
        let found: Vec<(Prepared, Decision)> = self.receiver.try_iter().collect();
        self.running = self.running.saturating_sub(found.len());
        found
    }
}

impl Drop for Reviews {
    /// Waits for the programs, which are bounded in time, so that none outlives this process.
    fn drop(&mut self) {
        while self.running > 0 && self.receiver.recv_timeout(Duration::from_secs(10)).is_ok() {
            self.running -= 1;
        }
    }
}
