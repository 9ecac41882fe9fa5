//! What the wire said, written down and judged by nobody. Recordings are made of this; no key is ever in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::target::Place;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;

/// Everything that a run saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// Every certificate that any peer sent, once, by the SHA-256 of its DER.
    pub certificates: BTreeMap<Fingerprint, Der>,
    /// One for each peer of the target, in its order.
    pub peers: Vec<PeerSeen>,
}

/// A certificate's DER; written as PEM, so that a recording can be read with other tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Der(pub Vec<u8>);

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&pem::write_certificate(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut found = pem::certificates(text.as_bytes()).map_err(de::Error::custom)?;
        match (found.pop(), found.is_empty()) {
            (Some(der), true) => Ok(Self(der)),
            _ => Err(de::Error::custom("one certificate belongs here")),
        }
    }
}

/// What was seen of one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSeen {
    /// Its place.
    pub place: Place,
    /// Its name.
    pub host: String,
    /// One for each of its addresses, in the target's order.
    pub locations: Vec<LocationSeen>,
}

/// What was seen at one address of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationSeen {
    /// The address as the target has it.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Where its name led.
    pub resolution: Resolution,
    /// One for each IP address that it led to.
    pub dials: Vec<Dial>,
}

/// Where a name led.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// It is an IP address.
    Literal,
    /// `--resolve` said so.
    Pinned(Vec<IpAddr>),
    /// The resolver said so.
    Resolved(Vec<IpAddr>),
    /// No answer, and why.
    Failed(String),
}

/// What was seen at one socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    /// Where the connection went.
    pub to: SocketAddr,
    /// Whether TCP opened.
    pub connect: Connect,
    /// What TLS did; `None` where TCP did not open.
    pub tls: Option<Tls>,
    /// What each caller was answered.
    pub exchanges: Vec<Exchange>,
    /// Whether the kubelet's read-only port opened; `None` where nobody looked.
    pub readonly: Option<Connect>,
    /// From the first packet to the end of the handshake, in milliseconds.
    pub elapsed_ms: u64,
}

/// How a TCP connection went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connect {
    /// It opened.
    Open,
    /// The host answered that nobody listens.
    Refused,
    /// No answer in time, in milliseconds.
    TimedOut(u64),
    /// Anything else, in the operating system's words.
    Failed(String),
    /// The run ended before.
    NotTried(String),
}

/// How a TLS handshake went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Its end.
    pub outcome: Handshake,
    /// `TLSv1.3`
    pub version: Option<String>,
    /// `TLS13_AES_128_GCM_SHA256`
    pub cipher: Option<String>,
    /// The certificates as sent, leaf first; at most [`MAX_CHAIN`] are kept.
    pub shown: Vec<Fingerprint>,
    /// How many were sent.
    pub sent: usize,
    /// Whether the peer proved that it holds the leaf's key.
    pub signature: Signature,
}

/// How many certificates of a peer's chain are kept.
pub const MAX_CHAIN: usize = 16;

/// The end of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// It was completed.
    Done,
    /// The peer ended it with an alert.
    Alert(String),
    /// The peer answers HTTP without TLS.
    PlainHttp,
    /// The peer closed or reset the connection.
    Closed,
    /// No answer in time, in milliseconds.
    TimedOut(u64),
    /// Anything else, with the first bytes that came if they are not TLS.
    Failed(String),
}

/// Whether the handshake's signature is by the leaf's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// None came.
    None,
    /// It is.
    Valid,
    /// It is not, or cannot be checked; why.
    Invalid(String),
}

/// One request on a connection of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Who called.
    pub caller: Caller,
    /// The client certificate that was presented.
    pub presented: Option<Fingerprint>,
    /// What was asked for.
    pub request: Request,
    /// The certificates that the peer showed on this very connection.
    pub shown: Vec<Fingerprint>,
    /// What came back.
    pub outcome: Outcome,
    /// In milliseconds.
    pub elapsed_ms: u64,
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// A master with its kubelet client certificate.
    Master(String),
    /// A node with its own certificate.
    Node(String),
    /// Another node, on a kubelet's port.
    Neighbour(String),
    /// Nobody: no certificate.
    Anonymous,
    /// A certificate that names our root and was not signed by it.
    Stranger,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// `GET /pods` of a kubelet.
    Pods,
    /// `GET /api/v1/nodes` of an API server.
    Nodes,
    /// `POST …/selfsubjectreviews` of an API server: who am I?
    WhoAmI,
}

impl Request {
    /// Method and path, for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "GET /pods",
            Self::Nodes => "GET /api/v1/nodes",
            Self::WhoAmI => "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
        }
    }
}

impl Request {
    /// How many bytes of an answer's body are read and kept. Who-am-I is read whole; of the lists only the kind matters,
    /// and a large fleet has many.
    #[must_use]
    pub fn body_limit(self) -> usize {
        match self {
            Self::Pods | Self::Nodes => 1024,
            Self::WhoAmI => 8 * 1024,
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An HTTP answer.
    Answer(Answer),
    /// A TLS alert in place of an answer.
    Alert(String),
    /// The connection was closed before an answer.
    Closed,
    /// The connection was reset before an answer.
    Reset,
    /// No answer in time, in milliseconds.
    TimedOut(u64),
    /// Anything else.
    Failed(String),
    /// There is no credential to call with; why.
    NoCredential(String),
    /// It was not tried; why.
    NotTried(String),
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `HTTP/2.0`
    pub version: String,
    /// Content-Type, if there.
    pub content_type: Option<String>,
    /// The body's beginning, at most [`Request::body_limit`] bytes, made valid UTF-8.
    pub body: String,
    /// There was more.
    pub truncated: bool,
}
