//! The changes of the queue, and their results.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use super::row::StoredRequest;
use crate::enrol::request::{Condition, RequestContent, Requester};
use crate::pki::fingerprint::Fingerprint;

/// A new request.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// `metadata.name`
    pub name: String,
    /// Its content.
    pub content: RequestContent,
    /// `metadata.annotations`
    pub annotations: BTreeMap<String, String>,
    /// `spec.expirationSeconds`
    pub expiration: Option<i32>,
    /// The client that sent it.
    pub requester: Requester,
    /// Whether evidence of the host was verified.
    pub proven: bool,
    /// Whether the cluster file has the host.
    pub known: bool,
    /// The id of the one-time token that proves it.
    pub token: Option<String>,
    /// The limits that apply.
    pub limits: Limits,
}

/// The limits of open requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of open requests of one host.
    pub of_host: u32,
    /// The largest number of open requests of all unknown hosts.
    pub of_unknown: u32,
}

/// The version of an object that a client wants to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `metadata.uid`
    pub uid: Option<String>,
    /// `metadata.resourceVersion`
    pub version: Option<i64>,
}

/// A change of a status.
#[derive(Debug, Clone)]
pub enum Edit {
    /// `/approval`: conditions and annotations.
    Approval {
        /// All conditions, with those that are there already.
        conditions: Vec<Condition>,
        /// All annotations.
        annotations: BTreeMap<String, String>,
    },
    /// `/status`: a certificate or a failure.
    Status {
        /// All conditions, with those that are there already.
        conditions: Vec<Condition>,
        /// The certificate, PEM, and SHA-256 of its SubjectPublicKeyInfo.
        certificate: Option<(Vec<u8>, Fingerprint)>,
    },
}

/// The times after which requests expire or are archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Open requests of known hosts expire after this time.
    pub open: Duration,
    /// Open requests of unknown hosts expire after this time.
    pub unknown: Duration,
    /// Finished requests are archived after this time.
    pub finished: Duration,
    /// Archived requests are deleted after this time.
    pub archived: Duration,
}

/// The times after which requests expire: like Kubernetes's cleaner, but requests of unknown hosts go early.
pub const RETENTION: Retention = Retention {
    open: Duration::hours(24),
    unknown: Duration::hours(1),
    finished: Duration::hours(1),
    archived: Duration::days(90),
};

/// A Lease (Kubernetes `coordination.k8s.io/v1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLease {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`
    pub version: i64,
    /// The time of creation.
    pub created: OffsetDateTime,
    /// `spec`, as JSON.
    pub spec: String,
}

/// A change.
#[derive(Debug, Clone)]
pub enum Change {
    /// Adds a request.
    Create(Box<NewRequest>),
    /// Changes the status of a request.
    Update {
        /// The request.
        name: String,
        /// The version that the client has.
        precondition: Precondition,
        /// The change.
        edit: Box<Edit>,
        /// The user.
        by: String,
    },
    /// Removes a request from the list.
    Delete {
        /// The request.
        name: String,
        /// The version that the client has.
        precondition: Precondition,
        /// The user.
        by: String,
    },
    /// Expires and archives requests; at most `limit` of each kind.
    Expire {
        /// The times.
        retention: Retention,
        /// The largest number.
        limit: u32,
    },
    /// Closes the open requests of hosts, because their certificates were revoked or they left.
    Close {
        /// The host.
        host: String,
        /// The reason as text.
        message: String,
    },
    /// Creates a Lease.
    CreateLease {
        /// `metadata.namespace`
        namespace: String,
        /// `metadata.name`
        name: String,
        /// `spec`, as JSON.
        spec: String,
    },
    /// Replaces a Lease's spec.
    UpdateLease {
        /// `metadata.namespace`
        namespace: String,
        /// `metadata.name`
        name: String,
        /// The version that the client has.
        precondition: Precondition,
        /// `spec`, as JSON.
        spec: String,
    },
    /// Deletes a Lease.
    DeleteLease {
        /// `metadata.namespace`
        namespace: String,
        /// `metadata.name`
        name: String,
    },
}

/// The result of a change.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The request after the change.
    Request(Arc<StoredRequest>),
    /// The Lease after the change.
    Lease(StoredLease),
    /// The number of requests that changed.
    Count(u32),
}

/// The kinds of events that watches report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A new request.
    Added,
    /// A changed request.
    Modified,
    /// A request that is no longer listed.
    Deleted,
}

impl Kind {
    /// Returns the name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// An event, published after its transaction is durable.
#[derive(Debug, Clone)]
pub struct Published {
    /// The resource version.
    pub version: i64,
    /// What happened.
    pub kind: Kind,
    /// The request after the change.
    pub request: Arc<StoredRequest>,
}
