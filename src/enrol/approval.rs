//! Decisions about requests that are signed with SSH keys, so that an attacker with control of the mailbox cannot approve.
//!
//! A decision covers the request and the certificate that it would get. The signer builds the signed text itself, from the cluster
//! file and the request, and verifies the signature over that.

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::cluster::duration::stamp;
use crate::cluster::profile::CertificateSpec;
use crate::enrol::request::EnrolmentRequest;
use crate::pki::allowed_signers::AllowedSigners;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::ssh::{SshError, SshKey, SshSignature};
use crate::sanitize::sanitized;

/// The signature's namespace, so that one made for other purposes is not accepted (OpenSSH `PROTOCOL.sshsig`).
pub const NAMESPACE: &str = "clusterctl-approval";
/// The annotation of a request that has signed decisions.
pub const ANNOTATION: &str = "clusterctl.io/approvals";
/// The largest annotation, in bytes.
pub const MAX_ANNOTATION: usize = 64 * 1024;
/// The largest number of decisions about a request.
pub const MAX_DECISIONS: usize = 32;
/// How long a decision counts.
const LIFE: Duration = Duration::days(7);
/// How far the clock of an approver may be ahead.
const CLOCK_AHEAD: Duration = Duration::hours(1);

/// The two decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The request is approved.
    Approve,
    /// The request is denied.
    Deny,
}

impl Choice {
    /// Returns the word in the signed text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

/// What a decision is about: a request, and the certificate that it would get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// Returns the subject of a request in the cluster with this pin.
    #[must_use]
    pub fn of(request: &EnrolmentRequest, spec: &CertificateSpec, cluster: Fingerprint) -> Self {
        let content = &request.content;
        let names: Vec<String> = spec.names.iter().map(ToString::to_string).collect();
        let line = |name: &str, value: &str| format!("{name}: {value}\n");
        Self(
            [
                line("cluster", &cluster.as_pin()),
                // Text from the mailbox is sanitized, so that it cannot contain another line.
                line("request", &sanitized(&request.name)),
                line("uid", &sanitized(&request.uid)),
                line("csr", &format!("sha256:{}", content.csr_digest)),
                line("key", &format!("sha256:{}", content.key())),
                line("host", content.host.as_str()),
                line("profile", content.profile().policy().name),
                line("user", &spec.subject.user),
                line("group", spec.subject.group.as_deref().unwrap_or_default()),
                line("names", &names.join(" ")),
            ]
            .concat(),
        )
    }

    /// Returns the text that is signed.
    #[must_use]
    pub fn text(&self, choice: Choice, time: OffsetDateTime) -> String {
        format!("clusterctl-approval 1\ndecision: {}\ntime: {}\n{}", choice.as_str(), stamp(time), self.0)
    }
}

/// A signed decision, as the annotation has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedDecision {
    /// The decision.
    pub decision: Choice,
    /// Its time (RFC 3339).
    pub time: String,
    /// The signature, `-----BEGIN SSH SIGNATURE-----`.
    pub signature: String,
}

/// Errors of the annotation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionsError {
    /// It is larger than [`MAX_ANNOTATION`].
    #[error("its signed decisions have {0} bytes, at most {MAX_ANNOTATION} are read")]
    TooLarge(usize),
    /// It is not a list of decisions.
    #[error("its signed decisions cannot be read: {0}")]
    Malformed(String),
    /// There are more than [`MAX_DECISIONS`].
    #[error("it has {0} signed decisions, at most {MAX_DECISIONS} are read")]
    TooMany(usize),
}

/// Signs a decision.
///
/// # Errors
/// Returns an error if the key cannot sign.
pub fn sign(subject: &Subject, choice: Choice, time: OffsetDateTime, key: &SshKey) -> Result<SignedDecision, SshError> {
    let signature = key.sign(NAMESPACE, subject.text(choice, time).as_bytes())?;
    Ok(SignedDecision { decision: choice, time: stamp(time), signature })
}

/// Reads the annotation; an empty text has no decisions.
///
/// # Errors
/// Returns an error if it is too large or malformed.
pub fn read(annotation: &str) -> Result<Vec<SignedDecision>, DecisionsError> {
    if annotation.len() > MAX_ANNOTATION {
        return Err(DecisionsError::TooLarge(annotation.len()));
    }
    if annotation.trim().is_empty() {
        return Ok(Vec::new());
    }
    let malformed = |error: serde_json::Error| DecisionsError::Malformed(sanitized(&error.to_string()));
    let decisions: Vec<SignedDecision> = serde_json::from_str(annotation).map_err(malformed)?;
    if decisions.len() > MAX_DECISIONS {
        return Err(DecisionsError::TooMany(decisions.len()));
    }
    Ok(decisions)
}

/// Returns the annotation with another decision added.
///
/// # Errors
/// Returns an error if the annotation cannot be read, or would have too many decisions.
pub fn added(annotation: &str, decision: SignedDecision) -> Result<String, DecisionsError> {
    let mut decisions = read(annotation)?;
    decisions.push(decision);
    if decisions.len() > MAX_DECISIONS {
        return Err(DecisionsError::TooMany(decisions.len()));
    }
    serde_json::to_string(&decisions).map_err(|error| DecisionsError::Malformed(error.to_string()))
}

/// The decisions that count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The names of those who approved, each once.
    pub approved: Vec<String>,
    /// The names of those who denied, each once.
    pub denied: Vec<String>,
    /// Why other decisions do not count.
    pub ignored: Vec<String>,
}

/// Counts the decisions with a valid signature of an allowed signer. A person with several keys counts once, and so does a key with
/// several names.
///
/// Only the names in `approvers` count; if it is empty, all count.
#[must_use]
pub fn tally(
    decisions: &[SignedDecision],
    subject: &Subject,
    signers: &AllowedSigners,
    approvers: &[String],
    now: OffsetDateTime,
) -> Tally {
    let mut tally = Tally::default();
    let mut keys: Vec<(Choice, String)> = Vec::new();
    for decision in decisions {
        match signer_of(decision, subject, signers, approvers, now) {
            Err(reason) => tally.ignored.push(reason),
            Ok((principal, fingerprint)) => {
                let list = match decision.decision {
                    Choice::Approve => &mut tally.approved,
                    Choice::Deny => &mut tally.denied,
                };
                let key = (decision.decision, fingerprint);
                if list.contains(&principal) || keys.contains(&key) {
                    tally.ignored.push(format!("{principal} decided twice"));
                } else {
                    list.push(principal);
                    keys.push(key);
                }
            }
        }
    }
    tally
}

/// Returns the name and the key's fingerprint of the signer of a decision.
fn signer_of(
    decision: &SignedDecision,
    subject: &Subject,
    signers: &AllowedSigners,
    approvers: &[String],
    now: OffsetDateTime,
) -> Result<(String, String), String> {
    let time = OffsetDateTime::parse(&decision.time, &Rfc3339).map_err(|_| "its time is not valid".to_owned())?;
    if time > now + CLOCK_AHEAD {
        return Err(format!("its time {} is in the future", stamp(time)));
    }
    if time < now - LIFE {
        return Err(format!("its time {} is more than {} days ago", stamp(time), LIFE.whole_days()));
    }
    let signature = SshSignature::from_pem(decision.signature.as_bytes()).map_err(|error| error.to_string())?;
    let text = subject.text(decision.decision, time);
    let principals =
        signers.verify(&signature, NAMESPACE, text.as_bytes(), now).map_err(|error| sanitized(&error.to_string()))?;
    let names = || principals.split(',').map(str::trim);
    let counts = |name: &&str| approvers.is_empty() || approvers.iter().any(|one| one == name);
    match names().find(counts) {
        Some(name) => Ok((sanitized(name), signature.fingerprint())),
        None => Err(format!("{} is not among the approvers", sanitized(&principals))),
    }
}

#[cfg(test)]
mod tests;
