//! The rates and the memory of the enrolment CA's server, beside what the disk and the CPU allow in the same run.
//!
//! `cargo bench --bench enrol` (some minutes). `-- quick` measures less of everything. The server is a process of its own;
//! clients and a signer that approves everything are in this one, on the same cores.

#![expect(clippy::print_stdout, reason = "a bench is there to be read")]

mod connection;
mod floors;
mod queue;
mod site;

use std::sync::Arc;
use std::time::{Duration, Instant};

use site::Site;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let (requests, nodes, watches, finished) =
        if quick { (1_000, 500, 1_000, 50_000) } else { (6_000, 5_000, 10_000, 1_000_000) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let site = Arc::new(Site::new(nodes));
    let floors = floors::measure(&site);
    println!(
        "floors: {:.0} rows/s in commits of 256; {:.0} signatures with self-check/s",
        floors.rows, floors.signatures
    );

    let server = site.start();
    let names = runtime.block_on(site.pending(&server, requests));
    let start = Instant::now();
    runtime.block_on(site.decide(&server, &names));
    let rate = requests as f64 / start.elapsed().as_secs_f64();
    let floor = floors.rows.min(floors.signatures);
    println!("accepted -> issued, kept connections: {rate:.0}/s, {:.2} of the lower floor", rate / floor);
    drop(server);

    site.forget();
    let server = site.start();
    let (rate, slowest) = runtime.block_on(site.clone().join_all(&server, nodes));
    println!(
        "new TLS + POST + certificate by watch: {nodes} requests of new connections, {rate:.0}/s; slowest {slowest:.1} s"
    );
    drop(server);

    site.forget();
    let server = site.start();
    let before = server.resident();
    let open = runtime.block_on(site.watches(&server, watches));
    std::thread::sleep(Duration::from_secs(2));
    let (used, resident) = (server.cpu(), server.resident());
    std::thread::sleep(Duration::from_secs(10));
    let idle = (server.cpu() - used).as_secs_f64() / 10.0;
    println!(
        "{} open watches: {:.0} MiB (without {:.0}), idle CPU {:.2} %",
        open.len(),
        mib(resident),
        mib(before),
        idle * 100.0
    );
    drop((open, server));

    site.forget();
    queue::fill(&site.queue(), finished, 10_000);
    let start = Instant::now();
    let server = site.start();
    runtime.block_on(site.ready(&server));
    println!(
        "restart with {finished} finished and 10000 pending rows: ready after {:.2} s",
        start.elapsed().as_secs_f64()
    );
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
