//! The network's side of a run: which connections are made, how many at once, and what they saw. Judges nothing.
//! It has a tokio runtime of its own, so that everything above stays synchronous.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::observation::{
    Caller, Connect, Dial, Exchange, Handshake, LocationSeen, Observations, Outcome, PeerSeen, Request, Resolution,
};
use super::options::Options;
use super::target::{Identity, Peer, Place, Target};
use super::wire::{Socket, Wire};
use crate::cluster::account::Account;
use crate::cluster::address::Address;
use crate::pki::authority::MintError;
use crate::pki::forge;

/// A name that leads to more addresses than this is dialled at the first ones only.
const MAX_ADDRESSES: usize = 16;

/// Why a run could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No threads or no event queue.
    #[error("the network cannot be used: {0}")]
    Runtime(#[from] std::io::Error),
    /// TLS could not be set up.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
    /// The stranger could not be made.
    #[error("no throw-away certificate could be made: {0}")]
    Stranger(#[from] MintError),
}

/// Called with how many of how many steps are done.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Dials every peer of `target` and writes down what it sees, in the target's order. `now` dates the throw-away
/// certificate; nothing is judged by it.
///
/// # Errors
/// When there is no network to use at all. A peer that misbehaves is an observation, never an error.
pub fn run(
    target: &Arc<Target>,
    options: &Options,
    now: OffsetDateTime,
    progress: Progress<'_>,
) -> Result<Observations, RunError> {
    let strangers = Strangers::make(target, now)?;
    let wire = Arc::new(Wire::new(options.timeout).map_err(|error| RunError::Tls(error.to_string()))?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let deadline = options.deadline.map(|span| Instant::now() + span);
    let context = Arc::new(Run {
        target: target.clone(),
        wire,
        strangers,
        limit: options.timeout,
        deadline,
        pins: options.resolve.clone(),
        readonly_port: options.readonly_port,
        permits: Semaphore::new(options.concurrency.max(1)),
    });
    let peers = runtime.block_on(observe(&context, progress));
    // A resolver that hangs holds a thread; nobody waits for it.
    runtime.shutdown_timeout(Duration::from_millis(50));
    let certificates = context.wire.certificates();
    Ok(Observations { certificates, peers })
}

/// What every step shares.
struct Run {
    target: Arc<Target>,
    wire: Arc<Wire>,
    strangers: Strangers,
    limit: Duration,
    deadline: Option<Instant>,
    pins: BTreeMap<String, Vec<IpAddr>>,
    readonly_port: Option<u16>,
    permits: Semaphore,
}

/// Certificates that say everything right and are signed by nobody's key.
struct Strangers {
    at_nodes: Option<Identity>,
    at_masters: Option<Identity>,
}

impl Strangers {
    fn make(target: &Target, now: OffsetDateTime) -> Result<Self, MintError> {
        let Some(root) = target.roots.first() else { return Ok(Self { at_nodes: None, at_masters: None }) };
        let subject = |peers: &[Peer], fallback: &str| {
            let known = peers.iter().find_map(|peer| peer.client.as_ref()).map(|client| client.certificate.account());
            known.unwrap_or_else(|| Account { user: fallback.to_owned(), group: None })
        };
        let make = |subject: Account| -> Result<Option<Identity>, MintError> {
            Ok(Identity::of(&forge::stranger(root, &subject, now)?).ok())
        };
        Ok(Self {
            at_nodes: make(subject(&target.masters, "kube-apiserver-kubelet-client"))?,
            at_masters: make(subject(&target.nodes, "kubelet"))?,
        })
    }
}

async fn observe(run: &Arc<Run>, progress: Progress<'_>) -> Vec<PeerSeen> {
    let peers: Vec<(Place, Peer)> = run.target.peers().map(|(place, peer)| (place, peer.clone())).collect();
    let masters = peers.iter().filter(|(place, _)| *place != Place::Node).count();
    let dialled = |peer: &Peer| if peer.dialled { peer.addresses.len() } else { 0 };
    let steps: usize = peers.iter().map(|(_, peer)| dialled(peer)).sum::<usize>()
        + masters * run.target.accounts().count().saturating_sub(1);
    let done = std::cell::Cell::new(0);
    let step = || {
        done.set((done.get() + 1).min(steps));
        progress(done.get(), steps);
    };
    let mut places = Vec::new();
    let mut seen: Vec<PeerSeen> = Vec::with_capacity(peers.len());
    for (i, (place, peer)) in peers.iter().enumerate() {
        seen.push(PeerSeen { place: *place, host: peer.name.clone(), locations: Vec::new() });
        places.extend((0..dialled(peer)).map(|j| (i, j)));
    }
    let locate = |(i, j): (usize, usize)| {
        let (run, place) = (run.clone(), peers[i].0);
        let (peer, address) = (peers[i].1.clone(), peers[i].1.addresses[j].clone());
        async move { run.location(place, &peer, address).await }
    };
    for ((i, _), location) in places.iter().zip(in_order(places.iter().copied().map(locate), &step).await) {
        seen[*i].locations.extend(location);
    }
    let rest = accounts(run, &mut seen);
    let ask = |(_, _, _, node, socket): &(usize, usize, usize, usize, Socket)| {
        let (run, node, socket) = (run.clone(), *node, socket.clone());
        async move { run.who_am_i(&socket, node).await }
    };
    let answers = in_order(rest.iter().map(ask), &step).await;
    for ((i, j, k, _, _), exchange) in rest.iter().zip(answers) {
        seen[*i].locations[*j].dials[*k].exchanges.extend(exchange);
    }
    progress(steps, steps);
    seen
}

/// Every node but the first, at the first socket of each master that speaks TLS. The first node has called everywhere.
fn accounts(run: &Run, seen: &mut [PeerSeen]) -> Vec<(usize, usize, usize, usize, Socket)> {
    let peers: Vec<&Peer> = run.target.peers().map(|(_, peer)| peer).collect();
    let mut rest = Vec::new();
    for (i, peer) in seen.iter().enumerate().filter(|(_, peer)| peer.place != Place::Node) {
        let spoken = peer
            .locations
            .iter()
            .enumerate()
            .flat_map(|(j, location)| location.dials.iter().enumerate().map(move |(k, dial)| (j, k, dial)));
        let first = spoken.filter(|(_, _, dial)| speaks_tls(dial)).map(|(j, k, dial)| (j, k, dial.to)).next();
        if let Some((j, k, to)) = first {
            let socket = Socket { to, address: peers[i].addresses[j].clone() };
            rest.extend(run.target.accounts().skip(1).map(|(node, _)| (i, j, k, node, socket.clone())));
        }
    }
    rest
}

fn speaks_tls(dial: &Dial) -> bool {
    dial.tls.as_ref().is_some_and(|tls| !tls.shown.is_empty())
}

/// Runs all of `work` and gives the results in its order, whichever ends first.
async fn in_order<T: Send + 'static, F>(work: impl Iterator<Item = F>, step: &impl Fn()) -> Vec<Option<T>>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut set = JoinSet::new();
    let mut results = Vec::new();
    for (i, future) in work.enumerate() {
        set.spawn(async move { (i, future.await) });
        results.push(None);
    }
    while let Some(joined) = set.join_next().await {
        if let Ok((i, result)) = joined {
            results[i] = Some(result);
        }
        step();
    }
    results
}

impl Run {
    async fn location(&self, place: Place, peer: &Peer, address: Address) -> LocationSeen {
        let mut seen = LocationSeen {
            address: address.to_string(),
            port: peer.port,
            resolution: Resolution::Literal,
            dials: Vec::new(),
        };
        let (resolution, ips) = self.resolve(&address).await;
        seen.resolution = resolution;
        for ip in ips.into_iter().take(MAX_ADDRESSES) {
            let socket = Socket { to: SocketAddr::new(ip, peer.port), address: address.clone() };
            // Closed only when the run is over.
            let _permit = self.permits.acquire().await;
            seen.dials.push(self.dial(place, peer, socket).await);
        }
        seen
    }

    async fn resolve(&self, address: &Address) -> (Resolution, Vec<IpAddr>) {
        let name = match address {
            Address::Ip(ip) => return (Resolution::Literal, vec![*ip]),
            Address::Dns(name) => name.as_str(),
        };
        if let Some(pinned) = self.pins.get(name) {
            return (Resolution::Pinned(pinned.clone()), pinned.clone());
        }
        let _permit = self.permits.acquire().await;
        match timeout(self.limit, tokio::net::lookup_host((name, 0))).await {
            Ok(Ok(found)) => {
                let mut ips: Vec<IpAddr> = Vec::new();
                for ip in found.map(|socket| socket.ip().to_canonical()) {
                    if !ips.contains(&ip) {
                        ips.push(ip);
                    }
                }
                // Resolvers rotate their answers; two runs should differ only where the cluster does.
                ips.sort();
                (Resolution::Resolved(ips.clone()), ips)
            }
            Ok(Err(error)) => (Resolution::Failed(error.to_string()), Vec::new()),
            Err(_) => (Resolution::Failed("the resolver did not answer in time".to_owned()), Vec::new()),
        }
    }

    async fn dial(&self, place: Place, peer: &Peer, socket: Socket) -> Dial {
        let started = Instant::now();
        let mut dial = Dial {
            to: socket.to,
            connect: Connect::Open,
            tls: None,
            exchanges: Vec::new(),
            readonly: None,
            elapsed_ms: 0,
        };
        if self.is_over() {
            dial.connect = Connect::NotTried("the run's deadline was over".to_owned());
            return dial;
        }
        let stream = match self.wire.connect(socket.to).await {
            Ok(stream) => stream,
            Err(connect) => {
                dial.connect = connect;
                return dial;
            }
        };
        let first = match place {
            Place::Node => self.target.masters.iter().find_map(|master| master.client.as_ref()),
            _ => self.target.nodes.iter().find_map(|node| node.client.as_ref()),
        };
        let tls = self.wire.handshake(stream, &socket, first).await;
        dial.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let spoken = tls.outcome == Handshake::Done || !tls.shown.is_empty();
        dial.tls = Some(tls);
        if spoken {
            self.exchanges(place, peer, &socket, &mut dial.exchanges).await;
        }
        if let (Place::Node, Some(port)) = (place, self.readonly_port) {
            let to = SocketAddr::new(socket.to.ip(), port);
            let opened = timeout(self.limit.min(Duration::from_secs(1)), self.wire.connect(to)).await;
            dial.readonly = Some(match opened {
                Ok(Ok(_)) => Connect::Open,
                Ok(Err(connect)) => connect,
                Err(_) => Connect::TimedOut(1000),
            });
        }
        dial
    }

    async fn exchanges(&self, place: Place, peer: &Peer, socket: &Socket, seen: &mut Vec<Exchange>) {
        let mut calls: Vec<Call<'_>> = Vec::new();
        if place == Place::Node {
            for master in &self.target.masters {
                calls.push((Caller::Master(master.name.clone()), client(master), Request::Pods));
            }
            calls.push((Caller::Anonymous, Ok(None), Request::Pods));
            calls.push((Caller::Stranger, pretended(self.strangers.at_nodes.as_ref()), Request::Pods));
            calls.extend(
                self.neighbour(peer).map(|other| (Caller::Neighbour(other.name.clone()), client(other), Request::Pods)),
            );
        } else {
            let first = self.target.accounts().next();
            calls.extend(first.map(|(_, node)| (Caller::Node(node.name.clone()), client(node), Request::WhoAmI)));
            calls.push((Caller::Anonymous, Ok(None), Request::Nodes));
            calls.push((Caller::Stranger, pretended(self.strangers.at_masters.as_ref()), Request::Nodes));
        }
        let mut gave_up = false;
        for (caller, identity, request) in calls {
            let exchange = match identity {
                Err(reason) => not_asked(caller, None, request, Outcome::NoCredential(reason)),
                Ok(identity) if gave_up => {
                    let why = Outcome::NotTried("the peer had just let its time run out".to_owned());
                    not_asked(caller, identity, request, why)
                }
                Ok(identity) => self.ask(socket, caller, identity, request).await,
            };
            // A peer may cost its own deadline, not one for each question.
            gave_up |= matches!(exchange.outcome, Outcome::TimedOut(_));
            seen.push(exchange);
        }
    }

    /// The next node that has a certificate to show; a cluster of one node has no neighbours.
    fn neighbour(&self, peer: &Peer) -> Option<&Peer> {
        let nodes = &self.target.nodes;
        let at = nodes.iter().position(|node| node.name == peer.name)?;
        let others = || nodes[at + 1..].iter().chain(&nodes[..at]);
        others().find(|node| node.client.is_some()).or_else(|| others().next())
    }

    async fn who_am_i(&self, socket: &Socket, node: usize) -> Exchange {
        let node = &self.target.nodes[node];
        let caller = Caller::Node(node.name.clone());
        let _permit = self.permits.acquire().await;
        match client(node) {
            Ok(identity) => self.ask(socket, caller, identity, Request::WhoAmI).await,
            Err(reason) => not_asked(caller, None, Request::WhoAmI, Outcome::NoCredential(reason)),
        }
    }

    async fn ask(&self, socket: &Socket, caller: Caller, client: Option<&Identity>, request: Request) -> Exchange {
        if self.is_over() {
            let why = Outcome::NotTried("the run's deadline was over".to_owned());
            return not_asked(caller, client, request, why);
        }
        let again = caller.clone();
        let asking = self.wire.exchange(socket, caller, client, request);
        match self.deadline {
            None => asking.await,
            Some(deadline) => match timeout_at(deadline, asking).await {
                Ok(exchange) => exchange,
                Err(_) => {
                    let why = Outcome::NotTried("the run's deadline was over".to_owned());
                    not_asked(again, client, request, why)
                }
            },
        }
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Who calls with what for what; without a credential, why.
type Call<'a> = (Caller, Result<Option<&'a Identity>, String>, Request);

/// What a peer calls with; `Ok` always holds an identity.
fn client(peer: &Peer) -> Result<Option<&Identity>, String> {
    match &peer.client {
        Some(identity) => Ok(Some(identity)),
        None => {
            let why = peer.client_missing.clone();
            Err(why.unwrap_or_else(|| format!("there is no client certificate of {} here", peer.name)))
        }
    }
}

fn pretended(stranger: Option<&Identity>) -> Result<Option<&Identity>, String> {
    stranger.map(Some).ok_or_else(|| "there is no root to pretend to".to_owned())
}

fn not_asked(caller: Caller, client: Option<&Identity>, request: Request, outcome: Outcome) -> Exchange {
    let presented = client.map(|identity| identity.certificate.fingerprint());
    Exchange { caller, presented, request, shown: Vec::new(), outcome, elapsed_ms: 0 }
}
