//! A real Kubernetes 1.36.2, without faults and with one fault at a time. Its recordings are always evaluated. If
//! `KUBE_BIN` is the folder of its programs, `tests/lab/run` starts a cluster from bundles and tests the same faults on
//! it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::support::Lab;

/// A cluster of `tests/lab`, the changes to it, and the expected result of `verify`. `verdicts.json` lists the cases in
/// the order in which the lab creates them.
#[derive(Deserialize)]
struct Case {
    variant: String,
    fault: String,
    #[serde(flatten)]
    said: Said,
}

/// The result of a run of `verify`: exit status, and checks that fail, are not proven, and warn, each with its host.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Said {
    status: u8,
    failed: BTreeSet<String>,
    unproven: BTreeSet<String>,
    warned: BTreeSet<String>,
}

impl Said {
    fn of(status: u8, report: &str) -> Self {
        let report: Value = serde_json::from_str(report).expect("a JSON report");
        let mut said = Self { status, failed: BTreeSet::new(), unproven: BTreeSet::new(), warned: BTreeSet::new() };
        for result in report["results"].as_array().expect("results") {
            let (id, host) = (result["id"].as_str().expect("an id"), result["host"].as_str().expect("a host"));
            let list = match result["status"].as_str().expect("a status") {
                "fail" => &mut said.failed,
                "not-proven" => &mut said.unproven,
                "warn" => &mut said.warned,
                // A check that is newer than the recording is skipped.
                _ => continue,
            };
            list.insert(format!("{id} {host}"));
        }
        said
    }
}

impl Case {
    fn name(&self) -> String {
        format!("{}-{}", self.variant, self.fault)
    }
}

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kubernetes-1.36.2")
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(recordings().join("verdicts.json")).expect("the verdicts");
    serde_json::from_str(&text).expect("a list of cases")
}

#[test]
fn each_recorded_fault_has_its_cause() {
    for case in cases() {
        let path = recordings().join(format!("{}.json", case.name()));
        let ran = Lab::empty().run(&["verify", "--replay", &path.display().to_string(), "--output", "json"]);
        assert_eq!(Said::of(ran.status, &ran.out), case.said, "{}", case.name());
    }
}

#[test]
fn a_self_made_kubelet_certificate_has_its_own_remedy() {
    let path = recordings().join("kubelet-self-signed-kubelet.json");
    let ran = Lab::empty().run(&["verify", "--replay", &path.display().to_string(), "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("a JSON report");
    let results = report["results"].as_array().expect("results");
    let chain = results.iter().find(|result| result["id"] == "node.chain" && result["status"] == "fail");
    let hint = chain.and_then(|result| result["hint"].as_str()).expect("a hint");
    assert!(hint.contains("tlsCertFile"), "{hint}");
}

#[test]
fn each_recording_has_its_expected_verdict() {
    let listed = std::fs::read_dir(recordings()).expect("the folder").map(|entry| entry.expect("an entry").path());
    let stored: BTreeSet<String> = listed
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .filter(|name| name != "verdicts")
        .collect();
    assert_eq!(stored, cases().iter().map(Case::name).collect());
}

/// Starts a cluster, injects faults, and compares the result of each run of `verify`.
fn live(variant: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.variant == variant).collect();
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/run"));
    command.env("CLUSTERCTL", env!("CARGO_BIN_EXE_clusterctl")).arg(variant).arg(folder.path());
    command.args(cases.iter().map(|case| &case.fault).filter(|fault| *fault != "sound"));
    assert!(command.status().expect("bash").success(), "the lab did not come up");
    for case in cases {
        let read = |ending: &str| {
            std::fs::read_to_string(folder.path().join(format!("{}.{ending}", case.name()))).expect("a result")
        };
        let status = read("status").trim().parse().expect("a status");
        assert_eq!(Said::of(status, &read("report")), case.said, "{}\n{}", case.name(), read("text"));
    }
}

#[test]
#[ignore = "needs KUBE_BIN, root, and ten minutes"]
fn a_real_cluster_with_kubelet_accounts_passes_and_its_faults_are_found() {
    live("kubelet");
}

#[test]
#[ignore = "needs KUBE_BIN, root, and three minutes"]
fn a_real_cluster_with_the_node_authorizer_passes_and_its_faults_are_found() {
    live("system-node");
}

#[test]
#[ignore = "needs KUBE_BIN, root, and two minutes"]
fn three_real_masters_with_a_load_balancer_pass() {
    live("three");
}

#[test]
#[ignore = "needs KUBE_BIN, root, and two minutes"]
fn a_real_ipv6_cluster_passes() {
    live("ipv6");
}

/// Starts a cluster whose CAs are not files of one root, and expects that `verify` proves it.
fn proven(variant: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/run"));
    command.env("CLUSTERCTL", env!("CARGO_BIN_EXE_clusterctl")).arg(variant).arg(folder.path());
    assert!(command.status().expect("bash").success(), "the lab did not come up");
    let status = std::fs::read_to_string(folder.path().join(format!("{variant}-sound.status"))).expect("a status");
    assert_eq!(status.trim(), "0");
}

#[test]
#[ignore = "needs KUBE_BIN, root, and two minutes"]
fn a_real_cluster_below_offline_roots_passes() {
    proven("offline-roots");
}

#[test]
#[ignore = "needs KUBE_BIN, root, softhsm2, and two minutes"]
fn a_real_cluster_whose_ca_keys_are_in_a_token_passes() {
    proven("tokens");
}

#[test]
#[ignore = "needs KUBE_BIN, root, and forty minutes"]
fn the_ca_of_a_real_cluster_is_rotated_and_nothing_is_refused() {
    proven("rotation");
}

#[test]
#[ignore = "needs KUBE_BIN, root, systemd, and thirty minutes"]
fn every_other_role_of_a_real_cluster_is_rotated_and_a_thief_is_locked_out() {
    proven("roles");
}

#[test]
#[ignore = "needs KUBE_BIN, root, and ten minutes"]
fn a_real_kubelet_that_joined_is_renewed_without_a_restart() {
    proven("joined");
}

#[test]
#[ignore = "needs KUBE_BIN, root, and fifteen minutes"]
fn a_real_kubelet_bootstraps_and_rotates_its_certificates_by_the_signer() {
    proven("bootstrap");
}
