//! Remedies for requests that cannot be made or signed, as data.

use std::path::PathBuf;

use crate::cluster::name::HostName;

/// The remedy for a request that cannot be made or signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Name a folder that exists as the root.
    NameAnotherRoot,
    /// Move the key away, so that a new one is generated.
    MoveKeyAway,
    /// Make a key unreadable for other users.
    CloseKey(PathBuf),
    /// Name the host's Ed25519 key.
    NameAnotherHostKey,
    /// Give the host's public key: in the cluster file, or in a `known_hosts` file.
    NameHostKeys,
    /// Name another file for the request.
    NameAnotherFile,
    /// Generate a new key on the host.
    MakeNewKey,
    /// Add the host to the cluster file, or name the one that the request is for.
    AddHost,
    /// Issue the certificates of a master.
    IssueMaster(HostName),
    /// Name the host and the profile.
    NameHostAndProfile,
    /// Correct the request, or the cluster file.
    CorrectRequest,
    /// Name files that exist.
    NameFiles,
}
