//! The texts of remedies for connections and TLS.

use super::phrases::{API_SERVER_MANIFEST, is_a_kubelet, name, on};
use crate::verify::remedy::{ConnectionRemedy, Program, Server, TargetKind};

pub(super) fn words(remedy: &ConnectionRemedy, kind: TargetKind) -> String {
    let text = match remedy {
        ConnectionRemedy::Start(server) => return start(server, kind),
        ConnectionRemedy::CheckFirewall { host } => {
            return format!("is {host} up, is the address right, does a firewall drop packets to this port?");
        }
        ConnectionRemedy::CheckRoute { host } => {
            return format!("is there a route from here to {host}, and is the address right?");
        }
        ConnectionRemedy::CheckPort { host } => {
            return format!("is this the right port of {host}? Another program may listen there");
        }
        ConnectionRemedy::ResolveName { name } => {
            return format!("add the name to DNS or /etc/hosts, or pin it: --resolve {name}:ADDRESS");
        }
        ConnectionRemedy::DialEachAddress { name } => {
            return format!("dial them one by one: --resolve {name}:ADDRESS");
        }
        ConnectionRemedy::BypassProxy { program } => {
            let name = name(*program);
            return format!(
                "a proxy seems to answer in place of {name} (nginx, a load balancer?): dial {name} itself, or let the proxy \
                 pass TLS through"
            );
        }
        ConnectionRemedy::StartLoadBalancer => {
            "start the load balancer in front of the API servers, or correct the endpoint"
        }
        ConnectionRemedy::RaiseTimeout => "--timeout applies to each request: if this host is only slow, raise it",
        ConnectionRemedy::ServeTls => {
            "the server speaks HTTP without TLS: configure its certificate and key, or correct the port"
        }
        ConnectionRemedy::OfferSupportedTls => {
            "keep X25519, P-256 or P-384 in --tls-curve-preferences, and a suite with GCM or ChaCha20 in --tls-cipher-suites: \
             then this can be proven"
        }
        ConnectionRemedy::ConfigureCertificate => {
            "the server has no certificate for this name, or none with a key of a kind that is offered (RSA, Ed25519, P-256, \
             P-384, P-521), or speaks only versions before TLS 1.2"
        }
        ConnectionRemedy::RequireTls12 { program: Program::Kubelet } => {
            "set tlsMinVersion: VersionTLS12 in the kubelet's configuration"
        }
        ConnectionRemedy::RequireTls12 { program: Program::ApiServer } => {
            "start the API server with --tls-min-version=VersionTLS12, and check what terminates TLS in front of it"
        }
        ConnectionRemedy::CheckKubeletAnswers => "nothing follows from this response: is it a kubelet?",
    };
    text.to_owned()
}

fn start(server: &Server, kind: TargetKind) -> String {
    let program = if is_a_kubelet(server) { "the kubelet" } else { "the API server" };
    let start = format!("start {program} {}", on(server));
    match (kind, is_a_kubelet(server)) {
        (TargetKind::Other, _) => format!("{start}, or correct address and port"),
        (_, true) => format!("{start} (systemctl status kubelet), or correct address and port"),
        (TargetKind::Kubeadm, false) => {
            format!("{start} (crictl ps -a --name kube-apiserver; {API_SERVER_MANIFEST}), or correct address and port")
        }
        (TargetKind::Directory | TargetKind::Bundle, false) => {
            format!("{start} (systemctl status kube-apiserver), or correct address and port")
        }
    }
}
