//! Reviews requests: what a policy decides about each, and why.

use serde_json::Value;

use crate::app::enrol::judge::{Inventory, Judge};
use crate::app::enrol::persons::Persons;
use crate::app::enrol::prepared::{Prepared, Reviewers};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::enrolment::{Policy, RequestKind};
use crate::enrol::approval::Tally;
use crate::enrol::policy::{Decision, Verdict};
use crate::enrol::request::EnrolmentRequest;
use crate::sanitize::sanitized;

/// The annotation of an approved or denied request with the rule that decided and the evidence.
pub(super) const DECISION: &str = "clusterctl.io/decision";

/// A request, and what is known and decided about it.
#[derive(Debug, Clone)]
pub struct ReviewedRequest {
    /// The request.
    pub request: EnrolmentRequest,
    /// Its kind.
    pub kind: RequestKind,
    /// What the cluster file grants to it.
    pub inventory: Inventory,
    /// The decision of the policy; `None` if a program or a service has to be asked, and was not.
    pub decision: Option<Decision>,
    /// The signed decisions of persons, or why they cannot be read.
    pub tally: Result<Tally, String>,
    /// Whether its `signerName` is one that the signer of this cluster signs for.
    pub is_ours: bool,
}

/// The decision of a policy, as it was written to a request when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDecision {
    /// The verdict.
    pub verdict: &'static str,
    /// The rule; `None` if none decided.
    pub rule: Option<String>,
    /// The reason.
    pub reason: String,
}

impl RecordedDecision {
    /// Returns the decision that a request has; `None` if no policy decided about it, or it cannot be read.
    #[must_use]
    pub fn of(request: &EnrolmentRequest) -> Option<Self> {
        let value: Value = serde_json::from_str(request.annotations.get(DECISION)?).ok()?;
        let text = |key: &str| value[key].as_str().map(sanitized);
        let verdict = value["verdict"].as_str()?;
        let verdict = Verdict::NAMES.into_iter().find(|name| *name == verdict)?;
        Some(Self { verdict, rule: text("rule"), reason: text("reason")? })
    }
}

/// Reviews requests by the cluster file's policy, or another. Programs and services are asked if `reviewers` are given.
///
/// # Errors
/// Returns an error if the cluster directory cannot be used.
pub fn review(
    requests: Vec<EnrolmentRequest>,
    policy: Option<&Policy>,
    reviewers: Option<&dyn Reviewers>,
    env: &Env,
) -> Result<Vec<ReviewedRequest>, Error> {
    reviewed(requests, policy, reviewers, env, Judge::prepare)
}

fn reviewed(
    requests: Vec<EnrolmentRequest>,
    policy: Option<&Policy>,
    reviewers: Option<&dyn Reviewers>,
    env: &Env,
    prepare: fn(&Judge, &EnrolmentRequest) -> Result<Prepared, Error>,
) -> Result<Vec<ReviewedRequest>, Error> {
    let judge = Judge::open(env)?;
    let judge = match policy {
        Some(policy) => judge.with_policy(policy.clone()),
        None => judge,
    };
    let persons = Persons::read(&judge, env);
    let one = |request: EnrolmentRequest| {
        let prepared = prepare(&judge, &request)?;
        let decision = match reviewers {
            Some(reviewers) => Some(prepared.decide(reviewers)),
            None => prepared.decide_alone(),
        };
        let tally = persons.tally(&prepared, env.now);
        let is_ours = judge.signs_for(request.content.signer);
        let Prepared { request, kind, inventory, .. } = prepared;
        Ok(ReviewedRequest { request, kind, inventory, decision, tally, is_ours })
    };
    requests.into_iter().map(one).collect()
}

/// A request about which two policies decide differently.
#[derive(Debug, Clone)]
pub struct ReplayedRequest {
    /// By the present policy.
    pub before: ReviewedRequest,
    /// By the other one.
    pub after: ReviewedRequest,
}

impl ReplayedRequest {
    /// Returns true if the verdicts differ.
    #[must_use]
    pub fn differs(&self) -> bool {
        let verdict = |one: &ReviewedRequest| one.decision.as_ref().map(|decision| decision.verdict);
        verdict(&self.before) != verdict(&self.after)
    }
}

/// Reviews requests by the cluster file's policy and by another, each as of the time at which it was created. Programs and
/// services are not asked.
///
/// # Errors
/// Returns the errors of [`review`].
pub fn replay(requests: Vec<EnrolmentRequest>, policy: &Policy, env: &Env) -> Result<Vec<ReplayedRequest>, Error> {
    let before = reviewed(requests.clone(), None, None, env, Judge::prepare_as_of_creation)?;
    let after = reviewed(requests, Some(policy), None, env, Judge::prepare_as_of_creation)?;
    Ok(before.into_iter().zip(after).map(|(before, after)| ReplayedRequest { before, after }).collect())
}
