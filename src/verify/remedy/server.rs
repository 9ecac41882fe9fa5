//! The subjects of remedies: a host, a program, the tool that made the cluster.

use serde::{Deserialize, Serialize};

use crate::verify::place::Place;

/// The tool that made a cluster, and which of its files are available here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A cluster directory: clusterctl made the cluster, and its CA is here.
    #[default]
    Directory,
    /// A bundle: clusterctl made the cluster, and its CA is elsewhere.
    Bundle,
    /// Files and addresses of a cluster that kubeadm made.
    Kubeadm,
    /// Files and addresses of a cluster whose tool is unknown.
    Other,
}

/// A host that serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Server {
    /// Its role.
    pub place: Place,
    /// Its name.
    pub host: String,
}

/// A program of Kubernetes that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// A node's kubelet.
    Kubelet,
    /// A control-plane node's API server.
    ApiServer,
}

impl Program {
    /// Returns the program that serves at `place`.
    #[must_use]
    pub fn at(place: Place) -> Self {
        if place == Place::Node { Self::Kubelet } else { Self::ApiServer }
    }
}
