//! What an API server answers its callers: who they are, and what they may do.

use std::collections::HashSet;

use serde_json::Value;

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Answer, Caller, Dial, Exchange, HEADER_USER, Outcome, Request};
use super::super::remedy::{AuthenticationRemedy, AuthorizationRemedy, CertificateRemedy, Program};
use super::super::settings;
use super::super::target::Peer;
use super::admission::is_introduction;
use super::answer::{asked_and_said, is_called_json, is_kubernetes_status, is_list, of, who, with_more_time};
use super::judge::CheckContext;
use super::location::{Location, expectation};
use super::refusal::{ANONYMOUS, Positive, Rightful, at_least_answered, bypass_proxy, refuses};

impl CheckContext<'_> {
    pub(super) fn api_server(&mut self, spot: &Location<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        let restricted = of(dial, Request::Flagz).find_map(|exchange| match &exchange.outcome {
            Outcome::Answer(answer) if answer.status == 200 && self.proven(exchange).is_ok() => {
                settings::restricts_nodes(answer)
            }
            _ => None,
        });
        let mut rightful = Rightful::none();
        let mut heard: HashSet<&str> = HashSet::new();
        for (at, exchange) in dial.exchanges.iter().enumerate() {
            let proven = self.proven(exchange);
            match &exchange.caller {
                Caller::Node(name) if is_introduction(exchange) => {
                    let node = self.nodes.get(name.as_str()).copied();
                    let (made, positive) = api_caller(spot, exchange, node, proven);
                    rightful.add(&exchange.caller, positive, false, at);
                    // One who calls again is there for the others' sake.
                    if heard.insert(name) {
                        let known = made.first().is_some_and(|caller| caller.status == Status::Pass);
                        findings.extend(made.into_iter().map(|finding| with_more_time(finding, &exchange.outcome)));
                        findings.push(scope(spot, exchange, node, known, restricted));
                    }
                }
                Caller::Node(_) if exchange.request == Request::WhoAmIByHeader && proven.is_ok() => {
                    findings.extend(believed_header(spot, exchange));
                }
                Caller::Verifier if exchange.request == Request::Nodes => {
                    rightful.add(&exchange.caller, verifiers_call(exchange, proven), true, at);
                }
                _ => {}
            }
        }
        for (at, exchange) in dial.exchanges.iter().enumerate() {
            match exchange.caller {
                Caller::Node(_) | Caller::Verifier => {}
                _ => findings.push(self.refusal(spot, dial, at, rightful)),
            }
        }
        let by_restriction = self.nodes.values().filter_map(|node| node.account.as_ref());
        let by_restriction = by_restriction.flat_map(|account| &account.groups).any(|group| group == "system:nodes");
        for exchange in of(dial, Request::Flagz) {
            findings.extend(self.flags(spot, exchange, by_restriction));
        }
    }
}

/// In the words of `authorization.yaml`, which an API server repeats.
const REVOKED: &str = "clusterctl: this certificate was revoked";

/// What became of the verifier's list of nodes.
fn verifiers_call(exchange: &Exchange, proven: Result<(), String>) -> Positive {
    match (&exchange.outcome, proven) {
        (Outcome::NoCredential(_), _) => Positive::Untried,
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200 if is_list(answer, "NodeList") => Positive::Accepted,
            403 if is_kubernetes_status(answer) => Positive::Forbidden,
            _ => at_least_answered(answer),
        },
        _ => Positive::Failed,
    }
}

fn api_caller(
    spot: &Location<'_>,
    exchange: &Exchange,
    node: Option<&Peer>,
    proven: Result<(), String>,
) -> (Vec<Finding>, Positive) {
    let asked = Request::WhoAmI.as_str();
    let observed = asked_and_said(exchange);
    let make = |aspect| {
        let mut finding = spot.finding(aspect, Status::NotProven);
        finding = finding.saw(observed.clone(), expectation(spot.place, aspect));
        finding.caller = who(&exchange.caller);
        finding.elapsed_ms = exchange.elapsed_ms;
        finding
    };
    let (mut caller, mut whoami) = (make(Aspect::Caller), make(Aspect::Whoami));
    whoami.because_of = Some(spot.cause(Aspect::Caller));
    match (&exchange.outcome, proven) {
        (Outcome::NoCredential(_), _) => {
            (caller.status, whoami.status) = (Status::Skipped, Status::Skipped);
            (vec![caller, whoami], Positive::Untried)
        }
        (Outcome::Answer(answer), Err(reason)) => {
            caller.observed = format!("{asked}: {}, but {reason}", answer.status);
            whoami.observed.clone_from(&caller.observed);
            caller.because_of = Some(spot.cause(Aspect::Chain));
            whoami.because_of.clone_from(&caller.because_of);
            (vec![caller, whoami], Positive::Failed)
        }
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200 | 201 => match read_review(answer) {
                // It takes every certificate for none.
                Some(review) if review.user == ANONYMOUS => {
                    caller.status = Status::Fail;
                    caller.observed = format!("{asked}: {} as {}", answer.status, review.user);
                    (vec![caller.remedy(AuthenticationRemedy::PassClientCertificate), whoami], Positive::Failed)
                }
                Some(review) => {
                    caller.status = Status::Pass;
                    caller.observed = format!("{asked}: {} as {}", answer.status, review.user);
                    let whoami = judge_review(whoami, &review, exchange, node);
                    (vec![caller, whoami], Positive::Accepted)
                }
                None => {
                    caller.observed = format!("{asked}: {}, but that is no SelfSubjectReview", answer.status);
                    (vec![caller, whoami], Positive::Answered)
                }
            },
            401 => {
                caller.status = Status::Fail;
                let remedy = AuthenticationRemedy::SetClientCa { program: Program::ApiServer };
                (vec![caller.remedy(remedy), whoami], Positive::Failed)
            }
            403 if !is_kubernetes_status(answer) => {
                (vec![caller.remedy(bypass_proxy(spot.place)), whoami], Positive::Failed)
            }
            403 => {
                caller.status = Status::Warn;
                caller.severity = Severity::Warning;
                (vec![caller.remedy(AuthorizationRemedy::AllowSelfReview), whoami], Positive::Forbidden)
            }
            404 => (vec![caller.remedy(AuthenticationRemedy::UpgradeForSelfReview), whoami], Positive::Answered),
            // What our authorizers deny with (authorization.yaml): an error, and so a 500 that says why.
            500 if answer.body.contains(REVOKED) => {
                caller.status = Status::Fail;
                let remedy = CertificateRemedy::ReissueClient { host: caller.caller.clone().unwrap_or_default() };
                (vec![caller.remedy(remedy), whoami], Positive::Failed)
            }
            _ => (vec![caller, whoami], at_least_answered(answer)),
        },
        (Outcome::Alert(alert), _) if refuses(alert) => {
            caller.status = Status::Fail;
            let remedy = AuthenticationRemedy::TrustClusterCa { program: Program::ApiServer };
            (vec![caller.remedy(remedy), whoami], Positive::Failed)
        }
        _ => (vec![caller, whoami], Positive::Failed),
    }
}

/// What a node's account may do. `known` tells whether the API server knew it.
fn scope(
    spot: &Location<'_>,
    exchange: &Exchange,
    node: Option<&Peer>,
    known: bool,
    restricted: Option<bool>,
) -> Finding {
    let mut finding = spot.finding(Aspect::Scope, Status::NotProven);
    finding.caller = who(&exchange.caller);
    let expected = expectation(spot.place, Aspect::Scope);
    if let Outcome::NoCredential(why) = &exchange.outcome {
        finding.status = Status::Skipped;
        finding.because_of = Some(spot.cause(Aspect::Caller));
        return finding.saw(why.clone(), expected);
    }
    if !known {
        finding.because_of = Some(spot.cause(Aspect::Caller));
        return finding.saw("the API server did not say who calls", expected);
    }
    let groups = node.and_then(|node| node.account.as_ref()).map(|account| account.groups.as_slice());
    let judged = settings::rights(&exchange.rulings, groups.unwrap_or_default(), restricted);
    finding.status = judged.status;
    if judged.mild {
        finding.severity = Severity::Warning;
    }
    finding.remedy = judged.remedy;
    finding.saw(judged.observed, expected)
}

/// Whether an API server took a node for the user that a header named: a finding where it did.
fn believed_header(spot: &Location<'_>, exchange: &Exchange) -> Option<Finding> {
    let Outcome::Answer(answer) = &exchange.outcome else { return None };
    let review = read_review(answer).filter(|review| review.user == HEADER_USER)?;
    let observed = format!("{}: {} as {}", exchange.request.as_str(), answer.status, review.user);
    let mut finding = spot.finding(Aspect::Whoami, Status::Fail);
    finding = finding
        .saw(observed, "its own account, whatever the headers say")
        .remedy(AuthenticationRemedy::SeparateFrontProxyCa);
    finding.caller = who(&exchange.caller);
    finding.elapsed_ms = exchange.elapsed_ms;
    Some(finding)
}

/// What the API server says a caller is.
pub(super) struct Review {
    pub(super) user: String,
    groups: Vec<String>,
    /// `authentication.kubernetes.io/credential-id`; an API server gives one.
    credentials: Vec<String>,
}

impl Review {
    /// Returns what an unauthenticated client has beyond its own group, in words.
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
    let credential = exchange.presented.map(|presented| format!("X509SHA256={presented}"));
    let shown = |user: &str, groups: &[&str]| format!("{user} in {}", groups.join(", "));
    whoami.expected = format!("{}, {}", shown(&account.user, &wanted), credential.clone().unwrap_or_default());
    let credentials = match review.credentials.as_slice() {
        [] => "no credential-id".to_owned(),
        some => some.join(" and "),
    };
    whoami.observed = format!("{}, {credentials}", shown(&review.user, &groups));
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
    use super::super::fixture::{NOW, answer, bed};
    use super::*;
    use crate::verify::target::Place;

    #[test]
    fn whoami_is_exact() {
        let bed = bed();
        let caller = Caller::Node("n1".into());
        let ours = format!("X509SHA256={}", bed.presented(&caller).expect("presented"));
        let other = format!("X509SHA256={}", "0".repeat(64));
        let good = ["kubelets", "system:authenticated"];
        let Outcome::Answer(one) = bed.review("kubelet:n1", &good, Some(&ours)) else { panic!("an answer") };
        let two = one.body.replace(&format!("\"{ours}\""), &format!("\"{ours}\",\"{other}\""));
        let cases = [
            (bed.review("kubelet:n1", &["system:authenticated", "kubelets"], Some(&ours)), "pass"),
            (bed.review("kubelet:n2", &good, Some(&ours)), "fail"),
            (bed.review("kubelet:n1", &["kubelets", "system:authenticated", "system:masters"], Some(&ours)), "fail"),
            (bed.review("kubelet:n1", &["system:authenticated"], Some(&ours)), "fail"),
            (bed.review("kubelet:n1", &good, Some(&other)), "fail"),
            (bed.review("kubelet:n1", &good, None), "not-proven"),
            (answer(201, &two), "fail"),
            (answer(201, "{\"kind\":\"Status\"}"), "not-proven"),
            (answer(403, "{}"), "not-proven"),
            (answer(401, "{}"), "not-proven"),
        ];
        for (outcome, expected) in cases {
            let found = bed.judged(Place::Master, &bed.master_cert(), &[(caller.clone(), outcome.clone())], NOW);
            assert_eq!(found["whoami"].status.as_str(), expected, "{outcome:?}");
        }
    }
}
