//! Plans which client makes which requests to which server.

use super::context::Run;
use crate::cluster::profile::CaRole;
use crate::verify::identities::{UntrustedClient, identity_of};
use crate::verify::identity::Identity;
use crate::verify::observation::{Client, Request, Untrusted};
use crate::verify::target::Peer;

/// A planned request.
#[derive(Clone)]
pub(super) struct PlannedRequest {
    pub(super) client: Client,
    /// The client's credential, `None` for an unauthenticated client; or the reason why there is none.
    pub(super) identity: Result<Option<Identity>, String>,
    pub(super) request: Request,
    /// Follow-up requests on the same connection.
    pub(super) more: &'static [Request],
}

impl PlannedRequest {
    fn new(client: Client, identity: Result<Option<&Identity>, String>, request: Request) -> Self {
        Self { client, identity: identity.map(Option::<&Identity>::cloned), request, more: &[] }
    }

    /// Plans the requests of an unauthenticated client. The first one is repeated, because a proxy may check only the
    /// first request of a connection.
    fn anonymous(request: Request, more: &'static [Request]) -> Self {
        Self { more, ..Self::new(Client::Anonymous, Ok(None), request) }
    }

    fn untrusted((kind, identity): &UntrustedClient, request: Request, more: &'static [Request]) -> Self {
        let identity = identity.as_ref().map(Some).map_err(Clone::clone);
        Self { more, ..Self::new(Client::Untrusted(*kind), identity, request) }
    }
}

/// Follow-up requests of unauthenticated and untrusted clients: protected data, and the client's identity.
const KUBELET_DATA: [Request; 5] =
    [Request::Pods, Request::RunningPods, Request::StatsSummary, Request::Metrics, Request::Configz];

const API_SERVER_DATA: [Request; 5] =
    [Request::Nodes, Request::WhoAmI, Request::WhoAmIByHeader, Request::Secrets, Request::AllPods];

impl Run {
    /// Plans the requests at a kubelet. Permitted clients come first: a refusal proves nothing if every client is
    /// refused.
    pub(super) fn kubelet_requests(&self, peer: &Peer, i: usize) -> Vec<PlannedRequest> {
        let masters = &self.target.masters;
        let by_master = |master: &Peer| {
            PlannedRequest::new(Client::Master(master.name.clone()), identity_of(master), Request::Pods)
        };
        let mut planned: Vec<PlannedRequest> = masters.iter().map(by_master).collect();
        // Without a control-plane node's certificate the verifier connects: the kubelet authenticates it, but denies
        // it what control-plane nodes may do.
        let verifier = self.target.verifier.as_ref();
        let as_verifier =
            |request| verifier.map(|verifier| PlannedRequest::new(Client::Verifier, Ok(Some(verifier)), request));
        if self.plan.first_master.is_none() {
            planned.extend(as_verifier(Request::Pods));
        }
        planned.push(PlannedRequest::anonymous(Request::Pods, &KUBELET_DATA));
        // There are many kubelets: one kind of client makes the follow-up requests.
        let more =
            |identity: &UntrustedClient| if identity.0 == Untrusted::UnknownCa { &KUBELET_DATA[..] } else { &[] };
        let untrusted = self.untrusted.at_nodes.iter();
        planned.extend(untrusted.map(|identity| PlannedRequest::untrusted(identity, Request::Pods, more(identity))));
        let before = masters.len() + usize::from(self.target.endpoint.is_some());
        let other = i.checked_sub(before).and_then(|at| *self.plan.others.get(at)?);
        planned.extend(other.filter(|at| self.target.nodes[*at].name != peer.name).map(|at| {
            let name = self.target.nodes[at].name.clone();
            PlannedRequest::new(Client::OtherNode(name), self.plan.other_node(&self.target, at), Request::Pods)
        }));
        planned.extend(as_verifier(Request::Configz));
        // Kubelets trust only the cluster's CA.
        if self.rotated() == Some(CaRole::Cluster) {
            planned.extend(self.canaries(Request::Pods));
        }
        planned
    }

    /// Returns the role whose rotation the run proves.
    fn rotated(&self) -> Option<CaRole> {
        self.target.phase.as_ref().map(|phase| phase.role)
    }

    /// Plans the requests of a client of each of the two CAs of a rotation.
    fn canaries(&self, request: Request) -> Vec<PlannedRequest> {
        let Some(phase) = self.target.phase.as_ref().filter(|phase| phase.rotation.phase.trusts_new()) else {
            return Vec::new();
        };
        let plan = |client, identity: &Result<Identity, String>| {
            PlannedRequest::new(client, identity.as_ref().map(Some).map_err(Clone::clone), request)
        };
        vec![plan(Client::NewRoot, &phase.of_new), plan(Client::OldRoot, &phase.of_old)]
    }

    pub(super) fn api_server_requests(&self) -> Vec<PlannedRequest> {
        let verifier = self.target.verifier.as_ref();
        let as_verifier =
            |request| verifier.map(|verifier| PlannedRequest::new(Client::Verifier, Ok(Some(verifier)), request));
        // Without etcd every read times out, so the state of etcd has to be known first.
        let health = as_verifier(Request::Livez).map(|one| PlannedRequest { more: &[Request::Readyz], ..one });
        let mut planned: Vec<PlannedRequest> = health.into_iter().chain(as_verifier(Request::Nodes)).collect();
        planned.push(PlannedRequest::anonymous(Request::Nodes, &API_SERVER_DATA));
        let untrusted = self.untrusted.at_masters.iter();
        planned.extend(untrusted.map(|identity| PlannedRequest::untrusted(identity, Request::Nodes, &API_SERVER_DATA)));
        planned.extend(as_verifier(Request::Flagz));
        if self.target.token_keys.is_some() {
            planned.extend(as_verifier(Request::TokenKeys));
        }
        match self.rotated() {
            Some(CaRole::Cluster) => planned.extend(self.canaries(Request::WhoAmI)),
            Some(CaRole::FrontProxy) => planned.extend(self.canaries(Request::WhoAmIByHeader)),
            Some(CaRole::Etcd) | None => {}
        }
        planned
    }
}

/// Returns true if a client is permitted a request that others must be refused.
pub(super) fn is_permitted(client: &Client, request: Request) -> bool {
    match client {
        Client::Master(_) => true,
        Client::Verifier => matches!(request, Request::Pods | Request::Nodes),
        _ => false,
    }
}
