//! Responses of a kubelet, as recorded from Kubernetes 1.36.2.

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::injected_fault::InjectedFault;
use super::response::{self, HttpResponse};
use super::state::AuthenticatedClient;

/// The user name of API servers as clients of kubelets.
const KUBELET_ADMIN: &str = "kube-apiserver-kubelet-client";

/// Responds to a request that follows `before` others on its connection.
pub(super) fn respond(
    client: Option<&AuthenticatedClient>,
    fault: Option<InjectedFault>,
    before: usize,
    request: &Request<Incoming>,
) -> HttpResponse {
    const TEXT: &str = "text/plain; charset=utf-8";
    let path = request.uri().path();
    let open = match fault {
        Some(InjectedFault::AnonymousNode) => true,
        Some(InjectedFault::SecondRequest) => before > 0,
        Some(InjectedFault::OpenMetrics) => path == "/metrics",
        _ => false,
    };
    let admin =
        |client: &AuthenticatedClient| client.user == KUBELET_ADMIN && fault != Some(InjectedFault::ForbiddenMasters);
    let subresource = path.trim_matches('/').split('/').next().unwrap_or_default();
    match client {
        None if !open => return response::plain(StatusCode::UNAUTHORIZED, TEXT, "Unauthorized"),
        Some(client) if path == "/configz" && client.is_verifier() => {}
        Some(client) if !open && !admin(client) && !client.is_in("system:masters") => {
            let verb = verb(request.method());
            let user = &client.user;
            let body =
                format!("Forbidden (user={user}, verb={verb}, resource=nodes, subresource(s)=[{subresource} proxy])\n");
            return response::plain(StatusCode::FORBIDDEN, TEXT, body);
        }
        _ => {}
    }
    match path {
        "/pods" | "/pods/" => {
            let body = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;
            response::plain(StatusCode::OK, "application/json", format!("{body}\n"))
        }
        "/healthz" => response::plain(StatusCode::OK, TEXT, "ok"),
        "/metrics" => response::plain(StatusCode::OK, TEXT, "kubelet_running_pods 0\n"),
        "/configz" => response::plain(StatusCode::OK, "application/json", kubelet_config().to_string()),
        _ => response::plain(StatusCode::NOT_FOUND, TEXT, "404 page not found\n"),
    }
}

fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "DELETE" => "delete",
        "PATCH" => "patch",
        _ => "get",
    }
}

fn kubelet_config() -> Value {
    json!({"kubeletconfig": {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "authentication": {
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
            "webhook": {"enabled": true, "cacheTTL": "2m0s"},
            "anonymous": {"enabled": false},
        },
        "authorization": {"mode": "Webhook"},
    }})
}
