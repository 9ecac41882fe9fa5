//! Probes one address of a host: resolves it, connects, and makes handshakes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::context::{DEADLINE_PASSED, Run};
use super::in_order::in_order;
use crate::cluster::address::Address;
use crate::verify::dialer::{Socket, millis};
use crate::verify::observation::{Connect, Dial, Handshake, LocationObservation, Resolution, Signature, Tls};
use crate::verify::place::Place;
use crate::verify::target::Peer;

/// The maximum number of addresses of one name that are dialled.
pub(super) const MAX_ADDRESSES: usize = 16;

impl Run {
    /// Probes the address with the index `j` of the peer with the index `i`.
    pub(super) async fn location(self: &Arc<Self>, i: usize, j: usize) -> Option<LocationObservation> {
        let (_, peer) = self.target.peer(i)?;
        let address = peer.addresses.get(j)?;
        let (resolution, ips) = self.resolve(address).await;
        let dial = |ip: IpAddr| {
            let (run, to) = (self.clone(), SocketAddr::new(ip, peer.port));
            let socket = Socket { to, address: address.clone(), tls_name: peer.tls_name.clone() };
            async move { run.dial_when_free(i, socket).await }
        };
        let dials = in_order(ips.into_iter().take(MAX_ADDRESSES).map(dial), MAX_ADDRESSES, &|| ()).await;
        let mut dials: Vec<Dial> = dials.into_iter().flatten().flatten().collect();
        // Saves memory: most hosts have one address, and there may be thousands of hosts.
        dials.shrink_to_fit();
        Some(LocationObservation { address: address.to_string(), port: peer.port, resolution, dials })
    }

    /// Returns the IP addresses of a name, and their source.
    pub(super) async fn resolve(&self, address: &Address) -> (Resolution, Vec<IpAddr>) {
        let name = match address {
            Address::Ip(ip) => return (Resolution::Literal, vec![*ip]),
            Address::Dns(name) => name.as_str(),
        };
        if let Some(pinned) = self.pins.get(name) {
            return (Resolution::Pinned(pinned.clone()), pinned.clone());
        }
        let _permit = self.hosts.acquire().await;
        if self.deadline_passed() {
            return (Resolution::Failed(DEADLINE_PASSED.to_owned()), Vec::new());
        }
        let lookup = async {
            // tokio's resolver uses another thread.
            match self.one_thread {
                true => std::net::ToSocketAddrs::to_socket_addrs(&(name, 0)).map(Vec::from_iter),
                false => tokio::net::lookup_host((name, 0)).await.map(Vec::from_iter),
            }
        };
        match timeout(self.limit, lookup).await {
            Ok(Ok(found)) => {
                let mut ips: Vec<IpAddr> = Vec::new();
                for ip in found.into_iter().map(|socket| socket.ip().to_canonical()) {
                    if !ips.contains(&ip) {
                        ips.push(ip);
                    }
                }
                // Resolvers rotate their answers; two runs should only differ if the cluster does.
                ips.sort();
                (Resolution::Resolved(ips.clone()), ips)
            }
            Ok(Err(error)) => (Resolution::Failed(error.to_string()), Vec::new()),
            Err(_) => (Resolution::Failed("the resolver did not answer in time".to_owned()), Vec::new()),
        }
    }

    async fn dial_when_free(self: &Arc<Self>, i: usize, socket: Socket) -> Option<Dial> {
        let _permit = self.hosts.acquire().await;
        let (place, peer) = self.target.peer(i)?;
        // Boxed, so that thousands of waiting tasks stay small.
        Some(Box::pin(self.dial(place, peer, i, socket)).await)
    }

    async fn dial(self: &Arc<Self>, place: Place, peer: &Peer, i: usize, socket: Socket) -> Dial {
        let mut dial = Dial::new(socket.to, Connect::Open);
        if self.deadline_passed() {
            dial.connect = Connect::NotTried(DEADLINE_PASSED.to_owned());
            return dial;
        }
        let started = Instant::now();
        let stream = match self.before_deadline(self.dialer.connect(socket.to)).await {
            Some(Ok(stream)) => stream,
            Some(Err(connect)) => {
                dial.connect = connect;
                return dial;
            }
            None => {
                dial.connect = Connect::NotTried(DEADLINE_PASSED.to_owned());
                return dial;
            }
        };
        dial.elapsed_ms = millis(started.elapsed());
        // A client that the server has to accept.
        let client = match place {
            Place::Node => self.plan.first_master.and_then(|at| self.target.masters[at].client.as_ref()),
            _ => self.plan.first_node.and_then(|at| self.target.nodes[at].client.as_ref()),
        };
        let handshake = self.limiter.run(|| async {
            let began = Instant::now();
            (self.dialer.handshake(stream, &socket, client).await, millis(began.elapsed()))
        });
        let Some((tls, elapsed_ms)) = self.before_deadline(handshake).await else {
            dial.tls = Some(Tls {
                outcome: Handshake::Failed(DEADLINE_PASSED.to_owned()),
                version: None,
                cipher: None,
                server_chain: Arc::default(),
                sent: 0,
                signature: Signature::None,
            });
            return dial;
        };
        dial.elapsed_ms += elapsed_ms;
        let spoke_tls = tls.outcome == Handshake::Done || !tls.server_chain.is_empty();
        let in_time = !matches!(tls.outcome, Handshake::TimedOut(_));
        if spoke_tls && in_time {
            let other = self.limiter.run(|| self.dialer.with_another_key(&socket, client, &tls));
            dial.other_key = self.before_deadline(other).await.flatten();
        }
        dial.tls = Some(tls);
        if spoke_tls && in_time {
            self.exchanges(place, peer, i, &socket, &mut dial.exchanges).await;
            if place != Place::Node {
                self.denials(&socket, &mut dial.exchanges).await;
            }
            dial.old = self.before_deadline(self.limiter.run(|| self.dialer.old_hello(&socket))).await;
        }
        if let (Place::Node, Some(port)) = (place, self.readonly_port) {
            let to = SocketAddr::new(socket.to.ip(), port);
            let limit = self.limit.min(Duration::from_secs(1));
            let opened = timeout(limit, self.dialer.connect(to)).await;
            dial.readonly = Some(match opened {
                Ok(Ok(_)) => Connect::Open,
                Ok(Err(connect)) => connect,
                Err(_) => Connect::TimedOut(millis(limit)),
            });
        }
        dial
    }
}
