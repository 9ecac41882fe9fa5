//! The forms in which a bundle is handed over, and what each is called. How each is made is in a file of its own beside
//! this one; who writes it where is the command's question.

use zeroize::Zeroizing;

use super::archive::Packer;
use super::contents::{Bundle, BundleFile};
use crate::cluster::name::HostName;

/// A form of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// One archive, for a person or a tool that unpacks it and runs its `install.sh`.
    TarGz,
    /// The same tree as a folder, for tools that copy files.
    Dir,
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
    pub const ALL: [Self; 2] = [Self::TarGz, Self::Dir];

    /// As `--format` calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TarGz => "tar.gz",
            Self::Dir => "dir",
        }
    }

    /// What a host's parcel is called in the folder of bundles.
    #[must_use]
    pub fn file_name(self, host: &HostName) -> String {
        match self {
            Self::TarGz => format!("{host}.tar.gz"),
            Self::Dir => host.to_string(),
        }
    }

    /// Makes a host's parcel: the same for the same bundle.
    #[must_use]
    pub fn parcel(self, bundle: Bundle, packer: &mut Packer) -> Parcel {
        match self {
            Self::TarGz => Parcel::File(packer.pack(&bundle)),
            Self::Dir => Parcel::Folder(bundle.files),
        }
    }
}
