//! The page of `verify --output html`: complete, self-contained, short for many hosts, and nothing that a peer says is markup in it.
//!
//! Python's parser decides. `tests/support/pages.rs` has what holds of every page.

use std::io::Read;
use std::process::Stdio;

use clusterctl::cli::finding_remedies::words;
use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::verify::certificate_map::CertificateMap;
use clusterctl::verify::finding::{Aspect, CheckId, Finding, Status};
use clusterctl::verify::remedy::{ConnectionRemedy, TargetKind};
use clusterctl::verify::report::{Report, RootLine};
use clusterctl::verify::target::Place;
use clusterctl::verify::verdict::Strictness;
use serde_json::Value;
use time::macros::datetime;

use crate::support::live::Live;
use crate::support::outside::needs;
use crate::support::pages::{page, text};
use crate::support::{Lab, Ran};

/// Markup in every form in which a browser would take it for more than text.
const MARKUP: [&str; 6] = [
    "<script>document.title='ran'</script>",
    "\"><img src=x onerror=document.title='ran'>",
    "'><svg/onload=document.title='ran'>",
    "</title></style></code></summary><iframe srcdoc=x>",
    "<!-- --><base href=//evil.example><a href=javascript:ran()>&lt;b&gt;",
    "\u{1b}]0;x\u{7}\u{202e}\0<b id=content>",
];

/// Returns the ids and the remedies that the JSON report of the same findings has.
fn expected(report: &Report) -> Value {
    serde_json::from_str(&report.to_json(&words)).expect("JSON")
}

fn report(findings: Vec<Finding>) -> Report {
    Report {
        rotation: None,
        cluster: "prod".to_owned(),
        kind: TargetKind::Directory,
        roots: vec![RootLine {
            subject: "CN=prod root".to_owned(),
            pin: format!("sha256:{}", "a".repeat(64)),
            sha256: "b".repeat(64),
        }],
        started: datetime!(2026-11-23 12:00 UTC),
        finished: datetime!(2026-11-23 12:00:01.5 UTC),
        findings,
        strictness: Strictness::default(),
    }
}

#[test]
fn the_page_names_every_check_that_was_made_and_every_remedy() {
    needs!("python3");
    for (fault, status) in [(None, 0), (Some(InjectedFault::ExpiredNode), 1)] {
        let live = Live::start(fault);
        let json: Value = serde_json::from_str(&live.lab.run(&["verify", "--output", "json"]).out).expect("JSON");
        let Ran { out, status: exit, .. } = live.lab.run(&["verify", "--output", "html"]);
        assert_eq!(exit, status);
        let page = page(&out);
        for result in json["results"].as_array().expect("results") {
            assert!(text(&page).contains(result["id"].as_str().expect("an id")), "{result}");
            if let Some(hint) = result["hint"].as_str().filter(|_| result["status"] != "pass") {
                assert!(text(&page).contains(hint), "{hint}");
            }
        }
        // The root signed what servers and clients have, and everything expires.
        assert_eq!(page["tags"]["svg"], 2);
        assert!(page["tags"]["path"].as_u64() >= Some(5), "{}", page["tags"]);
        for id in ["properties", "findings", "connections", "checks", "trust", "expiry"] {
            assert!(page["ids"].as_array().expect("ids").contains(&id.into()), "{id}");
        }
        assert_eq!(page["tags"]["article"].as_u64().unwrap_or(0) > 0, status == 1);
    }
}

#[test]
fn a_recording_gives_the_page_of_the_run() {
    needs!("python3");
    let live = Live::start(None);
    live.lab.good(&["verify", "--record", "run.json"]);
    let replayed = || live.lab.good(&["verify", "--replay", "run.json", "--output", "html"]).out;
    let first = replayed();
    assert_eq!(page(&first)["tags"]["svg"], 2);
    assert_eq!(first, replayed());
}

#[test]
fn the_page_of_a_directory_has_its_cas_and_certificates() {
    needs!("python3");
    let lab = Lab::issued();
    let page = page(&lab.good(&["verify", "--offline", "--output", "html"]).out);
    for part in ["sound", "store.credential", "etcd-ca", "kubelet-client", "2036-11-20"] {
        assert!(text(&page).contains(part), "{part}");
    }
    assert!(!page["ids"].as_array().expect("ids").contains(&"properties".into()));
}

/// Findings with markup in each field.
fn hostile() -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, markup) in MARKUP.into_iter().enumerate() {
        for place in [Place::Cluster, Place::Endpoint, Place::Master, Place::Node] {
            for status in [Status::Pass, Status::Skipped, Status::Warn, Status::NotProven, Status::Fail] {
                let id = CheckId::at(place, [Aspect::Caller, Aspect::Chain][i % 2]);
                let mut finding = Finding::new(id, place, &format!("h{i}{markup}"), status).saw(markup, markup);
                finding = finding.address(markup).remedy(ConnectionRemedy::ResolveName { name: markup.into() });
                (finding.client, finding.server_name) = (Some(markup.into()), Some(markup.into()));
                finding.because_of = (status == Status::NotProven).then(|| finding.as_cause());
                findings.push(finding);
            }
        }
    }
    findings
}

#[test]
fn markup_in_a_finding_is_text() {
    needs!("python3");
    for cluster in MARKUP {
        let roots =
            MARKUP.map(|subject| RootLine { subject: subject.into(), pin: subject.into(), sha256: subject.into() });
        let hostile = Report { cluster: cluster.to_owned(), roots: roots.into(), ..report(hostile()) };
        let page = page(&hostile.to_html(&words, &CertificateMap::default()));
        // It is shown, and shown as it is where it has no control characters.
        for markup in &MARKUP[..5] {
            assert!(text(&page).contains(markup), "{markup}");
        }
    }
}

/// The findings of a fleet: each node has a finding of each check, and a pair of findings with each master.
fn fleet(nodes: usize, masters: usize, mut change: impl FnMut(usize, &mut Finding)) -> Vec<Finding> {
    let aspects = [Aspect::Connect, Aspect::Tls, Aspect::Chain, Aspect::Dates, Aspect::Name, Aspect::Anonymous];
    let mut findings = Vec::new();
    for node in 0..nodes {
        let name = format!("worker-{node:04}.fra1.example.net");
        let mut add = |id, place, host: &str, client: Option<String>| {
            let mut finding = Finding::new(id, place, host, Status::Pass).saw("seen", "wanted");
            finding.client = client;
            change(node, &mut finding);
            findings.push(finding);
        };
        for aspect in aspects {
            add(CheckId::at(Place::Node, aspect), Place::Node, &name, None);
        }
        for master in 0..masters {
            let master = format!("master-{master}");
            add(CheckId::at(Place::Node, Aspect::Caller), Place::Node, &name, Some(master.clone()));
            add(CheckId::at(Place::Master, Aspect::Whoami), Place::Master, &master, Some(name.clone()));
        }
    }
    findings
}

fn rows(page: &Value) -> u64 {
    page["tags"]["tr"].as_u64().expect("rows")
}

#[test]
fn a_thousand_equal_nodes_need_no_more_rows_than_a_few() {
    needs!("python3");
    let of = |nodes| page(&report(fleet(nodes, 3, |_, _| ())).to_html(&words, &CertificateMap::default()));
    let (few, many) = (of(20), of(1_000));
    assert_eq!(rows(&few), rows(&many));
    assert!(text(&many).contains("1000 nodes"), "{}", &text(&many)[..1_000]);
    // The names are there, in lists that open.
    assert!(text(&many).contains("worker-0999.fra1.example.net"));
    let bytes = many["bytes"].as_u64().expect("a number");
    assert!(bytes < 200_000, "{bytes}");
}

#[test]
fn nodes_that_differ_have_rows_of_their_own_and_many_ways_to_fail_stay_short() {
    needs!("python3");
    let failing = |node: usize, finding: &mut Finding| {
        if [7, 500, 999].contains(&node) && finding.id.1 == Aspect::Dates {
            finding.status = Status::Fail;
            finding.observed = format!("expired since {node} days");
        }
    };
    let three = page(&report(fleet(1_000, 3, failing)).to_html(&words, &CertificateMap::default()));
    assert_eq!(three["tags"]["article"], 1);
    for part in ["997 nodes", "worker-0007", "worker-0500", "worker-0999", "expired since 500 days"] {
        assert!(text(&three).contains(part), "{part}");
    }
    // Every finding of every node is of its own kind.
    let mut i = 0;
    let chaos = |_: usize, finding: &mut Finding| {
        i += 1;
        finding.status = [Status::Fail, Status::Pass, Status::NotProven, Status::Warn, Status::Skipped][i * i % 5];
        finding.observed = format!("number {i}, {}", "which is long ".repeat(40));
        finding.remedy = Some(ConnectionRemedy::ResolveName { name: format!("host-{i}") }.into());
    };
    let chaos = page(&report(fleet(1_000, 3, chaos)).to_html(&words, &CertificateMap::default()));
    let bytes = chaos["bytes"].as_u64().expect("a number");
    assert!(bytes < 1_500_000 && rows(&chaos) < 2_000, "{bytes} bytes, {} rows", rows(&chaos));
}

#[test]
fn the_page_and_the_json_report_count_the_same() {
    needs!("python3");
    let report = report(fleet(10, 1, |node, finding| {
        finding.status = if node == 3 { Status::Fail } else { finding.status };
    }));
    let (page, json) = (page(&report.to_html(&words, &CertificateMap::default())), expected(&report));
    for count in ["pass", "fail"] {
        let count = json["summary"][count].to_string();
        assert!(text(&page).split_whitespace().any(|word| word == count), "{count}");
    }
}

#[test]
fn a_reader_that_closes_its_pipe_early_is_no_error() {
    let lab = Lab::issued();
    let mut small = lab.process(&["verify", "--offline", "--output", "html"]);
    let mut child = small.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    let status = child.wait().expect("it ends");
    // The clock of a process is the real one, by which the certificates may be too new or too old.
    assert!(matches!(status.code(), Some(0 | 1)), "{status}: {said}");
}
