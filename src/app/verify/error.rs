//! Errors of verifying a cluster.

use std::path::PathBuf;

use crate::app::{self, with_causes};
use crate::bundle::archive::ArchiveError;
use crate::bundle::verifier;
use crate::cluster::address::AddressError;
use crate::cluster::endpoint::EndpointError;
use crate::cluster::similar::nearest;
use crate::config::ReadError;
use crate::config::kubeconfig::{ContextError, KubeconfigError};
use crate::store::error::StoreError;
use crate::verify::options::PinError;
use crate::verify::probe::RunError;
use crate::verify::recording::RecordingError;
use crate::verify::target::IdentityError;

/// Errors of verifying a cluster or a recording.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The target cannot be assembled.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A pinned address (`NAME:ADDRESS`) is malformed.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// No network can be used.
    #[error("the cluster cannot be verified")]
    Network(#[source] RunError),
    /// The folder of a new recording does not exist.
    #[error("there is no folder {} to write the recording to", .0.display())]
    NoFolder(PathBuf),
    /// A run cannot be recorded.
    #[error("{} was not written", path.display())]
    Unwritten {
        /// The recording.
        path: PathBuf,
        /// The reason.
        source: RecordingError,
    },
    /// A recording is larger than any that a run can write.
    #[error("the recording {} cannot be used", path.display())]
    RecordingTooLarge {
        /// The recording.
        path: PathBuf,
        /// Its size and the limit.
        source: StoreError,
    },
    /// The file is not a recording, or is damaged.
    #[error("the recording {} cannot be used", path.display())]
    Recording {
        /// The recording.
        path: PathBuf,
        /// The reason.
        source: RecordingError,
    },
}

/// Errors of assembling a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The phase of a rotation was requested, but none is under way.
    #[error("no CA of this cluster is being rotated")]
    NoRotation,
    /// The phase of one rotation was requested, and only others are under way.
    #[error("the rotation of {0} is not under way")]
    NotRotating(&'static str),
    /// The phase of a rotation was requested, and several are under way.
    #[error("several rotations are under way: {}", .0.join(", "))]
    SeveralRotations(Vec<&'static str>),
    /// The phase of a rotation was requested without the cluster directory.
    #[error("the phase of a rotation is known only in the cluster directory")]
    PhaseWithoutDirectory,
    /// A bundle cannot be used.
    #[error("the bundle {} cannot be used: {reason}", path.display())]
    Bundle {
        /// The bundle.
        path: PathBuf,
        /// The reason.
        reason: UnusableBundle,
    },
    /// A node was named in addition to a node's bundle.
    #[error("the bundle {} is of one node, and does not contain the addresses of {node}", path.display())]
    NodeBesideBundle {
        /// The bundle.
        path: PathBuf,
        /// The node that was named.
        node: String,
    },
    /// A verifier bundle's list of revoked certificates cannot be used.
    #[error("{} of the verifier bundle cannot be used: {reason}", verifier::DENIALS)]
    Denials {
        /// The reason.
        reason: String,
    },
    /// A kubeconfig cannot be used.
    #[error("the kubeconfig {} cannot be used: {reason}", path.display())]
    Kubeconfig {
        /// The kubeconfig.
        path: PathBuf,
        /// The reason.
        reason: UnusableKubeconfig,
    },
    /// No CA is trusted.
    #[error("there are no roots to trust")]
    NoRoots,
    /// Neither an endpoint nor a node was named.
    #[error("there is nothing to connect to")]
    NoPeers,
    /// A named node is not in the cluster file.
    #[error("the cluster file has no node called {name:?}")]
    UnknownNode {
        /// The name.
        name: String,
        /// The most similar name in the cluster file.
        similar: Option<String>,
    },
    /// A node was named twice, with different ports.
    #[error("the node {name} is named twice, with the ports {} and {}", ports.0, ports.1)]
    TwoPorts {
        /// The node.
        name: String,
        /// Both ports.
        ports: (u16, u16),
    },
    /// A node's address is malformed.
    #[error("the node {text:?}: {reason}")]
    Node {
        /// The text that was given.
        text: String,
        /// The reason.
        reason: NodeError,
    },
    /// A certificate and its key cannot be used.
    #[error("the {owner}'s certificate {} cannot be used: {reason}", path.display())]
    Identity {
        /// The expected owner: a master or a node.
        owner: &'static str,
        /// The certificate.
        path: PathBuf,
        /// The reason.
        reason: IdentityError,
    },
    /// An endpoint is malformed.
    #[error("{text:?} is not a valid endpoint: {reason}")]
    Endpoint {
        /// The text.
        text: String,
        /// The reason.
        reason: EndpointError,
    },
    /// A kubeconfig's `tls-server-name` is malformed.
    #[error("the kubeconfig's tls-server-name {name:?} is not a valid name: {reason}")]
    ServerName {
        /// The name.
        name: String,
        /// The reason.
        reason: AddressError,
    },
}

/// Errors of using a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableBundle {
    /// It is not a bundle, or is damaged.
    #[error("{}", with_causes(.0))]
    Archive(ArchiveError),
    /// Its cluster file has errors.
    #[error(transparent)]
    ClusterFile(ReadError),
    /// It is a master's, which does not contain the nodes' addresses.
    #[error("it is a master's, which does not contain the addresses of nodes")]
    OfMaster,
    /// Its kubeconfig is damaged.
    #[error(transparent)]
    Kubeconfig(KubeconfigError),
    /// Its kubeconfig has no usable context.
    #[error(transparent)]
    Context(ContextError),
    /// Its client certificate and key cannot be used.
    #[error(transparent)]
    Identity(IdentityError),
}

/// Errors of using a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKubeconfig {
    /// It is not a kubeconfig, or is damaged.
    #[error(transparent)]
    Kubeconfig(KubeconfigError),
    /// The context cannot be used.
    #[error("{source}")]
    Context {
        /// The reason.
        source: ContextError,
        /// The contexts that it has.
        contexts: Vec<String>,
    },
    /// It names no certificate authority.
    #[error("it names no certificate authority, so that clients would trust the system's")]
    NoAuthority,
    /// Its client certificate and key cannot be used.
    #[error(transparent)]
    Identity(IdentityError),
}

/// Errors of parsing a node's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// There is no `=`.
    #[error("there is no HOST")]
    NoHost,
    /// The part before the `=` is empty.
    #[error("there is no NAME")]
    NoName,
    /// The port is not 1 to 65535.
    #[error("the port must be 1 to 65535")]
    Port,
    /// The address is malformed.
    #[error(transparent)]
    Host(#[from] AddressError),
}

/// The remedy for a [`VerifyError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Use a later version of clusterctl.
    UseNewerVersion,
    /// Get the bundle again.
    GetBundleAgain,
    /// Pack a verifier bundle.
    PackVerifierBundle,
    /// Pack the verifier bundle again, with this version.
    RepackVerifierBundle,
    /// Choose one of a kubeconfig's contexts.
    ChooseContext(Vec<String>),
    /// Add a context to the kubeconfig, or name files directly.
    AddContext,
    /// Add a certificate authority to the kubeconfig.
    AddAuthority,
    /// Name a file that is a kubeconfig.
    NameKubeconfig,
    /// Name a certificate and its own key.
    NamePair,
    /// Name the CAs to trust.
    NameRoots,
    /// Begin a rotation, or do not request its phase.
    StartRotation,
    /// Name one of the rotations that are under way, by their roles.
    NameRotation(Vec<&'static str>),
    /// Run in the cluster directory.
    UseDirectory,
    /// Name an endpoint or nodes.
    NamePeers,
    /// Use the most similar name.
    DidYouMean(String),
    /// Add the node to the cluster file.
    AddNode,
    /// Name each node once.
    NameNodeOnce,
    /// Write a node as name and address.
    WriteNodeAddress,
    /// Make the folder.
    MakeFolder(PathBuf),
    /// Record again.
    RecordAgain,
    /// The remedy for a recording that cannot be used, which depends on the error.
    OfRecording(RecordingError),
}

impl VerifyError {
    pub(in crate::app) fn remedy(&self) -> Option<app::Remedy> {
        let remedy = match self {
            Self::Target(error) => return error.remedy(),
            Self::Pin(_) | Self::Network(_) => return None,
            Self::NoFolder(folder) => Remedy::MakeFolder(folder.clone()),
            Self::RecordingTooLarge { .. } => Remedy::RecordAgain,
            Self::Unwritten { source, .. } | Self::Recording { source, .. } => Remedy::OfRecording(source.clone()),
        };
        Some(app::Remedy::Verify(remedy))
    }
}

impl TargetError {
    pub(super) fn unknown_node<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        Self::UnknownNode { name: name.to_owned(), similar: nearest(name, known).map(str::to_owned) }
    }

    pub(in crate::app) fn remedy(&self) -> Option<app::Remedy> {
        let remedy =
            match self {
                Self::Bundle { reason: UnusableBundle::Archive(error), .. } if error.is_newer() => {
                    Remedy::UseNewerVersion
                }
                Self::Bundle { reason: UnusableBundle::Archive(_), .. } => Remedy::GetBundleAgain,
                Self::Bundle { reason: UnusableBundle::OfMaster, .. } | Self::NodeBesideBundle { .. } => {
                    Remedy::PackVerifierBundle
                }
                Self::Denials { .. } => Remedy::RepackVerifierBundle,
                Self::Kubeconfig { reason: UnusableKubeconfig::Context { contexts, .. }, .. } => {
                    if contexts.is_empty() { Remedy::AddContext } else { Remedy::ChooseContext(contexts.clone()) }
                }
                Self::Kubeconfig { reason: UnusableKubeconfig::NoAuthority, .. } => Remedy::AddAuthority,
                Self::NoRotation | Self::NotRotating(_) => Remedy::StartRotation,
                Self::SeveralRotations(roles) => Remedy::NameRotation(roles.clone()),
                Self::PhaseWithoutDirectory => Remedy::UseDirectory,
                Self::NoRoots => Remedy::NameRoots,
                Self::NoPeers => Remedy::NamePeers,
                Self::UnknownNode { similar: Some(similar), .. } => Remedy::DidYouMean(similar.clone()),
                Self::UnknownNode { similar: None, .. } => Remedy::AddNode,
                Self::TwoPorts { .. } => Remedy::NameNodeOnce,
                Self::Node { .. } => Remedy::WriteNodeAddress,
                Self::Kubeconfig { reason: UnusableKubeconfig::Kubeconfig(_), .. } => Remedy::NameKubeconfig,
                Self::Kubeconfig { reason: UnusableKubeconfig::Identity(_), .. } | Self::Identity { .. } => {
                    Remedy::NamePair
                }
                Self::Bundle { .. } | Self::Endpoint { .. } | Self::ServerName { .. } => return None,
            };
        Some(app::Remedy::Verify(remedy))
    }
}
