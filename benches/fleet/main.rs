//! `cargo bench`: what whole commands take for a fleet, beside what the same machine takes, in the same minute, for the
//! bare work: ring's signatures, the kernel's files, deflate, SQLite. `cargo bench -- --large` adds 100,000 nodes.
//!
//! Everything is measured in rounds, floor and command by turns, so that what else the machine does meets both alike; the
//! table has medians. Nothing is removed before the end: ext4 looks for free inodes long where many were just given back.

mod child;
mod fleet;
mod floors;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::fleet::Fleet;
use crate::table::{Row, Table};

fn main() {
    let large = std::env::args().any(|argument| argument == "--large");
    let mut sizes = vec![(1_000, 5), (10_000, 3)];
    if large {
        sizes.push((100_000, 1));
    }
    let ground = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the fleets");
    let mut table = Table::new();
    for (nodes, rounds) in sizes {
        let mut rows = Rows::new(nodes);
        for round in 0..rounds {
            rows.measure(&ground.path().join(format!("{nodes}-{round}")), nodes);
        }
        table.add(nodes, rows.all());
    }
    cold(ground.path(), &mut table);
    table.print();
}

/// The measurements of one size.
struct Rows {
    issue: Row,
    again: Row,
    bundle: Row,
    judged: Row,
    verify: Row,
    load: Row,
}

impl Rows {
    fn new(nodes: usize) -> Self {
        let row = |what: &str, floor: &str| Row::new(format!("{what}, {nodes} nodes"), floor);
        Self {
            issue: row("issue-node --all", "ring's keys, signatures, verifications + files with syncfs + SQLite"),
            again: row("issue-node --all again", "the ledger's index + listing the folder"),
            bundle: row("bundle --all", "deflate + files with syncfs"),
            // No credential is packed that was not judged.
            judged: row("the same bundles", "deflate + files with syncfs + reading credentials + ring's verifications"),
            verify: row("verify --offline", "reading the files + ring's verifications"),
            load: row("loading the cluster file", "serde_yaml into untyped values"),
        }
    }

    /// One round: each floor, then the command, on a fleet of its own.
    fn measure(&mut self, place: &Path, nodes: usize) {
        let fleet = Fleet::new(place, nodes);
        let bytes = std::fs::read(fleet.path("cluster.yaml")).expect("the cluster file");
        let floor = timed(|| floors::untyped_yaml(&bytes));
        let ours = timed(|| clusterctl::cluster_file::read(&bytes).expect("a good cluster file"));
        self.load.add(&[floor], ours, None);
        drop(bytes);

        fleet.run(&["issue-master", "--all"]);
        let sample = fleet.sample_of_credentials();
        let floor = [
            timed(|| floors::sign_and_verify(nodes * 2)),
            floors::settled(place, || floors::create_folders(&place.join("floor"), nodes, &sample)),
            floors::settled(place, || floors::record(&fleet.copy_of_the_ledger(), nodes * 2, &sample)),
        ];
        floors::settle(place);
        let ours = fleet.run(&["issue-node", "--all"]);
        self.issue.add(&floor, ours.time, Some(ours.peak));

        let floor = timed(|| floors::index_and_listing(&fleet.path("pki/ledger.sqlite3"), &fleet.path("pki/nodes")));
        let ours = fleet.run(&["issue-node", "--all"]);
        self.again.add(&[floor], ours.time, Some(ours.peak));

        floors::settle(place);
        let ours = fleet.run(&["bundle", "--all"]);
        let packed = fleet.sample_of_bundles();
        floors::settle(place);
        let floor = [
            timed(|| floors::deflate(nodes, &packed)),
            floors::settled(place, || floors::create_files(&place.join("floor-bundles"), nodes, &packed)),
        ];
        self.bundle.add(&floor, ours.time, Some(ours.peak));
        let judging = [timed(|| floors::read_files(&fleet.path("pki/nodes"))), timed(|| floors::verify(nodes * 2))];
        self.judged.add(&[&floor[..], &judging[..]].concat(), ours.time, Some(ours.peak));
        std::fs::remove_dir_all(fleet.path("bundles")).expect("removed");

        let floor = [timed(|| floors::read_files(&fleet.path("pki/nodes"))), timed(|| floors::verify(nodes * 2))];
        let ours = fleet.run(&["verify", "--offline"]);
        self.verify.add(&floor, ours.time, Some(ours.peak));
    }

    fn all(self) -> Vec<Row> {
        vec![self.issue, self.again, self.bundle, self.judged, self.verify, self.load]
    }
}

/// What a command costs before it does anything: on three nodes, beside a process that does nothing.
fn cold(ground: &Path, table: &mut Table) {
    let fleet = Fleet::new(&ground.join("cold"), 3);
    fleet.run(&["issue-master", "--all"]);
    fleet.run(&["issue-node", "--all"]);
    for args in [&["--version"][..], &["issue-node", "--all"], &["bundle", "--all"], &["verify", "--offline"]] {
        let mut row = Row::new(format!("{}, 3 nodes", args.join(" ")), "`true` as a process");
        for _ in 0..15 {
            let floor = child::run(Path::new("true"), &[], ground);
            let ours = fleet.run(args);
            row.add(&[floor.time], ours.time, Some(ours.peak));
        }
        table.add_cold(row);
    }
}

/// How long it takes.
fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    std::hint::black_box(work());
    begun.elapsed()
}
