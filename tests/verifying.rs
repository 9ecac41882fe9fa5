//! `verify` as a command: its targets, exit statuses, and the files in the directory. Tests of connections are in
//! `verify.rs`.

use std::os::unix::fs::PermissionsExt;

use clusterctl::pki::pem;

use crate::support::fleets::{self, fleet_of};
use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool};

/// Returns every finding that is not a pass: its status, check, host and remedy, and the observation.
pub(crate) fn problems(lab: &Lab) -> String {
    let ran = lab.run(&["verify", "--offline", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"));
    let results = report["results"].as_array().expect("results").iter().filter(|result| result["status"] != "pass");
    let text = |result: &serde_json::Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let line = |result: &serde_json::Value| {
        let [status, id, host, remedy, seen] =
            ["status", "id", "host", "remedy", "observed"].map(|key| text(result, key));
        format!("{status} {id} {host} {remedy}\n  {seen}\n")
    };
    format!("exit status {}\n{}", ran.status, results.map(line).collect::<String>())
}

#[test]
fn a_correct_directory_passes_and_proves_no_property() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let ran = lab.good(&["verify", "--offline"]);
    let json = lab.good(&["verify", "--offline", "--output", "json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["summary"]["total"], &json["summary"]["pass"]), (&35.into(), &35.into()), "{json}");
    // A directory does not prove which hosts can be reached or which clients are refused.
    let matrix: Vec<&str> =
        ran.out.lines().filter(|line| line.starts_with("node ") || line.starts_with("master ")).collect();
    assert!(matrix.iter().all(|line| !line.contains(" ok ")), "{ran}");
}

#[test]
fn all_problems_of_a_directory_are_found_in_one_run() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    std::fs::set_permissions(lab.path("pki/nodes/on/kubelet-client.key"), PermissionsExt::from_mode(0o644))
        .expect("chmod");
    std::fs::remove_file(lab.path("pki/masters/master-2/apiserver.crt")).expect("removed");
    for ending in ["crt", "key"] {
        let from = lab.path(&format!("pki/nodes/worker-b1/kubelet-client.{ending}"));
        std::fs::copy(from, lab.path(&format!("pki/nodes/worker-a1.fra1.example.net/kubelet-client.{ending}")))
            .expect("copied");
    }
    let mut bundle = std::fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle");
    let middle = bundle.len() / 2;
    bundle[middle] ^= 0xff;
    std::fs::write(lab.path("bundles/on.tar.gz"), bundle).expect("written");
    let found = offline(&lab, &[]);
    assert_eq!(found.status, 1, "{found:?}");
    assert_eq!(
        found.ids(),
        [
            "fail store.credential master-2 issue",
            "fail store.credential worker-a1.fra1.example.net issue",
            "fail store.credential on restrict-key",
            "fail store.credential worker-b1 reissue-both",
            "fail trust.match master-2 pack-bundle",
            "fail trust.match worker-a1.fra1.example.net pack-bundle",
            "fail trust.match on pack-bundle",
        ]
    );
}

#[test]
fn a_missing_key_is_reissued_and_a_folder_in_its_place_moved() {
    let lab = Lab::issued();
    let key = lab.path("pki/nodes/on/kubelet-server.key");
    std::fs::remove_file(&key).expect("removed");
    assert_eq!(offline(&lab, &[]).ids(), ["fail store.credential on issue"]);
    std::fs::create_dir(&key).expect("a folder");
    assert_eq!(offline(&lab, &[]).ids(), ["fail store.credential on move-away"]);
}

#[test]
fn a_key_that_two_hosts_share_is_found() {
    let lab = Lab::issued();
    for ending in ["crt", "key"] {
        let from = lab.path(&format!("pki/nodes/on/kubelet-client.{ending}"));
        std::fs::copy(from, lab.path(&format!("pki/nodes/worker-b1/kubelet-client.{ending}"))).expect("copied");
    }
    insta::assert_snapshot!("a_key_of_two_hosts", problems(&lab));
}

/// The first few hundred signatures are verified in one way and the rest in another.
#[test]
fn every_invalid_signature_in_a_fleet_is_found() {
    const NODES: usize = 400;
    let lab = fleet_of(NODES);
    for args in [["issue-master", "--all"], ["issue-node", "--all"]] {
        assert!(fleets::run(&lab, &args).status.success());
    }
    let mut changed = Vec::new();
    for node in 0..NODES {
        let path = format!("pki/nodes/node-{node}/kubelet-server.crt");
        let [mut der] = <[_; 1]>::try_from(pem::certificates(lab.read(&path).as_bytes()).expect("PEM")).expect("one");
        // The end of the signature.
        *der.last_mut().expect("an octet") ^= 1;
        lab.write(&path, &pem::write_certificate(&der));
        changed.push(lab.path(&path).display().to_string());
    }
    let ran = fleets::run(&lab, &["verify", "--offline", "--output", "json"]);
    assert_eq!(ran.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let failed = value["results"].as_array().expect("results").iter().filter(|result| result["status"] == "fail");
    let found: Vec<String> = failed.map(|result| result["address"].as_str().expect("a path").to_owned()).collect();
    assert_eq!(found, changed, "these and no others");
}

#[test]
fn bundles_of_another_root_or_another_endpoint_do_not_match() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.write(
        "cluster.yaml",
        &CLUSTER.replace("https://api.prod.example.net:6443", "https://api.prod.example.net:7443"),
    );
    insta::assert_snapshot!(problems(&lab));

    let other = Lab::issued();
    other.good(&["bundle", "--all"]);
    std::fs::copy(other.path("bundles/on.tar.gz"), lab.path("bundles/on.tar.gz")).expect("copied");
    let pinned: Vec<String> = problems(&lab).lines().filter(|line| line.contains(" on ")).map(str::to_owned).collect();
    assert_eq!(pinned, ["fail trust.match on pack-bundle"]);
}

#[test]
fn a_bundle_from_before_the_last_issue_is_found() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.good(&["issue-node", "on", "--reissue"]);
    insta::assert_snapshot!(problems(&lab));
    lab.good(&["bundle", "on"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn bundles_that_were_swapped_or_whose_templates_weaken_trust_are_found() {
    needs!("python3");
    let lab = Lab::issued();
    lab.good(&["bundle", "--eject-templates", "t"]);
    let found = || insta::assert_snapshot!(problems(&lab));
    lab.good(&["bundle", "--all"]);
    std::fs::copy(lab.path("bundles/worker-b1.tar.gz"), lab.path("bundles/on.tar.gz")).expect("copied");
    found();
    let changed = |path: &str, from: &str, to: &str| {
        let original = lab.read(path);
        assert!(original.contains(from), "{path} has no {from}: {original}");
        lab.write(path, &original.replace(from, to));
        lab.good(&["bundle", "--all", "--templates", "t"]);
        lab.write(path, &original);
    };
    let kubeconfig = "t/node/etc/kubernetes/kubelet.conf";
    changed(kubeconfig, "{{ cluster.endpoint }}", "\"https://evil.example:6443\"");
    found();
    changed(kubeconfig, "{{ files.ca }}", "/etc/ssl/certs/ca-certificates.crt");
    found();
    lab.good(&["bundle", "--all", "--templates", "t"]);
    // No template renders such a bundle, but other tools may.
    let script = r#"
import hashlib, json, sys
folder = sys.argv[1]
path = folder + "/var/lib/kubelet/config.yaml"
text = open(path).read()
weak = text.replace("mode: Webhook", "mode: AlwaysAllow")
assert weak != text
open(path, "w").write(weak)
manifest = json.load(open(folder + "/manifest.json"))
for file in manifest["files"]:
    if file["path"] == "var/lib/kubelet/config.yaml":
        file["sha256"] = hashlib.sha256(weak.encode()).hexdigest()
text = json.dumps(manifest)
open(folder + "/manifest.json", "w").write(text)
open(folder + "/manifest.sha256", "w").write(hashlib.sha256(text.encode()).hexdigest() + "  manifest.json\n")
"#;
    let (bundle, dir) = (lab.path("bundles/on.tar.gz").display().to_string(), lab.dir().display().to_string());
    good_tool("tar", &["-xpzf", &bundle, "-C", &dir]);
    good_tool("/usr/bin/python3", &["-c", script, &lab.path("on").display().to_string()]);
    good_tool("tar", &["-czf", &bundle, "-C", &dir, "on"]);
    found();
    lab.good(&["bundle", "--all", "--templates", "t"]);
    lab.good(&["verify", "--offline"]);
}

/// Unpacks `host`'s bundle, lets `python` change the tree in the folder `t`, lists the result in the manifest, and packs
/// it again: a well-formed bundle of a bad tree.
fn repacked(lab: &Lab, host: &str, python: &str) {
    let script = format!(
        r#"
import hashlib, json, os, re, shutil, sys
t = sys.argv[1]
def read(path): return open(t + "/" + path).read()
def write(path, text): open(t + "/" + path, "w").write(text)
def swap(path, old, new):
    text = read(path)
    assert old in text, (path, old)
    write(path, text.replace(old, new))
{python}
manifest = json.load(open(t + "/manifest.json"))
kept = [file for file in manifest["files"] if os.path.exists(t + "/" + file["path"])]
for file in kept:
    file["sha256"] = hashlib.sha256(open(t + "/" + file["path"], "rb").read()).hexdigest()
manifest["files"] = kept
text = json.dumps(manifest)
write("manifest.json", text)
write("manifest.sha256", hashlib.sha256(text.encode()).hexdigest() + "  manifest.json\n")
"#
    );
    let dir = lab.dir().display().to_string();
    let (bundle, tree) = (format!("{dir}/bundles/{host}.tar.gz"), format!("{dir}/{host}"));
    good_tool("tar", &["-xpzf", &bundle, "-C", &dir]);
    good_tool("/usr/bin/python3", &["-c", &script, &tree]);
    good_tool("tar", &["-czf", &bundle, "-C", &dir, host]);
    std::fs::remove_dir_all(&tree).expect("removed");
}

#[test]
fn a_bundle_that_weakens_trust_in_any_file_is_found() {
    needs!("python3");
    let lab = Lab::issued();
    let kubernetes = "etc/kubernetes";
    for (host, python, status) in [
        ("master-1", r#"swap("K/clusterctl/apiserver.env", "--anonymous-auth=false", "--anonymous-auth=true")"#, 1),
        (
            "master-1",
            r#"swap("K/manifests/kube-apiserver.yaml", '    - "--kubelet-certificate-authority=/K/pki/ca.crt"\n', "")"#,
            1,
        ),
        ("master-1", r#"swap("K/clusterctl/etcd.env", "--client-cert-auth=true", "--client-cert-auth=false")"#, 1),
        (
            "master-1",
            r#"swap("K/clusterctl/apiserver.env", "--anonymous-auth=false", "--anonymous-auth=false\n--token-auth-file=/x")"#,
            1,
        ),
        ("master-1", r#"os.remove(t + "/K/clusterctl/authorization.yaml")"#, 1),
        (
            "master-1",
            r#"swap("K/clusterctl/authorization.yaml", "failurePolicy: Deny", "failurePolicy: NoOpinion")"#,
            1,
        ),
        ("master-1", r#"os.remove(t + "/K/pki/etcd/ca.crt")"#, 1),
        ("master-1", r#"shutil.copy(t + "/K/pki/apiserver-kubelet-client.crt", t + "/K/pki/apiserver.crt")"#, 1),
        ("master-1", r#"write("K/pki/sa.pub", "nothing")"#, 1),
        ("master-1", r#"swap("K/manifests/etcd.yaml", "registry.k8s.io", "evil.example")"#, 0),
        (
            "on",
            r#"swap("etc/systemd/system/kubelet.service.d/99-clusterctl.conf", "--config=/var/lib/kubelet/config.yaml", "--config=/tmp/x")"#,
            1,
        ),
        (
            "on",
            r#"swap("etc/systemd/system/kubelet.service.d/99-clusterctl.conf", "ExecStart=kubelet ", "ExecStart=kubelet --anonymous-auth=true ")"#,
            1,
        ),
        (
            "on",
            r#"shutil.copy(t + "/var/lib/kubelet/pki/kubelet-server.key", t + "/var/lib/kubelet/pki/kubelet-client.key")"#,
            1,
        ),
        ("on", r#"os.remove(t + "/var/lib/kubelet/config.yaml")"#, 1),
        ("on", r#"write("install.sh", "echo pwned\n")"#, 0),
    ] {
        lab.good(&["bundle", host]);
        repacked(&lab, host, &python.replace("K/", &format!("{kubernetes}/")));
        let found = problems(&lab);
        assert!(found.starts_with(&format!("exit status {status}\n")), "{python}: {found}");
        insta::assert_snapshot!(found);
    }
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn swapped_cas_and_open_modes_are_found() {
    let lab = Lab::issued();
    let copy = |from: &str, to: &str| std::fs::copy(lab.path(from), lab.path(to)).map(|_| ()).expect("copied");
    copy("pki/ca.crt", "pki/front-proxy/ca.crt");
    insta::assert_snapshot!(problems(&lab));

    let lab = Lab::issued();
    std::fs::set_permissions(lab.path("pki"), PermissionsExt::from_mode(0o755)).expect("chmod");
    std::fs::set_permissions(lab.path("pki/ledger.sqlite3"), PermissionsExt::from_mode(0o666)).expect("chmod");
    insta::assert_snapshot!(problems(&lab));
}

#[test]
fn flags_that_would_be_ignored_are_refused() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let cases: [&[&str]; 8] = [
        &["verify", "--offline", "--from", "x.tar.gz"],
        &["verify", "--offline", "--ca", "x"],
        &["verify", "--offline", "--kubeconfig", "x"],
        &["verify", "--offline", "--master-cert", "x", "--master-key", "x"],
        &["verify", "--node-cert", "x", "--node-key", "x"],
        &["verify", "--from", "bundles/on.tar.gz", "--node-cert", "x", "--node-key", "x"],
        &["verify", "--from", "bundles/on.tar.gz", "--node", "worker-b1"],
        &["verify", "--ca", "pki/ca.crt"],
    ];
    for args in cases {
        let ran = lab.run(args);
        assert_eq!(ran.status, 2, "{args:?}: {ran}");
    }
}

#[test]
fn an_expired_ca_fails_offline() {
    let mut lab = Lab::issued();
    lab.now += time::Duration::days(3651);
    let found = offline(&lab, &[]);
    assert_eq!(found.status, 1, "{found:?}");
    assert!(found.ids().iter().any(|ids| ids.starts_with("fail trust.anchor ")), "{found:?}");
}

#[test]
fn json_is_versioned_and_complete_on_failure() {
    let lab = Lab::issued();
    std::fs::remove_file(lab.path("pki/masters/master-2/apiserver.crt")).expect("removed");
    let ran = lab.run(&["verify", "--offline", "--output", "json"]);
    assert_eq!(ran.status, 1, "{ran}");
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(value["schemaVersion"], 1);
    let results = value["results"].as_array().expect("results");
    let failed: Vec<&str> = results.iter().filter(|r| r["status"] == "fail").filter_map(|r| r["id"].as_str()).collect();
    assert_eq!(failed, ["store.credential"]);
    assert_eq!(results.len(), 30);
}

#[test]
fn unknown_nodes_bad_pins_and_contradictions_are_usage_errors() {
    let lab = Lab::issued();
    let cases: [&[&str]; 5] = [
        &["verify", "--node", "onn"],
        &["verify", "--resolve", "api"],
        &["verify", "--offline", "--masters-only"],
        &["verify", "--timeout", "-1"],
        &["verify", "--timeout", "0"],
    ];
    for args in cases {
        let ran = lab.run(args);
        assert_eq!(ran.status, 2, "{args:?}: {ran}");
    }
}

#[test]
fn verify_without_a_ca_exits_with_3() {
    let lab = Lab::with(CLUSTER);
    insta::assert_snapshot!("verify_without_a_ca", lab.run(&["verify"]).to_string());
}
