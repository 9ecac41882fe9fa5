//! The results of permitted clients: a refusal proves something only if another client is accepted.

use std::sync::Arc;

use super::super::finding::{Aspect, Cause};
use super::super::observation::{Answer, Client};
use super::location::Location;

/// The permitted clients at one socket, all together.
#[derive(Debug, Clone, Copy)]
pub(super) struct PermittedClients {
    /// The best result.
    pub(super) best: Acceptance,
    /// Whether a client was accepted on the path on which others are refused.
    pub(super) same_path: bool,
    /// Whether the verifier's key is the only available one.
    pub(super) keyless: bool,
    /// The position of the last exchange that was accepted, or forbidden.
    pub(super) last: Option<usize>,
}

impl PermittedClients {
    pub(super) fn none() -> Self {
        Self { best: Acceptance::Untried, same_path: false, keyless: true, last: None }
    }

    /// Returns the check of these clients as the cause, if none was accepted.
    pub(super) fn as_cause(self, location: &Location<'_>) -> Option<Arc<Cause>> {
        (self.best != Acceptance::Accepted).then(|| location.cause(Aspect::Caller))
    }

    /// Adds a client: its result, whether it made the request that others are refused, and the position of its
    /// exchange.
    pub(super) fn add(&mut self, client: &Client, acceptance: Acceptance, same_path: bool, at: usize) {
        self.keyless &= *client == Client::Verifier || acceptance == Acceptance::Untried;
        self.best = self.best.max(acceptance);
        self.same_path |= same_path && acceptance == Acceptance::Accepted;
        if matches!(acceptance, Acceptance::Accepted | Acceptance::Forbidden) {
            self.last = self.last.max(Some(at));
        }
    }
}

/// The result of a request that should be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Acceptance {
    /// There was no key to connect with.
    Untried,
    /// No client was accepted.
    Failed,
    /// The response is neither an acceptance nor a refusal: a 404, or a response that is not Kubernetes's. The
    /// handshake was accepted.
    Answered,
    /// The client was authenticated, and forbidden.
    Forbidden,
    /// A client was accepted.
    Accepted,
}

/// Returns the result of a response that is neither an acceptance nor a refusal. A failing server has accepted no
/// client.
pub(super) fn at_least_answered(answer: &Answer) -> Acceptance {
    if matches!(answer.status, 200..300 | 404) { Acceptance::Answered } else { Acceptance::Failed }
}

/// Returns true if an alert is about the client's certificate (RFC 8446 § 6.2, RFC 5246 § 7.2.2).
///
/// In TLS 1.2 a missing one may get `handshake_failure`; OpenSSL sends `decrypt_error` for a signature that is not the
/// issuer's.
pub(super) fn refuses(alert: &str) -> bool {
    const ABOUT_CERTIFICATES: [&str; 11] = [
        "NoCertificate",
        "BadCertificate",
        "UnsupportedCertificate",
        "CertificateRevoked",
        "CertificateExpired",
        "CertificateUnknown",
        "UnknownCA",
        "AccessDenied",
        "DecryptError",
        "HandshakeFailure",
        "CertificateRequired",
    ];
    ABOUT_CERTIFICATES.iter().any(|name| alert.eq_ignore_ascii_case(name))
}
