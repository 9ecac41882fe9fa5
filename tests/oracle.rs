//! The oracle: what Go's crypto/x509, crypto/tls and encoding/pem say, beside what our checks say. What Go refuses is never
//! passed; where we are stricter, it is on purpose and listed.
//!
//! `GO=go cargo test --test suite -- oracle` asks a Go toolchain; without `GO` its recorded verdicts count. After a change to
//! the cases: `GO=go cargo test --test suite -- --ignored the_oracle_is_recorded_anew`.

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

use cases::Case;
use ours::Ours;

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
fn what_go_refuses_is_never_passed_and_where_we_are_stricter_there_is_a_reason() {
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
fn the_recorded_verdicts_are_those_of_go() {
    let cases = cases::all();
    let recorded = recorded();
    assert_eq!(
        recorded.verdicts.iter().map(|verdict| verdict.id.as_str()).collect::<Vec<_>>(),
        cases.iter().map(Case::id).collect::<Vec<_>>(),
        "record them anew after a change to the cases"
    );
    let Some(asked) = asked(&cases) else { return };
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

/// Writes the cases anew: `cargo test --test suite -- --ignored the_oracles_certificates_are_made_anew`.
#[test]
#[ignore = "it writes to tests/data/oracle"]
fn the_oracles_certificates_are_made_anew() {
    let lines: Vec<String> = corpus::made().iter().map(|case| serde_json::to_string(case).expect("JSON")).collect();
    std::fs::write(data("paths.json"), format!("[\n{}\n]\n", lines.join(",\n"))).expect("written");
}

#[test]
#[ignore = "it writes to tests/data/oracle, and needs GO"]
fn the_oracle_is_recorded_anew() {
    let answer = asked(&cases::all()).expect("GO names a Go toolchain");
    let lines: Vec<String> =
        answer.verdicts.iter().map(|verdict| serde_json::to_string(verdict).expect("JSON")).collect();
    let text = format!("{{\"go\":{:?},\"verdicts\":[\n{}\n]}}\n", answer.go, lines.join(",\n"));
    std::fs::write(data("verdicts.json"), text).expect("written");
}
