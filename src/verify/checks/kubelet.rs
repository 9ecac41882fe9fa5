//! What a kubelet answers its callers.

use serde_json::Value;

use super::super::finding::{Aspect, CheckId, Finding, Severity, Status};
use super::super::observation::{Answer, Caller, Dial, Exchange, Outcome};
use super::answer::{asked_and_said, of, who};
use super::judge::Bench;
use super::refusal::{Positive, refuses};
use super::spot::{Spot, expectation};

impl Bench<'_> {
    pub(super) fn kubelet(&mut self, spot: &Spot<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        let mut positive = Positive::Untried;
        for exchange in of(dial, |caller| matches!(caller, Caller::Master(_))) {
            let proven = self.proven(exchange);
            let (mut finding, this) = kubelet_caller(spot, exchange, proven);
            finding.caller = who(&exchange.caller);
            positive = positive.max(this);
            findings.push(finding);
        }
        for exchange in of(dial, |caller| !matches!(caller, Caller::Master(_) | Caller::Verifier)) {
            findings.push(self.refusal(spot, exchange, positive));
        }
        for exchange in of(dial, |caller| *caller == Caller::Verifier) {
            findings.push(self.told(spot, Aspect::Config, exchange));
        }
    }
}

/// True when a body is, or begins as, the list of pods that a kubelet answers with.
fn is_pod_list(answer: &Answer) -> bool {
    if !answer.truncated {
        return serde_json::from_str::<Value>(&answer.body)
            .is_ok_and(|body| body.get("kind").and_then(Value::as_str) == Some("PodList"));
    }
    let head: String = answer.body.chars().filter(|c| !c.is_whitespace()).take(200).collect();
    head.starts_with("{\"kind\":\"PodList\"") || head.starts_with("{\"apiVersion\":\"v1\",\"kind\":\"PodList\"")
}

fn kubelet_caller(spot: &Spot<'_>, exchange: &Exchange, proven: Result<(), String>) -> (Finding, Positive) {
    let expected = expectation(spot.place, Aspect::Caller);
    let observed = asked_and_said(exchange);
    let mut finding = spot.finding(Aspect::Caller, Status::NotProven).saw(observed, expected);
    finding.elapsed_ms = exchange.elapsed_ms;
    match (&exchange.outcome, proven) {
        (Outcome::NoCredential(_), _) => {
            finding.status = Status::Skipped;
            (finding, Positive::Untried)
        }
        (Outcome::Answer(answer), Err(reason)) => {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), answer.status);
            finding.follows = Some(CheckId::at(spot.place, Aspect::Chain));
            (finding, Positive::Failed)
        }
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200..300 if is_pod_list(answer) => {
                finding.status = Status::Pass;
                finding.observed = format!("{}: {} PodList", exchange.request.as_str(), answer.status);
                (finding, Positive::Accepted)
            }
            200..300 => {
                finding.observed = format!("{}, but that is no PodList: is it a kubelet?", finding.observed);
                (finding, Positive::Answered)
            }
            401 => {
                finding.status = Status::Fail;
                let hint = "the kubelet does not know the master's CA: set authentication.x509.clientCAFile to this \
                            cluster's ca.crt, and check the dates of the master's client certificate";
                (finding.hint(hint), Positive::Failed)
            }
            403 => {
                finding.status = Status::Warn;
                finding.severity = Severity::Warning;
                let hint = "the master is recognised but not allowed: bind ClusterRole system:kubelet-api-admin to user \
                            kube-apiserver-kubelet-client";
                (finding.hint(hint), Positive::Forbidden)
            }
            _ => (finding.hint("nothing follows from this answer: is it a kubelet?"), Positive::Answered),
        },
        (Outcome::Alert(alert), _) if refuses(alert) => {
            finding.status = Status::Fail;
            let hint = "the server refuses the master's certificate in the handshake: it trusts another client CA";
            (finding.hint(hint), Positive::Failed)
        }
        _ => (finding, Positive::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bed::{NOW, PODS, answer, bed, master, statuses};
    use super::*;
    use crate::verify::target::Place;

    #[test]
    fn a_kubelets_answer_has_to_look_like_one() {
        let bed = bed();
        let cut = format!("{}{}", &PODS[..60], "x".repeat(100));
        let truncated = |body: &str| match answer(200, body) {
            Outcome::Answer(answer) => Outcome::Answer(Answer { truncated: true, ..answer }),
            other => other,
        };
        let cases = [
            (answer(200, PODS), "pass"),
            (truncated(&cut), "pass"),
            (answer(200, "<html>"), "not-proven"),
            (answer(200, "{}"), "not-proven"),
            (truncated("{\"a\":{\"kind\":\"PodList\""), "not-proven"),
            (answer(404, "404 page not found"), "not-proven"),
            (answer(401, "Unauthorized"), "fail"),
            (answer(403, "Forbidden (user=kube-apiserver-kubelet-client, verb=get)"), "warn"),
            (Outcome::Closed, "not-proven"),
        ];
        for (outcome, expected) in cases {
            let found = bed.judged(Place::Node, &bed.node_cert(), &[(master(), outcome.clone())], NOW);
            assert_eq!(found["caller"].status.as_str(), expected, "{outcome:?}");
        }
        let forbidden = answer(403, "Forbidden (user=x, verb=get)");
        let calls =
            [(master(), forbidden.clone()), (Caller::Anonymous, forbidden), (Caller::Stranger, answer(401, ""))];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert!(found["caller"].observed.contains("Forbidden (user=x, verb=get)"));
        assert_eq!(statuses(&found, &["anonymous", "stranger"]), ["not-proven", "pass"]);
    }
}
