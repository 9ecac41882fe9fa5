//! The machine-readable formats of `verify`'s report. Every report that a test makes is validated (`support/forms.rs`);
//! these tests check further properties.

use clusterctl::cli::finding_remedies::words;
use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::verify::finding::{Aspect, CheckId, Finding, Status};
use clusterctl::verify::remedy::{ConnectionRemedy, TargetKind};
use clusterctl::verify::report::{Report, RootLine};
use clusterctl::verify::target::Place;
use clusterctl::verify::verdict::Strictness;
use time::macros::datetime;

use crate::support::live::Live;
use crate::support::outside::needs;
use crate::support::{Lab, forms, good_tool};

/// Texts that a hostile peer, or a hostile recording, could put into a finding.
const HOSTILE_TEXTS: [&str; 6] = [
    "]]></failure><!-- --><script>&amp;\"'",
    "\u{1b}]0;title\u{7}\u{1b}[2J",
    "\0\u{1}\u{8}\u{b}\u{c}\u{7f}\u{80}\u{9f}",
    "\u{fffe}\u{ffff}\u{d7ff}\u{e000}\u{10ffff}",
    "\u{202e}txt.exe\u{2066}\u{200b}\u{feff}",
    "  \r\n\t two lines  ",
];

fn every_kind_of_finding() -> Report {
    let mut findings = Vec::new();
    let aspects = [Aspect::Connect, Aspect::Chain, Aspect::Expiry, Aspect::Whoami, Aspect::Readonly, Aspect::Flags];
    for (i, hostile) in HOSTILE_TEXTS.into_iter().enumerate() {
        for place in [Place::Endpoint, Place::Master, Place::Node] {
            for status in [Status::Pass, Status::Skipped, Status::Warn, Status::NotProven, Status::Fail] {
                let id = CheckId::at(place, aspects[i]);
                let mut finding = Finding::new(id, place, &format!("h{i} {hostile}"), status).saw(hostile, hostile);
                finding = finding.address(hostile).remedy(ConnectionRemedy::ResolveName { name: hostile.into() });
                (finding.client, finding.server_name) = (Some(hostile.into()), Some(hostile.into()));
                finding.because_of = (status == Status::NotProven).then(|| finding.as_cause());
                finding.elapsed_ms = [0, 1, 999, 1000, 61_234, u64::MAX][i];
                findings.push(finding);
            }
        }
    }
    findings.push(Finding::new(CheckId::TRUST_ANCHOR, Place::Cluster, "c", Status::Pass));
    findings.push(Finding::new(CheckId::STORE_CREDENTIAL, Place::Master, "m", Status::Warn));
    Report {
        rotation: None,
        cluster: HOSTILE_TEXTS[1].into(),
        kind: TargetKind::Directory,
        roots: vec![RootLine {
            subject: "CN=r".into(),
            pin: format!("sha256:{}", "a".repeat(64)),
            sha256: "b".repeat(64),
        }],
        started: datetime!(2026-11-23 12:00 UTC),
        finished: datetime!(2026-11-23 12:00:01.5 +2),
        findings,
        strictness: Strictness::default(),
    }
}

#[test]
fn reports_match_their_schemas_for_any_peer_text() {
    needs!("xmllint");
    let report = every_kind_of_finding();
    forms::json(&report.to_json(&words));
    forms::junit(&report.to_junit(&words));
    let nothing = Report { findings: Vec::new(), roots: Vec::new(), ..report };
    forms::json(&nothing.to_json(&words));
    forms::junit(&nothing.to_junit(&words));
}

/// The schemas are strict: they reject the output of careless changes.
#[test]
fn the_schemas_refuse_other_documents() {
    needs!("xmllint");
    let (json, junit) = (every_kind_of_finding().to_json(&words), every_kind_of_finding().to_junit(&words));
    let schema = |file: &str| format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    let by_python = |text: &str| {
        let program = "import json, sys, jsonschema\n\
                       jsonschema.Draft202012Validator(json.load(open(sys.argv[1]))).validate(json.load(sys.stdin))\n";
        forms::verdict("/usr/bin/python3", &["-c", program, &schema("schemas/verify-report.schema.json")], text)
    };
    let by_libxml = |text: &str| {
        forms::verdict("xmllint", &["--noout", "--nonet", "--schema", &schema("tests/data/junit.xsd"), "-"], text)
    };
    assert_eq!((by_python(&json), by_libxml(&junit)), (Ok(()), Ok(())));
    for (from, to) in [
        ("\"schemaVersion\": 1", "\"schemaVersion\": 2"),
        ("\"verdict\": \"unproven\"", "\"verdict\": \"ok\""),
        ("\"status\": \"not-proven\"", "\"status\": \"notProven\""),
        ("\"role\": \"node\"", "\"kind\": \"node\""),
        ("\"severity\": \"error\"", "\"severity\": \"error\", \"more\": 1"),
        ("\"elapsedMs\": 999", "\"elapsedMs\": 0.999"),
        ("\"1.ii\"", "\"1.iv\""),
        ("2026-11-23T12:00:00Z", "2026-11-23 12:00:00"),
        ("\\\\u{1b}", "\\u001b"),
    ] {
        assert!(json.contains(from), "{from}");
        assert!(by_python(&json.replacen(from, to, 1)).is_err(), "{from} → {to}");
    }
    for (from, to) in [
        ("<failure ", "<failed "),
        ("time=\"0.999\"", "time=\"0,999\""),
        (" tests=\"", " count=\""),
        ("<skipped ", "<skipped/><skipped "),
        ("timestamp=\"2026-11-23T12:00:00\"", "timestamp=\"2026-11-23T12:00:00Z\""),
        ("classname=", "class="),
        ("</testsuites>", ""),
    ] {
        assert!(junit.contains(from), "{from}: {junit}");
        assert!(by_libxml(&junit.replacen(from, to, 1)).is_err(), "{from} → {to}");
    }
}

#[test]
fn json_and_junit_are_complete_on_success_and_failure() {
    needs!("xmllint");
    for (fault, status) in [(None, 0), (Some(InjectedFault::ExpiredNode), 1), (Some(InjectedFault::Plaintext), 1)] {
        let live = Live::start(fault);
        let ran = live.lab.run(&["verify", "--output", "json"]);
        assert_eq!(ran.status, status, "{ran}");
        let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        let results = value["results"].as_array().expect("results");
        assert_eq!(value["summary"]["total"], results.len());
        let of = |wanted: &str| results.iter().filter(|result| result["status"] == wanted).count();
        assert_eq!(value["summary"]["fail"], of("fail"));
        assert_eq!(
            (of("fail") > 0, value["verdict"] == "proven" || value["verdict"] == "sound"),
            (status == 1, status == 0)
        );
        let ran = live.lab.run(&["verify", "--output", "junit"]);
        assert_eq!(ran.status, status, "{ran}");
        live.lab.write("report.xml", &ran.out);
        // A third-party reader checks the counts of the suites.
        let ask = |path: &str| -> usize {
            let file = live.lab.path("report.xml").display().to_string();
            good_tool("xmllint", &["--xpath", path, &file]).trim().parse().expect("a number")
        };
        assert_eq!(ask("count(//testcase)"), results.len());
        assert_eq!(ask("sum(//testsuite/@tests)"), results.len());
        assert_eq!((ask("count(//failure)"), ask("sum(//testsuite/@failures)")), (of("fail"), of("fail")));
        // Each check that is not proven depends on the failure.
        assert_eq!((ask("count(//error)"), ask("sum(//testsuite/@errors)")), (0, 0));
        assert_eq!((ask("count(//skipped)"), ask("sum(//testsuite/@skipped)")), (of("not-proven"), of("not-proven")));
        assert_eq!(ask("count(//testsuite)"), 1 + 1 + 2 + 3, "the cluster, the endpoint, two masters, three nodes");
    }
}

#[test]
fn offline_reports_have_json_and_junit() {
    let lab = Lab::issued();
    lab.good(&["verify", "--offline", "--output", "json"]);
    lab.good(&["verify", "--offline", "--output", "junit"]);
    std::fs::remove_file(lab.path("pki/nodes/on/kubelet-client.crt")).expect("removed");
    for form in ["json", "junit"] {
        assert_eq!(lab.run(&["verify", "--offline", "--output", form]).status, 1);
    }
}
