//! The steps in the cluster that follow the removal of hosts.

use crate::cluster::account::AccountScheme;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;

/// A step in the cluster. The variants are in the order of the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// Remove a master's member from etcd.
    RemoveEtcdMember {
        /// The master that left, which is the member's name.
        host: HostName,
        /// A master that stays, on which the command runs.
        on: HostName,
    },
    /// Delete a node's object.
    DeleteNode {
        /// The node.
        host: HostName,
    },
    /// Write the policy, and delete the objects that give the nodes' accounts their rights.
    ApplyPolicy,
    /// Pack the bundles of the masters that stay, which named the removed ones.
    PackMasters,
}

impl NextStep {
    /// Returns the steps after the removal of masters and nodes.
    pub(super) fn of(masters: &[HostName], nodes: &[HostName], cluster: &Cluster) -> Vec<Self> {
        let mut steps = Vec::new();
        // A cluster file has at least one master.
        if let Some(on) = cluster.masters.first() {
            let step = |host: &HostName| Self::RemoveEtcdMember { host: host.clone(), on: on.name.clone() };
            steps.extend(masters.iter().map(step));
        }
        steps.extend(nodes.iter().map(|host| Self::DeleteNode { host: host.clone() }));
        if cluster.accounts == AccountScheme::Kubelet && !nodes.is_empty() {
            steps.push(Self::ApplyPolicy);
        }
        if !masters.is_empty() {
            steps.push(Self::PackMasters);
        }
        steps
    }

    /// Returns the stable id.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::RemoveEtcdMember { .. } => "remove-etcd-member",
            Self::DeleteNode { .. } => "delete-node",
            Self::ApplyPolicy => "apply-policy",
            Self::PackMasters => "pack-masters",
        }
    }

    /// Returns the host that left, if the step is about one.
    #[must_use]
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::RemoveEtcdMember { host, .. } | Self::DeleteNode { host } => Some(host),
            Self::ApplyPolicy | Self::PackMasters => None,
        }
    }
}
