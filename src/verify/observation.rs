//! What the wire said, written down and judged by nobody. Recordings are made of this; no key is ever in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::target::Place;
use super::{denials, redact, shared};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;

/// Everything that a run saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// Every certificate that any peer sent, or that was shown to one by right, once, by the SHA-256 of its DER.
    pub certificates: BTreeMap<Fingerprint, Der>,
    /// One for each peer of the target, in its order.
    pub peers: Vec<PeerSeen>,
    /// Which nodes the API server knows; `None` where nobody could ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
    /// The nodes' leases; `None` where nobody could ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<LeaseListing>,
    /// Which questions were asked.
    #[serde(default)]
    pub probes: Probes,
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
    /// What TLS did where another kind of key was asked for; `None` where the server has no such certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_key: Option<Tls>,
    /// What a TLS 1.1 ClientHello got; `None` where nobody tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<OldHello>,
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
    #[serde(with = "shared")]
    pub shown: Arc<[Fingerprint]>,
    /// How many were sent.
    pub sent: usize,
    /// Whether the peer proved that it holds the leaf's key.
    pub signature: Signature,
}

/// What a ClientHello of TLS 1.1 got, which offers nothing newer.
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

/// How many certificates of a peer's chain are kept. As many as fit into a message of TLS that is read here, unless they are no
/// certificates.
pub const MAX_CHAIN: usize = 256;

/// The end of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// It was completed.
    Done,
    /// The peer ended it with an alert.
    Alert(String),
    /// The peer goes on with what Kubernetes's clients offer, and found nothing of it that is offered here.
    NothingShared,
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
    #[serde(with = "shared")]
    pub shown: Arc<[Fingerprint]>,
    /// What came back.
    pub outcome: Outcome,
    /// What else was asked, on the same connection as far as the peer kept it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Further>,
    /// What the caller may do, asked on the same connection; only of a node that an API server knows.
    #[serde(default, with = "shared", skip_serializing_if = "<[_]>::is_empty")]
    pub rulings: Arc<[(Access, Ruling)]>,
    /// In milliseconds.
    pub elapsed_ms: u64,
}

impl Exchange {
    /// What the connections of this exchange showed, each with its leaf first.
    pub fn chains(&self) -> impl Iterator<Item = &Arc<[Fingerprint]>> {
        std::iter::once(&self.shown).chain(self.more.iter().map(|further| &further.shown))
    }
}

/// A request after an exchange's first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Further {
    /// What was asked for.
    pub request: Request,
    /// What came back.
    pub outcome: Outcome,
    /// The certificates of the server that answered, leaf first, where they are not the exchange's: behind one address there may
    /// be several servers.
    #[serde(default, with = "shared", skip_serializing_if = "<[_]>::is_empty")]
    pub shown: Arc<[Fingerprint]>,
}

/// What a node's account may need, or must not have. Each is asked with a SelfSubjectAccessReview; nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// `get` its own node.
    OwnNodeGet,
    /// `patch` its own node.
    OwnNodePatch,
    /// `patch` its own node's status.
    OwnStatusPatch,
    /// `get` its own lease in kube-node-lease.
    OwnLeaseGet,
    /// `update` its own lease in kube-node-lease.
    OwnLeaseUpdate,
    /// `list` the pods whose spec.nodeName is its own.
    OwnPodsList,
    /// `create` events.
    EventsCreate,
    /// `patch` another node's status.
    OtherStatusPatch,
    /// `update` another node's lease.
    OtherLeaseUpdate,
    /// `list` all pods.
    AllPodsList,
    /// `list` secrets.
    SecretsList,
}

impl Access {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 11] = [
        Self::OwnNodeGet,
        Self::OwnNodePatch,
        Self::OwnStatusPatch,
        Self::OwnLeaseGet,
        Self::OwnLeaseUpdate,
        Self::OwnPodsList,
        Self::EventsCreate,
        Self::OtherStatusPatch,
        Self::OtherLeaseUpdate,
        Self::AllPodsList,
        Self::SecretsList,
    ];

    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwnNodeGet => "get its own node",
            Self::OwnNodePatch => "patch its own node",
            Self::OwnStatusPatch => "patch its own status",
            Self::OwnLeaseGet => "get its own lease",
            Self::OwnLeaseUpdate => "update its own lease",
            Self::OwnPodsList => "list its own pods",
            Self::EventsCreate => "create events",
            Self::OtherStatusPatch => "patch another node's status",
            Self::OtherLeaseUpdate => "update another node's lease",
            Self::AllPodsList => "list all pods",
            Self::SecretsList => "list secrets",
        }
    }
}

/// What an API server says to an [`Access`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// `allowed: true`
    Allowed,
    /// `allowed: false`
    Denied,
    /// `allowed` and `denied` are both true.
    Contradictory,
    /// No review came back; what did.
    Unclear(String),
}

impl Ruling {
    const LATE: &str = "no answer in time";
    const EVALUATION_ERROR: &str = "with the evaluation error: ";

    /// Of a question that was not answered in time.
    pub(super) fn late() -> Self {
        Self::Unclear(Self::LATE.to_owned())
    }

    /// Of a review that carries an evaluation error, cut to a readable length.
    pub(super) fn of_a_failed_authorizer(allowed: bool, error: &str) -> Self {
        let error: String = error.chars().take(160).collect();
        Self::Unclear(format!("{}, {}{error}", if allowed { "allowed" } else { "not allowed" }, Self::EVALUATION_ERROR))
    }

    /// Whether the review carried an evaluation error.
    pub(super) fn is_of_a_failed_authorizer(&self) -> bool {
        matches!(self, Self::Unclear(why) if why.contains(Self::EVALUATION_ERROR))
    }

    /// Whether the question was not answered in time.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Unclear(why) if why == Self::LATE)
    }
}

/// Which nodes an API server knows, as the verifier is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The place that was asked: the endpoint or a master.
    pub place: Place,
    /// Its name.
    pub host: String,
    /// Where the connection went.
    pub to: SocketAddr,
    /// The certificates that the peer showed.
    #[serde(with = "shared")]
    pub shown: Arc<[Fingerprint]>,
    /// What came back.
    pub outcome: Listed,
    /// In milliseconds.
    pub elapsed_ms: u64,
}

/// What came back for a list of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listed {
    /// The whole list, in the API server's order.
    Nodes(Vec<ListedNode>),
    /// No list, or not all of it.
    Failed(Outcome),
}

/// A node as an API server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedNode {
    /// `metadata.name`
    pub name: String,
    /// `status.addresses`: type and address.
    pub addresses: Vec<(String, String)>,
    /// Its condition `Ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Readiness>,
}

/// A node's condition `Ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// The kubelet's own words, or the node controller's.
    pub message: String,
    /// `lastHeartbeatTime`, by the node's clock.
    pub heartbeat: Option<String>,
}

/// The nodes' Leases in kube-node-lease, as the API server lists them to the verifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseListing {
    /// Where the connection went; `None` where there was no API server to ask.
    pub to: Option<SocketAddr>,
    /// The certificates that the peer showed.
    #[serde(with = "shared")]
    pub shown: Arc<[Fingerprint]>,
    /// What came back.
    pub outcome: Leases,
    /// In milliseconds.
    pub elapsed_ms: u64,
}

/// What came back for a list of leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leases {
    /// The whole list.
    Held {
        /// When it was served, by the API server's clock (RFC 3339).
        served: Option<String>,
        /// Every lease.
        leases: Vec<Lease>,
        /// Which of those that looked odd had been renewed when they were looked at again, and when (RFC 3339).
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        again: BTreeMap<String, String>,
    },
    /// No list, or not all of it.
    Failed(Outcome),
}

/// A node's lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// `metadata.name`, which is its node's.
    pub name: String,
    /// `spec.holderIdentity`: who renews it.
    pub holder: Option<String>,
    /// `spec.renewTime`, by the holder's clock.
    pub renewed: Option<String>,
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
    #[serde(alias = "neighbour")]
    OtherNode(String),
    /// A client without a certificate.
    Anonymous,
    /// The verifier with its own certificate.
    Verifier,
    /// A client whose certificate no server of the cluster may accept.
    #[serde(untagged)]
    Untrusted(Untrusted),
}

/// How the certificate of an untrusted client is made. Servers overlook one kind and refuse another, so several are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Untrusted {
    /// It names our root as its issuer and was not signed by it; the rightful caller's subject.
    #[serde(alias = "stranger")]
    ForgedCa,
    /// Another CA signed it, which is sent with it; the rightful caller's subject.
    #[serde(alias = "unknown")]
    UnknownCa,
    /// Another CA signed it, which is not sent; the rightful caller's subject.
    LoneLeaf,
    /// Signed by its own key; the rightful caller's subject.
    SelfSigned,
    /// As `UnknownCa`, in the group `system:masters`.
    UnknownCaMasters,
    /// As `ForgedCa`, and a CA certificate of our root's subject is sent with it.
    ForgedRoot,
    /// As `LoneLeaf`, in the group `system:masters`.
    LoneLeafMasters,
    /// As `SelfSigned`, in the group `system:masters`.
    SelfSignedMasters,
}

impl Untrusted {
    /// All of them, in the order in which they are tried.
    const ALL: [Self; 8] = [
        Self::ForgedCa,
        Self::UnknownCa,
        Self::LoneLeaf,
        Self::SelfSigned,
        Self::UnknownCaMasters,
        Self::ForgedRoot,
        Self::LoneLeafMasters,
        Self::SelfSignedMasters,
    ];

    /// Those that are tried at a place: of kubelets there are many, so that they meet fewer than API servers.
    #[must_use]
    pub fn at(place: Place) -> &'static [Self] {
        if place == Place::Node { &Self::ALL[..5] } else { &Self::ALL }
    }

    /// As reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForgedCa => "forged-ca",
            Self::UnknownCa => "unknown-ca",
            Self::LoneLeaf => "lone-leaf",
            Self::SelfSigned => "self-signed",
            Self::UnknownCaMasters => "unknown-ca-masters",
            Self::ForgedRoot => "forged-root",
            Self::LoneLeafMasters => "lone-leaf-masters",
            Self::SelfSignedMasters => "self-signed-masters",
        }
    }
}

/// Which questions a run asked. What it did not ask cannot be missing from what it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probes {
    /// Those of recordings of version 1: two kinds of untrusted clients, one request each.
    #[default]
    First,
    /// Those of recordings of version 2: every kind of untrusted client, and several requests.
    Second,
}

impl Probes {
    /// The untrusted clients that a run of these questions tries at a place.
    #[must_use]
    pub fn untrusted(self, place: Place) -> &'static [Untrusted] {
        match self {
            Self::First => &Untrusted::ALL[..2],
            Self::Second => Untrusted::at(place),
        }
    }
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
    /// The same, with a header that names another user, as a front proxy sends it.
    WhoAmIByHeader,
    /// `GET /configz` of a kubelet.
    Configz,
    /// `GET /flagz` of an API server.
    Flagz,
    /// `GET /livez?verbose` of an API server.
    Livez,
    /// `GET /readyz?verbose` of an API server.
    Readyz,
    /// A dry-run write that a node may make: a patch of its own Node.
    DryRunNode,
    /// A dry-run write that a node must not make: a taint on its own Node.
    DryRunTaint,
    /// A dry-run write that a node may make: a mirror pod of its own.
    DryRunOwnPod,
    /// A dry-run write that a node must not make: a pod on another node.
    DryRunOtherPod,
    /// `GET /runningpods/` of a kubelet.
    RunningPods,
    /// `GET /stats/summary` of a kubelet.
    StatsSummary,
    /// `GET /metrics` of a kubelet.
    Metrics,
    /// `GET /api/v1/secrets` of an API server.
    Secrets,
    /// `GET /api/v1/pods` of an API server.
    AllPods,
    /// `POST …/subjectaccessreviews` of an API server: is this certificate denied?
    DenialReview,
}

/// The user that [`Request::WhoAmIByHeader`] names.
pub const HEADER_USER: &str = "clusterctl:named-by-a-header";

/// Why no dry-run write was sent, when the person did not want it.
pub const DRY_RUN_DECLINED: &str = "--no-dry-run-writes";

impl Request {
    /// Method and path, for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "GET /pods",
            Self::Nodes => "GET /api/v1/nodes",
            Self::WhoAmI => "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
            Self::WhoAmIByHeader => "POST /apis/authentication.k8s.io/v1/selfsubjectreviews with X-Remote-User",
            Self::Configz => "GET /configz",
            Self::Flagz => "GET /flagz",
            Self::Livez => "GET /livez?verbose",
            Self::Readyz => "GET /readyz?verbose",
            Self::DryRunNode | Self::DryRunTaint => "PATCH /api/v1/nodes/NODE?dryRun=All",
            Self::DryRunOwnPod | Self::DryRunOtherPod => "POST /api/v1/namespaces/kube-system/pods?dryRun=All",
            Self::RunningPods => "GET /runningpods/",
            Self::StatsSummary => "GET /stats/summary",
            Self::Metrics => "GET /metrics",
            Self::Secrets => "GET /api/v1/secrets?limit=1",
            Self::AllPods => "GET /api/v1/pods?limit=1",
            Self::DenialReview => "POST /apis/authorization.k8s.io/v1/subjectaccessreviews",
        }
    }

    /// How many bytes of an answer's body are read. Who-am-I, configuration and flags are read whole; of the lists only
    /// the kind matters, and a large fleet has many.
    #[must_use]
    pub fn body_limit(self) -> usize {
        match self {
            Self::Pods
            | Self::Nodes
            | Self::RunningPods
            | Self::StatsSummary
            | Self::Metrics
            | Self::Secrets
            | Self::AllPods => 1024,
            Self::WhoAmI | Self::WhoAmIByHeader => 8 * 1024,
            // A review repeats the question, twice.
            Self::Livez | Self::Readyz | Self::DenialReview => 16 * 1024,
            Self::Configz
            | Self::Flagz
            | Self::DryRunNode
            | Self::DryRunTaint
            | Self::DryRunOwnPod
            | Self::DryRunOtherPod => 64 * 1024,
        }
    }

    /// Whether it is a write that changes nothing.
    #[must_use]
    pub fn is_dry_run(self) -> bool {
        matches!(self, Self::DryRunNode | Self::DryRunTaint | Self::DryRunOwnPod | Self::DryRunOtherPod)
    }

    /// What is kept of a body. Of a configuration and of flags that is what checks look at: the rest is nobody's business
    /// and does not belong in a recording.
    #[must_use]
    pub fn kept(self, status: u16, body: &str) -> String {
        let excerpt = match self {
            // That it was shown is all that is judged.
            Self::RunningPods | Self::StatsSummary | Self::Metrics | Self::Secrets | Self::AllPods
                if (200..300).contains(&status) =>
            {
                return String::new();
            }
            Self::Pods
            | Self::Nodes
            | Self::WhoAmI
            | Self::WhoAmIByHeader
            | Self::RunningPods
            | Self::StatsSummary
            | Self::Metrics
            | Self::Secrets
            | Self::AllPods => return body.to_owned(),
            Self::Configz => redact::configuration(body),
            Self::Flagz => redact::flags(body),
            Self::Livez | Self::Readyz => return redact::readiness(body),
            Self::DenialReview => denials::kept(body),
            Self::DryRunNode | Self::DryRunTaint | Self::DryRunOwnPod | Self::DryRunOtherPod => redact::written(body),
        };
        excerpt.unwrap_or_else(|| body.chars().take(1024).collect())
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

/// An HTTP answer. Of a large fleet many are alike, so that equal texts are kept once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `HTTP/2.0`
    #[serde(with = "shared")]
    pub version: Arc<str>,
    /// Content-Type, if there.
    #[serde(default, with = "shared::optional")]
    pub content_type: Option<Arc<str>>,
    /// What [`Request::kept`] keeps of the body's first [`Request::body_limit`] bytes, made valid UTF-8.
    #[serde(with = "shared")]
    pub body: Arc<str>,
    /// There was more.
    pub truncated: bool,
}
