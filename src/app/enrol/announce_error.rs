//! Errors of registering and announcing a cluster.

use std::path::PathBuf;

use crate::cluster::endpoint::Endpoint;
use crate::https::HttpsError;
use crate::pki::key::KeyError;
use crate::pki::signing_key::SigningError;

/// Errors of registering and announcing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// No endpoint is named.
    #[error("no bootstrap endpoint is named")]
    NoEndpoint,
    /// No enrolment endpoint is named.
    #[error("no enrolment endpoint is named")]
    NoEnrolment,
    /// The kubeconfig cannot be used.
    #[error("{} is not a kubeconfig with a client certificate and its key: {reason}", path.display())]
    Credential {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The certificate is not an announcer's.
    #[error("the certificate in {} is for {user:?}, which is not in the group of announcers", path.display())]
    NotAnAnnouncer {
        /// The file.
        path: PathBuf,
        /// The account.
        user: String,
    },
    /// The endpoint cannot be reached.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// The endpoint refused the registration or the record.
    #[error("{endpoint} refused it (HTTP {status}): {message}")]
    Refused {
        /// The endpoint.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// Its reason.
        message: String,
    },
    /// Some endpoints have the record, and others do not.
    #[error("{} has the record, and another endpoint does not", names(accepted))]
    Partly {
        /// The endpoints that have it.
        accepted: Vec<Endpoint>,
        /// The error of the first other one.
        source: Box<Self>,
    },
    /// The record cannot be signed.
    #[error("the record cannot be signed")]
    Sign(#[source] SigningError),
    /// The token cannot sign.
    #[error("the token cannot sign: {0}")]
    Token(KeyError),
}

fn names(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
