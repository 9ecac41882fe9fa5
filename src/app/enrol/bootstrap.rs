//! Runs a bootstrap endpoint, and creates and removes its registration tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::input;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CaRole;
use crate::enrol::token::{Token, TokenKind};
use crate::pki::issuer::{IssueError, create_root};
use crate::server::bootstrap::{Bootstrap, BootstrapError};
use crate::server::clock::Clock;
use crate::store::error::StoreError;
use crate::store::registrations::{BootstrapFolder, Registration};

/// The port of the bootstrap endpoint.
pub const PORT: u16 = 6445;
/// The default limit of open connections from one address.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 256;
/// The largest file of a certificate or key, in bytes.
const LIMIT: u64 = 256 * 1024;
/// How long a starting endpoint waits for the lock of one that is stopping.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The options of a bootstrap endpoint.
#[derive(Debug, Clone)]
pub struct BootstrapOptions {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The folder of its records and registration tokens.
    pub state: PathBuf,
    /// The files of its certificate chain and key; `None` for a new self-signed certificate, which suffices because hosts
    /// do not verify it.
    pub credential: Option<(PathBuf, PathBuf)>,
    /// The limit of open connections from one address.
    pub max_connections_per_address: usize,
}

/// Starts a bootstrap endpoint, on threads of its own.
///
/// # Errors
/// Returns an error if a file cannot be read, the folder cannot be used, or the address cannot be listened on.
pub fn serve(options: &BootstrapOptions, env: &Env, clock: Clock) -> Result<Bootstrap, Error> {
    let folder = BootstrapFolder::open(&options.state)?;
    // With two servers, one could replace a newer record, which the other has accepted, by an older one.
    let lock = folder.lock(LOCK_WAIT).map_err(|error| match error {
        StoreError::Locked { .. } => BootstrapError::InUse(options.state.clone()).into(),
        error => Error::from(error),
    })?;
    // Reports a damaged file now, and not to the first client.
    folder.registrations().map_err(registrations_error)?;
    let (chain, key) = match &options.credential {
        Some((chain, key)) => {
            let chain = input::read_or_wait(chain, LIMIT, "certificate")?;
            (chain, Zeroizing::new(input::read_or_wait(key, LIMIT, "key")?))
        }
        None => self_signed(env)?,
    };
    let of_address = options.max_connections_per_address;
    Ok(Bootstrap::start(options.listen, &chain, &key, (folder, lock), of_address, clock)?)
}

fn registrations_error(error: StoreError) -> Error {
    match error {
        StoreError::InTheWay(path) => BootstrapError::Damaged(path).into(),
        error => error.into(),
    }
}

/// Returns a self-signed certificate and its key.
///
/// Clients do not verify it: they verify that a record is signed under the root whose pin they have.
fn self_signed(env: &Env) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Error> {
    let name = ClusterName::parse("bootstrap").map_err(|error| BootstrapError::Tls(error.to_string()))?;
    let made = create_root(CaRole::Cluster, &name, KeyKind::EcdsaP256, Lifetime::TEN_YEARS, env.now)?;
    let credential = made.get();
    let key = Zeroizing::new(credential.key.to_pem().as_bytes().to_vec());
    Ok((credential.certificate.to_pem().into_bytes(), key))
}

/// Removes a registration token that no cluster was registered with.
///
/// # Errors
/// Returns an error if the folder cannot be written.
pub fn remove_token(state: &Path, id: &str) -> Result<(), Error> {
    let removed = BootstrapFolder::open(state)?.update(|all| -> Result<(), StoreError> {
        all.retain(|one| one.id != id || one.cluster.is_some());
        Ok(())
    });
    removed.map_err(registrations_error)
}

/// Creates a registration token. The endpoint stores only its public key.
///
/// # Errors
/// Returns an error if the folder cannot be written.
pub fn create_token(state: &Path, ttl: Lifetime, env: &Env) -> Result<Token, Error> {
    let folder = BootstrapFolder::open(state)?;
    let token = Token::generate(TokenKind::Register).map_err(IssueError::from)?;
    let new = Registration {
        id: token.id.clone(),
        public_key: token.secret.public_key().map_err(IssueError::from)?,
        expires: env.now + ttl.duration(),
        cluster: None,
    };
    let added = folder.update(|all| -> Result<(), StoreError> {
        all.retain(|one| one.cluster.is_some() || one.expires > env.now);
        all.push(new);
        Ok(())
    });
    added.map_err(registrations_error)?;
    Ok(token)
}
