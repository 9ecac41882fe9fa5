//! Notices of joining, as data.

use crate::cluster::endpoint::Endpoint;
use crate::pki::fingerprint::Fingerprint;

/// A notice of a host that joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinNotice {
    /// No endpoint answers, or accepts requests now; all are tried again.
    TryingAgain {
        /// The kind of endpoint.
        what: &'static str,
        /// The reason.
        reason: String,
    },
    /// A record was found and verified.
    Found {
        /// The endpoint that gave it.
        endpoint: Endpoint,
        /// Its number.
        seq: u64,
        /// The enrolment endpoint.
        enrolment: Endpoint,
    },
    /// A key was generated, or existed already.
    Key {
        /// The path on the host.
        path: String,
        /// SHA-256 of its SubjectPublicKeyInfo.
        public_key: Fingerprint,
        /// Whether it was generated in this run.
        is_new: bool,
    },
    /// A request was sent.
    Requested {
        /// Its name.
        name: String,
        /// Whether it existed already.
        was_there: bool,
    },
    /// Waiting for a decision.
    Waiting {
        /// The requests without a certificate.
        names: Vec<String>,
    },
    /// A certificate was received and checked.
    Issued {
        /// The request.
        name: String,
        /// The fingerprint of the certificate.
        certificate: Fingerprint,
    },
    /// The bundle is not available yet, and is requested again.
    WaitingForBundle {
        /// The reason.
        reason: String,
    },
}
