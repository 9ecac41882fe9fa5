//! Clients that must be refused. A refusal proves something only if another client is accepted.

use super::super::finding::{Aspect, CheckId, Finding, Status};
use super::super::observation::{self, Answer, Client, Dial, Exchange, Outcome, Request};
use super::super::remedy::{AuthenticationRemedy, AuthorizationRemedy, Program, Remedy};
use super::super::target::Place;
use super::acceptance::{Acceptance, PermittedClients, refuses};
use super::answer::{client_name, describe_exchange, describe_request, is_kubernetes_status, with_more_time};
use super::context::CheckContext;
use super::location::{Location, expectation};
use super::naming::{Named, named};
use super::proxy::bypass_proxy;
use super::review::{ANONYMOUS, read_review};

impl CheckContext<'_> {
    /// Checks a client that must be refused, by all of its requests; its exchange is at the position `at` in `dial`.
    pub(super) fn refusal(
        &mut self,
        location: &Location<'_>,
        dial: &Dial,
        at: usize,
        permitted: PermittedClients,
    ) -> Finding {
        let exchange = &dial.exchanges[at];
        let presented = match exchange.client {
            Client::Untrusted(_) => self.presented_names(dial),
            _ => Vec::new(),
        };
        let first = self.first_refusal(location, exchange, at, (permitted, &presented));
        let mut finding = with_more_time(first, &exchange.outcome);
        // A response of another server proves nothing about this one.
        if finding.because_of.as_ref().is_some_and(|cause| cause.id == CheckId::at(location.place, Aspect::Chain)) {
            return finding;
        }
        if finding.status == Status::Pass
            && matches!(exchange.client, Client::Untrusted(_))
            && exchange.presented.is_none()
        {
            finding.status = Status::NotProven;
            finding
                .observed
                .push_str(", but the server accepts no signature of these keys, so that no certificate was presented");
        }
        for further in &exchange.more {
            if finding.status == Status::Fail {
                break;
            }
            let mut said = describe_request(further.request, &further.outcome);
            let answer = match self.proven_by(&further.server_chain) {
                Err(reason) if !further.server_chain.is_empty() => {
                    said = format!("{said}, but {reason}");
                    FollowUp::Unclear
                }
                _ => self.further_refusal(&exchange.client, &exchange.outcome, further, &presented),
            };
            match answer {
                FollowUp::Refused => {}
                FollowUp::Open => {
                    finding.status = Status::Fail;
                    finding.observed = format!("{}; then {said}", finding.observed);
                    finding.remedy = Some(refuse_all(location.place, finding.id.1));
                }
                FollowUp::Authenticated(user) => {
                    finding.status = Status::Fail;
                    finding.observed = format!("{}; then {said}: it was authenticated as {user}", finding.observed);
                    finding.remedy = Some(trust_one_ca(location.place));
                }
                FollowUp::Repeats(name) if finding.status == Status::Pass => {
                    finding.status = Status::NotProven;
                    finding.observed = format!("{}; then {said}{}", finding.observed, repeated(&name));
                    finding.remedy = Some(trust_one_ca(location.place));
                }
                FollowUp::Unclear if finding.status == Status::Pass => {
                    finding.status = Status::NotProven;
                    finding.observed = format!("{}; then {said}", finding.observed);
                    finding = with_more_time(finding, &further.outcome);
                }
                FollowUp::Repeats(_) | FollowUp::Unclear => {}
            }
        }
        finding
    }

    /// Evaluates a follow-up request; `first` is the response to the first request.
    fn further_refusal(
        &self,
        client: &Client,
        first: &Outcome,
        further: &observation::FollowUp,
        presented: &[String],
    ) -> FollowUp {
        let answer = match &further.outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Alert(_) | Outcome::Closed | Outcome::Reset => return FollowUp::Refused,
            _ => return FollowUp::Unclear,
        };
        let authenticated = |user: String| {
            if self.may_be_named(client, &user) { FollowUp::Refused } else { FollowUp::Authenticated(user) }
        };
        match answer.status {
            // An unauthenticated client may be permitted to ask for its identity.
            200..300 if matches!(further.request, Request::WhoAmI | Request::WhoAmIByHeader) => {
                match read_review(answer) {
                    Some(review) if review.user == ANONYMOUS => {
                        review.more_than_anonymous().map_or(FollowUp::Refused, FollowUp::Authenticated)
                    }
                    Some(review) => authenticated(review.user),
                    None => FollowUp::Unclear,
                }
            }
            200..300 => FollowUp::Open,
            status => match (named(answer, presented), first) {
                (Named::User(user), _) => authenticated(user),
                (Named::Mentioned(name), _) => FollowUp::Repeats(name),
                (Named::NoUser, Outcome::Answer(first)) if first.status == status => FollowUp::Refused,
                // A path that does not exist exposes nothing.
                _ if matches!(status, 401 | 403 | 404 | 405) => FollowUp::Refused,
                _ => FollowUp::Unclear,
            },
        }
    }

    fn first_refusal(
        &mut self,
        location: &Location<'_>,
        exchange: &Exchange,
        at: usize,
        (permitted, presented): (PermittedClients, &[String]),
    ) -> Finding {
        let aspect = match exchange.client {
            Client::Untrusted(_) => Aspect::Untrusted,
            Client::OtherNode(_) => Aspect::OtherNode,
            _ => Aspect::Anonymous,
        };
        let expected = expectation(location.place, aspect);
        let observed = describe_exchange(exchange);
        let mut finding = location.finding(aspect, Status::NotProven).saw(observed, expected);
        finding.client = client_name(&exchange.client);
        finding.elapsed_ms = exchange.elapsed_ms;
        if let Outcome::NoCredential(_) = exchange.outcome {
            finding.status = Status::Skipped;
            return finding;
        }
        // A refusal in the handshake may come before any certificate; a certificate that is sent must be the right one.
        let answered = matches!(exchange.outcome, Outcome::Answer(_));
        if (answered || !exchange.server_chain.is_empty())
            && let Err(reason) = self.proven(exchange)
        {
            finding.observed = format!("{}, but {reason}", finding.observed);
            finding.because_of = Some(location.cause(Aspect::Chain));
            return finding;
        }
        if let Outcome::Answer(answer) = &exchange.outcome
            && !(200..300).contains(&answer.status)
            && self.is_recognized(&exchange.client, named(answer, presented), &mut finding)
        {
            return finding.remedy(trust_one_ca(location.place));
        }
        let refused = match &exchange.outcome {
            Outcome::Answer(answer) if (200..300).contains(&answer.status) => {
                finding.status = Status::Fail;
                return finding.remedy(refuse_all(location.place, aspect));
            }
            Outcome::Answer(answer) => match by_answer(location.place, answer, permitted) {
                Refusal::Proven => true,
                Refusal::NoProof(why) => {
                    finding.observed.push_str(why);
                    finding.because_of = permitted.as_cause(location);
                    // With a key that is not available here, it could have been proven.
                    if permitted.keyless {
                        finding.status = Status::Skipped;
                    }
                    return finding;
                }
                // nginx and other servers reject a certificate this way, possibly on a single path.
                Refusal::None if answer.status == 400 => return finding.remedy(bypass_proxy(location.place)),
                Refusal::None => false,
            },
            Outcome::Alert(alert) => refuses(alert),
            Outcome::Closed | Outcome::Reset => match permitted.best {
                Acceptance::Accepted | Acceptance::Forbidden if permitted.last.is_none_or(|last| last < at) => {
                    finding.observed.push_str(
                        ", but no other client was accepted afterwards: the server may close every connection",
                    );
                    return finding;
                }
                Acceptance::Answered => {
                    finding.observed.push_str(NOT_ACCEPTED);
                    finding.because_of = permitted.as_cause(location);
                    return finding;
                }
                _ => true,
            },
            _ => false,
        };
        if !refused {
            return finding;
        }
        compare_with_permitted(&mut finding, permitted, location);
        finding
    }

    /// Returns true if an answer names the client, which a server that trusts only its own CA would not know; records
    /// it.
    fn is_recognized(&self, client: &Client, named: Named, finding: &mut Finding) -> bool {
        match named {
            Named::User(user) if !self.may_be_named(client, &user) => {
                finding.status = Status::Fail;
                finding.observed = format!("{}: it was authenticated as {user}", finding.observed);
                true
            }
            Named::Mentioned(name) => {
                finding.observed.push_str(&repeated(&name));
                true
            }
            Named::User(_) | Named::NoUser => false,
        }
    }
}

/// Completes the finding of a refusal: a refusal proves something only if the server accepts a permitted client.
fn compare_with_permitted(finding: &mut Finding, permitted: PermittedClients, location: &Location<'_>) {
    match permitted.best {
        Acceptance::Accepted | Acceptance::Forbidden | Acceptance::Answered => finding.status = Status::Pass,
        Acceptance::Untried => {
            finding.status = Status::Skipped;
            finding.observed.push_str(", but there is no key here of a client that should be accepted");
            finding.because_of = permitted.as_cause(location);
        }
        Acceptance::Failed => {
            finding.observed.push_str(", but the permitted client is not accepted either");
            finding.because_of = permitted.as_cause(location);
        }
    }
}

impl CheckContext<'_> {
    /// Returns the names that untrusted clients present: the permitted clients' and an administrator's.
    fn presented_names(&mut self, dial: &Dial) -> Vec<String> {
        let is_permitted = |exchange: &&Exchange| matches!(exchange.client, Client::Master(_) | Client::Node(_));
        let mut names: Vec<String> = PRESENTED.map(str::to_owned).into();
        for presented in dial.exchanges.iter().filter(is_permitted).filter_map(|exchange| exchange.presented) {
            let read = self.certificate_of(&presented);
            let Some(Ok(certificate)) = read.as_deref() else { continue };
            let subject = &certificate.subject;
            for name in subject.common_names.iter().chain(&subject.organizations) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        names
    }

    /// Returns true if a refusal of `client` may name `user`: an untrusted client is at most `system:anonymous`, and
    /// another node is itself.
    fn may_be_named(&self, client: &Client, user: &str) -> bool {
        let own = match client {
            Client::OtherNode(name) => match self.nodes.get(name.as_str()).and_then(|node| node.account.as_ref()) {
                Some(account) => Some(account.user.as_str()),
                // Without an expected account a name proves nothing.
                None => return true,
            },
            _ => None,
        };
        user == ANONYMOUS || own == Some(user)
    }
}

/// The names of untrusted administrators, and the group of every authenticated client.
const PRESENTED: [&str; 3] = ["kubernetes-admin", "system:masters", "system:authenticated"];

fn repeated(name: &str) -> String {
    format!(", which repeats {name} from the certificate: it may have been trusted")
}

fn trust_one_ca(place: Place) -> Remedy {
    AuthenticationRemedy::TrustOneClientCa { program: Program::at(place) }.into()
}

/// The result of a follow-up request.
enum FollowUp {
    /// It was refused.
    Refused,
    /// It was accepted.
    Open,
    /// The client was authenticated as this user.
    Authenticated(String),
    /// It was refused, but the message repeats this name from the client's certificate.
    Repeats(String),
    /// The response proves nothing.
    Unclear,
}

/// The value of a response as proof of a refusal.
enum Refusal {
    /// It is a refusal, provided that another client is accepted.
    Proven,
    /// It looks like a refusal, but proves nothing for this reason.
    NoProof(&'static str),
    /// It is not a refusal.
    None,
}

fn by_answer(place: Place, answer: &Answer, permitted: PermittedClients) -> Refusal {
    if !matches!(answer.status, 401 | 403) {
        return Refusal::None;
    }
    match permitted.best {
        // If the permitted client gets a 403, another client's 403 proves nothing.
        Acceptance::Forbidden if answer.status == 403 => {
            Refusal::NoProof(", but the permitted client is forbidden, too")
        }
        Acceptance::Answered => Refusal::NoProof(NOT_ACCEPTED),
        // API servers are asked for the nodes, which a node may not list: the message must show that the API server
        // refuses, and not a proxy for this path.
        _ if place != Place::Node && !permitted.same_path && !is_kubernetes_status(answer) => {
            Refusal::NoProof(", with a message that is not Kubernetes's")
        }
        _ => Refusal::Proven,
    }
}

const NOT_ACCEPTED: &str = ", but the permitted client was not accepted";

/// Returns the remedy for a client that was accepted and must be refused.
fn refuse_all(place: Place, aspect: Aspect) -> Remedy {
    match (place, aspect) {
        (Place::Node, Aspect::OtherNode) => AuthorizationRemedy::RefuseOtherNodes.into(),
        _ => AuthenticationRemedy::RefuseUnauthenticated { program: Program::at(place) }.into(),
    }
}

#[cfg(test)]
mod tests;
