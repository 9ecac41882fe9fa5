//! The responses of an API server to its clients: identities and rights.

use std::collections::HashSet;

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Client, Dial, Exchange, HEADER_USER, Outcome, Request};
use super::super::remedy::{AuthenticationRemedy, AuthorizationRemedy, CertificateRemedy, Program};
use super::super::settings;
use super::super::target::Peer;
use super::acceptance::{Acceptance, PermittedClients, at_least_answered, refuses};
use super::admission::is_self_review;
use super::answer::{client_name, describe_exchange, is_kubernetes_status, is_list, of, with_more_time};
use super::context::CheckContext;
use super::location::{Location, expectation};
use super::proxy::bypass_proxy;
use super::review::{ANONYMOUS, Review, read_review};

impl CheckContext<'_> {
    pub(super) fn api_server(&mut self, location: &Location<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        let restricted = of(dial, Request::Flagz).find_map(|exchange| match &exchange.outcome {
            Outcome::Answer(answer) if answer.status == 200 && self.proven(exchange).is_ok() => {
                settings::restricts_nodes(answer)
            }
            _ => None,
        });
        let mut permitted = PermittedClients::none();
        let mut reported: HashSet<&str> = HashSet::new();
        for (at, exchange) in dial.exchanges.iter().enumerate() {
            let proven = self.proven(exchange);
            match &exchange.client {
                Client::Node(name) if is_self_review(exchange) => {
                    let node = self.nodes.get(name.as_str()).copied();
                    let (made, acceptance) = api_caller(location, exchange, node, proven);
                    permitted.add(&exchange.client, acceptance, false, at);
                    // A repeated request only checks that the server still accepts clients.
                    if reported.insert(name) {
                        let known = made.first().is_some_and(|client| client.status == Status::Pass);
                        findings.extend(made.into_iter().map(|finding| with_more_time(finding, &exchange.outcome)));
                        findings.push(scope(location, exchange, node, known, restricted));
                    }
                }
                Client::Node(_) if exchange.request == Request::WhoAmIByHeader && proven.is_ok() => {
                    findings.extend(trusted_header(location, exchange));
                }
                Client::Verifier if exchange.request == Request::Nodes => {
                    permitted.add(&exchange.client, verifier_acceptance(exchange, proven), true, at);
                }
                _ => {}
            }
        }
        for (at, exchange) in dial.exchanges.iter().enumerate() {
            match exchange.client {
                Client::Node(_) | Client::Verifier | Client::NewRoot | Client::OldRoot => {}
                _ => findings.push(self.refusal(location, dial, at, permitted)),
            }
        }
        let by_restriction = self.nodes.values().filter_map(|node| node.account.as_ref());
        let by_restriction = by_restriction.flat_map(|account| &account.groups).any(|group| group == "system:nodes");
        for exchange in of(dial, Request::Flagz) {
            findings.extend(self.flags(location, exchange, by_restriction));
        }
    }
}

/// The message of `authorization.yaml`, which an API server repeats.
const REVOKED: &str = "clusterctl: this certificate was revoked";

/// Returns the result of the verifier's list of nodes.
fn verifier_acceptance(exchange: &Exchange, proven: Result<(), String>) -> Acceptance {
    match (&exchange.outcome, proven) {
        (Outcome::NoCredential(_), _) => Acceptance::Untried,
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200 if is_list(answer, "NodeList") => Acceptance::Accepted,
            403 if is_kubernetes_status(answer) => Acceptance::Forbidden,
            _ => at_least_answered(answer),
        },
        _ => Acceptance::Failed,
    }
}

/// Returns the findings `caller` and `whoami` about a node's self review, and whether the API server accepted the node.
fn api_caller(
    location: &Location<'_>,
    exchange: &Exchange,
    node: Option<&Peer>,
    proven: Result<(), String>,
) -> (Vec<Finding>, Acceptance) {
    let asked = Request::WhoAmI.as_str();
    let observed = describe_exchange(exchange);
    let make = |aspect| {
        let mut finding = location.finding(aspect, Status::NotProven);
        finding = finding.saw(observed.clone(), expectation(location.place, aspect));
        finding.client = client_name(&exchange.client);
        finding.elapsed_ms = exchange.elapsed_ms;
        finding
    };
    let (mut client, mut whoami) = (make(Aspect::Caller), make(Aspect::Whoami));
    whoami.because_of = Some(location.cause(Aspect::Caller));
    match (&exchange.outcome, proven) {
        (Outcome::NoCredential(_), _) => {
            (client.status, whoami.status) = (Status::Skipped, Status::Skipped);
            (vec![client, whoami], Acceptance::Untried)
        }
        (Outcome::Answer(answer), Err(reason)) => {
            client.observed = format!("{asked}: {}, but {reason}", answer.status);
            whoami.observed.clone_from(&client.observed);
            client.because_of = Some(location.cause(Aspect::Chain));
            whoami.because_of.clone_from(&client.because_of);
            (vec![client, whoami], Acceptance::Failed)
        }
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200 | 201 => match read_review(answer) {
                // The server does not authenticate clients by certificates.
                Some(review) if review.user == ANONYMOUS => {
                    client.status = Status::Fail;
                    client.observed = format!("{asked}: {} as {}", answer.status, review.user);
                    (vec![client.remedy(AuthenticationRemedy::PassClientCertificate), whoami], Acceptance::Failed)
                }
                Some(review) => {
                    client.status = Status::Pass;
                    client.observed = format!("{asked}: {} as {}", answer.status, review.user);
                    let whoami = judge_review(whoami, &review, exchange, node);
                    (vec![client, whoami], Acceptance::Accepted)
                }
                None => {
                    client.observed = format!("{asked}: {}, but that is not a SelfSubjectReview", answer.status);
                    (vec![client, whoami], Acceptance::Answered)
                }
            },
            401 => {
                client.status = Status::Fail;
                let remedy = AuthenticationRemedy::SetClientCa { program: Program::ApiServer };
                (vec![client.remedy(remedy), whoami], Acceptance::Failed)
            }
            403 if !is_kubernetes_status(answer) => {
                (vec![client.remedy(bypass_proxy(location.place)), whoami], Acceptance::Failed)
            }
            403 => {
                client.status = Status::Warn;
                client.severity = Severity::Warning;
                (vec![client.remedy(AuthorizationRemedy::AllowSelfReview), whoami], Acceptance::Forbidden)
            }
            404 => (vec![client.remedy(AuthenticationRemedy::UpgradeForSelfReview), whoami], Acceptance::Answered),
            // The authorizers of authorization.yaml deny with an error, which causes a 500 with the reason.
            500 if answer.body.contains(REVOKED) => {
                client.status = Status::Fail;
                let remedy = CertificateRemedy::ReissueClient { host: client.client.clone().unwrap_or_default() };
                (vec![client.remedy(remedy), whoami], Acceptance::Failed)
            }
            _ => (vec![client, whoami], at_least_answered(answer)),
        },
        (Outcome::Alert(alert), _) if refuses(alert) => {
            client.status = Status::Fail;
            let remedy = AuthenticationRemedy::TrustClusterCa { program: Program::ApiServer };
            (vec![client.remedy(remedy), whoami], Acceptance::Failed)
        }
        _ => (vec![client, whoami], Acceptance::Failed),
    }
}

/// Returns the finding `master.scope`; `known` is true if the API server authenticated the account.
fn scope(
    location: &Location<'_>,
    exchange: &Exchange,
    node: Option<&Peer>,
    known: bool,
    restricted: Option<bool>,
) -> Finding {
    let mut finding = location.finding(Aspect::Scope, Status::NotProven);
    finding.client = client_name(&exchange.client);
    let expected = expectation(location.place, Aspect::Scope);
    if let Outcome::NoCredential(why) = &exchange.outcome {
        finding.status = Status::Skipped;
        finding.because_of = Some(location.cause(Aspect::Caller));
        return finding.saw(why.clone(), expected);
    }
    if !known {
        finding.because_of = Some(location.cause(Aspect::Caller));
        return finding.saw("the API server did not authenticate the client", expected);
    }
    let groups = node.and_then(|node| node.account.as_ref()).map(|account| account.groups.as_slice());
    let judged = settings::rights(&exchange.decisions, groups.unwrap_or_default(), restricted);
    finding.status = judged.status;
    if judged.warning_only {
        finding.severity = Severity::Warning;
    }
    finding.remedy = judged.remedy;
    finding.saw(judged.observed, expected)
}

/// Returns a finding if an API server authenticated a node as the user in a header.
fn trusted_header(location: &Location<'_>, exchange: &Exchange) -> Option<Finding> {
    let Outcome::Answer(answer) = &exchange.outcome else { return None };
    let review = read_review(answer).filter(|review| review.user == HEADER_USER)?;
    let observed = format!("{}: {} as {}", exchange.request.as_str(), answer.status, review.user);
    let mut finding = location.finding(Aspect::Whoami, Status::Fail);
    finding = finding
        .saw(observed, "its own account, independent of headers")
        .remedy(AuthenticationRemedy::SeparateFrontProxyCa);
    finding.client = client_name(&exchange.client);
    finding.elapsed_ms = exchange.elapsed_ms;
    Some(finding)
}

fn judge_review(mut whoami: Finding, review: &Review, exchange: &Exchange, node: Option<&Peer>) -> Finding {
    whoami.because_of = None;
    let Some(account) = node.and_then(|node| node.account.as_ref()) else {
        whoami.observed = format!("{} in {}", review.user, review.groups.join(", "));
        whoami.expected = "a known account; the target names none".to_owned();
        return whoami;
    };
    let mut wanted: Vec<&str> = account.groups.iter().map(String::as_str).collect();
    wanted.push("system:authenticated");
    wanted.sort_unstable();
    let mut groups: Vec<&str> = review.groups.iter().map(String::as_str).collect();
    groups.sort_unstable();
    let credential = exchange.presented.map(|presented| presented.as_credential_id());
    let displayed = |user: &str, groups: &[&str]| format!("{user} in {}", groups.join(", "));
    whoami.expected = format!("{}, {}", displayed(&account.user, &wanted), credential.clone().unwrap_or_default());
    let credentials = match review.credentials.as_slice() {
        [] => "no credential-id".to_owned(),
        some => some.join(" and "),
    };
    whoami.observed = format!("{}, {credentials}", displayed(&review.user, &groups));
    whoami.status = if review.user != account.user || groups != wanted {
        whoami = whoami.remedy(AuthenticationRemedy::FindOtherAuthenticator);
        Status::Fail
    } else if review.credentials.len() > 1 {
        whoami = whoami.remedy(AuthenticationRemedy::FindSecondCredential);
        Status::Fail
    } else if review.credentials.is_empty() {
        whoami = whoami.remedy(AuthenticationRemedy::UpgradeForCredentialId);
        Status::NotProven
    } else if review.credentials.first() != credential.as_ref() {
        whoami = whoami.remedy(AuthenticationRemedy::FindTlsTermination);
        Status::Fail
    } else {
        Status::Pass
    };
    whoami
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{NOW, answer, fixture};
    use super::*;
    use crate::verify::target::Place;

    #[test]
    fn whoami_is_exact() {
        let fixture = fixture();
        let client = Client::Node("n1".into());
        let ours = format!("X509SHA256={}", fixture.presented(&client).expect("presented"));
        let other = format!("X509SHA256={}", "0".repeat(64));
        let good = ["kubelets", "system:authenticated"];
        let Outcome::Answer(one) = fixture.review("kubelet:n1", &good, Some(&ours)) else { panic!("an answer") };
        let two = one.body.replace(&format!("\"{ours}\""), &format!("\"{ours}\",\"{other}\""));
        let cases = [
            (fixture.review("kubelet:n1", &["system:authenticated", "kubelets"], Some(&ours)), "pass"),
            (fixture.review("kubelet:n2", &good, Some(&ours)), "fail"),
            (
                fixture.review("kubelet:n1", &["kubelets", "system:authenticated", "system:masters"], Some(&ours)),
                "fail",
            ),
            (fixture.review("kubelet:n1", &["system:authenticated"], Some(&ours)), "fail"),
            (fixture.review("kubelet:n1", &good, Some(&other)), "fail"),
            (fixture.review("kubelet:n1", &good, None), "not-proven"),
            (answer(201, &two), "fail"),
            (answer(201, "{\"kind\":\"Status\"}"), "not-proven"),
            (answer(403, "{}"), "not-proven"),
            (answer(401, "{}"), "not-proven"),
        ];
        for (outcome, expected) in cases {
            let found =
                fixture.judged(Place::Master, &fixture.master_cert(), &[(client.clone(), outcome.clone())], NOW);
            assert_eq!(found["whoami"].status.as_str(), expected, "{outcome:?}");
        }
    }
}
