//! Makes single connections: TCP, TLS and requests. Everything that a peer can do is bounded here. No trust decision is
//! made: any chain is accepted and recorded, and rustls only checks the handshake's signature.

mod config;
mod exchange;
mod handshake;
mod lists;
mod self_review;
mod socket;
mod tcp;

pub(super) use config::Dialer;
pub(super) use socket::{Offer, Socket, millis};
