//! The rates and the memory of the enrolment CA's server, its signer and `join`, beside what the disk and the CPU allow in the
//! same run.
//!
//! `cargo bench --bench enrol` (some minutes). `-- quick` measures less of everything; names of rows measure only these:
//! `wire`, `signer`, `connections`, `nodes`, `watches`, `restart`, `join`, `kubernetes`. The last one needs etcd, and
//! kube-apiserver in the folder that `KUBE_BIN` names. The server and the signer are processes of their own; clients are
//! in this one, on the same cores. Processor times tell more than rates on a busy machine.

#![expect(clippy::print_stdout, reason = "a bench is there to be read")]

mod api_server;
mod connection;
mod floors;
mod joining;
mod queue;
mod site;
mod usage;
mod watches;

use std::sync::Arc;
use std::time::Instant;

use clusterctl::enrol::request::State;
use clusterctl::store::queue::Queue;
use floors::Floors;
use site::Site;
use tokio::runtime::Runtime;
use usage::Used;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The name of a row, and what measures it.
type Row = (&'static str, fn(&Bench));

const ROWS: [Row; 8] = [
    ("wire", wire),
    ("signer", signer),
    ("connections", connections),
    ("nodes", nodes),
    ("watches", watches),
    ("restart", restart),
    ("join", join),
    ("kubernetes", kubernetes),
];

struct Bench {
    site: Arc<Site>,
    runtime: Runtime,
    requests: usize,
    nodes: usize,
    watches: usize,
    finished: i64,
    joins: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let quick = arguments.iter().any(|argument| argument == "quick");
    let named: Vec<&String> = arguments.iter().filter(|argument| *argument != "quick").collect();
    let (requests, nodes, watches, finished, joins) =
        if quick { (2_000, 1_000, 1_000, 50_000, 3) } else { (10_000, 5_000, 10_000, 1_000_000, 9) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let bench = Bench { site: Arc::new(Site::new(nodes)), runtime, requests, nodes, watches, finished, joins };
    for (name, row) in ROWS {
        if named.is_empty() || named.iter().any(|named| *named == name) {
            bench.site.forget();
            row(&bench);
        }
    }
}

/// Prints a rate beside the lower baseline, measured before and after.
fn beside(floors: [Floors; 2], rate: f64, processor: f64) {
    let [before, after] = &floors;
    println!(
        "  baselines before and after: {:.0} and {:.0} rows/s in commits of 256; {:.0} and {:.0} signatures/s",
        before.rows, after.rows, before.signatures, after.signatures
    );
    let lower = (before.lower() + after.lower()) / 2.0;
    let signature = (before.signature + after.signature) / 2.0;
    println!(
        "  {:.2} of the lower baseline; a signature with self-check takes {:.0} µs of the processor: {:.2} of that",
        rate / lower,
        signature * 1e6,
        signature / processor
    );
}

fn wire(bench: &Bench) {
    let (site, count) = (&bench.site, bench.requests);
    let before = floors::measure(site);
    let server = site.start(&[]);
    let used = Used::start(server.id());
    let names = bench.runtime.block_on(site.pending(&server, count));
    let spent = used.stop();
    println!("wire: {count} requests accepted: {:.0}/s; {}", count as f64 / spent.elapsed, spent.each(count));
    let used = Used::start(server.id());
    bench.runtime.block_on(site.decide(&server, &names));
    let spent = used.stop();
    let rate = count as f64 / spent.elapsed;
    println!("wire: accepted to issued over kept connections: {rate:.0}/s; {}", spent.each(count));
    drop(server);
    beside([before, floors::measure(site)], rate, spent.processor() / count as f64);
}

fn signer(bench: &Bench) {
    let (site, count) = (&bench.site, bench.nodes);
    let before = floors::measure(site);
    let server = site.start(&[]);
    bench.runtime.block_on(site.pending(&server, count));
    let used = Used::start(server.id());
    let status = site.signer(&server.address, &["--once"]).wait().expect("it ends");
    let spent = used.stop();
    assert!(status.success(), "{status}");
    let issued = Queue::reader(&site.queue()).and_then(|queue| queue.counts()).expect("counts")[&State::Issued];
    assert_eq!(usize::try_from(issued), Ok(count));
    let rate = count as f64 / spent.elapsed;
    println!("signer: accepted to issued, with ledger and files: {rate:.0}/s; {}", spent.each(count));
    drop(server);
    beside([before, floors::measure(site)], rate, spent.processor() / count as f64);
}

fn connections(bench: &Bench) {
    let (site, count) = (&bench.site, bench.nodes);
    let server = site.start(&[]);
    let used = Used::start(server.id());
    let slowest = bench.runtime.block_on(async {
        let _signer = site.decide_all(&server);
        site.join_all(&server, count, 64).await
    });
    let spent = used.stop();
    println!(
        "connections: new TLS + POST + certificate by watch, {count} requests: {:.0}/s, the slowest {slowest:.1} s; {}",
        count as f64 / spent.elapsed,
        spent.each(count)
    );
}

fn nodes(bench: &Bench) {
    let (site, count) = (&bench.site, 2 * bench.nodes);
    let server = site.start(&[]);
    let mut signer = site.signer(&server.address, &[]);
    let used = Used::start(server.id());
    let slowest = bench.runtime.block_on(site.join_all(&server, count, 1_000));
    let elapsed = used.stop().elapsed;
    let _ = signer.kill();
    let _ = signer.wait();
    println!(
        "nodes: {} nodes with 2 certificates each, 1000 requests at once, with clusterctl signer: {elapsed:.1} s, the slowest {slowest:.1} s; {}",
        bench.nodes,
        used.stop().each(count)
    );
}

fn watches(bench: &Bench) {
    let server = bench.site.start(&[]);
    let measured = bench.runtime.block_on(watches::measure(&bench.site, &server, bench.watches));
    let watches::Measured { open, before, with, idle } = measured;
    let each = (with - before) * 1024.0 / open as f64;
    println!("watches: {open}: {with:.0} MiB (without {before:.0}), {each:.1} KiB each, idle CPU {idle:.2} %");
}

fn restart(bench: &Bench) {
    let (site, finished) = (&bench.site, bench.finished);
    queue::fill(&site.queue(), finished, 10_000);
    let start = Instant::now();
    let server = site.start(&[]);
    bench.runtime.block_on(site.ready(&server));
    let time = start.elapsed().as_secs_f64();
    println!("restart: {finished} finished and 10000 pending rows: ready after {time:.2} s");
}

fn join(bench: &Bench) {
    let server = bench.site.start(&["--signer"]);
    let joins = joining::measure(&bench.site, &server, bench.joins);
    println!(
        "join: {} hosts, one after another: {:.2} s (median; {:.2} to {:.2}), {:.0} ms of the processor with the packing",
        joins.count,
        joins.median,
        joins.least,
        joins.most,
        joins.processor * 1e3
    );
}

fn kubernetes(bench: &Bench) {
    let Some(folder) = std::env::var_os("KUBE_BIN") else {
        println!("kubernetes: skipped, KUBE_BIN names no folder");
        return;
    };
    let count = bench.nodes.min(1_000);
    let measured = bench.runtime.block_on(api_server::measure(&bench.site, folder.as_ref(), count));
    println!(
        "kubernetes: {count} requests at a real API server: {:.0}/s by plain clients (create, approval, status), \
         {:.0}/s with clusterctl signer, {:.2} of that",
        measured.plain,
        measured.signer,
        measured.signer / measured.plain
    );
}
