//! `master.token-keys`: the keys with which an API server verifies tokens, which it publishes in the order of its files. It reads
//! them when it starts, so they also show that it was restarted.

use serde_json::Value;

use super::super::finding::{Aspect, Finding, Status};
use super::super::observation::{Answer, Dial, Outcome, Request};
use super::super::remedy::{CertificateRemedy, VerifierRemedy, VerifierRight};
use super::answer::{describe_exchange, of, with_more_time};
use super::context::CheckContext;
use super::location::{Location, expectation};

impl CheckContext<'_> {
    /// Returns the finding; `None` if no phase of their rotation is proven, or nothing was observed.
    pub(super) fn token_keys(&mut self, location: &Location<'_>, dial: &Dial) -> Option<Finding> {
        let expected = self.target.token_keys.as_ref()?.ids();
        let exchange = of(dial, Request::TokenKeys).next()?;
        let mut finding = location.finding(Aspect::TokenKeys, Status::NotProven);
        finding = finding.saw(describe_exchange(exchange), expectation(location.place, Aspect::TokenKeys));
        finding.elapsed_ms = exchange.elapsed_ms;
        let Outcome::Answer(answer) = &exchange.outcome else {
            return Some(with_more_time(finding, &exchange.outcome));
        };
        if let Err(reason) = self.proven(exchange) {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), answer.status);
            finding.because_of = Some(location.cause(Aspect::Chain));
            return Some(finding);
        }
        Some(match (answer.status, published(answer)) {
            (200, Some(found)) => {
                finding.expected = format!("the keys {}", expected.join(", "));
                finding.observed = format!("the keys {}", found.join(", "));
                let is_right = found == expected;
                finding.status = if is_right { Status::Pass } else { Status::Fail };
                let remedy = CertificateRemedy::InstallPhase { host: location.host.to_owned() };
                if is_right { finding } else { finding.remedy(remedy) }
            }
            (403, _) => finding.remedy(VerifierRemedy::GrantVerifier { right: VerifierRight::TokenKeys }),
            _ => finding,
        })
    }
}

/// Returns the ids of the keys in a key set, in its order.
fn published(answer: &Answer) -> Option<Vec<String>> {
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    let id = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
    body.get("keys")?.as_array()?.iter().map(id).collect()
}
