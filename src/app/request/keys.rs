//! The keys of a host, in the paths of its bundle.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::RequestError;
use crate::app::error::Error;
use crate::bundle::model::folder_mode;
use crate::bundle::paths;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::Profile;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::pki::key::PrivateKey;
use crate::pki::local_key::LocalKey;
use crate::pki::signing_key::SigningKey;
use crate::store::error::StoreError;
use crate::store::files;

/// The largest size of a key's file, in bytes.
const LIMIT: u64 = 64 * 1024;

/// A key of a host. The key itself is in its file alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// The purpose of the certificate that it is for.
    pub profile: Profile,
    /// The key's file.
    pub path: PathBuf,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub public_key: Fingerprint,
    /// Whether it was made now.
    pub is_new: bool,
}

/// Opens the key of a profile below `root`, and makes it where there is none.
///
/// # Errors
/// Returns an error if the key that exists cannot be used, a link leads out of `root`, or a file or folder cannot be written.
pub(super) fn open_or_make(root: &Path, profile: Profile, kind: KeyKind) -> Result<Option<(HostKey, LocalKey)>, Error> {
    let Some(below) = paths::key_of(profile) else { return Ok(None) };
    if let Some(path) = files::leads_out(root, &below) {
        return Err(RequestError::LeadsOut { path, root: root.to_owned() }.into());
    }
    let path = root.join(&below);
    let is_new = match files::read_one_of_many(&path, LIMIT) {
        Ok((pem, mode)) => {
            let pem = Zeroizing::new(pem);
            return opened(profile, path, &pem, mode).map(Some);
        }
        Err(StoreError::Missing(_)) => true,
        Err(error) => return Err(error.into()),
    };
    files::create_folders_below(root, &below, folder_mode)?;
    // A process that was killed may have left a key under a temporary name.
    files::sweep(path.parent().unwrap_or(root))?;
    let key = PrivateKey::generate(kind).map_err(IssueError::from)?;
    files::write_new(&path, key.to_pem().as_bytes(), files::PRIVATE)?;
    let signing = LocalKey::open(&key).map_err(IssueError::from)?;
    Ok(Some((HostKey { profile, path, public_key: key.fingerprint(), is_new }, signing)))
}

fn opened(profile: Profile, path: PathBuf, pem: &[u8], mode: u32) -> Result<(HostKey, LocalKey), Error> {
    if mode & 0o077 != 0 {
        return Err(RequestError::ReadableByOthers { path, mode }.into());
    }
    match LocalKey::from_pem_with(pem, None) {
        Ok(key) => {
            let public_key = Fingerprint::of(key.public_key());
            Ok((HostKey { profile, path, public_key, is_new: false }, key))
        }
        Err(source) => Err(RequestError::Key { path, source }.into()),
    }
}
