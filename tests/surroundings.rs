//! What `verify --offline` finds apart from the credentials: certificates that expire soon, unfinished files, wrong modes, FIFOs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool};

/// Returns the exit status and the output of `verify --offline`, in one line.
fn audit(lab: &Lab, args: &[&str]) -> (u8, String) {
    let ran = lab.run(&[&["verify", "--offline"], args].concat());
    (ran.status, ran.out.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn set_mode(lab: &Lab, path: &str, mode: u32) {
    fs::set_permissions(lab.path(path), fs::Permissions::from_mode(mode)).expect("set");
}

/// Returns the exit status, and the host, status and remedy of each check.
fn judged(lab: &Lab, args: &[&str]) -> (u8, Vec<[String; 3]>) {
    let ran = lab.run(&[&["verify", "--offline", "--output", "json"], args].concat());
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let results = report["results"].as_array().expect("results").iter();
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    (ran.status, results.map(|result| ["host", "status", "remedy"].map(|key| text(result, key))).collect())
}

/// Returns true if a host has a warning with this remedy.
fn is_warned(judged: &[[String; 3]], host: &str, remedy: &str) -> bool {
    judged.contains(&[host, "warn", remedy].map(str::to_owned))
}

#[test]
fn certificates_that_expire_soon_are_warned_of() {
    let mut lab = Lab::issued();
    assert_eq!(judged(&lab, &["--fail-on", "warn"]).0, 0);
    let (status, far) = judged(&lab, &["--expires-within", "2y", "--fail-on", "warn"]);
    assert!(status == 1 && is_warned(&far, "on", "renew-host"), "{far:#?}");
    assert!(far.iter().all(|[_, _, remedy]| remedy != "plan-new-roots"), "their ten years are not near: {far:#?}");
    lab.now += time::Duration::days(340);
    let (status, near) = judged(&lab, &[]);
    assert!(status == 0 && is_warned(&near, "on", "renew-host"), "a warning fails nothing by itself: {near:#?}");
    lab.good(&["issue-node", "on", "--reissue"]);
    let (_, renewed) = judged(&lab, &[]);
    assert!(renewed.iter().all(|[host, status, _]| host != "on" || status == "pass"), "{renewed:#?}");
    let (_, roots) = judged(&lab, &["--expires-within", "20y"]);
    assert!(roots.iter().any(|[_, status, remedy]| status == "warn" && remedy == "plan-new-roots"), "{roots:#?}");
}

#[test]
fn unfinished_files_are_found_in_every_folder() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.good(&["issue-admin", "alice"]);
    for folder in ["", "bundles/", "pki/admins/", "pki/etcd/", "pki/front-proxy/"] {
        let left = lab.path(&format!("{folder}.unfinished-1-0"));
        fs::write(&left, "a key").expect("written");
        let (status, out) = audit(&lab, &["--fail-on", "warn"]);
        assert_eq!(status, 1, "{folder}: {out}");
        let at = left.parent().expect("a folder").display().to_string();
        let found = judged(&lab, &[]).1;
        assert!(is_warned(&found, "folders", "remove-unfinished"), "{folder}: {found:#?}");
        // This follows the remedy.
        good_tool("sh", &["-c", &format!("rm -r {at}/.unfinished-*")]);
        assert_eq!(audit(&lab, &["--fail-on", "warn"]).0, 0, "{folder}");
    }
    fs::write(lab.path(".unfinished-1-0"), "half a verifier bundle").expect("written");
    lab.good(&["bundle", "--verifier"]);
    assert!(!lab.path(".unfinished-1-0").exists(), "the next command that writes there removes it");
}

#[test]
fn readable_keys_of_removed_hosts_and_bundles_fail() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.write("cluster.yaml", &CLUSTER.replace("- {name: worker-b1, addresses: [10.20.2.11]}\n", ""));
    assert_eq!(audit(&lab, &[]).0, 0);
    for path in ["pki/nodes/worker-b1/kubelet-client.key", "bundles/worker-b1.tar.gz", "bundles/on.tar.gz"] {
        set_mode(&lab, path, 0o644);
        let found = offline(&lab, &[]);
        assert_eq!(found.status, 1, "{path}: {found:?}");
        let observed = found.observed("fail store.credential folders restrict-access");
        assert!(observed.contains(&format!("DIR/{path}")) && observed.contains("0644"), "{found:?}");
        set_mode(&lab, path, 0o600);
    }
    assert_eq!(audit(&lab, &[]).0, 0);
    // Other files and encrypted bundles may be readable.
    lab.write("bundles/README", "notes");
    let encrypted = lab.path("bundles/on.tar.gz.age");
    fs::write(&encrypted, "age-encryption.org/v1\n").expect("written");
    for path in ["bundles/README", "bundles/on.tar.gz.age"] {
        set_mode(&lab, path, 0o644);
    }
    assert!(!offline(&lab, &[]).has_remedy("restrict-access"));
}

#[test]
fn certificates_that_expire_soon_are_warned_of_if_the_key_is_on_the_host_alone() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let pair = good_tool("age-keygen", &[]);
    let recipient = pair.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
    lab.good(&["bundle", "on", "--encrypt-to", recipient, "--discard-keys"]);
    assert!(!is_warned(&judged(&lab, &[]).1, "on", "renew-host"));
    assert!(is_warned(&judged(&lab, &["--expires-within", "400d"]).1, "on", "renew-host"));
}

#[test]
fn a_readable_ca_key_has_the_remedy_restrict_key() {
    let lab = Lab::issued();
    set_mode(&lab, "pki/etcd/ca.key", 0o644);
    let (status, found) = judged(&lab, &[]);
    let failed: Vec<&[String; 3]> = found.iter().filter(|[_, status, _]| status == "fail").collect();
    assert!(status == 1 && failed.iter().all(|[_, _, remedy]| remedy == "restrict-key"), "{failed:#?}");
}

#[test]
fn a_fifo_in_place_of_a_file_does_not_block() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    for (path, args, status) in [
        ("bundles/on.tar.gz", &["verify", "--offline"][..], 1),
        ("pki/ca.key", &["issue-node", "on", "--reissue"], 3),
        ("cluster.yaml", &["issue-node", "on"], 2),
    ] {
        let aside = lab.path("aside");
        fs::rename(lab.path(path), &aside).expect("moved");
        good_tool("mkfifo", &["-m", "600", &lab.path(path).display().to_string()]);
        let ran = lab.run(args);
        assert_eq!(ran.status, status, "{ran}");
        assert!([ran.out, ran.err].concat().contains(&format!("DIR/{path}")), "{path}");
        fs::rename(&aside, lab.path(path)).expect("back");
    }
}
