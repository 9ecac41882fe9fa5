//! The forms in which a bundle is handed over, and what each is called. How each is made is in a file of its own beside
//! this one; who writes it where is the command's question.

use zeroize::Zeroizing;

use super::archive::{self, ArchiveError};
use super::model::{Bundle, BundleFile};
use super::packer::Packer;
use super::{cloud_init, ignition};
use crate::cluster::name::HostName;

/// A form of delivery.
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

/// What is written for one host.
#[derive(Debug)]
pub enum Parcel {
    /// One file with these bytes.
    File(Zeroizing<Vec<u8>>),
    /// A folder with these files.
    Folder(Vec<BundleFile>),
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TarGz, Self::Dir, Self::CloudInit, Self::Ignition];

    /// As `--format` calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TarGz => "tar.gz",
            Self::Dir => "dir",
            Self::CloudInit => "cloud-init",
            Self::Ignition => "ignition",
        }
    }

    /// What a host's parcel is called in the folder of bundles.
    #[must_use]
    pub fn file_name(self, host: &HostName) -> String {
        match self {
            Self::TarGz => format!("{host}.tar.gz"),
            Self::Dir => host.to_string(),
            Self::CloudInit => format!("{host}.cloud-init.yaml.gz"),
            Self::Ignition => format!("{host}.ign"),
        }
    }

    /// True where a platform hands the parcel to the host, and perhaps to others who ask it.
    #[must_use]
    pub fn is_user_data(self) -> bool {
        matches!(self, Self::CloudInit | Self::Ignition)
    }

    /// What parcels of this form are packed with.
    #[must_use]
    pub fn packer(self) -> Packer {
        if self == Self::CloudInit { Packer::small() } else { Packer::new() }
    }

    /// Makes a host's parcel: the same for the same bundle.
    #[must_use]
    pub fn parcel(self, bundle: Bundle, packer: &mut Packer) -> Parcel {
        match self {
            Self::TarGz => Parcel::File(packer.pack(&bundle)),
            Self::Dir => Parcel::Folder(bundle.files),
            Self::CloudInit => Parcel::File(cloud_init::user_data(&bundle, packer)),
            Self::Ignition => Parcel::File(ignition::config(&bundle)),
        }
    }
}

/// Names that earlier versions gave to parcels of a host, which are in the clear.
#[must_use]
pub fn former_names(host: &HostName) -> [String; 1] {
    [format!("{host}.cloud-init.yaml")]
}

/// A sealed archive's name in the folder of bundles.
#[must_use]
pub fn sealed_name(host: impl std::fmt::Display) -> String {
    format!("{host}.tar.gz.age")
}

/// Reads a parcel that is a file, of whichever form it is. Nothing is believed that the manifest does not confirm.
///
/// # Errors
/// The first thing that is wrong with it.
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
    use crate::cluster::check::ENDINGS;

    #[test]
    fn no_host_can_be_called_as_a_parcel_is() {
        let host = HostName::parse("a").expect("a name");
        let names = Format::ALL.map(|format| format.file_name(&host)).into_iter();
        let names = names.chain([sealed_name("a")]).chain(former_names(&host));
        for ending in names.filter_map(|name| name.strip_prefix('a').map(str::to_owned)).filter(|end| !end.is_empty()) {
            assert!(ENDINGS.contains(&ending.as_str()), "{ending}");
        }
    }
}
