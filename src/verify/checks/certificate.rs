//! The server's certificate: chain, key, names, usages, revocation.

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Signature, Tls};
use super::super::remedy::CertificateRemedy;
use super::super::revocation::Revocation;
use super::super::target::{Peer, Place};
use super::context::CheckContext;
use super::location::{Location, expectation};
use super::trust::Trust;
use crate::cluster::address::Address;
use crate::pki::certificate::{Certificate, PublicKeyKind, SubjectAltName};
use crate::pki::chain::{ChainError, ViolationKind};
use crate::pki::fingerprint::Fingerprint;

impl CheckContext<'_> {
    pub(super) fn certificate(
        &mut self,
        peer: &Peer,
        address: &Address,
        location: &Location<'_>,
        tls: &Tls,
        findings: &mut Vec<Finding>,
    ) {
        let trust = self.trust(&tls.server_chain);
        let finding = |aspect, status| location.finding(aspect, status);
        let read = self.certificate_of(&tls.server_chain[0]);
        let leaf = match read.as_deref() {
            Some(Ok(leaf)) => leaf,
            other => {
                let reason = match other {
                    Some(Err(reason)) => reason.clone(),
                    _ => "the recording does not contain it".to_owned(),
                };
                let observed = format!("the certificate cannot be read: {reason}");
                let expected = expectation(location.place, Aspect::Chain);
                let status = match trust.chain {
                    Err(ChainError::Unproven(_)) => Status::NotProven,
                    _ => Status::Fail,
                };
                findings.push(finding(Aspect::Chain, status).saw(observed.clone(), expected));
                findings.push(possession(location, tls, None));
                for aspect in [Aspect::Dates, Aspect::Expiry, Aspect::Name, Aspect::Usage] {
                    findings.push(location.follows(aspect, &location.cause(Aspect::Chain), &observed));
                }
                let revoked = self.target.knows_revocation();
                findings.extend(
                    revoked.then(|| location.follows(Aspect::Revoked, &location.cause(Aspect::Chain), &observed)),
                );
                return;
            }
        };
        findings.push(self.chain(location, leaf, tls, &trust));
        findings.push(possession(location, tls, Some(leaf)));
        findings.extend(self.dates(location, leaf, &trust));
        findings.push(name(location, leaf, peer, address));
        findings.push(usage(location, leaf, &trust));
        findings.extend(self.revoked(location, &trust));
        if let (Place::Node, Some(issued)) = (location.place, peer.issued) {
            findings.push(identity(location, leaf, issued));
        }
    }

    fn chain(&self, location: &Location<'_>, leaf: &Certificate, tls: &Tls, trust: &Trust) -> Finding {
        let expected = match self.target.roots.first() {
            Some(root) => format!("a chain to {}", root.subject.text),
            None => expectation(location.place, Aspect::Chain).to_owned(),
        };
        let whose = format!("{} by {}", leaf.subject.text, leaf.issuer.text);
        match &trust.chain {
            // Go rejects the whole chain for one certificate that it cannot read.
            Ok(()) if tls.sent > tls.server_chain.len() => {
                let observed = format!(
                    "{whose}: of {} certificates that are sent, only {} are checked",
                    tls.sent,
                    tls.server_chain.len()
                );
                let remedy = CertificateRemedy::SendChainOnly(location.server());
                location.finding(Aspect::Chain, Status::NotProven).saw(observed, expected).remedy(remedy)
            }
            Ok(()) => {
                let weak = trust.path.iter().flat_map(|path| &path.certificates[..path.sent]).find_map(weakness);
                if let Some(weak) = weak {
                    let mut finding = location.finding(Aspect::Chain, Status::Warn);
                    finding.severity = Severity::Warning;
                    let remedy = CertificateRemedy::ReissueWithStrongKey(location.server());
                    return finding.saw(format!("{whose}: {weak}"), expected).remedy(remedy);
                }
                let unused = tls.sent.saturating_sub(trust.path.as_ref().map_or(0, |path| path.sent));
                let unused = match unused {
                    0 => String::new(),
                    1 => " (another certificate is sent, which the path does not need)".to_owned(),
                    more => format!(" ({more} other certificates are sent, which the path does not need)"),
                };
                location.finding(Aspect::Chain, Status::Pass).saw(format!("{whose}{unused}"), expected)
            }
            Err(ChainError::Unproven(reason)) => {
                let finding = location.finding(Aspect::Chain, Status::NotProven);
                finding.saw(format!("{whose}: {reason}"), expected).remedy(CertificateRemedy::UseVerifiableKey)
            }
            Err(ChainError::NoValidPath(reason)) => {
                let same_name = self.target.roots.iter().any(|root| root.subject.der == leaf.issuer.der);
                let remedy = if location.place == Place::Node && is_signed_by_kubernetes_itself(leaf) {
                    CertificateRemedy::NameServingFiles
                } else if trust.path.is_some() {
                    CertificateRemedy::ReissueByPermittedCa(location.server())
                } else if tls.sent > 1 || same_name {
                    CertificateRemedy::SendIntermediates(location.server())
                } else {
                    CertificateRemedy::InstallServingCertificate(location.server())
                };
                location.finding(Aspect::Chain, Status::Fail).saw(format!("{whose}: {reason}"), expected).remedy(remedy)
            }
        }
    }

    /// Returns the finding `node.revoked` or `master.revoked`; `None` if nothing is known about revocation.
    fn revoked(&self, location: &Location<'_>, trust: &Trust) -> Option<Finding> {
        if !self.target.knows_revocation() {
            return None;
        }
        let (Ok(()), Some(path)) = (&trust.chain, &trust.path) else {
            return Some(location.follows(
                Aspect::Revoked,
                &location.cause(Aspect::Chain),
                "revocation is known only for certificates of this root",
            ));
        };
        let path: Vec<&Certificate> = path.certificates[..path.sent].iter().collect();
        let expected = expectation(location.place, Aspect::Revoked);
        let finding = |status, observed: String| location.finding(Aspect::Revoked, status).saw(observed, expected);
        Some(match self.crls.judge(&path, self.clock.now) {
            Revocation::Clear(observed) => finding(Status::Pass, observed),
            Revocation::Revoked(observed) => {
                finding(Status::Fail, observed).remedy(CertificateRemedy::Reissue(location.server()))
            }
            Revocation::Unusable(observed) => {
                finding(Status::Fail, observed).remedy(CertificateRemedy::ProvideCurrentCrl)
            }
        })
    }
}

fn possession(location: &Location<'_>, tls: &Tls, leaf: Option<&Certificate>) -> Finding {
    let expected = expectation(location.place, Aspect::Possession);
    match &tls.signature {
        Signature::Valid => location.finding(Aspect::Possession, Status::Pass).saw("the signature is valid", expected),
        Signature::None => {
            location.follows(Aspect::Possession, &location.cause(Aspect::Tls), "the handshake failed before")
        }
        Signature::Invalid(_) if leaf.is_some_and(|leaf| !signs_verifiably(&leaf.key)) => {
            let key = leaf.map(|leaf| leaf.key.to_string()).unwrap_or_default();
            let observed = format!("the handshake's signature by a key of the kind {key} cannot be verified here");
            let finding = location.finding(Aspect::Possession, Status::NotProven).saw(observed, expected);
            finding.remedy(CertificateRemedy::UseVerifiableKey)
        }
        Signature::Invalid(reason) => {
            let finding =
                location.finding(Aspect::Possession, Status::Fail).saw(format!("it is not: {reason}"), expected);
            finding.remedy(CertificateRemedy::MatchKeyAndCertificate)
        }
    }
}

/// Returns true if a program of Kubernetes signed its serving certificate itself: the CA is called `HOST-ca@SECONDS`
/// (client-go's `GenerateSelfSignedCertKey`).
pub(super) fn is_signed_by_kubernetes_itself(leaf: &Certificate) -> bool {
    let is_generated = |name: &String| {
        let seconds = name.rsplit_once("-ca@").map(|(_, seconds)| seconds);
        seconds.is_some_and(|seconds| !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit()))
    };
    leaf.issuer.common_names.iter().any(is_generated)
}

/// Returns true if ring can verify signatures of this kind of key.
fn signs_verifiably(key: &PublicKeyKind) -> bool {
    match key {
        PublicKeyKind::Supported(_) => true,
        PublicKeyKind::Rsa(bits) => (2048..=8192).contains(bits),
        PublicKeyKind::Other(_) => false,
    }
}

/// Returns the weakness of a certificate's key, if it has one.
fn weakness(certificate: &Certificate) -> Option<String> {
    match &certificate.key {
        PublicKeyKind::Rsa(bits) if *bits < 2048 => {
            Some(format!("the key of {} is RSA {bits}, which is too weak", certificate.subject.text))
        }
        _ => None,
    }
}

fn name(location: &Location<'_>, leaf: &Certificate, peer: &Peer, dialled: &Address) -> Finding {
    // As in Go's crypto/tls, a ServerName replaces the host.
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
    let named: Vec<String> = leaf.names.iter().take(8).map(SubjectAltName::with_its_kind).collect();
    let more = leaf.names.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = if named.is_empty() { "no name at all".to_owned() } else { named.join(", ") };
    if missing.is_empty() {
        return location.finding(Aspect::Name, Status::Pass).saw(format!("names {named}{more}"), expected);
    }
    let as_names = missing.iter().any(|address| match address {
        Address::Ip(ip) => leaf.names.iter().any(|name| name.address_in_a_dns_name() == Some(*ip)),
        Address::Dns(_) => false,
    });
    let as_names = if as_names { ", and an address as a DNS name does not count" } else { "" };
    let observed = format!("does not name {}; it names {named}{more}{as_names}", text(&missing));
    location
        .finding(Aspect::Name, Status::Fail)
        .saw(observed, expected)
        .remedy(CertificateRemedy::ReissueWithNames(location.server()))
}

fn usage(location: &Location<'_>, leaf: &Certificate, trust: &Trust) -> Finding {
    let expected = expectation(location.place, Aspect::Usage);
    let remedy = || CertificateRemedy::ReissueForServers(location.server());
    let above = trust.path.iter().flat_map(|path| &path.violations);
    if let Some(violation) =
        above.filter(|violation| violation.kind == ViolationKind::Usage).find(|violation| violation.at > 0)
    {
        let finding = location.finding(Aspect::Usage, Status::Fail).saw(violation.reason.clone(), expected);
        return finding.remedy(CertificateRemedy::ReissueByServerCa(location.server()));
    }
    let warning = |observed: &str| {
        let mut finding = location.finding(Aspect::Usage, Status::Warn).saw(observed, expected);
        finding.severity = Severity::Warning;
        finding.remedy(remedy())
    };
    // Clients accept it, but this host's key can issue certificates.
    let is_ca = leaf.basic_constraints.is_some_and(|bc| bc.ca);
    match leaf.extended_key_usage.as_ref().filter(|usages| !usages.is_empty()) {
        Some(_) if is_ca && leaf.has_extended_usage("serverAuth") => warning("it may sign certificates (CA:TRUE)"),
        None if is_ca => warning("it may sign certificates (CA:TRUE), and has no extended key usage"),
        Some(usages) if leaf.has_extended_usage("serverAuth") => {
            location.finding(Aspect::Usage, Status::Pass).saw(usages.join(" + "), expected)
        }
        // Go accepts "any" as serverAuth; it permits far more than needed.
        Some(_) if leaf.has_extended_usage("anyExtendedKeyUsage") => warning("anyExtendedKeyUsage"),
        Some(usages) => {
            let observed = format!("its extended key usage is {}", usages.join(" + "));
            location.finding(Aspect::Usage, Status::Fail).saw(observed, expected).remedy(remedy())
        }
        None => warning("it has no extended key usage"),
    }
}

fn identity(location: &Location<'_>, leaf: &Certificate, issued: Fingerprint) -> Finding {
    let expected = format!("the certificate {issued}, issued last");
    let presented = leaf.fingerprint();
    if presented == issued {
        return location.finding(Aspect::Identity, Status::Pass).saw(presented.to_string(), expected);
    }
    let observed = format!("another certificate: {presented}, {}, serial {}", leaf.subject.text, leaf.serial);
    let remedy = CertificateRemedy::ServeNewest { host: location.host.to_owned() };
    location.finding(Aspect::Identity, Status::Warn).saw(observed, expected).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::anchor::trust_anchor;
    use super::super::fixture::{NOW, fixture, issue, issuer, statuses};
    use super::*;
    use crate::pki::untrusted;
    use crate::verify::remedy::{Server, TrustRemedy};

    #[test]
    fn certificates_out_of_date_fail_and_a_clock_may_be_the_reason() {
        let fixture = fixture();
        let leaf = fixture.node_cert();
        let at = |now| fixture.judged(Place::Node, &leaf, &[], now);
        let early = &at(NOW - Duration::hours(2))["dates"];
        assert_eq!(early.status, Status::Fail);
        assert_eq!(early.remedy, Some(CertificateRemedy::CompareClocks.into()));
        let late = &at(NOW + Duration::days(400))["dates"];
        let server = Server { place: Place::Node, host: "n1".to_owned() };
        assert_eq!((late.status, late.remedy.clone()), (Status::Fail, Some(CertificateRemedy::Reissue(server).into())));
        assert_eq!(at(NOW)["expiry"].status, Status::Pass);
        assert_eq!(at(NOW + Duration::days(340))["expiry"].status, Status::Warn);
        assert_eq!(at(leaf.not_after)["dates"].status, Status::Pass);
        assert_eq!(at(leaf.not_after + Duration::SECOND)["dates"].status, Status::Fail);
    }

    #[test]
    fn a_certificate_below_an_expired_root_fails() {
        let fixture = fixture();
        let after = NOW + Duration::days(3651);
        let leaf = untrusted::dated(&issuer(&fixture.root), &fixture.node_spec(), NOW, after + Duration::days(90))
            .expect("a leaf")
            .certificate;
        let found = fixture.judged(Place::Node, &leaf, &[], after);
        assert_eq!(statuses(&found, &["chain", "dates"]), ["pass", "fail"]);
        assert_eq!(found["dates"].remedy, Some(TrustRemedy::SeeTrustAnchor.into()));
        assert_eq!(trust_anchor(&fixture.target, after)[0].status, Status::Fail);
        assert_eq!(trust_anchor(&fixture.target, NOW)[0].status, Status::Pass);
    }

    #[test]
    fn client_certificates_and_roots_are_not_serving_certificates() {
        let fixture = fixture();
        let client = issue(&fixture.root, &fixture.cluster.node_specs(&fixture.cluster.nodes[0])[0], NOW).certificate;
        let found = fixture.judged(Place::Node, &client, &[], NOW);
        assert_eq!(statuses(&found, &["chain", "usage", "name"]), ["pass", "fail", "fail"]);
        // Go accepts a certificate of the trust file as itself, a CA's too; it has no names.
        let found = fixture.judged(Place::Node, &fixture.root.certificate.clone(), &[], NOW);
        assert_eq!(statuses(&found, &["chain", "usage", "name"]), ["pass", "warn", "fail"]);
    }
}
