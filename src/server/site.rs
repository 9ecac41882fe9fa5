//! The interface through which the server uses the cluster directory.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::client::Client;
use super::credential::ServingCredential;
use super::trust::ClientTrust;
use crate::cluster::name::HostName;
use crate::enrol::request::RequestContent;

/// The result of verifying the evidence in a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proof {
    /// Whether the host's SSH key, a one-time token or the host's current certificate proves the host.
    pub is_proven: bool,
    /// The id of the one-time token that proves it.
    pub token: Option<String>,
    /// Why the request is refused, if its evidence is wrong.
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

/// The result of reading the changed files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// The hosts whose open requests must be closed: one of their certificates was revoked, or the cluster file no longer has them.
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

/// The cluster of a server. Implementations read files; every answer is bounded in size and time.
pub trait Site: Send + Sync + fmt::Debug {
    /// Returns the current trust in clients.
    fn trust(&self) -> Arc<ClientTrust>;

    /// Returns the current serving credential.
    fn credential(&self) -> Arc<ServingCredential>;

    /// Reads the files that changed. Called every second. If one cannot be read, the former state still applies.
    fn reload(&self, now: OffsetDateTime) -> Reloaded;

    /// Returns true if the cluster file has the node.
    fn knows(&self, host: &HostName) -> bool;

    /// Verifies the evidence of a request.
    fn prove(&self, content: &RequestContent, client: &Client, now: OffsetDateTime) -> Proof;

    /// Verifies a bearer token, `ID.SECRET`.
    fn bearer(&self, token: &str, now: OffsetDateTime) -> Option<BearerToken>;

    /// Returns which rule of the policy would decide about a request, and why, as JSON; `None` if that cannot be determined here.
    fn preview(&self, content: &RequestContent, client: &Client, now: OffsetDateTime) -> Option<Value>;

    /// Returns the bundle of a host.
    fn bundle(&self, host: &HostName) -> HostBundle;

    /// Returns the `data` of the ConfigMap `kube-public/cluster-info`: a kubeconfig, and its signatures by tokens
    /// (Kubernetes `cluster-bootstrap/token/jws`).
    fn cluster_info(&self, now: OffsetDateTime) -> Vec<(String, String)>;
}
