//! What an API server and a kubelet say, as recorded from Kubernetes 1.36.2: statuses, headers and bodies, and the small
//! part of authorization that `verify` asks about.

use std::sync::atomic::Ordering;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc2822;
use time::{Duration, OffsetDateTime};

use super::cluster::ServerState;
use super::injected_fault::InjectedFault;
use crate::cluster::address::Address;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::spec::Host;
use crate::pki::fingerprint::Fingerprint;

/// Who calls, after authentication.
pub(super) struct AuthenticatedClient {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
    pub(super) credential: Fingerprint,
}

type Answer = Response<Full<Bytes>>;

/// To plain HTTP on a TLS port, then the connection is closed.
pub(super) const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
/// The user that API servers are to kubelets.
const KUBELET_ADMIN: &str = "kube-apiserver-kubelet-client";
/// An API server's flags, as far as they bear on trust.
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
/// What authorization.yaml answers a revoked certificate.
const REVOKED: &str = "clusterctl: this certificate was revoked";
/// What precedes a certificate's digest in a credential-id.
const CREDENTIAL: &str = "X509SHA256=";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
/// The number of every Node here.
const NODE_UID: &str = "6d1b3c1e-0000-4000-8000-000000000000";
/// Longer than anybody waits.
const UNANSWERED: std::time::Duration = std::time::Duration::from_secs(60);
const MAX_REQUEST: usize = 64 * 1024;

/// A kubelet's answer to a request that `before` others came before on its connection.
pub(super) fn kubelet(
    client: Option<&AuthenticatedClient>,
    fault: Option<InjectedFault>,
    before: usize,
    request: &Request<Incoming>,
) -> Answer {
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
    // RBAC lets this group do everything.
    let masters = |client: &AuthenticatedClient| client.groups.iter().any(|group| group == "system:masters");
    let subresource = path.trim_matches('/').split('/').next().unwrap_or_default();
    match client {
        None if !open => return answer(StatusCode::UNAUTHORIZED, TEXT, "Unauthorized"),
        Some(client) if path == "/configz" && is_verifier(client) => {}
        Some(client) if !open && !admin(client) && !masters(client) => {
            let verb = verb(request.method());
            let user = &client.user;
            let body =
                format!("Forbidden (user={user}, verb={verb}, resource=nodes, subresource(s)=[{subresource} proxy])\n");
            return answer(StatusCode::FORBIDDEN, TEXT, body);
        }
        _ => {}
    }
    match path {
        "/pods" | "/pods/" => {
            let body = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;
            answer(StatusCode::OK, "application/json", format!("{body}\n"))
        }
        "/healthz" => answer(StatusCode::OK, TEXT, "ok"),
        "/metrics" => answer(StatusCode::OK, TEXT, "kubelet_running_pods 0\n"),
        "/configz" => answer(StatusCode::OK, "application/json", kubelet_config().to_string()),
        _ => answer(StatusCode::NOT_FOUND, TEXT, "404 page not found\n"),
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

/// An API server's answer.
pub(super) async fn api_server(
    state: &ServerState,
    client: Option<&AuthenticatedClient>,
    request: Request<Incoming>,
) -> Answer {
    let open = state.fault == Some(InjectedFault::AnonymousMaster);
    let path = request.uri().path().to_owned();
    let Some(client) = client else {
        return match path.as_str() {
            "/api/v1/nodes" if open => node_list(state),
            "/api/v1/secrets" if state.fault == Some(InjectedFault::OpenSecrets) => api_answer(
                state,
                StatusCode::OK,
                &json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}),
            ),
            _ => failure(state, StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"),
        };
    };
    if state.denies(client.credential) {
        let message = format!("Internal error occurred: {REVOKED}");
        return failure(state, StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &message);
    }
    let method = request.method().clone();
    let reads = matches!(method.as_str(), "GET" | "PATCH") && path.starts_with("/api") || path.ends_with("/pods");
    if reads && state.fault == Some(InjectedFault::EtcdDown) {
        tokio::time::sleep(UNANSWERED).await;
    }
    if let Some(dry_run) = written(state, client, &method, &path, request.uri().query()) {
        let body = Limited::new(request.into_body(), MAX_REQUEST).collect().await;
        let body = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok());
        return dry_run.answer(state, &body.unwrap_or_default());
    }
    match (method.as_str(), path.as_str()) {
        ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews") => {
            let named = request.headers().get("x-remote-user").and_then(|name| name.to_str().ok());
            let mut review = self_subject_review(state, client);
            if let Some(name) = named.filter(|_| state.fault == Some(InjectedFault::BelievedHeader)) {
                review["status"]["userInfo"] = json!({"username": name, "groups": ["system:authenticated"]});
            }
            api_answer(state, StatusCode::CREATED, &review)
        }
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") => {
            let body = Limited::new(request.into_body(), MAX_REQUEST).collect().await;
            let asked = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok());
            match asked.and_then(|asked| asked.get("spec").cloned()) {
                Some(spec) => api_answer(state, StatusCode::CREATED, &access_review(state, client, &spec)),
                None => failure(state, StatusCode::BAD_REQUEST, "BadRequest", "the request body is no review"),
            }
        }
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews") if may_ask_about_others(state, client) => {
            let body = Limited::new(request.into_body(), MAX_REQUEST).collect().await;
            let asked = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok());
            match asked.and_then(|asked| asked.get("spec").cloned()) {
                Some(spec) => api_answer(state, StatusCode::CREATED, &review_of_another(state, &spec)),
                None => failure(state, StatusCode::BAD_REQUEST, "BadRequest", "the request body is no review"),
            }
        }
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews") => {
            let message = format!(
                "subjectaccessreviews.authorization.k8s.io is forbidden: User \"{}\" cannot create resource \
                 \"subjectaccessreviews\" in API group \"authorization.k8s.io\" at the cluster scope",
                user_name(state, client)
            );
            failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
        }
        ("GET", "/api/v1/nodes") if open || may_list_nodes(client) => node_list(state),
        ("GET", LEASES) if may_list_nodes(client) => lease_list(state),
        ("GET", LEASES) => {
            let message = format!(
                "leases.coordination.k8s.io is forbidden: User \"{}\" cannot list resource \"leases\" in API group \
                 \"coordination.k8s.io\" in the namespace \"kube-node-lease\"",
                user_name(state, client)
            );
            failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
        }
        ("GET", "/flagz") if may_list_nodes(client) => {
            let verified = "kubelet-certificate-authority: /etc/kubernetes/pki/ca.crt";
            let flags = match state.fault {
                Some(InjectedFault::UnverifiedKubelets) => FLAGZ.replace(verified, "kubelet-certificate-authority: "),
                _ => FLAGZ.to_owned(),
            };
            answer(StatusCode::OK, "text/plain; charset=utf-8", flags)
        }
        ("GET", "/flagz") => forbidden_path(state, client, "/flagz"),
        ("GET", "/api/v1/nodes") => forbidden(state, client, "list", "nodes", None),
        ("GET", "/version") => {
            api_answer(state, StatusCode::OK, &json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2"}))
        }
        ("GET", "/livez" | "/readyz") if state.fault == Some(InjectedFault::EtcdDown) => {
            let name = path.trim_start_matches('/');
            let body = format!("[+]ping ok\n[-]etcd failed: reason withheld\n{name} check failed\n");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", body)
        }
        ("GET", "/healthz" | "/livez" | "/readyz") => answer(StatusCode::OK, "text/plain; charset=utf-8", "ok"),
        ("GET", path) => match path.strip_prefix("/api/v1/nodes/") {
            Some(name) => match state.cluster.node(name) {
                Some(node) if own_host(state, client).is_some_and(|own| own.as_str() == name) => {
                    let at = state.cluster.nodes.iter().position(|node| node.name.as_str() == name).unwrap_or_default();
                    api_answer(state, StatusCode::OK, &node_object(state, at, node))
                }
                _ => forbidden(state, client, "get", "nodes", Some(name)),
            },
            None => {
                failure(state, StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
            }
        },
        _ => failure(state, StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource"),
    }
}

/// A dry-run write of a node.
enum DryRun<'a> {
    Node(&'a str),
    Pod(&'a str),
}

/// The dry-run write that a request is; nothing else can be written here.
fn written<'a>(
    state: &'a ServerState,
    client: &AuthenticatedClient,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Option<DryRun<'a>> {
    let own = own_host(state, client).filter(|_| query == Some("dryRun=All"))?.as_str();
    match method.as_str() {
        "PATCH" if path.strip_prefix("/api/v1/nodes/") == Some(own) => Some(DryRun::Node(own)),
        "POST" if path == "/api/v1/namespaces/kube-system/pods" => Some(DryRun::Pod(own)),
        _ => None,
    }
}

impl DryRun<'_> {
    /// As the admission policies of `accounts: kubelet` answer.
    fn answer(&self, state: &ServerState, body: &Value) -> Answer {
        let admits = state.fault == Some(InjectedFault::NoAdmission);
        let refused = |what: &str, policy: &str, words: &str| {
            let message = format!(
                "{what} is forbidden: ValidatingAdmissionPolicy 'clusterctl-kubelets-{policy}' with binding \
                 'clusterctl-kubelets-{policy}' denied request: clusterctl: {words}"
            );
            failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
        };
        let object = |name: &str| json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name, "uid": NODE_UID}});
        match self {
            Self::Node(own) if !admits && body.pointer("/spec/taints").is_some() => {
                refused(&format!("nodes \"{own}\""), "nodes", "a node does not change its taints")
            }
            Self::Node(own) => api_answer(state, StatusCode::OK, &object(own)),
            Self::Pod(own) => {
                let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                let on = body.pointer("/spec/nodeName").and_then(Value::as_str);
                let owner = body.pointer("/metadata/ownerReferences/0/uid").and_then(Value::as_str);
                let pod = format!("pods \"{name}\"");
                match (admits, on == Some(*own), owner == Some(NODE_UID)) {
                    (true, ..) | (_, true, true) => api_answer(state, StatusCode::CREATED, &object(name)),
                    (_, false, _) => {
                        let words = "a node writes the pods alone whose spec.nodeName is its own";
                        refused(&pod, "pods", words)
                    }
                    _ => refused(&pod, "pods", "a node creates mirror pods alone, owned by its own Node"),
                }
            }
        }
    }
}

/// Nodes ask this of the clients of their own port.
fn may_ask_about_others(state: &ServerState, client: &AuthenticatedClient) -> bool {
    may_list_nodes(client) || own_host(state, client).is_some()
}

fn may_list_nodes(client: &AuthenticatedClient) -> bool {
    is_verifier(client) || client.groups.iter().any(|group| group == "system:masters")
}

fn is_verifier(client: &AuthenticatedClient) -> bool {
    client.groups.iter().any(|group| group == "clusterctl:verifiers")
}

/// The node whose account the client is.
fn own_host<'a>(state: &'a ServerState, client: &AuthenticatedClient) -> Option<&'a HostName> {
    state.users.get(&client.user)
}

fn self_subject_review(state: &ServerState, client: &AuthenticatedClient) -> Value {
    let mut groups = client.groups.clone();
    groups.push("system:authenticated".to_owned());
    json!({
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": stamp(state.now)},
        "status": {"userInfo": {
            "username": user_name(state, client),
            "groups": groups,
            "extra": {
                "authentication.kubernetes.io/credential-id": [format!("X509SHA256={}", client.credential)],
            },
        }},
    })
}

/// The user that a client is taken for: the certificate's, but for the fault that takes the first node for the second.
fn user_name(state: &ServerState, client: &AuthenticatedClient) -> String {
    let swapped = state.fault == Some(InjectedFault::SwappedAccount);
    match state.cluster.nodes.as_slice() {
        [first, second, ..] if swapped && own_host(state, client) == Some(&first.name) => {
            state.cluster.accounts.account(&second.name).user
        }
        _ => client.user.clone(),
    }
}

/// A SelfSubjectAccessReview by the policy pack of `accounts: kubelet`, which narrows `system:node` in the same way.
fn access_review(state: &ServerState, client: &AuthenticatedClient, spec: &Value) -> Value {
    let asked = spec.get("resourceAttributes").unwrap_or(&Value::Null);
    let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or_default();
    let own = own_host(state, client).map(HostName::as_str);
    let by_name = own.is_some_and(|own| text("name") == own);
    let own_pods = asked
        .pointer("/fieldSelector/requirements/0")
        .filter(|requirement| requirement.get("key").and_then(Value::as_str) == Some("spec.nodeName"))
        .and_then(|requirement| requirement.pointer("/values/0")?.as_str())
        .is_some_and(|node| Some(node) == own);
    let allowed = own.is_some()
        && match (text("resource"), text("subresource"), text("verb")) {
            ("services" | "csidrivers" | "runtimeclasses", "", "get" | "list" | "watch") => true,
            ("nodes" | "leases" | "csinodes" | "events" | "pods", "", "create") => true,
            ("events", "", "patch" | "update") | ("pods", "", "get" | "delete") => true,
            ("tokenreviews" | "subjectaccessreviews", "", "create") => true,
            ("pods", "status", "patch" | "update") => true,
            ("pods", "", "list" | "watch") => own_pods,
            ("nodes", "", "get" | "list" | "watch" | "update" | "patch") => by_name,
            ("nodes", "status", "update" | "patch") => by_name,
            ("leases", "", "get" | "update" | "patch") => by_name,
            ("csinodes", "", "get" | "update" | "patch" | "delete") => by_name,
            ("secrets" | "configmaps", "", "get") => !text("name").is_empty(),
            _ => false,
        };
    let mut status = json!({"allowed": allowed});
    match state.fault {
        Some(InjectedFault::ContradictoryReviews) if allowed => status["denied"] = json!(true),
        Some(InjectedFault::FailingAuthorizer) => {
            status["evaluationError"] = json!("webhook \"policy\" failed: connection refused")
        }
        _ => {}
    }
    if allowed {
        status["reason"] = json!("RBAC: allowed by ClusterRoleBinding \"kubelets\" of ClusterRole \"kubelets\"");
    }
    json!({
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": status,
    })
}

/// A SubjectAccessReview by authorization.yaml: what is revoked is denied, and a node's list of secrets; all else is left to others.
fn review_of_another(state: &ServerState, spec: &Value) -> Value {
    let ids = spec.pointer("/extra/authentication.kubernetes.io~1credential-id").and_then(Value::as_array);
    let mut ids = ids.into_iter().flatten().filter_map(|id| Fingerprint::parse(id.as_str()?.strip_prefix(CREDENTIAL)?));
    let is_node = spec.get("user").and_then(Value::as_str).is_some_and(|user| user.starts_with("kubelet:"));
    let asked = |key: &str| spec.pointer(&format!("/resourceAttributes/{key}")).and_then(Value::as_str);
    let why = if ids.any(|id| state.denies(id)) {
        Some(REVOKED)
    } else if is_node && (asked("verb"), asked("resource")) == (Some("list"), Some("secrets")) {
        Some("clusterctl: a node gets these by metadata.name, and no list of them")
    } else {
        None
    };
    let status = match why {
        Some(why) => json!({"allowed": false, "denied": true, "evaluationError": format!("no such key: {why}")}),
        None => json!({"allowed": asked("resource").is_none()}),
    };
    json!({
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": status,
    })
}

fn node_list(state: &ServerState) -> Answer {
    let items: Vec<Value> = (0..).zip(&state.cluster.nodes).map(|(i, node)| node_object(state, i, node)).collect();
    // Kubernetes's own order of keys, which serde_json would sort.
    let body = format!(
        "{{\n  \"kind\": \"NodeList\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {{\n    \"resourceVersion\": \"977\"\n  }},\n  \
         \"items\": {}\n}}\n",
        Value::from(items)
    );
    with_audit(state, answer(StatusCode::OK, "application/json", body))
}

/// When the node at this position was last heard of, and whether that is long ago.
fn last_seen(state: &ServerState, at: usize) -> (OffsetDateTime, bool) {
    let silent = state.fault == Some(InjectedFault::SilentNode) && at == InjectedFault::node(state.cluster.nodes.len());
    (state.now - if silent { Duration::HOUR } else { Duration::seconds(3) }, silent)
}

fn lease_list(state: &ServerState) -> Answer {
    let lease = |(at, node): (usize, &Host)| {
        let name = node.name.as_str();
        json!({
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": stamp(last_seen(state, at).0)},
        })
    };
    let items: Vec<Value> = state.cluster.nodes.iter().enumerate().map(lease).collect();
    let list = json!({"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "metadata": {}, "items": items});
    api_answer(state, StatusCode::OK, &list)
}

fn node_object(state: &ServerState, at: usize, node: &Host) -> Value {
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

fn forbidden(
    state: &ServerState,
    client: &AuthenticatedClient,
    verb: &str,
    resource: &str,
    name: Option<&str>,
) -> Answer {
    let named = name.map(|name| format!(" \"{name}\"")).unwrap_or_default();
    let user = user_name(state, client);
    let message = format!(
        "{resource}{named} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"\" at the \
         cluster scope"
    );
    failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
}

fn forbidden_path(state: &ServerState, client: &AuthenticatedClient, path: &str) -> Answer {
    let message = format!("forbidden: User \"{}\" cannot get path \"{path}\"", user_name(state, client));
    failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
}

fn failure(state: &ServerState, code: StatusCode, reason: &str, message: &str) -> Answer {
    // Kubernetes's own order of keys, which serde_json would sort.
    let body = format!(
        "{{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {{}},\n  \"status\": \"Failure\",\n  \
         \"message\": {},\n  \"reason\": \"{reason}\",\n  \"code\": {}\n}}\n",
        Value::from(message),
        code.as_u16()
    );
    with_audit(state, answer(code, "application/json", body))
}

fn api_answer(state: &ServerState, code: StatusCode, body: &Value) -> Answer {
    with_audit(state, answer(code, "application/json", format!("{body:#}\n")))
}

fn with_audit(state: &ServerState, mut answer: Answer) -> Answer {
    let number = state.requests.load(Ordering::Relaxed);
    let headers = answer.headers_mut();
    if let Ok(id) = format!("00000000-0000-4000-8000-{number:012x}").parse() {
        headers.insert("audit-id", id);
    }
    // The stand-in's own clock, by which its leases are renewed.
    if let Ok(date) = state.now.format(&Rfc2822).unwrap_or_default().replace("+0000", "GMT").parse() {
        headers.insert(hyper::header::DATE, date);
    }
    headers.insert("cache-control", hyper::header::HeaderValue::from_static("no-cache, private"));
    answer
}

fn answer(code: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = code;
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, content_type);
    answer
}
