//! The API at which hosts leave their requests: Kubernetes's `certificates.k8s.io/v1`, at an API server or at clusterctl's
//! own enrolment CA.
//!
//! [`Mailbox`] is what the signer needs of it, so that tests have one in memory; [`ApiMailbox`] is a client of the API.

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

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// A request that can be judged.
    Request(Box<EnrolmentRequest>),
    /// A request for clusterctl's signers that is none.
    Unreadable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: Refusal,
    },
}

/// A change since the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// All requests that there are.
    All(Vec<Arrived>),
    /// A new or changed request.
    One(Arrived),
    /// A request that was removed.
    Gone(String),
}

/// The two ways to decide about a pending request, and the failure of an approved one.
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

/// The API at which hosts leave their requests.
///
/// Every method gives up after a bounded time. Results are in the order of the arguments; one that fails does not affect
/// the others.
pub trait Mailbox: Send + Sync {
    /// Returns the name in messages.
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

    /// Takes the Lease, or extends it, for `terms.seconds` from now. Returns false if another has it.
    ///
    /// # Errors
    /// Returns an error if the API does not answer.
    fn hold_lease(&self, terms: &LeaseTerms) -> Result<bool, MailboxError>;

    /// Gives the Lease up, if this holder has it.
    ///
    /// # Errors
    /// Returns an error if the API does not answer.
    fn release_lease(&self, terms: &LeaseTerms) -> Result<(), MailboxError>;
}
