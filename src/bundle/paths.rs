//! Where everything lies on a host: the table behind every path in a bundle. Names under `etc/kubernetes/pki` are kubeadm's
//! (Kubernetes `cmd/kubeadm/app/constants`); paths are relative to the host's root.

use std::collections::BTreeMap;

use super::model::INSTALLER;
use crate::cluster::profile::{CaRole, Holder, Profile, TABLE};

/// The cluster's root.
pub const CA: &str = "etc/kubernetes/pki/ca.crt";
/// etcd's root.
pub const ETCD_CA: &str = "etc/kubernetes/pki/etcd/ca.crt";
/// The front proxy's root.
pub const FRONT_PROXY_CA: &str = "etc/kubernetes/pki/front-proxy-ca.crt";
/// What signs service accounts' tokens.
pub const SERVICE_ACCOUNT_KEY: &str = "etc/kubernetes/pki/sa.key";
/// What checks them.
pub const SERVICE_ACCOUNT_PUBLIC: &str = "etc/kubernetes/pki/sa.pub";
/// The node's kubeconfig.
pub const KUBELET_KUBECONFIG: &str = "etc/kubernetes/kubelet.conf";
/// The kubelet's configuration.
pub const KUBELET_CONFIG: &str = "var/lib/kubelet/config.yaml";
/// The controller manager's kubeconfig.
pub const CONTROLLER_MANAGER_KUBECONFIG: &str = "etc/kubernetes/controller-manager.conf";
/// The scheduler's kubeconfig.
pub const SCHEDULER_KUBECONFIG: &str = "etc/kubernetes/scheduler.conf";
/// Who may do what, and who is denied before that is asked.
pub const AUTHORIZATION: &str = "etc/kubernetes/clusterctl/authorization.yaml";
/// The manifest of what was installed; `install.sh` has the same path.
pub const RECORD: &str = "etc/kubernetes/clusterctl/manifest.json";
/// How the names of units for systemd end; those of their drop-ins end in `.conf`.
pub const UNIT_ENDING: &str = ".service";
/// Where those who deny would call.
pub const DENY_KUBECONFIG: &str = "etc/kubernetes/clusterctl/deny.kubeconfig";
/// Where etcd keeps its data.
pub const ETCD_DATA: &str = "var/lib/etcd";

/// Which root's certificate a bundle has at `path`.
#[must_use]
pub fn root_at(path: &str) -> Option<CaRole> {
    match path {
        CA => Some(CaRole::Cluster),
        ETCD_CA => Some(CaRole::Etcd),
        FRONT_PROXY_CA => Some(CaRole::FrontProxy),
        _ => None,
    }
}

/// Where a host keeps a credential: this and `.crt`, this and `.key`. `None` for what no host keeps. What the controller
/// manager and the scheduler call with has a folder each, so that a pod can be given its own and no other's.
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
        Profile::KubeletClient => "var/lib/kubelet/pki/kubelet-client",
        Profile::KubeletServer => "var/lib/kubelet/pki/kubelet-server",
        Profile::Verifier | Profile::Admin | Profile::BreakGlass => return None,
    })
}

pub(super) fn mode_of(path: &str) -> u32 {
    match path {
        INSTALLER => 0o755,
        KUBELET_KUBECONFIG | CONTROLLER_MANAGER_KUBECONFIG | SCHEDULER_KUBECONFIG => 0o600,
        _ if path.ends_with(".key") => 0o600,
        _ => 0o644,
    }
}

/// Where files lie on a host that has these roles, by a short name: `kubelet_client_crt` →
/// `/var/lib/kubelet/pki/kubelet-client.crt`.
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
