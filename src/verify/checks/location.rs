//! The location of a finding, and what each check expects there.

use std::sync::Arc;

use super::super::finding::{Aspect, Cause, CheckId, Finding, Status};
use super::super::remedy::Server;
use super::super::target::Place;

/// The location of a finding.
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

    /// Returns the server at this location, for remedies.
    pub(super) fn server(&self) -> Server {
        Server { place: self.place, host: self.host.to_owned() }
    }

    /// Returns the check `aspect` of this location as the cause of others.
    pub(super) fn cause(&self, aspect: Aspect) -> Arc<Cause> {
        Arc::new(Cause {
            id: CheckId::at(self.place, aspect),
            place: self.place,
            host: self.host.to_owned(),
            address: Some(self.address.clone()),
        })
    }

    /// Returns a finding that is not proven because of `cause`.
    pub(super) fn follows(&self, aspect: Aspect, cause: &Arc<Cause>, observed: &str) -> Finding {
        let mut finding = self.finding(aspect, Status::NotProven);
        finding.because_of = Some(cause.clone());
        finding.saw(observed, expectation(self.place, aspect))
    }
}

/// Returns the text of what a check expects.
pub(in crate::verify) fn expectation(place: Place, aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Resolve => "the name resolves",
        Aspect::Connect => "a TCP connection opens",
        Aspect::Tls => "the server speaks TLS, in time",
        Aspect::Protocol => "TLS 1.2 or 1.3 with ECDHE and AEAD",
        Aspect::Chain => "a chain to this cluster's root",
        Aspect::Possession => "the handshake is signed by the certificate's key",
        Aspect::Dates => "leaf, intermediates and root are valid now",
        Aspect::Expiry => "enough time is left",
        Aspect::Name => "the certificate names every address of the host",
        Aspect::Usage => "a serving certificate (serverAuth, not a CA)",
        Aspect::Revoked => "not revoked, by a current CRL of this root",
        Aspect::Listed => "the API server lists this node, with the addresses at which it is dialled",
        Aspect::Heartbeat => "the node itself has renewed its Lease at an API server within 40 s",
        Aspect::Admission => "forbidden writes of a node are refused, and permitted ones are not (dry runs)",
        Aspect::Backend => "the API server reaches etcd (/livez)",
        Aspect::Denials => "revoked certificates are denied, and so is what authorization.yaml forbids to nodes",
        Aspect::Config => "anonymous off, webhook on, a client CA, authorization Webhook, read-only port 0",
        Aspect::Flags => {
            "kubelets are verified, a client CA, no anonymous clients, an authorizer that is not AlwaysAllow"
        }
        Aspect::Scope => "the account has its own node's rights and no other's",
        Aspect::Identity => "the certificate that was issued last for this host",
        Aspect::Caller if place == Place::Node => {
            "the control-plane node's certificate is accepted: 2xx with a PodList"
        }
        Aspect::Caller => "the node's certificate is accepted: 201",
        Aspect::Whoami => "exactly the node's account, groups and certificate",
        Aspect::Anonymous => "a client without a certificate is refused: 401, 403 or a TLS alert",
        Aspect::Untrusted => "a certificate that the root did not sign is refused: 401, 403 or a TLS alert",
        Aspect::OtherNode => "another node's certificate is refused: 401 or 403",
        Aspect::Readonly => "the read-only port is closed",
        Aspect::NewRoot => "a client certificate issued by the new CA is accepted",
        Aspect::OldRoot => "a client certificate issued by the old CA is accepted, until it is dropped",
        Aspect::ServedRoot => "a chain to the root that the phase requires",
        Aspect::Installed => "the certificate that was issued last for this host",
        Aspect::TokenKeys => "exactly the public keys of the phase, the signing one first",
        Aspect::Health => "the member answers, and has a quorum",
        _ => "",
    }
}

/// The checks that need a handshake, except for those of clients, in the order of all checks.
pub(super) const TARGET_CHECKS: [Aspect; 7] =
    [Aspect::Protocol, Aspect::Chain, Aspect::Possession, Aspect::Dates, Aspect::Expiry, Aspect::Name, Aspect::Usage];
