//! A request with everything that a policy may ask about it.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::inventory::Inventory;
use crate::cluster::enrolment::{Policy, Program, RequestKind, Requirement, Webhook};
use crate::enrol::policy::{Answer, Decision, Target, Verdict, decide};
use crate::enrol::request::EnrolmentRequest;

/// The evidence about the sender of a request, judged.
#[derive(Debug, Clone)]
pub(super) struct Proofs {
    pub(super) same_host: Result<String, String>,
    pub(super) ssh_host_key: Answer,
    pub(super) token: Answer,
    pub(super) source_address: Answer,
}

/// A request with everything that a policy may ask about it, as of one time.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The request.
    pub request: EnrolmentRequest,
    /// Its kind.
    pub kind: RequestKind,
    /// What the cluster file grants to it.
    pub inventory: Inventory,
    pub(super) policy: Arc<Policy>,
    pub(super) folder: PathBuf,
    pub(super) now: OffsetDateTime,
    pub(super) revoked_since: Option<String>,
    pub(super) is_compromised: bool,
    pub(super) proofs: Proofs,
    pub(super) review: Option<Value>,
}

/// Programs and services that judge requests.
pub trait Reviewers {
    /// Asks a program.
    fn exec(&self, program: &Program, folder: &std::path::Path, review: &Value) -> Answer;
    /// Asks a service.
    fn webhook(&self, webhook: &Webhook, folder: &std::path::Path, review: &Value) -> Answer;
    /// Asks a script for Puppet's autosigning.
    fn puppet_autosign(&self, program: &Program, folder: &std::path::Path, host: &str, csr: &[u8]) -> Answer;
}

impl Prepared {
    /// Returns the decision without asking programs or services; `None` if one has to be asked.
    #[must_use]
    pub fn decide_alone(&self) -> Option<Decision> {
        let mut needs_a_reviewer = false;
        let decision = self.decided(&mut |_| {
            needs_a_reviewer = true;
            Answer::Unknown(String::new())
        });
        (!needs_a_reviewer).then_some(decision)
    }

    /// Returns the decision. Programs and services are asked where a rule needs them.
    #[must_use]
    pub fn decide(&self, reviewers: &dyn Reviewers) -> Decision {
        self.decided(&mut |requirement| self.ask(requirement, reviewers))
    }

    fn decided(&self, ask: &mut dyn FnMut(&Requirement) -> Answer) -> Decision {
        if let Some(reason) = &self.revoked_since {
            return self.without_rules(Verdict::Deny, reason.clone());
        }
        match &self.inventory {
            Inventory::Granted(_) => {}
            Inventory::Refused(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                return self.without_rules(Verdict::Deny, problems.join("; "));
            }
            // The host may be added to the cluster file later.
            Inventory::Unknown(problem) => {
                return self.without_rules(Verdict::Queue { approvals: None }, problem.to_string());
            }
        }
        let content = &self.request.content;
        let target = Target {
            host: &content.host,
            profile: content.profile(),
            kind: self.kind,
            needs_proof: self.is_compromised,
        };
        decide(&self.policy, &target, self.now, &mut |requirement| {
            self.known(requirement).unwrap_or_else(|| ask(requirement))
        })
    }

    fn without_rules(&self, verdict: Verdict, reason: String) -> Decision {
        Decision { verdict, rule: None, reason, rules: Vec::new() }
    }

    /// Returns the answers that need no program or service.
    fn known(&self, requirement: &Requirement) -> Option<Answer> {
        Some(match requirement {
            Requirement::Inventory => Answer::ok("the cluster file has it"),
            Requirement::SameHost => match &self.proofs.same_host {
                Ok(evidence) => Answer::ok(evidence.clone()),
                Err(reason) => Answer::Failed(reason.clone()),
            },
            Requirement::SshHostKey => self.proofs.ssh_host_key.clone(),
            Requirement::Token => self.proofs.token.clone(),
            Requirement::SourceAddress => self.proofs.source_address.clone(),
            Requirement::Exec(_) | Requirement::Webhook(_) | Requirement::PuppetAutosign(_) => return None,
        })
    }

    fn ask(&self, requirement: &Requirement, reviewers: &dyn Reviewers) -> Answer {
        let content = &self.request.content;
        let nothing = Value::Null;
        let review = self.review.as_ref().unwrap_or(&nothing);
        match requirement {
            Requirement::Exec(program) => reviewers.exec(program, &self.folder, review),
            Requirement::Webhook(webhook) => reviewers.webhook(webhook, &self.folder, review),
            Requirement::PuppetAutosign(program) => {
                reviewers.puppet_autosign(program, &self.folder, content.host.as_str(), &content.pem)
            }
            other => self.known(other).unwrap_or_else(|| Answer::Failed("it is unknown".to_owned())),
        }
    }
}
