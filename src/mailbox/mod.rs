//! The mailbox: the API to which hosts send their requests, and from which the signer and approvers read them. It is Kubernetes's
//! `certificates.k8s.io/v1`, of an API server or of clusterctl's own enrolment CA.
//!
//! [`Mailbox`] has the operations that the signer needs; tests implement it in memory. [`ApiMailbox`] is a client of the API.

mod api;
mod connect;
mod convert;
mod error;
mod known;
mod lease;
mod reasons;
mod watch;
mod webhook;

use std::collections::BTreeMap;
use std::time::Duration;

pub use api::ApiMailbox;
pub use connect::Connection;
pub use error::MailboxError;
pub use lease::LeaseTerms;
pub use webhook::{WebhookError, WebhookFiles, post};

use crate::enrol::request::{EnrolmentRequest, Refusal};

/// An object of the mailbox, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// A request that can be judged.
    Request(Box<EnrolmentRequest>),
    /// A request for one of clusterctl's signers that is not valid.
    Unreadable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: Refusal,
    },
}

/// A change of the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The full list of requests, which replaces earlier ones.
    All(Vec<Arrived>),
    /// A new or changed request.
    One(Arrived),
    /// A request that was removed.
    Gone(String),
}

/// The type of a condition: an approval or denial of a pending request, or the failure of an approved one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulingKind {
    /// `Approved`
    Approved,
    /// `Denied`
    Denied,
    /// `Failed`
    Failed,
}

impl RulingKind {
    /// Returns the type of the condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "Approved",
            Self::Denied => "Denied",
            Self::Failed => "Failed",
        }
    }
}

/// A condition to add to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The condition.
    pub kind: RulingKind,
    /// The reason in one word.
    pub reason: String,
    /// The reason as text.
    pub message: String,
    /// Annotations to add.
    pub annotations: BTreeMap<String, String>,
}

/// The API to which hosts send their requests.
///
/// Every method returns within a bounded time. Results are in the order of the arguments; one that fails does not affect the others.
pub trait Mailbox: Send + Sync {
    /// Returns the name for messages.
    fn name(&self) -> &str;

    /// Waits until something changed, at most for `wait`, and returns the changes. The first call returns
    /// [`Change::All`] at once, and so does one after a failure.
    ///
    /// # Errors
    /// Returns an error if the API does not answer.
    fn changes(&self, wait: Duration) -> Result<Vec<Change>, MailboxError>;

    /// Adds conditions to requests, unless they were decided meanwhile.
    fn rule(&self, rulings: &[(EnrolmentRequest, Ruling)]) -> Vec<Result<EnrolmentRequest, MailboxError>>;

    /// Stores the certificates (PEM) of approved requests.
    fn deliver(&self, certificates: &[(EnrolmentRequest, String)]) -> Vec<Result<EnrolmentRequest, MailboxError>>;

    /// Acquires or renews the Lease, for `terms.seconds` from now. Returns false if another process holds it.
    ///
    /// # Errors
    /// Returns an error if the API does not answer.
    fn hold_lease(&self, terms: &LeaseTerms) -> Result<bool, MailboxError>;

    /// Releases the Lease, if this process holds it.
    ///
    /// # Errors
    /// Returns an error if the API does not answer.
    fn release_lease(&self, terms: &LeaseTerms) -> Result<(), MailboxError>;
}
