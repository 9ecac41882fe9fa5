//! The rights of an account, as an API server decides them.

use serde::{Deserialize, Serialize};

/// A right that a node needs, or must not have.
///
/// Each is requested with a SelfSubjectAccessReview, which changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// `get` of its own node.
    OwnNodeGet,
    /// `patch` of its own node.
    OwnNodePatch,
    /// `patch` of its own node's status.
    OwnStatusPatch,
    /// `get` of its own lease in kube-node-lease.
    OwnLeaseGet,
    /// `update` of its own lease in kube-node-lease.
    OwnLeaseUpdate,
    /// `list` of the pods whose spec.nodeName is its own name.
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
    /// All of them, in the order of the requests.
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

    /// Returns the right as text.
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

/// The decision of an API server about an [`Access`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessDecision {
    /// `allowed: true`
    Allowed,
    /// `allowed: false`
    Denied,
    /// `allowed` and `denied` are both true.
    Contradictory,
    /// The response is not a review, or not a clear one; the text describes it.
    Unclear(String),
}

impl AccessDecision {
    const LATE: &str = "no answer in time";
    const EVALUATION_ERROR: &str = "with the evaluation error: ";

    /// Returns the decision for a request that timed out.
    pub(crate) fn late() -> Self {
        Self::Unclear(Self::LATE.to_owned())
    }

    /// Returns the decision of a review with an evaluation error, cut to a readable length.
    pub(crate) fn of_a_failed_authorizer(allowed: bool, error: &str) -> Self {
        let error: String = error.chars().take(160).collect();
        Self::Unclear(format!("{}, {}{error}", if allowed { "allowed" } else { "not allowed" }, Self::EVALUATION_ERROR))
    }

    /// Returns true if the review carried an evaluation error.
    pub(crate) fn is_of_a_failed_authorizer(&self) -> bool {
        matches!(self, Self::Unclear(why) if why.contains(Self::EVALUATION_ERROR))
    }

    /// Returns true if the request timed out.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self, Self::Unclear(why) if why == Self::LATE)
    }
}
