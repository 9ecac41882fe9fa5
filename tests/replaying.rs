//! `verify --record` and `--replay`: a recording has no keys and gives the same result anywhere; other files are
//! rejected.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use clap::Parser;
use clap::error::ErrorKind;
use clusterctl::commands::tree::Cli;
use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::verify::recording::{Recording, RecordingError};
use serde_json::{Value, json};

use crate::support::live::Live;
use crate::support::outside::needs;
use crate::support::{Lab, Ran, good_tool};

/// A cluster with a fault, its recording, and the report of the run.
fn recorded(fault: Option<InjectedFault>, more: &[&str]) -> (Live, Ran) {
    let live = Live::start(fault);
    let mut args = vec!["verify", "--record", "run.json"];
    args.extend(more);
    let ran = live.lab.run(&args);
    (live, ran)
}

/// A laboratory at another date, without a directory, with only the recording.
fn elsewhere(live: &Live) -> Lab {
    let mut lab = Lab::empty();
    lab.now = live.lab.now + time::Duration::days(2000);
    std::fs::copy(live.lab.path("run.json"), lab.path("run.json")).expect("copied");
    lab
}

#[test]
fn a_replay_reproduces_every_report_without_the_directory() {
    for (fault, status) in [(None, 0), (Some(InjectedFault::WrongName), 1), (Some(InjectedFault::AnonymousNode), 1)] {
        let (live, ran) = recorded(fault, &[]);
        assert_eq!(ran.status, status, "{ran}");
        let lab = elsewhere(&live);
        drop(live);
        let again = lab.run(&["verify", "--replay", "run.json"]);
        assert_eq!((again.status, &again.out), (status, &ran.out));
        assert_eq!(again.err.lines().count(), 1, "it names the recording's time: {again}");
        assert_eq!(lab.snapshot().len(), 1, "a replay writes nothing");
    }
    for form in ["json", "junit"] {
        let (live, ran) = recorded(Some(InjectedFault::ExpiredNode), &["--output", form, "--expires-within", "20y"]);
        assert_eq!(ran.status, 1, "{ran}");
        assert_eq!(elsewhere(&live).run(&["verify", "--replay", "run.json", "--output", form]).out, ran.out);
    }
}

/// Findings from before the connections are part of the recording: here, that the bundle has this root.
#[test]
fn findings_about_a_bundle_are_replayed() {
    let live = Live::start(None);
    live.lab.good(&["bundle", "node-1"]);
    let args = ["verify", "--from", "bundles/node-1.tar.gz", "--allow-skipped", "--output", "json"];
    let ran = live.lab.run(&[&args[..], &["--record", "run.json"]].concat());
    assert!(ran.out.contains("\"trust.match\"") && ran.out.contains("\"skipped\""), "{ran}");
    std::fs::remove_file(live.lab.path("bundles/node-1.tar.gz")).expect("removed");
    let again = live.lab.run(&["verify", "--replay", "run.json", "--output", "json"]);
    assert_eq!((again.status, again.out), (ran.status, ran.out));
}

#[test]
fn recorded_options_can_be_overridden_at_replay() {
    let (live, ran) = recorded(None, &["--expires-within", "20y", "--fail-on", "warn"]);
    assert_eq!(ran.status, 1, "{ran}");
    let lab = elsewhere(&live);
    let replay = |more: &[&str]| {
        let mut args = vec!["verify", "--replay", "run.json"];
        args.extend(more);
        lab.run(&args).status
    };
    assert_eq!(replay(&[]), 1);
    assert_eq!(replay(&["--fail-on", "error"]), 0);
    assert_eq!(replay(&["--expires-within", "30d"]), 0);
}

#[test]
fn a_recording_is_private_and_never_overwritten() {
    let (live, ran) = recorded(None, &[]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.err.contains("DIR/run.json"), "{ran}");
    let mode = std::fs::metadata(live.lab.path("run.json")).expect("written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = live.lab.snapshot();
    let again = live.lab.run(&["verify", "--record", "run.json"]);
    assert_eq!((again.status, again.out.as_str()), (3, ""), "{again}");
    let nowhere = live.lab.run(&["verify", "--record", "no/such/run.json"]);
    assert_eq!((nowhere.status, nowhere.out.as_str()), (2, ""), "{nowhere}");
    insta::assert_snapshot!("a_recording_in_a_folder_that_does_not_exist", nowhere.to_string());
    assert_eq!(live.lab.snapshot(), before);
}

/// The private number of a key, as OpenSSL prints it, must not be in the file in any encoding.
#[test]
fn no_private_key_is_in_a_recording() {
    needs!("openssl");
    let (live, _) = recorded(Some(InjectedFault::SwappedAccount), &[]);
    let recording = live.lab.read("run.json");
    assert!(!recording.contains("PRIVATE"));
    let bare: String = recording.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let base64: String = recording.replace("\\n", "");
    let mut keys = 0;
    for path in live.lab.snapshot().into_keys().filter(|path| path.extension().is_some_and(|e| e == "key")) {
        let text = good_tool("openssl", &["pkey", "-noout", "-text", "-in", &path.display().to_string()]);
        let secret = text.split("priv:").nth(1).and_then(|rest| rest.split("pub:").next()).expect("an EC key");
        let hex: String = secret.chars().filter(char::is_ascii_hexdigit).collect();
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect();
        assert!(bytes.len() >= 31, "{text}");
        keys += 1;
        assert!(!bare.contains(&hex[2..]), "{}", path.display());
        // Base64 has three alignments; the middle of each spelling does not depend on what is round it.
        for pad in 0..3 {
            let mut padded = vec![0; pad];
            padded.extend(&bytes);
            let spelled = spell(&padded);
            assert!(!base64.contains(&spelled[4..spelled.len() - 4]), "{}", path.display());
        }
        let body = std::fs::read_to_string(&path).expect("a key");
        // The secret is in the first two lines; after it comes the public key, which certificates have, too.
        let mut lines = body.lines().filter(|line| !line.starts_with('-')).take(2);
        assert!(lines.all(|line| !recording.contains(line)), "{}", path.display());
    }
    assert!(keys > 12, "{keys} keys were looked at");
}

fn spell(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1)).collect();
    bits.resize(bits.len().div_ceil(6) * 6, 0);
    let digit = |six: &[u8]| char::from(DIGITS[usize::from(six.iter().fold(0, |n, bit| n << 1 | bit))]);
    bits.chunks(6).map(digit).collect()
}

#[test]
fn a_recording_keeps_no_pods() {
    let (live, _) = recorded(None, &[]);
    let recording = live.lab.read("run.json");
    assert!(recording.contains("PodList") && !recording.contains("items"), "{recording}");
}

#[test]
fn an_invalid_recording_exits_with_2() {
    let lab = Lab::empty();
    let good = json!({
        "format": "clusterctl verify recording", "version": 1, "tool": "t", "started": "2026-11-23T12:00:00Z",
        "finished": "2026-11-23T12:00:00Z", "expiresWithinSeconds": 0, "allowSkipped": false, "failOnWarn": false,
        "target": {"cluster": "c", "roots": [], "trustFaults": [], "endpoint": null, "masters": [], "nodes": [],
            "verifierMissing": null, "crls": [], "crlFaults": [], "revoked": null},
        "before": [], "seen": {"certificates": {}, "peers": []},
    });
    assert!(Recording::from_bytes(good.to_string().as_bytes()).is_ok());
    let with = |pointer: &str, value: Value| {
        let mut other = good.clone();
        *other.pointer_mut(pointer).expect("there") = value;
        other.to_string()
    };
    let whole = good.to_string();
    let peer = |name: &str| {
        json!({"name": name, "addresses": ["10.0.0.1"], "port": 1, "names": [], "issued": null, "account": null,
               "dialled": true, "askedFor": true})
    };
    let many = |n: usize| Value::Array(vec![peer("n"); n]);
    let cases: [(String, &str); 14] = [
        (String::new(), "not-one"),
        ("kind: Cluster\n".into(), "not-one"),
        (r#"{"schemaVersion": 1}"#.into(), "not-one"),
        ("[".repeat(100_000), "not-one"),
        (with("/version", json!(3)), "version"),
        (whole[..whole.len() / 2].to_owned(), "truncated"),
        (whole.replace("\"failOnWarn\"", "\"failOnWorn\""), "damaged"),
        (with("/started", json!("9999-01-01T00:00:00Z")), "damaged"),
        (with("/expiresWithinSeconds", json!(i64::MAX)), "damaged"),
        (with("/target/cluster", json!("\u{1b}[2J")), "damaged"),
        (with("/target/nodes", json!([peer("n")])), "damaged"),
        (with("/target/masters", many(1001)), "too-many"),
        (with("/target/roots", json!(["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])), "damaged"),
        (with("/seen/certificates", json!({ "0".repeat(64): "x" })), "damaged"),
    ];
    let kind = |error: &RecordingError| match error {
        RecordingError::NotARecording => "not-one",
        RecordingError::Version { .. } => "version",
        RecordingError::Truncated { .. } => "truncated",
        RecordingError::Damaged(_) => "damaged",
        RecordingError::TooMany { .. } => "too-many",
        RecordingError::Unwritable(_) => "unwritable",
    };
    for (text, expected) in cases {
        let error = Recording::from_bytes(text.as_bytes()).expect_err("no recording");
        assert_eq!(kind(&error), expected, "{error}");
        lab.write("run.json", &text);
        let ran = lab.run(&["verify", "--replay", "run.json"]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{expected}: {ran}");
        assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
    }
    // A sparse file of half a terabyte is refused by its length.
    std::fs::File::create(lab.path("huge.json")).expect("a file").set_len(1 << 39).expect("sparse");
    let ran = lab.run(&["verify", "--replay", "huge.json"]);
    insta::assert_snapshot!("a_recording_that_is_too_large", ran.to_string());
    let ran = lab.run(&["verify", "--replay", "none.json"]);
    insta::assert_snapshot!("a_recording_that_does_not_exist", ran.to_string());
    // Missing observations are not proven, even if the file claims another kind.
    lab.write("run.json", &whole);
    assert_ne!(lab.run(&["verify", "--replay", "run.json"]).status, 0);
}

/// Changes every number, text and list of a real recording: the result is a report or an error, never a panic, and no
/// control characters reach the terminal.
#[test]
fn malicious_recordings_are_judged_or_refused() {
    let (live, ran) = recorded(Some(InjectedFault::OtherCa), &[]);
    assert_eq!(ran.status, 1, "{ran}");
    let good: Value = serde_json::from_str(&live.lab.read("run.json")).expect("JSON");
    let mut places = Vec::new();
    walk(&good, String::new(), &mut places);
    assert!(places.len() > 500, "{}", places.len());
    let lab = Lab::empty();
    let (mut judged, mut refused) = (0, 0);
    let hostile = [
        json!(null),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("\u{1b}[31m\u{202e}\r\n"),
        json!("x".repeat(10_000)),
        json!([]),
        json!({}),
        json!(true),
        json!([[[]]]),
    ];
    for (i, place) in places.iter().enumerate().step_by(3) {
        let mut other = good.clone();
        *other.pointer_mut(place).expect("there") = hostile[i / 3 % hostile.len()].clone();
        lab.write("run.json", &other.to_string());
        let ran = lab.run(&["verify", "--replay", "run.json"]);
        assert!([0, 1, 2].contains(&ran.status), "{place}: {ran}");
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{place}: {ran:?}");
        *if ran.out.is_empty() { &mut refused } else { &mut judged } += 1;
    }
    assert!(judged > 10 && refused > 10, "{judged} judged, {refused} refused");
}

fn walk(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Array(list) => {
            for (i, item) in list.iter().enumerate() {
                walk(item, format!("{at}/{i}"), places);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                walk(item, format!("{at}/{key}"), places);
            }
        }
        _ => {}
    }
    if !at.is_empty() {
        places.push(at);
    }
}

/// Removing a failing observation must not give a pass.
#[test]
fn an_incomplete_recording_never_passes() {
    let (live, _) = recorded(None, &[]);
    let good: Value = serde_json::from_str(&live.lab.read("run.json")).expect("JSON");
    let lab = Lab::empty();
    let peers = good["seen"]["peers"].as_array().expect("peers").len();
    for i in 0..peers {
        for gap in ["locations", "locations/0/dials", "locations/0/dials/0/exchanges"] {
            let mut other = good.clone();
            *other.pointer_mut(&format!("/seen/peers/{i}/{gap}")).expect("there") = json!([]);
            lab.write("run.json", &other.to_string());
            let ran = lab.run(&["verify", "--replay", "run.json"]);
            assert_eq!(ran.status, 1, "{i} {gap}: {ran}");
        }
    }
}

#[test]
fn replay_conflicts_with_flags_about_connections() {
    let lab = Lab::empty();
    let conflict =
        |args: &[&str]| Cli::try_parse_from([&["clusterctl"], args].concat()).expect_err("a conflict").kind();
    for more in [
        &["--offline"][..],
        &["--record", "b.json"],
        &["--node", "n"],
        &["--masters-only"],
        &["--resolve", "a:10.0.0.1"],
        &["--timeout", "1"],
        &["--deadline", "1"],
        &["--concurrency", "1"],
        &["--from", "b.tar.gz"],
        &["--ca", "ca.crt"],
        &["--kubeconfig", "k"],
    ] {
        let mut args = vec!["verify", "--replay", "run.json"];
        args.extend(more);
        assert_eq!(conflict(&args), ErrorKind::ArgumentConflict, "{args:?}");
        assert_eq!(lab.run(&args).status, 2);
    }
    assert_eq!(conflict(&["verify", "--offline", "--record", "run.json"]), ErrorKind::ArgumentConflict);
}

/// Kubernetes 1.20.2: its API server and two kubelets, started with what our bundles hold (but for `--authorization-config`, which
/// it does not know), and with one thing wrong each time. So old an API server has no SelfSubjectReview, and so old a
/// kubelet no right finer than nodes/proxy: checks that need these are not proven, even if all others pass.
#[test]
fn faults_of_a_real_old_cluster_are_found() {
    let faults: [(&str, &[&str], &[&str]); 11] = [
        ("as-it-should-be", &[], &[]),
        ("kubelet-lets-anybody-in", &["node.anonymous n2", "node.other-node n2"], &["node.config n2"]),
        ("kubelet-lets-every-certificate-in", &["node.other-node n2"], &["node.config n2"]),
        ("kubelet-of-a-twin-root", &["node.chain n2"], &["node.identity n2"]),
        ("kubelet-read-only-port", &[], &["node.readonly n2"]),
        ("kubelet-shows-a-neighbours-certificate", &["node.name n2"], &["node.identity n2"]),
        ("kubelet-trusts-another-root", &["node.caller n2"], &[]),
        // Kubelets ask it for authorization.
        ("api-server-allows-all", &["node.other-node n1", "node.other-node n2"], &[]),
        ("api-server-gives-anybody-all", &["master.anonymous m1"], &[]),
        ("api-server-of-a-twin-root", &["master.chain m1"], &[]),
        // A kubelet that cannot ask it no longer authorizes the masters.
        ("api-server-trusts-another-root", &["master.caller m1", "master.caller m1", "node.caller n2"], &[]),
    ];
    for (name, failed, warned) in faults {
        let lab = Lab::empty();
        let ran = lab.run(&["verify", "--replay", &real(name), "--output", "json"]);
        assert_eq!(ran.status, 1, "{name}: {ran}");
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let (mut found, mut doubtful) = (Vec::new(), Vec::new());
        for result in report["results"].as_array().expect("results") {
            let (id, host) = (result["id"].as_str().expect("an id"), result["host"].as_str().expect("a host"));
            match result["status"].as_str().expect("a status") {
                "fail" => found.push(format!("{id} {host}")),
                // The missing SelfSubjectReview is reported beside every fault.
                "warn" if id != "master.caller" => doubtful.push(format!("{id} {host}")),
                _ => {}
            }
        }
        assert_eq!(found, failed, "{name}");
        assert_eq!(doubtful, warned, "{name}");
    }
}

/// Returns the path of a recording of a real cluster.
fn real(name: &str) -> String {
    format!("{}/tests/data/kubernetes-1.20.2/{name}.json", env!("CARGO_MANIFEST_DIR"))
}

/// The report names an old Kubernetes version as the cause.
#[test]
fn checks_unsupported_by_an_old_kubernetes_are_skipped() {
    let lab = Lab::empty();
    let report = |name: &str| -> Value {
        let ran = lab.run(&["verify", "--replay", &real(name), "--output", "json"]);
        serde_json::from_str(&ran.out).expect("JSON")
    };
    let remedies = |report: &Value| -> BTreeSet<(String, String)> {
        let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
        let results = report["results"].as_array().expect("results").iter();
        results.map(|result| (text(result, "id"), text(result, "remedy"))).collect()
    };
    let good = report("as-it-should-be");
    assert_eq!(good["summary"], json!({"total": 58, "pass": 47, "fail": 0, "warn": 2, "skipped": 5, "notProven": 4}));
    for (id, remedy) in [
        ("master.caller", "allow-self-review"),
        ("node.config", "enable-fine-grained-authorization"),
        ("master.flags", "enable-flagz"),
    ] {
        assert!(remedies(&good).contains(&(id.into(), remedy.into())), "{id} {remedy}");
    }
    let open = remedies(&report("api-server-allows-all"));
    assert!(open.contains(&("node.other-node".into(), "refuse-other-nodes".into())), "{open:#?}");
}
