//! Lists of nodes and Leases.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::config::Dialer;
use super::socket::Socket;
use crate::pki::fingerprint::Fingerprint;
use crate::verify::identity::Identity;
use crate::verify::leases;
use crate::verify::nodes;
use crate::verify::observation::{LeaseListOutcome, NodeListOutcome};

impl Dialer {
    /// Lists every node that an API server knows, page by page, within `limit`.
    pub(in crate::verify) async fn listing(
        &self,
        socket: &Socket,
        identity: &Identity,
        limit: Duration,
    ) -> (Arc<[Fingerprint]>, NodeListOutcome) {
        let verifier = self.verifier();
        let config = self.config(Some(identity), &verifier);
        let listed = nodes::list(config, socket, Instant::now() + limit).await;
        (self.keep(verifier.take().chain), listed)
    }

    /// Lists the Leases of all nodes, page by page, within `limit`.
    pub(in crate::verify) async fn leases(
        &self,
        socket: &Socket,
        identity: &Identity,
        limit: Duration,
    ) -> (Arc<[Fingerprint]>, LeaseListOutcome) {
        let verifier = self.verifier();
        let config = self.config(Some(identity), &verifier);
        let leases = leases::list(config, socket, Instant::now() + limit).await;
        (self.keep(verifier.take().chain), leases)
    }
}
