//! Observes the members of etcd while etcd's CA is rotated: what they present, and how they answer a client of each CA.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::context::{DEADLINE_PASSED, Run, not_sent};
use super::dial::MAX_ADDRESSES;
use super::in_order::in_order;
use crate::cluster::etcd::PEER_PORT;
use crate::verify::dialer::{Socket, millis};
use crate::verify::identity::Identity;
use crate::verify::observation::{
    Client, Connect, Dial, Exchange, LocationObservation, Outcome, PeerObservation, Request,
};
use crate::verify::phase::ExpectedPhase;
use crate::verify::place::Place;
use crate::verify::target::Peer;

impl Run {
    /// Observes every socket of etcd's members, in the target's order.
    pub(super) async fn etcd_members(self: &Arc<Self>) -> Vec<PeerObservation> {
        let Some(etcd) = &self.target.etcd else { return Vec::new() };
        let observe = |i: usize| {
            let run = self.clone();
            async move { run.etcd_socket(i).await }
        };
        let seen = in_order((0..etcd.sockets.len()).map(observe), self.concurrency, &|| ()).await;
        let of = |(socket, locations): (&Peer, Option<Vec<LocationObservation>>)| PeerObservation {
            place: Place::Master,
            host: socket.name.clone(),
            locations: locations.unwrap_or_default(),
        };
        etcd.sockets.iter().zip(seen).map(of).collect()
    }

    async fn etcd_socket(self: &Arc<Self>, i: usize) -> Vec<LocationObservation> {
        let socket = self.target.etcd.as_ref().and_then(|etcd| etcd.sockets.get(i));
        let (Some(peer), Some(phase)) = (socket, &self.target.phase) else { return Vec::new() };
        let mut locations = Vec::new();
        for address in &peer.addresses {
            let (resolution, ips) = self.resolve(address).await;
            let mut dials = Vec::new();
            for ip in ips.into_iter().take(MAX_ADDRESSES) {
                let to = SocketAddr::new(ip, peer.port);
                let socket = Socket { to, address: address.clone(), tls_name: None };
                let _place = self.hosts.acquire().await;
                dials.push(Box::pin(self.etcd_dial(&socket, phase)).await);
            }
            locations.push(LocationObservation { address: address.to_string(), port: peer.port, resolution, dials });
        }
        locations
    }

    async fn etcd_dial(&self, socket: &Socket, phase: &ExpectedPhase) -> Dial {
        let mut dial = Dial::new(socket.to, Connect::NotTried(DEADLINE_PASSED.to_owned()));
        if self.deadline_passed() {
            return dial;
        }
        let started = Instant::now();
        let stream = match self.before_deadline(self.dialer.connect(socket.to)).await {
            Some(Ok(stream)) => stream,
            Some(Err(connect)) => return Dial { connect, ..dial },
            None => return dial,
        };
        dial.connect = Connect::Open;
        // Members trust the old root in all phases but the last.
        let trusted = if phase.rotation.phase.trusts_new() { &phase.of_new } else { &phase.of_old };
        let handshake = self.limiter.run(|| self.dialer.handshake(stream, socket, trusted.as_ref().ok()));
        dial.tls = self.before_deadline(handshake).await;
        dial.elapsed_ms = millis(started.elapsed());
        if dial.tls.as_ref().is_some_and(|tls| !tls.server_chain.is_empty()) {
            dial.exchanges = self.etcd_exchanges(socket, phase).await;
        }
        dial
    }

    /// Makes a request as a client of each CA. A member that refuses a client's certificate ends the connection.
    async fn etcd_exchanges(&self, socket: &Socket, phase: &ExpectedPhase) -> Vec<Exchange> {
        let request = if socket.to.port() == PEER_PORT { Request::EtcdVersion } else { Request::EtcdHealth };
        let of_new = phase.rotation.phase.trusts_new().then_some((Client::NewRoot, &phase.of_new));
        let mut seen = Vec::new();
        for (client, identity) in of_new.into_iter().chain([(Client::OldRoot, &phase.of_old)]) {
            seen.push(match identity {
                Ok(identity) => self.etcd_exchange(socket, client, identity, request).await,
                Err(reason) => not_sent(client, None, request, Outcome::NoCredential(reason.clone())),
            });
        }
        seen
    }

    async fn etcd_exchange(&self, socket: &Socket, client: Client, identity: &Identity, request: Request) -> Exchange {
        let over = |client| not_sent(client, Some(identity), request, Outcome::NotTried(DEADLINE_PASSED.to_owned()));
        if self.deadline_passed() {
            return over(client);
        }
        let asking = self.limiter.run(|| self.dialer.exchange_by_http1(socket, client.clone(), identity, request));
        self.before_deadline(asking).await.unwrap_or_else(|| over(client))
    }
}
