//! The responses of a kubelet to its clients.

use super::super::finding::{Aspect, Finding, Status};
use super::super::observation::{Answer, Client, Dial, Exchange, Outcome, Request};
use super::super::remedy::{AuthenticationRemedy, AuthorizationRemedy, ConnectionRemedy, Program};
use super::acceptance::{Acceptance, PermittedClients, at_least_answered, refuses};
use super::answer::{client_name, describe_exchange, is_list, with_more_time};
use super::context::CheckContext;
use super::location::{Location, expectation};
use super::proxy::bypass_proxy;

impl CheckContext<'_> {
    pub(super) fn kubelet(&mut self, location: &Location<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        let mut permitted = PermittedClients::none();
        let mut reported: Vec<&Client> = Vec::new();
        let asks_for_pods = |exchange: &Exchange| match exchange.client {
            Client::Master(_) => true,
            Client::Verifier => exchange.request == Request::Pods,
            _ => false,
        };
        for (at, exchange) in dial.exchanges.iter().enumerate().filter(|(_, exchange)| asks_for_pods(exchange)) {
            let proven = self.proven(exchange);
            let (finding, acceptance) = kubelet_caller(location, exchange, proven);
            let mut finding = with_more_time(finding, &exchange.outcome);
            permitted.add(&exchange.client, acceptance, true, at);
            // A repeated request, and the verifier's, only check that the server accepts clients.
            if exchange.client != Client::Verifier && !reported.contains(&&exchange.client) {
                finding.client = client_name(&exchange.client);
                findings.push(finding);
                reported.push(&exchange.client);
            }
        }
        for (at, exchange) in dial.exchanges.iter().enumerate() {
            match exchange.client {
                Client::Master(_) | Client::Verifier | Client::NewRoot | Client::OldRoot => {}
                _ => findings.push(self.refusal(location, dial, at, permitted)),
            }
        }
        for exchange in dial.exchanges.iter().filter(|exchange| exchange.request == Request::Configz) {
            findings.push(self.reported_settings(location, Aspect::Config, exchange));
        }
    }
}

/// Returns true if a 403 is a kubelet's own (recorded: `Forbidden (user=…, verb=get, resource=nodes, …)`).
fn is_kubelet_refusal(answer: &Answer) -> bool {
    answer.body.starts_with("Forbidden (user=")
}

/// Returns true if a kubelet authenticated its client but got no response to its SubjectAccessReview (recorded:
/// `Authorization error (user=…`).
fn authorization_failed(answer: &Answer) -> bool {
    answer.body.starts_with("Authorization error (user=")
}

fn kubelet_caller(location: &Location<'_>, exchange: &Exchange, proven: Result<(), String>) -> (Finding, Acceptance) {
    let expected = expectation(location.place, Aspect::Caller);
    let observed = describe_exchange(exchange);
    let mut finding = location.finding(Aspect::Caller, Status::NotProven).saw(observed, expected);
    finding.elapsed_ms = exchange.elapsed_ms;
    match (&exchange.outcome, proven) {
        (Outcome::NoCredential(_), _) => {
            finding.status = Status::Skipped;
            (finding, Acceptance::Untried)
        }
        (Outcome::Answer(answer), Err(reason)) => {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), answer.status);
            finding.because_of = Some(location.cause(Aspect::Chain));
            (finding, Acceptance::Failed)
        }
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200..300 if is_list(answer, "PodList") => {
                finding.status = Status::Pass;
                finding.observed = format!("{}: {} PodList", exchange.request.as_str(), answer.status);
                (finding, Acceptance::Accepted)
            }
            200..300 => {
                finding.observed = format!("{}, but that is not a PodList: is it a kubelet?", finding.observed);
                (finding, Acceptance::Answered)
            }
            401 => {
                finding.status = Status::Fail;
                let remedy = AuthenticationRemedy::SetClientCa { program: Program::Kubelet };
                (finding.remedy(remedy), Acceptance::Failed)
            }
            403 if !is_kubelet_refusal(answer) => (finding.remedy(bypass_proxy(location.place)), Acceptance::Failed),
            403 => {
                // A client that gets a 403 cannot read logs or run commands.
                finding.status = Status::Fail;
                (finding.remedy(AuthorizationRemedy::AllowMasters), Acceptance::Forbidden)
            }
            500 if authorization_failed(answer) => {
                finding.status = Status::Fail;
                (finding.remedy(AuthorizationRemedy::ReachAuthorizer), at_least_answered(answer))
            }
            _ => (finding.remedy(ConnectionRemedy::CheckKubeletAnswers), at_least_answered(answer)),
        },
        (Outcome::Alert(alert), _) if refuses(alert) => {
            finding.status = Status::Fail;
            let remedy = AuthenticationRemedy::TrustClusterCa { program: Program::Kubelet };
            (finding.remedy(remedy), Acceptance::Failed)
        }
        _ => (finding, Acceptance::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::observation::Untrusted;
    use super::super::fixture::{NOW, PODS, answer, fixture, master, statuses};
    use super::*;
    use crate::verify::target::Place;

    #[test]
    fn a_kubelets_answer_has_to_look_like_one() {
        let fixture = fixture();
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
            let found = fixture.judged(Place::Node, &fixture.node_cert(), &[(master(), outcome.clone())], NOW);
            assert_eq!(found["caller"].status.as_str(), expected, "{outcome:?}");
        }
        let forbidden = answer(403, "Forbidden (user=x, verb=get)");
        let anonymous = answer(403, "Forbidden (user=system:anonymous, verb=get)");
        let calls = [
            (master(), forbidden),
            (Client::Anonymous, anonymous),
            (Client::Untrusted(Untrusted::ForgedCa), answer(401, "")),
        ];
        let found = fixture.judged(Place::Node, &fixture.node_cert(), &calls, NOW);
        assert!(found["caller"].observed.contains("Forbidden (user=x, verb=get)"));
        assert_eq!(statuses(&found, &["anonymous", "untrusted"]), ["not-proven", "pass"]);
    }
}
