//! The paths of all files on a host, relative to its root.
//!
//! Names under `etc/kubernetes/pki` are kubeadm's (Kubernetes `cmd/kubeadm/app/constants`).

use std::collections::BTreeMap;

use super::model::INSTALLER;
use crate::cluster::profile::{CaRole, Holder, Profile, TABLE};

/// The cluster's CA certificate.
pub const CA: &str = "etc/kubernetes/pki/ca.crt";
/// etcd's CA certificate.
pub const ETCD_CA: &str = "etc/kubernetes/pki/etcd/ca.crt";
/// The front proxy's CA certificate.
pub const FRONT_PROXY_CA: &str = "etc/kubernetes/pki/front-proxy-ca.crt";
/// The key that signs service account tokens.
pub const SERVICE_ACCOUNT_KEY: &str = "etc/kubernetes/pki/sa.key";
/// The public key that verifies them.
pub const SERVICE_ACCOUNT_PUBLIC: &str = "etc/kubernetes/pki/sa.pub";
/// The node's kubeconfig.
pub const KUBELET_KUBECONFIG: &str = "etc/kubernetes/kubelet.conf";
/// The kubelet's serving certificate.
pub const KUBELET_SERVING_CERTIFICATE: &str = "var/lib/kubelet/pki/kubelet-server.crt";
/// The kubelet's configuration.
pub const KUBELET_CONFIG: &str = "var/lib/kubelet/config.yaml";
/// The controller manager's kubeconfig.
pub const CONTROLLER_MANAGER_KUBECONFIG: &str = "etc/kubernetes/controller-manager.conf";
/// The scheduler's kubeconfig.
pub const SCHEDULER_KUBECONFIG: &str = "etc/kubernetes/scheduler.conf";
/// The API servers' authorization configuration: authorizers, and denied certificates.
pub const AUTHORIZATION: &str = "etc/kubernetes/clusterctl/authorization.yaml";
/// The manifest of what was installed; `install.sh` has the same path.
pub const RECORD: &str = "etc/kubernetes/clusterctl/manifest.json";
/// The extension of systemd units; drop-ins have `.conf`.
pub const UNIT_ENDING: &str = ".service";
/// The kubeconfig of the webhook authorizer that denies by its match conditions; the webhook itself is never called.
pub const DENY_KUBECONFIG: &str = "etc/kubernetes/clusterctl/deny.kubeconfig";
/// etcd's data folder.
pub const ETCD_DATA: &str = "var/lib/etcd";

/// Returns the role of the CA whose certificate is at `path`.
#[must_use]
pub fn root_at(path: &str) -> Option<CaRole> {
    match path {
        CA => Some(CaRole::Cluster),
        ETCD_CA => Some(CaRole::Etcd),
        FRONT_PROXY_CA => Some(CaRole::FrontProxy),
        _ => None,
    }
}

/// Returns the path of a credential on a host, without `.crt` and `.key`; `None` for credentials that hosts do not have.
///
/// The controller manager and the scheduler each have a separate folder, so that a pod can mount only its own
/// credential.
pub(super) fn kept_at(profile: Profile) -> Option<&'static str> {
    Some(match profile {
        Profile::Apiserver => "etc/kubernetes/pki/apiserver",
        Profile::ApiserverKubeletClient => "etc/kubernetes/pki/apiserver-kubelet-client",
        Profile::ApiserverEtcdClient => "etc/kubernetes/pki/apiserver-etcd-client",
        Profile::FrontProxyClient => "etc/kubernetes/pki/front-proxy-client",
        Profile::EtcdServer => "etc/kubernetes/pki/etcd/server",
        Profile::EtcdPeer => "etc/kubernetes/pki/etcd/peer",
        Profile::EtcdHealthcheckClient => "etc/kubernetes/pki/etcd/healthcheck-client",
        Profile::ControllerManager => "etc/kubernetes/pki/controller-manager/controller-manager",
        Profile::Scheduler => "etc/kubernetes/pki/scheduler/scheduler",
        Profile::EnrolmentServer => "etc/kubernetes/clusterctl/enrolment-server",
        Profile::KubeletClient => "var/lib/kubelet/pki/kubelet-client",
        Profile::KubeletServer => "var/lib/kubelet/pki/kubelet-server",
        Profile::Verifier | Profile::Admin | Profile::BreakGlass => return None,
    })
}

/// Returns the path of a credential's key on a host; `None` for credentials that hosts do not have.
#[must_use]
pub fn key_of(profile: Profile) -> Option<String> {
    kept_at(profile).map(|base| format!("{base}.key"))
}

pub(super) fn mode_of(path: &str) -> u32 {
    match path {
        INSTALLER => 0o755,
        KUBELET_KUBECONFIG | CONTROLLER_MANAGER_KUBECONFIG | SCHEDULER_KUBECONFIG => 0o600,
        _ if path.ends_with(".key") => 0o600,
        _ => 0o644,
    }
}

/// Returns the paths on a host with these roles, by the short names that templates use.
///
/// For example `kubelet_client_crt` → `/var/lib/kubelet/pki/kubelet-client.crt`.
pub(super) fn by_name(master: bool, node: bool) -> BTreeMap<String, String> {
    let mut paths = BTreeMap::new();
    let mut name = |name: &str, path: &str| paths.insert(name.to_owned(), format!("/{path}"));
    name("ca", CA);
    if node {
        name("kubelet_config", KUBELET_CONFIG);
        name("kubelet_kubeconfig", KUBELET_KUBECONFIG);
    }
    if master {
        name("etcd_ca", ETCD_CA);
        name("front_proxy_ca", FRONT_PROXY_CA);
        name("service_account_key", SERVICE_ACCOUNT_KEY);
        name("service_account_public", SERVICE_ACCOUNT_PUBLIC);
        name("controller_manager_kubeconfig", CONTROLLER_MANAGER_KUBECONFIG);
        name("scheduler_kubeconfig", SCHEDULER_KUBECONFIG);
        name("authorization", AUTHORIZATION);
        name("deny_kubeconfig", DENY_KUBECONFIG);
        name("etcd_data", ETCD_DATA);
    }
    for row in TABLE {
        let held = match row.holder {
            Holder::Master => master,
            Holder::Node => node,
            Holder::Cluster | Holder::Person => false,
        };
        if let Some(base) = kept_at(row.profile).filter(|_| held) {
            let short = row.name.replace('-', "_");
            name(&format!("{short}_crt"), &format!("{base}.crt"));
            name(&format!("{short}_key"), &format!("{base}.key"));
        }
    }
    paths
}
