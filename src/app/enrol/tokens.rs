//! Creates, lists and revokes one-time tokens.
//!
//! With one token, a host gets at most one certificate of each profile. A kubelet needs two certificates, so a token records several
//! uses. A repeated request with the same key is not another use.

use time::OffsetDateTime;

pub use super::token_error::JoinTokenError;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::similar::nearest;
use crate::cluster::spec::Cluster;
use crate::enrol::token::{Source, Token, TokenKind, TokenRecord};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::store::ledger::Ledger;
use crate::store::ledger::events::TOKEN_CREATED;
use crate::store::tokens;

/// The options of a new token.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// The host that may use it.
    pub host: HostName,
    /// The kind of the token: for `join`, or a bearer token for kubelets and kubeadm.
    pub kind: TokenKind,
    /// The address or network from which it may be used; `None` for any.
    pub source: Option<Source>,
    /// The SHA-256 of the SubjectPublicKeyInfo with which it may be used; `None` for any key.
    pub key: Option<Fingerprint>,
    /// How long it may be used.
    pub ttl: Lifetime,
}

/// Creates a token, and adds it with its secret to `pki/tokens.json`, which only its owner can read.
///
/// # Errors
/// Returns an error if the host is not a node of the cluster file, the directory cannot be locked, a CA or the ledger cannot be
/// read, or the file of tokens or the ledger cannot be written.
pub fn create(
    options: &TokenOptions,
    cluster: &Cluster,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<TokenRecord, Error> {
    if cluster.node(options.host.as_str()).is_none() {
        if cluster.master(options.host.as_str()).is_some() {
            return Err(JoinTokenError::ForMaster(options.host.clone()).into());
        }
        let names = cluster.nodes.iter().map(|node| node.name.as_str());
        let similar = nearest(options.host.as_str(), names).map(str::to_owned);
        return Err(JoinTokenError::UnknownHost { name: options.host.clone(), similar }.into());
    }
    let _lock = directory::lock(env, "token create", observer)?;
    let (mut ledger, _) = directory::cas(&env.layout, cluster)?;
    let record = TokenRecord {
        token: Token::generate(options.kind).map_err(IssueError::from)?,
        kind: options.kind,
        host: Some(options.host.clone()),
        source: options.source.clone(),
        key: options.key,
        created: env.now,
        expires: env.now + options.ttl.duration(),
        revoked: None,
        uses: Vec::new(),
    };
    tokens::update(&env.layout, |tokens| tokens.add(record.clone()))?;
    ledger.log_event(TOKEN_CREATED, options.host.as_str(), &record.token.id, &env.audit())?;
    Ok(record)
}

/// Returns all tokens, the oldest first.
///
/// # Errors
/// Returns an error if the file of tokens is damaged or cannot be read.
pub fn list(env: &Env) -> Result<Vec<TokenRecord>, Error> {
    Ok(tokens::read(&env.layout)?.all().cloned().collect())
}

/// Revokes a token. One that was revoked before keeps the time of its revocation.
///
/// # Errors
/// Returns an error if there is no such token, the directory cannot be locked, or the file of tokens or the ledger cannot be
/// written.
pub fn revoke(id: &str, env: &Env, observer: &mut dyn Observer) -> Result<TokenRecord, Error> {
    let _lock = directory::lock(env, "token revoke", observer)?;
    let mut ledger = Ledger::open(&env.layout.ledger())?;
    let revoked = tokens::update(&env.layout, |tokens| {
        let record = tokens.find_mut(id)?;
        record.revoked.get_or_insert(env.now);
        Some(record.clone())
    })?;
    let record = revoked.ok_or_else(|| JoinTokenError::Unknown(id.to_owned()))?;
    let host = record.host.as_ref().map_or("", HostName::as_str);
    ledger.log_event("token-revoke", host, id, &env.audit())?;
    Ok(record)
}

/// The state of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It was not used yet, and can be.
    Valid,
    /// A certificate was issued with it; it may have expired since. Until it expires, it can still be used for another profile, or
    /// for the same key again.
    Used,
    /// It was revoked.
    Revoked,
    /// It expired without having been used or revoked.
    Expired,
}

impl TokenState {
    /// Returns the state of a token.
    #[must_use]
    pub fn of(record: &TokenRecord, now: OffsetDateTime) -> Self {
        match record {
            _ if record.revoked.is_some() => Self::Revoked,
            _ if !record.uses.is_empty() => Self::Used,
            _ if record.expires <= now => Self::Expired,
            _ => Self::Valid,
        }
    }

    /// Returns the word for the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Used => "used",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}
