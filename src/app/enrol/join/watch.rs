//! Watches a request, so that a host learns of the decision at once and does not poll.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::api::{Enrolment, MAX_ANSWER, REQUESTS};
use crate::https::Request;

/// The longest watch; after it the requests are read again.
const LONGEST: Duration = Duration::from_secs(120);

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    /// The request is decided, or was removed.
    Decided,
    /// It ended without a decision.
    Nothing,
    /// The endpoint does not allow watches, or does not answer them as Kubernetes does.
    Impossible,
}

/// The fields of an event that are read.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    object: Value,
}

impl Enrolment {
    /// Watches a request until it is decided.
    pub(super) fn watch(&self, name: &str) -> Watched {
        let span = self.waiting.left().min(LONGEST);
        let seconds = span.as_secs().max(1);
        let query = format!("watch=true&fieldSelector=metadata.name%3D{name}&timeoutSeconds={seconds}");
        let url = format!("{}{REQUESTS}?{query}", self.endpoint);
        let (mut has_begun, mut is_decided, mut is_broken) = (false, false, false);
        let mut each = |line: &[u8]| {
            match serde_json::from_slice::<Event>(line) {
                Ok(event) if event.kind == "ERROR" => is_broken = true,
                Ok(event) => {
                    has_begun = true;
                    is_decided = event.kind == "DELETED" || decided(&event.object);
                }
                Err(_) => is_broken = true,
            }
            is_decided || is_broken
        };
        let stop = || self.waiting.is_cancelled();
        let answer = self.client.follow(&Request::get(&url, MAX_ANSWER), span, &stop, &mut each);
        match answer {
            Ok(200) if is_decided => Watched::Decided,
            Ok(200) if has_begun && !is_broken => Watched::Nothing,
            _ => Watched::Impossible,
        }
    }
}

/// Returns true if a request has its certificate, or was denied or failed.
fn decided(object: &Value) -> bool {
    let status = &object["status"];
    let has_failed = |one: &Value| one["type"] == "Denied" || one["type"] == "Failed";
    status["certificate"].is_string() || status["conditions"].as_array().is_some_and(|all| all.iter().any(has_failed))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_approval_alone_decides_nothing() {
        let with = |conditions: Value| json!({"status": {"conditions": conditions}});
        assert!(!decided(&json!({})));
        assert!(!decided(&with(json!([{"type": "Approved"}]))));
        assert!(decided(&with(json!([{"type": "Denied"}]))));
        assert!(decided(&with(json!([{"type": "Approved"}, {"type": "Failed"}]))));
        assert!(decided(&json!({"status": {"certificate": "Y2VydA=="}})));
    }
}
