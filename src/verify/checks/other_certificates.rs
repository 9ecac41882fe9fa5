//! Certificates that a server sent on other connections, or for another kind of key.

use super::super::finding::{Finding, Status};
use super::super::observation::{Dial, Exchange, Handshake, Signature, Tls};
use super::super::place::Place;
use super::super::target::Peer;
use super::certificate::is_signed_by_kubernetes_itself;
use super::context::CheckContext;
use super::location::Location;
use crate::cluster::address::Address;
use crate::pki::certificate::SubjectAltName;
use crate::pki::fingerprint::Fingerprint;

/// The name of an API server on loopback (k8s.io/apiserver `LoopbackClientServerNameOverride`).
const LOOPBACK: &str = "apiserver-loopback-client";

impl CheckContext<'_> {
    /// Checks the certificates of other connections, because several servers may share one address, and each
    /// certificate has to be valid. Only problems are reported.
    pub(super) fn other_certificates(
        &mut self,
        peer: &Peer,
        address: &Address,
        location: &Location<'_>,
        dial: &Dial,
        findings: &mut Vec<Finding>,
    ) {
        let mut known: Vec<&[Fingerprint]> = dial.tls.iter().map(|tls| &*tls.server_chain).collect();
        let is_relevant = |other: &&Tls| location.place == Place::Node || !self.is_loopbacks(&other.server_chain);
        if let Some(other) = dial.other_key.as_ref().filter(is_relevant) {
            known.push(&other.server_chain);
            self.another_certificate("the server's other certificate", peer, address, location, other, findings);
        }
        for server_chain in dial.exchanges.iter().flat_map(Exchange::chains) {
            if server_chain.is_empty() || known.contains(&&**server_chain) {
                continue;
            }
            known.push(server_chain);
            let tls = Tls {
                outcome: Handshake::Done,
                version: None,
                cipher: None,
                server_chain: server_chain.clone(),
                sent: server_chain.len(),
                // No response is read over a connection whose signature is invalid.
                signature: Signature::Valid,
            };
            self.another_certificate("on another connection", peer, address, location, &tls, findings);
        }
    }

    /// Returns true if this is the certificate that an API server uses for connections to itself. An API server has one
    /// in addition to every `--tls-cert-file`, with an RSA key. It presents the certificate only to clients that accept
    /// no other kind of key or request its name.
    fn is_loopbacks(&mut self, server_chain: &[Fingerprint]) -> bool {
        let leaf = server_chain.first().and_then(|leaf| self.certificate_of(leaf));
        let Some(Ok(leaf)) = leaf.as_deref() else { return false };
        let named = |name: &SubjectAltName| matches!(name, SubjectAltName::Dns(name) if name == LOOPBACK);
        is_signed_by_kubernetes_itself(leaf) && leaf.names.len() == 1 && leaf.names.iter().all(named)
    }

    fn another_certificate(
        &mut self,
        which: &str,
        peer: &Peer,
        address: &Address,
        location: &Location<'_>,
        tls: &Tls,
        findings: &mut Vec<Finding>,
    ) {
        let mut judged = Vec::new();
        self.certificate(peer, address, location, tls, &mut judged);
        let wrong = judged.into_iter().filter(|finding| finding.status != Status::Pass);
        findings.extend(wrong.map(|mut finding| {
            finding.observed = format!("{which}: {}", finding.observed);
            finding
        }));
    }
}
