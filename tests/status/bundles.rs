//! Bundles that are outdated or lost, requests that a changed address needs, the last backup, and a second trusted CA.

use std::fs;
use std::time::{Duration as Span, SystemTime};

use super::{answer, due, rows};
use crate::revoking::serial;
use crate::support::encryption::age_key;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab};

/// Sets the modification time of a file to `seconds` after that of the packing record.
fn changed_later(lab: &Lab, path: &str, seconds: u64) {
    let record = fs::metadata(lab.path(".clusterctl.ledger")).and_then(|facts| facts.modified()).expect("a record");
    set(lab, path, record + Span::from_secs(seconds));
}

fn set(lab: &Lab, path: &str, time: SystemTime) {
    let file = fs::OpenOptions::new().write(true).open(lab.path(path)).expect("a file");
    file.set_times(fs::FileTimes::new().set_modified(time)).expect("set");
}

#[test]
fn a_bundle_from_a_backup_is_read() {
    needs!("age-keygen");
    for encrypted in [false, true] {
        let mut lab = Lab::issued();
        let recipient = age_key(&lab, "key");
        let options = if encrypted { vec!["--encrypt-to", &recipient] } else { vec![] };
        let file = if encrypted { "bundles/on.tar.gz.age" } else { "bundles/on.tar.gz" };
        lab.good(&[&["bundle", "--all"], &options[..]].concat());
        let old = fs::read(lab.path(file)).expect("a bundle");
        lab.now += time::Duration::days(1);
        lab.good(&["issue-node", "on", "--reissue"]);
        lab.good(&[&["bundle", "--all"], &options[..]].concat());
        assert_eq!(due(&lab, &[]), rows(&[]), "{file}");
        // From a backup of only the bundles.
        fs::write(lab.path(file), &old).expect("written");
        changed_later(&lab, file, 5);
        let outdated = [["on", "bundle", "outdated", "pack-bundle"]];
        assert_eq!(due(&lab, &[]), rows(&outdated), "{file}");
        assert_eq!(due(&lab, &["worker-b1"]), rows(&[]));
        fs::write(lab.path(file), "damaged").expect("written");
        changed_later(&lab, file, 5);
        let state = if encrypted { "outdated" } else { "unreadable" };
        assert_eq!(due(&lab, &[]), rows(&[["on", "bundle", state, "pack-bundle"]]), "{file}");
        lab.good(&[&["bundle", "--all"], &options[..]].concat());
        assert_eq!(due(&lab, &[]), rows(&[]), "{file}");
    }
}

#[test]
fn keys_that_only_a_lost_bundle_had_are_reported_after_a_restore() {
    needs!("age-keygen", "age");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "key");
    lab.good(&["bundle", "on", "--encrypt-to", &recipient, "--discard-keys"]);
    let ran = lab.good(&["backup", "prod.age", "--without-bundles", "--encrypt-to", &recipient, "-o", "json"]);
    crate::support::forms::conforms("backup", &ran.out);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let left_out = report["leftOut"].as_array().expect("a list");
    assert_eq!(left_out.len(), 1, "{report:#}");
    assert_eq!(left_out[0]["kind"], "bundle");
    assert!(left_out[0]["path"].as_str().is_some_and(|path| path.ends_with("bundles/on.tar.gz.age")));
    let with = lab.good(&["backup", "with.age", "--encrypt-to", &recipient, "-o", "json"]);
    assert!(with.out.contains("\"leftOut\": []"), "{with}");
    let lost = [["on", "bundle", "missing", "reissue-unless-installed"]];
    for (file, expected) in [("prod.age", &lost[..]), ("with.age", &[])] {
        let place = file.trim_end_matches(".age");
        lab.good(&["--dir", place, "restore", file, "--identity", "key"]);
        let ran = lab.run(&["--dir", place, "status", "--output", "json"]);
        let answer: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        let bundles = answer["rows"].as_array().expect("rows").iter().filter(|row| row["kind"] == "bundle");
        assert_eq!(bundles.map(super::shown).collect::<Vec<_>>(), rows(expected), "{file}");
    }
    // Without a restore, a bundle that was deleted counts as delivered.
    fs::remove_file(lab.path("bundles/on.tar.gz.age")).expect("removed");
    assert_eq!(due(&lab, &["on"]), rows(&[]));
}

#[test]
fn a_changed_address_of_a_host_with_its_own_keys_needs_a_request() {
    let lab = Lab::with_roots();
    lab.good(&["issue-master", "--all"]);
    fs::create_dir(lab.path("host")).expect("made");
    lab.good(&["request", "on", "--root", "host"]);
    lab.good(&["sign", "on.request"]);
    lab.good(&["issue-node", "worker-b1"]);
    assert_eq!(due(&lab, &["on"]), rows(&[]));
    let moved = CLUSTER.replace("10.20.4.1]", "10.20.4.9]").replace("10.20.2.11]", "10.20.2.19]");
    lab.write("cluster.yaml", &moved);
    assert_eq!(due(&lab, &["on"]), rows(&[["on", "kubelet-server", "outdated", "send-request"]]));
    // `plan` reports certificates that the directory can issue.
    assert_eq!(due(&lab, &["worker-b1"]), rows(&[]));
}

#[test]
fn the_last_backup_is_in_the_metrics_and_on_the_page() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "key");
    let metric = |lab: &Lab| {
        let text = lab.run(&["status", "--output", "prometheus"]).out;
        text.lines().find(|line| line.starts_with("clusterctl_last_backup_time_seconds{")).map(str::to_owned)
    };
    let page = |lab: &Lab| lab.run(&["status", "--output", "html"]).out.matches("Last backup").count();
    assert_eq!((metric(&lab), page(&lab)), (None, 0));
    lab.good(&["backup", "prod.age", "--encrypt-to", &recipient]);
    let expected = format!("clusterctl_last_backup_time_seconds{{cluster=\"prod\"}} {}", lab.now.unix_timestamp());
    assert_eq!((metric(&lab), page(&lab)), (Some(expected), 1));
}

#[test]
fn a_second_trusted_ca_is_a_row() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    crate::import_directories::k3s(&lab);
    lab.good(&["import-ca", "--from-k3s", "server", "--plaintext-ca-key"]);
    let (_, answer) = answer(&lab, &[]);
    let rotation = answer["rows"].as_array().expect("rows").iter().filter(|row| row["kind"] == "rotation");
    let shown: Vec<[String; 4]> = rotation.map(super::shown).collect();
    assert_eq!(shown, rows(&[["-", "ca-rotation", "valid", "-"], ["-", "etcd-ca-rotation", "valid", "-"]]));
}

/// API servers deny a revoked client certificate once their hosts have the rules that name it.
#[test]
fn bundles_of_masters_that_lack_a_denial_are_outdated() {
    needs!("age-keygen");
    let mut lab = Lab::issued();
    let recipient = age_key(&lab, "key");
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["issue-admin", "bob"]);
    let outdated = |host| [host, "bundle", "outdated", "pack-bundle"];
    let both = rows(&[outdated("master-1"), outdated("master-2")]);
    for (person, encryption) in [("alice", &[][..]), ("bob", &["--encrypt-to", &recipient])] {
        lab.good(&[&["bundle", "--all"], encryption].concat());
        lab.good(&["revoke", person, "--yes"]);
        let of_hosts = |lab: &Lab| -> Vec<_> { due(lab, &["master-*", "on"]) };
        assert_eq!(of_hosts(&lab), both, "in the same second");
        lab.now += time::Duration::hours(1);
        assert_eq!(of_hosts(&lab), both, "later");
        lab.good(&[&["bundle", "master-1"], encryption].concat());
        assert_eq!(of_hosts(&lab), both[1..]);
        lab.good(&[&["bundle", "--all"], encryption].concat());
        assert_eq!(of_hosts(&lab), rows(&[]));
        lab.now += time::Duration::hours(1);
    }
}

/// No client presents the certificate of a server to an API server.
#[test]
fn a_revocation_that_no_api_server_denies_leaves_bundles_current() {
    let mut lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.now += time::Duration::hours(1);
    lab.good(&["revoke", &serial(&lab, "pki/nodes/on/kubelet-server.crt"), "--yes"]);
    assert_eq!(due(&lab, &["master-*"]), rows(&[]));
    lab.good(&["revoke", &serial(&lab, "pki/nodes/on/kubelet-client.crt"), "--yes"]);
    assert_eq!(due(&lab, &["master-*"]).len(), 2);
    // The rules of expired certificates are not needed.
    lab.now += time::Duration::days(400);
    assert!(due(&lab, &["master-*"]).iter().all(|[_, credential, ..]| credential != "bundle"));
}

/// Packing such bundles again would change nothing.
#[test]
fn rules_without_denials_never_make_bundles_outdated() {
    let mut lab = Lab::with(&CLUSTER.replace("masters:\n", "templates: own\nmasters:\n"));
    let path = "own/master/etc/kubernetes/clusterctl/authorization.yaml";
    fs::create_dir_all(lab.path(path).parent().expect("a folder")).expect("made");
    lab.write(
        path,
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n\
         - {type: RBAC, name: rbac}\n",
    );
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["bundle", "master-1", "master-2"]);
    lab.now += time::Duration::hours(1);
    lab.good(&["revoke", "alice", "--yes"]);
    assert_eq!(due(&lab, &["master-*"]), rows(&[]));
}
