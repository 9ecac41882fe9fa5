//! What the server asks about its cluster. The cluster directory has the answers.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::client::Client;
use super::credential::ServingCredential;
use super::trust::ClientTrust;
use crate::cluster::name::HostName;
use crate::enrol::request::RequestContent;

/// The proof of a host in a request, as far as the server can verify it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proof {
    /// Whether the host's SSH key, a one-time token or a present certificate proves the host.
    pub is_proven: bool,
    /// The id of the one-time token that proves it.
    pub token: Option<String>,
    /// Why it is refused: the evidence is wrong.
    pub refusal: Option<String>,
}

/// A bearer token that is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerToken {
    /// Its id.
    pub id: String,
    /// The host that it is for; `None` for any.
    pub host: Option<HostName>,
}

/// What reading the changed files did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// The hosts whose open requests are closed, because a certificate of theirs was revoked or they left.
    pub closed: Vec<HostName>,
    /// Why something cannot be read, so that the former state still applies.
    pub problem: Option<String>,
}

/// The bundle of a host, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostBundle {
    /// The archive.
    Archive(Vec<u8>),
    /// It is not packed, or it cannot be served.
    Missing(String),
}

/// Answers about the cluster. Implementations read files; every answer is bounded in size and time.
pub trait Site: Send + Sync + fmt::Debug {
    /// Returns the present trust in clients.
    fn trust(&self) -> Arc<ClientTrust>;

    /// Returns the present serving credential.
    fn credential(&self) -> Arc<ServingCredential>;

    /// Reads the files that changed. Called every second; what cannot be read stays as it is.
    fn reload(&self, now: OffsetDateTime) -> Reloaded;

    /// Returns true if the cluster file has the node.
    fn knows(&self, host: &HostName) -> bool;

    /// Verifies the evidence of a request.
    fn prove(&self, content: &RequestContent, client: &Client, now: OffsetDateTime) -> Proof;

    /// Verifies a bearer token, `ID.SECRET`.
    fn bearer(&self, token: &str, now: OffsetDateTime) -> Option<BearerToken>;

    /// Returns which rule of the policy would decide about a request, and why, as JSON; `None` if no policy is here.
    fn preview(&self, content: &RequestContent, client: &Client, now: OffsetDateTime) -> Option<Value>;

    /// Returns the bundle of a host.
    fn bundle(&self, host: &HostName) -> HostBundle;

    /// Returns the `data` of the ConfigMap `kube-public/cluster-info`: a kubeconfig, and its signatures by tokens
    /// (Kubernetes `cluster-bootstrap/token/jws`).
    fn cluster_info(&self, now: OffsetDateTime) -> Vec<(String, String)>;
}
