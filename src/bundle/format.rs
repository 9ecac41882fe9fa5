//! The formats of bundles, and their file names. Each is encoded in a module of its own.

use zeroize::Zeroizing;

use super::archive::{self, ArchiveError};
use super::model::{Bundle, BundleFile};
use super::packer::Packer;
use super::{cloud_init, ignition};
use crate::cluster::name::HostName;

/// A format of bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// One archive, for a person or a tool that unpacks it and runs its `install.sh`.
    TarGz,
    /// The same tree as a folder, for tools that copy files.
    Dir,
    /// User-data for cloud-init.
    CloudInit,
    /// A config for Ignition.
    Ignition,
}

/// The bundle of one host, encoded.
#[derive(Debug)]
pub enum EncodedBundle {
    /// One file with these bytes.
    File(Zeroizing<Vec<u8>>),
    /// A folder with these files.
    Folder(Vec<BundleFile>),
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::TarGz, Self::Dir, Self::CloudInit, Self::Ignition];

    /// Returns the name, as in `--format`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TarGz => "tar.gz",
            Self::Dir => "dir",
            Self::CloudInit => "cloud-init",
            Self::Ignition => "ignition",
        }
    }

    /// Returns the name of a host's bundle in the folder of bundles.
    #[must_use]
    pub fn file_name(self, host: &HostName) -> String {
        match self {
            Self::TarGz => format!("{host}.tar.gz"),
            Self::Dir => host.to_string(),
            Self::CloudInit => format!("{host}.cloud-init.yaml.gz"),
            Self::Ignition => format!("{host}.ign"),
        }
    }

    /// Returns true if a platform delivers the bundle to the host, and possibly to other clients.
    #[must_use]
    pub fn is_user_data(self) -> bool {
        matches!(self, Self::CloudInit | Self::Ignition)
    }

    /// Returns true if the bundle has an installer, which can check a signature.
    #[must_use]
    pub fn can_be_signed(self) -> bool {
        self != Self::Ignition
    }

    /// Returns a packer for this format.
    #[must_use]
    pub fn packer(self) -> Packer {
        if self == Self::CloudInit { Packer::small() } else { Packer::new() }
    }

    /// Encodes a bundle; the same bundle gives the same bytes.
    #[must_use]
    pub fn encode(self, bundle: Bundle, packer: &mut Packer) -> EncodedBundle {
        match self {
            Self::TarGz => EncodedBundle::File(packer.pack(&bundle)),
            Self::Dir => EncodedBundle::Folder(bundle.files),
            Self::CloudInit => EncodedBundle::File(cloud_init::user_data(&bundle, packer)),
            Self::Ignition => EncodedBundle::File(ignition::config(&bundle)),
        }
    }
}

/// Returns the names that earlier versions gave to a host's unencrypted bundles.
#[must_use]
pub fn former_names(host: &HostName) -> [String; 1] {
    [format!("{host}.cloud-init.yaml")]
}

/// Returns the name of a host's encrypted archive in the folder of bundles.
#[must_use]
pub fn encrypted_name(host: impl std::fmt::Display) -> String {
    format!("{host}.tar.gz.age")
}

/// Reads a bundle from the bytes of a file, in any format, and checks each file against the manifest.
///
/// # Errors
/// Returns the first problem that is found.
pub fn read(bytes: &[u8]) -> Result<Bundle, ArchiveError> {
    match bytes {
        [b'#', ..] => cloud_init::read(bytes),
        _ if cloud_init::looks_like_user_data(bytes) => cloud_init::read(bytes),
        [b'{', ..] => ignition::read(bytes),
        _ => archive::read(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::name::BUNDLE_SUFFIXES;

    #[test]
    fn no_host_name_ends_with_the_suffix_of_a_bundle() {
        let host = HostName::parse("a").expect("a name");
        let names = Format::ALL.map(|format| format.file_name(&host)).into_iter();
        let names = names.chain([encrypted_name("a")]).chain(former_names(&host));
        for ending in names.filter_map(|name| name.strip_prefix('a').map(str::to_owned)).filter(|end| !end.is_empty()) {
            assert!(BUNDLE_SUFFIXES.contains(&ending.as_str()), "{ending}");
        }
    }
}
