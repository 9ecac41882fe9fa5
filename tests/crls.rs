//! `crl renew` and `crl show`: the CRLs of a directory and of files, compared with the ledger.

use clusterctl::pki::pem;
use serde_json::Value;
use time::Duration;

use crate::support::{CLUSTER, Lab, NOW, Ran, forms};

const CRL: &str = "pki/crl.pem";

fn shown(lab: &Lab, args: &[&str]) -> (u8, Value) {
    let ran = lab.run(&[&["crl", "show", "-o", "json"], args].concat());
    forms::conforms("crl", &ran.out);
    (ran.status, serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}")))
}

fn revoke(lab: &Lab, args: &[&str]) -> Ran {
    lab.good(&[&["revoke", "--yes"], args].concat())
}

#[test]
fn crls_are_described_with_dates_reasons_and_the_days_that_are_left() {
    let mut lab = Lab::issued();
    assert_eq!(shown(&lab, &[]).1["crls"], Value::Array(Vec::new()));
    revoke(&lab, &["on", "--reason", "keyCompromise"]);
    lab.now = NOW + Duration::days(30) + Duration::hours(1);
    let (status, report) = shown(&lab, &[]);
    assert_eq!((status, &report["good"]), (0, &Value::Bool(true)));
    let [state] = report["crls"].as_array().expect("CRLs").as_slice() else { panic!("{report:#}") };
    let crl = &state["crl"];
    assert_eq!((&state["ca"], &state["ledger"]["matches"]), (&"cluster".into(), &Value::Bool(true)));
    assert_eq!(crl["number"], NOW.unix_timestamp());
    assert_eq!(crl["thisUpdate"], "2026-11-23T12:00:00Z");
    assert_eq!(crl["nextUpdate"], "2027-02-21T12:00:00Z");
    assert_eq!((&crl["daysLeft"], &crl["current"]), (&59.into(), &true.into()));
    let revoked = crl["revoked"].as_array().expect("serial numbers");
    let is_told = |one: &&Value| one["reason"] == "keyCompromise" && one["date"] == "2026-11-23T12:00:00Z";
    assert_eq!((revoked.len(), revoked.iter().filter(is_told).count()), (2, 2), "{report:#}");
    let serials: Vec<&str> = revoked.iter().filter_map(|one| one["serial"].as_str()).collect();
    let text = lab.good(&["crl", "show"]).out;
    let text = serials.iter().fold(text, |text, serial| text.replace(serial, "SERIAL"));
    insta::assert_snapshot!("crl_show", text);
}

#[test]
fn the_cluster_file_has_the_validity_of_crls_and_administrators() {
    let with = |validity: &str| CLUSTER.replace("masters:\n", &format!("validity: {{{validity}}}\nmasters:\n"));
    let mut lab = Lab::with(&with("admin: 30d, crl: 20d"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["issue-admin", "bob", "--validity", "10d"]);
    let expires = |lab: &Lab, name: &str| {
        let ran = lab.good(&["show", name, "-o", "json"]);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        report["files"][0]["items"][0]["facts"]["notAfter"].as_str().map(str::to_owned)
    };
    assert_eq!(expires(&lab, "alice").as_deref(), Some("2026-12-23T12:00:00Z"));
    assert_eq!(expires(&lab, "bob").as_deref(), Some("2026-12-03T12:00:00Z"));
    let next = |lab: &Lab| shown(lab, &[]).1["crls"][0]["crl"]["nextUpdate"].as_str().map(str::to_owned);
    revoke(&lab, &["alice"]);
    assert_eq!(next(&lab).as_deref(), Some("2026-12-13T12:00:00Z"));
    lab.good(&["crl", "renew", "--crl-validity", "5d"]);
    assert_eq!(next(&lab).as_deref(), Some("2026-11-28T12:00:00Z"));
    lab.now = NOW + Duration::days(4);
    let renew = |lab: &Lab| lab.good(&["renew", "--all"]);
    renew(&lab);
    assert_eq!(next(&lab).as_deref(), Some("2026-12-17T12:00:00Z"), "as the cluster file says");
    lab.write("cluster.yaml", CLUSTER);
    lab.now += Duration::days(15);
    renew(&lab);
    assert_eq!(next(&lab).as_deref(), Some("2027-01-01T12:00:00Z"), "as long as before");
    for (wrong, key) in [("crl: 1m", "validity.crl"), ("admin: 11y", "validity.admin")] {
        lab.write("cluster.yaml", &with(wrong));
        let ran = lab.run(&["validate"]);
        assert!(ran.status == 2 && ran.err.contains(key), "{ran}");
    }
}

#[test]
fn a_crl_that_has_expired_or_differs_from_the_ledger_ends_with_status_1() {
    let mut lab = Lab::issued();
    let ledger = std::fs::read(lab.path("pki/ledger.sqlite3")).expect("a ledger");
    revoke(&lab, &["on"]);
    let before = lab.read(CRL);
    revoke(&lab, &["worker-b1"]);
    let differences = |lab: &Lab| {
        let (status, report) = shown(lab, &[]);
        let state = &report["crls"][0];
        let count = |key: &str| state["ledger"][key].as_array().map(Vec::len);
        (status, count("missing"), count("notRevoked"), state["error"].is_null())
    };
    assert_eq!(differences(&lab), (0, Some(0), Some(0), true));
    let good = lab.read(CRL);
    lab.write(CRL, &before);
    assert_eq!(differences(&lab), (1, Some(2), Some(0), true), "it does not list worker-b1's");
    lab.write(CRL, "damaged");
    assert_eq!(differences(&lab), (1, None, None, false));
    std::fs::remove_file(lab.path(CRL)).expect("removed");
    assert_eq!(differences(&lab), (1, None, None, false), "it is missing");
    lab.write(CRL, &good);
    lab.now = NOW + Duration::days(90);
    let (status, report) = shown(&lab, &[]);
    assert_eq!((status, &report["crls"][0]["crl"]["current"]), (1, &false.into()));
    lab.good(&["crl", "renew"]);
    assert_eq!(shown(&lab, &[]).0, 0);
    std::fs::write(lab.path("pki/ledger.sqlite3"), ledger).expect("put back");
    assert_eq!(differences(&lab), (1, Some(0), Some(4), true), "the ledger is from a backup");
}

#[test]
fn files_are_described_with_and_without_a_cluster_directory() {
    let lab = Lab::issued();
    revoke(&lab, &["on"]);
    let der = pem::read_all(lab.read(CRL).as_bytes()).expect("PEM");
    assert_eq!(der.len(), 1);
    let (status, report) = shown(&lab, &[CRL]);
    assert_eq!((status, &report["crls"][0]["ca"]), (0, &"cluster".into()));
    // Another machine has neither the CA nor a ledger.
    let mut other = Lab::empty();
    std::fs::copy(lab.path(CRL), other.path("given.pem")).expect("copied");
    let (status, report) = shown(&other, &["given.pem", "given.pem"]);
    assert_eq!((status, report["crls"].as_array().map(Vec::len)), (0, Some(2)));
    assert!(report["crls"][0]["ca"].is_null() && report["crls"][0]["ledger"].is_null(), "{report:#}");
    other.now = NOW + Duration::days(91);
    assert_eq!(shown(&other, &["given.pem"]).0, 1);
    // A file that is not a CRL, and one that does not exist.
    other.write("root.pem", &lab.read("pki/ca.crt"));
    for file in ["root.pem", "absent.pem"] {
        let ran = other.run(&["crl", "show", file]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran}");
    }
    assert_eq!(other.run(&["crl", "show"]).status, 2, "there is no cluster directory");
}

#[test]
fn crl_renew_signs_all_crls_as_revoke_renew_does() {
    let lab = Lab::issued();
    revoke(&lab, &["on"]);
    let written =
        "DIR/pki/crl.pem\nDIR/pki/etcd/crl.pem\nDIR/pki/front-proxy/crl.pem\nDIR/policy/masters/authorization.yaml\n";
    let number = |lab: &Lab| shown(lab, &[]).1["crls"][0]["crl"]["number"].as_u64().expect("a number");
    let first = number(&lab);
    assert_eq!(lab.good(&["crl", "renew", "--crl-validity", "30d"]).out, written);
    let (_, report) = shown(&lab, &[]);
    let crls = report["crls"].as_array().expect("CRLs");
    assert!(crls.len() == 3 && crls.iter().all(|state| state["crl"]["nextUpdate"] == "2026-12-23T12:00:00Z"));
    assert_eq!(lab.good(&["revoke", "--renew"]).out, written);
    assert_eq!(number(&lab), first + 2);
}
