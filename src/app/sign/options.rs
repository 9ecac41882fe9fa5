//! What is signed.

use std::path::PathBuf;

use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;

/// The largest size of a request's file, in bytes.
pub const MAX_REQUEST: u64 = 256 * 1024;

/// The requests, and what they are for where they do not tell.
#[derive(Debug, Clone)]
pub struct SignOptions {
    /// The files, PEM or DER.
    pub files: Vec<PathBuf>,
    /// The host, in place of the one that a request's common name tells.
    pub host: Option<HostName>,
    /// The profile, in place of the one that a request's extended key usage tells.
    pub profile: Option<Profile>,
}
