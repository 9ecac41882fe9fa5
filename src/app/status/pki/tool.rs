//! Recognizes the tool that created a PKI by the names of its files, and returns how it renews them.

use crate::app::inspect::read_all::ReadFile;
use crate::app::status::remedy::Remedy;
use crate::app::status::state::State;
use crate::pki::certificate::Certificate;

/// A tool that makes the PKI of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// kubeadm
    Kubeadm,
    /// k3s, and RKE2
    K3s,
    /// Talos
    Talos,
    /// Another tool, or none.
    Other,
}

/// Files that only one tool creates. Talos comes first, because it also has some of kubeadm's files.
const MARKS: [(&str, Tool); 6] = [
    ("kube-apiserver/aggregator-ca.crt", Tool::Talos),
    ("serving-kube-apiserver.crt", Tool::K3s),
    ("client-kubelet.crt", Tool::K3s),
    ("pki/apiserver-kubelet-client.crt", Tool::Kubeadm),
    ("pki/etcd/healthcheck-client.crt", Tool::Kubeadm),
    ("super-admin.conf", Tool::Kubeadm),
];

/// kubeadm's files, and its names for them (`kubeadm certs renew NAME`).
const KUBEADM: [(&str, &str); 11] = [
    ("apiserver.crt", "apiserver"),
    ("apiserver-etcd-client.crt", "apiserver-etcd-client"),
    ("apiserver-kubelet-client.crt", "apiserver-kubelet-client"),
    ("front-proxy-client.crt", "front-proxy-client"),
    ("etcd/healthcheck-client.crt", "etcd-healthcheck-client"),
    ("etcd/peer.crt", "etcd-peer"),
    ("etcd/server.crt", "etcd-server"),
    ("super-admin.conf", "super-admin.conf"),
    ("admin.conf", "admin.conf"),
    ("controller-manager.conf", "controller-manager.conf"),
    ("scheduler.conf", "scheduler.conf"),
];

impl Tool {
    /// Recognizes the tool that made these files.
    pub(super) fn of(files: &[ReadFile]) -> Self {
        let has = |mark: &str| files.iter().any(|read| is_at(&read.file.path.display().to_string(), mark));
        MARKS.iter().find(|(mark, _)| has(mark)).map_or(Self::Other, |(_, tool)| *tool)
    }

    /// Returns the remedy that renews the certificate of a file, which is in a state that is not valid.
    pub(super) fn renewal_of(self, path: &str, state: State) -> Remedy {
        // Kubelets of any tool renew their client certificates, with which they request the next ones.
        if path.ends_with("kubelet.conf") || path.contains("kubelet-client-current") {
            return match state {
                State::Expired | State::Revoked => Remedy::ReplaceKubeletClient,
                _ => Remedy::LetKubeletRenew,
            };
        }
        match self {
            Self::Kubeadm => match KUBEADM.iter().find(|(file, _)| is_at(path, file)) {
                Some((_, name)) => Remedy::RenewByKubeadm { name: (*name).to_owned() },
                None => Remedy::RenewByItsTool,
            },
            Self::K3s => Remedy::RenewByK3s,
            Self::Talos => Remedy::LetTalosRenew,
            Self::Other => Remedy::RenewByItsTool,
        }
    }
}

/// Returns true for the serving certificate that a kubelet made itself, and for the CA in the same file, whose key it did not
/// keep: `HOST@TIME` and `HOST-ca@TIME`, both valid for a year (client-go's `GenerateSelfSignedCertKey`).
pub(super) fn is_made_by_kubelet(path: &str, certificate: &Certificate) -> bool {
    let ca_of_a_host = |name: &String| {
        name.rsplit_once("-ca@")
            .is_some_and(|(_, time)| !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit()))
    };
    is_at(path, "kubelet.crt") && certificate.issuer.common_names.iter().any(ca_of_a_host)
}

/// Returns true if a path ends with `end` at a component boundary.
fn is_at(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
