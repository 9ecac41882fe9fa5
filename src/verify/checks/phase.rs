//! The expectations of a phase of a rotation: which roots servers trust, and which certificates they present.

use super::super::finding::{Aspect, Finding, Status};
use super::super::observation::{Answer, Client, Dial, Exchange, HEADER_USER, Outcome, Request, Tls};
use super::super::phase::ExpectedPhase;
use super::super::place::Place;
use super::super::remedy::CertificateRemedy;
use super::super::target::Peer;
use super::acceptance::refuses;
use super::answer::{describe_exchange, is_kubernetes_status, with_more_time};
use super::context::CheckContext;
use super::location::{Location, expectation};
use super::review::{ANONYMOUS, read_review};
use crate::cluster::profile::{CANARY, CaRole};
use crate::pki::rotation::Phase;

/// The result of a request of the old or the new root's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    Accepted,
    Refused,
    Unclear,
}

impl CheckContext<'_> {
    /// Returns the checks of the phase that are expected at a host.
    pub(super) fn phase_checks(&self, place: Place, host: &str) -> Vec<Aspect> {
        let Some(expected) = &self.target.phase else { return Vec::new() };
        let rotation = &expected.rotation;
        let clients = rotation.phase.trusts_new().then_some([Aspect::NewRoot, Aspect::OldRoot]).into_iter().flatten();
        let mut aspects = Vec::new();
        match (expected.role, place) {
            (CaRole::Cluster, _) => {
                aspects.extend(clients);
                let is_host = rotation.phase.trusts_new() && place != Place::Endpoint;
                aspects.extend(is_host.then_some(Aspect::Installed));
                // The endpoint leads to any control-plane node.
                let serves_new = match place {
                    Place::Endpoint => rotation.phase >= Phase::Servers,
                    _ => rotation.serves_new(host),
                };
                aspects.extend((serves_new || rotation.serves_old()).then_some(Aspect::ServedRoot));
            }
            (CaRole::FrontProxy, Place::Endpoint | Place::Master) => {
                aspects.extend(clients);
                let is_seen = place == Place::Master && rotation.phase >= Phase::Clients;
                aspects.extend(is_seen.then_some(Aspect::Installed));
            }
            (CaRole::FrontProxy | CaRole::Etcd, _) => {}
        }
        aspects
    }

    /// Adds the findings of the phase at a socket.
    pub(super) fn phase(
        &mut self,
        peer: &Peer,
        location: &Location<'_>,
        (dial, tls): (&Dial, &Tls),
        findings: &mut Vec<Finding>,
    ) {
        let wanted = self.phase_checks(location.place, &peer.name);
        let Some(expected) = &self.target.phase else { return };
        let (phase, new_root) = (expected.rotation.phase, expected.new_root.clone());
        if wanted.contains(&Aspect::NewRoot) {
            let of_new = self.canary(location, dial, &Client::NewRoot);
            let of_old = self.canary(location, dial, &Client::OldRoot);
            // The refusal of one client proves something only if the other one is accepted.
            let is_control = of_new.as_ref().is_some_and(|(answered, _)| *answered == Answered::Accepted);
            for (aspect, is_accepted, seen) in
                [(Aspect::NewRoot, true, of_new), (Aspect::OldRoot, phase < Phase::DropOld, of_old)]
            {
                let Some((answered, finding)) = seen else { continue };
                findings.push(judged(finding, (aspect, is_accepted), answered, is_control, install(location)));
            }
        }
        if wanted.contains(&Aspect::ServedRoot) {
            let trust = self.trust(&tls.server_chain);
            let last = trust.path.as_ref().and_then(|path| path.certificates.last());
            let is_good = trust.chain.is_ok() && (last == Some(&new_root)) != expected.rotation.serves_old();
            let observed =
                last.map_or("no chain to a root".to_owned(), |root| format!("a chain to {}", root.subject.text));
            let finding = location.finding(Aspect::ServedRoot, if is_good { Status::Pass } else { Status::Fail });
            let finding = finding.saw(observed, served_root(expected));
            findings.push(if is_good { finding } else { finding.remedy(install(location)) });
        }
        if wanted.contains(&Aspect::Installed) {
            findings.push(installed(location, peer, tls));
        }
    }

    /// Returns how the server answered a canary, and the finding to be completed; `None` if it was not tried.
    fn canary(&mut self, location: &Location<'_>, dial: &Dial, client: &Client) -> Option<(Answered, Finding)> {
        let exchange = dial.exchanges.iter().find(|exchange| exchange.client == *client)?;
        let aspect = if *client == Client::NewRoot { Aspect::NewRoot } else { Aspect::OldRoot };
        let mut finding = location.finding(aspect, Status::NotProven);
        finding = finding.saw(describe_exchange(exchange), expectation(location.place, aspect));
        finding.elapsed_ms = exchange.elapsed_ms;
        let answered = match (&exchange.outcome, self.proven(exchange)) {
            (Outcome::NoCredential(_), _) => {
                finding.status = Status::Skipped;
                Answered::Unclear
            }
            (Outcome::Answer(_), Err(reason)) => {
                finding.observed = format!("{}, but {reason}", finding.observed);
                finding.because_of = Some(location.cause(Aspect::Chain));
                Answered::Unclear
            }
            (Outcome::Answer(answer), Ok(())) => by_answer(location.place, exchange, answer),
            (Outcome::Alert(alert), _) if refuses(alert) => Answered::Refused,
            _ => Answered::Unclear,
        };
        Some((answered, with_more_time(finding, &exchange.outcome)))
    }
}

fn by_answer(place: Place, exchange: &Exchange, answer: &Answer) -> Answered {
    let own = exchange.presented.map(|presented| presented.as_credential_id());
    // API servers before 1.32 do not report the certificate. Only a canary has the account.
    let is_own = |credentials: &[String]| credentials.is_empty() || credentials.first() == own.as_ref();
    if exchange.request == Request::WhoAmIByHeader {
        return by_header(answer);
    }
    match answer.status {
        401 => Answered::Refused,
        200 | 201 if place != Place::Node => match read_review(answer) {
            Some(review) if review.user == CANARY && is_own(&review.credentials) => Answered::Accepted,
            Some(review) if review.user == ANONYMOUS => Answered::Refused,
            _ => Answered::Unclear,
        },
        // The account has no rights: a 403 with its name shows that it was authenticated.
        403 if place == Place::Node && answer.body.starts_with(&format!("Forbidden (user={CANARY},")) => {
            Answered::Accepted
        }
        403 if place != Place::Node && is_kubernetes_status(answer) && answer.body.contains(CANARY) => {
            Answered::Accepted
        }
        _ => Answered::Unclear,
    }
}

/// Returns how an API server answered a front proxy that names another user.
fn by_header(answer: &Answer) -> Answered {
    match answer.status {
        401 => Answered::Refused,
        200 | 201 => match read_review(answer) {
            Some(review) if review.user == HEADER_USER => Answered::Accepted,
            Some(_) => Answered::Refused,
            None => Answered::Unclear,
        },
        403 if is_kubernetes_status(answer) && answer.body.contains(HEADER_USER) => Answered::Accepted,
        _ => Answered::Unclear,
    }
}

/// Judges whether a server accepts a client certificate that shows whether it trusts a root.
pub(super) fn judged(
    mut finding: Finding,
    (aspect, is_accepted): (Aspect, bool),
    answered: Answered,
    is_control: bool,
    install: CertificateRemedy,
) -> Finding {
    if aspect == Aspect::OldRoot && !is_accepted {
        "a client certificate issued by the old CA is refused".clone_into(&mut finding.expected);
    }
    match (is_accepted, answered) {
        (true, Answered::Accepted) => finding.status = Status::Pass,
        (false, Answered::Refused) if is_control => finding.status = Status::Pass,
        (true, Answered::Refused) | (false, Answered::Accepted) => {
            finding.status = Status::Fail;
            finding = finding.remedy(install);
        }
        (false, Answered::Refused) | (_, Answered::Unclear) => {}
    }
    finding
}

fn installed(location: &Location<'_>, peer: &Peer, tls: &Tls) -> Finding {
    let finding = |status| location.finding(Aspect::Installed, status);
    let expected = expectation(location.place, Aspect::Installed);
    let presented = tls.server_chain.first();
    match (presented, peer.issued) {
        (Some(presented), Some(issued)) if *presented == issued => {
            finding(Status::Pass).saw(presented.to_string(), expected)
        }
        (Some(presented), Some(issued)) => finding(Status::Fail)
            .saw(format!("{presented}, and {issued} was issued last"), expected)
            .remedy(install(location)),
        _ => finding(Status::NotProven).saw("it is not known here which certificate was issued last", expected),
    }
}

/// Returns the chain that servers have to present in a phase, as text.
pub(super) fn served_root(expected: &ExpectedPhase) -> String {
    match expected.rotation.serves_old() {
        true => "a chain to the old root".to_owned(),
        false => format!("a chain to {}", expected.new_root.subject.text),
    }
}

fn install(location: &Location<'_>) -> CertificateRemedy {
    CertificateRemedy::InstallPhase { host: location.host.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixture::{answer, fixture};
    use super::*;
    use crate::pki::fingerprint::Fingerprint;

    #[test]
    fn an_api_server_accepts_a_canary_by_its_account_and_certificate() {
        let fixture = fixture();
        let (own, other) = (Fingerprint::of(b"own"), Fingerprint::of(b"other"));
        let by = |outcome| {
            let exchange = Exchange {
                client: Client::NewRoot,
                presented: Some(own),
                request: Request::WhoAmI,
                server_chain: Arc::from([]),
                outcome,
                more: Vec::new(),
                decisions: Arc::default(),
                elapsed_ms: 1,
            };
            let Outcome::Answer(answer) = &exchange.outcome else { panic!("an answer") };
            by_answer(Place::Master, &exchange, answer)
        };
        let review = |user: &str, seen: Option<Fingerprint>| {
            by(fixture.review(user, &["system:authenticated"], seen.map(|seen| seen.as_credential_id()).as_deref()))
        };
        assert_eq!(review(CANARY, Some(own)), Answered::Accepted);
        assert_eq!(review(CANARY, Some(other)), Answered::Unclear);
        assert_eq!(review(CANARY, None), Answered::Accepted, "before Kubernetes 1.32");
        assert_eq!(review("clusterctl:other", None), Answered::Unclear);
        assert_eq!(review(ANONYMOUS, None), Answered::Refused);
        assert_eq!(by(answer(401, "{}")), Answered::Refused);
    }
}
