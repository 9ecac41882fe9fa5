//! Untrusted input: every file of the fuzz corpora, unchanged and changed in many ways, with a fixed seed. The invariants are
//! those of the fuzz targets, in `fuzz/src/lib.rs`.

mod generate;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "they are public in their own crate")]
mod entrances;

use clusterctl::enrol::{approval, blocks, evidence};

use crate::support::blesses;
use crate::support::outside::needs;

/// The number of changed copies of each file; fewer if the whole input is evaluated.
const CHANGED: u64 = 200;
const JUDGED: u64 = 25;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(&path).expect("a file"))).collect()
}

fn hold(name: &str, entrance: fn(&[u8]), rounds: u64) {
    let files = corpus(name);
    assert!(files.len() > 3, "{name} has files");
    for (path, bytes) in &files {
        try_on(name, entrance, bytes, || path.display().to_string());
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64);
        for round in 0..rounds {
            let other = &files[random.below(files.len())].1;
            let changed = change(bytes, other, &mut random);
            try_on(name, entrance, &changed, || format!("{}, change {round}", path.display()));
        }
    }
}

fn try_on(name: &str, entrance: fn(&[u8]), bytes: &[u8], what: impl Fn() -> String) {
    if catch_unwind(AssertUnwindSafe(|| entrance(bytes))).is_err() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broke-{name}"));
        std::fs::write(&kept, bytes).expect("written");
        panic!("{name}: an invariant does not hold for {}; the input is in {}", what(), kept.display());
    }
}

/// xorshift64*: the same changes on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("small")
    }
}

/// Bytes that often break parsers.
const TRAPS: [&[u8]; 16] = [
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x30\x84\xff\xff\xff\xff",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\x1b[2J",
    b"\"",
    b"{",
    b"[[[[",
    b"&a *a",
    b"-----BEGIN ",
    b"18446744073709551616",
    b"-1",
    b"1e999",
    b"\xe2\x80\xae",
    b"../",
];

fn change(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(changed.len() + 1);
        let end = (at + 1 + random.below(16)).min(changed.len());
        match random.below(8) {
            0 if at < changed.len() => changed[at] ^= 1 << random.below(8),
            1 if at < changed.len() => changed[at] = u8::try_from(random.below(256)).expect("a byte"),
            2 => drop(changed.drain(at..end)),
            3 => {
                let copy = changed[at..end].to_vec();
                changed.splice(at..at, copy);
            }
            4 => drop(changed.splice(at..at, TRAPS[random.below(TRAPS.len())].iter().copied())),
            5 => drop(changed.splice(at..end, TRAPS[random.below(TRAPS.len())].iter().copied())),
            6 => {
                let from = random.below(other.len());
                let to = (from + random.below(200)).min(other.len());
                changed.splice(at..end, other[from..to].iter().copied());
            }
            _ => changed.truncate(if random.below(4) == 0 { at } else { changed.len() }),
        }
    }
    changed
}

#[test]
fn recordings_hold_their_invariants() {
    hold("recordings", entrances::recordings, JUDGED);
}

#[test]
fn answers_hold_their_invariants() {
    hold("answers", entrances::answers, JUDGED);
}

#[test]
fn certificates_hold_their_invariants() {
    hold("certificates", entrances::certificates, CHANGED);
}

#[test]
fn crls_hold_their_invariants() {
    hold("crls", entrances::crls, CHANGED);
}

#[test]
fn pem_holds_its_invariants() {
    hold("pem", entrances::pem, CHANGED);
}

#[test]
fn kubeconfigs_hold_their_invariants() {
    hold("kubeconfigs", entrances::kubeconfigs, CHANGED);
}

#[test]
fn cluster_files_hold_their_invariants() {
    hold("cluster_files", entrances::cluster_files, CHANGED);
}

#[cfg(feature = "server")]
#[test]
fn requests_at_the_enrolment_ca_hold_their_invariants() {
    hold("enrolment", entrances::enrolment, CHANGED);
}

#[test]
fn evidence_of_hosts_holds_its_invariants() {
    hold("evidence", entrances::evidence, CHANGED);
}

#[test]
fn answers_of_reviewers_hold_their_invariants() {
    hold("reviews", entrances::reviews, CHANGED);
}

#[test]
fn signed_decisions_hold_their_invariants() {
    hold("decisions", entrances::decisions, CHANGED);
}

#[test]
fn records_of_clusters_hold_their_invariants() {
    hold("records", entrances::records, CHANGED);
}

#[cfg(feature = "server")]
#[test]
fn bodies_of_changes_hold_their_invariants() {
    hold("http_bodies", entrances::http_bodies, CHANGED);
}

#[test]
fn kubectl_output_holds_its_invariants() {
    hold("kubectl", entrances::kubectl, CHANGED);
}

#[test]
fn bundles_hold_their_invariants() {
    hold("bundles", entrances::bundles, CHANGED);
}

/// Each corpus has inputs that its reader accepts; without them only refusals would be tried.
#[test]
fn every_corpus_has_accepted_inputs() {
    use clusterctl::bundle::archive;
    use clusterctl::cluster::inventory::ExternalIps;
    use clusterctl::config::{self, kubeconfig};
    use clusterctl::pki::certificate::Certificate;
    use clusterctl::pki::crl::{Crl, read_all};
    use clusterctl::pki::pem;
    use clusterctl::verify::recording::Recording;
    let taken = |name: &str, takes: fn(&[u8]) -> bool| corpus(name).iter().filter(|(_, bytes)| takes(bytes)).count();
    assert!(taken("recordings", |bytes| Recording::from_bytes(bytes).is_ok()) >= 3);
    assert!(taken("certificates", |bytes| Certificate::from_der(bytes.to_vec()).is_ok()) >= 5);
    assert!(
        taken("crls", |bytes| read_all(bytes).is_ok_and(|l| l.into_iter().all(|der| Crl::from_der(der).is_ok()))) >= 4
    );
    assert!(taken("pem", |bytes| pem::read_all(bytes).is_ok()) >= 4);
    assert!(taken("kubeconfigs", |bytes| kubeconfig::read(bytes).is_ok()) >= 3);
    assert!(taken("cluster_files", |bytes| config::read(bytes).is_ok()) >= 3);
    assert!(taken("kubectl", |bytes| config::from_kubectl(bytes, ExternalIps::default()).is_ok()) >= 2);
    assert!(taken("bundles", |bytes| archive::read(bytes).is_ok()) >= 2);
    assert!(taken("evidence", |bytes| evidence_of(bytes).is_some()) >= 2);
    assert!(taken("reviews", |bytes| clusterctl::enrol::policy::review::read_answer(bytes).is_ok()) >= 3);
    assert!(
        taken("decisions", |bytes| approval::read(&String::from_utf8_lossy(bytes)).is_ok_and(|all| !all.is_empty()))
            >= 1
    );
    #[cfg(feature = "server")]
    {
        use clusterctl::server::{read_change, read_request};
        assert!(taken("http_bodies", |bytes| read_change("application/merge-patch+json", &bytes[1..]).is_ok()) >= 2);
        assert!(taken("enrolment", |bytes| read_request("application/json", bytes).is_ok()) >= 2);
        assert!(taken("enrolment", |bytes| read_request("application/vnd.kubernetes.protobuf", bytes).is_ok()) >= 1);
    }
}

/// Returns the statement that a request's text has, if it is valid.
fn evidence_of(text: &[u8]) -> Option<evidence::Statement> {
    let request = blocks::read(text).ok()?.first()?.content.clone();
    evidence::read(text, &request).ok()?.statement
}

/// Every fuzz target has its entry point, its corpus and its test here.
#[test]
fn every_fuzz_target_is_replayed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root.join(folder)).expect("a folder");
        let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| stem(entry.expect("an entry").path())).collect();
        names.sort();
        names
    };
    let targets = names("fuzz/fuzz_targets");
    assert_eq!(targets, names("fuzz/corpus"));
    let here = std::fs::read_to_string(root.join("tests/corpora.rs")).expect("this file");
    for target in targets {
        assert!(here.contains(&format!("hold(\"{target}\", entrances::{target}, ")), "{target} is not replayed");
    }
    // A feature that the targets' own manifest lacks would leave entry points out.
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
    let manifest = read("fuzz/Cargo.toml");
    let on = manifest.lines().find_map(|line| line.strip_prefix("default = ")).expect("default features");
    let source = read("fuzz/src/lib.rs");
    for feature in source.split("cfg(feature = ").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(on.contains(feature), "{feature} is off");
    }
}

/// The packages of a lock file: the name of each with its versions, and the names of the program's dependencies.
struct Locked {
    versions: BTreeMap<String, BTreeSet<String>>,
    dependencies: BTreeSet<String>,
}

impl Locked {
    fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a lock file");
        let mut locked = Self { versions: BTreeMap::new(), dependencies: BTreeSet::new() };
        for package in text.split("[[package]]\n").skip(1) {
            let field = |name: &str| {
                let value = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
                value.and_then(|value| value.strip_suffix('"')).expect("a field").to_owned()
            };
            let name = field("name");
            if name == "clusterctl" {
                let entries = package.lines().filter_map(|line| line.strip_prefix(" \""));
                let names = entries.filter_map(|entry| entry.split([' ', '"']).next());
                locked.dependencies = names.map(str::to_owned).collect();
            }
            locked.versions.entry(name).or_default().insert(field("version"));
        }
        locked
    }
}

/// The targets are built with what the program is built with: `cargo update --workspace` in `fuzz` makes it so.
#[test]
fn the_lock_file_of_the_fuzz_targets_is_current() {
    let (program, fuzz) = (Locked::read("Cargo.lock"), Locked::read("fuzz/Cargo.lock"));
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("a file");
    let (_, section) = manifest.split_once("[dependencies]\n").expect("dependencies");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let direct: BTreeSet<String> =
        lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()).collect();
    assert!(direct.len() > 20 && direct.is_subset(&program.dependencies), "{direct:?}");
    assert_eq!(fuzz.dependencies, direct);
    for (name, versions) in &fuzz.versions {
        if let Some(known) = program.versions.get(name) {
            assert!(versions.is_subset(known), "{name}: {versions:?}, and the program has {known:?}");
        }
    }
}

#[test]
fn encrypted_files_hold_their_invariants() {
    hold("encrypted", entrances::encrypted, CHANGED);
}

#[test]
fn ssh_files_hold_their_invariants() {
    hold("ssh", entrances::ssh, CHANGED);
}

/// The corpora whose inputs have no keys and no times: they are the same on every machine.
const DETERMINISTIC: [&str; 4] = ["answers/", "cluster_files/", "kubeconfigs/", "kubectl/"];

/// `CLUSTERCTL_BLESS=corpora cargo test --test suite corpora_are_current` writes them.
#[test]
fn corpora_are_current() {
    needs!("openssl");
    let generated = generate::corpora();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    if blesses("corpora") {
        for (name, bytes) in &generated {
            std::fs::write(folder.join(name), bytes).expect("written");
        }
    }
    let corpora: BTreeSet<&str> = generated.keys().filter_map(|name| name.split('/').next()).collect();
    let names: BTreeSet<String> = corpora.iter().flat_map(|name| named(name)).collect();
    assert_eq!(names, generated.keys().cloned().collect());
    for (name, bytes) in &generated {
        if DETERMINISTIC.iter().any(|corpus| name.starts_with(corpus)) {
            assert!(std::fs::read(folder.join(name)).is_ok_and(|stored| stored == *bytes), "{name} is stale");
        }
    }
}

/// The files of a corpus, as `corpus/file`.
fn named(name: &str) -> Vec<String> {
    let files = corpus(name).into_iter();
    files.map(|(path, _)| format!("{name}/{}", path.file_name().expect("a name").to_string_lossy())).collect()
}
