//! The network's side of a run: which connections are made, how many at once, and what they saw. Judges nothing.
//! It has a tokio runtime of its own, so that everything above stays synchronous.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::dialer::{Dialer, Offer, Socket, millis};
use super::http::Question;
use super::identities::{Order, UntrustedClient, UntrustedClients, client, missing};
use super::leases::is_odd;
use super::limiter::{Limiter, descriptors_for};
use super::observation::{
    Caller, Connect, DRY_RUN_DECLINED, Der, Dial, Exchange, Handshake, Lease, LeaseListing, Leases, Listed, Listing,
    LocationSeen, Observations, Outcome, PeerSeen, Probes, Request, Resolution, Signature, Tls, Untrusted,
};
use super::options::Options;
use super::reviews::reviews;
use super::target::{Identity, Peer, Place, Target};
use super::writes::{self, Write};
use crate::cluster::address::Address;
use crate::pki::fingerprint::Fingerprint;

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
}

/// Called with how many of how many steps are done.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Dials every peer of `target` and writes down what it sees, in the target's order. By `now` another node is chosen whose
/// certificate is in date; nothing is judged by it.
///
/// # Errors
/// When there is no network to use at all. A peer that misbehaves is an observation, never an error.
pub fn run(
    target: &Arc<Target>,
    options: &Options,
    now: OffsetDateTime,
    progress: Progress<'_>,
) -> Result<Observations, RunError> {
    let untrusted = UntrustedClients::make(target);
    let wire = Arc::new(Dialer::new(options.timeout).map_err(|error| RunError::Tls(error.to_string()))?);
    let mut runtime = match options.one_thread {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    let deadline = options.deadline.map(|span| Instant::now() + span);
    let at_once = descriptors_for(options.concurrency.max(1));
    let context = Arc::new(Run {
        order: Order::of(target, now),
        target: target.clone(),
        wire,
        untrusted,
        limit: options.timeout,
        deadline,
        pins: options.resolve.clone(),
        readonly_port: options.readonly_port,
        lease_pause: options.lease_pause,
        one_thread: options.one_thread,
        dry_run_writes: options.dry_run_writes,
        at_once,
        hosts: Semaphore::new(at_once),
        lane: Limiter::new(options.timeout),
    });
    let seen = runtime.block_on(observe(&context, progress));
    // A resolver that hangs holds a thread; nobody waits for it.
    runtime.shutdown_timeout(Duration::from_millis(50));
    let mut certificates = context.wire.certificates();
    certificates.extend(shown_by_right(target, &seen));
    Ok(Observations { certificates, ..seen })
}

/// The target's own certificates that were shown to a peer: their dates are judged too.
fn shown_by_right(target: &Target, seen: &Observations) -> Vec<(Fingerprint, Der)> {
    let locations = seen.peers.iter().flat_map(|peer| &peer.locations);
    let exchanges = locations.flat_map(|location| &location.dials).flat_map(|dial| &dial.exchanges);
    let shown: HashSet<Fingerprint> = exchanges.filter_map(|exchange| exchange.presented).collect();
    let clients = target.peers().filter_map(|(_, peer)| peer.client.as_ref()).chain(&target.verifier);
    let certificates = clients.map(|client| &client.certificate);
    let shown = certificates.filter(|certificate| shown.contains(&certificate.fingerprint()));
    shown.map(|certificate| (certificate.fingerprint(), Der(certificate.der().to_vec()))).collect()
}

/// What every step shares.
struct Run {
    target: Arc<Target>,
    order: Order,
    wire: Arc<Dialer>,
    untrusted: UntrustedClients,
    limit: Duration,
    deadline: Option<Instant>,
    pins: BTreeMap<String, Vec<IpAddr>>,
    readonly_port: Option<u16>,
    lease_pause: Duration,
    one_thread: bool,
    dry_run_writes: bool,
    /// How many hosts may be in hand at once.
    at_once: usize,
    hosts: Semaphore,
    lane: Limiter,
}

/// A master's socket at which each node's account is asked for.
struct ApiServerTarget {
    /// Peer, location and dial in the observations.
    at: (usize, usize, usize),
    socket: Socket,
    places: Semaphore,
    /// Whether it ever answered.
    answered: AtomicBool,
    /// How often it let its time run out.
    late: AtomicUsize,
}

impl ApiServerTarget {
    /// An API server has other work to do.
    const PLACES: usize = 64;
    /// After as many questions without any answer at all no more are asked.
    const TOO_LATE: usize = 8;
}

async fn observe(run: &Arc<Run>, progress: Progress<'_>) -> Observations {
    let peers: Vec<(Place, &Peer)> = run.target.peers().collect();
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
        let run = run.clone();
        async move { run.location(i, j).await }
    };
    for ((i, _), location) in places.iter().zip(in_order(places.iter().copied().map(locate), run.at_once, &step).await)
    {
        seen[*i].locations.extend(location.flatten());
    }
    let desks: Vec<Arc<ApiServerTarget>> = desks(&peers, &seen).into_iter().map(Arc::new).collect();
    let listing = tokio::spawn({
        let (run, desks) = (run.clone(), desks.clone());
        async move { run.listing(&desks).await }
    });
    let leases = tokio::spawn({
        let (run, desks) = (run.clone(), desks.clone());
        async move { run.leases(&desks).await }
    });
    let rest: Vec<usize> = run.target.accounts().skip(1).map(|(node, _)| node).collect();
    let calls: Vec<(usize, usize)> =
        (0..desks.len()).flat_map(|desk| rest.iter().map(move |node| (desk, *node))).collect();
    let ask = |(desk, node): (usize, usize)| {
        let (run, desk) = (run.clone(), desks[desk].clone());
        async move { run.account(&desk, node).await }
    };
    let answers = in_order(calls.iter().copied().map(ask), usize::MAX, &step).await;
    for ((desk, _), exchange) in calls.iter().zip(answers) {
        let (i, j, k) = desks[*desk].at;
        seen[i].locations[j].dials[k].exchanges.extend(exchange);
    }
    let listing = listing.await.ok().flatten();
    let leases = leases.await.ok().flatten();
    progress(steps, steps);
    Observations { peers: seen, listing, leases, probes: Probes::Second, ..Observations::default() }
}

/// The first socket of each master that speaks TLS. The first node has called there; the others have not.
fn desks(peers: &[(Place, &Peer)], seen: &[PeerSeen]) -> Vec<ApiServerTarget> {
    let mut desks = Vec::new();
    for (i, peer) in seen.iter().enumerate().filter(|(_, peer)| peer.place != Place::Node) {
        let mut spoken = peer
            .locations
            .iter()
            .enumerate()
            .flat_map(|(j, location)| location.dials.iter().enumerate().map(move |(k, dial)| (j, k, dial)));
        let first = spoken.find(|(_, _, dial)| speaks_tls(dial));
        desks.extend(first.map(|(j, k, dial)| ApiServerTarget {
            at: (i, j, k),
            answered: AtomicBool::new(dial.exchanges.iter().any(has_answered)),
            socket: Socket {
                to: dial.to,
                address: peers[i].1.addresses[j].clone(),
                tls_name: peers[i].1.tls_name.clone(),
            },
            places: Semaphore::new(ApiServerTarget::PLACES),
            late: AtomicUsize::new(0),
        }));
    }
    desks
}

fn speaks_tls(dial: &Dial) -> bool {
    dial.tls.as_ref().is_some_and(|tls| !tls.shown.is_empty())
}

/// Runs all of `work`, at most so many at once, and gives the results in its order, whichever ends first.
async fn in_order<T: Send + 'static, F>(
    mut work: impl Iterator<Item = F>,
    at_once: usize,
    step: &impl Fn(),
) -> Vec<Option<T>>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut set = JoinSet::new();
    // Of most names there is one address, and a vector that grows has room for four.
    let mut results = Vec::with_capacity(work.size_hint().0);
    loop {
        // Started one by one: thousands that only wait for their turn take much memory.
        while set.len() < at_once
            && let Some(future) = work.next()
        {
            let i = results.len();
            set.spawn(async move { (i, future.await) });
            results.push(None);
        }
        let Some(joined) = set.join_next().await else { return results };
        if let Ok((i, result)) = joined {
            results[i] = Some(result);
        }
        step();
    }
}

impl Run {
    async fn location(self: &Arc<Self>, i: usize, j: usize) -> Option<LocationSeen> {
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
        // Most have one, and a fleet has many.
        dials.shrink_to_fit();
        Some(LocationSeen { address: address.to_string(), port: peer.port, resolution, dials })
    }

    async fn resolve(&self, address: &Address) -> (Resolution, Vec<IpAddr>) {
        let name = match address {
            Address::Ip(ip) => return (Resolution::Literal, vec![*ip]),
            Address::Dns(name) => name.as_str(),
        };
        if let Some(pinned) = self.pins.get(name) {
            return (Resolution::Pinned(pinned.clone()), pinned.clone());
        }
        let _place = self.hosts.acquire().await;
        if self.is_over() {
            return (Resolution::Failed(OVER.to_owned()), Vec::new());
        }
        let lookup = async {
            // tokio's resolver needs a thread.
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
                // Resolvers rotate their answers; two runs should differ only where the cluster does.
                ips.sort();
                (Resolution::Resolved(ips.clone()), ips)
            }
            Ok(Err(error)) => (Resolution::Failed(error.to_string()), Vec::new()),
            Err(_) => (Resolution::Failed("the resolver did not answer in time".to_owned()), Vec::new()),
        }
    }

    async fn dial_when_free(self: &Arc<Self>, i: usize, socket: Socket) -> Option<Dial> {
        let _place = self.hosts.acquire().await;
        let (place, peer) = self.target.peer(i)?;
        // In a box, so that thousands that wait for their turn stay small.
        Some(Box::pin(self.dial(place, peer, i, socket)).await)
    }

    async fn dial(self: &Arc<Self>, place: Place, peer: &Peer, i: usize, socket: Socket) -> Dial {
        let mut dial = Dial {
            to: socket.to,
            connect: Connect::Open,
            tls: None,
            other_key: None,
            old: None,
            exchanges: Vec::new(),
            readonly: None,
            elapsed_ms: 0,
        };
        if self.is_over() {
            dial.connect = Connect::NotTried(OVER.to_owned());
            return dial;
        }
        let started = Instant::now();
        let stream = match self.before_the_end(self.wire.connect(socket.to)).await {
            Some(Ok(stream)) => stream,
            Some(Err(connect)) => {
                dial.connect = connect;
                return dial;
            }
            None => {
                dial.connect = Connect::NotTried(OVER.to_owned());
                return dial;
            }
        };
        dial.elapsed_ms = millis(started.elapsed());
        let first = match place {
            Place::Node => self.order.first_master.and_then(|at| self.target.masters[at].client.as_ref()),
            _ => self.order.first_node.and_then(|at| self.target.nodes[at].client.as_ref()),
        };
        let handshake = self.lane.run(|| async {
            let began = Instant::now();
            (self.wire.handshake(stream, &socket, first).await, millis(began.elapsed()))
        });
        let Some((tls, elapsed_ms)) = self.before_the_end(handshake).await else {
            dial.tls = Some(Tls {
                outcome: Handshake::Failed(OVER.to_owned()),
                version: None,
                cipher: None,
                shown: Arc::default(),
                sent: 0,
                signature: Signature::None,
            });
            return dial;
        };
        dial.elapsed_ms += elapsed_ms;
        let spoken = tls.outcome == Handshake::Done || !tls.shown.is_empty();
        let in_time = !matches!(tls.outcome, Handshake::TimedOut(_));
        if spoken && in_time {
            let other = self.lane.run(|| self.wire.with_another_key(&socket, first, &tls));
            dial.other_key = self.before_the_end(other).await.flatten();
        }
        dial.tls = Some(tls);
        if spoken && in_time {
            self.exchanges(place, peer, i, &socket, &mut dial.exchanges).await;
            if place != Place::Node {
                self.denials(&socket, &mut dial.exchanges).await;
            }
            dial.old = self.before_the_end(self.lane.run(|| self.wire.old_hello(&socket))).await;
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

    /// Makes the calls of a place. A slow answer cancels none of them.
    async fn exchanges(
        self: &Arc<Self>,
        place: Place,
        peer: &Peer,
        i: usize,
        socket: &Socket,
        seen: &mut Vec<Exchange>,
    ) {
        let account = (place != Place::Node).then(|| self.target.accounts().next()).flatten().map(|(node, _)| node);
        let mut known = None;
        if let Some(node) = account {
            let exchange = self.introduction(socket, node, Offer::Both).await;
            let accepted = matches!(&exchange.outcome, Outcome::Answer(answer) if (200..300).contains(&answer.status));
            known = accepted.then_some(node);
            seen.push(exchange);
            if accepted {
                seen.push(self.by_header(socket, node).await);
            }
        }
        let calls = if place == Place::Node { self.calls_of_a_node(peer, i) } else { self.calls_of_a_master() };
        let rightful = calls.iter().find(|call| by_right(&call.caller, call.request) && call.identity.is_ok()).cloned();
        let calls = calls.into_iter().map(|call| {
            let (run, socket) = (self.clone(), socket.clone());
            async move { run.call(&socket, call).await }
        });
        // Without its store an API server lets every read and every write run out of time: both at once cost it once.
        let (written, called) = tokio::join!(self.writes(socket, known), self.in_turn(calls, false));
        seen.reserve_exact(written.len() + called.len());
        seen.extend(written.into_iter().chain(called));
        // A server that hangs up on an untrusted client may hang up on every client by now.
        if seen.iter().any(hung_up_on) {
            match (rightful, account) {
                (Some(call), _) => seen.push(self.call(socket, call).await),
                (_, Some(node)) => seen.push(self.introduction(socket, node, Offer::Both).await),
                _ => {}
            }
        }
    }

    /// Asks one after the other; when one has cost its whole time, or `at_once` says so, the others are asked at once, so that a
    /// peer that never answers does not cost a deadline for each.
    async fn in_turn<F>(&self, asking: impl Iterator<Item = F>, at_once: bool) -> Vec<Exchange>
    where
        F: Future<Output = Exchange> + Send + 'static,
    {
        let (mut asking, mut late, mut seen) = (asking, at_once, Vec::new());
        while !late && let Some(next) = asking.next() {
            let exchange = next.await;
            late = self.ran_out(&exchange);
            seen.push(exchange);
        }
        seen.extend(in_order(asking, usize::MAX, &|| ()).await.into_iter().flatten());
        seen
    }

    async fn call(&self, socket: &Socket, call: Call) -> Exchange {
        match call.identity {
            Err(reason) => not_asked(call.caller, None, call.request, Outcome::NoCredential(reason)),
            Ok(identity) => self.ask(socket, call.caller, identity.as_ref(), call.request, call.more).await,
        }
    }

    /// A node asks who it is, and names another in a header.
    async fn by_header(&self, socket: &Socket, at: usize) -> Exchange {
        let node = &self.target.nodes[at];
        let caller = Caller::Node(node.name.clone());
        self.ask(socket, caller, node.client.as_ref(), Request::WhoAmIByHeader, &[]).await
    }

    /// A node writes what it may, and what it must not, as dry runs; nothing where there is no node that the master knows.
    async fn writes(self: &Arc<Self>, socket: &Socket, at: Option<usize>) -> Vec<Exchange> {
        let Some((at, node)) = at.and_then(|at| Some((at, self.target.nodes.get(at)?))) else { return Vec::new() };
        let Some(identity) = &node.client else { return Vec::new() };
        if !self.dry_run_writes {
            let (caller, why) = (Caller::Node(node.name.clone()), Outcome::NotTried(DRY_RUN_DECLINED.to_owned()));
            return vec![not_asked(caller, Some(identity), Request::DryRunNode, why)];
        }
        let other = self.order.others[at].map_or("another-node", |other| self.target.nodes[other].name.as_str());
        let first = self.write(socket, &node.name, identity, writes::own_node(&node.name)).await;
        let uid = match &first.outcome {
            Outcome::Answer(answer) => writes::uid(&answer.body),
            _ => None,
        };
        let late = self.ran_out(&first);
        let rest = writes::others(&node.name, other, uid.as_deref()).into_iter().map(|write| {
            let (run, socket) = (self.clone(), socket.clone());
            let (name, identity) = (node.name.clone(), identity.clone());
            async move { run.write(&socket, &name, &identity, write).await }
        });
        let mut seen = vec![first];
        seen.extend(self.in_turn(rest, late).await);
        seen
    }

    async fn write(&self, socket: &Socket, node: &str, identity: &Identity, write: Write) -> Exchange {
        let Write { request, path, body } = write;
        let caller = || Caller::Node(node.to_owned());
        let over = || not_asked(caller(), Some(identity), request, Outcome::NotTried(OVER.to_owned()));
        if self.is_over() {
            return over();
        }
        let question = Question::write(request, path, &body);
        let asking = self.lane.run(|| self.wire.ask(socket, caller(), Some(identity), request, (question, &[])));
        self.before_the_end(asking).await.unwrap_or_else(over)
    }

    /// Asks an API server what it denies, as the first who may ask: the verifier, or a node, which has to ask this of its own
    /// callers anyway.
    async fn denials(&self, socket: &Socket, seen: &mut Vec<Exchange>) {
        let Some(denials) = self.target.denials.as_ref().filter(|denials| !denials.is_empty()) else { return };
        let request = Request::DenialReview;
        let mut questions: Vec<_> =
            denials.subjects().map(|subject| (request, Question::review(&subject.review()))).collect();
        let (_, first) = questions.remove(0);
        let revoked = |client: &Identity| {
            let fingerprint = client.certificate.fingerprint();
            self.target.revoked.as_ref().is_some_and(|revoked| revoked.contains(&fingerprint))
        };
        let node = self.target.nodes.iter().find_map(|node| {
            let client = node.client.as_ref().filter(|client| !revoked(client))?;
            Some((Caller::Node(node.name.clone()), client.clone()))
        });
        let verifier = self.target.verifier.clone().map(|verifier| (Caller::Verifier, verifier));
        let callers: Vec<(Caller, Identity)> = verifier.into_iter().chain(node).collect();
        if callers.is_empty() {
            let why = Outcome::NoCredential("neither the verifier's certificate is here nor a node's".to_owned());
            return seen.push(not_asked(Caller::Verifier, None, request, why));
        }
        for (caller, client) in callers {
            let not_tried =
                |why: &str| not_asked(caller.clone(), Some(&client), request, Outcome::NotTried(why.to_owned()));
            if self.is_over() {
                return seen.push(not_tried(OVER));
            }
            let asking = self.wire.ask(socket, caller.clone(), Some(&client), request, (first.clone(), &questions));
            let asking = self.before_the_end(self.lane.run(|| asking)).await;
            let exchange = asking.unwrap_or_else(|| not_tried(OVER));
            let refused = matches!(&exchange.outcome, Outcome::Answer(answer) if !(200..300).contains(&answer.status));
            seen.push(exchange);
            if !refused {
                return;
            }
        }
    }

    /// Those who should be let in come first: "refused" proves nothing on a port that refuses everybody.
    fn calls_of_a_node(&self, peer: &Peer, i: usize) -> Vec<Call> {
        let masters = &self.target.masters;
        let by_master = |master: &Peer| Call::new(Caller::Master(master.name.clone()), client(master), Request::Pods);
        let mut calls: Vec<Call> = masters.iter().map(by_master).collect();
        // Where no master can call, the verifier does: the kubelet knows it, and forbids it what a master may.
        let verifier = self.target.verifier.as_ref();
        let as_verifier = |request| verifier.map(|verifier| Call::new(Caller::Verifier, Ok(Some(verifier)), request));
        if self.order.first_master.is_none() {
            calls.extend(as_verifier(Request::Pods));
        }
        calls.push(Call::anonymous(Request::Pods, &KUBELET_DATA));
        // Of many kubelets each, one kind asks for the rest too.
        let more = |client: &UntrustedClient| if client.0 == Untrusted::UnknownCa { &KUBELET_DATA[..] } else { &[] };
        let untrusted = self.untrusted.at_nodes.iter();
        calls.extend(untrusted.map(|client| Call::untrusted(client, Request::Pods, more(client))));
        let before = masters.len() + usize::from(self.target.endpoint.is_some());
        let other = i.checked_sub(before).and_then(|at| *self.order.others.get(at)?);
        calls.extend(other.filter(|at| self.target.nodes[*at].name != peer.name).map(|at| {
            let name = self.target.nodes[at].name.clone();
            Call::new(Caller::OtherNode(name), self.order.other_node(&self.target, at), Request::Pods)
        }));
        calls.extend(as_verifier(Request::Configz));
        calls
    }

    fn calls_of_a_master(&self) -> Vec<Call> {
        let verifier = self.target.verifier.as_ref();
        let as_verifier = |request| verifier.map(|verifier| Call::new(Caller::Verifier, Ok(Some(verifier)), request));
        // Where the store is gone, every read runs out of time: that is to be known first.
        let health = as_verifier(Request::Livez).map(|call| Call { more: &[Request::Readyz], ..call });
        let mut calls: Vec<Call> = health.into_iter().chain(as_verifier(Request::Nodes)).collect();
        calls.push(Call::anonymous(Request::Nodes, &API_SERVER_DATA));
        let untrusted = self.untrusted.at_masters.iter();
        calls.extend(untrusted.map(|client| Call::untrusted(client, Request::Nodes, &API_SERVER_DATA)));
        calls.extend(as_verifier(Request::Flagz));
        calls
    }

    /// Whether a peer let its time run out, with an answer that never ended or without any.
    fn ran_out(&self, exchange: &Exchange) -> bool {
        matches!(exchange.outcome, Outcome::TimedOut(_)) || exchange.elapsed_ms >= millis(self.limit)
    }

    async fn account(&self, desk: &ApiServerTarget, node: usize) -> Exchange {
        let _place = desk.places.acquire().await;
        let _host = self.hosts.acquire().await;
        if !desk.answered.load(Ordering::Relaxed) && desk.late.load(Ordering::Relaxed) >= ApiServerTarget::TOO_LATE {
            let node = &self.target.nodes[node];
            let (caller, why) = (Caller::Node(node.name.clone()), Outcome::NotTried(LATE.to_owned()));
            return not_asked(caller, node.client.as_ref(), Request::WhoAmI, why);
        }
        // Where the first node came as its kubelet does, what is left to be learned is whether each account is known.
        let first_came = self.target.accounts().next().is_some_and(|(_, first)| first.client.is_some());
        let offer = if first_came { Offer::One } else { Offer::Both };
        let mut exchange = Box::pin(self.introduction(&desk.socket, node, offer)).await;
        if offer == Offer::One
            && !matches!(exchange.outcome, Outcome::Answer(_) | Outcome::TimedOut(_) | Outcome::NotTried(_))
        {
            // There may be HTTP/2 alone.
            exchange = Box::pin(self.introduction(&desk.socket, node, Offer::Both)).await;
        }
        if matches!(exchange.outcome, Outcome::TimedOut(_)) {
            desk.late.fetch_add(1, Ordering::Relaxed);
        }
        desk.answered.fetch_or(has_answered(&exchange), Ordering::Relaxed);
        exchange
    }

    /// A node asks a master who it is and what it may do.
    async fn introduction(&self, socket: &Socket, at: usize, offer: Offer) -> Exchange {
        let node = &self.target.nodes[at];
        let caller = Caller::Node(node.name.clone());
        let Some(identity) = &node.client else {
            let why = Outcome::NoCredential(missing(node));
            return not_asked(caller, None, Request::WhoAmI, why);
        };
        let over = || not_asked(caller.clone(), Some(identity), Request::WhoAmI, Outcome::NotTried(OVER.to_owned()));
        if self.is_over() {
            return over();
        }
        let other = self.order.others[at].map_or("another-node", |other| self.target.nodes[other].name.as_str());
        let reviews = reviews(&node.name, other);
        let asking = self.lane.run(|| self.wire.introduction(socket, caller.clone(), identity, &reviews, offer));
        self.before_the_end(asking).await.unwrap_or_else(over)
    }

    /// Which nodes there are, from the first desk that says so.
    async fn listing(&self, desks: &[Arc<ApiServerTarget>]) -> Option<Listing> {
        let verifier = self.target.verifier.as_ref()?;
        // A large fleet takes longer to tell, but no peer may go on for ever.
        let limit = self.limit * (1 + u32::try_from(self.target.nodes.len() / 500).unwrap_or(u32::MAX));
        let mut last = None;
        for desk in desks {
            let (place, peer) = self.target.peer(desk.at.0)?;
            let began = Instant::now();
            let (shown, outcome) = self.before_the_end(self.wire.listing(&desk.socket, verifier, limit)).await?;
            let elapsed_ms = millis(began.elapsed());
            let done = matches!(outcome, Listed::Nodes(_) | Listed::Failed(Outcome::TimedOut(_)));
            last = Some(Listing { place, host: peer.name.clone(), to: desk.socket.to, shown, outcome, elapsed_ms });
            if done {
                break;
            }
        }
        last
    }

    /// The nodes' leases, from the first desk that tells them. Where one looks as if its node were gone, it is looked at again
    /// after the time in which a kubelet renews it: clocks may differ.
    async fn leases(&self, desks: &[Arc<ApiServerTarget>]) -> Option<LeaseListing> {
        let verifier = self.target.verifier.as_ref()?;
        let dialled = self.target.nodes.iter().filter(|node| node.dialled);
        let nodes: HashSet<&str> = dialled.map(|node| node.name.as_str()).collect();
        if nodes.is_empty() {
            return None;
        }
        let limit = self.limit * (1 + u32::try_from(self.target.nodes.len() / 2000).unwrap_or(u32::MAX));
        let over = || LeaseListing {
            to: None,
            shown: Arc::default(),
            outcome: Leases::Failed(Outcome::NotTried("no API server could be asked in time".to_owned())),
            elapsed_ms: 0,
        };
        let mut last = over();
        for desk in desks {
            let began = Instant::now();
            let ask = || self.before_the_end(self.wire.leases(&desk.socket, verifier, limit));
            let Some((shown, mut outcome)) = ask().await else { return Some(over()) };
            if let Leases::Held { served, leases, again } = &mut outcome {
                let odd = |lease: &&Lease| nodes.contains(lease.name.as_str()) && is_odd(lease, served.as_deref());
                let before: BTreeMap<String, Option<String>> =
                    leases.iter().filter(odd).map(|lease| (lease.name.clone(), lease.renewed.clone())).collect();
                if !before.is_empty()
                    && self.before_the_end(tokio::time::sleep(self.lease_pause)).await.is_some()
                    && let Some((now_shown, Leases::Held { leases: now, .. })) = ask().await
                    && now_shown == shown
                {
                    let renewed =
                        now.into_iter().filter(|lease| before.get(&lease.name).is_some_and(|b| *b != lease.renewed));
                    again.extend(renewed.filter_map(|lease| Some((lease.name, lease.renewed?))));
                }
            }
            let elapsed_ms = millis(began.elapsed());
            let done = matches!(outcome, Leases::Held { .. } | Leases::Failed(Outcome::TimedOut(_)));
            last = LeaseListing { to: Some(desk.socket.to), shown, outcome, elapsed_ms };
            if done {
                break;
            }
        }
        Some(last)
    }

    /// What `work` comes to, unless the run's deadline is over before.
    async fn before_the_end<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.deadline {
            None => Some(work.await),
            Some(deadline) => timeout_at(deadline, work).await.ok(),
        }
    }

    async fn ask(
        &self,
        socket: &Socket,
        caller: Caller,
        client: Option<&Identity>,
        request: Request,
        more: &[Request],
    ) -> Exchange {
        let over = |caller| not_asked(caller, client, request, Outcome::NotTried(OVER.to_owned()));
        if self.is_over() {
            return over(caller);
        }
        let asking = self.lane.run(|| self.wire.exchange(socket, caller.clone(), client, request, more));
        self.before_the_end(asking).await.unwrap_or_else(|| over(caller))
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Who calls with what for what; without a credential, why.
#[derive(Clone)]
struct Call {
    caller: Caller,
    identity: Result<Option<Identity>, String>,
    request: Request,
    /// What is asked behind it, on the same connection.
    more: &'static [Request],
}

impl Call {
    fn new(caller: Caller, identity: Result<Option<&Identity>, String>, request: Request) -> Self {
        Self { caller, identity: identity.map(Option::<&Identity>::cloned), request, more: &[] }
    }

    /// An unauthenticated client. Its second request is the first one again: a gate may look at a connection's first alone.
    fn anonymous(request: Request, more: &'static [Request]) -> Self {
        Self { more, ..Self::new(Caller::Anonymous, Ok(None), request) }
    }

    fn untrusted((kind, identity): &UntrustedClient, request: Request, more: &'static [Request]) -> Self {
        let identity = identity.as_ref().map(Some).map_err(Clone::clone);
        Self { more, ..Self::new(Caller::Untrusted(*kind), identity, request) }
    }
}

/// What else unauthenticated and untrusted clients ask kubelets and API servers for: what they hold that others may not read,
/// and whom they are taken for.
const KUBELET_DATA: [Request; 5] =
    [Request::Pods, Request::RunningPods, Request::StatsSummary, Request::Metrics, Request::Configz];
const API_SERVER_DATA: [Request; 5] =
    [Request::Nodes, Request::WhoAmI, Request::WhoAmIByHeader, Request::Secrets, Request::AllPods];

/// Whether a call asks, for what others are refused, with a right to an answer.
fn by_right(caller: &Caller, request: Request) -> bool {
    match caller {
        Caller::Master(_) => true,
        Caller::Verifier => matches!(request, Request::Pods | Request::Nodes),
        _ => false,
    }
}

/// Whether somebody who should be refused was cut off without a word.
fn hung_up_on(exchange: &Exchange) -> bool {
    let has_no_right = !matches!(exchange.caller, Caller::Master(_) | Caller::Node(_) | Caller::Verifier);
    has_no_right && matches!(exchange.outcome, Outcome::Closed | Outcome::Reset)
}

/// Why something was not tried.
const OVER: &str = "the run's deadline was over";
const LATE: &str = "the peer had answered nothing at all in time";

fn not_asked(caller: Caller, client: Option<&Identity>, request: Request, outcome: Outcome) -> Exchange {
    let presented = client.map(|identity| identity.certificate.fingerprint());
    let (shown, more, rulings) = (Arc::default(), Vec::new(), Arc::default());
    Exchange { caller, presented, request, shown, outcome, more, rulings, elapsed_ms: 0 }
}

fn has_answered(exchange: &Exchange) -> bool {
    matches!(exchange.outcome, Outcome::Answer(_))
}
