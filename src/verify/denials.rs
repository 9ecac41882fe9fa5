//! Determines the certificates that API servers must deny, from the ledger and the authorization configuration.
//!
//! SubjectAccessReviews, which change nothing, prove that they are denied. Kubernetes does not check CRLs; an
//! authorizer that denies by `credential-id` replaces them. Its file may be missing at an API server, or not be
//! reloaded.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::observation::Answer;
use crate::pki::fingerprint::Fingerprint;
use crate::sanitize::sanitized;

/// The maximum number of revoked certificates that are checked at each API server.
///
/// A file is reloaded as a whole, so the newest revocations suffice.
pub const MAX_DENIALS: usize = 16;
/// The maximum length of a certificate's description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 300;
/// The attribute of a client by which certificates are denied (`apiserver/pkg/authentication/user`, `CredentialIDKey`).
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
/// The account of reviews about certificates. It has no rights.
const REVIEW_ACCOUNT: &str = "clusterctl:denials";
/// The account of the review about lists: it has the form of a node's account, but belongs to no node.
const NODE_REVIEW_ACCOUNT: &str = "kubelet:clusterctl-denials";

/// The denials that are checked at API servers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedDenials {
    /// Revoked certificates, the newest revocation first; at most [`MAX_DENIALS`].
    pub certificates: Vec<RevokedCertificate>,
    /// The number of revoked certificates beyond these.
    pub left_out: usize,
    /// Whether the rules about accounts `kubelet:HOST` have to be active.
    pub node_rules: bool,
}

/// A certificate that API servers have to deny.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokedCertificate {
    /// SHA-256 of its DER.
    pub sha256: Fingerprint,
    /// Its subject and profile, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whose: Option<String>,
    /// When it was revoked, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

impl ExpectedDenials {
    /// Keeps the first [`MAX_DENIALS`] of these, the newest revocation first, and counts the others.
    #[must_use]
    pub fn new(mut certificates: Vec<RevokedCertificate>, node_rules: bool) -> Self {
        let left_out = certificates.len().saturating_sub(MAX_DENIALS);
        certificates.truncate(MAX_DENIALS);
        Self { certificates, left_out, node_rules }
    }

    /// Returns the content of a verifier bundle's file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Parses the result of [`Self::to_json`].
    ///
    /// # Errors
    /// Returns the reason of the refusal.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let denials: Self = serde_json::from_slice(bytes).map_err(|error| sanitized(&error.to_string()))?;
        denials.check()?;
        Ok(denials)
    }

    /// Checks untrusted content: its size, and that its texts can be displayed.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.certificates.len() > MAX_DENIALS {
            return Err(format!("it has {} certificates; the limit is {MAX_DENIALS}", self.certificates.len()));
        }
        let mut words = self.certificates.iter().flat_map(|one| one.whose.iter().chain(&one.revoked));
        match words.find(|text| text.is_empty() || text.len() > MAX_DESCRIPTION_BYTES || sanitized(text) != **text) {
            Some(text) => Err(format!("\"{}\" is not a name", sanitized(text))),
            None => Ok(()),
        }
    }

    /// Returns true if there is nothing to check.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && !self.node_rules
    }

    /// Returns the subjects in order. The first is a certificate that was never issued: if it is denied, no denial
    /// proves anything.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject> {
        let certificates = self.certificates.iter().map(|certificate| Subject::Certificate(certificate.sha256));
        [Subject::Unissued].into_iter().chain(self.node_rules.then_some(Subject::ListOfSecrets)).chain(certificates)
    }
}

/// The subject of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A certificate that was never issued.
    Unissued,
    /// A list of all secrets, by an account `kubelet:HOST`.
    ListOfSecrets,
    /// A revoked certificate.
    Certificate(Fingerprint),
}

impl Subject {
    /// Returns the account and the certificate of the review.
    fn asked_for(self) -> (&'static str, String) {
        let (account, certificate) = match self {
            Self::Unissued => (REVIEW_ACCOUNT, unrevoked()),
            Self::ListOfSecrets => (NODE_REVIEW_ACCOUNT, unrevoked()),
            Self::Certificate(certificate) => (REVIEW_ACCOUNT, certificate),
        };
        (account, format!("X509SHA256={certificate}"))
    }

    /// Returns the SubjectAccessReview (Kubernetes `authorization.k8s.io/v1`).
    pub(super) fn review(self) -> Value {
        let (user, credential) = self.asked_for();
        let mut spec =
            json!({"user": user, "groups": ["system:authenticated"], "extra": {CREDENTIAL_ID: [credential]}});
        match self {
            Self::ListOfSecrets => {
                spec["groups"] = json!(["kubelets", "system:authenticated"]);
                spec["resourceAttributes"] = json!({"verb": "list", "resource": "secrets"});
            }
            _ => spec["nonResourceAttributes"] = json!({"verb": "get", "path": "/version"}),
        }
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": KIND, "spec": spec})
    }

    /// Returns the decision of a response, if it is about this subject: a review repeats the request.
    pub(super) fn decision(self, answer: &Answer) -> Option<Decision> {
        if !(200..300).contains(&answer.status) || answer.truncated {
            return None;
        }
        let review: ReviewExcerpt = serde_json::from_str(&answer.body).ok()?;
        let (user, credential) = self.asked_for();
        if review.kind != KIND || review.user != user || review.credential != credential {
            return None;
        }
        Some(if review.denied { Decision::Denied } else { Decision::NotDenied })
    }
}

/// Returns a digest that no certificate has.
fn unrevoked() -> Fingerprint {
    Fingerprint::of(b"a certificate that clusterctl verify asks about and that was never made")
}

const KIND: &str = "SubjectAccessReview";

/// The decision of an API server's authorizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// `denied: true`: no later authorizer can allow it.
    Denied,
    /// Allowed, or without an opinion.
    NotDenied,
}

/// The excerpt of a review.
#[derive(Serialize, Deserialize)]
struct ReviewExcerpt {
    kind: String,
    user: String,
    credential: String,
    denied: bool,
}

/// Returns the excerpt of a review: its subject, and whether it is denied; `None` if it is not a review.
pub(super) fn kept(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let kind = body.get("kind")?.as_str().filter(|kind| *kind == KIND)?.to_owned();
    let spec = body.get("spec")?;
    let credential = spec.get("extra")?.get(CREDENTIAL_ID)?.as_array()?;
    let [credential] = credential.as_slice() else { return None };
    let status = body.get("status")?;
    // A decision always has `allowed`.
    status.get("allowed")?.as_bool()?;
    let kept = ReviewExcerpt {
        kind,
        user: spec.get("user")?.as_str()?.to_owned(),
        credential: credential.as_str()?.to_owned(),
        denied: status.get("denied").and_then(Value::as_bool).unwrap_or(false),
    };
    serde_json::to_string(&kept).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::observation::Request;
    use crate::verify::redact;

    fn answered(subject: Subject, status: Value) -> Answer {
        let mut review = subject.review();
        review["status"] = status;
        let body = redact::kept(Request::DenialReview, 201, &review.to_string());
        Answer { status: 201, version: "HTTP/2.0".into(), content_type: None, body: body.into(), truncated: false }
    }

    #[test]
    fn an_answer_applies_only_to_the_question_that_it_repeats() {
        let (one, other) = (Fingerprint::of(b"one"), Fingerprint::of(b"other"));
        let one = Subject::Certificate(one);
        let by_an_error = json!({"allowed": false, "denied": true, "evaluationError": "no such key: clusterctl: …"});
        for subject in [Subject::Unissued, Subject::ListOfSecrets, one] {
            let decided = |status: Value| subject.decision(&answered(subject, status));
            assert_eq!(decided(by_an_error.clone()), Some(Decision::Denied));
            // Kubernetes omits `denied` if it is false.
            assert_eq!(decided(json!({"allowed": true})), Some(Decision::NotDenied));
            assert_eq!(decided(json!({"allowed": false})), Some(Decision::NotDenied));
            assert_eq!(decided(json!({})), None);
        }
        let of_one = answered(one, by_an_error);
        for subject in [Subject::Unissued, Subject::ListOfSecrets, Subject::Certificate(other)] {
            assert_eq!(subject.decision(&of_one), None);
        }
        assert_eq!(one.decision(&Answer { status: 403, ..of_one.clone() }), None);
        assert_eq!(one.decision(&Answer { body: "{}".into(), ..of_one }), None);
    }

    #[test]
    fn the_newest_are_checked_and_the_others_are_counted() {
        let certificate =
            |i: usize| RevokedCertificate { sha256: Fingerprint::of(&i.to_be_bytes()), whose: None, revoked: None };
        let denials = ExpectedDenials::new((0..MAX_DENIALS + 3).map(certificate).collect(), true);
        assert_eq!((denials.certificates.len(), denials.left_out), (MAX_DENIALS, 3));
        assert_eq!(denials.certificates[0], certificate(0));
        assert_eq!(denials.subjects().count(), MAX_DENIALS + 2);
        assert!(ExpectedDenials::new(Vec::new(), false).is_empty());
    }

    #[test]
    fn denials_of_a_verifier_bundle_round_trip_and_are_bounded() {
        let one = |whose: &str| RevokedCertificate {
            sha256: Fingerprint::of(whose.as_bytes()),
            whose: Some(whose.to_owned()),
            revoked: None,
        };
        let denials = ExpectedDenials::new(vec![one("node-1 kubelet-client")], true);
        assert_eq!(ExpectedDenials::from_json(&denials.to_json()), Ok(denials.clone()));
        let many = ExpectedDenials { certificates: vec![one("a"); MAX_DENIALS + 1], ..denials };
        let unprintable = ExpectedDenials { certificates: vec![one("\u{1b}[2J")], ..denials };
        for refused in [many.to_json(), unprintable.to_json(), b"[]".to_vec(), Vec::new()] {
            assert!(ExpectedDenials::from_json(&refused).is_err());
        }
    }
}
