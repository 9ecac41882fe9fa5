//! What a peer showed: chain, key, dates, names, usages, revocation.

use time::{Duration, OffsetDateTime};

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Dial, Exchange, Handshake, Signature, Tls};
use super::super::revocation::Revocation;
use super::super::target::{Peer, Place};
use super::judge::{Bench, Clock};
use super::spot::{Spot, expectation};
use crate::cluster::address::Address;
use crate::pki::certificate::{Certificate, PublicKeyKind};
use crate::pki::chain::verify_chain;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::inspect::{in_words, stamp};

impl Bench<'_> {
    pub(super) fn certificate(
        &mut self,
        peer: &Peer,
        address: &Address,
        spot: &Spot<'_>,
        tls: &Tls,
        findings: &mut Vec<Finding>,
    ) {
        let chained = self.trust(&tls.shown);
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
                findings.push(finding(Aspect::Chain, Status::Fail).saw(observed.clone(), expected));
                findings.push(possession(spot, tls));
                for aspect in [Aspect::Dates, Aspect::Expiry, Aspect::Name, Aspect::Usage] {
                    findings.push(spot.follows(aspect, Aspect::Chain, &observed));
                }
                let revoked = self.target.knows_revocation();
                findings.extend(revoked.then(|| spot.follows(Aspect::Revoked, Aspect::Chain, &observed)));
                return;
            }
        };
        let between: Vec<_> = tls.shown[1..].iter().filter_map(|f| self.certificate_of(f)).collect();
        let between: Vec<&Certificate> =
            between.iter().filter_map(|cert| cert.as_ref().as_ref().ok()).filter(|c| !c.is_self_issued()).collect();
        let good = chained.is_ok();
        findings.push(self.chain(spot, leaf, tls, chained));
        findings.push(possession(spot, tls));
        findings.extend(self.dates(spot, leaf, &between));
        findings.push(name(spot, leaf, peer, address));
        findings.push(usage(spot, leaf));
        findings.extend(self.revoked(spot, leaf, &between, good));
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
        spot: &Spot<'_>,
        dial: &Dial,
        findings: &mut Vec<Finding>,
    ) {
        let mut known: Vec<&[Fingerprint]> = dial.tls.iter().map(|tls| tls.shown.as_slice()).collect();
        for shown in dial.exchanges.iter().map(|exchange| exchange.shown.as_slice()) {
            if shown.is_empty() || known.contains(&shown) {
                continue;
            }
            known.push(shown);
            let tls = Tls {
                outcome: Handshake::Done,
                version: None,
                cipher: None,
                shown: shown.to_vec(),
                sent: shown.len(),
                // No answer is read over a connection whose signature does not hold.
                signature: Signature::Valid,
            };
            let mut judged = Vec::new();
            self.certificate(peer, address, spot, &tls, &mut judged);
            let wrong = judged.into_iter().filter(|finding| finding.status != Status::Pass);
            findings.extend(wrong.map(|mut finding| {
                finding.observed = format!("on another connection: {}", finding.observed);
                finding
            }));
        }
    }

    /// Whether a chain as sent leads to one of the roots; worked out once for each chain.
    pub(super) fn trust(&mut self, shown: &[Fingerprint]) -> Result<(), String> {
        if let Some(known) = self.trusted.get(shown) {
            return known.clone();
        }
        let parsed: Vec<_> = shown.iter().filter_map(|f| self.certificate_of(f)).collect();
        let parsed: Vec<Certificate> = parsed.iter().filter_map(|cert| cert.as_ref().as_ref().ok()).cloned().collect();
        let result = match parsed.split_first() {
            Some((leaf, between)) if shown.first() == Some(&leaf.fingerprint()) => {
                let weak = std::iter::once(leaf).chain(between).find_map(weakness);
                match weak {
                    Some(weak) => Err(weak),
                    None => verify_chain(leaf, between, &self.target.roots).map_err(|error| error.to_string()),
                }
            }
            _ => Err("its certificate cannot be read".to_owned()),
        };
        self.trusted.insert(shown.to_vec(), result.clone());
        result
    }

    fn chain(&self, spot: &Spot<'_>, leaf: &Certificate, tls: &Tls, chained: Result<(), String>) -> Finding {
        let expected = match self.target.roots.first() {
            Some(root) => format!("a chain to {}", root.subject.text),
            None => expectation(spot.place, Aspect::Chain).to_owned(),
        };
        let issuer = &leaf.issuer.text;
        match chained {
            Ok(()) => {
                spot.finding(Aspect::Chain, Status::Pass).saw(format!("{} by {issuer}", leaf.subject.text), expected)
            }
            Err(reason) => {
                let observed = format!("{} by {issuer}: {reason}", leaf.subject.text);
                let twin = self.target.roots.iter().any(|root| root.subject.der == leaf.issuer.der);
                let hint = if tls.sent > 1 || twin {
                    "another CA of the same name signed it, or not all intermediates are sent: install this host's bundle \
                     again and restart what serves here"
                } else {
                    "this host serves a certificate of another CA (a kubelet that signs its own, a proxy?): install its \
                     bundle and restart what serves here"
                };
                spot.finding(Aspect::Chain, Status::Fail).saw(observed, expected).hint(hint)
            }
        }
    }

    /// `node.revoked`; nothing where there is nothing to judge it by.
    fn revoked(&self, spot: &Spot<'_>, leaf: &Certificate, between: &[&Certificate], good: bool) -> Option<Finding> {
        if !self.target.knows_revocation() {
            return None;
        }
        if !good {
            return Some(spot.follows(
                Aspect::Revoked,
                Aspect::Chain,
                "only of what this root signed is anything known",
            ));
        }
        let path: Vec<&Certificate> = std::iter::once(leaf).chain(between.iter().copied()).collect();
        let expected = expectation(spot.place, Aspect::Revoked);
        let finding = |status, observed: String| spot.finding(Aspect::Revoked, status).saw(observed, expected);
        Some(match self.lists.judge(&path, self.clock.now) {
            Revocation::Clear(observed) => finding(Status::Pass, observed),
            Revocation::Revoked(observed) => finding(Status::Fail, observed)
                .hint(format!("issue it again: {}, then install the bundle", spot.reissue())),
            Revocation::Unusable(observed) => {
                let hint =
                    "give a list that this cluster's root signed and that is not past its next update: --crl FILE";
                finding(Status::Fail, observed).hint(hint)
            }
        })
    }

    fn dates(&self, spot: &Spot<'_>, leaf: &Certificate, intermediates: &[&Certificate]) -> [Finding; 2] {
        let Clock { now, expires_within } = self.clock;
        // With several roots in the file, those that this leaf leads to are the ones that count.
        let owned: Vec<Certificate> = intermediates.iter().map(|c| (*c).clone()).collect();
        let leads = |root: &&Certificate| verify_chain(leaf, &owned, std::slice::from_ref(*root)).is_ok();
        let single = self.target.roots.len() == 1;
        let roots: Vec<&Certificate> = self.target.roots.iter().filter(|root| single || leads(root)).collect();
        let path = || {
            let kinds = [("the certificate", vec![leaf]), ("an intermediate", intermediates.to_vec())];
            kinds.into_iter().flat_map(|(kind, certs)| certs.into_iter().map(move |c| (kind, c)))
        };
        let mut wrong: Vec<String> = path().filter_map(|(kind, cert)| out_of_date(kind, cert, now)).collect();
        // Any root in date will do, as for every verifier.
        let stale: Vec<String> = roots.iter().filter_map(|root| out_of_date("the root", root, now)).collect();
        let root_is_stale = stale.len() == roots.len() && !stale.is_empty();
        if root_is_stale {
            wrong.extend(stale);
        }
        let expected = expectation(spot.place, Aspect::Dates);
        let least = path().map(|(_, cert)| cert.not_after).chain(roots.iter().map(|root| root.not_after).max()).min();
        let least = least.unwrap_or(leaf.not_after);
        let left = least - now;
        if !wrong.is_empty() {
            let hint = if wrong.iter().any(|text| text.contains("clock skew?")) {
                "compare the clocks of this machine and of the one that issued the certificate".to_owned()
            } else if root_is_stale {
                "no certificate outlives its root: see trust.anchor".to_owned()
            } else {
                format!("issue it again: {}, then install the bundle", spot.reissue())
            };
            let dates = spot.finding(Aspect::Dates, Status::Fail).saw(wrong.join("; "), expected).hint(hint);
            let expiry = spot.follows(Aspect::Expiry, Aspect::Dates, "it is out of date already");
            return [dates, expiry];
        }
        let observed = format!("valid from {} until {}", stamp(leaf.not_before), stamp(leaf.not_after));
        let dates = spot.finding(Aspect::Dates, Status::Pass).saw(observed, expected);
        let observed = format!("{} left, until {}", in_words(left), stamp(least));
        let expected = format!("more than {} left", in_words(expires_within));
        let expiry = if left > expires_within {
            spot.finding(Aspect::Expiry, Status::Pass).saw(observed, expected)
        } else {
            let hint = format!("renew it in time: {}", spot.reissue());
            spot.finding(Aspect::Expiry, Status::Warn).saw(observed, expected).hint(hint)
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
        self.trust(shown).map_err(|reason| format!("whoever answered does not belong to the root: {reason}"))
    }
}

fn possession(spot: &Spot<'_>, tls: &Tls) -> Finding {
    let expected = expectation(spot.place, Aspect::Possession);
    match &tls.signature {
        Signature::Valid => spot.finding(Aspect::Possession, Status::Pass).saw("it is", expected),
        Signature::None => spot.follows(Aspect::Possession, Aspect::Tls, "the handshake ended before"),
        Signature::Invalid(reason) => spot
            .finding(Aspect::Possession, Status::Fail)
            .saw(format!("it is not, or cannot be checked: {reason}"), expected)
            .hint(
                "certificate and key on this host do not belong together, or somebody shows a certificate of another",
            ),
    }
}

/// What makes a key or a signature worthless, if anything does.
fn weakness(certificate: &Certificate) -> Option<String> {
    match &certificate.key {
        PublicKeyKind::Rsa(bits) if *bits < 2048 => Some(format!("its key is RSA {bits}, which is too weak")),
        _ => None,
    }
}

fn out_of_date(kind: &str, certificate: &Certificate, now: OffsetDateTime) -> Option<String> {
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

fn name(spot: &Spot<'_>, leaf: &Certificate, peer: &Peer, dialled: &Address) -> Finding {
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
    let named: Vec<String> = leaf.names.iter().take(8).map(ToString::to_string).collect();
    let more = leaf.names.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = if named.is_empty() { "no name at all".to_owned() } else { named.join(", ") };
    if missing.is_empty() {
        return spot.finding(Aspect::Name, Status::Pass).saw(format!("names {named}{more}"), expected);
    }
    let role = if spot.place == Place::Node { "issue-node" } else { "issue-master" };
    let hint = match spot.place {
        Place::Endpoint => {
            "issue the masters' certificates again (clusterctl issue-master --all) and install their bundles, \
                            or is this another server?"
                .to_owned()
        }
        _ => format!(
            "if the cluster file lists it among {}'s addresses, install its newest bundle; if not, add it and run clusterctl \
             {role} {} first; or is this another server?",
            spot.host, spot.host
        ),
    };
    let observed = format!("does not name {}; it names {named}{more}", text(&missing));
    spot.finding(Aspect::Name, Status::Fail).saw(observed, expected).hint(hint)
}

fn usage(spot: &Spot<'_>, leaf: &Certificate) -> Finding {
    let expected = expectation(spot.place, Aspect::Usage);
    let hint = "issue it again with clusterctl, whose serving certificates are serverAuth alone";
    if leaf.basic_constraints.is_some_and(|bc| bc.ca) {
        let finding = spot.finding(Aspect::Usage, Status::Fail).saw("it may sign certificates (CA:TRUE)", expected);
        return finding.hint(hint);
    }
    match &leaf.extended_key_usage {
        Some(usages) if leaf.has_extended_usage("serverAuth") => {
            spot.finding(Aspect::Usage, Status::Pass).saw(usages.join(" + "), expected)
        }
        // Go takes "any" for serverAuth; it is fit for far more than it is needed for.
        Some(_) if leaf.has_extended_usage("anyExtendedKeyUsage") => {
            let mut finding = spot.finding(Aspect::Usage, Status::Warn).saw("anyExtendedKeyUsage", expected);
            finding.severity = Severity::Warning;
            finding.hint(hint)
        }
        Some(usages) => {
            let observed = format!("its extended key usage is {}", usages.join(" + "));
            spot.finding(Aspect::Usage, Status::Fail).saw(observed, expected).hint(hint)
        }
        None => {
            let mut finding = spot.finding(Aspect::Usage, Status::Warn).saw("it has no extended key usage", expected);
            finding.severity = Severity::Warning;
            finding.hint(hint)
        }
    }
}

fn identity(spot: &Spot<'_>, leaf: &Certificate, issued: Fingerprint) -> Finding {
    let expected = format!("the certificate {issued}, issued last");
    let shown = leaf.fingerprint();
    if shown == issued {
        return spot.finding(Aspect::Identity, Status::Pass).saw(shown.to_string(), expected);
    }
    let observed = format!("another: {shown}, {}, serial {}", leaf.subject.text, leaf.serial);
    let host = spot.host;
    let hint = format!(
        "install {host}'s newest bundle; it still serves an older certificate, or not its own. If that bundle has this very one, the \
         last was never written: clusterctl issue-node {host} --reissue"
    );
    spot.finding(Aspect::Identity, Status::Warn).saw(observed, expected).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::super::anchor::trust_anchor;
    use super::super::bed::{NOW, bed, issue, statuses};
    use super::*;
    use crate::pki::forge;

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
        let leaf =
            forge::dated(&bed.root, &bed.node_leaf(), NOW, after + Duration::days(90)).expect("a leaf").certificate;
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
        let found = bed.judged(Place::Node, &bed.root.certificate.clone(), &[], NOW);
        assert_eq!(statuses(&found, &["chain", "usage"]), ["fail", "fail"]);
    }
}
