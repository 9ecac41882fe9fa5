//! `apply` and `plan`: the directory matches the cluster file after one run, and a second one changes nothing.

mod kills;
mod options;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde_json::Value;
use time::Duration;

use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, forms, good_tool};

/// The exit status of `--exit-code` when something was to do.
const CHANGED: u8 = 10;

/// Runs `apply` or `plan` with JSON output, and asserts that the exit status says whether there was something to do.
#[track_caller]
fn run(lab: &Lab, command: &str, args: &[&str]) -> Value {
    let ran = lab.run(&[&[command], args, &["--exit-code", "--output", "json"]].concat());
    forms::conforms("apply", &ran.out);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let expected = if report["changes"] == Value::Bool(true) { CHANGED } else { 0 };
    assert_eq!(ran.status, expected, "{ran}");
    assert_eq!(report["dryRun"], Value::Bool(command == "plan"));
    report
}

/// Asserts that nothing is left to do, and that neither command writes anything.
#[track_caller]
fn converged(lab: &Lab, args: &[&str]) {
    let before = state(lab);
    for command in ["plan", "apply"] {
        let report = run(lab, command, args);
        assert_eq!(report["changes"], Value::Bool(false), "{command}: {report:#}");
        assert_eq!(changed(&before, lab), BTreeSet::new(), "{command}");
    }
}

/// Each file's bytes, inode and time of modification.
type State = BTreeMap<PathBuf, (Vec<u8>, u64, i64, i64)>;

fn state(lab: &Lab) -> State {
    let facts = |(path, bytes): (PathBuf, Vec<u8>)| {
        let metadata = fs::metadata(&path).expect("metadata");
        let of = (bytes, metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
        (path, of)
    };
    // SQLite's log is made and removed by readers, too.
    let is_log = |path: &PathBuf| path.to_string_lossy().contains("ledger.sqlite3-");
    lab.snapshot().into_iter().filter(|(path, _)| !is_log(path)).map(facts).collect()
}

/// Returns the files that are not as they were, by their paths in the directory.
fn changed(before: &State, lab: &Lab) -> BTreeSet<String> {
    let after = state(lab);
    let paths = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path));
    paths.map(|path| path.strip_prefix(lab.dir()).expect("a path").display().to_string()).collect()
}

fn list<'r>(report: &'r Value, key: &str) -> &'r [Value] {
    report[key].as_array().expect("a list")
}

fn text<'r>(value: &'r Value, key: &str) -> &'r str {
    value[key].as_str().expect("a text")
}

fn texts<'r>(report: &'r Value, key: &str) -> Vec<&'r str> {
    list(report, key).iter().filter_map(Value::as_str).collect()
}

/// Returns the hosts and the reasons of the bundles that change.
fn bundles(report: &Value) -> Vec<(&str, &str)> {
    list(report, "bundles").iter().map(|one| (text(one, "host"), text(one, "reason"))).collect()
}

/// Returns the hosts, the profiles and the reasons of the certificates that are issued.
fn certificates(report: &Value) -> Vec<(&str, &str, Vec<&str>)> {
    list(report, "certificates")
        .iter()
        .map(|one| (one["host"].as_str().unwrap_or_default(), text(one, "profile"), texts(one, "reasons")))
        .collect()
}

/// Returns the paths of the policy files that change, in their folder, and the reasons.
fn policy(report: &Value) -> Vec<(&str, &str)> {
    list(report, "policy")
        .iter()
        .map(|one| (text(one, "file").rsplit_once("policy/").expect("a path").1, text(one, "reason")))
        .collect()
}

/// A laboratory to which `apply` was applied.
fn applied() -> Lab {
    let lab = Lab::with_roots();
    lab.good(&["apply"]);
    lab
}

#[test]
fn one_apply_makes_everything_from_the_roots_on() {
    let lab = Lab::with_roots();
    let plan = run(&lab, "plan", &[]);
    assert!(!lab.path("pki/nodes").exists() && !lab.path("policy").exists() && !lab.path("bundles").exists());
    let done = run(&lab, "apply", &[]);
    for key in ["serviceAccountKey", "certificates", "policy", "bundles", "hostsToDeliver"] {
        assert_eq!(plan[key], done[key], "{key}");
    }
    assert_eq!((list(&done, "certificates").len(), done["serviceAccountKey"].as_str()), (25, Some("create")));
    assert_eq!(texts(&done, "hostsToDeliver").len(), 5);
    converged(&lab, &[]);
    assert_eq!(offline(&lab, &[]).ids(), [""; 0]);
}

#[test]
fn apply_has_nothing_to_do_after_the_commands_of_each_kind() {
    let lab = Lab::issued();
    lab.good(&["policy"]);
    lab.good(&["bundle", "--all"]);
    converged(&lab, &[]);
}

#[test]
fn a_new_node_changes_no_file_of_the_others() {
    let lab = applied();
    lab.write("cluster.yaml", &format!("{CLUSTER}- {{name: new, addresses: [10.20.9.9]}}\n"));
    let before = state(&lab);
    let done = run(&lab, "apply", &[]);
    assert_eq!(bundles(&done), [("new", "certificates")]);
    assert_eq!(texts(&done, "hostsToDeliver"), ["new"]);
    assert_eq!(policy(&done), [("20-nodes-0001.yaml", "content")]);
    let is_expected = |path: &String| {
        path.starts_with("pki/nodes/new/")
            || ["bundles/new.tar.gz", "policy/20-nodes-0001.yaml", "pki/ledger.sqlite3", ".clusterctl.ledger"]
                .contains(&path.as_str())
    };
    let changed = changed(&before, &lab);
    assert!(changed.iter().all(is_expected) && changed.len() > 4, "{changed:?}");
    converged(&lab, &[]);
}

#[test]
fn a_changed_address_is_named_as_the_reason() {
    let lab = applied();
    lab.write("cluster.yaml", &CLUSTER.replace("10.20.4.1]", "10.20.4.2]"));
    let plan = run(&lab, "plan", &[]);
    assert_eq!(certificates(&plan), [("on", "kubelet-server", vec!["names"])]);
    assert_eq!(bundles(&plan), [("on", "certificates")]);
    assert_eq!(run(&lab, "apply", &[])["certificates"], plan["certificates"]);
    converged(&lab, &[]);
}

#[test]
fn what_cannot_be_read_is_named_and_everything_else_is_done() {
    for (host, file) in [
        ("on", "pki/nodes/on/kubelet-client.crt"),
        ("on", "pki/nodes/on/kubelet-server.key"),
        ("master-2", "pki/masters/master-2/apiserver.crt"),
        // The verifier's credential is no host's.
        ("", "pki/verifier/verifier.crt"),
    ] {
        for is_fifo in [true, false] {
            let lab = applied();
            let aside = lab.path("aside");
            fs::rename(lab.path(file), &aside).unwrap_or_else(|error| panic!("{file}: {error}"));
            match is_fifo {
                true => drop(good_tool("mkfifo", &[&lab.path(file).display().to_string()])),
                false => fs::create_dir(lab.path(file)).expect("made"),
            }
            // There is something to do for another host, too.
            lab.write("cluster.yaml", &CLUSTER.replace("10.20.2.11]", "10.20.2.12]"));
            let ran = lab.run(&["apply", "--output", "json"]);
            assert!([3, 4].contains(&ran.status), "{file}: {ran}");
            forms::conforms("apply", &ran.out);
            let done: Value = serde_json::from_str(&ran.out).expect("JSON");
            assert_eq!(certificates(&done), [("worker-b1", "kubelet-server", vec!["names"])], "{file}");
            assert!(texts(&done, "hostsToDeliver").contains(&"worker-b1"), "{done:#}");
            assert_eq!(texts(&done, "hostsRefused"), if host.is_empty() { vec![] } else { vec![host] });
            assert!(ran.err.contains(file), "{ran}");
            match is_fifo {
                true => fs::remove_file(lab.path(file)).expect("removed"),
                false => fs::remove_dir(lab.path(file)).expect("removed"),
            }
            fs::rename(&aside, lab.path(file)).expect("back");
            run(&lab, "apply", &[]);
            converged(&lab, &[]);
        }
    }
}

#[test]
fn what_is_past_its_time_of_renewal_is_renewed() {
    let mut lab = applied();
    lab.now += Duration::days(242);
    converged(&lab, &[]);
    lab.now += Duration::days(3);
    let done = run(&lab, "apply", &[]);
    assert_eq!(list(&done, "certificates").len(), 25);
    assert!(certificates(&done).iter().all(|(_, _, reasons)| *reasons == ["due"]), "{done:#}");
    converged(&lab, &[]);
}

#[test]
fn crls_that_are_due_are_signed_again() {
    let mut lab = applied();
    lab.good(&["revoke", "on", "--yes"]);
    run(&lab, "apply", &[]);
    converged(&lab, &[]);
    lab.now += Duration::days(62);
    let plan = run(&lab, "plan", &[]);
    assert!(
        list(&plan, "crls").iter().all(|crl| crl["reason"] == "due") && !list(&plan, "crls").is_empty(),
        "{plan:#}"
    );
    let done = run(&lab, "apply", &[]);
    assert!(!list(&done, "crlFiles").is_empty());
    assert_eq!((list(&done, "certificates").len(), list(&done, "bundles").len()), (0, 0), "{done:#}");
    converged(&lab, &[]);
    lab.good(&["crl", "show"]);
}

#[test]
fn a_host_that_was_revoked_gets_new_credentials_and_masters_the_new_rules() {
    let lab = applied();
    lab.good(&["revoke", "on", "--yes"]);
    let done = run(&lab, "apply", &[]);
    assert!(certificates(&done).iter().all(|(host, _, reasons)| *host == "on" && *reasons == ["revoked"]), "{done:#}");
    assert_eq!(bundles(&done), [("master-1", "content"), ("master-2", "content"), ("on", "certificates")]);
    let rules = "etc/kubernetes/clusterctl/authorization.yaml";
    assert_eq!(texts(&list(&done, "bundles")[0], "changed"), [rules]);
    converged(&lab, &[]);
}

#[test]
fn hosts_that_left_are_named_and_not_touched() {
    let lab = applied();
    lab.write("cluster.yaml", &CLUSTER.replace("- {name: on, addresses: [10.20.4.1]}\n", ""));
    let before = state(&lab);
    let done = run(&lab, "apply", &[]);
    assert_eq!(texts(&done, "hostsThatLeft"), ["on"]);
    let changed = changed(&before, &lab);
    assert!(!changed.is_empty(), "the policy");
    assert!(changed.iter().all(|path| path.starts_with("policy/") || path == "pki/ledger.sqlite3"), "{changed:?}");
    assert!(lab.path("bundles/on.tar.gz").exists() && lab.path("pki/nodes/on").exists());
    let again = run(&lab, "plan", &[]);
    assert_eq!((texts(&again, "hostsThatLeft"), &again["changes"]), (vec!["on"], &Value::Bool(false)));
}

#[test]
fn a_change_of_accounts_is_applied_in_one_run() {
    for (from, to) in [("kubelet", "system-node"), ("system-node", "kubelet")] {
        let lab = Lab::with_roots();
        let scheme = |accounts: &str| CLUSTER.replace("serviceCIDRs", &format!("accounts: {accounts}\nserviceCIDRs"));
        lab.write("cluster.yaml", &scheme(from));
        lab.good(&["apply"]);
        lab.write("cluster.yaml", &scheme(to));
        let plan = run(&lab, "plan", &[]);
        let done = run(&lab, "apply", &[]);
        assert_eq!(list(&done, "revoked").len(), 3);
        for key in ["certificates", "revoked", "hostsToDeliver"] {
            assert_eq!(plan[key], done[key], "{from} to {to}: {key}");
        }
        converged(&lab, &[]);
        assert_eq!(offline(&lab, &[]).ids(), [""; 0]);
    }
}

#[test]
fn damaged_and_missing_files_are_made_again() {
    needs!("openssl");
    let lab = applied();
    lab.write("bundles/on.tar.gz", "damaged");
    fs::remove_file(lab.path("bundles/worker-b1.tar.gz")).expect("removed");
    fs::remove_file(lab.path("policy/10-accounts.yaml")).expect("removed");
    lab.write("policy/20-nodes-0002.yaml", "of a larger cluster");
    fs::remove_file(lab.path("pki/masters/master-2/apiserver.key")).expect("removed");
    let done = run(&lab, "apply", &[]);
    assert_eq!(bundles(&done), [("master-2", "certificates"), ("on", "form"), ("worker-b1", "missing")]);
    assert_eq!(policy(&done), [("10-accounts.yaml", "missing"), ("20-nodes-0002.yaml", "superfluous")]);
    assert_eq!(certificates(&done), [("master-2", "apiserver", vec!["file-missing"])]);
    assert_eq!(list(&done, "bundles").len(), 3);
    converged(&lab, &[]);
    fs::remove_file(lab.path("pki/sa.pub")).expect("removed");
    assert_eq!(run(&lab, "apply", &[])["serviceAccountKey"], "write-public-key");
    converged(&lab, &[]);
}

#[test]
fn hosts_with_keys_of_their_own_are_named_and_get_no_new_keys() {
    let mut lab = Lab::with_roots();
    fs::create_dir_all(lab.path("hosts/on")).expect("a root");
    lab.good(&["request", "on", "--root", "hosts/on"]);
    lab.good(&["sign", "on.request"]);
    run(&lab, "apply", &[]);
    converged(&lab, &[]);
    assert!(!lab.path("pki/nodes/on/kubelet-client.key").exists());
    lab.now += Duration::days(300);
    let done = run(&lab, "apply", &[]);
    assert_eq!(texts(&done, "hostsToRequest"), ["on"]);
    assert!(certificates(&done).iter().all(|(host, ..)| *host != "on"), "{done:#}");
    assert!(!lab.path("pki/nodes/on/kubelet-client.key").exists());
    let again = run(&lab, "plan", &[]);
    assert_eq!((texts(&again, "hostsToRequest"), &again["changes"]), (vec!["on"], &Value::Bool(false)));
    // Once they have expired it has no bundle.
    lab.now += Duration::days(100);
    let ran = lab.run(&["apply", "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.status, texts(&report, "hostsRefused")), (3, vec!["on"]), "{ran}");
}

#[test]
fn the_passphrase_is_asked_for_once_and_only_to_sign() {
    let mut lab = Lab::with(CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "correct horse battery".into());
    lab.good(&["init-ca"]);
    lab.env.clear();
    run(&lab, "plan", &[]);
    assert_eq!(lab.run(&["apply"]).status, 2, "there is no terminal");
    lab.typed = Some(["correct horse battery".to_owned()].into());
    lab.good(&["apply"]);
    lab.typed = None;
    converged(&lab, &[]);
    fs::remove_file(lab.path("bundles/on.tar.gz")).expect("removed");
    fs::remove_file(lab.path("policy/10-accounts.yaml")).expect("removed");
    assert_eq!(bundles(&run(&lab, "apply", &[])), [("on", "missing")]);
}

#[test]
fn plan_and_apply_are_lists_for_people() {
    let lab = applied();
    lab.write("cluster.yaml", &format!("{CLUSTER}- {{name: new, addresses: [10.20.9.9]}}\n"));
    insta::assert_snapshot!("plan", lab.good(&["plan"]));
    insta::assert_snapshot!("apply", lab.good(&["apply"]));
    insta::assert_snapshot!("apply_nothing", lab.good(&["apply", "--dry-run"]));
}

#[test]
fn without_roots_nothing_is_planned_or_applied() {
    let lab = Lab::with(CLUSTER);
    for command in ["plan", "apply"] {
        assert_eq!(lab.run(&[command, "--exit-code"]).status, 3);
    }
    assert!(!lab.path("policy").exists());
}

/// Bundles are packed again only to record the ledger's state beside them.
#[test]
fn a_lost_packing_record_is_nothing_to_do() {
    let lab = Lab::issued();
    lab.good(&["apply"]);
    fs::remove_file(lab.path(".clusterctl.ledger")).expect("removed");
    for command in ["plan", "apply", "plan"] {
        assert_eq!(lab.run(&[command, "--exit-code"]).status, 0, "{command}");
    }
    assert!(lab.path(".clusterctl.ledger").exists());
}
