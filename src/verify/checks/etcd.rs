//! `etcd.*`: the members of etcd while etcd's CA is rotated. Clients that they accept may read and write everything, so
//! it matters whose certificates they accept, at the port for clients and at that for peers.

use serde_json::Value;

use super::super::finding::{Aspect, CheckId, Finding, Scope, Status};
use super::super::observation::{Answer, Client, Connect, Dial, Exchange, Outcome, PeerObservation, Resolution};
use super::super::phase::ExpectedPhase;
use super::super::place::Place;
use super::super::remedy::{CertificateRemedy, HealthRemedy};
use super::super::target::{EtcdMembers, Peer};
use super::acceptance::refuses;
use super::answer::{describe_exchange, with_more_time};
use super::context::{CheckContext, NOT_OBSERVED};
use super::location::expectation;
use super::phase::{Answered, judged, served_root};
use crate::cluster::etcd::CLIENT_PORT;
use crate::pki::certificate::Certificate;
use crate::pki::chain::{Purpose, best_path};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::rotation::Phase;

/// One socket of a member.
struct Member<'a> {
    socket: &'a Peer,
    address: String,
    dial: &'a Dial,
    etcd: &'a EtcdMembers,
    phase: &'a ExpectedPhase,
}

impl CheckContext<'_> {
    /// Adds the findings of all members.
    pub(super) fn etcd_members(&mut self, findings: &mut Vec<Finding>) {
        let target = self.target;
        let (Some(etcd), Some(phase)) = (&target.etcd, &target.phase) else { return };
        let seen = self.seen;
        for (i, socket) in etcd.sockets.iter().enumerate() {
            let observed = seen.etcd.get(i).filter(|seen| seen.host == socket.name);
            let before = findings.len();
            for dial in observed.into_iter().flat_map(dials) {
                let member = Member { socket, address: dial.to.to_string(), dial, etcd, phase };
                self.etcd_member(&member, findings);
            }
            if findings.len() == before {
                findings.push(unreached(socket, observed));
            }
        }
    }

    fn etcd_member(&mut self, member: &Member<'_>, findings: &mut Vec<Finding>) {
        let chain = match (&member.dial.connect, &member.dial.tls) {
            (Connect::Open, Some(tls)) if !tls.server_chain.is_empty() => tls.server_chain.clone(),
            (connect, tls) => {
                let observed = match (connect, tls) {
                    (Connect::Open, Some(tls)) => format!("no certificate came: {:?}", tls.outcome),
                    (Connect::TimedOut(ms), _) => format!("no answer within {ms} ms"),
                    (Connect::Failed(reason) | Connect::NotTried(reason), _) => reason.clone(),
                    (Connect::Refused, _) => "connection refused".to_owned(),
                    (Connect::Open, None) => NOT_OBSERVED.to_owned(),
                };
                let status = if matches!(connect, Connect::NotTried(_)) { Status::NotProven } else { Status::Fail };
                findings.push(member.finding(Aspect::Connect, status, observed).remedy(HealthRemedy::CheckEtcd));
                return;
            }
        };
        findings.push(member.finding(Aspect::Connect, Status::Pass, "open".to_owned()));
        let path = self.path_of(member, &chain);
        let (status, observed) = match &path {
            Ok(root) => (Status::Pass, format!("a chain to {}", root.subject.text)),
            Err(reason) => (Status::Fail, reason.clone()),
        };
        findings.push(member.finding(Aspect::Chain, status, observed));
        let (rotation, new_root) = (&member.phase.rotation, &member.phase.new_root);
        if rotation.serves_new(&member.socket.name) || rotation.serves_old() {
            let is_good = path.as_ref().is_ok_and(|root| (root == new_root) != rotation.serves_old());
            let observed = path.map_or_else(|reason| reason, |root| format!("a chain to {}", root.subject.text));
            let status = if is_good { Status::Pass } else { Status::Fail };
            let mut finding = member.finding(Aspect::ServedRoot, status, observed);
            finding.expected = served_root(member.phase);
            findings.push(if is_good { finding } else { finding.remedy(member.install()) });
        }
        if rotation.phase.trusts_new() {
            findings.push(member.installed(chain.first()));
            let of_new = self.answered(member, &Client::NewRoot);
            let of_old = self.answered(member, &Client::OldRoot);
            // That one client is refused proves something only where another one is accepted.
            let is_control = of_new.0 == Answered::Accepted;
            findings.push(member.judged(Aspect::NewRoot, true, of_new, is_control));
            findings.push(member.judged(Aspect::OldRoot, rotation.phase < Phase::DropOld, of_old, is_control));
        }
        if member.socket.port == CLIENT_PORT {
            findings.push(self.health(member));
        }
    }

    /// Returns the root to which a member's chain leads, or the reason why a client would not accept it.
    fn path_of(&mut self, member: &Member<'_>, chain: &[Fingerprint]) -> Result<Certificate, String> {
        let mut certificates = Vec::new();
        for fingerprint in chain {
            match self.certificate_of(fingerprint).as_deref() {
                Some(Ok(certificate)) => certificates.push(certificate.clone()),
                Some(Err(reason)) => return Err(format!("a certificate that it sends cannot be read: {reason}")),
                None => return Err(NOT_OBSERVED.to_owned()),
            }
        }
        let Some((leaf, others)) = certificates.split_first() else { return Err(NOT_OBSERVED.to_owned()) };
        let path = best_path(leaf, others, &member.etcd.roots, Purpose::Server, self.clock.now);
        let path = path.map_err(|error| error.to_string())?;
        if let Some(violation) = path.violations.first() {
            return Err(violation.reason.clone());
        }
        match member.socket.addresses.iter().find(|address| !leaf.names_address(address)) {
            Some(address) => Err(format!("its certificate does not name {address}")),
            None => Ok(path.anchor.clone()),
        }
    }

    /// Returns how a member answered a client, and the exchange. An answer of another server proves nothing.
    fn answered<'m>(&mut self, member: &Member<'m>, client: &Client) -> (Answered, Option<&'m Exchange>) {
        let exchange = member.dial.exchanges.iter().find(|exchange| exchange.client == *client);
        let Some(exchange) = exchange else { return (Answered::Unclear, None) };
        let is_member = self.path_of(member, &exchange.server_chain).is_ok();
        let answered = match &exchange.outcome {
            Outcome::Answer(answer) if is_member && is_of_etcd(answer) => Answered::Accepted,
            Outcome::Alert(alert) if is_member && refuses(alert) => Answered::Refused,
            _ => Answered::Unclear,
        };
        (answered, Some(exchange))
    }

    fn health(&mut self, member: &Member<'_>) -> Finding {
        let accepted = [Client::NewRoot, Client::OldRoot].iter().find_map(|client| {
            let (answered, exchange) = self.answered(member, client);
            exchange.filter(|_| answered == Answered::Accepted)
        });
        let Some(exchange) = accepted else {
            let observed = "it accepted no client".to_owned();
            return member.finding(Aspect::Health, Status::NotProven, observed).remedy(HealthRemedy::CheckEtcd);
        };
        let is_healthy =
            matches!(&exchange.outcome, Outcome::Answer(answer) if answer.status == 200 && is_healthy(answer));
        let status = if is_healthy { Status::Pass } else { Status::Fail };
        let finding = member.finding(Aspect::Health, status, describe_exchange(exchange));
        if is_healthy { finding } else { finding.remedy(HealthRemedy::CheckEtcd) }
    }
}

impl Member<'_> {
    fn finding(&self, aspect: Aspect, status: Status, observed: String) -> Finding {
        let mut finding = finding(self.socket, aspect, status).saw(observed, expectation(Place::Master, aspect));
        finding.address = Some(self.address.clone());
        finding.server_name = self.socket.addresses.first().map(ToString::to_string);
        finding.elapsed_ms = self.dial.elapsed_ms;
        finding
    }

    fn install(&self) -> CertificateRemedy {
        CertificateRemedy::InstallPhase { host: self.socket.name.clone() }
    }

    fn installed(&self, presented: Option<&Fingerprint>) -> Finding {
        match (presented, self.socket.issued) {
            (Some(presented), Some(issued)) if *presented == issued => {
                self.finding(Aspect::Installed, Status::Pass, presented.to_string())
            }
            (Some(presented), Some(issued)) => {
                let observed = format!("{presented}, and {issued} was issued last");
                self.finding(Aspect::Installed, Status::Fail, observed).remedy(self.install())
            }
            _ => {
                let observed = "which one was issued last is not known here".to_owned();
                self.finding(Aspect::Installed, Status::NotProven, observed)
            }
        }
    }

    fn judged(
        &self,
        aspect: Aspect,
        is_accepted: bool,
        (answered, exchange): (Answered, Option<&Exchange>),
        is_control: bool,
    ) -> Finding {
        let observed = exchange.map_or_else(|| NOT_OBSERVED.to_owned(), describe_exchange);
        let finding = self.finding(aspect, Status::NotProven, observed);
        let finding = judged(finding, (aspect, is_accepted), answered, is_control, self.install());
        match exchange {
            Some(exchange) => with_more_time(finding, &exchange.outcome),
            None => finding,
        }
    }
}

fn finding(socket: &Peer, aspect: Aspect, status: Status) -> Finding {
    Finding::new(CheckId(Scope::Etcd, aspect), Place::Master, &socket.name, status)
}

fn dials(seen: &PeerObservation) -> impl Iterator<Item = &Dial> {
    seen.locations.iter().flat_map(|location| &location.dials)
}

/// Returns the finding for a socket to which there was no connection.
fn unreached(socket: &Peer, seen: Option<&PeerObservation>) -> Finding {
    let failed = seen.and_then(|seen| {
        seen.locations.iter().find_map(|location| match &location.resolution {
            Resolution::Failed(reason) => Some(reason.clone()),
            _ => None,
        })
    });
    let status = if failed.is_some() { Status::Fail } else { Status::NotProven };
    let observed = failed.unwrap_or_else(|| NOT_OBSERVED.to_owned());
    finding(socket, Aspect::Connect, status).saw(observed, expectation(Place::Master, Aspect::Connect))
}

/// Returns true if only etcd answers so: `/health` and `/version`.
fn is_of_etcd(answer: &Answer) -> bool {
    let body: Option<Value> = serde_json::from_str(&answer.body).ok();
    body.is_some_and(|body| body.get("health").is_some() || body.get("etcdserver").is_some())
}

fn is_healthy(answer: &Answer) -> bool {
    let body: Option<Value> = serde_json::from_str(&answer.body).ok();
    body.is_some_and(|body| body.get("health").and_then(Value::as_str) == Some("true"))
}
