//! The files that programs of a host read only when they start. `install.sh` names the programs that have to be restarted
//! when it replaces such a file, or restarts them.

use super::model::BundleFile;
use super::paths;
use crate::cluster::spec::Role;

/// A file that a program reads only when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadAtStart {
    /// The program, which is the name of its systemd unit.
    pub program: &'static str,
    /// The file's path on the host.
    pub path: &'static str,
}

const fn read(program: &'static str, path: &'static str) -> ReadAtStart {
    ReadAtStart { program, path }
}

const ETCD: &str = "etcd";
const API_SERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";
const KUBELET: &str = "kubelet";

/// The files that no version of a program reads again, in the order in which programs are restarted.
const ALWAYS: [ReadAtStart; 21] = [
    read(ETCD, "etc/kubernetes/clusterctl/etcd.env"),
    read(ETCD, "etc/systemd/system/etcd.service"),
    read(ETCD, "etc/systemd/system/etcd.service.d/99-clusterctl.conf"),
    read(API_SERVER, "etc/kubernetes/clusterctl/apiserver.env"),
    read(API_SERVER, "etc/systemd/system/kube-apiserver.service"),
    read(API_SERVER, "etc/systemd/system/kube-apiserver.service.d/99-clusterctl.conf"),
    read(API_SERVER, paths::SERVICE_ACCOUNT_KEY),
    read(API_SERVER, paths::SERVICE_ACCOUNT_PUBLIC),
    read(CONTROLLER_MANAGER, "etc/kubernetes/clusterctl/controller-manager.env"),
    read(CONTROLLER_MANAGER, "etc/systemd/system/kube-controller-manager.service"),
    read(CONTROLLER_MANAGER, "etc/systemd/system/kube-controller-manager.service.d/99-clusterctl.conf"),
    read(CONTROLLER_MANAGER, paths::CONTROLLER_MANAGER_KUBECONFIG),
    read(CONTROLLER_MANAGER, paths::SERVICE_ACCOUNT_KEY),
    read(SCHEDULER, "etc/kubernetes/clusterctl/scheduler.env"),
    read(SCHEDULER, "etc/systemd/system/kube-scheduler.service"),
    read(SCHEDULER, "etc/systemd/system/kube-scheduler.service.d/99-clusterctl.conf"),
    read(SCHEDULER, paths::SCHEDULER_KUBECONFIG),
    read(KUBELET, "etc/systemd/system/kubelet.service"),
    read(KUBELET, "etc/systemd/system/kubelet.service.d/99-clusterctl.conf"),
    read(KUBELET, paths::KUBELET_KUBECONFIG),
    read(KUBELET, paths::KUBELET_CONFIG),
];

/// Returns one line for each program of a host with these roles, `PROGRAM PATH…`, with those of its files that the bundle has.
///
/// `of_version` has the files that only newer versions of the programs read again.
pub(super) fn lines(of_version: &[ReadAtStart], files: &[BundleFile], roles: &[Role]) -> Vec<String> {
    let reads = || ALWAYS.iter().chain(of_version).filter(|read| files.iter().any(|file| file.path == read.path));
    let programs = [ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KUBELET];
    let is_here = |program: &&str| roles.contains(if *program == KUBELET { &Role::Node } else { &Role::Master });
    let line = |program: &str| {
        let mut paths: Vec<&str> = reads().filter(|read| read.program == program).map(|read| read.path).collect();
        paths.sort_unstable();
        paths.dedup();
        (!paths.is_empty()).then(|| format!("{program} {}", paths.join(" ")))
    };
    programs.into_iter().filter(is_here).filter_map(line).collect()
}
