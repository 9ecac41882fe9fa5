//! The texts of remedies for client authentication, authorization and admission.

use super::phrases::{API_SERVER_MANIFEST, name, where_to_run};
use crate::verify::remedy::{AuthenticationRemedy, AuthorizationRemedy, Program, Server, TargetKind};
use crate::verify::target::Place;

pub(super) fn authentication(remedy: &AuthenticationRemedy, kind: TargetKind) -> String {
    let text = match remedy {
        AuthenticationRemedy::RefuseUnauthenticated { program: Program::Kubelet } => {
            "every client may command this node: set authentication.anonymous.enabled: false, \
             authentication.x509.clientCAFile and authorization.mode: Webhook in the kubelet's configuration"
        }
        AuthenticationRemedy::RefuseUnauthenticated { program: Program::ApiServer } => {
            "every client may read this cluster: start the API server with --anonymous-auth=false, --client-ca-file and an \
             authorizer that is not AlwaysAllow, and look for roles bound to system:anonymous"
        }
        AuthenticationRemedy::TrustOneClientCa { program: Program::Kubelet } => {
            "the kubelet trusts certificates that this cluster's CA did not sign, or a proxy authenticates in its place: set \
             authentication.x509.clientCAFile to this cluster's ca.crt and to nothing else"
        }
        AuthenticationRemedy::TrustOneClientCa { program: Program::ApiServer } => {
            "the API server trusts certificates that this cluster's CA did not sign, or a proxy authenticates in its place: set \
             --client-ca-file to this cluster's ca.crt and to nothing else, and check the --requestheader flags and what \
             terminates TLS in front of it"
        }
        AuthenticationRemedy::TrustClusterCa { program } => {
            return format!(
                "{} rejects the client certificate in the handshake: it trusts another client CA",
                name(*program)
            );
        }
        AuthenticationRemedy::SetClientCa { program: Program::Kubelet } => {
            "the kubelet does not know the CA of the client certificate: set authentication.x509.clientCAFile to this cluster's \
             ca.crt, and check the dates of the client certificate"
        }
        AuthenticationRemedy::SetClientCa { program: Program::ApiServer } => {
            "the API server does not authenticate this certificate: check that --client-ca-file is this cluster's ca.crt, that \
             the certificate is valid now, and that nothing in front, such as a load balancer, terminates TLS"
        }
        AuthenticationRemedy::PassClientCertificate => {
            "the API server does not see this certificate: check that --client-ca-file is set, and that nothing in front \
             terminates TLS"
        }
        AuthenticationRemedy::SeparateFrontProxyCa => {
            "this node can impersonate every user: set --requestheader-client-ca-file to a CA of its own, of which no node has a \
             certificate, and --requestheader-allowed-names to the front proxy's name"
        }
        AuthenticationRemedy::FindOtherAuthenticator => {
            "this API server authenticates the node as another account: check what authenticates in front of it (a proxy, a \
             webhook, --requestheader flags), and the account scheme"
        }
        AuthenticationRemedy::FindSecondCredential => {
            "an API server names one certificate: find what adds another, such as a proxy or a webhook"
        }
        AuthenticationRemedy::FindTlsTermination => {
            "the API server saw another certificate than the one presented: find what terminates TLS in front of it"
        }
        AuthenticationRemedy::UpgradeForCredentialId => {
            "an API server older than 1.32 does not report which certificate it saw"
        }
        AuthenticationRemedy::UpgradeForSelfReview => {
            "SelfSubjectReview exists from Kubernetes 1.28 on; nothing follows from this response"
        }
        AuthenticationRemedy::DisableReadOnlyPort => "set readOnlyPort: 0 in the kubelet's configuration",
        AuthenticationRemedy::KubeletSettings => kubelet_settings(kind),
        AuthenticationRemedy::ApiServerFlags => return api_server_flags(kind),
    };
    text.to_owned()
}

fn kubelet_settings(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Directory | TargetKind::Bundle => {
            "install the host's bundle again, and look for flags or drop-in files of the kubelet that override it"
        }
        TargetKind::Kubeadm => {
            "set it in /var/lib/kubelet/config.yaml and the ConfigMap kubelet-config, restart the kubelet, and look for flags \
             (/var/lib/kubelet/kubeadm-flags.env) that override it"
        }
        TargetKind::Other => {
            "set it in the kubelet's configuration, and look for flags or drop-in files of the kubelet that override it"
        }
    }
}

fn api_server_flags(kind: TargetKind) -> String {
    match kind {
        TargetKind::Directory | TargetKind::Bundle => {
            "start the API server with the flags that the control-plane node's bundle contains".to_owned()
        }
        TargetKind::Kubeadm => {
            format!("set it in {API_SERVER_MANIFEST}, and in apiServer.extraArgs of the ClusterConfiguration")
        }
        TargetKind::Other => "start the API server with this flag set".to_owned(),
    }
}

pub(super) fn authorization(remedy: &AuthorizationRemedy, kind: TargetKind) -> String {
    let is_clusterctls = matches!(kind, TargetKind::Directory | TargetKind::Bundle);
    let text = match remedy {
        AuthorizationRemedy::UpdateDenials { server, no_rule } if is_clusterctls => {
            return update_denials(server, *no_rule, where_to_run(kind));
        }
        AuthorizationRemedy::AllowMasters if kind == TargetKind::Kubeadm => {
            "the control-plane node is authenticated but not permitted: renew its certificate with kubeadm certs renew \
             apiserver-kubelet-client, whose group may use kubelets, or bind ClusterRole system:kubelet-api-admin to user \
             kube-apiserver-kubelet-client"
        }
        AuthorizationRemedy::GrantNodes if is_clusterctls => {
            "grant the account its rights: apply the access rules of the control-plane nodes' bundle; or does another \
             authorizer, which is asked first, deny?"
        }
        AuthorizationRemedy::NarrowNodes if is_clusterctls => {
            "restrict a node's rights to its own objects, as the access rules of the control-plane nodes' bundle do, and look for \
             other roles that are bound to its user or group"
        }
        AuthorizationRemedy::NarrowReads if is_clusterctls => {
            "a kubelet needs the pods of its own node and the secrets that these name: see the access rules of the control-plane \
             nodes' bundle for what restricts its reads"
        }
        AuthorizationRemedy::RefuseWrites if is_clusterctls => {
            "enable NodeRestriction (--enable-admission-plugins) and apply the policies of policy/ with their bindings: a \
             compromised node could act for others"
        }
        other => return of_any_tool(other),
    };
    text.to_owned()
}

/// The texts for a cluster of any tool.
fn of_any_tool(remedy: &AuthorizationRemedy) -> String {
    let text = match remedy {
        AuthorizationRemedy::UpdateDenials { no_rule: true, .. } => {
            "check that the API server runs with --authorization-config, and that this file denies what is revoked: it has to be \
             restarted once for that"
        }
        AuthorizationRemedy::UpdateDenials { no_rule: false, .. } => {
            return format!("it has an older file of --authorization-config: copy the newest to it. {RELOADED}");
        }
        AuthorizationRemedy::RefuseOtherNodes => {
            "every node may command this one: set authorization.mode: Webhook in the kubelet's configuration, grant \
             nodes/proxy to control-plane nodes only, and check that the API server, which the kubelet asks, does not \
             run with AlwaysAllow; a kubelet caches a grant for five minutes"
        }
        AuthorizationRemedy::AllowMasters => {
            "the control-plane node is authenticated but not permitted: bind ClusterRole system:kubelet-api-admin to the user of \
             its certificate, which is usually kube-apiserver-kubelet-client"
        }
        AuthorizationRemedy::ReachAuthorizer => {
            "the kubelet authenticates the control-plane node and could not ask an API server for authorization: check that the \
             node reaches an API server, and that its own account is not revoked and has its rights"
        }
        AuthorizationRemedy::AllowSelfReview => {
            "the account is authenticated but may not ask for its identity: bind ClusterRole system:basic-user to group \
             system:authenticated; an API server before Kubernetes 1.28 has no SelfSubjectReview in v1"
        }
        AuthorizationRemedy::GrantNodes => {
            "grant the account its rights: the Node authorizer (--authorization-mode=Node,RBAC) has them for each node; or does \
             another authorizer, which is asked first, deny?"
        }
        AuthorizationRemedy::NarrowNodes => {
            "restrict a node's rights to its own objects, as the Node authorizer and NodeRestriction do, and look for other roles \
             that are bound to its user or group"
        }
        AuthorizationRemedy::NarrowReads => {
            "a kubelet needs the pods of its own node and the secrets that these name, to which the Node authorizer restricts its \
             reads: look for roles that are bound to its user or group"
        }
        AuthorizationRemedy::RefuseWrites => {
            "enable NodeRestriction (--enable-admission-plugins): a compromised node could act for others"
        }
        AuthorizationRemedy::AcceptOwnWrites => {
            "nothing follows from a refusal if what a node may write is not accepted either: see the API server's reason"
        }
        AuthorizationRemedy::EnableNodeRestriction => "add NodeRestriction to --enable-admission-plugins",
        AuthorizationRemedy::CheckNodeRestriction => {
            "check that --enable-admission-plugins holds NodeRestriction; with a verifier's certificate this is read from /flagz"
        }
        AuthorizationRemedy::FindContradictoryAuthorizer => {
            "no API server of Kubernetes responds so: find what answers in its place, or which authorizer this is"
        }
        AuthorizationRemedy::RepairAuthorizer => {
            "an authorizer of the API server fails: see the API server's log, and repair that first"
        }
        AuthorizationRemedy::FindDenyingAuthorizer => {
            "look for an authorizer of this API server that denies everything, or fails"
        }
    };
    text.to_owned()
}

const RELOADED: &str = "An API server reads a new one within a minute; one that does not logs the reason (\"authorization \
                        config\"), and reads it when it is restarted";

fn update_denials(server: &Server, no_rule: bool, there: &str) -> String {
    let (bundle, whose) = match server.place {
        Place::Master => (format!("clusterctl bundle {}", server.host), "its"),
        _ => ("clusterctl bundle --all".to_owned(), "each control-plane node's"),
    };
    let install = format!("install {whose} newest bundle ({there}{bundle})");
    match no_rule {
        true => format!(
            "{install}, and check that the API server runs with --authorization-config and that bundle's authorization.yaml: it \
             has to be restarted once for that"
        ),
        false => format!("it has an older authorization.yaml: {install}. {RELOADED}"),
    }
}
