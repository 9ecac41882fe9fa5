//! Connects to the API with the CA and the client certificate of a kubeconfig. The system's CAs and proxies are not used.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use kube::config::AuthInfo;
use kube::{Client, Config};
use serde_json::json;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::error::MailboxError;
use crate::pki::pem::{self, Item};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// The location of the API, the CAs to trust, and the client credential.
pub struct Connection {
    /// `https://HOST:PORT`
    pub server: String,
    /// The name to verify instead of the server's host.
    pub server_name: Option<String>,
    /// The CAs to trust, PEM.
    pub ca: Vec<u8>,
    /// The client certificate, PEM.
    pub certificate: Vec<u8>,
    /// Its key, PEM.
    pub key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.server)
    }
}

/// Returns a client, and the runtime that it works in.
pub(super) fn client(connection: &Connection) -> Result<(Runtime, Client), MailboxError> {
    let setup = |error: &dyn std::fmt::Display| MailboxError::Setup(error.to_string());
    let url = connection
        .server
        .parse()
        .map_err(|_| MailboxError::Kubeconfig(format!("{} is not the location of an API server", connection.server)))?;
    let mut config = Config::new(url);
    config.root_cert = Some(certificates(&connection.ca)?);
    config.tls_server_name.clone_from(&connection.server_name);
    config.connect_timeout = Some(CONNECT);
    // Each call and each watch has its own limit.
    config.read_timeout = None;
    config.proxy_url = None;
    let key = Zeroizing::new(Base64::encode_string(&connection.key));
    let identity = json!({
        "client-certificate-data": Base64::encode_string(&connection.certificate),
        "client-key-data": key.as_str(),
    });
    config.auth_info = serde_json::from_value::<AuthInfo>(identity).map_err(|error| setup(&error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| setup(&error))?;
    let client = {
        let _inside = runtime.enter();
        Client::try_from(config).map_err(|error| setup(&error))?
    };
    Ok((runtime, client))
}

fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, MailboxError> {
    let wrong = |reason: String| MailboxError::Kubeconfig(format!("its CAs cannot be used: {reason}"));
    let items = pem::read_all(bytes).map_err(|error| wrong(error.to_string()))?;
    let found: Vec<Vec<u8>> = items
        .into_iter()
        .filter_map(|item| match item {
            Item::Certificate(der) => Some(der),
            _ => None,
        })
        .collect();
    if found.is_empty() { Err(wrong("there is no certificate".to_owned())) } else { Ok(found) }
}
