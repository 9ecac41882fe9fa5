//! The requests that are made at one socket.

use std::future::Future;
use std::sync::Arc;

use super::context::{DEADLINE_PASSED, Run, not_sent};
use super::in_order::in_order;
use super::plan::{PlannedRequest, is_permitted};
use crate::verify::dialer::{Offer, Socket};
use crate::verify::identities::missing;
use crate::verify::identity::Identity;
use crate::verify::observation::{Client, Exchange, Outcome, Request};
use crate::verify::place::Place;
use crate::verify::reviews::reviews;
use crate::verify::target::Peer;

impl Run {
    /// Makes the requests of a place. A slow response does not cancel the others.
    pub(super) async fn exchanges(
        self: &Arc<Self>,
        place: Place,
        peer: &Peer,
        i: usize,
        socket: &Socket,
        seen: &mut Vec<Exchange>,
    ) {
        let account = (place != Place::Node).then(|| self.target.calling_node()).flatten();
        let mut known = None;
        if let Some(node) = account {
            let exchange = self.self_review(socket, node, Offer::Http2OrHttp1).await;
            let accepted = matches!(&exchange.outcome, Outcome::Answer(answer) if (200..300).contains(&answer.status));
            known = accepted.then_some(node);
            seen.push(exchange);
            if accepted {
                seen.push(self.self_review_by_header(socket, node).await);
            }
        }
        let calls = if place == Place::Node { self.kubelet_requests(peer, i) } else { self.api_server_requests() };
        let permitted =
            calls.iter().find(|call| is_permitted(&call.client, call.request) && call.identity.is_ok()).cloned();
        let calls = calls.into_iter().map(|call| {
            let (run, socket) = (self.clone(), socket.clone());
            async move { run.call(&socket, call).await }
        });
        // Without etcd every read and write of an API server times out: concurrently they cost one timeout.
        let (written, called) = tokio::join!(self.writes(socket, known), self.in_turn(calls, false));
        seen.reserve_exact(written.len() + called.len());
        seen.extend(written.into_iter().chain(called));
        // After a closed connection, a permitted client has to connect again: the server may now close every connection.
        if seen.iter().any(was_cut_off) {
            match (permitted, account) {
                (Some(call), _) => seen.push(self.call(socket, call).await),
                (_, Some(node)) => seen.push(self.self_review(socket, node, Offer::Http2OrHttp1).await),
                _ => {}
            }
        }
    }

    /// Makes requests one after the other. After one that timed out, or if `concurrency` says so, the rest is
    /// concurrent, so that an unresponsive server does not cost a timeout for each.
    pub(super) async fn in_turn<F>(&self, asking: impl Iterator<Item = F>, concurrency: bool) -> Vec<Exchange>
    where
        F: Future<Output = Exchange> + Send + 'static,
    {
        let (mut asking, mut late, mut seen) = (asking, concurrency, Vec::new());
        while !late && let Some(next) = asking.next() {
            let exchange = next.await;
            late = self.timed_out(&exchange);
            seen.push(exchange);
        }
        seen.extend(in_order(asking, usize::MAX, &|| ()).await.into_iter().flatten());
        seen
    }

    async fn call(&self, socket: &Socket, call: PlannedRequest) -> Exchange {
        match call.identity {
            Err(reason) => not_sent(call.client, None, call.request, Outcome::NoCredential(reason)),
            Ok(identity) => self.ask(socket, call.client, identity.as_ref(), call.request, call.more).await,
        }
    }

    /// Requests a node's identity with a header that names another user.
    async fn self_review_by_header(&self, socket: &Socket, at: usize) -> Exchange {
        let node = &self.target.nodes[at];
        let client = Client::Node(node.name.clone());
        self.ask(socket, client, node.client.as_ref(), Request::WhoAmIByHeader, &[]).await
    }

    /// Requests a node's identity and rights at an API server.
    pub(super) async fn self_review(&self, socket: &Socket, at: usize, offer: Offer) -> Exchange {
        let node = &self.target.nodes[at];
        let client = Client::Node(node.name.clone());
        let Some(identity) = &node.client else {
            let why = Outcome::NoCredential(missing(node));
            return not_sent(client, None, Request::WhoAmI, why);
        };
        let over =
            || not_sent(client.clone(), Some(identity), Request::WhoAmI, Outcome::NotTried(DEADLINE_PASSED.to_owned()));
        if self.deadline_passed() {
            return over();
        }
        let other = self.plan.others[at].map_or("another-node", |other| self.target.nodes[other].name.as_str());
        let reviews = reviews(&node.name, other);
        let asking = self.limiter.run(|| self.dialer.self_review(socket, client.clone(), identity, &reviews, offer));
        self.before_deadline(asking).await.unwrap_or_else(over)
    }

    async fn ask(
        &self,
        socket: &Socket,
        client: Client,
        identity: Option<&Identity>,
        request: Request,
        more: &[Request],
    ) -> Exchange {
        let over = |client| not_sent(client, identity, request, Outcome::NotTried(DEADLINE_PASSED.to_owned()));
        if self.deadline_passed() {
            return over(client);
        }
        let asking = self.limiter.run(|| self.dialer.exchange(socket, client.clone(), identity, request, more));
        self.before_deadline(asking).await.unwrap_or_else(|| over(client))
    }
}

/// Returns true if the connection of a client that must be refused was closed without a response.
fn was_cut_off(exchange: &Exchange) -> bool {
    let has_no_right =
        !matches!(exchange.client, Client::Master(_) | Client::Node(_) | Client::Verifier | Client::NewRoot);
    has_no_right && matches!(exchange.outcome, Outcome::Closed | Outcome::Reset)
}
