//! Options of packing.

use std::path::PathBuf;

use super::encryption::Encryption;
use super::selection::Selection;
use crate::bundle::format::Format;
use crate::bundle::images::Settings;
use crate::pki::ssh::SshKey;

/// Options of packing.
#[derive(Debug)]
pub struct PackageOptions<'c> {
    /// The hosts.
    pub hosts: Selection<'c>,
    /// The form of the bundles.
    pub format: Format,
    /// A folder with templates that replace those of the cluster file.
    pub templates: Option<PathBuf>,
    /// The versions of a control plane, and whether systemd units are packed.
    pub settings: Settings,
    /// Whether `settings` differ from the cluster file in this run alone.
    pub overrides_versions: bool,
    /// The recipients of each bundle.
    pub encryption: Encryption<'c>,
    /// The key that signs the bundles.
    pub signing_key: Option<SshKey>,
    /// Whether the nodes' keys are deleted here once their encrypted bundles are written.
    pub discard_keys: bool,
}
