//! Generates the keys and writes the request.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::error::RequestError;
use super::keys::{self, HostKey};
use super::statement::Statement;
use crate::app::error::Error;
use crate::bundle::paths;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, TABLE, Usage};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::pki::request::create_request;
use crate::pki::ssh::SshKey;
use crate::store::error::StoreError;
use crate::store::files;

/// The beginning of a request's file, which identifies the format.
const HEAD: &str = "# clusterctl request";
/// The largest size of a request's file and of the root's certificate, in bytes.
const LIMIT: u64 = 256 * 1024;

/// The options of a request.
#[derive(Debug)]
pub struct RequestOptions {
    /// The host's name, as the cluster file has it.
    pub host: HostName,
    /// The folder that is used as `/`.
    pub root: PathBuf,
    /// The kind of the keys to generate.
    pub keys: KeyKind,
    /// The file that is written.
    pub out: PathBuf,
    /// The host's SSH key, which signs a statement that the requests are the host's.
    pub ssh_host_key: Option<SshKey>,
    /// The time in the statement.
    pub now: OffsetDateTime,
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

/// Generates the missing keys of a node, and writes a certificate request for each key.
///
/// Running it again keeps all existing keys.
///
/// # Errors
/// Returns an error if a key that exists cannot be used, a link leads out of the root, the path of the request has
/// another file, or a file cannot be written.
pub fn request(options: &RequestOptions) -> Result<RequestReport, Error> {
    let RequestOptions { host, root, keys: kind, out, .. } = options;
    if !files::is_folder(root) {
        return Err(RequestError::NoRoot(root.clone()).into());
    }
    // Checked before any key is generated.
    let exists = match files::read(out, LIMIT) {
        Ok(bytes) if bytes.starts_with(format!("{HEAD} of {host};").as_bytes()) => true,
        Ok(_) | Err(StoreError::TooLarge { .. } | StoreError::InTheWay(_)) => {
            return Err(RequestError::OtherFile(out.clone()).into());
        }
        Err(StoreError::Missing(_)) => false,
        Err(error) => return Err(error.into()),
    };
    let mut text = format!("{HEAD} of {host}; sign it with: clusterctl sign FILE\n");
    let (mut made, mut requests) = (Vec::new(), Vec::new());
    for row in TABLE.iter().filter(|row| row.holder == Holder::Node) {
        let Some((key, signing)) = keys::open_or_make(root, row.profile, *kind)? else { continue };
        let names = if row.usage == Usage::Server { vec![host.to_address()] } else { Vec::new() };
        let der = create_request(&signing, host.as_str(), &names, row.usage)?;
        text.push_str(&format!("\n# {}\n{}", row.name, pem::write_request(&der)));
        requests.push(Fingerprint::of(&der));
        made.push(key);
    }
    if let Some(key) = &options.ssh_host_key {
        let cluster = pin_of_root(root);
        let statement = Statement { host: host.clone(), time: options.now, cluster, requests };
        let signed = statement.signed(key).map_err(RequestError::HostKey)?;
        text.push_str(&format!("\n{signed}"));
    }
    match exists {
        true => files::replace(out, text.as_bytes(), files::PUBLIC)?,
        false => files::write_new(out, text.as_bytes(), files::PUBLIC)?,
    }
    Ok(RequestReport { host: host.clone(), path: out.clone(), keys: made })
}

/// Returns the pin of the root that the host already trusts; `None` if it has no readable root.
fn pin_of_root(root: &Path) -> Option<Fingerprint> {
    let bytes = files::read(&root.join(paths::CA), LIMIT).ok()?;
    let der = pem::certificates(&bytes).ok()?.into_iter().next()?;
    Certificate::from_der(der).ok().map(|root| root.spki_fingerprint())
}
