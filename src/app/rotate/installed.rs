//! The files on hosts that programs of the stated version read only when they start.

use super::rereads::{Component, Input, READS, Reread, reread};
use crate::bundle::paths;
use crate::bundle::restarts::ReadAtStart;
use crate::cluster::spec::Cluster;

/// Returns the CAs and certificates that the cluster's version reads only when it starts. Of an unknown version, the worst
/// is assumed.
#[must_use]
pub fn read_at_start(cluster: &Cluster) -> Vec<ReadAtStart> {
    let minor = cluster.kubernetes.version.as_ref().map(|version| version.minor());
    let reads = READS.iter().filter(|read| reread(read, minor) == Reread::Restart);
    let mut found: Vec<ReadAtStart> = reads.filter_map(|read| place(read.component, read.input)).collect();
    // Structured authorization is read again from the version on in which it is beta.
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
