//! Errors of one-time tokens.

use crate::cluster::name::HostName;

/// Errors of tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinTokenError {
    /// The cluster file has no such node.
    #[error("the cluster file has no node called {name:?}")]
    UnknownHost {
        /// The name.
        name: HostName,
        /// The most similar name of a node.
        similar: Option<String>,
    },
    /// The host is a master, which does not join.
    #[error("{0} is a master, and tokens are for nodes")]
    ForMaster(HostName),
    /// There is no such token.
    #[error("there is no token with the id {0:?}")]
    Unknown(String),
}
