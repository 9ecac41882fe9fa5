//! Observations of connections: TCP, TLS, and the requests made on them.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exchange::Exchange;
use crate::pki::fingerprint::Fingerprint;
use crate::verify::shared;

/// The observations at one socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    /// The address of the connection.
    pub to: SocketAddr,
    /// Whether TCP opened.
    pub connect: Connect,
    /// The TLS handshake; `None` if TCP did not open.
    pub tls: Option<Tls>,
    /// The TLS handshake that offers another kind of key; `None` if the server has no such certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_key: Option<Tls>,
    /// The response to a TLS 1.1 ClientHello; `None` if none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<OldHello>,
    /// The requests of each client, and the responses.
    pub exchanges: Vec<Exchange>,
    /// Whether the kubelet's read-only port opened; `None` if it was not tried.
    pub readonly: Option<Connect>,
    /// From the first packet to the end of the handshake, in milliseconds.
    pub elapsed_ms: u64,
}

impl Dial {
    /// Returns the observations at a socket before anything is sent.
    #[must_use]
    pub fn new(to: SocketAddr, connect: Connect) -> Self {
        Self {
            to,
            connect,
            tls: None,
            other_key: None,
            old: None,
            exchanges: Vec::new(),
            readonly: None,
            elapsed_ms: 0,
        }
    }
}

/// The result of opening a TCP connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connect {
    /// The connection opened.
    Open,
    /// The host refused the connection.
    Refused,
    /// No answer in time, in milliseconds.
    TimedOut(u64),
    /// Anything else, in the operating system's words.
    Failed(String),
    /// The run ended before the attempt.
    NotTried(String),
}

/// A TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The result.
    pub outcome: Handshake,
    /// `TLSv1.3`
    pub version: Option<String>,
    /// `TLS13_AES_128_GCM_SHA256`
    pub cipher: Option<String>,
    /// The certificates that the server sent, leaf first; at most [`MAX_CHAIN`] are kept.
    #[serde(rename = "shown", with = "shared")]
    pub server_chain: Arc<[Fingerprint]>,
    /// The number of certificates that were sent.
    pub sent: usize,
    /// Whether the server proved that it holds the leaf's key.
    pub signature: Signature,
}

/// The response to a ClientHello that offers TLS 1.1 at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldHello {
    /// A ServerHello: `TLS 1.1`, `TLS 1.0` or `SSL 3.0`.
    Spoken(String),
    /// An alert, by its number (RFC 8446 § 6).
    Alert(u8),
    /// The connection was closed or reset.
    Closed,
    /// No answer in time, in milliseconds.
    TimedOut(u64),
    /// Anything else.
    Failed(String),
}

/// The number of a server's certificates that are kept: more than fit into a TLS message that is read here.
pub const MAX_CHAIN: usize = 256;

/// The result of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// It was completed.
    Done,
    /// The server sent an alert.
    Alert(String),
    /// The server accepts the offer of Kubernetes's clients, but nothing that is offered here.
    NothingShared,
    /// The server speaks HTTP without TLS.
    PlainHttp,
    /// The server closed or reset the connection.
    Closed,
    /// No answer in time, in milliseconds.
    TimedOut(u64),
    /// Anything else, with the first bytes of the response if they are not TLS.
    Failed(String),
}

/// The result of verifying the handshake's signature with the leaf's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// The server sent no signature.
    None,
    /// The signature is valid.
    Valid,
    /// The signature is not valid, or cannot be checked, for this reason.
    Invalid(String),
}
