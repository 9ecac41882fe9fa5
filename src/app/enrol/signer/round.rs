//! One round of a signer at a mailbox: judge what is due, approve or deny it, sign, deliver.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::json;

use super::event::{Counts, SignerEvent};
use super::metrics::Turn;
use super::options::SignerOptions;
use super::waiting::{TRIES, Waiting};
use crate::app::enrol::issue::{Order, Outcome, issue};
use crate::app::enrol::judge::Judge;
use crate::app::enrol::persons::{BY_POLICY, Persons, by_persons};
use crate::app::enrol::prepared::{Prepared, Reviewers};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Silent;
use crate::cluster::enrolment::Policy;
use crate::cluster::lifetime::Lifetime;
use crate::enrol::policy::{Decision, Verdict};
use crate::enrol::request::{EnrolmentRequest, State};
use crate::mailbox::{Mailbox, MailboxError, Ruling, RulingKind};
use crate::sanitize::sanitized;
use crate::store::ledger::enrolments::DENIED;

/// The number of requests that are judged and signed together.
const BATCH: usize = 500;
/// The number of programs and services that are asked at the same time.
const REVIEWS: usize = 8;
/// The annotation of an approved or denied request with the rule that decided and the evidence.
const DECISION: &str = "clusterctl.io/decision";
/// The longest reason in a condition, in bytes.
const LONGEST_MESSAGE: usize = 1_024;

/// A signer at one mailbox.
pub(super) struct Worker<'a> {
    pub(super) mailbox: &'a dyn Mailbox,
    options: &'a SignerOptions<'a>,
    pub(super) waiting: Waiting,
    /// The time until which this signer holds the Lease.
    pub(super) lease_until: Option<Instant>,
    reviews: Reviews,
    insecure: Option<String>,
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
        Self { mailbox, options, waiting: Waiting::default(), lease_until: None, reviews, insecure: None }
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
        let due = self.waiting.due(BATCH);
        let reviewed = self.reviews.finished();
        if due.is_empty() && reviewed.is_empty() && !self.waiting.has_denied() {
            return Ok(Counts::default());
        }
        let env = self.options.env();
        let mut judge = Judge::open(&env)?;
        self.log_denied(&mut judge, &env)?;
        self.warn_of_insecurity(&judge, &env);
        let mut decided: Vec<(Prepared, Decision)> = Vec::new();
        for (prepared, decision) in reviewed {
            // A request that changed meanwhile is judged again.
            if self.waiting.current(&prepared.request) == Some(&prepared.request) {
                decided.push((prepared, decision));
            }
        }
        for request in due {
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
        self.settle(decided, &mut judge, &env)
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

    fn settle(&mut self, decided: Vec<(Prepared, Decision)>, judge: &mut Judge, env: &Env) -> Result<Counts, Error> {
        let persons = Persons::read(judge, env);
        let (mut counts, mut rulings, mut orders) = (Counts::default(), Vec::new(), Vec::new());
        for (prepared, decision) in decided {
            let step = self.step(&prepared, &decision, &persons, env);
            let request = prepared.request;
            match step {
                Step::Deny(reason) => {
                    let kind = if request.state == State::Approved { RulingKind::Failed } else { RulingKind::Denied };
                    rulings.push((request, ruling(kind, &decision, reason), None));
                }
                Step::Sign(order) if request.state == State::Pending => {
                    let ruling = ruling(RulingKind::Approved, &decision, order.approved_by.clone());
                    rulings.push((request, ruling, Some(*order)));
                }
                Step::Sign(order) => orders.push(*order),
                Step::Queue(reason) => {
                    counts.queued += 1;
                    if self.waiting.queue(&request) {
                        let host = request.content.host.clone();
                        self.report(SignerEvent::Queued { request: request.name, host, reason });
                    }
                }
                Step::Retry(reason) => {
                    counts.retried += 1;
                    self.waiting.fail(&request);
                    self.report(SignerEvent::Retry { subject: request.name, reason });
                }
            }
        }
        self.rule(rulings, &mut orders, &mut counts, judge, env)?;
        if !orders.is_empty() {
            self.sign(&orders, &mut counts)?;
        }
        Ok(counts)
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

    /// Writes decisions to the mailbox, and adds the requests that it approves to `orders`.
    fn rule(
        &mut self,
        rulings: Vec<(EnrolmentRequest, Ruling, Option<Order>)>,
        orders: &mut Vec<Order>,
        counts: &mut Counts,
        judge: &mut Judge,
        env: &Env,
    ) -> Result<(), Error> {
        if rulings.is_empty() {
            return Ok(());
        }
        let (work, follow): (Vec<_>, Vec<_>) =
            rulings.into_iter().map(|(request, ruling, order)| ((request, ruling), order)).unzip();
        let results = self.mailbox.rule(&work);
        let mut denied = Vec::new();
        for (((request, ruling), order), result) in work.into_iter().zip(follow).zip(results) {
            let (name, host) = (request.name.clone(), request.content.host.clone());
            match (result, order) {
                (Err(error), _) => self.failed(&request, &error, counts),
                (Ok(approved), Some(order)) => {
                    self.report(SignerEvent::Approved { request: name, host, reason: ruling.message });
                    orders.push(Order { request: approved, ..order });
                }
                (Ok(_), None) => {
                    counts.denied += 1;
                    self.waiting.remove(&name);
                    denied.push((host.to_string(), format!("request {name}: {}", ruling.message)));
                    self.report(SignerEvent::Denied { request: name, host, reason: ruling.message });
                }
            }
        }
        if !denied.is_empty() {
            judge.ledger.log_events(DENIED, &denied, &env.audit())?;
        }
        Ok(())
    }

    /// Issues and delivers certificates.
    fn sign(&mut self, orders: &[Order], counts: &mut Counts) -> Result<(), Error> {
        // If the API took so long that another signer may hold the Lease, the requests stay approved until the next round.
        if self.lease_until.is_none_or(|until| Instant::now() >= until) {
            return Ok(());
        }
        // With a new time: reviewers and the API may have taken long.
        let env = self.options.env();
        let outcomes = self.options.alone(|| issue(orders, self.options.issuers, &env, &mut Silent))?;
        let (mut deliveries, mut chains, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for (order, outcome) in orders.iter().zip(outcomes) {
            let request = order.request.clone();
            match outcome {
                Outcome::Issued(chain) => {
                    deliveries.push((request, chain.pem.clone()));
                    chains.push(chain);
                }
                Outcome::Refused(problems) => {
                    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    let message = cut(problems.join("; "));
                    let annotations = BTreeMap::new();
                    refusals.push((
                        request,
                        Ruling { kind: RulingKind::Failed, reason: "Refused".to_owned(), message, annotations },
                    ));
                }
                Outcome::NextRound => self.waiting.postpone(&request),
                Outcome::NotNow(reason) => {
                    counts.retried += 1;
                    self.waiting.fail(&request);
                    self.report(SignerEvent::Retry { subject: request.name, reason });
                }
            }
        }
        for ((request, _), (chain, result)) in
            deliveries.iter().zip(chains.into_iter().zip(self.mailbox.deliver(&deliveries)))
        {
            match result {
                // Another signer delivered it, or it is gone; the ledger has the certificate.
                Err(error) => self.failed(request, &error, counts),
                Ok(_) => {
                    counts.issued += 1;
                    self.waiting.remove(&request.name);
                    self.report(SignerEvent::Issued {
                        request: request.name.clone(),
                        host: request.content.host.clone(),
                        profile: request.content.profile(),
                        serial: chain.serial,
                        not_after: chain.not_after,
                        again: chain.again,
                    });
                }
            }
        }
        for ((request, ruling), result) in refusals.iter().zip(self.mailbox.rule(&refusals)) {
            match result {
                Err(error) => self.failed(request, &error, counts),
                Ok(_) => {
                    counts.denied += 1;
                    self.waiting.remove(&request.name);
                    let (host, reason) = (request.content.host.clone(), ruling.message.clone());
                    self.report(SignerEvent::Denied { request: request.name.clone(), host, reason });
                }
            }
        }
        Ok(())
    }

    /// Handles a decision or a certificate that could not be written: the request is tried again later, unless it is gone.
    fn failed(&mut self, request: &EnrolmentRequest, error: &MailboxError, counts: &mut Counts) {
        if matches!(error, MailboxError::Gone(_)) {
            self.waiting.remove(&request.name);
            return;
        }
        counts.retried += 1;
        self.waiting.fail(request);
        self.report(SignerEvent::Retry { subject: request.name.clone(), reason: error.to_string() });
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

/// Cuts a text to [`LONGEST_MESSAGE`].
fn cut(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Decisions that need programs or services, each in its own thread, so that a slow one does not delay others.
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
