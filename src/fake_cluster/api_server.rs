//! Responses of an API server, as recorded from Kubernetes 1.36.2.

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::injected_fault::InjectedFault;
use super::response::{self, HttpResponse};
use super::state::{AuthenticatedClient, ServerState};
use super::{dry_run, nodes, reviews};

/// An API server's flags that concern trust.
const FLAGZ: &str = "\n\
    apiserver flagz\n\
    Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for \
    debugging purposes only.\n\
    advertise-address: 127.0.0.1\n\
    anonymous-auth: false\n\
    authentication-config: \n\
    authorization-config: /etc/kubernetes/clusterctl/authorization.yaml\n\
    authorization-mode: []\n\
    client-ca-file: /etc/kubernetes/pki/ca.crt\n\
    enable-admission-plugins: [NodeRestriction]\n\
    kubelet-certificate-authority: /etc/kubernetes/pki/ca.crt\n";

const JWKS: &str = "/openid/v1/jwks";

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/// A delay that is longer than any client's time limit.
const UNANSWERED: std::time::Duration = std::time::Duration::from_secs(60);

const MAX_REQUEST: usize = 64 * 1024;

/// Responds to a request.
pub(super) async fn respond(
    state: &ServerState,
    client: Option<&AuthenticatedClient>,
    token_keys: &[String],
    request: Request<Incoming>,
) -> HttpResponse {
    let open = state.fault == Some(InjectedFault::AnonymousMaster);
    let path = request.uri().path().to_owned();
    let Some(client) = client else {
        return match path.as_str() {
            "/api/v1/nodes" if open => nodes::node_list(state),
            "/api/v1/secrets" if state.fault == Some(InjectedFault::OpenSecrets) => response::object(
                state,
                StatusCode::OK,
                &json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}),
            ),
            _ => response::failure(state, StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"),
        };
    };
    if client.credential.is_some_and(|credential| state.denies(credential)) {
        let message = format!("Internal error occurred: {}", reviews::REVOKED);
        return response::failure(state, StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &message);
    }
    let method = request.method().clone();
    let reads = matches!(method.as_str(), "GET" | "PATCH") && path.starts_with("/api") || path.ends_with("/pods");
    if reads && state.fault == Some(InjectedFault::EtcdDown) {
        tokio::time::sleep(UNANSWERED).await;
    }
    if let Some(write) = dry_run::of_request(state, client, &method, &path, request.uri().query()) {
        let body = Limited::new(request.into_body(), MAX_REQUEST).collect().await;
        let body = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok());
        return write.respond(state, &body.unwrap_or_default());
    }
    match method.as_str() {
        "POST" => post(state, client, &path, request).await,
        "GET" if path == JWKS => published(state, client, token_keys),
        "GET" => get(state, client, &path),
        _ => response::not_found(state),
    }
}

async fn post(
    state: &ServerState,
    client: &AuthenticatedClient,
    path: &str,
    request: Request<Incoming>,
) -> HttpResponse {
    match path {
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => {
            let named = request.headers().get("x-remote-user").and_then(|name| name.to_str().ok());
            let mut review = reviews::self_subject_review(state, client);
            if let Some(name) = named.filter(|_| state.fault == Some(InjectedFault::BelievedHeader)) {
                review["status"]["userInfo"] = json!({"username": name, "groups": ["system:authenticated"]});
            }
            response::object(state, StatusCode::CREATED, &review)
        }
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => match spec_of(request).await {
            Some(spec) => response::object(state, StatusCode::CREATED, &reviews::access_review(state, client, &spec)),
            None => response::failure(state, StatusCode::BAD_REQUEST, "BadRequest", "the request body is not a review"),
        },
        "/apis/authorization.k8s.io/v1/subjectaccessreviews" if state.may_review_others(client) => {
            match spec_of(request).await {
                Some(spec) => {
                    response::object(state, StatusCode::CREATED, &reviews::subject_access_review(state, &spec))
                }
                None => {
                    response::failure(state, StatusCode::BAD_REQUEST, "BadRequest", "the request body is not a review")
                }
            }
        }
        "/apis/authorization.k8s.io/v1/subjectaccessreviews" => {
            let message = format!(
                "subjectaccessreviews.authorization.k8s.io is forbidden: User \"{}\" cannot create resource \
                 \"subjectaccessreviews\" in API group \"authorization.k8s.io\" at the cluster scope",
                state.user_name(client)
            );
            response::failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
        }
        _ => response::not_found(state),
    }
}

/// Returns the spec of a review.
async fn spec_of(request: Request<Incoming>) -> Option<Value> {
    let body = Limited::new(request.into_body(), MAX_REQUEST).collect().await.ok()?;
    serde_json::from_slice::<Value>(&body.to_bytes()).ok()?.get("spec").cloned()
}

/// Returns the keys of service accounts, which only their readers get.
fn published(state: &ServerState, client: &AuthenticatedClient, token_keys: &[String]) -> HttpResponse {
    if !client.may_list_nodes() {
        return response::forbidden_path(state, client, JWKS);
    }
    let key = |id: &String| json!({"use": "sig", "kty": "EC", "kid": id, "crv": "P-256", "alg": "ES256"});
    let keys: Vec<Value> = token_keys.iter().map(key).collect();
    response::plain(StatusCode::OK, "application/jwk-set+json", json!({"keys": keys}).to_string())
}

fn get(state: &ServerState, client: &AuthenticatedClient, path: &str) -> HttpResponse {
    let open = state.fault == Some(InjectedFault::AnonymousMaster);
    match path {
        "/api/v1/nodes" if open || client.may_list_nodes() => nodes::node_list(state),
        LEASES if client.may_list_nodes() => nodes::lease_list(state),
        LEASES => {
            let message = format!(
                "leases.coordination.k8s.io is forbidden: User \"{}\" cannot list resource \"leases\" in API group \
                 \"coordination.k8s.io\" in the namespace \"kube-node-lease\"",
                state.user_name(client)
            );
            response::failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
        }
        "/flagz" if client.may_list_nodes() => {
            let verified = "kubelet-certificate-authority: /etc/kubernetes/pki/ca.crt";
            let flags = match state.fault {
                Some(InjectedFault::UnverifiedKubelets) => FLAGZ.replace(verified, "kubelet-certificate-authority: "),
                _ => FLAGZ.to_owned(),
            };
            response::plain(StatusCode::OK, "text/plain; charset=utf-8", flags)
        }
        "/flagz" => response::forbidden_path(state, client, "/flagz"),
        "/api/v1/nodes" => response::forbidden(state, client, "list", "nodes", None),
        "/version" => {
            response::object(state, StatusCode::OK, &json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2"}))
        }
        "/livez" | "/readyz" if state.fault == Some(InjectedFault::EtcdDown) => {
            let name = path.trim_start_matches('/');
            let body = format!("[+]ping ok\n[-]etcd failed: reason withheld\n{name} check failed\n");
            response::plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", body)
        }
        "/healthz" | "/livez" | "/readyz" => response::plain(StatusCode::OK, "text/plain; charset=utf-8", "ok"),
        path => match path.strip_prefix("/api/v1/nodes/") {
            Some(name) => match state.cluster.node(name) {
                Some(node) if state.own_host(client).is_some_and(|own| own.as_str() == name) => {
                    let at = state.cluster.nodes.iter().position(|node| node.name.as_str() == name).unwrap_or_default();
                    response::object(state, StatusCode::OK, &nodes::node_object(state, at, node))
                }
                _ => response::forbidden(state, client, "get", "nodes", Some(name)),
            },
            None => response::not_found(state),
        },
    }
}
