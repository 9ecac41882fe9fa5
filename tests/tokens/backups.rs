//! A backup of a directory whose CAs' keys are in a token: it names them, and the restored directory signs with the token.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{PIN, failure, good, openssl_accepts, run, with_token};
use crate::support::encryption::age_key;
use crate::support::forms;
use crate::support::outside::{needs, stdout};

#[test]
fn a_restored_directory_signs_with_the_token_that_the_backup_names() {
    needs!("softhsm2-util", "openssl", "age-keygen");
    let lab = with_token();
    good(&lab, &["init-ca"]);
    good(&lab, &["issue-master", "--all"]);
    good(&lab, &["issue-node", "--all"]);
    let recipient = age_key(&lab, "admin.key");
    let report = stdout(&mut lab.process(&["backup", "prod.age", "--encrypt-to", &recipient, "-o", "json"]));
    forms::conforms("backup", &report);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let left_out = report["leftOut"].as_array().expect("a list");
    let keys: Vec<(&str, bool)> =
        left_out.iter().map(|one| (one["path"].as_str().expect("a path"), one["kind"] == "held-key")).collect();
    let path = |name: &str| lab.path(name).display().to_string();
    let wanted = ["pki/ca.key", "pki/etcd/ca.key", "pki/front-proxy/ca.key"].map(path);
    assert_eq!(keys, wanted.each_ref().map(|path| (path.as_str(), true)));
    assert!(
        left_out.iter().all(|one| one["holder"].as_str().is_some_and(|holder| holder.contains("token"))),
        "{report:#}"
    );
    assert!(!report.to_string().contains(PIN), "no PIN is printed");
    good(&lab, &["--dir", "again", "restore", "prod.age", "--identity", "admin.key"]);
    assert!(!lab.path("again/pki/ca.key").exists() && !lab.path("again/pin").exists());
    let reissue = ["--dir", "again", "issue-node", "on", "--reissue"];
    assert_ne!(run(&lab, &reissue).status.code(), Some(0), "the file of the PIN is not in a backup");
    fs::copy(lab.path("pin"), lab.path("again/pin")).expect("copied");
    good(&lab, &reissue);
    assert!(openssl_accepts(&lab, "again/pki/nodes/on/kubelet-server.crt"));
    good(&lab, &["--dir", "again", "bundle", "--all"]);
    good(&lab, &["--dir", "again", "verify", "--offline"]);
    // Without the token, everything that needs no signature still works.
    stdout(Command::new("softhsm2-util").args(["--delete-token", "--token", "prod"]).envs(&lab.env));
    insta::assert_snapshot!("a_restored_directory_without_its_token", failure(&lab, &reissue));
    good(&lab, &["--dir", "again", "verify", "--offline"]);
    good(&lab, &["--dir", "again", "backup", "second.age", "--encrypt-to", &recipient]);
}
