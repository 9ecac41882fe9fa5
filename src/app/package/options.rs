//! Options of packing.

use std::path::PathBuf;
use std::sync::Arc;

use super::encryption::Encryption;
use super::selection::Selection;
use crate::bundle::format::{Format, encrypted_name};
use crate::bundle::images::Settings;
use crate::cluster::name::HostName;
use crate::pki::ssh::SshKey;
use crate::store::layout::Layout;

/// Options of packing.
#[derive(Debug, Clone)]
pub struct PackageOptions<'c> {
    /// The hosts.
    pub hosts: Selection<'c>,
    /// The format of the bundles.
    pub format: Format,
    /// A folder with templates that replace those of the cluster file.
    pub templates: Option<PathBuf>,
    /// The versions of a control plane, and whether systemd units are packed.
    pub settings: Settings,
    /// Whether `settings` override the cluster file for this run.
    pub overrides_versions: bool,
    /// The recipients of each bundle.
    pub encryption: Encryption<'c>,
    /// The key that signs the bundles.
    pub signing_key: Option<Arc<SshKey>>,
    /// Whether the nodes' keys are deleted here once their encrypted bundles are written.
    pub discard_keys: bool,
}

impl PackageOptions<'_> {
    /// Returns the path of a host's bundle in this format and encryption.
    #[must_use]
    pub fn path(&self, layout: &Layout, host: &HostName) -> PathBuf {
        let name = if self.encryption.is_on() { encrypted_name(host) } else { self.format.file_name(host) };
        layout.bundles().join(name)
    }
}
