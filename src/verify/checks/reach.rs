//! Checks whether a host is reached: names, connections, handshakes, protocol versions.

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Connect, Dial, Handshake, LocationObservation, OldHello, Resolution, Tls};
use super::super::remedy::{AuthenticationRemedy, ConnectionRemedy, Program, Remedy};
use super::super::target::{Peer, Place};
use super::backend;
use super::cause;
use super::context::{CheckContext, NOT_OBSERVED};
use super::location::{Location, TARGET_CHECKS, expectation};
use crate::cluster::address::Address;

impl CheckContext<'_> {
    pub(super) fn location(
        &mut self,
        peer: &Peer,
        place: Place,
        address: &Address,
        seen: &LocationObservation,
        findings: &mut Vec<Finding>,
    ) {
        let tls_name = peer.tls_name.as_ref().map(ToString::to_string);
        let location = |to: String, elapsed_ms| Location {
            place,
            host: &peer.name,
            address: to,
            server_name: tls_name.as_deref().unwrap_or(&seen.address),
            elapsed_ms,
        };
        let whole = location(format!("{}:{}", address.for_url(), seen.port), 0);
        let listed = |ips: &[std::net::IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let expected = expectation(place, Aspect::Resolve);
        match &seen.resolution {
            Resolution::Literal => {}
            Resolution::Pinned(ips) => {
                let observed = format!("pinned to {}", listed(ips));
                findings.push(whole.finding(Aspect::Resolve, Status::Pass).saw(observed, expected));
            }
            Resolution::Resolved(ips) if !ips.is_empty() => {
                findings.push(whole.finding(Aspect::Resolve, Status::Pass).saw(listed(ips), expected));
            }
            Resolution::Resolved(_) => findings.push(unresolved(&whole, "it has no address", expected)),
            Resolution::Failed(reason) => findings.push(unresolved(&whole, reason, expected)),
        }
        if seen.dials.is_empty() {
            self.unreached(&whole, peer, Aspect::Connect, Aspect::Resolve, "the name does not resolve", findings);
        }
        let found = match &seen.resolution {
            Resolution::Literal => 1,
            Resolution::Pinned(ips) | Resolution::Resolved(ips) => ips.len(),
            Resolution::Failed(_) => 0,
        };
        if let Some(rest) = found.checked_sub(seen.dials.len()).filter(|rest| *rest > 0 && !seen.dials.is_empty()) {
            let observed = format!("{rest} more addresses of this name were not dialled");
            let finding = whole.finding(Aspect::Connect, Status::NotProven);
            let remedy = ConnectionRemedy::DialEachAddress { name: seen.address.clone() };
            findings.push(finding.saw(observed, expectation(place, Aspect::Connect)).remedy(remedy));
        }
        for dial in &seen.dials {
            self.dial(peer, address, &location(dial.to.to_string(), dial.elapsed_ms), dial, findings);
        }
    }

    /// Adds the checks that are not proven because a location was not reached. `from` is the first of them.
    fn unreached(
        &self,
        location: &Location<'_>,
        peer: &Peer,
        from: Aspect,
        cause: Aspect,
        observed: &str,
        findings: &mut Vec<Finding>,
    ) {
        let mut row = vec![Aspect::Connect, Aspect::Tls];
        row.extend(TARGET_CHECKS);
        row.extend((location.place == Place::Node && peer.issued.is_some()).then_some(Aspect::Identity));
        row.extend(self.target.knows_revocation().then_some(Aspect::Revoked));
        let verifier = self.target.has_verifier();
        let nodes = self.target.nodes.len();
        match location.place {
            Place::Node => {
                row.extend([Aspect::Caller, Aspect::Anonymous, Aspect::Untrusted]);
                row.extend((nodes > 1).then_some(Aspect::OtherNode));
                row.extend(verifier.then_some(Aspect::Config));
            }
            _ => {
                if self.target.accounts().next().is_some() {
                    row.extend([Aspect::Caller, Aspect::Whoami, Aspect::Scope]);
                }
                row.extend([Aspect::Anonymous, Aspect::Untrusted]);
                row.extend(verifier.then_some(Aspect::Flags));
            }
        }
        row.extend(self.phase_checks(location.place, &peer.name));
        let start = row.iter().position(|aspect| *aspect == from).unwrap_or(0);
        let cause = location.cause(cause);
        for aspect in &row[start..] {
            let finding = location.follows(*aspect, &cause, observed);
            if *aspect == Aspect::Untrusted {
                let kinds = self.seen.probes.untrusted(location.place).iter();
                findings
                    .extend(kinds.map(|kind| Finding { client: Some(kind.as_str().to_owned()), ..finding.clone() }));
            } else {
                findings.push(finding);
            }
        }
    }

    fn dial(
        &mut self,
        peer: &Peer,
        address: &Address,
        location: &Location<'_>,
        dial: &Dial,
        findings: &mut Vec<Finding>,
    ) {
        let before = findings.len();
        findings.push(connect(location, &dial.connect));
        let Some(tls) = &dial.tls else {
            return self.unreached(location, peer, Aspect::Tls, Aspect::Connect, "no connection opened", findings);
        };
        findings.push(handshake(location, tls));
        if tls.server_chain.is_empty() {
            let observed = "the server sent no certificate";
            return self.unreached(location, peer, Aspect::Protocol, Aspect::Tls, observed, findings);
        }
        findings.push(protocol(location, tls, dial.old.as_ref()));
        self.certificate(peer, address, location, tls, findings);
        self.other_certificates(peer, address, location, dial, findings);
        match location.place {
            Place::Node => self.kubelet(location, dial, findings),
            _ => {
                findings.extend(self.backend(location, dial));
                self.api_server(location, dial, findings);
                findings.push(self.admission(location, dial));
                findings.extend(self.denials(location, dial));
                findings.extend(self.token_keys(location, dial));
            }
        }
        self.phase(peer, location, (dial, tls), findings);
        self.clients(location, dial, before, findings);
        if let Some(readonly) = &dial.readonly {
            findings.push(read_only(location, readonly));
        }
        let absent = self.absent(self.expected_everywhere(location.place, &peer.name), &findings[before..]);
        findings.extend(absent.into_iter().map(|(aspect, client)| {
            let finding =
                location.finding(aspect, Status::NotProven).saw(NOT_OBSERVED, expectation(location.place, aspect));
            Finding { client: client.map(str::to_owned), ..finding }
        }));
        backend::is_the_cause(location, &mut findings[before..]);
        cause::client(location, &mut findings[before..]);
    }
}

fn unresolved(location: &Location<'_>, reason: &str, expected: &str) -> Finding {
    let remedy = ConnectionRemedy::ResolveName { name: location.server_name.to_owned() };
    location.finding(Aspect::Resolve, Status::Fail).saw(reason, expected).remedy(remedy)
}

fn connect(location: &Location<'_>, connect: &Connect) -> Finding {
    let expected = expectation(location.place, Aspect::Connect);
    let (observed, remedy) = match connect {
        Connect::Open => {
            let observed = format!("open, {} ms with the handshake", location.elapsed_ms);
            return location.finding(Aspect::Connect, Status::Pass).saw(observed, expected);
        }
        Connect::NotTried(why) => {
            return location.finding(Aspect::Connect, Status::NotProven).saw(why.clone(), expected);
        }
        Connect::Refused => {
            let remedy = match location.place {
                Place::Endpoint => ConnectionRemedy::StartLoadBalancer,
                _ => ConnectionRemedy::Start(location.server()),
            };
            ("connection refused: the host is up, and nothing listens at the port".to_owned(), remedy)
        }
        Connect::TimedOut(ms) => {
            (format!("no answer within {ms} ms"), ConnectionRemedy::CheckFirewall { host: location.host.to_owned() })
        }
        Connect::Failed(reason) => (reason.clone(), ConnectionRemedy::CheckRoute { host: location.host.to_owned() }),
    };
    location.finding(Aspect::Connect, Status::Fail).saw(observed, expected).remedy(remedy)
}

fn handshake(location: &Location<'_>, tls: &Tls) -> Finding {
    let expected = expectation(location.place, Aspect::Tls);
    // A server that sends certificates speaks TLS; the rest is judged by other checks.
    if !tls.server_chain.is_empty() {
        let observed = match (&tls.outcome, &tls.version) {
            (Handshake::Done, Some(version)) => version.clone(),
            (Handshake::Alert(alert), _) => format!("the server sent its certificates, then the alert {alert}"),
            (other, _) => format!("the server sent its certificates, then {}", ended(other)),
        };
        let status = if matches!(tls.outcome, Handshake::TimedOut(_)) { Status::Fail } else { Status::Pass };
        return location.finding(Aspect::Tls, status).saw(observed, expected);
    }
    let remedy = match &tls.outcome {
        Handshake::PlainHttp => ConnectionRemedy::ServeTls,
        Handshake::NothingShared => ConnectionRemedy::OfferSupportedTls,
        Handshake::Alert(_) => ConnectionRemedy::ConfigureCertificate,
        _ => ConnectionRemedy::CheckPort { host: location.host.to_owned() },
    };
    let status = if tls.outcome == Handshake::NothingShared { Status::NotProven } else { Status::Fail };
    location.finding(Aspect::Tls, status).saw(ended(&tls.outcome), expected).remedy(remedy)
}

fn ended(outcome: &Handshake) -> String {
    match outcome {
        Handshake::Done => "no certificate".to_owned(),
        Handshake::Alert(alert) => format!("the TLS alert {alert}"),
        Handshake::NothingShared => {
            "it speaks TLS with Kubernetes's clients, but only with cipher suites or key exchanges that are not supported here"
                .to_owned()
        }
        Handshake::PlainHttp => "it answers plain HTTP".to_owned(),
        Handshake::Closed => "the connection was closed".to_owned(),
        Handshake::TimedOut(ms) => format!("no handshake within {ms} ms"),
        Handshake::Failed(reason) => reason.clone(),
    }
}

fn protocol(location: &Location<'_>, tls: &Tls, old: Option<&OldHello>) -> Finding {
    let expected = expectation(location.place, Aspect::Protocol);
    let (Some(version), Some(cipher)) = (&tls.version, &tls.cipher) else {
        return location.follows(Aspect::Protocol, &location.cause(Aspect::Tls), "the handshake was not completed");
    };
    let new = format!("{version} with {cipher}");
    let observed = match old {
        Some(OldHello::Spoken(old)) => {
            let observed = format!("{new}; but {old} is accepted, too");
            let mut finding = location.finding(Aspect::Protocol, Status::Warn).saw(observed, expected);
            finding.severity = Severity::Warning;
            return finding.remedy(ConnectionRemedy::RequireTls12 { program: Program::at(location.place) });
        }
        Some(OldHello::Alert(_) | OldHello::Closed) => format!("{new}; older versions are refused"),
        unseen => {
            let (why, remedy) = match unseen {
                Some(OldHello::TimedOut(ms)) => (
                    format!("no response to a TLS 1.1 ClientHello within {ms} ms"),
                    Some(ConnectionRemedy::RaiseTimeout),
                ),
                Some(OldHello::Failed(reason)) => (format!("a TLS 1.1 ClientHello failed: {reason}"), None),
                _ => ("no TLS 1.1 ClientHello was sent".to_owned(), None),
            };
            let observed = format!("{new}; whether older versions are refused is not known: {why}");
            let mut finding = location.finding(Aspect::Protocol, Status::NotProven).saw(observed, expected);
            finding.severity = Severity::Warning;
            finding.remedy = remedy.map(Remedy::from);
            return finding;
        }
    };
    location.finding(Aspect::Protocol, Status::Pass).saw(observed, expected)
}

fn read_only(location: &Location<'_>, readonly: &Connect) -> Finding {
    let expected = expectation(location.place, Aspect::Readonly);
    match readonly {
        Connect::Open => location
            .finding(Aspect::Readonly, Status::Warn)
            .saw("a connection to it opens; a kubelet would serve every client there", expected)
            .remedy(AuthenticationRemedy::DisableReadOnlyPort),
        Connect::NotTried(why) => location.finding(Aspect::Readonly, Status::NotProven).saw(why.clone(), expected),
        Connect::Refused => location.finding(Aspect::Readonly, Status::Pass).saw("closed", expected),
        Connect::TimedOut(ms) => {
            location.finding(Aspect::Readonly, Status::Pass).saw(format!("no response within {ms} ms"), expected)
        }
        Connect::Failed(reason) => location.finding(Aspect::Readonly, Status::NotProven).saw(reason.clone(), expected),
    }
}
