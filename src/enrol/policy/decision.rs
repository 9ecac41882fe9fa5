//! Finds the first rule of a policy that decides about a request.

use std::num::NonZeroU8;

use time::{Duration, OffsetDateTime};

use crate::cluster::duration::stamp;
use crate::cluster::enrolment::{Policy, RequestKind, Requirement, Rule, Then, When};
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;

/// The longest time for which `insecure-always-approve` may be set.
const LONGEST_INSECURE: Duration = Duration::hours(24);

/// Why a rule that requires no proof does not approve.
const COMPROMISED: &str = "a key of the host was compromised, and it requires no proof";

/// The properties of a request with which the conditions of rules are compared.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The host.
    pub host: &'a HostName,
    /// What the certificate is for.
    pub profile: Profile,
    /// A first certificate, or a renewal.
    pub kind: RequestKind,
    /// Whether only proofs count, because a key of the host was compromised: nothing approves it for its name or its address.
    pub needs_proof: bool,
}

/// The answer to a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The request has what is required.
    Ok {
        /// The evidence, as text.
        evidence: String,
        /// The longest lifetime that a reviewer allows; `None` for no limit.
        validity: Option<Lifetime>,
    },
    /// The request does not have it.
    Failed(String),
    /// A reviewer denies the request.
    Denied(String),
    /// A reviewer wants a person to decide.
    Queued(String),
    /// There is no answer now: a reviewer failed, or wants to be asked again.
    Unknown(String),
}

impl Answer {
    /// Returns [`Self::Ok`] without a limit of the lifetime.
    pub fn ok(evidence: impl Into<String>) -> Self {
        Self::Ok { evidence: evidence.into(), validity: None }
    }

    /// Returns the name of the answer.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok { .. } => "ok",
            Self::Failed(_) => "failed",
            Self::Denied(_) => "denied",
            Self::Queued(_) => "queued",
            Self::Unknown(_) => "no answer",
        }
    }

    /// Returns the evidence or the reason.
    #[must_use]
    pub fn evidence(&self) -> &str {
        match self {
            Self::Ok { evidence: text, .. }
            | Self::Failed(text)
            | Self::Denied(text)
            | Self::Queued(text)
            | Self::Unknown(text) => text,
        }
    }
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is approved.
    Approve {
        /// The longest lifetime that reviewers allow.
        validity: Option<Lifetime>,
    },
    /// It is denied.
    Deny,
    /// A person decides.
    Queue {
        /// The number of approvals signed with SSH keys that is required; `None` if an unsigned approval at the mailbox is enough.
        approvals: Option<NonZeroU8>,
    },
    /// A reviewer gave no answer: it is asked again. If it never answers, a person decides.
    Retry {
        /// The number of signed approvals that is required of persons then, as in [`Verdict::Queue`].
        approvals: Option<NonZeroU8>,
    },
}

impl Verdict {
    /// The names of all verdicts.
    pub const NAMES: [&'static str; 4] = ["approve", "deny", "queue", "retry"];

    /// Returns the name of the verdict.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve { .. } => Self::NAMES[0],
            Self::Deny => Self::NAMES[1],
            Self::Queue { .. } => Self::NAMES[2],
            Self::Retry { .. } => Self::NAMES[3],
        }
    }
}

/// A requirement, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementTrace {
    /// The requirement as the cluster file spells it.
    pub name: &'static str,
    /// The answer; `None` if it was not asked.
    pub answer: Option<Answer>,
}

/// A rule, and the result of evaluating it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTrace {
    /// The rule's name.
    pub name: String,
    /// Why the rule is not about the request; `None` if it is.
    pub other: Option<String>,
    /// Its requirements.
    pub requirements: Vec<RequirementTrace>,
    /// Whether it decided.
    pub decided: bool,
}

/// A decision, and how it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The name of the rule that decided, or of a policy without rules; `None` if no rule decided.
    pub rule: Option<String>,
    /// The reason as text.
    pub reason: String,
    /// All rules up to the one that decided.
    pub rules: Vec<RuleTrace>,
}

impl Decision {
    fn by_word(verdict: Verdict, word: &str, reason: String) -> Self {
        Self { verdict, rule: Some(word.to_owned()), reason, rules: Vec::new() }
    }
}

/// Decides about a request. `ask` is called at most once for each requirement, when the first rule needs it.
///
/// A requirement without an answer ends the evaluation with [`Verdict::Retry`]: a later rule must not decide what this rule may
/// decide differently.
///
/// Where no rule decides, or a reviewer leaves it to a person, the largest number of approvals that any rule about the request requires is
/// required: a request that meets fewer requirements never needs fewer approvals.
pub fn decide(
    policy: &Policy,
    target: &Target<'_>,
    now: OffsetDateTime,
    ask: &mut dyn FnMut(&Requirement) -> Answer,
) -> Decision {
    let word = policy.word().unwrap_or_default();
    match policy {
        Policy::AlwaysReject => Decision::by_word(Verdict::Deny, word, "the policy rejects every request".to_owned()),
        Policy::Queue => Decision::by_word(Verdict::Queue { approvals: None }, word, "a person decides".to_owned()),
        Policy::InsecureAlwaysApprove { .. } if target.needs_proof => {
            Decision::by_word(Verdict::Queue { approvals: None }, word, COMPROMISED.to_owned())
        }
        Policy::InsecureAlwaysApprove { until } => match insecure(*until, now) {
            Ok(reason) => Decision::by_word(Verdict::Approve { validity: None }, word, reason),
            Err(reason) => Decision::by_word(Verdict::Queue { approvals: None }, word, reason),
        },
        Policy::Rules(rules) => by_rules(rules, target, ask),
    }
}

/// Returns why `insecure-always-approve` applies now.
///
/// # Errors
/// Returns why it does not.
pub fn insecure(until: OffsetDateTime, now: OffsetDateTime) -> Result<String, String> {
    if until <= now {
        Err(format!("insecure-always-approve ended at {}", stamp(until)))
    } else if until - now > LONGEST_INSECURE {
        Err(format!("insecure-always-approve is set until {}, which is more than 24 hours from now", stamp(until)))
    } else {
        Ok(format!("every host is approved without a proof until {}", stamp(until)))
    }
}

fn by_rules(rules: &[Rule], target: &Target<'_>, ask: &mut dyn FnMut(&Requirement) -> Answer) -> Decision {
    let mut asked: Vec<(&Requirement, Answer)> = Vec::new();
    let mut traces = Vec::new();
    let most = most_approvals(rules, target);
    for rule in rules {
        let not_asked = rule.require.iter().map(|one| RequirementTrace { name: one.name(), answer: None });
        let mut trace = RuleTrace {
            name: rule.name.clone(),
            other: is_about_another(&rule.when, target).or_else(|| lacks_proof(rule, target)),
            requirements: not_asked.collect(),
            decided: false,
        };
        let verdict = if trace.other.is_some() {
            None
        } else {
            let mut answer_of = |requirement| match asked.iter().find(|(known, _)| *known == requirement) {
                Some((_, answer)) => answer.clone(),
                None => {
                    let answer = ask(requirement);
                    asked.push((requirement, answer.clone()));
                    answer
                }
            };
            verdict_of(rule, most, &mut trace.requirements, &mut answer_of)
        };
        trace.decided = verdict.is_some();
        traces.push(trace);
        if let Some((verdict, reason)) = verdict {
            return Decision { verdict, rule: Some(rule.name.clone()), reason, rules: traces };
        }
    }
    let reason = "no rule decides, so a person does".to_owned();
    Decision { verdict: Verdict::Queue { approvals: most }, rule: None, reason, rules: traces }
}

/// Returns the largest number of signed approvals that a rule about the request requires, whether or not the request meets the
/// other requirements of that rule.
fn most_approvals(rules: &[Rule], target: &Target<'_>) -> Option<NonZeroU8> {
    rules.iter().filter(|rule| is_about_another(&rule.when, target).is_none()).filter_map(approvals).max()
}

/// Returns the verdict of a rule with its reason; `None` if the request lacks something that the rule requires.
///
/// `most` is the number of approvals where the rule itself has not decided that a person decides.
fn verdict_of<'r>(
    rule: &'r Rule,
    most: Option<NonZeroU8>,
    traces: &mut [RequirementTrace],
    answer_of: &mut dyn FnMut(&'r Requirement) -> Answer,
) -> Option<(Verdict, String)> {
    let mut validity: Option<Lifetime> = None;
    for (requirement, trace) in rule.require.iter().zip(traces) {
        let answer = trace.answer.insert(answer_of(requirement));
        let with_name = |reason: &str| format!("{}: {reason}", requirement.name());
        match answer {
            Answer::Ok { validity: limit, .. } => validity = validity.into_iter().chain(*limit).min(),
            Answer::Failed(_) => return None,
            Answer::Denied(reason) => return Some((Verdict::Deny, with_name(reason))),
            Answer::Queued(reason) => return Some((Verdict::Queue { approvals: most }, with_name(reason))),
            Answer::Unknown(reason) => return Some((Verdict::Retry { approvals: most }, with_name(reason))),
        }
    }
    let has = rule.require.iter().map(Requirement::name).collect::<Vec<_>>().join(", ");
    let reason = if has.is_empty() { "the rule requires nothing".to_owned() } else { format!("it has {has}") };
    let verdict = match rule.then {
        Then::Approve => Verdict::Approve { validity },
        Then::Queue { approvals } => Verdict::Queue { approvals },
        Then::Deny => Verdict::Deny,
    };
    Some((verdict, reason))
}

fn approvals(rule: &Rule) -> Option<NonZeroU8> {
    match rule.then {
        Then::Queue { approvals } => approvals,
        Then::Approve | Then::Deny => None,
    }
}

/// Returns why a rule does not apply to a host of which a key was compromised.
fn lacks_proof(rule: &Rule, target: &Target<'_>) -> Option<String> {
    let approves_anything = rule.then == Then::Approve && !rule.require.iter().any(Requirement::is_a_proof);
    (target.needs_proof && approves_anything).then(|| COMPROMISED.to_owned())
}

/// Returns why a rule is not about a request.
fn is_about_another(when: &When, target: &Target<'_>) -> Option<String> {
    if when.kind.is_some_and(|kind| kind != target.kind) {
        return Some(format!("its kind is {}", target.kind.as_str()));
    }
    if when.profile.is_some_and(|profile| profile != target.profile) {
        return Some(format!("it is for {}", target.profile.policy().name));
    }
    let named = when.hosts.is_empty() || when.hosts.iter().any(|pattern| pattern.matches(target.host.as_str()));
    (!named).then(|| format!("its host is {}", target.host))
}

#[cfg(test)]
mod tests;
