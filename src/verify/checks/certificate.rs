//! What a peer showed: chain, key, dates, names, usages, revocation.

use time::{Duration, OffsetDateTime};

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Dial, Exchange, Handshake, Signature, Tls};
use super::super::remedy::{CertificateRemedy, Remedy, TrustRemedy};
use super::super::revocation::Revocation;
use super::super::target::{Peer, Place};
use super::anchor::anchors_as_cause;
use super::judge::{CheckContext, Clock};
use super::location::{Location, expectation};
use super::trust::Trust;
use crate::cluster::address::Address;
use crate::cluster::duration::{in_words, stamp};
use crate::pki::certificate::{Certificate, PublicKeyKind, SubjectName};
use crate::pki::chain::{ChainError, Concern, who};
use crate::pki::fingerprint::Fingerprint;

impl CheckContext<'_> {
    pub(super) fn certificate(
        &mut self,
        peer: &Peer,
        address: &Address,
        spot: &Location<'_>,
        tls: &Tls,
        findings: &mut Vec<Finding>,
    ) {
        let trust = self.trust(&tls.shown);
        let finding = |aspect, status| spot.finding(aspect, status);
        let read = self.certificate_of(&tls.shown[0]);
        let leaf = match read.as_deref() {
            Some(Ok(leaf)) => leaf,
            other => {
                let reason = match other {
                    Some(Err(reason)) => reason.clone(),
                    _ => "the recording does not hold it".to_owned(),
                };
                let observed = format!("the certificate cannot be read: {reason}");
                let expected = expectation(spot.place, Aspect::Chain);
                let status = match trust.chain {
                    Err(ChainError::Unproven(_)) => Status::NotProven,
                    _ => Status::Fail,
                };
                findings.push(finding(Aspect::Chain, status).saw(observed.clone(), expected));
                findings.push(possession(spot, tls, None));
                for aspect in [Aspect::Dates, Aspect::Expiry, Aspect::Name, Aspect::Usage] {
                    findings.push(spot.follows(aspect, &spot.cause(Aspect::Chain), &observed));
                }
                let revoked = self.target.knows_revocation();
                findings.extend(revoked.then(|| spot.follows(Aspect::Revoked, &spot.cause(Aspect::Chain), &observed)));
                return;
            }
        };
        findings.push(self.chain(spot, leaf, tls, &trust));
        findings.push(possession(spot, tls, Some(leaf)));
        findings.extend(self.dates(spot, leaf, &trust));
        findings.push(name(spot, leaf, peer, address));
        findings.push(usage(spot, leaf, &trust));
        findings.extend(self.revoked(spot, &trust));
        if let (Place::Node, Some(issued)) = (spot.place, peer.issued) {
            findings.push(identity(spot, leaf, issued));
        }
    }

    /// What other connections of a dial showed: behind one address there may be several servers, and who answers must be
    /// as good as who was looked at first. Only what is not a pass is told.
    pub(super) fn other_certificates(
        &mut self,
        peer: &Peer,
        address: &Address,
        spot: &Location<'_>,
        dial: &Dial,
        findings: &mut Vec<Finding>,
    ) {
        let mut known: Vec<&[Fingerprint]> = dial.tls.iter().map(|tls| &*tls.shown).collect();
        let is_met = |other: &&Tls| spot.place == Place::Node || !self.is_loopbacks(&other.shown);
        if let Some(other) = dial.other_key.as_ref().filter(is_met) {
            known.push(&other.shown);
            self.another_certificate("the server's other certificate", peer, address, spot, other, findings);
        }
        for shown in dial.exchanges.iter().flat_map(Exchange::chains) {
            if shown.is_empty() || known.contains(&&**shown) {
                continue;
            }
            known.push(shown);
            let tls = Tls {
                outcome: Handshake::Done,
                version: None,
                cipher: None,
                shown: shown.clone(),
                sent: shown.len(),
                // No answer is read over a connection whose signature does not hold.
                signature: Signature::Valid,
            };
            self.another_certificate("on another connection", peer, address, spot, &tls, findings);
        }
    }

    /// Returns whether an API server showed what it has for its calls to itself. It has one beside every `--tls-cert-file`, with
    /// an RSA key; only a client that takes no other kind of key, or asks for its name, is ever shown it.
    fn is_loopbacks(&mut self, shown: &[Fingerprint]) -> bool {
        let leaf = shown.first().and_then(|leaf| self.certificate_of(leaf));
        let Some(Ok(leaf)) = leaf.as_deref() else { return false };
        let named = |name: &SubjectName| matches!(name, SubjectName::Dns(name) if name == LOOPBACK);
        is_made_up(leaf) && leaf.names.len() == 1 && leaf.names.iter().all(named)
    }

    fn another_certificate(
        &mut self,
        which: &str,
        peer: &Peer,
        address: &Address,
        spot: &Location<'_>,
        tls: &Tls,
        findings: &mut Vec<Finding>,
    ) {
        let mut judged = Vec::new();
        self.certificate(peer, address, spot, tls, &mut judged);
        let wrong = judged.into_iter().filter(|finding| finding.status != Status::Pass);
        findings.extend(wrong.map(|mut finding| {
            finding.observed = format!("{which}: {}", finding.observed);
            finding
        }));
    }

    fn chain(&self, spot: &Location<'_>, leaf: &Certificate, tls: &Tls, trust: &Trust) -> Finding {
        let expected = match self.target.roots.first() {
            Some(root) => format!("a chain to {}", root.subject.text),
            None => expectation(spot.place, Aspect::Chain).to_owned(),
        };
        let whose = format!("{} by {}", leaf.subject.text, leaf.issuer.text);
        match &trust.chain {
            // Go reads each of them, and refuses them all for one that it cannot read.
            Ok(()) if tls.sent > tls.shown.len() => {
                let observed =
                    format!("{whose}: of {} certificates that are sent {} are judged", tls.sent, tls.shown.len());
                let remedy = CertificateRemedy::SendChainOnly(spot.server());
                spot.finding(Aspect::Chain, Status::NotProven).saw(observed, expected).remedy(remedy)
            }
            Ok(()) => {
                let weak = trust.way.iter().flat_map(|way| &way.certificates[..way.sent]).find_map(weakness);
                if let Some(weak) = weak {
                    let mut finding = spot.finding(Aspect::Chain, Status::Warn);
                    finding.severity = Severity::Warning;
                    let remedy = CertificateRemedy::ReissueWithStrongKey(spot.server());
                    return finding.saw(format!("{whose}: {weak}"), expected).remedy(remedy);
                }
                let unused = tls.sent.saturating_sub(trust.way.as_ref().map_or(0, |way| way.sent));
                let unused = match unused {
                    0 => String::new(),
                    1 => " (another certificate is sent that the path does not need)".to_owned(),
                    more => format!(" ({more} other certificates are sent that the path does not need)"),
                };
                spot.finding(Aspect::Chain, Status::Pass).saw(format!("{whose}{unused}"), expected)
            }
            Err(ChainError::Unproven(reason)) => {
                let finding = spot.finding(Aspect::Chain, Status::NotProven);
                finding.saw(format!("{whose}: {reason}"), expected).remedy(CertificateRemedy::UseVerifiableKey)
            }
            Err(ChainError::Path(reason)) => {
                let twin = self.target.roots.iter().any(|root| root.subject.der == leaf.issuer.der);
                let remedy = if spot.place == Place::Node && is_made_up(leaf) {
                    CertificateRemedy::NameServingFiles
                } else if trust.way.is_some() {
                    CertificateRemedy::ReissueByPermittedCa(spot.server())
                } else if tls.sent > 1 || twin {
                    CertificateRemedy::SendIntermediates(spot.server())
                } else {
                    CertificateRemedy::InstallServingCertificate(spot.server())
                };
                spot.finding(Aspect::Chain, Status::Fail).saw(format!("{whose}: {reason}"), expected).remedy(remedy)
            }
        }
    }

    /// `node.revoked`; nothing where there is nothing to judge it by.
    fn revoked(&self, spot: &Location<'_>, trust: &Trust) -> Option<Finding> {
        if !self.target.knows_revocation() {
            return None;
        }
        let (Ok(()), Some(way)) = (&trust.chain, &trust.way) else {
            return Some(spot.follows(
                Aspect::Revoked,
                &spot.cause(Aspect::Chain),
                "only of what this root signed is anything known",
            ));
        };
        let path: Vec<&Certificate> = way.certificates[..way.sent].iter().collect();
        let expected = expectation(spot.place, Aspect::Revoked);
        let finding = |status, observed: String| spot.finding(Aspect::Revoked, status).saw(observed, expected);
        Some(match self.lists.judge(&path, self.clock.now) {
            Revocation::Clear(observed) => finding(Status::Pass, observed),
            Revocation::Revoked(observed) => {
                finding(Status::Fail, observed).remedy(CertificateRemedy::Reissue(spot.server()))
            }
            Revocation::Unusable(observed) => {
                finding(Status::Fail, observed).remedy(CertificateRemedy::ProvideCurrentCrl)
            }
        })
    }

    fn dates(&self, spot: &Location<'_>, leaf: &Certificate, trust: &Trust) -> [Finding; 2] {
        let Clock { now, expires_within } = self.clock;
        let alone = std::slice::from_ref(leaf);
        let path = trust.way.as_ref().map_or(alone, |way| &way.certificates);
        let last = path.len() - 1;
        let label =
            |at, certificate| if at > 0 && at == last { "the root".to_owned() } else { who(at, last, certificate) };
        let named: Vec<(String, &Certificate)> =
            path.iter().enumerate().map(|(at, certificate)| (label(at, certificate), certificate)).collect();
        let wrong: Vec<String> = named.iter().filter_map(|(who, cert)| out_of_date(who, cert, now)).collect();
        let root_is_stale = last > 0 && now > path[last].not_after;
        let expected = expectation(spot.place, Aspect::Dates);
        if !wrong.is_empty() {
            let remedy = if wrong.iter().any(|text| text.contains("clock skew?")) {
                Remedy::from(CertificateRemedy::CompareClocks)
            } else if root_is_stale {
                TrustRemedy::SeeTrustAnchor.into()
            } else {
                CertificateRemedy::Reissue(spot.server()).into()
            };
            let mut dates = spot.finding(Aspect::Dates, Status::Fail).saw(wrong.join("; "), expected).remedy(remedy);
            if root_is_stale {
                dates.because_of = Some(anchors_as_cause(self.target));
            }
            let expiry = spot.follows(Aspect::Expiry, &spot.cause(Aspect::Dates), "it is out of date already");
            return [dates, expiry];
        }
        let observed = format!("valid from {} until {}", stamp(leaf.not_before), stamp(leaf.not_after));
        let dates = spot.finding(Aspect::Dates, Status::Pass).saw(observed, expected);
        let first = named.iter().min_by_key(|(_, certificate)| certificate.not_after);
        let (whose, end) = first.map_or(("", leaf.not_after), |(whose, cert)| (whose.as_str(), cert.not_after));
        let whose = if end < leaf.not_after { format!(" ({whose})") } else { String::new() };
        let left = end - now;
        let observed = format!("{} left, until {}{whose}", in_words(left), stamp(end));
        let expected = format!("more than {} left", in_words(expires_within));
        let expiry = if left > expires_within {
            spot.finding(Aspect::Expiry, Status::Pass).saw(observed, expected)
        } else {
            spot.finding(Aspect::Expiry, Status::Warn)
                .saw(observed, expected)
                .remedy(CertificateRemedy::Renew(spot.server()))
        };
        [dates, expiry]
    }

    /// Whether what came over this connection was said by somebody who belongs to the root.
    pub(super) fn proven(&mut self, exchange: &Exchange) -> Result<(), String> {
        self.proven_by(&exchange.shown)
    }

    pub(super) fn proven_by(&mut self, shown: &[Fingerprint]) -> Result<(), String> {
        if shown.is_empty() {
            return Err("the peer showed no certificate on this connection".to_owned());
        }
        let trust = self.trust(shown);
        trust.chain.clone().map_err(|reason| match reason {
            ChainError::Path(reason) => format!("whoever answered does not belong to the root: {reason}"),
            ChainError::Unproven(reason) => format!("whether it belongs to the root is not proven: {reason}"),
        })
    }
}

fn possession(spot: &Location<'_>, tls: &Tls, leaf: Option<&Certificate>) -> Finding {
    let expected = expectation(spot.place, Aspect::Possession);
    match &tls.signature {
        Signature::Valid => spot.finding(Aspect::Possession, Status::Pass).saw("it is", expected),
        Signature::None => spot.follows(Aspect::Possession, &spot.cause(Aspect::Tls), "the handshake ended before"),
        Signature::Invalid(_) if leaf.is_some_and(|leaf| !signs_verifiably(&leaf.key)) => {
            let key = leaf.map(|leaf| leaf.key.to_string()).unwrap_or_default();
            let observed = format!("the handshake's signature by a key of the kind {key} cannot be verified here");
            let finding = spot.finding(Aspect::Possession, Status::NotProven).saw(observed, expected);
            finding.remedy(CertificateRemedy::UseVerifiableKey)
        }
        Signature::Invalid(reason) => {
            let finding = spot.finding(Aspect::Possession, Status::Fail).saw(format!("it is not: {reason}"), expected);
            finding.remedy(CertificateRemedy::MatchKeyAndCertificate)
        }
    }
}

/// What an API server calls itself by on loopback (k8s.io/apiserver `LoopbackClientServerNameOverride`).
const LOOPBACK: &str = "apiserver-loopback-client";

/// Returns whether one of Kubernetes's programs signed its serving certificate itself. It names the CA that it makes up for this
/// `HOST-ca@SECONDS` (client-go's `GenerateSelfSignedCertKey`).
fn is_made_up(leaf: &Certificate) -> bool {
    let made_up = |name: &String| {
        let seconds = name.rsplit_once("-ca@").map(|(_, seconds)| seconds);
        seconds.is_some_and(|seconds| !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit()))
    };
    leaf.issuer.common_names.iter().any(made_up)
}

/// Whether ring can verify what a key of this kind signs.
fn signs_verifiably(key: &PublicKeyKind) -> bool {
    match key {
        PublicKeyKind::Ours(_) => true,
        PublicKeyKind::Rsa(bits) => (2048..=8192).contains(bits),
        PublicKeyKind::Other(_) => false,
    }
}

/// What makes a key or a signature worthless, if anything does.
fn weakness(certificate: &Certificate) -> Option<String> {
    match &certificate.key {
        PublicKeyKind::Rsa(bits) if *bits < 2048 => {
            Some(format!("the key of {} is RSA {bits}, which is too weak", certificate.subject.text))
        }
        _ => None,
    }
}

pub(super) fn out_of_date(kind: &str, certificate: &Certificate, now: OffsetDateTime) -> Option<String> {
    let (text, off) = if now < certificate.not_before {
        let off = certificate.not_before - now;
        (format!("{kind} becomes valid in {}, at {}", in_words(off), stamp(certificate.not_before)), off)
    } else if now > certificate.not_after {
        let off = now - certificate.not_after;
        (format!("{kind} expired {} ago, at {}", in_words(off), stamp(certificate.not_after)), off)
    } else {
        return None;
    };
    let skew = if off < Duration::DAY { " (clock skew?)" } else { "" };
    Some(format!("{text}; it is {} here{skew}", stamp(now)))
}

fn name(spot: &Location<'_>, leaf: &Certificate, peer: &Peer, dialled: &Address) -> Finding {
    // As Go's crypto/tls: a ServerName that is set takes the place of the host.
    let mut wanted = vec![peer.tls_name.as_ref().unwrap_or(dialled)];
    let others = peer.addresses.iter().chain(&peer.names).filter(|_| peer.tls_name.is_none());
    for address in others {
        if !wanted.contains(&address) {
            wanted.push(address);
        }
    }
    let text = |addresses: &[&Address]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let missing: Vec<&Address> = wanted.iter().filter(|address| !leaf.names_address(address)).copied().collect();
    let expected = format!("names {}", text(&wanted));
    let named: Vec<String> = leaf.names.iter().take(8).map(SubjectName::with_its_kind).collect();
    let more = leaf.names.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = if named.is_empty() { "no name at all".to_owned() } else { named.join(", ") };
    if missing.is_empty() {
        return spot.finding(Aspect::Name, Status::Pass).saw(format!("names {named}{more}"), expected);
    }
    let as_names = missing.iter().any(|address| match address {
        Address::Ip(ip) => leaf.names.iter().any(|name| name.address_in_a_dns_name() == Some(*ip)),
        Address::Dns(_) => false,
    });
    let as_names = if as_names { ", and an address that stands there as a DNS name does not count" } else { "" };
    let observed = format!("does not name {}; it names {named}{more}{as_names}", text(&missing));
    spot.finding(Aspect::Name, Status::Fail)
        .saw(observed, expected)
        .remedy(CertificateRemedy::ReissueWithNames(spot.server()))
}

fn usage(spot: &Location<'_>, leaf: &Certificate, trust: &Trust) -> Finding {
    let expected = expectation(spot.place, Aspect::Usage);
    let remedy = || CertificateRemedy::ReissueForServers(spot.server());
    let above = trust.way.iter().flat_map(|way| &way.flaws);
    if let Some(flaw) = above.filter(|flaw| flaw.concern == Concern::Usage).find(|flaw| flaw.at > 0) {
        let finding = spot.finding(Aspect::Usage, Status::Fail).saw(flaw.reason.clone(), expected);
        return finding.remedy(CertificateRemedy::ReissueByServerCa(spot.server()));
    }
    let warning = |observed: &str| {
        let mut finding = spot.finding(Aspect::Usage, Status::Warn).saw(observed, expected);
        finding.severity = Severity::Warning;
        finding.remedy(remedy())
    };
    // No client minds, but whoever has this host's key can issue certificates.
    let is_ca = leaf.basic_constraints.is_some_and(|bc| bc.ca);
    match leaf.extended_key_usage.as_ref().filter(|usages| !usages.is_empty()) {
        Some(_) if is_ca && leaf.has_extended_usage("serverAuth") => warning("it may sign certificates (CA:TRUE)"),
        None if is_ca => warning("it may sign certificates (CA:TRUE), and has no extended key usage"),
        Some(usages) if leaf.has_extended_usage("serverAuth") => {
            spot.finding(Aspect::Usage, Status::Pass).saw(usages.join(" + "), expected)
        }
        // Go takes "any" for serverAuth; it is fit for far more than it is needed for.
        Some(_) if leaf.has_extended_usage("anyExtendedKeyUsage") => warning("anyExtendedKeyUsage"),
        Some(usages) => {
            let observed = format!("its extended key usage is {}", usages.join(" + "));
            spot.finding(Aspect::Usage, Status::Fail).saw(observed, expected).remedy(remedy())
        }
        None => warning("it has no extended key usage"),
    }
}

fn identity(spot: &Location<'_>, leaf: &Certificate, issued: Fingerprint) -> Finding {
    let expected = format!("the certificate {issued}, issued last");
    let shown = leaf.fingerprint();
    if shown == issued {
        return spot.finding(Aspect::Identity, Status::Pass).saw(shown.to_string(), expected);
    }
    let observed = format!("another: {shown}, {}, serial {}", leaf.subject.text, leaf.serial);
    let remedy = CertificateRemedy::ServeNewest { host: spot.host.to_owned() };
    spot.finding(Aspect::Identity, Status::Warn).saw(observed, expected).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::super::anchor::trust_anchor;
    use super::super::fixture::{NOW, bed, issue, issuer, statuses};
    use super::*;
    use crate::pki::untrusted;

    #[test]
    fn dates_name_both_times_and_suspect_the_clock() {
        let bed = bed();
        let leaf = bed.node_cert();
        let at = |now| bed.judged(Place::Node, &leaf, &[], now);
        let early = &at(NOW - Duration::hours(2))["dates"];
        assert_eq!(early.status, Status::Fail);
        assert!(early.observed.contains("2026-11-23T11:55:00Z") && early.observed.contains("2026-11-23T10:00:00Z"));
        assert!(early.observed.contains("clock skew?"));
        let late = &at(NOW + Duration::days(400))["dates"];
        assert!(late.status == Status::Fail && !late.observed.contains("clock skew?"), "{}", late.observed);
        assert_eq!(at(NOW)["expiry"].status, Status::Pass);
        assert_eq!(at(NOW + Duration::days(340))["expiry"].status, Status::Warn);
        assert_eq!(at(leaf.not_after)["dates"].status, Status::Pass);
        assert_eq!(at(leaf.not_after + Duration::SECOND)["dates"].status, Status::Fail);
    }

    #[test]
    fn the_roots_own_end_counts() {
        let bed = bed();
        let after = NOW + Duration::days(3651);
        let leaf = untrusted::dated(&issuer(&bed.root), &bed.node_leaf(), NOW, after + Duration::days(90))
            .expect("a leaf")
            .certificate;
        let found = bed.judged(Place::Node, &leaf, &[], after);
        assert_eq!(statuses(&found, &["chain", "dates"]), ["pass", "fail"]);
        assert!(found["dates"].observed.contains("the root expired"), "{}", found["dates"].observed);
        assert_eq!(trust_anchor(&bed.target, after)[0].status, Status::Fail);
        assert_eq!(trust_anchor(&bed.target, NOW)[0].status, Status::Pass);
    }

    #[test]
    fn a_client_certificate_and_a_root_are_no_server() {
        let bed = bed();
        let client = issue(&bed.root, &bed.cluster.node_leaves(&bed.cluster.nodes[0])[0], NOW).certificate;
        let found = bed.judged(Place::Node, &client, &[], NOW);
        assert_eq!(statuses(&found, &["chain", "usage", "name"]), ["pass", "fail", "fail"]);
        // Go takes a certificate of the trust file for itself, a CA's too; it has no names.
        let found = bed.judged(Place::Node, &bed.root.certificate.clone(), &[], NOW);
        assert_eq!(statuses(&found, &["chain", "usage", "name"]), ["pass", "warn", "fail"]);
    }
}
