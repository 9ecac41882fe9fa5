//! The result of packing, as data.

use std::path::PathBuf;

use super::preflight_error::{Refusal, RefusedHost};
use crate::bundle::format::Format;
use crate::cluster::kubernetes::Version;
use crate::cluster::name::HostName;
use crate::store::credentials::CredentialProblem;

/// The result of packing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageReport {
    /// The folder of bundles.
    pub folder: PathBuf,
    /// The bundles that are up to date now, in order.
    pub bundles: Vec<PackedBundle>,
    /// Their format.
    pub format: Format,
    /// Whether they are encrypted.
    pub encrypted: bool,
    /// The hosts that could not be packed, in order.
    pub refused: Vec<RefusedHost>,
    /// The hosts that keep their encrypted bundle, because their keys were discarded.
    pub kept: Vec<HostName>,
    /// The number of deleted keys; `None` if no deletion was requested.
    pub discarded: Option<usize>,
    /// The warnings, in order of discovery.
    pub warnings: Vec<Warning>,
}

/// A host's bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBundle {
    /// The host.
    pub host: HostName,
    /// The file or folder.
    pub path: PathBuf,
    /// Whether it is new or differs from the previous bundle.
    pub changed: bool,
    /// Whether it lacks keys that only the host has.
    pub lacks_keys: bool,
    /// The size of user-data, in bytes: platforms limit it.
    pub user_data: Option<u64>,
}

impl PackageReport {
    /// Returns the hosts whose bundles changed, or those whose bundles did not change.
    #[must_use]
    pub fn hosts(&self, changed: bool) -> Vec<&str> {
        self.bundles.iter().filter(|bundle| bundle.changed == changed).map(|bundle| bundle.host.as_str()).collect()
    }

    /// Returns the user-data that is larger than `limit` bytes, with its size.
    #[must_use]
    pub fn user_data_above(&self, limit: u64) -> Vec<(&HostName, u64)> {
        let size = |bundle: &'_ PackedBundle| bundle.user_data.filter(|size| *size > limit);
        self.bundles.iter().filter_map(|bundle| Some((&bundle.host, size(bundle)?))).collect()
    }

    /// Returns the error that lists the refused hosts; `None` if no host was refused.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let refused = self.refused.clone();
        (!refused.is_empty()).then_some(Refusal { refused, is_partial: true })
    }
}

/// A warning about bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Other users can read private keys.
    ExposedKeys {
        /// The first key.
        first: CredentialProblem,
        /// The number of keys.
        count: usize,
    },
    /// Other users can read the key that signs service account tokens.
    ExposedServiceAccountKey(CredentialProblem),
    /// The release of Kubernetes does not support something that bundles rely on.
    Unsupported {
        /// The release.
        version: Version,
        /// The unsupported feature, as text.
        what: &'static str,
    },
    /// Masters get versions other than those in their last bundles.
    VersionsChanged {
        /// The masters.
        hosts: Vec<HostName>,
        /// The versions of the last bundles.
        before: String,
        /// The versions of these.
        after: String,
        /// Whether they are overridden for this run.
        overridden: bool,
    },
    /// The last bundles had systemd units, and these have none.
    UnitsRemoved {
        /// The hosts.
        hosts: Vec<HostName>,
    },
    /// The last bundles were signed, and these are not.
    SignatureRemoved {
        /// Some of the hosts.
        hosts: Vec<HostName>,
    },
    /// Policy files are written for a version other than that of the masters.
    PolicyOfOtherVersion {
        /// The version of policy files.
        policy: Version,
        /// The version of the bundles.
        packed: Version,
    },
}
