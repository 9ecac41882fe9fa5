//! Whether a host is there: names, connections, handshakes, protocol versions.

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Connect, Dial, Handshake, LocationSeen, OldHello, Resolution, Tls};
use super::super::remedy::{AuthenticationRemedy, ConnectionRemedy, Program, Remedy};
use super::super::target::{Peer, Place};
use super::backend;
use super::cause;
use super::judge::{CheckContext, UNSEEN};
use super::location::{Location, TARGET_CHECKS, expectation};
use crate::cluster::address::Address;

impl CheckContext<'_> {
    pub(super) fn location(
        &mut self,
        peer: &Peer,
        place: Place,
        address: &Address,
        seen: &LocationSeen,
        findings: &mut Vec<Finding>,
    ) {
        let tls_name = peer.tls_name.as_ref().map(ToString::to_string);
        let spot = |to: String, elapsed_ms| Location {
            place,
            host: &peer.name,
            address: to,
            server_name: tls_name.as_deref().unwrap_or(&seen.address),
            elapsed_ms,
        };
        let whole = spot(format!("{}:{}", address.for_url(), seen.port), 0);
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
            self.dial(peer, address, &spot(dial.to.to_string(), dial.elapsed_ms), dial, findings);
        }
    }

    /// All that is not proven when a location was not reached. `from` is the first check of the row that is missing.
    fn unreached(
        &self,
        spot: &Location<'_>,
        peer: &Peer,
        from: Aspect,
        cause: Aspect,
        observed: &str,
        findings: &mut Vec<Finding>,
    ) {
        let mut row = vec![Aspect::Connect, Aspect::Tls];
        row.extend(TARGET_CHECKS);
        row.extend((spot.place == Place::Node && peer.issued.is_some()).then_some(Aspect::Identity));
        row.extend(self.target.knows_revocation().then_some(Aspect::Revoked));
        let verifier = self.target.has_verifier();
        let nodes = self.target.nodes.len();
        match spot.place {
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
        let start = row.iter().position(|aspect| *aspect == from).unwrap_or(0);
        let cause = spot.cause(cause);
        for aspect in &row[start..] {
            let finding = spot.follows(*aspect, &cause, observed);
            if *aspect == Aspect::Untrusted {
                let kinds = self.seen.probes.untrusted(spot.place).iter();
                findings
                    .extend(kinds.map(|kind| Finding { caller: Some(kind.as_str().to_owned()), ..finding.clone() }));
            } else {
                findings.push(finding);
            }
        }
    }

    fn dial(&mut self, peer: &Peer, address: &Address, spot: &Location<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        let before = findings.len();
        findings.push(connect(spot, &dial.connect));
        let Some(tls) = &dial.tls else {
            return self.unreached(spot, peer, Aspect::Tls, Aspect::Connect, "no connection opened", findings);
        };
        findings.push(handshake(spot, tls));
        if tls.shown.is_empty() {
            let observed = "no certificate came";
            return self.unreached(spot, peer, Aspect::Protocol, Aspect::Tls, observed, findings);
        }
        findings.push(protocol(spot, tls, dial.old.as_ref()));
        self.certificate(peer, address, spot, tls, findings);
        self.other_certificates(peer, address, spot, dial, findings);
        match spot.place {
            Place::Node => self.kubelet(spot, dial, findings),
            _ => {
                findings.extend(self.backend(spot, dial));
                self.api_server(spot, dial, findings);
                findings.push(self.admission(spot, dial));
                findings.extend(self.denials(spot, dial));
            }
        }
        self.clients(spot, dial, before, findings);
        if let Some(readonly) = &dial.readonly {
            findings.push(read_only(spot, readonly));
        }
        let absent = self.absent(self.wanted_everywhere(spot.place), &findings[before..]);
        findings.extend(absent.into_iter().map(|(aspect, caller)| {
            let finding = spot.finding(aspect, Status::NotProven).saw(UNSEEN, expectation(spot.place, aspect));
            Finding { caller: caller.map(str::to_owned), ..finding }
        }));
        backend::is_the_cause(spot, &mut findings[before..]);
        cause::caller(spot, &mut findings[before..]);
    }
}

fn unresolved(spot: &Location<'_>, reason: &str, expected: &str) -> Finding {
    let remedy = ConnectionRemedy::ResolveName { name: spot.server_name.to_owned() };
    spot.finding(Aspect::Resolve, Status::Fail).saw(reason, expected).remedy(remedy)
}

fn connect(spot: &Location<'_>, connect: &Connect) -> Finding {
    let expected = expectation(spot.place, Aspect::Connect);
    let (observed, remedy) = match connect {
        Connect::Open => {
            let observed = format!("open, {} ms with the handshake", spot.elapsed_ms);
            return spot.finding(Aspect::Connect, Status::Pass).saw(observed, expected);
        }
        Connect::NotTried(why) => return spot.finding(Aspect::Connect, Status::NotProven).saw(why.clone(), expected),
        Connect::Refused => {
            let remedy = match spot.place {
                Place::Endpoint => ConnectionRemedy::StartLoadBalancer,
                _ => ConnectionRemedy::Start(spot.server()),
            };
            ("connection refused: the host is up, and nothing listens at the port".to_owned(), remedy)
        }
        Connect::TimedOut(ms) => {
            (format!("no answer within {ms} ms"), ConnectionRemedy::CheckFirewall { host: spot.host.to_owned() })
        }
        Connect::Failed(reason) => (reason.clone(), ConnectionRemedy::CheckRoute { host: spot.host.to_owned() }),
    };
    spot.finding(Aspect::Connect, Status::Fail).saw(observed, expected).remedy(remedy)
}

fn handshake(spot: &Location<'_>, tls: &Tls) -> Finding {
    let expected = expectation(spot.place, Aspect::Tls);
    // Once certificates came, TLS was spoken; what happened then is another check's.
    if !tls.shown.is_empty() {
        let observed = match (&tls.outcome, &tls.version) {
            (Handshake::Done, Some(version)) => format!("{version} spoken"),
            (Handshake::Alert(alert), _) => format!("certificates came, then the alert {alert}"),
            (other, _) => format!("certificates came, then {}", ended(other)),
        };
        let status = if matches!(tls.outcome, Handshake::TimedOut(_)) { Status::Fail } else { Status::Pass };
        return spot.finding(Aspect::Tls, status).saw(observed, expected);
    }
    let remedy = match &tls.outcome {
        Handshake::PlainHttp => ConnectionRemedy::ServeTls,
        Handshake::NothingShared => ConnectionRemedy::OfferSupportedTls,
        Handshake::Alert(_) => ConnectionRemedy::ConfigureCertificate,
        _ => ConnectionRemedy::CheckPort { host: spot.host.to_owned() },
    };
    let status = if tls.outcome == Handshake::NothingShared { Status::NotProven } else { Status::Fail };
    spot.finding(Aspect::Tls, status).saw(ended(&tls.outcome), expected).remedy(remedy)
}

fn ended(outcome: &Handshake) -> String {
    match outcome {
        Handshake::Done => "no certificate".to_owned(),
        Handshake::Alert(alert) => format!("the TLS alert {alert}"),
        Handshake::NothingShared => {
            "it speaks TLS with Kubernetes's clients, by a cipher suite or a key exchange that is not spoken here"
                .to_owned()
        }
        Handshake::PlainHttp => "it answers plain HTTP".to_owned(),
        Handshake::Closed => "the connection was closed".to_owned(),
        Handshake::TimedOut(ms) => format!("no end within {ms} ms"),
        Handshake::Failed(reason) => reason.clone(),
    }
}

fn protocol(spot: &Location<'_>, tls: &Tls, old: Option<&OldHello>) -> Finding {
    let expected = expectation(spot.place, Aspect::Protocol);
    let (Some(version), Some(cipher)) = (&tls.version, &tls.cipher) else {
        return spot.follows(Aspect::Protocol, &spot.cause(Aspect::Tls), "the handshake was not completed");
    };
    let new = format!("{version} with {cipher}");
    let observed = match old {
        Some(OldHello::Spoken(old)) => {
            let observed = format!("{new}; but {old} is spoken too, with whoever offers nothing better");
            let mut finding = spot.finding(Aspect::Protocol, Status::Warn).saw(observed, expected);
            finding.severity = Severity::Warning;
            return finding.remedy(ConnectionRemedy::RequireTls12 { program: Program::at(spot.place) });
        }
        Some(OldHello::Alert(_) | OldHello::Closed) => format!("{new}; older versions are refused"),
        unseen => {
            let (why, remedy) = match unseen {
                Some(OldHello::TimedOut(ms)) => (
                    format!("an old ClientHello was not answered within {ms} ms"),
                    Some(ConnectionRemedy::RaiseTimeout),
                ),
                Some(OldHello::Failed(reason)) => (format!("an old ClientHello failed: {reason}"), None),
                _ => ("an old ClientHello was not tried".to_owned(), None),
            };
            let observed = format!("{new}; whether older versions are refused is not known: {why}");
            let mut finding = spot.finding(Aspect::Protocol, Status::NotProven).saw(observed, expected);
            finding.severity = Severity::Warning;
            finding.remedy = remedy.map(Remedy::from);
            return finding;
        }
    };
    spot.finding(Aspect::Protocol, Status::Pass).saw(observed, expected)
}

fn read_only(spot: &Location<'_>, readonly: &Connect) -> Finding {
    let expected = expectation(spot.place, Aspect::Readonly);
    match readonly {
        Connect::Open => spot
            .finding(Aspect::Readonly, Status::Warn)
            .saw("a connection to it opens; a kubelet would answer everybody there", expected)
            .remedy(AuthenticationRemedy::DisableReadOnlyPort),
        Connect::NotTried(why) => spot.finding(Aspect::Readonly, Status::NotProven).saw(why.clone(), expected),
        Connect::Refused => spot.finding(Aspect::Readonly, Status::Pass).saw("closed", expected),
        Connect::TimedOut(ms) => {
            spot.finding(Aspect::Readonly, Status::Pass).saw(format!("nobody answers there within {ms} ms"), expected)
        }
        Connect::Failed(reason) => spot.finding(Aspect::Readonly, Status::NotProven).saw(reason.clone(), expected),
    }
}
