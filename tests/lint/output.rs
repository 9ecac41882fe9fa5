//! Formats, options, and hostile files.

use std::fs;

use clusterctl::app::lint::RULES;
use serde_json::Value;

use super::make::{SERVER, ca, lab, leaf, lint, text};
use crate::support::outside::needs;
use crate::support::{Lab, ends, good_tool};

/// Returns the first thing in a log that SARIF 2.1.0 does not permit (OASIS, §§ 3.13, 3.14, 3.19, 3.27 to 3.33, 3.49).
fn problem_of_sarif(log: &Value) -> Option<String> {
    let keys = |value: &Value, at: &str, needed: &[&str], allowed: &[&str]| -> Option<String> {
        let Some(object) = value.as_object() else { return Some(format!("{at} is no object")) };
        let missing = needed.iter().find(|key| !object.contains_key(**key)).map(|key| format!("{at} has no {key}"));
        let is_known = |key: &&String| needed.contains(&key.as_str()) || allowed.contains(&key.as_str());
        missing.or_else(|| object.keys().find(|key| !is_known(key)).map(|key| format!("{at} has {key}")))
    };
    let text = |value: &Value, at: &str| {
        keys(value, at, &["text"], &[]).or_else(|| (!value["text"].is_string()).then(|| format!("{at} is no text")))
    };
    let level = |value: &Value| {
        let known = ["none", "note", "warning", "error"].iter().any(|level| value == level);
        (!known).then(|| format!("{value} is no level"))
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let rule = |rule: &Value| {
        keys(rule, "rule", &["id"], &["shortDescription", "fullDescription", "help", "defaultConfiguration"])
            .or_else(|| ["shortDescription", "fullDescription", "help"].iter().find_map(|key| text(&rule[key], key)))
            .or_else(|| level(&rule["defaultConfiguration"]["level"]))
    };
    let location = |location: &Value| {
        let artifact = &location["physicalLocation"]["artifactLocation"];
        keys(location, "location", &["physicalLocation"], &["logicalLocations"])
            .or_else(|| keys(artifact, "artifactLocation", &["uri"], &[]))
            .or_else(|| list(&location["logicalLocations"]).iter().find_map(|one| keys(one, "logical", &["name"], &[])))
    };
    let result = |result: &Value| {
        keys(result, "result", &["message"], &["ruleId", "ruleIndex", "level", "locations"])
            .or_else(|| text(&result["message"], "message"))
            .or_else(|| level(&result["level"]))
            .or_else(|| list(&result["locations"]).iter().find_map(location))
    };
    let run = |run: &Value| {
        let driver = &run["tool"]["driver"];
        keys(run, "run", &["tool"], &["results", "columnKind"])
            .or_else(|| keys(driver, "driver", &["name"], &["semanticVersion", "rules"]))
            .or_else(|| list(&driver["rules"]).iter().find_map(rule))
            .or_else(|| list(&run["results"]).iter().find_map(result))
    };
    keys(log, "log", &["version", "runs"], &["$schema"])
        .or_else(|| (log["version"] != "2.1.0").then(|| "the version is another".to_owned()))
        .or_else(|| list(&log["runs"]).iter().find_map(run))
}

fn sarif(lab: &Lab, args: &[&str]) -> Value {
    let ran = lab.run(&[&["lint", "--output", "sarif"], args].concat());
    let log = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(problem_of_sarif(&log), None, "{log:#}");
    log
}

#[test]
fn sarif_output_conforms_to_its_specification() {
    needs!("openssl");
    let lab = lab();
    ca("ca").make(&lab, "pki/ca.crt");
    leaf("pki/ca.crt", "host", SERVER).days(-9, -1).make(&lab, "pki/a host#1.crt");
    let answer = sarif(&lab, &["./pki"]);
    let run = &answer["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("a list");
    let ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, RULES.map(|rule| rule.id));
    let results = run["results"].as_array().expect("a list");
    let expired = results.iter().find(|result| result["ruleId"] == "certificate.expired").expect("a finding");
    let index = usize::try_from(expired["ruleIndex"].as_u64().expect("a number")).expect("small");
    assert_eq!((ids[index], &expired["level"]), ("certificate.expired", &"error".into()));
    let uri = &expired["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "pki/a%20host%231.crt");
    let none = sarif(&lab, &["pki/ca.crt"]);
    assert_eq!(none["runs"][0]["results"], serde_json::json!([]));
    let wrong = answer.to_string().replace("\"error\"", "\"worse\"");
    assert!(problem_of_sarif(&serde_json::from_str(&wrong).expect("JSON")).is_some());
}

#[test]
fn a_part_of_a_file_is_named() {
    needs!("openssl");
    let lab = lab();
    ca("ca").make(&lab, "pki/ca.crt");
    leaf("pki/ca.crt", "host", SERVER).days(-9, -1).make(&lab, "pki/host.crt");
    lab.write("pki/both.crt", &(lab.read("pki/ca.crt") + &lab.read("pki/host.crt")));
    fs::remove_file(lab.path("pki/host.crt")).expect("removed");
    let linted = lint(&lab, &["pki/both.crt"]);
    let finding = &linted.answer["findings"][0];
    assert_eq!((&finding["id"], &finding["part"]), (&"certificate.expired".into(), &"certificate 2".into()));
}

#[test]
fn wrong_usage_is_refused() {
    let lab = Lab::with_roots();
    assert_eq!(lab.run(&["lint"]).status, 2);
    assert_eq!(lab.run(&["lint", "nowhere"]).status, 2);
    fs::create_dir(lab.path("empty")).expect("made");
    assert_eq!(lab.run(&["lint", "empty"]).status, 2);
    assert_eq!(lint(&lab, &["cluster.yaml"]).answer["findings"][0]["id"], "file.unreadable");
    for id in ["certificate.expire", "certificate", "nothing.*"] {
        assert_eq!(lab.run(&["lint", "pki", "--ignore", id]).status, 2, "{id}");
    }
    assert_eq!(lab.run(&["lint", "--explain", "key.mismatches"]).status, 2);
    let explained = lab.good(&["lint", "--explain", "key.mismatch"]).out;
    assert!(explained.contains("key.mismatch"), "{explained}");
    assert_eq!(lab.good(&["lint", "--rules"]).out.lines().count(), RULES.len());
    let before = lab.snapshot();
    lab.good(&["lint", "pki"]);
    assert_eq!(lab.snapshot(), before, "lint changes nothing");
}

#[test]
fn hostile_folders_end_and_names_are_escaped() {
    needs!("openssl");
    let lab = lab();
    ca("ca").subject("/CN=a\u{1b}[31mb").days(-9, -1).make(&lab, "pki/ca.crt");
    good_tool("mkfifo", &[&text(&lab, "pki/fifo.crt")]);
    fs::File::create(lab.path("pki/large.crt")).and_then(|file| file.set_len(1 << 30)).expect("a sparse file");
    fs::create_dir(lab.path("pki/loop")).expect("made");
    std::os::unix::fs::symlink("..", lab.path("pki/loop/again")).expect("a link");
    lab.write("pki/\u{1b}[31m.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    ends(move || {
        let linted = lint(&lab, &["pki"]);
        let unreadable: Vec<&str> =
            linted.found.iter().filter(|(id, _)| id == "file.unreadable").map(|(_, file)| file.as_str()).collect();
        assert_eq!(unreadable, ["pki/\\u{1b}[31m.crt", "pki/fifo.crt", "pki/large.crt"], "{:#}", linted.answer);
        assert!(linted.has("ca.expired"));
        for format in ["human", "json", "sarif"] {
            let ran = lab.run(&["lint", "pki", "--output", format]);
            assert!(ran.status == 1 && !ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran}");
        }
    });
}

#[test]
fn a_folder_of_encrypted_bundles_alone_is_not_good() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let recipient = crate::support::encryption::age_key(&lab, "key");
    lab.good(&["bundle", "--all", "--encrypt-to", &recipient]);
    let ran = lab.run(&["lint", "bundles"]);
    assert_eq!(ran.status, 2, "nothing was checked: {ran}");
    lab.good(&["bundle", "on", "--unencrypted"]);
    assert_eq!(lab.run(&["lint", "bundles"]).status, 0, "what can be read is checked");
}
