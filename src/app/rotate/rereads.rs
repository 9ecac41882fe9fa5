//! When the programs of a cluster read their CAs and certificates again, by the version of Kubernetes.
//!
//! The sources of Kubernetes 1.28.3, 1.31.14, 1.35.6 and 1.36.2 and of etcd 3.5 show these: `apiserver/pkg/server/dynamiccertificates`
//! (a minute), `client-go/transport` (five minutes; `ca_rotation.go` since 1.36), `cmd/kubelet/app/auth.go`,
//! `pkg/kubelet/certificate/kubelet.go`, `kube-aggregator/pkg/apiserver`. Kubeconfigs are those of bundles, which name files and
//! embed nothing.

use crate::cluster::profile::CaRole;

/// A program of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// etcd
    Etcd,
    /// kube-apiserver
    KubeApiserver,
    /// kube-controller-manager
    KubeControllerManager,
    /// kube-scheduler
    KubeScheduler,
    /// The kubelet of a node.
    Kubelet,
}

impl Component {
    /// Returns the name of the program, which is that of its systemd unit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
        }
    }

    /// Returns true if it runs on control-plane nodes.
    #[must_use]
    pub fn is_on_masters(self) -> bool {
        self != Self::Kubelet
    }
}

/// A file that a program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The CAs of clients: `--client-ca-file`, `clientCAFile`.
    ClientCa,
    /// The CAs of kubelets: `--kubelet-certificate-authority`.
    KubeletCa,
    /// The CAs that pods get: `--root-ca-file`.
    RootCaFile,
    /// The CAs of API servers, in a kubeconfig.
    KubeconfigCa,
    /// The CAs of front proxies: `--requestheader-client-ca-file`.
    RequestheaderCa,
    /// The CAs of etcd: `--etcd-cafile`, `--trusted-ca-file`, `--peer-trusted-ca-file`.
    EtcdCa,
    /// The serving certificate.
    ServingPair,
    /// The client certificate for kubelets.
    KubeletClientPair,
    /// The client certificate of a kubeconfig.
    KubeconfigPair,
    /// The client certificate of the front proxy.
    ProxyClientPair,
    /// The client certificate for etcd.
    EtcdClientPair,
    /// The public keys of service accounts: `--service-account-key-file`.
    ServiceAccountPublicKeys,
    /// The key that signs service account tokens: `--service-account-signing-key-file`,
    /// `--service-account-private-key-file`.
    ServiceAccountKey,
}

impl Input {
    /// Returns the name in JSON and in plans.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCa => "client-ca",
            Self::KubeletCa => "kubelet-ca",
            Self::RootCaFile => "root-ca-file",
            Self::KubeconfigCa => "kubeconfig-ca",
            Self::RequestheaderCa => "requestheader-ca",
            Self::EtcdCa => "etcd-ca",
            Self::ServingPair => "serving-certificate",
            Self::KubeletClientPair => "kubelet-client-certificate",
            Self::KubeconfigPair => "kubeconfig-certificate",
            Self::ProxyClientPair => "proxy-client-certificate",
            Self::EtcdClientPair => "etcd-client-certificate",
            Self::ServiceAccountPublicKeys => "service-account-public-keys",
            Self::ServiceAccountKey => "service-account-key",
        }
    }

    /// Returns true if it is a file of CAs.
    #[must_use]
    pub fn is_trust(self) -> bool {
        matches!(
            self,
            Self::ClientCa
                | Self::KubeletCa
                | Self::RootCaFile
                | Self::KubeconfigCa
                | Self::RequestheaderCa
                | Self::EtcdCa
        )
    }

    /// Returns true if it is a serving certificate.
    #[must_use]
    pub fn is_server(self) -> bool {
        self == Self::ServingPair
    }
}

/// When a program reads a file again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    /// Within this number of seconds.
    Within(u32),
    /// For every connection.
    EachConnection,
    /// When it is restarted.
    Restart,
}

/// A file that a program reads: since the minor version `since` again as `then` says, and before that only when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The program.
    pub component: Component,
    /// The file.
    pub input: Input,
    /// The role of the CA that is in the file, or that signed the certificate in it.
    pub role: CaRole,
    /// The first minor version of Kubernetes that reads it again; 0 for all supported ones.
    pub since: u32,
    /// When it is read again.
    pub then: Reread,
}

const fn read(component: Component, input: Input, role: CaRole, since: u32, then: Reread) -> Read {
    Read { component, input, role, since, then }
}

const MINUTE: Reread = Reread::Within(60);
const FIVE_MINUTES: Reread = Reread::Within(300);

/// All files that programs read, in the order in which the programs are restarted.
pub const READS: [Read; 21] = [
    read(Component::Etcd, Input::EtcdCa, CaRole::Etcd, 0, Reread::Restart),
    read(Component::Etcd, Input::ServingPair, CaRole::Etcd, 0, Reread::EachConnection),
    read(Component::KubeApiserver, Input::EtcdCa, CaRole::Etcd, 0, Reread::Restart),
    read(Component::KubeApiserver, Input::EtcdClientPair, CaRole::Etcd, 0, Reread::EachConnection),
    read(Component::KubeApiserver, Input::RequestheaderCa, CaRole::FrontProxy, 0, MINUTE),
    read(Component::KubeApiserver, Input::ProxyClientPair, CaRole::FrontProxy, 0, MINUTE),
    read(Component::KubeControllerManager, Input::RequestheaderCa, CaRole::FrontProxy, 0, MINUTE),
    read(Component::KubeApiserver, Input::ClientCa, CaRole::Cluster, 0, MINUTE),
    read(Component::KubeApiserver, Input::KubeletCa, CaRole::Cluster, 36, FIVE_MINUTES),
    read(Component::KubeApiserver, Input::ServingPair, CaRole::Cluster, 0, MINUTE),
    read(Component::KubeApiserver, Input::KubeletClientPair, CaRole::Cluster, 0, FIVE_MINUTES),
    read(Component::KubeControllerManager, Input::ClientCa, CaRole::Cluster, 0, MINUTE),
    read(Component::KubeControllerManager, Input::RootCaFile, CaRole::Cluster, 0, Reread::Restart),
    read(Component::KubeControllerManager, Input::KubeconfigCa, CaRole::Cluster, 36, FIVE_MINUTES),
    read(Component::KubeControllerManager, Input::KubeconfigPair, CaRole::Cluster, 0, FIVE_MINUTES),
    read(Component::KubeScheduler, Input::KubeconfigCa, CaRole::Cluster, 36, FIVE_MINUTES),
    read(Component::KubeScheduler, Input::KubeconfigPair, CaRole::Cluster, 0, FIVE_MINUTES),
    // Before 1.36 (feature gate ReloadKubeletClientCAFile), the handshake still has the names of the CAs that the kubelet read
    // when it started. Go's clients and verify present their certificate nevertheless.
    read(Component::Kubelet, Input::ClientCa, CaRole::Cluster, 0, MINUTE),
    read(Component::Kubelet, Input::KubeconfigCa, CaRole::Cluster, 36, FIVE_MINUTES),
    // The feature gate ReloadKubeletServerCertificateFile is on by default since 1.31. Before 1.36 (pull request 133654),
    // clients that connect to an IP address, as API servers do with the flags of bundles, still got the certificate with which
    // the kubelet started.
    read(Component::Kubelet, Input::ServingPair, CaRole::Cluster, 36, MINUTE),
    read(Component::Kubelet, Input::KubeconfigPair, CaRole::Cluster, 0, FIVE_MINUTES),
];

/// Returns when a file is read again by a minor version of Kubernetes. An unknown version counts as the oldest one.
#[must_use]
pub fn reread(read: &Read, minor: Option<u32>) -> Reread {
    if read.since == 0 || minor.is_some_and(|minor| minor >= read.since) { read.then } else { Reread::Restart }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_versions_need_more_restarts() {
        let restarts = |minor| READS.iter().filter(|read| reread(read, minor) == Reread::Restart).count();
        let counts = [None, Some(28), Some(35), Some(36), Some(40)].map(restarts);
        assert_eq!(counts, [8, 8, 8, 3, 3]);
    }
}
