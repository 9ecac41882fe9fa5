//! The purpose of a certificate, recognized by its file and its names.

use std::path::Path;

use crate::pki::certificate::Certificate;

/// The purpose of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The serving certificate of an API server.
    ApiServer,
    /// The serving certificate of a kubelet.
    KubeletServer,
    /// A certificate with which a member of etcd serves, and connects to other members.
    EtcdMember,
    /// The serving certificate of another server.
    Server,
    /// A client certificate.
    Client,
    /// It is not recognized.
    Unknown,
}

/// The prefix of a node's account.
pub(super) const NODE: &str = "system:node:";
/// The names of files with API servers' certificates, without extensions (kubeadm and Talos, k3s, Kubernetes the hard way).
const API_SERVERS: [&str; 5] =
    ["apiserver", "kube-apiserver", "serving-kube-apiserver", "kube-api-server", "kubernetes"];
/// The names of files with kubelets' serving certificates.
const KUBELETS: [&str; 4] = ["kubelet-server", "kubelet-server-current", "serving-kubelet", "kubelet"];
/// The names of files with other servers' certificates.
const SERVERS: [&str; 3] =
    ["kube-controller-manager-server", "serving-kube-controller-manager", "serving-kube-scheduler"];

impl Purpose {
    /// Recognizes the purpose of a certificate in the file at `path`.
    ///
    /// `is_of_user` is true for the certificate of a kubeconfig's user; `is_first` is true for the first one of a file.
    pub(super) fn of(certificate: &Certificate, path: &Path, is_of_user: bool, is_first: bool) -> Self {
        if is_of_user {
            return Self::Client;
        }
        // The certificates after the first one of a file are its chain of CAs.
        if !is_first {
            return Self::Unknown;
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
        let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().to_lowercase());
        let is_of_etcd = stem.contains("etcd") || folder.as_deref() == Some("etcd");
        // k3s has client-ca.crt and client-ca.nochain.crt.
        let name = stem.split('.').next().unwrap_or_default();
        if name == "ca" || name.ends_with("-ca") || name.ends_with("_ca") {
            return Self::Unknown;
        }
        if API_SERVERS.contains(&stem.as_str()) && !is_of_etcd {
            return Self::ApiServer;
        }
        if KUBELETS.contains(&stem.as_str()) {
            return Self::KubeletServer;
        }
        if SERVERS.contains(&stem.as_str()) {
            return Self::Server;
        }
        // k3s calls the certificates of members server-client and peer-server-client.
        let is_client_of_etcd = stem.contains("apiserver") || stem.contains("healthcheck");
        if is_of_etcd && !is_client_of_etcd && (stem.contains("server") || stem.contains("peer") || stem == "etcd") {
            return Self::EtcdMember;
        }
        let is_client = stem.ends_with("client") || stem.starts_with("client-") || stem.starts_with("kubelet-client");
        if is_client || (is_of_etcd && stem.contains("client")) {
            return Self::Client;
        }
        Self::by_name(certificate)
    }

    /// Recognizes a purpose by the names in the certificate.
    fn by_name(certificate: &Certificate) -> Self {
        let user = certificate.account().user;
        let serves = certificate.has_extended_usage("serverAuth");
        match user.as_str() {
            "kube-apiserver" => Self::ApiServer,
            name if name.starts_with(NODE) && serves && !certificate.names.is_empty() => {
                match certificate.has_extended_usage("clientAuth") {
                    // Kubernetes the hard way has one certificate for both.
                    true => Self::Unknown,
                    false => Self::KubeletServer,
                }
            }
            name if name.starts_with("system:") && !serves => Self::Client,
            _ => Self::Unknown,
        }
    }

    /// Returns this purpose, or the other one if this one is unknown.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Unknown { other } else { self }
    }

    /// Returns true if it is known to be a serving certificate.
    pub(super) fn serves(self) -> bool {
        matches!(self, Self::ApiServer | Self::KubeletServer | Self::EtcdMember | Self::Server)
    }
}
