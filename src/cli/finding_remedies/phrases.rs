//! Phrases that several remedies share: commands of clusterctl and kubeadm, hosts, and names of programs.

use crate::verify::remedy::{Program, Server, TargetKind};
use crate::verify::target::Place;

/// The steps by which the kubelets of a kubeadm cluster get serving certificates from the cluster's CA.
pub(super) const SERVER_TLS_BOOTSTRAP: &str = "set serverTLSBootstrap: true in the kubelet's configuration \
                                    (/var/lib/kubelet/config.yaml, and the ConfigMap kubelet-config), restart the kubelet, \
                                    and approve its CSR: kubectl get csr, kubectl certificate approve NAME";

/// The static pod manifest in which kubeadm sets the flags of an API server.
pub(super) const API_SERVER_MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// Returns the words that have to precede a clusterctl command: the machine on which to run it, or nothing for this
/// machine.
pub(super) fn where_to_run(kind: TargetKind) -> &'static str {
    if kind == TargetKind::Bundle { "on the machine with the cluster directory, " } else { "" }
}

/// Returns the clusterctl command that reissues a server's certificate.
pub(super) fn reissue(server: &Server) -> String {
    match server.place {
        Place::Node => format!("clusterctl issue-node --reissue {}", server.host),
        Place::Master => format!("clusterctl issue-master --reissue {}", server.host),
        Place::Endpoint | Place::Cluster => "clusterctl issue-master --reissue --all".to_owned(),
    }
}

/// Returns the kubeadm command that renews an API server's certificate, and what to do after it.
pub(super) fn kubeadm_renew(server: &Server) -> String {
    format!("kubeadm certs renew apiserver {}, then restart kube-apiserver there", on(server))
}

/// Returns where a server's certificate is stored: "on" and the hosts.
pub(super) fn on(server: &Server) -> String {
    match server.place {
        Place::Node | Place::Master => format!("on {}", server.host),
        Place::Endpoint | Place::Cluster => "on each control-plane node".to_owned(),
    }
}

/// Returns true if a server is a kubelet.
pub(super) fn is_a_kubelet(server: &Server) -> bool {
    Program::at(server.place) == Program::Kubelet
}

/// Returns a program's name with its article.
pub(super) fn name(program: Program) -> &'static str {
    match program {
        Program::Kubelet => "the kubelet",
        Program::ApiServer => "the API server",
    }
}
