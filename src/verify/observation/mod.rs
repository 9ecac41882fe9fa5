//! Raw observations from probing a cluster. They contain no verdicts and no private keys. Recordings consist of them.

mod access;
mod client;
mod connection;
mod exchange;
mod inventory;
mod request;
mod run;

pub use access::{Access, AccessDecision};
pub use client::{Client, Probes, Untrusted};
pub use connection::{Connect, Dial, Handshake, MAX_CHAIN, OldHello, Signature, Tls};
pub use exchange::{Answer, Exchange, FollowUp, Outcome};
pub use inventory::{Lease, LeaseListOutcome, LeaseListing, ListedNode, NodeListOutcome, NodeListing, Readiness};
pub use request::{DRY_RUN_DECLINED, HEADER_USER, Request};
pub use run::{Der, LocationObservation, Observations, PeerObservation, Resolution};
