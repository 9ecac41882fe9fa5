//! The files on hosts that programs of the cluster file's Kubernetes version read only when they start.

use super::rereads::{Component, Input, READS, Reread, reread};
use crate::bundle::paths;
use crate::bundle::restarts::ReadAtStart;
use crate::cluster::spec::Cluster;

/// Returns the CAs and certificates that programs of the cluster's version read only when they start. For an unknown version,
/// every file that some version reads only then is returned.
#[must_use]
pub fn read_at_start(cluster: &Cluster) -> Vec<ReadAtStart> {
    let minor = cluster.kubernetes.version.as_ref().map(|version| version.minor());
    let reads = READS.iter().filter(|read| reread(read, minor) == Reread::Restart);
    let mut found: Vec<ReadAtStart> = reads.filter_map(|read| place(read.component, read.input)).collect();
    // The authorization configuration is read again since it is beta (1.30).
    if minor.is_none_or(|minor| minor < 30) {
        found.push(ReadAtStart { program: Component::KubeApiserver.as_str(), path: paths::AUTHORIZATION });
    }
    found
}

/// Returns the file of an input that some version reads only when it starts.
fn place(component: Component, input: Input) -> Option<ReadAtStart> {
    let path = match (component, input) {
        (_, Input::ClientCa | Input::KubeletCa | Input::RootCaFile | Input::KubeconfigCa) => paths::CA,
        (_, Input::EtcdCa) => paths::ETCD_CA,
        (Component::Kubelet, Input::ServingPair) => paths::KUBELET_SERVING_CERTIFICATE,
        _ => return None,
    };
    Some(ReadAtStart { program: component.as_str(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_that_needs_a_restart_has_a_file() {
        for minor in [None, Some(28), Some(36)] {
            for read in READS.iter().filter(|read| reread(read, minor) == Reread::Restart) {
                assert!(place(read.component, read.input).is_some(), "{read:?}");
            }
        }
    }
}
