//! Connections, one at a time: TCP, TLS and requests. All that a peer can do is bounded here. It makes no trust
//! decision: any chain is accepted and recorded, and rustls checks the handshake's signature alone.

mod config;
mod exchange;
mod handshake;
mod lists;
mod self_review;
mod socket;
mod tcp;

pub(super) use config::Dialer;
pub(super) use socket::{Offer, Socket, millis};
