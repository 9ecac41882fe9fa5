//! Opens a bundle: decrypts it, checks all of its files and its signature, and unpacks it.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::open_error::OpenBundleError;
use crate::app::error::Error;
use crate::bundle::archive;
use crate::bundle::encryption::{self, Identity};
use crate::bundle::model::Bundle;
use crate::bundle::signature::{self, SignatureError};
use crate::pki::allowed_signers::AllowedSigners;
use crate::store::files;
use crate::store::staged::StagedFolder;

/// A bundle that was read from a file.
#[derive(Debug)]
pub enum OpenedFile {
    /// A bundle, checked against its manifest.
    Bundle(Box<Bundle>),
    /// An encrypted bundle.
    Encrypted(EncryptedFile),
}

/// An encrypted bundle with a well-formed header.
#[derive(Debug)]
pub struct EncryptedFile {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

impl EncryptedFile {
    /// Decrypts the bundle and checks it against its manifest.
    ///
    /// # Errors
    /// Returns an error if the identity is not one of its recipients, or it is damaged.
    pub fn decrypt(&self, identity: &Identity) -> Result<Bundle, OpenBundleError> {
        let decrypted = encryption::decrypt(&self.bytes, identity)
            .map_err(|source| OpenBundleError::Decrypt { path: self.path.clone(), source })?;
        checked(&self.path, &decrypted)
    }
}

/// Reads the bytes of a bundle's file; `path` is its name in errors.
///
/// # Errors
/// Returns an error if it is not a bundle, or is damaged.
pub fn read(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<OpenedFile, OpenBundleError> {
    if !encryption::is_encrypted(&bytes) {
        return checked(path, &bytes).map(|bundle| OpenedFile::Bundle(Box::new(bundle)));
    }
    // The header is checked first, so that the user is not asked for a passphrase in vain.
    match encryption::recipients(&bytes) {
        Ok(_) => Ok(OpenedFile::Encrypted(EncryptedFile { path: path.to_owned(), bytes })),
        Err(source) => Err(OpenBundleError::Decrypt { path: path.to_owned(), source }),
    }
}

fn checked(path: &Path, bytes: &[u8]) -> Result<Bundle, OpenBundleError> {
    archive::read(bytes).map_err(|source| OpenBundleError::Invalid { path: path.to_owned(), source })
}

/// A bundle's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// It is valid, and one of the allowed signers made it.
    By {
        /// The name of the signer.
        name: String,
    },
    /// It is valid, but the owner of the key is not known.
    Unknown {
        /// The key's fingerprint, as OpenSSH prints it.
        fingerprint: String,
    },
    /// The bundle is not signed.
    None,
    /// It is not valid.
    Invalid(SignatureError),
}

/// Checks the signature of a bundle. Without `signers`, only checks that the signature is valid for the bundle.
///
/// # Errors
/// Returns [`OpenBundleError::Signature`] if `signers` are given and none of them signed the bundle.
pub fn check_signature(
    path: &Path,
    bundle: &Bundle,
    signers: Option<&AllowedSigners>,
    now: OffsetDateTime,
) -> Result<Signature, OpenBundleError> {
    match signers {
        Some(signers) => signature::verify(bundle, signers, now)
            .map(|name| Signature::By { name })
            .map_err(|source| OpenBundleError::Signature { path: path.to_owned(), source }),
        None => Ok(match signature::found(bundle) {
            Ok(signature) => Signature::Unknown { fingerprint: signature.fingerprint() },
            Err(SignatureError::Unsigned) => Signature::None,
            Err(error) => Signature::Invalid(error),
        }),
    }
}

/// Unpacks a bundle into a new folder with mode 0700. If that fails, no folder remains.
///
/// # Errors
/// Returns [`OpenBundleError::FolderExists`], or an error if a file cannot be written.
pub fn unpack(bundle: &Bundle, folder: &Path) -> Result<(), Error> {
    if files::exists(folder) {
        return Err(OpenBundleError::FolderExists(folder.to_owned()).into());
    }
    let staged = StagedFolder::begin(folder)?;
    for file in &bundle.files {
        // The manifest allows no other bits, but does not list itself, its checksum and its signature.
        staged.add_below(&file.path, &file.bytes, file.mode & 0o777)?;
    }
    staged.sync()?;
    Ok(staged.publish_new()?)
}
