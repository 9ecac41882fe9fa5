//! The options of signing requests.

use std::path::PathBuf;

use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::pki::known_hosts::KnownHosts;

/// The largest size of a request's file, in bytes.
pub const MAX_REQUEST: u64 = 256 * 1024;

/// The requests, and their purpose if they do not contain it.
#[derive(Debug, Default)]
pub struct SignOptions {
    /// The files, PEM or DER.
    pub files: Vec<PathBuf>,
    /// The host, instead of the one in a request's common name.
    pub host: Option<HostName>,
    /// The profile, instead of the one that a request's extended key usage implies.
    pub profile: Option<Profile>,
    /// The hosts' SSH keys, in place of those that the cluster file has.
    pub known_hosts: Option<KnownHosts>,
    /// Whether a request is refused unless its host's SSH key signed it.
    pub require_host_key: bool,
}
