//! Connects to the API server, or the enrolment CA's server, that a kubeconfig names.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::app::enrol::signer::SignerError;
use crate::app::error::Error;
use crate::app::input;
use crate::config::kubeconfig::{self, ContextError, Credential, KubeconfigError, ResolvedContext};
use crate::mailbox::{ApiMailbox, Connection};

/// The largest kubeconfig, certificate or key, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Reasons why a kubeconfig cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionProblem {
    /// It cannot be read.
    #[error(transparent)]
    Kubeconfig(KubeconfigError),
    /// Its current context cannot be used.
    #[error(transparent)]
    Context(ContextError),
    /// It names no CA.
    #[error("it names no CA, and the system's CAs are never trusted")]
    NoCa,
    /// It does not verify the server.
    #[error("it does not verify the server (insecure-skip-tls-verify)")]
    Insecure,
    /// Its user has no client certificate with a key.
    #[error("its user has no client certificate and key")]
    NoClientCertificate,
    /// It uses a proxy.
    #[error("a proxy cannot be used")]
    Proxy,
    /// Its server is not HTTPS.
    #[error("its server {0:?} is not https")]
    NotHttps(String),
}

/// A kubeconfig that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct ConnectionError {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub problem: ConnectionProblem,
}

/// Prepares a connection to the server that a kubeconfig names, with its CA and its client certificate. Sends nothing yet.
///
/// # Errors
/// Returns an error if the kubeconfig, or a file that it names, cannot be read or used.
pub fn connect(path: &Path) -> Result<ApiMailbox, Error> {
    connect_at(path, None)
}

/// Like [`connect`], but connects to `server`, if there is one, instead of the server that the kubeconfig names.
///
/// # Errors
/// Returns the errors of [`connect`].
pub fn connect_at(path: &Path, server: Option<String>) -> Result<ApiMailbox, Error> {
    let unusable = |problem| ConnectionError { path: path.to_owned(), problem };
    let bytes = Zeroizing::new(input::read_or_wait(path, LIMIT, "kubeconfig")?);
    let config = kubeconfig::read(&bytes).map_err(|error| unusable(ConnectionProblem::Kubeconfig(error)))?;
    let used = config.resolve(None).map_err(|error| unusable(ConnectionProblem::Context(error)))?;
    check(&used).map_err(unusable)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let contents = |credential: &Credential| match credential {
        Credential::Data(bytes) => Ok(bytes.to_vec()),
        Credential::File(file) => input::read(&folder.join(file), LIMIT, "file"),
    };
    let no_ca = || unusable(ConnectionProblem::NoCa);
    let no_client = || unusable(ConnectionProblem::NoClientCertificate);
    let user = used.user.ok_or_else(no_client)?;
    let connection = Connection {
        server_name: used.cluster.tls_server_name.clone().filter(|_| server.is_none()),
        server: server.unwrap_or_else(|| used.cluster.location()),
        ca: contents(used.cluster.ca.as_ref().ok_or_else(no_ca)?)?,
        certificate: contents(user.certificate.as_ref().ok_or_else(no_client)?)?,
        key: Zeroizing::new(contents(user.key.as_ref().ok_or_else(no_client)?)?),
    };
    Ok(ApiMailbox::new(&connection).map_err(SignerError::from)?)
}

fn check(used: &ResolvedContext<'_>) -> Result<(), ConnectionProblem> {
    let location = used.cluster.location();
    if used.cluster.insecure {
        return Err(ConnectionProblem::Insecure);
    }
    if used.cluster.proxy_url.is_some() {
        return Err(ConnectionProblem::Proxy);
    }
    if !location.starts_with("https://") {
        return Err(ConnectionProblem::NotHttps(location));
    }
    Ok(())
}
