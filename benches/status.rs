//! The duration of `status` for a large fleet, beside reading the ledger's certificates once, and its memory.
//!
//! `cargo bench --bench status` (about a minute). `-- 10000` measures another number of nodes.

#![expect(clippy::print_stdout, reason = "a bench is there to be read")]

#[path = "fleet/child.rs"]
mod child;
#[path = "fleet/cost.rs"]
#[expect(dead_code, reason = "only children are measured by it here")]
mod cost;

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use clusterctl::app::ca::{self, CreateOptions};
use clusterctl::app::status::{StatusOptions, of_directory};
use clusterctl::app::{Env, directory};
use clusterctl::config;
use clusterctl::store::layout::Layout;
use clusterctl::store::ledger::Ledger;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The measurements alternate, so that other load affects both equally; the best of each counts.
const ROUNDS: usize = 7;
const MIB: f64 = 1024.0 * 1024.0;

fn main() {
    let nodes = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let env = fleet(folder.path(), nodes);
    let cluster = directory::cluster(&env.layout).expect("a cluster file");
    let (mut once, mut status) = (Duration::MAX, Duration::MAX);
    let mut rows = (0, 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        rows.0 = read_once(&env.layout);
        once = once.min(begun.elapsed());
        let begun = Instant::now();
        rows.1 = 0;
        of_directory(&env, &cluster, &StatusOptions::default(), &mut |_| rows.1 += 1).expect("an answer");
        status = status.min(begun.elapsed());
    }
    println!("{nodes} nodes");
    println!("  certificates of the ledger, read once   {:>7.0} ms, {} rows", milliseconds(once), rows.0);
    println!("  status, without the cluster file        {:>7.0} ms, {} rows", milliseconds(status), rows.1);
    println!("  ratio                                   {:>7.2}", status.as_secs_f64() / once.as_secs_f64());
    let program = Path::new(env!("CARGO_BIN_EXE_clusterctl"));
    let run = |args: &[&str]| child::run(program, args, folder.path());
    // Mostly the cluster file, of which the others read as much.
    let base = run(&["status", "worker-000000"]);
    println!(
        "  one host, as a process                  {:>7.0} ms, {:>4.0} MiB",
        milliseconds(base.cost.elapsed),
        base.peak as f64 / MIB
    );
    for format in ["human", "json", "csv", "prometheus"] {
        let ran = run(&["status", "--output", format]);
        println!("  {format:<38}  {:>7.0} ms, {:>4.0} MiB", milliseconds(ran.cost.elapsed), ran.peak as f64 / MIB);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn read_once(layout: &Layout) -> usize {
    let ledger = Ledger::open_read_only(&layout.ledger()).expect("a ledger");
    let mut query = ledger.expiring_before(datetime!(9999-01-01 00:00 UTC)).expect("a query");
    query.rows().inspect(|row| assert!(row.is_ok(), "a row")).count()
}

/// Makes a cluster directory with its CAs, whose ledger has the certificates of so many nodes, all of them valid.
fn fleet(dir: &Path, nodes: usize) -> Env {
    let mut text = String::from(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: fleet\nmasters:\n- {name: master-1, addresses: [10.0.0.1]}\nnodes:\n",
    );
    for i in 0..nodes {
        let _ = writeln!(
            text,
            "- {{name: worker-{i:06}, addresses: [10.{}.{}.{}]}}",
            1 + i / 65_536,
            i / 256 % 256,
            i % 256
        );
    }
    std::fs::write(dir.join("cluster.yaml"), &text).expect("a cluster file");
    let cluster = config::read(text.as_bytes()).expect("a cluster");
    let env = Env { layout: Layout::new(dir.to_owned()), now: OffsetDateTime::now_utc(), actor: "bench".to_owned() };
    ca::create(&env, &cluster, &CreateOptions::default()).expect("the CAs");
    let mut connection = Connection::open(env.layout.ledger()).expect("the ledger");
    let transaction = connection.transaction().expect("a transaction");
    let stamp = |time: OffsetDateTime| clusterctl::cluster::duration::stamp(time);
    let (from, until) = (stamp(env.now), stamp(env.now + time::Duration::days(365)));
    {
        let mut insert = transaction
            .prepare(
                "INSERT INTO certificates (serial, sha256, spki_sha256, profile, host, account, not_before, not_after, \
                 issuer_sha256, issued_at, issued_by, der) VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?6, 'bench', ?9)",
            )
            .expect("a statement");
        let der = vec![7_u8; 650];
        let master = clusterctl::cluster::profile::TABLE.iter().take(9).map(|row| (row.name, "master-1".to_owned()));
        let workers = (0..nodes).map(|i| format!("worker-{i:06}"));
        let workers =
            workers.flat_map(|name| ["kubelet-client", "kubelet-server"].map(|profile| (profile, name.clone())));
        let all = master.map(|(profile, host)| (profile, Some(host), "account".to_owned()));
        let all = all.chain(workers.map(|(profile, host)| (profile, Some(host.clone()), format!("kubelet:{host}"))));
        let all = all.chain([("verifier", None, "clusterctl:verifier".to_owned())]);
        for (i, (profile, host, account)) in all.enumerate() {
            let digest = clusterctl::pki::fingerprint::Fingerprint::of(&i.to_le_bytes()).to_string();
            insert
                .execute(params![&digest[..32], digest, profile, host, account, from, until, digest, der])
                .expect("a row");
        }
    }
    transaction.commit().expect("committed");
    env
}
