//! What a kubelet answers its callers.

use super::super::finding::{Aspect, Finding, Status};
use super::super::observation::{Answer, Caller, Dial, Exchange, Outcome, Request};
use super::super::remedy::{AuthenticationRemedy, AuthorizationRemedy, ConnectionRemedy, Program};
use super::answer::{asked_and_said, is_list, who, with_more_time};
use super::judge::CheckContext;
use super::location::{Location, expectation};
use super::refusal::{Positive, Rightful, at_least_answered, bypass_proxy, refuses};

impl CheckContext<'_> {
    pub(super) fn kubelet(&mut self, spot: &Location<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        let mut rightful = Rightful::none();
        let mut heard: Vec<&Caller> = Vec::new();
        let asks_for_pods = |exchange: &Exchange| match exchange.caller {
            Caller::Master(_) => true,
            Caller::Verifier => exchange.request == Request::Pods,
            _ => false,
        };
        for (at, exchange) in dial.exchanges.iter().enumerate().filter(|(_, exchange)| asks_for_pods(exchange)) {
            let proven = self.proven(exchange);
            let (finding, positive) = kubelet_caller(spot, exchange, proven);
            let mut finding = with_more_time(finding, &exchange.outcome);
            rightful.add(&exchange.caller, positive, true, at);
            // One who calls again is there for the others' sake, and so is the verifier.
            if exchange.caller != Caller::Verifier && !heard.contains(&&exchange.caller) {
                finding.caller = who(&exchange.caller);
                findings.push(finding);
                heard.push(&exchange.caller);
            }
        }
        for (at, exchange) in dial.exchanges.iter().enumerate() {
            match exchange.caller {
                Caller::Master(_) | Caller::Verifier => {}
                _ => findings.push(self.refusal(spot, dial, at, rightful)),
            }
        }
        for exchange in dial.exchanges.iter().filter(|exchange| exchange.request == Request::Configz) {
            findings.push(self.told(spot, Aspect::Config, exchange));
        }
    }
}

/// Whether a 403 is a kubelet's own (recorded: `Forbidden (user=…, verb=get, resource=nodes, …)`).
fn is_kubelets_refusal(answer: &Answer) -> bool {
    answer.body.starts_with("Forbidden (user=")
}

/// Whether a kubelet knows its caller and got no answer to its SubjectAccessReview (recorded: `Authorization error (user=…`).
fn could_not_ask(answer: &Answer) -> bool {
    answer.body.starts_with("Authorization error (user=")
}

fn kubelet_caller(spot: &Location<'_>, exchange: &Exchange, proven: Result<(), String>) -> (Finding, Positive) {
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
            finding.because_of = Some(spot.cause(Aspect::Chain));
            (finding, Positive::Failed)
        }
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200..300 if is_list(answer, "PodList") => {
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
                let remedy = AuthenticationRemedy::SetClientCa { program: Program::Kubelet };
                (finding.remedy(remedy), Positive::Failed)
            }
            403 if !is_kubelets_refusal(answer) => (finding.remedy(bypass_proxy(spot.place)), Positive::Failed),
            403 => {
                // Who is recognised and forbidden can neither read logs nor run commands.
                finding.status = Status::Fail;
                (finding.remedy(AuthorizationRemedy::AllowMasters), Positive::Forbidden)
            }
            500 if could_not_ask(answer) => {
                finding.status = Status::Fail;
                (finding.remedy(AuthorizationRemedy::ReachAuthorizer), at_least_answered(answer))
            }
            _ => (finding.remedy(ConnectionRemedy::CheckKubeletAnswers), at_least_answered(answer)),
        },
        (Outcome::Alert(alert), _) if refuses(alert) => {
            finding.status = Status::Fail;
            let remedy = AuthenticationRemedy::TrustClusterCa { program: Program::Kubelet };
            (finding.remedy(remedy), Positive::Failed)
        }
        _ => (finding, Positive::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::observation::Untrusted;
    use super::super::fixture::{NOW, PODS, answer, bed, master, statuses};
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
            (answer(403, "Forbidden (user=kube-apiserver-kubelet-client, verb=get)"), "fail"),
            (answer(500, "Authorization error (user=kube-apiserver-kubelet-client, verb=get, resource=nodes)"), "fail"),
            (answer(500, "Internal Server Error"), "not-proven"),
            (Outcome::Closed, "not-proven"),
        ];
        for (outcome, expected) in cases {
            let found = bed.judged(Place::Node, &bed.node_cert(), &[(master(), outcome.clone())], NOW);
            assert_eq!(found["caller"].status.as_str(), expected, "{outcome:?}");
        }
        let forbidden = answer(403, "Forbidden (user=x, verb=get)");
        let nobody = answer(403, "Forbidden (user=system:anonymous, verb=get)");
        let calls = [
            (master(), forbidden),
            (Caller::Anonymous, nobody),
            (Caller::Untrusted(Untrusted::ForgedCa), answer(401, "")),
        ];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert!(found["caller"].observed.contains("Forbidden (user=x, verb=get)"));
        assert_eq!(statuses(&found, &["anonymous", "untrusted"]), ["not-proven", "pass"]);
    }
}
