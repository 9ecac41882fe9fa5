//! The API servers at which each node's account is checked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::context::{Run, not_sent};
use crate::verify::dialer::{Offer, Socket};
use crate::verify::observation::{Client, Dial, Exchange, Outcome, PeerObservation, Request};
use crate::verify::place::Place;
use crate::verify::target::Peer;

/// An API server's socket at which each node's account is checked.
pub(super) struct ApiServerTarget {
    /// Peer, location and dial in the observations.
    pub(super) at: (usize, usize, usize),
    pub(super) socket: Socket,
    pub(super) permits: Semaphore,
    /// Whether it has ever responded.
    pub(super) answered: AtomicBool,
    /// The number of requests that timed out.
    pub(super) late: AtomicUsize,
}

impl ApiServerTarget {
    /// The number of concurrent requests. It is limited because an API server has other work to do.
    pub(super) const PERMITS: usize = 64;
    /// The number of timeouts without any response after which no more requests are made.
    pub(super) const MAX_TIMEOUTS: usize = 8;
}

/// Returns the first socket of each control-plane node that speaks TLS.
pub(super) fn api_servers(peers: &[(Place, &Peer)], seen: &[PeerObservation]) -> Vec<ApiServerTarget> {
    let mut api_servers = Vec::new();
    for (i, peer) in seen.iter().enumerate().filter(|(_, peer)| peer.place != Place::Node) {
        let mut spoken = peer
            .locations
            .iter()
            .enumerate()
            .flat_map(|(j, location)| location.dials.iter().enumerate().map(move |(k, dial)| (j, k, dial)));
        let first = spoken.find(|(_, _, dial)| speaks_tls(dial));
        api_servers.extend(first.map(|(j, k, dial)| ApiServerTarget {
            at: (i, j, k),
            answered: AtomicBool::new(dial.exchanges.iter().any(has_answered)),
            socket: Socket {
                to: dial.to,
                address: peers[i].1.addresses[j].clone(),
                tls_name: peers[i].1.tls_name.clone(),
            },
            permits: Semaphore::new(ApiServerTarget::PERMITS),
            late: AtomicUsize::new(0),
        }));
    }
    api_servers
}

fn speaks_tls(dial: &Dial) -> bool {
    dial.tls.as_ref().is_some_and(|tls| !tls.server_chain.is_empty())
}

fn has_answered(exchange: &Exchange) -> bool {
    matches!(exchange.outcome, Outcome::Answer(_))
}

const LATE: &str = "the server had not responded to anything in time";

impl Run {
    pub(super) async fn account(&self, api_server: &ApiServerTarget, node: usize) -> Exchange {
        let _permit = api_server.permits.acquire().await;
        let _host = self.hosts.acquire().await;
        if !api_server.answered.load(Ordering::Relaxed)
            && api_server.late.load(Ordering::Relaxed) >= ApiServerTarget::MAX_TIMEOUTS
        {
            let node = &self.target.nodes[node];
            let (client, why) = (Client::Node(node.name.clone()), Outcome::NotTried(LATE.to_owned()));
            return not_sent(client, node.client.as_ref(), Request::WhoAmI, why);
        }
        // One node has connected as its kubelet does; for the others it only matters whether each account is known.
        let one_came = self.target.calling_node().is_some_and(|node| self.target.nodes[node].client.is_some());
        let offer = if one_came { Offer::Http1 } else { Offer::Http2OrHttp1 };
        let mut exchange = Box::pin(self.self_review(&api_server.socket, node, offer)).await;
        if offer == Offer::Http1
            && !matches!(exchange.outcome, Outcome::Answer(_) | Outcome::TimedOut(_) | Outcome::NotTried(_))
        {
            // The server may only support HTTP/2.
            exchange = Box::pin(self.self_review(&api_server.socket, node, Offer::Http2OrHttp1)).await;
        }
        if matches!(exchange.outcome, Outcome::TimedOut(_)) {
            api_server.late.fetch_add(1, Ordering::Relaxed);
        }
        api_server.answered.fetch_or(has_answered(&exchange), Ordering::Relaxed);
        exchange
    }
}
