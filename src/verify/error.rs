//! Maps errors of any layer of a connection to outcomes.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError};

use super::observation::Outcome;

/// The message of h2 for an orderly GOAWAY with NO_ERROR (RFC 9113 § 6.8). API servers send it after each response to
/// an unauthenticated client.
const GOING_AWAY: &str = "connection error received: not a result of an error";

/// The reason for a failed connection, as far as the chain of errors contains it.
pub(super) enum ConnectionError {
    Alert(String),
    Closed,
    Reset,
    Other(String),
}

/// Returns the outcome for an error of any layer.
pub(super) fn outcome(error: &(dyn StdError + 'static)) -> Outcome {
    match describe(error) {
        ConnectionError::Alert(alert) => Outcome::Alert(alert),
        ConnectionError::Closed => Outcome::Closed,
        ConnectionError::Reset => Outcome::Reset,
        ConnectionError::Other(reason) => Outcome::Failed(reason),
    }
}

/// Finds a TLS alert, the end of the stream or a reset in a chain of errors. In TLS 1.3 a refused client certificate
/// appears only on the first read.
pub(super) fn describe(error: &(dyn StdError + 'static)) -> ConnectionError {
    let mut next = Some(error);
    let mut innermost = String::new();
    let mut ended = None;
    while let Some(error) = next {
        let text = error.to_string();
        if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error) {
            return ConnectionError::Alert(name_of(*alert));
        }
        if let Some(error) = tls_error(error) {
            innermost = describe_tls_error(error);
            next = None;
            continue;
        }
        // h2 exposes its reason only as text.
        if let Some((_, alert)) = text.split_once("received fatal alert: ") {
            return ConnectionError::Alert(alert.to_owned());
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::UnexpectedEof => ended = Some(ConnectionError::Closed),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                    ended = Some(ConnectionError::Reset);
                }
                _ => {}
            }
        }
        // "Canceled" is the error of a request whose connection was closed.
        let cut_off = |error: &hyper::Error| error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        if text == GOING_AWAY || error.downcast_ref::<hyper::Error>().is_some_and(cut_off) {
            ended = Some(ConnectionError::Closed);
        }
        if !text.is_empty() {
            innermost = text;
        }
        next = error.source();
    }
    ended.unwrap_or(ConnectionError::Other(innermost))
}

/// Returns an alert's name, or its number if it has no name.
fn name_of(alert: AlertDescription) -> String {
    alert.as_str().map_or_else(|| u8::from(alert).to_string(), str::to_owned)
}

/// Returns rustls's errors as text, because rustls's own messages are the names of its types.
pub(super) fn describe_tls_error(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => format!("the TLS alert {}", name_of(*alert)),
        rustls::Error::PeerIncompatible(_) => {
            "no common version, cipher suite, group or signature algorithm of TLS".to_owned()
        }
        rustls::Error::PeerMisbehaved(_) => "the peer violates the TLS protocol".to_owned(),
        rustls::Error::InvalidMessage(_) => "the peer sends an invalid TLS message".to_owned(),
        rustls::Error::InappropriateMessage { .. } | rustls::Error::InappropriateHandshakeMessage { .. } => {
            "the peer sends an unexpected TLS message".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            "the handshake's signature is not by the certificate's key".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::BadEncoding) => {
            "the certificate's encoding is not supported".to_owned()
        }
        rustls::Error::InvalidCertificate(_) => {
            "the handshake's signature cannot be verified with the certificate's key".to_owned()
        }
        rustls::Error::InconsistentKeys(_) => "the key does not match the certificate".to_owned(),
        other => other.to_string(),
    }
}

/// Finds a TLS error in the wrapped error of an `io::Error`, which `source()` does not return.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref::<rustls::Error>().or_else(|| {
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        tls_error(inner as &(dyn StdError + 'static))
    })
}
