//! Decisions by persons: approvals and denials at the mailbox, or decisions signed with SSH keys.

#[cfg(feature = "server")]
use std::num::NonZeroU8;

use time::OffsetDateTime;

use super::judge::{Inventory, Judge};
use super::prepared::Prepared;
use crate::app::env::Env;
use crate::enrol::approval::{self, ANNOTATION, Subject, Tally};
use crate::enrol::request::EnrolmentRequest;
#[cfg(feature = "server")]
use crate::enrol::request::State;
use crate::pki::allowed_signers::AllowedSigners;
use crate::pki::fingerprint::Fingerprint;
#[cfg(feature = "server")]
use crate::sanitize::sanitized;
use crate::store::files;

/// The largest file of allowed signers, in bytes.
const MAX_SIGNERS: u64 = 1024 * 1024;

/// The reason in the condition of a request that the policy approved or denied.
#[cfg(feature = "server")]
pub(super) const BY_POLICY: &str = "Policy";
/// The reason in the condition of a request that a person approved or denied.
#[cfg(feature = "server")]
pub(super) const BY_PERSON: &str = "Person";

/// The SSH keys and the names of the approvers.
#[derive(Debug)]
pub struct Persons {
    signers: Option<Result<AllowedSigners, String>>,
    approvers: Vec<String>,
    pin: Fingerprint,
}

impl Persons {
    /// Reads the file of allowed signers that the cluster file names. An error of the file is kept until it is needed.
    #[must_use]
    pub fn read(judge: &Judge, env: &Env) -> Self {
        let enrolment = judge.enrolment();
        let file = enrolment.and_then(|enrolment| enrolment.allowed_signers.as_ref());
        let signers = file.map(|file| {
            let bytes = files::read(&env.layout.dir().join(file), MAX_SIGNERS).map_err(|error| error.to_string())?;
            let text = String::from_utf8(bytes).map_err(|_| format!("{file} is not text"))?;
            AllowedSigners::parse(&text).map_err(|error| format!("{file}: {error}"))
        });
        let approvers = enrolment.map(|enrolment| enrolment.approvers.clone()).unwrap_or_default();
        Self { signers, approvers, pin: judge.pin() }
    }

    /// Returns what a decision about a request signs; `None` if the request would get no certificate.
    #[must_use]
    pub fn subject(&self, request: &EnrolmentRequest, inventory: &Inventory) -> Option<Subject> {
        match inventory {
            Inventory::Granted(spec) => Some(Subject::of(request, spec, self.pin)),
            Inventory::Unknown(_) | Inventory::Refused(_) => None,
        }
    }

    /// Counts the signed decisions about a request.
    ///
    /// # Errors
    /// Returns an error if the keys or the decisions cannot be read.
    pub fn tally(&self, prepared: &Prepared, now: OffsetDateTime) -> Result<Tally, String> {
        let request = &prepared.request;
        let Some(annotation) = request.annotations.get(ANNOTATION) else { return Ok(Tally::default()) };
        if self.signers.is_none() {
            return Ok(Tally::default());
        }
        let Some(subject) = self.subject(request, &prepared.inventory) else { return Ok(Tally::default()) };
        self.tally_of(annotation, &subject, now)
    }

    /// Counts the signed decisions of an annotation about a subject.
    ///
    /// # Errors
    /// Returns an error if no keys are allowed, or the keys or the decisions cannot be read.
    pub fn tally_of(&self, annotation: &str, subject: &Subject, now: OffsetDateTime) -> Result<Tally, String> {
        let none = || "the cluster file names no file of allowed keys (enrolment.allowedSigners)".to_owned();
        let signers = self.signers.as_ref().ok_or_else(none)?.as_ref().map_err(Clone::clone)?;
        let decisions = approval::read(annotation).map_err(|error| error.to_string())?;
        Ok(approval::tally(&decisions, subject, signers, &self.approvers, now))
    }
}

/// Returns who approved a request (inner `Ok`) or who denied it (inner `Err`); `None` if no person has decided.
///
/// # Errors
/// Returns an error if signed approvals are missing or cannot be read, or only the policy has approved the request.
#[cfg(feature = "server")]
pub(super) fn by_persons(
    prepared: &Prepared,
    approvals: Option<NonZeroU8>,
    persons: &Persons,
    now: OffsetDateTime,
) -> Result<Option<Result<String, String>>, String> {
    let request = &prepared.request;
    let tally = persons.tally(prepared, now)?;
    if let Some(by) = tally.denied.first() {
        return Ok(Some(Err(format!("denied by {by}"))));
    }
    let has = tally.approved.len();
    let by = || format!("approved by {}", tally.approved.join(", "));
    match approvals {
        Some(needed) if has >= usize::from(needed.get()) => Ok(Some(Ok(by()))),
        Some(needed) => {
            let ignored = match tally.ignored.as_slice() {
                [] => String::new(),
                ignored => format!("; not counted: {}", ignored.join("; ")),
            };
            Err(format!("{has} of {needed} signed approvals{ignored}"))
        }
        None if has > 0 => Ok(Some(Ok(by()))),
        None if request.state == State::Approved => {
            let said = request.conditions.iter().find(|condition| condition.kind == "Approved");
            if said.is_some_and(|condition| condition.reason == BY_POLICY) {
                // No certificate was issued yet, so the request is judged again. An approval by the policy is not one by a person.
                return Err("the policy approved it earlier, and no longer does".to_owned());
            }
            let said = said.map(|condition| sanitized(&format!("{}: {}", condition.reason, condition.message)));
            Ok(Some(Ok(format!("approved at the mailbox ({})", said.unwrap_or_default()))))
        }
        None => Ok(None),
    }
}
