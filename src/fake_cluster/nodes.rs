//! Nodes and their Leases, as API servers list them.

use hyper::StatusCode;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::injected_fault::InjectedFault;
use super::response::{self, HttpResponse};
use super::state::ServerState;
use crate::cluster::address::Address;
use crate::cluster::duration::stamp;
use crate::cluster::spec::Host;

/// Responds with the list of nodes.
pub(super) fn node_list(state: &ServerState) -> HttpResponse {
    let items: Vec<Value> = (0..).zip(&state.cluster.nodes).map(|(i, node)| node_object(state, i, node)).collect();
    // Kubernetes's own order of keys, which serde_json would sort.
    let body = format!(
        "{{\n  \"kind\": \"NodeList\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {{\n    \"resourceVersion\": \"977\"\n  }},\n  \
         \"items\": {}\n}}\n",
        Value::from(items)
    );
    response::with_audit(state, response::plain(StatusCode::OK, "application/json", body))
}

/// Returns the time of the last heartbeat of the node at this position, and true if it is stale.
fn last_seen(state: &ServerState, at: usize) -> (OffsetDateTime, bool) {
    let silent = state.fault == Some(InjectedFault::SilentNode) && at == InjectedFault::node(state.cluster.nodes.len());
    (state.now - if silent { Duration::HOUR } else { Duration::seconds(3) }, silent)
}

/// Responds with the list of the nodes' Leases.
pub(super) fn lease_list(state: &ServerState) -> HttpResponse {
    let lease = |(at, node): (usize, &Host)| {
        let name = node.name.as_str();
        json!({
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": stamp(last_seen(state, at).0)},
        })
    };
    let items: Vec<Value> = state.cluster.nodes.iter().enumerate().map(lease).collect();
    let list = json!({"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "metadata": {}, "items": items});
    response::object(state, StatusCode::OK, &list)
}

/// Returns the Node at this position.
pub(super) fn node_object(state: &ServerState, at: usize, node: &Host) -> Value {
    let kind = |address: &Address| if address.ip().is_some() { "InternalIP" } else { "InternalDNS" };
    let mut addresses: Vec<Value> =
        node.addresses.iter().map(|a| json!({"type": kind(a), "address": a.to_string()})).collect();
    addresses.push(json!({"type": "Hostname", "address": node.name.as_str()}));
    let (seen, silent) = last_seen(state, at);
    let ready = match silent {
        true => ["Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."],
        false => ["True", "KubeletReady", "kubelet is posting ready status"],
    };
    let [status, reason, message] = ready;
    let ready = json!({
        "type": "Ready", "status": status, "reason": reason, "message": message, "lastHeartbeatTime": stamp(seen),
    });
    json!({
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": node.name.as_str()},
        "status": {"addresses": addresses, "conditions": [ready], "daemonEndpoints": {"kubeletEndpoint": {"Port": node.port}}},
    })
}
