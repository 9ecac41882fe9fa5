//! Where a finding belongs, and what each check wants to see there.

use std::sync::Arc;

use super::super::finding::{Aspect, Cause, CheckId, Finding, Status};
use super::super::remedy::Server;
use super::super::target::Place;

/// Where a finding belongs.
pub(super) struct Location<'a> {
    pub(super) place: Place,
    pub(super) host: &'a str,
    pub(super) address: String,
    pub(super) server_name: &'a str,
    pub(super) elapsed_ms: u64,
}

impl Location<'_> {
    pub(super) fn finding(&self, aspect: Aspect, status: Status) -> Finding {
        let mut finding = Finding::new(CheckId::at(self.place, aspect), self.place, self.host, status);
        finding.address = Some(self.address.clone());
        finding.server_name = Some(self.server_name.to_owned());
        finding.elapsed_ms = self.elapsed_ms;
        finding
    }

    /// Returns the server that it is about, for remedies.
    pub(super) fn server(&self) -> Server {
        Server { place: self.place, host: self.host.to_owned() }
    }

    /// Returns what names the check `aspect` of this place to those that hang on it.
    pub(super) fn cause(&self, aspect: Aspect) -> Arc<Cause> {
        Arc::new(Cause {
            id: CheckId::at(self.place, aspect),
            place: self.place,
            host: self.host.to_owned(),
            address: Some(self.address.clone()),
        })
    }

    /// Not proven, because of `cause`, which did not hold.
    pub(super) fn follows(&self, aspect: Aspect, cause: &Arc<Cause>, observed: &str) -> Finding {
        let mut finding = self.finding(aspect, Status::NotProven);
        finding.because_of = Some(cause.clone());
        finding.saw(observed, expectation(self.place, aspect))
    }
}

pub(super) fn expectation(place: Place, aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Resolve => "the name resolves",
        Aspect::Connect => "a TCP connection opens",
        Aspect::Tls => "TLS is spoken, in time",
        Aspect::Protocol => "TLS 1.2 or 1.3 with ECDHE and AEAD",
        Aspect::Chain => "a chain to this cluster's root",
        Aspect::Possession => "the handshake is signed by the certificate's key",
        Aspect::Dates => "leaf, intermediates and root are in date",
        Aspect::Expiry => "time enough is left",
        Aspect::Name => "the certificate names every address that may be dialled",
        Aspect::Usage => "a server's certificate (serverAuth, not a CA)",
        Aspect::Revoked => "not revoked, by a list that this root signed and that is fresh",
        Aspect::Listed => "the API server knows this node, by the addresses that it is dialled at",
        Aspect::Heartbeat => "the node itself has renewed its Lease at a master within 40 s",
        Aspect::Admission => "what a node must not write is refused, and what it may write is not (dry runs)",
        Aspect::Backend => "the API server's store answers it (/livez)",
        Aspect::Denials => "what is revoked is denied, and so is what authorization.yaml takes from nodes",
        Aspect::Config => "anonymous off, webhook on, a client CA, authorization Webhook, read-only port 0",
        Aspect::Flags => {
            "kubelets are verified, a client CA, no anonymous callers, an authorizer that is not AlwaysAllow"
        }
        Aspect::Scope => "the account may do its own node's work and no other's",
        Aspect::Identity => "the certificate that was issued last for this host",
        Aspect::Caller if place == Place::Node => "the master's certificate is accepted: 2xx with a PodList",
        Aspect::Caller => "the node's certificate is accepted: 201",
        Aspect::Whoami => "exactly the node's account, groups and certificate",
        Aspect::Anonymous => "a caller without a certificate is refused: 401, 403 or a TLS alert",
        Aspect::Untrusted => "a certificate that the root did not sign is refused: 401, 403 or a TLS alert",
        Aspect::OtherNode => "another node's certificate is refused: 401 or 403",
        Aspect::Readonly => "the read-only port is closed",
        _ => "",
    }
}

/// The checks of a peer's certificate, in the catalogue's order.
pub(super) const TARGET_CHECKS: [Aspect; 7] =
    [Aspect::Protocol, Aspect::Chain, Aspect::Possession, Aspect::Dates, Aspect::Expiry, Aspect::Name, Aspect::Usage];
