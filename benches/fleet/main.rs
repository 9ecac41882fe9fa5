//! `cargo bench`: the time of whole commands for a fleet, beside the time of the same machine, in the same minute, for the
//! bare work: ring's signatures, the kernel's files, deflate, SQLite. `cargo bench -- --large` adds 100,000 nodes. Where there
//! is a Go toolchain, as `go` or as what the variable `GO` names, a plain Go program is measured beside `issue-node`, too.
//!
//! Everything is measured in rounds that alternate between baseline and command, so that other load affects both equally; the
//! table has medians. ext4 searches long for free inodes after many were freed beside them. So `--reissue` and `renew`,
//! which remove what they replace, are measured last, each on a fleet of its own in block groups of its own, right after
//! the first issue of this fleet, which is their baseline. Before
//! `issue-node`, `bundle` and their baselines the kernel's caches are emptied, if the bench may, so that all sizes find the
//! same state. Before `bundle` the cluster's files are read again.

mod child;
mod fleet;
mod floors;
mod golang;
mod loading;
mod samples;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::fleet::Fleet;
use crate::golang::Golang;
use crate::loading::Loading;
use crate::table::{Row, Table};

/// As in the program: what a process of [`loading`] loads is loaded as it is there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The repetitions in each round of measurements well below a second.
const OF_THE_SHORT: usize = 5;

fn main() {
    if loading::was_asked_for() {
        return;
    }
    let large = std::env::args().any(|argument| argument == "--large");
    let mut sizes = vec![(1_000, 3), (10_000, 3)];
    if large {
        sizes.push((100_000, 3));
    }
    let ground = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the fleets");
    floors::spread(ground.path());
    let mut table = Table::new();
    let golang = Golang::build(ground.path());
    if let Err(why) = &golang {
        table.note(format!("The comparison with a plain Go program was left out: {why}"));
    }
    if !floors::caches_can_be_emptied() {
        table.note(
            "The kernel's caches were never emptied, which root may: what is measured later finds them fuller."
                .to_owned(),
        );
    }
    let mut measured = Vec::new();
    for (nodes, rounds) in sizes {
        let mut rows = Rows::new(nodes);
        for round in 0..rounds {
            rows.measure(&ground.path().join(format!("{nodes}-{round}")), nodes, golang.as_ref().ok());
        }
        measured.push((nodes, rounds, rows));
    }
    // Last, because it deletes what it replaces; the largest first.
    for (nodes, rounds, rows) in measured.iter_mut().rev() {
        // The disk has no room for more of the largest fleets.
        for round in 0..if *nodes > 10_000 { 1 } else { *rounds } {
            rows.measure_replacing(&ground.path().join(format!("{nodes}-{round}")), *nodes);
        }
    }
    for (nodes, _, rows) in measured {
        table.add(nodes, rows.all());
    }
    cold(ground.path(), &mut table);
    table.print();
}

/// The measurements of one size.
struct Rows {
    issue: Row,
    beside_go: Row,
    reissue: Row,
    reissue_bare: Row,
    renew: Row,
    plan: Row,
    again: Row,
    again_by_name: Row,
    one: Row,
    bundle: Row,
    verify: Row,
    load: Row,
}

impl Rows {
    fn new(nodes: usize) -> Self {
        let row = |what: &str, floor: &str, bound| Row::new(format!("{what}, {nodes} nodes"), floor, bound);
        let yaml = "serde_yaml into untyped values";
        Self {
            issue: row(
                "issue-node --all",
                "ring's keys, signatures, verifications + files with syncfs + SQLite",
                Some(1.2),
            ),
            beside_go: row("the same", "a plain Go program, without ledger and sync", Some(1.0)),
            reissue: row("issue-node --all --reissue", "issue-node --all, the first time", Some(1.5)),
            reissue_bare: row(
                "the same",
                "ring's keys, signatures, verifications + files with syncfs, exchanged, deleted + SQLite",
                None,
            ),
            renew: row("renew --all, all due", "issue-node --all, the first time", Some(1.5)),
            plan: row("plan, nothing to do", "issue-node --all + bundle --all, nothing to do", Some(1.2)),
            again: row("issue-node --all again", "the ledger's index + listing the hosts' folders", Some(2.0)),
            again_by_name: row("the same", "the ledger's index + the names of the hosts' folders alone", None),
            one: row("issue-node HOST --dry-run, for the memory", yaml, None),
            bundle: row("bundle --all", "deflate + files with syncfs", Some(1.3)),
            verify: row("verify --offline", "reading the files + ring's verifications", Some(1.5)),
            load: row("loading the cluster file", yaml, Some(1.5)),
        }
    }

    /// One round: each floor, then the command, on a fleet of its own.
    fn measure(&mut self, place: &Path, nodes: usize, golang: Option<&Golang>) {
        let fleet = Fleet::new(place, nodes);
        let file = fleet.path("cluster.yaml");
        for _ in 0..OF_THE_SHORT {
            let yaml = loading::run(Loading::Untyped, &file).time;
            let ours = loading::run(Loading::Cluster, &file);
            self.load.add(&[yaml], ours.time, Some(ours.peak));
        }

        fleet.run(&["issue-master", "--all"]);
        let sample = fleet.sample_of_credentials();
        floors::settle_afresh(place);
        let floor = [
            timed(|| floors::sign_and_verify(nodes * 2)),
            floors::settled(place, || floors::create_folders(&place.join("floor"), nodes, &sample)),
            floors::settled(place, || floors::record(&fleet.copy_of_the_ledger(), nodes * 2, &sample)),
        ];
        let golang = golang.map(|golang| {
            floors::settle_afresh(place);
            golang.load();
            golang.issue(&place.join("floor-go"), nodes)
        });
        let ours = fleet.run_afresh(&["issue-node", "--all"]);
        self.issue.add(&floor, ours.time, Some(ours.peak));
        if let Some(golang) = golang {
            self.beside_go.add(&[golang], ours.time, None);
        }

        floors::settle(place);
        let nodes_folder = fleet.path("pki/nodes");
        for _ in 0..OF_THE_SHORT {
            let index = timed(|| floors::index(&fleet.path("pki/ledger.sqlite3")));
            let listing = timed(|| floors::listing(&nodes_folder));
            let ours = fleet.run(&["issue-node", "--all"]);
            self.again.add(&[index, listing], ours.time, Some(ours.peak));
            let names = timed(|| floors::names(&nodes_folder));
            self.again_by_name.add(&[index, names], ours.time, None);
        }
        let yaml = loading::run(Loading::Untyped, &file).time;
        let ours = fleet.run(&["issue-node", "worker-000000.fra1.example.net", "--dry-run"]);
        self.one.add(&[yaml], ours.time, Some(ours.peak));

        // Packing most often follows issuing.
        let freshly_read = || {
            floors::settle_afresh(place);
            fleet.load_the_program();
            floors::read_files(&nodes_folder);
            for path in ["pki/ledger.sqlite3", "cluster.yaml"] {
                std::fs::read(fleet.path(path)).expect("a file");
            }
        };
        freshly_read();
        let ours = fleet.run(&["bundle", "--all"]);
        let packed = fleet.sample_of_bundles();
        freshly_read();
        let floor = [
            timed(|| floors::deflate(nodes, &packed)),
            floors::settled(place, || floors::create_files(&place.join("floor-bundles"), nodes, &packed)),
        ];
        self.bundle.add(&floor, ours.time, Some(ours.peak));
        self.measure_plan(&fleet);
        std::fs::rename(fleet.path("bundles"), place.join("packed")).expect("moved out of verify's way");

        let floor = [timed(|| floors::read_files(&fleet.path("pki/nodes"))), timed(|| floors::verify(nodes * 2))];
        let ours = fleet.run(&["verify", "--offline"]);
        self.verify.add(&floor, ours.time, Some(ours.peak));
    }

    /// Compares `plan` with the two commands that find that nothing changed.
    fn measure_plan(&mut self, fleet: &Fleet) {
        fleet.run(&["apply"]);
        for _ in 0..OF_THE_SHORT {
            let floor = [fleet.run(&["issue-node", "--all"]).time, fleet.run(&["bundle", "--all"]).time];
            let ours = fleet.run(&["plan"]);
            self.plan.add(&floor, ours.time, Some(ours.peak));
        }
    }

    /// Replaces all credentials in place, on request, and as a fleet's yearly renewal does. `place` is a prefix.
    fn measure_replacing(&mut self, place: &Path, nodes: usize) {
        let fresh = |what: &str| {
            let fleet = Fleet::new(&place.with_extension(what), nodes);
            fleet.run(&["issue-master", "--all"]);
            let first = fleet.run_afresh(&["issue-node", "--all"]);
            (fleet, first.time)
        };
        let (fleet, first) = fresh("reissue");
        let sample = fleet.sample_of_credentials();
        let ours = fleet.run_afresh(&["issue-node", "--all", "--reissue"]);
        self.reissue.add(&[first], ours.time, Some(ours.peak));

        let (fleet, first) = fresh("renew");
        let renewed = fleet.run_afresh(&["renew", "--all", "--within", "2y"]);
        self.renew.add(&[first], renewed.time, Some(renewed.peak));

        let floor = place.with_extension("replaced");
        std::fs::create_dir(&floor).expect("a new folder");
        let folders = floor.join("floor");
        floors::create_folders(&folders, nodes, &sample);
        floors::settle_afresh(&floor);
        let floor = [
            timed(|| floors::sign_and_verify(nodes * 2)),
            floors::settled(&folders, || floors::replace_folders(&folders, nodes, &sample)),
            floors::settled(&folders, || floors::record(&fleet.copy_of_the_ledger(), nodes * 2, &sample)),
        ];
        self.reissue_bare.add(&floor, ours.time, None);
    }

    fn all(self) -> Vec<Row> {
        let all = [
            self.issue,
            self.beside_go,
            self.reissue,
            self.reissue_bare,
            self.renew,
            self.plan,
            self.again,
            self.again_by_name,
            self.one,
            self.bundle,
            self.verify,
            self.load,
        ];
        all.into_iter().filter(Row::is_measured).collect()
    }
}

/// The fixed cost of a command: on three nodes, beside a process that does nothing.
fn cold(ground: &Path, table: &mut Table) {
    let fleet = Fleet::new(&ground.join("cold"), 3);
    fleet.run(&["issue-master", "--all"]);
    fleet.run(&["issue-node", "--all"]);
    for args in [&["--version"][..], &["issue-node", "--all"], &["bundle", "--all"], &["verify", "--offline"]] {
        let mut row = Row::new(format!("{}, 3 nodes", args.join(" ")), "`true` as a process", Some(15.0));
        for _ in 0..11 {
            let floor = child::run(Path::new("true"), &[], ground);
            let ours = fleet.run(args);
            row.add(&[floor.time], ours.time, Some(ours.peak));
        }
        table.add_cold(row);
    }
}

/// Returns the duration.
fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    std::hint::black_box(work());
    begun.elapsed()
}
