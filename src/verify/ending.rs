//! What a peer did, whichever layer of the connection tells of it.

use std::error::Error as StdError;
use std::io;

use super::observation::Outcome;

/// Why a connection came to nothing, as far as the chain of errors tells.
pub(super) enum Failure {
    Alert(String),
    Closed,
    Reset,
    Other(String),
}

/// What a peer did, whichever layer wrapped it.
pub(super) fn outcome(error: &(dyn StdError + 'static)) -> Outcome {
    match describe(error) {
        Failure::Alert(alert) => Outcome::Alert(alert),
        Failure::Closed => Outcome::Closed,
        Failure::Reset => Outcome::Reset,
        Failure::Other(reason) => Outcome::Failed(reason),
    }
}

/// Walks the chain of errors for a TLS alert, the end of the stream or a reset. In TLS 1.3 a refused client certificate
/// shows only on the first read, deep inside.
pub(super) fn describe(error: &(dyn StdError + 'static)) -> Failure {
    let mut next = Some(error);
    let mut innermost = String::new();
    let mut ended = None;
    while let Some(error) = next {
        let text = error.to_string();
        if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error) {
            return Failure::Alert(format!("{alert:?}"));
        }
        // h2 keeps its reason to itself, but for its text.
        if let Some((_, alert)) = text.split_once("received fatal alert: ") {
            return Failure::Alert(alert.to_owned());
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::UnexpectedEof => ended = Some(Failure::Closed),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                    ended = Some(Failure::Reset);
                }
                _ => {}
            }
        }
        // "Canceled" is what a request is told whose connection ended under it.
        let cut_off = |error: &hyper::Error| error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        if error.downcast_ref::<hyper::Error>().is_some_and(cut_off) {
            ended = Some(Failure::Closed);
        }
        if !text.is_empty() {
            innermost = text;
        }
        next = error.source();
    }
    ended.unwrap_or(Failure::Other(innermost))
}

/// An `io::Error` hides what it wraps from `source()`.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref::<rustls::Error>().or_else(|| {
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        tls_error(inner as &(dyn StdError + 'static))
    })
}
