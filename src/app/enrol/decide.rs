//! Writes the decision of a person about a request.

use std::collections::BTreeMap;
use std::num::NonZeroU8;

use super::judge::{Inventory, Judge};
use super::persons::{BY_PERSON, Persons};
use super::remedy::ReviewRemedy;
use super::signer::SignerError;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::enrol::approval::{self, ANNOTATION, Choice, DecisionsError, Subject};
use crate::enrol::policy::Verdict;
use crate::enrol::request::{EnrolmentRequest, State};
use crate::mailbox::{ApiMailbox, Mailbox, Ruling, RulingKind};
use crate::pki::ssh::{SshError, SshKey};

/// A person's decision.
#[derive(Debug)]
pub struct PersonalDecision<'a> {
    /// The decision.
    pub choice: Choice,
    /// The reason; may be empty.
    pub reason: &'a str,
    /// The key that signs it; without one, the approval or denial is written without a signature.
    pub key: Option<&'a SshKey>,
}

/// Reasons why a decision is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// The request is decided already.
    #[error("the request {name} is already {state}")]
    Decided {
        /// The request.
        name: String,
        /// Its state.
        state: State,
    },
    /// The request is approved, so only a signed denial, or its removal, keeps it from getting a certificate.
    #[error("the request {0} is already {state}", state = State::Approved)]
    Approved(String),
    /// The request cannot get a certificate.
    #[error("the request {name} cannot get a certificate: {reason}")]
    NoCertificate {
        /// The request.
        name: String,
        /// Why.
        reason: String,
    },
    /// The key cannot sign.
    #[error("the decision cannot be signed: {0}")]
    Ssh(SshError),
    /// The signed decision would not count.
    #[error("the signed decision would not count: {0}")]
    NotCounted(String),
    /// The decisions of the request cannot be read, or there are too many.
    #[error(transparent)]
    Decisions(DecisionsError),
}

impl DecisionError {
    pub(in crate::app) fn remedy(&self) -> ReviewRemedy {
        match self {
            Self::Decided { .. } | Self::Decisions(_) => ReviewRemedy::ListRequests,
            Self::Approved(name) => ReviewRemedy::DenySigned(name.clone()),
            Self::NoCertificate { .. } => ReviewRemedy::CorrectRequest,
            Self::Ssh(_) => ReviewRemedy::UseAnotherKey,
            Self::NotCounted(_) => ReviewRemedy::AllowTheKey,
        }
    }
}

/// A decision that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenDecision {
    /// The request.
    pub request: EnrolmentRequest,
    /// The signed decisions of this kind that count now; `None` if this one was not signed.
    pub signed: Option<usize>,
    /// How many signed approvals the policy requires; `None` if an unsigned one is enough, or a program decides first.
    pub needed: Option<NonZeroU8>,
}

/// Writes a decision. A signed one is added to the request as an annotation; the signer decides when there are enough.
///
/// The denial of a request that would get no certificate is never signed, because there is nothing to sign it about.
///
/// # Errors
/// Returns an error if the request is decided, cannot get a certificate, the signature would not count, or the API refuses.
pub fn decide(
    mailbox: &ApiMailbox,
    request: &EnrolmentRequest,
    decision: &PersonalDecision<'_>,
    env: &Env,
) -> Result<WrittenDecision, Error> {
    let name = request.name.clone();
    let may_change = request.state == State::Pending || (decision.key.is_some() && request.state == State::Approved);
    if !may_change && request.state == State::Approved && decision.choice == Choice::Deny {
        return Err(DecisionError::Approved(name).into());
    }
    if !may_change {
        return Err(DecisionError::Decided { name, state: request.state }.into());
    }
    let judge = Judge::open(env)?;
    let inventory = judge.inventory(request)?;
    let refused = match &inventory {
        Inventory::Granted(_) => None,
        Inventory::Unknown(problem) => Some(problem.to_string()),
        Inventory::Refused(problems) => Some(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    };
    if let Some(reason) = refused.filter(|_| decision.choice == Choice::Approve) {
        return Err(DecisionError::NoCertificate { name, reason }.into());
    }
    let mut ruling = Ruling {
        kind: if decision.choice == Choice::Approve { RulingKind::Approved } else { RulingKind::Denied },
        reason: BY_PERSON.to_owned(),
        message: format!("by {}{}", env.actor, reason_suffix(decision.reason)),
        annotations: BTreeMap::new(),
    };
    let persons = Persons::read(&judge, env);
    let mut count = None;
    let written = match (decision.key, persons.subject(request, &inventory)) {
        (Some(key), Some(subject)) => {
            let signed = approval::sign(&subject, decision.choice, env.now, key).map_err(DecisionError::Ssh)?;
            let present = request.annotations.get(ANNOTATION).map(String::as_str).unwrap_or_default();
            let all = approval::added(present, signed).map_err(DecisionError::Decisions)?;
            count = Some(counted(&persons, &subject, (present, &all), decision.choice, env)?);
            ruling.annotations.insert(ANNOTATION.to_owned(), all);
            mailbox.annotate(request, ruling)
        }
        _ => mailbox.rule(&[(request.clone(), ruling)]).pop().unwrap_or(Err(crate::mailbox::MailboxError::Gone(name))),
    };
    let written = written.map_err(SignerError::from)?;
    let verdict = judge.prepare(&written)?.decide_alone().map(|decision| decision.verdict);
    let needed = if let Some(Verdict::Queue { approvals }) = verdict { approvals } else { None };
    Ok(WrittenDecision { request: written, signed: count, needed })
}

/// Returns how many signed decisions of this kind count in `after`.
///
/// # Errors
/// Returns an error if the decision that `after` has and `before` has not does not count.
fn counted(
    persons: &Persons,
    subject: &Subject,
    (before, after): (&str, &str),
    choice: Choice,
    env: &Env,
) -> Result<usize, DecisionError> {
    let of = |annotation: &str| -> Result<(usize, Vec<String>), DecisionError> {
        let tally = persons.tally_of(annotation, subject, env.now).map_err(DecisionError::NotCounted)?;
        let list = if choice == Choice::Approve { tally.approved } else { tally.denied };
        Ok((list.len(), tally.ignored))
    };
    let ((had, _), (has, ignored)) = (of(before)?, of(after)?);
    if has > had {
        return Ok(has);
    }
    let reason = ignored.last().cloned();
    Err(DecisionError::NotCounted(reason.unwrap_or_else(|| "it was not counted".to_owned())))
}

fn reason_suffix(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}
