//! `ApprovalReview`: the JSON that reviewers (programs and services) get about a request, and their answer.

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Answer;
use crate::cluster::duration::stamp;
use crate::cluster::enrolment::RequestKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Host;
use crate::enrol::request::EnrolmentRequest;
use crate::pki::fingerprint::Fingerprint;
use crate::sanitize::sanitized;

/// `apiVersion` of the review.
pub const API_VERSION: &str = "clusterctl.io/v1";
/// `kind` of the review.
pub const KIND: &str = "ApprovalReview";
/// The largest answer, in bytes.
pub const MAX_ANSWER: usize = 64 * 1024;
/// The longest reason, in characters; the rest is cut off.
const LONGEST_REASON: usize = 500;

/// The input of a reviewer.
#[derive(Debug, Clone)]
pub struct Review<'a> {
    /// The cluster's name.
    pub cluster: &'a ClusterName,
    /// The pin of the cluster's root.
    pub pin: Fingerprint,
    /// The request.
    pub request: &'a EnrolmentRequest,
    /// Its kind.
    pub kind: RequestKind,
    /// The certificate that it would get.
    pub spec: &'a CertificateSpec,
    /// The latest `notAfter` of that certificate.
    pub not_after: OffsetDateTime,
    /// The host, as in the cluster file.
    pub host: &'a Host,
    /// The host's certificates in the ledger, the newest first.
    pub history: Vec<PastCertificate>,
}

/// A certificate that a host had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCertificate {
    /// The profile.
    pub profile: String,
    /// The serial number, hexadecimal.
    pub serial: String,
    /// When it expires.
    pub not_after: OffsetDateTime,
    /// Why it was revoked, if it was.
    pub revoked: Option<String>,
}

impl Review<'_> {
    /// Returns the review as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (content, requester) = (&self.request.content, &self.request.requester);
        let (csr, evidence) = split(&content.pem);
        let history = self.history.iter().map(|past| {
            json!({
                "profile": past.profile, "serial": past.serial, "notAfter": stamp(past.not_after), "revoked": past.revoked,
            })
        });
        json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "cluster": {"name": self.cluster.to_string(), "pin": self.pin.as_pin()},
            "request": {
                "name": self.request.name,
                "uid": self.request.uid,
                "signerName": content.signer.as_str(),
                "created": stamp(self.request.created),
                "kind": self.kind.as_str(),
                "profile": content.profile().policy().name,
                "host": content.host.as_str(),
                "key": {"kind": content.csr.request().key.to_string(), "sha256": content.key().to_string()},
                "csr": csr,
                "evidence": evidence,
            },
            "grant": {
                "user": self.spec.subject.user,
                "group": self.spec.subject.group,
                "names": self.spec.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "notAfter": stamp(self.not_after),
            },
            "caller": {"user": requester.username, "groups": requester.groups, "extra": requester.extra},
            "host": {
                "name": self.host.name.as_str(),
                "addresses": self.host.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            },
            "history": history.collect::<Vec<_>>(),
        })
    }
}

/// Splits the text of a request into the certificate request and its evidence.
fn split(pem: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(pem).into_owned();
    let end = text.find("-----END ").and_then(|at| text[at..].find('\n').map(|line| at + line + 1));
    let (csr, evidence) = text.split_at(end.unwrap_or(text.len()));
    (csr.to_owned(), evidence.to_owned())
}

/// Reasons why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is longer than [`MAX_ANSWER`].
    #[error("its answer has {0} bytes, at most {MAX_ANSWER} are read")]
    TooLong(usize),
    /// It is not the JSON of an answer.
    #[error("its answer cannot be read: {0}")]
    Malformed(String),
    /// It is of another kind.
    #[error("its answer is of the kind \"{0}\"")]
    OtherKind(String),
    /// Its verdict is not one of the four.
    #[error("its verdict \"{0}\" is none of approve, deny, queue and retry")]
    Verdict(String),
    /// Its validity is not a lifetime.
    #[error("its validity \"{0}\" is not a lifetime, for example 12h or 30d")]
    Validity(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    api_version: Option<String>,
    kind: Option<String>,
    verdict: String,
    reason: Option<String>,
    validity: Option<String>,
}

/// Reads the answer of a reviewer. Unknown keys are errors: a misspelt `validity` must not be ignored.
///
/// # Errors
/// Returns an error if it cannot be used.
pub fn read_answer(bytes: &[u8]) -> Result<Answer, AnswerError> {
    if bytes.len() > MAX_ANSWER {
        return Err(AnswerError::TooLong(bytes.len()));
    }
    let malformed = |error: serde_json::Error| AnswerError::Malformed(sanitized(&error.to_string()));
    let Written { api_version, kind, verdict, reason, validity } = serde_json::from_slice(bytes).map_err(malformed)?;
    for (found, wanted) in [(api_version, API_VERSION), (kind, KIND)] {
        if let Some(found) = found.filter(|found| found != wanted) {
            return Err(AnswerError::OtherKind(sanitized(&found)));
        }
    }
    let validity = validity.map(|text| match Lifetime::parse(&text) {
        Ok(lifetime) => Ok(lifetime),
        Err(_) => Err(AnswerError::Validity(sanitized(&text))),
    });
    let validity = validity.transpose()?;
    let reason = sanitized(reason.as_deref().unwrap_or_default().trim());
    let reason: String = reason.chars().take(LONGEST_REASON).collect();
    let reason = if reason.is_empty() { "no reason was given".to_owned() } else { reason };
    match verdict.as_str() {
        "approve" => Ok(Answer::Ok { evidence: reason, validity }),
        "deny" => Ok(Answer::Denied(reason)),
        "queue" => Ok(Answer::Queued(reason)),
        "retry" => Ok(Answer::Unknown(reason)),
        other => Err(AnswerError::Verdict(sanitized(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn answers_are_a_verdict_with_a_reason() {
        let answer = |text: &str| read_answer(text.as_bytes());
        assert_eq!(answer(r#"{"verdict":"approve","reason":"seen"}"#), Ok(Answer::ok("seen")));
        assert_eq!(answer(r#"{"verdict":"deny","reason":"no"}"#), Ok(Answer::Denied("no".into())));
        assert_eq!(answer(r#"{"verdict":"queue"}"#), Ok(Answer::Queued("no reason was given".into())));
        assert_eq!(answer(r#"{"verdict":"retry","reason":"db"}"#), Ok(Answer::Unknown("db".into())));
        let shortened = answer(
            r#"{"apiVersion":"clusterctl.io/v1","kind":"ApprovalReview","verdict":"approve","reason":"a","validity":"12h"}"#,
        );
        assert_eq!(shortened, Ok(Answer::Ok { evidence: "a".into(), validity: Lifetime::parse("12h").ok() }));
        assert_eq!(
            answer("{\"verdict\":\"deny\",\"reason\":\"\\u001b[31mno\"}")
                .map(|answer| answer.evidence().contains('\u{1b}')),
            Ok(false)
        );
    }

    #[test]
    fn garbage_is_no_answer() {
        for garbage in [
            "",
            "null",
            "[]",
            "approve",
            "{}",
            r#"{"verdict":true}"#,
            r#"{"verdict":"Approve"}"#,
            r#"{"verdict":"approve","verdict":"deny"}"#,
            r#"{"verdict":"approve","validty":"1h"}"#,
            r#"{"verdict":"approve","validity":"1 hour"}"#,
            r#"{"verdict":"approve","validity":"1000y"}"#,
            r#"{"kind":"Other","verdict":"approve"}"#,
            r#"{"verdict":"approve"} {"verdict":"deny"}"#,
        ] {
            assert!(read_answer(garbage.as_bytes()).is_err(), "{garbage}");
        }
        let long = format!(r#"{{"verdict":"approve","reason":"{}"}}"#, "a".repeat(MAX_ANSWER));
        assert_eq!(read_answer(long.as_bytes()), Err(AnswerError::TooLong(long.len())));
        let deep = format!(r#"{{"verdict":{}"#, "[".repeat(60_000));
        assert!(matches!(read_answer(deep.as_bytes()), Err(AnswerError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read_answer(&bytes);
        }

        #[test]
        fn an_answer_never_approves_unless_it_says_so(verdict in "[a-zA-Z]{0,10}", reason in ".{0,600}") {
            let text = json!({"verdict": verdict, "reason": reason}).to_string();
            let answer = read_answer(text.as_bytes());
            prop_assert_eq!(matches!(answer, Ok(Answer::Ok { .. })), verdict == "approve");
            if let Ok(answer) = answer {
                prop_assert!(answer.evidence().chars().count() <= LONGEST_REASON);
                prop_assert!(!answer.evidence().chars().any(char::is_control));
            }
        }

        #[test]
        fn a_changed_octet_is_no_other_verdict(at in 0_usize..60, octet in any::<u8>()) {
            let mut bytes = br#"{"verdict":"retry","reason":"the database is away"}"#.to_vec();
            let at = at % bytes.len();
            bytes[at] = octet;
            let other = matches!(read_answer(&bytes), Ok(Answer::Ok { .. } | Answer::Denied(_) | Answer::Queued(_)));
            prop_assert!(!other);
        }
    }
}
