//! Phrases that several remedies share: commands of clusterctl and of kubeadm, and hosts.

use crate::verify::remedy::{Program, Server, TargetKind};
use crate::verify::target::Place;

/// The steps by which kubeadm's kubelets get a serving certificate of the cluster's CA.
pub(super) const BOOTSTRAP: &str = "set serverTLSBootstrap: true in the kubelet's configuration \
                                    (/var/lib/kubelet/config.yaml, and the ConfigMap kubelet-config), restart the kubelet, \
                                    and approve its CSR: kubectl get csr, kubectl certificate approve NAME";

/// The file in which kubeadm keeps an API server's flags.
pub(super) const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// Returns the text before a command of clusterctl: the place where it has to be run, unless it is this machine.
pub(super) fn where_to_run(kind: TargetKind) -> &'static str {
    if kind == TargetKind::Bundle { "on the machine with the cluster directory, " } else { "" }
}

/// Returns clusterctl's command that reissues a server's certificate.
pub(super) fn reissue(server: &Server) -> String {
    match server.place {
        Place::Node => format!("clusterctl issue-node --reissue {}", server.host),
        Place::Master => format!("clusterctl issue-master --reissue {}", server.host),
        Place::Endpoint | Place::Cluster => "clusterctl issue-master --reissue --all".to_owned(),
    }
}

/// Returns kubeadm's command that renews an API server's certificate.
pub(super) fn kubeadm_renew(server: &Server) -> String {
    format!("kubeadm certs renew apiserver {}, then restart kube-apiserver there", on(server))
}

/// Returns the hosts that hold a server's certificate.
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
