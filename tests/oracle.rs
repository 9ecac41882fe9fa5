//! The oracle: Go's crypto/x509, crypto/tls and encoding/pem, compared with our checks. No case that Go refuses passes;
//! cases in which we are stricter are listed with the reason.
//!
//! `GO=go cargo test --test suite oracle` asks a Go toolchain; without `GO` its recorded verdicts count. After a change to the
//! cases: `CLUSTERCTL_BLESS=oracle GO=go cargo test --test suite oracle::recorded -- --test-threads=1`.

mod cases;
mod corpus;
mod ours;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use cases::{Case, PathCase};
use ours::Ours;

use crate::support::blesses;
use crate::support::outside::needs;

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    go: String,
    verdicts: Vec<Verdict>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Verdict {
    id: String,
    accept: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    dialled: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<String>,
}

/// Cases in which we are stricter than Go, and why.
#[derive(Debug, Deserialize)]
struct Stricter {
    reason: String,
    cases: Vec<String>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oracle").join(name)
}

fn recorded() -> Answer {
    serde_json::from_str(&std::fs::read_to_string(data("verdicts.json")).expect("verdicts.json")).expect("verdicts")
}

/// Asks the Go toolchain that `GO` names, if any.
fn asked(cases: &[Case]) -> Option<Answer> {
    let go = std::env::var_os("GO").filter(|go| !go.is_empty())?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/main.go");
    let mut child = Command::new(go)
        .arg("run")
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the Go toolchain that GO names");
    let questions: Vec<_> = cases.iter().map(Case::question).collect();
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(serde_json::Value::from(questions).to_string().as_bytes()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the oracle ended with {}", output.status);
    Some(serde_json::from_slice(&output.stdout).expect("an answer"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Agreed,
    Stricter,
    Looser,
}

fn relation(go: &Verdict, ours: &Ours) -> Relation {
    match (go.accept, ours) {
        (false, Ours::Pass { .. }) => Relation::Looser,
        (false, _) => Relation::Agreed,
        (true, Ours::Pass { certificates, .. }) => {
            let (go, ours): (BTreeSet<_>, BTreeSet<_>) =
                (go.certificates.iter().collect(), certificates.iter().collect());
            match (ours.is_subset(&go), go.is_subset(&ours)) {
                (true, true) => Relation::Agreed,
                (true, false) => Relation::Stricter,
                (false, _) => Relation::Looser,
            }
        }
        (true, _) => Relation::Stricter,
    }
}

/// The corpora, as the table names them, and how their cases' ids begin.
const CORPORA: [(&str, &[&str]); 5] = [
    ("Certificates with a change in their DER", &["encoding/"]),
    ("x509-limbo", &["limbo/"]),
    ("Trust files", &["trust-file/"]),
    ("Certificate and key files", &["pair/"]),
    ("Kubeconfigs", &["kubeconfig/"]),
];
const MADE: &str = "Certificates made for each rule";

fn corpus_of(id: &str) -> &'static str {
    CORPORA.iter().find(|(_, begins)| begins.iter().any(|begin| id.starts_with(begin))).map_or(MADE, |(name, _)| name)
}

#[derive(Default, Clone, Copy)]
struct Count {
    cases: usize,
    agreed: usize,
    stricter: usize,
    looser: usize,
}

#[test]
fn verdicts_are_never_looser_than_gos() {
    let cases = cases::all();
    let go: BTreeMap<String, Verdict> = recorded().verdicts.into_iter().map(|v| (v.id.clone(), v)).collect();
    assert_eq!(go.len(), cases.len(), "each case has an id of its own and a verdict");
    let listed: Vec<Stricter> =
        serde_json::from_str(&std::fs::read_to_string(data("stricter.json")).expect("stricter.json")).expect("a list");
    let mut reasons: BTreeMap<&str, &str> = BTreeMap::new();
    for entry in &listed {
        for case in &entry.cases {
            assert_eq!(reasons.insert(case, &entry.reason), None, "{case} is listed once");
        }
    }
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut wrong = String::new();
    for case in &cases {
        let (id, verdict) = (case.id(), &go[case.id()]);
        let ours = ours::verdict(case);
        let count = counts.entry(corpus_of(id)).or_default();
        count.cases += 1;
        let relation = relation(verdict, &ours);
        match relation {
            Relation::Agreed => count.agreed += 1,
            Relation::Stricter => count.stricter += 1,
            Relation::Looser => count.looser += 1,
        }
        let stricter = relation == Relation::Stricter;
        if relation == Relation::Looser || stricter != reasons.contains_key(id) {
            let go = if verdict.accept { "accepts" } else { &verdict.reason };
            writeln!(wrong, "{relation:?} {id}\n    Go: {go}\n    we: {}", ours.reason()).expect("text");
        }
        reasons.remove(id);
    }
    assert!(wrong.is_empty(), "looser, or stricter and not listed, or listed and not stricter:\n{wrong}");
    assert!(reasons.is_empty(), "listed and no case: {reasons:?}");
    let documented =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/development/verdicts.md"))
            .expect("docs");
    for line in table(&counts, &listed).lines() {
        assert!(documented.contains(line), "docs/src/development/verdicts.md lacks this line:\n{line}");
    }
}

/// The table and the list that docs/src/development/verdicts.md has.
fn table(counts: &BTreeMap<&str, Count>, listed: &[Stricter]) -> String {
    let mut text = String::from("| corpus | cases | agreed | stricter on purpose | looser |\n|---|---|---|---|---|\n");
    let mut all = Count::default();
    for name in std::iter::once(MADE).chain(CORPORA.iter().map(|(name, _)| *name)) {
        let count = counts.get(name).copied().unwrap_or_default();
        row(&mut text, name, count);
        all.cases += count.cases;
        all.agreed += count.agreed;
        all.stricter += count.stricter;
        all.looser += count.looser;
    }
    row(&mut text, "**All**", all);
    text.push('\n');
    for entry in listed {
        writeln!(text, "- {} ({})", entry.reason, entry.cases.len()).expect("text");
    }
    text
}

fn row(text: &mut String, name: &str, count: Count) {
    let Count { cases, agreed, stricter, looser } = count;
    writeln!(text, "| {name} | {cases} | {agreed} | {stricter} | {looser} |").expect("text");
}

#[test]
fn recorded_verdicts_match_go() {
    let cases = cases::all();
    let asked = asked(&cases);
    if let Some(answer) = asked.as_ref().filter(|_| blesses("oracle")) {
        let lines = answer.verdicts.iter().map(|verdict| serde_json::to_string(verdict).expect("JSON"));
        let lines = lines.collect::<Vec<_>>().join(",\n");
        let text = format!("{{\"go\":{:?},\"verdicts\":[\n{lines}\n]}}\n", answer.go);
        std::fs::write(data("verdicts.json"), text).expect("written");
    }
    let recorded = recorded();
    assert_eq!(
        recorded.verdicts.iter().map(|verdict| verdict.id.as_str()).collect::<Vec<_>>(),
        cases.iter().map(Case::id).collect::<Vec<_>>(),
        "record them again after a change to the cases"
    );
    let Some(asked) = asked else { return };
    for (recorded, asked) in recorded.verdicts.iter().zip(&asked.verdicts) {
        assert_eq!(
            (&asked.id, asked.accept, &asked.certificates),
            (&recorded.id, recorded.accept, &recorded.certificates),
            "{} says {:?}, {} was recorded",
            asked.reason,
            recorded.reason,
            asked.id
        );
    }
}

/// The certificates have new keys each time; everything else of a case is in its code. `CLUSTERCTL_BLESS=oracle` writes them.
#[test]
fn recorded_cases_match_their_code() {
    needs!("openssl");
    let made = corpus::made();
    if blesses("oracle") {
        let lines: Vec<String> = made.iter().map(|case| serde_json::to_string(case).expect("JSON")).collect();
        std::fs::write(data("paths.json"), format!("[\n{}\n]\n", lines.join(",\n"))).expect("written");
    }
    let shape = |case: &PathCase| {
        (case.id.clone(), case.name.clone(), case.time.clone(), case.roots.len(), case.sent.len(), case.key.is_some())
    };
    assert_eq!(made.iter().map(shape).collect::<Vec<_>>(), cases::made().iter().map(shape).collect::<Vec<_>>());
}
