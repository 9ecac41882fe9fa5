//! Makes the keys and writes the request.

use std::path::PathBuf;

use super::error::RequestError;
use super::keys::{self, HostKey};
use crate::app::error::Error;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, TABLE, Usage};
use crate::pki::pem;
use crate::pki::request::create_request;
use crate::store::error::StoreError;
use crate::store::files;

/// The first line of a request's file, by which it is known to be one.
const HEAD: &str = "# clusterctl request";

/// What is requested, and where.
#[derive(Debug, Clone)]
pub struct RequestOptions {
    /// The host's name, as the cluster file has it.
    pub host: HostName,
    /// The folder that stands for `/`.
    pub root: PathBuf,
    /// The kind of the keys that are made.
    pub keys: KeyKind,
    /// The file that is written.
    pub out: PathBuf,
}

/// The request that was written, and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestReport {
    /// The host's name.
    pub host: HostName,
    /// The file.
    pub path: PathBuf,
    /// The keys.
    pub keys: Vec<HostKey>,
}

/// Makes the keys of a node that do not exist yet, and writes a request for a certificate of each.
///
/// The same command can be run again: it keeps all keys.
///
/// # Errors
/// When a key that exists cannot be used, another file is in the place of the request, or a file cannot be written.
pub fn request(options: &RequestOptions) -> Result<RequestReport, Error> {
    let RequestOptions { host, root, keys: kind, out } = options;
    if !files::is_folder(root) {
        return Err(RequestError::NoRoot(root.clone()).into());
    }
    // Before any key is made.
    let exists = match files::read(out, LIMIT) {
        Ok(bytes) if bytes.starts_with(HEAD.as_bytes()) => true,
        Ok(_) | Err(StoreError::TooLarge { .. } | StoreError::InTheWay(_)) => {
            return Err(RequestError::OtherFile(out.clone()).into());
        }
        Err(StoreError::Missing(_)) => false,
        Err(error) => return Err(error.into()),
    };
    let mut text = format!("{HEAD} of {host}; sign it with: clusterctl sign FILE\n");
    let mut made = Vec::new();
    for row in TABLE.iter().filter(|row| row.holder == Holder::Node) {
        let Some((key, signing)) = keys::open_or_make(root, row.profile, *kind)? else { continue };
        let names = if row.usage == Usage::Server { vec![host.to_address()] } else { Vec::new() };
        let der = create_request(&signing, host.as_str(), &names, row.usage)?;
        text.push_str(&format!("\n# {}\n{}", row.name, pem::write_request(&der)));
        made.push(key);
    }
    match exists {
        true => files::replace(out, text.as_bytes(), files::PUBLIC)?,
        false => files::write_new(out, text.as_bytes(), files::PUBLIC)?,
    }
    Ok(RequestReport { host: host.clone(), path: out.clone(), keys: made })
}

/// The largest size of a request's file, in bytes.
const LIMIT: u64 = 256 * 1024;
