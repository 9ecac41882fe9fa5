//! Remedies for requests that cannot be made or signed, as data.

use std::path::PathBuf;

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
    /// Name the host and the profile.
    NameHostAndProfile,
    /// Correct the request, or the cluster file.
    CorrectRequest,
    /// Name files that exist.
    NameFiles,
}
