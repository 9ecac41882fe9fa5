//! SelfSubjectReviews: the identity that an API server sees.

use serde_json::Value;

use super::super::observation::Answer;
use super::answer::is_called_json;

/// The user of unauthenticated clients.
pub(super) const ANONYMOUS: &str = "system:anonymous";

/// The identity of a client, as an API server sees it.
pub(super) struct Review {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
    /// The values of `authentication.kubernetes.io/credential-id`; an API server sets one.
    pub(super) credentials: Vec<String>,
}

impl Review {
    /// Returns the identity that an unauthenticated client has beyond its own group, as text.
    pub(super) fn more_than_anonymous(&self) -> Option<String> {
        let groups = self.groups.iter().filter(|group| *group != "system:unauthenticated").cloned();
        let more: Vec<String> = groups.chain(self.credentials.iter().cloned()).collect();
        (!more.is_empty()).then(|| format!("{} with {}", self.user, more.join(", ")))
    }
}

/// Reads a SelfSubjectReview (Kubernetes `authentication.k8s.io/v1`).
pub(super) fn read_review(answer: &Answer) -> Option<Review> {
    if !is_called_json(answer) {
        return None;
    }
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    if body.get("kind")?.as_str()? != "SelfSubjectReview" {
        return None;
    }
    let info = body.get("status")?.get("userInfo")?;
    let texts = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let credential = info.get("extra").and_then(|extra| extra.get("authentication.kubernetes.io/credential-id"));
    Some(Review {
        user: info.get("username")?.as_str()?.to_owned(),
        groups: texts(info.get("groups")),
        credentials: texts(credential),
    })
}
