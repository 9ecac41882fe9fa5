//! `cargo bench`: the time of whole commands for a fleet, beside the time of the same machine, in the same minute, for the
//! bare work: ring's signatures, the kernel's files, deflate, SQLite. `cargo bench -- --large` adds 100,000 nodes. Names of rows
//! and numbers of nodes measure only these: `cargo bench --bench fleet -- verify 100000`. Where there
//! is a Go toolchain, as `go` or as what the variable `GO` names, a plain Go program is measured beside `issue-node`, too.
//!
//! Everything is measured in rounds that alternate between baseline and command, so that other load affects both equally; the
//! table has medians. ext4 searches long for free inodes after many were freed beside them. So `--reissue` and `renew`,
//! which remove what they replace, are measured last, each on a fleet of its own in block groups of its own, right after
//! the first issue of this fleet, which is their baseline. Before
//! `issue-node`, `bundle` and their baselines the kernel's caches are emptied, if the bench may, so that all sizes find the
//! same state. Before `bundle` the cluster's files are read again.

mod child;
mod cost;
mod fleet;
mod floors;
mod golang;
mod loading;
mod samples;
mod selection;
mod table;

use std::path::Path;

use tempfile::TempDir;

use crate::cost::Cost;
use crate::fleet::Fleet;
use crate::golang::Golang;
use crate::loading::Loading;
use crate::samples::Credentials;
use crate::selection::Selection;
use crate::table::{Row, Table};

/// As in the program: what a process of [`loading`] loads is loaded as it is there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The rounds of each size.
const ROUNDS: usize = 3;

/// The repetitions in each round of measurements well below a second.
const OF_THE_SHORT: usize = 5;

fn main() -> Result<(), String> {
    if loading::was_asked_for() {
        return Ok(());
    }
    let selection = Selection::read(std::env::args().skip(1))?;
    let ground = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the fleets");
    floors::spread(ground.path());
    let mut table = Table::new();
    let golang = selection.has("issue").then(|| Golang::build(ground.path()));
    if let Some(Err(why)) = &golang {
        table.note(format!("The comparison with a plain Go program was left out: {why}"));
    }
    if !floors::caches_can_be_emptied() {
        table.note(
            "The kernel's caches were never emptied, which root may: what is measured later finds them fuller."
                .to_owned(),
        );
    }
    let (golang, mut measured) = (golang.and_then(Result::ok), Vec::new());
    for nodes in selection.sizes() {
        let mut rows = Rows::new(nodes);
        for round in 0..ROUNDS {
            rows.measure(&ground.path().join(format!("{nodes}-{round}")), nodes, golang.as_ref(), &selection);
        }
        measured.push((nodes, rows));
    }
    // Last, because it deletes what it replaces; the largest first.
    for (nodes, rows) in measured.iter_mut().rev() {
        // The disk has no room for more of the largest fleets.
        for round in 0..if *nodes > 10_000 { 1 } else { ROUNDS } {
            rows.measure_replacing(&ground.path().join(format!("{nodes}-{round}")), *nodes, &selection);
        }
    }
    for (nodes, rows) in measured {
        table.add(nodes, rows.all());
    }
    if selection.has("cold") {
        cold(ground.path(), &mut table);
    }
    table.print();
    Ok(())
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
    fn measure(&mut self, place: &Path, nodes: usize, golang: Option<&Golang>, selection: &Selection) {
        if !["load", "issue", "again", "one", "bundle", "plan", "verify"].iter().any(|row| selection.has(row)) {
            return;
        }
        let fleet = Fleet::new(place, nodes);
        let file = fleet.path("cluster.yaml");
        if selection.has("load") {
            for _ in 0..OF_THE_SHORT {
                let yaml = loading::run(Loading::Untyped, &file).cost;
                let ours = loading::run(Loading::Cluster, &file);
                self.load.add(&[yaml], ours.cost, Some(ours.peak));
            }
        }
        fleet.run(&["issue-master", "--all"]);
        if selection.has("issue") {
            self.measure_issue(place, nodes, &fleet, golang);
        } else {
            fleet.run(&["issue-node", "--all"]);
        }
        floors::settle(place);
        let nodes_folder = fleet.path("pki/nodes");
        if selection.has("again") {
            for _ in 0..OF_THE_SHORT {
                let index = cost::of(|| floors::index(&fleet.path("pki/ledger.sqlite3")));
                let listing = cost::of(|| floors::listing(&nodes_folder));
                let ours = fleet.run(&["issue-node", "--all"]);
                self.again.add(&[index, listing], ours.cost, Some(ours.peak));
                let names = cost::of(|| floors::names(&nodes_folder));
                self.again_by_name.add(&[index, names], ours.cost, None);
            }
        }
        if selection.has("one") {
            let yaml = loading::run(Loading::Untyped, &file).cost;
            let ours = fleet.run(&["issue-node", "worker-000000.fra1.example.net", "--dry-run"]);
            self.one.add(&[yaml], ours.cost, Some(ours.peak));
        }
        if selection.has("bundle") {
            self.measure_bundle(place, nodes, &fleet);
        }
        if selection.has("plan") {
            self.measure_plan(&fleet);
        }
        if selection.has("verify") {
            if fleet.path("bundles").exists() {
                std::fs::rename(fleet.path("bundles"), place.join("packed")).expect("moved out of verify's way");
            }
            let floor = [cost::of(|| floors::read_files(&nodes_folder)), cost::of(|| floors::verify(nodes * 2))];
            let ours = fleet.run(&["verify", "--offline"]);
            self.verify.add(&floor, ours.cost, Some(ours.peak));
        }
    }

    /// The first issue.
    fn measure_issue(&mut self, place: &Path, nodes: usize, fleet: &Fleet, golang: Option<&Golang>) {
        let sample = fleet.sample_of_credentials();
        floors::settle_afresh(place);
        let floor = [
            cost::of(|| floors::sign_and_verify(nodes * 2)),
            floors::settled(place, || floors::create_folders(&place.join("floor"), nodes, &sample)),
            floors::settled(place, || floors::record(&fleet.copy_of_the_ledger(), nodes * 2, &sample)),
        ];
        let golang = golang.map(|golang| {
            floors::settle_afresh(place);
            golang.load();
            golang.issue(&place.join("floor-go"), nodes)
        });
        let ours = fleet.run_afresh(&["issue-node", "--all"]);
        self.issue.add(&floor, ours.cost, Some(ours.peak));
        if let Some(golang) = golang {
            self.beside_go.add(&[golang], ours.cost, None);
        }
    }

    /// Packing most often follows issuing.
    fn measure_bundle(&mut self, place: &Path, nodes: usize, fleet: &Fleet) {
        let freshly_read = || {
            floors::settle_afresh(place);
            fleet.load_the_program();
            floors::read_files(&fleet.path("pki/nodes"));
            for path in ["pki/ledger.sqlite3", "cluster.yaml"] {
                std::fs::read(fleet.path(path)).expect("a file");
            }
        };
        freshly_read();
        let ours = fleet.run(&["bundle", "--all"]);
        let packed = fleet.sample_of_bundles();
        freshly_read();
        let floor = [
            cost::of(|| floors::deflate(nodes, &packed)),
            floors::settled(place, || floors::create_files(&place.join("floor-bundles"), nodes, &packed)),
        ];
        self.bundle.add(&floor, ours.cost, Some(ours.peak));
    }

    /// Compares `plan` with the two commands that find that nothing changed.
    fn measure_plan(&mut self, fleet: &Fleet) {
        fleet.run(&["apply"]);
        for _ in 0..OF_THE_SHORT {
            let floor = [fleet.run(&["issue-node", "--all"]).cost, fleet.run(&["bundle", "--all"]).cost];
            let ours = fleet.run(&["plan"]);
            self.plan.add(&floor, ours.cost, Some(ours.peak));
        }
    }

    /// Replaces all credentials in place, on request, and as a fleet's yearly renewal does. `place` is a prefix.
    fn measure_replacing(&mut self, place: &Path, nodes: usize, selection: &Selection) {
        let fresh = |what: &str| {
            let fleet = Fleet::new(&place.with_extension(what), nodes);
            fleet.run(&["issue-master", "--all"]);
            let first = fleet.run_afresh(&["issue-node", "--all"]);
            (fleet, first.cost)
        };
        if selection.has("reissue") {
            let (fleet, first) = fresh("reissue");
            let sample = fleet.sample_of_credentials();
            let ours = fleet.run_afresh(&["issue-node", "--all", "--reissue"]);
            self.reissue.add(&[first], ours.cost, Some(ours.peak));
            let bare = bare_replacement(&place.with_extension("replaced"), nodes, &fleet, &sample);
            self.reissue_bare.add(&bare, ours.cost, None);
        }
        if selection.has("renew") {
            let (fleet, first) = fresh("renew");
            let renewed = fleet.run_afresh(&["renew", "--all", "--within", "2y"]);
            self.renew.add(&[first], renewed.cost, Some(renewed.peak));
        }
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

/// The bare work of replacing all credentials, in a new folder.
fn bare_replacement(place: &Path, nodes: usize, fleet: &Fleet, sample: &Credentials) -> [Cost; 3] {
    std::fs::create_dir(place).expect("a new folder");
    let folders = place.join("floor");
    floors::create_folders(&folders, nodes, sample);
    floors::settle_afresh(place);
    [
        cost::of(|| floors::sign_and_verify(nodes * 2)),
        floors::settled(&folders, || floors::replace_folders(&folders, nodes, sample)),
        floors::settled(&folders, || floors::record(&fleet.copy_of_the_ledger(), nodes * 2, sample)),
    ]
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
            row.add(&[floor.cost], ours.cost, Some(ours.peak));
        }
        table.add_cold(row);
    }
}
