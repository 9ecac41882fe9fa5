//! Probes all hosts of a target: the steps of a run, from the first connection to the last.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::api_servers::{ApiServerTarget, api_servers};
use super::context::Run;
use super::in_order::in_order;
use crate::pki::fingerprint::Fingerprint;
use crate::verify::dialer::Dialer;
use crate::verify::identities::{ClientPlan, UntrustedClients};
use crate::verify::limiter::{Limiter, descriptors_for};
use crate::verify::observation::{Der, Observations, PeerObservation, Probes};
use crate::verify::options::Options;
use crate::verify::place::Place;
use crate::verify::target::{Peer, Target};

/// Errors of starting a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The asynchronous runtime could not be started.
    #[error("the network cannot be used: {0}")]
    Runtime(#[from] std::io::Error),
    /// TLS could not be set up.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
}

/// A callback with the number of completed steps and of all steps.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Dials every peer of `target` and records what it observes, in the target's order.
///
/// `now` is only used to choose nodes with valid certificates, which connect to other nodes.
///
/// # Errors
/// Returns an error if no network can be used at all. A misbehaving peer is an observation, never an error.
pub fn run(
    target: &Arc<Target>,
    options: &Options,
    now: OffsetDateTime,
    progress: Progress<'_>,
) -> Result<Observations, RunError> {
    let untrusted = UntrustedClients::make(target);
    let dialer = Arc::new(Dialer::new(options.timeout).map_err(|error| RunError::Tls(error.to_string()))?);
    let mut runtime = match options.one_thread {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    let deadline = options.deadline.map(|span| Instant::now() + span);
    let concurrency = descriptors_for(options.concurrency.max(1));
    let context = Arc::new(Run {
        plan: ClientPlan::of(target, now),
        target: target.clone(),
        dialer,
        untrusted,
        limit: options.timeout,
        deadline,
        pins: options.resolve.clone(),
        readonly_port: options.readonly_port,
        lease_pause: options.lease_pause,
        one_thread: options.one_thread,
        dry_run_writes: options.dry_run_writes,
        concurrency,
        hosts: Semaphore::new(concurrency),
        limiter: Limiter::new(options.timeout),
    });
    let seen = runtime.block_on(observe(&context, progress));
    // A resolver that hangs blocks a thread; the run does not wait for it.
    runtime.shutdown_timeout(Duration::from_millis(50));
    let mut certificates = context.dialer.certificates();
    certificates.extend(presented_certificates(target, &seen));
    Ok(Observations { certificates, ..seen })
}

/// Returns the certificates of the target's own clients that were presented, because their dates are checked, too.
fn presented_certificates(target: &Target, seen: &Observations) -> Vec<(Fingerprint, Der)> {
    let locations = seen.peers.iter().flat_map(|peer| &peer.locations);
    let exchanges = locations.flat_map(|location| &location.dials).flat_map(|dial| &dial.exchanges);
    let presented: HashSet<Fingerprint> = exchanges.filter_map(|exchange| exchange.presented).collect();
    let clients = target.peers().filter_map(|(_, peer)| peer.client.as_ref()).chain(&target.verifier);
    let certificates = clients.map(|identity| &identity.certificate);
    let certificates = certificates.filter(|certificate| presented.contains(&certificate.fingerprint()));
    certificates.map(|certificate| (certificate.fingerprint(), Der(certificate.der().to_vec()))).collect()
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
    // Each address to dial, as the index of its peer and its own.
    let mut addresses = Vec::new();
    let mut seen: Vec<PeerObservation> = Vec::with_capacity(peers.len());
    for (i, (place, peer)) in peers.iter().enumerate() {
        seen.push(PeerObservation { place: *place, host: peer.name.clone(), locations: Vec::new() });
        addresses.extend((0..dialled(peer)).map(|j| (i, j)));
    }
    let locate = |(i, j): (usize, usize)| {
        let run = run.clone();
        async move { run.location(i, j).await }
    };
    for ((i, _), location) in
        addresses.iter().zip(in_order(addresses.iter().copied().map(locate), run.concurrency, &step).await)
    {
        seen[*i].locations.extend(location.flatten());
    }
    let api_servers: Vec<Arc<ApiServerTarget>> = api_servers(&peers, &seen).into_iter().map(Arc::new).collect();
    let listing = tokio::spawn({
        let (run, api_servers) = (run.clone(), api_servers.clone());
        async move { run.listing(&api_servers).await }
    });
    let leases = tokio::spawn({
        let (run, api_servers) = (run.clone(), api_servers.clone());
        async move { run.leases(&api_servers).await }
    });
    let members = tokio::spawn({
        let run = run.clone();
        async move { run.etcd_members().await }
    });
    let rest: Vec<usize> =
        run.target.accounts().map(|(at, _)| at).filter(|at| Some(*at) != run.target.calling_node()).collect();
    let calls: Vec<(usize, usize)> =
        (0..api_servers.len()).flat_map(|api_server| rest.iter().map(move |node| (api_server, *node))).collect();
    let ask = |(api_server, node): (usize, usize)| {
        let (run, api_server) = (run.clone(), api_servers[api_server].clone());
        async move { run.account(&api_server, node).await }
    };
    let answers = in_order(calls.iter().copied().map(ask), usize::MAX, &step).await;
    for ((api_server, _), exchange) in calls.iter().zip(answers) {
        let (i, j, k) = api_servers[*api_server].at;
        seen[i].locations[j].dials[k].exchanges.extend(exchange);
    }
    let listing = listing.await.ok().flatten();
    let leases = leases.await.ok().flatten();
    let etcd = members.await.unwrap_or_default();
    progress(steps, steps);
    Observations { peers: seen, etcd, listing, leases, probes: Probes::Second, ..Observations::default() }
}
