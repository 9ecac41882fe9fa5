//! `verify` as a command: what it is pointed at, exit statuses, and what lies in the directory. What happens on the wire
//! is in `verify.rs`.

use std::os::unix::fs::PermissionsExt;

use clusterctl::pki::pem;

use crate::support::fleets::{self, fleet_of};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool};

#[test]
fn a_good_directory_is_good_and_that_proves_no_property() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let ran = lab.good(&["verify", "--offline"]);
    assert!(ran.out.contains("35 checks: 35 passed\n"), "{ran}");
    assert!(ran.out.contains("nothing was dialled"), "{ran}");
    // A directory says nothing of who can be reached, or of who is refused.
    let matrix: Vec<&str> =
        ran.out.lines().filter(|line| line.starts_with("node ") || line.starts_with("master ")).collect();
    assert!(matrix.iter().all(|line| !line.contains(" ok ")), "{ran}");
}

#[test]
fn everything_that_is_wrong_in_the_directory_is_found_in_one_run() {
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
    let ran = lab.run(&["verify", "--offline"]);
    assert_eq!(ran.status, 1, "{ran}");
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "kubelet-client.key has mode 0644, others can read it",
        "apiserver.crt is missing",
        "carries CN=kubelet:worker-b1 O=kubelets, the cluster file asks for CN=kubelet:worker-a1.fra1.example.net O=kubelets",
        "FAIL trust.match at node on ",
        "clusterctl issue-master master-2",
        "clusterctl bundle on",
    ] {
        assert!(flat.contains(told), "{told:?} is not in {ran}");
    }
}

#[test]
fn a_key_that_is_gone_is_to_be_issued_and_one_that_is_a_folder_is_looked_at() {
    let lab = Lab::issued();
    let told = || lab.run(&["verify", "--offline"]).out.split_whitespace().collect::<Vec<_>>().join(" ");
    let key = lab.path("pki/nodes/on/kubelet-server.key");
    std::fs::remove_file(&key).expect("removed");
    let gone = told();
    assert!(gone.contains("kubelet-server.key is missing") && gone.contains("clusterctl issue-node on"), "{gone}");
    assert!(!gone.contains("it may be good"), "{gone}");
    std::fs::create_dir(&key).expect("a folder");
    let folder = told();
    assert!(
        folder.contains("Is a directory") && folder.contains("a folder and a file took each other's place"),
        "{folder}"
    );
    assert!(!folder.contains("others can read it"), "{folder}");
}

#[test]
fn a_key_that_two_hosts_share_is_found() {
    let lab = Lab::issued();
    for ending in ["crt", "key"] {
        let from = lab.path(&format!("pki/nodes/on/kubelet-client.{ending}"));
        std::fs::copy(from, lab.path(&format!("pki/nodes/worker-b1/kubelet-client.{ending}"))).expect("copied");
    }
    let ran = lab.run(&["verify", "--offline"]);
    assert_eq!(ran.status, 1, "{ran}");
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("its key is also on kubelet-client's"), "{ran}");
}

/// The first few hundred signatures are verified in one way and the rest in another.
#[test]
fn of_a_fleet_each_certificate_that_the_root_did_not_sign_is_found() {
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
    let found: Vec<String> = failed
        .map(|result| {
            let observed = result["observed"].as_str().expect("a text");
            assert!(observed.contains("but the root's key did not sign it"), "{observed}");
            result["address"].as_str().expect("a path").to_owned()
        })
        .collect();
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
    let ran = lab.run(&["verify", "--offline"]);
    assert_eq!(ran.status, 1, "{ran}");
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains(
            "it leads to https://api.prod.example.net:6443, the cluster file to https://api.prod.example.net:7443"
        ),
        "{ran}"
    );

    let other = Lab::issued();
    other.good(&["bundle", "--all"]);
    std::fs::copy(other.path("bundles/on.tar.gz"), lab.path("bundles/on.tar.gz")).expect("copied");
    let ran = lab.run(&["verify", "--offline"]);
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("its manifest pins another root"), "{ran}");
}

#[test]
fn a_bundle_from_before_the_last_issue_is_found() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.good(&["issue-node", "on", "--reissue"]);
    let ran = lab.run(&["verify", "--offline"]);
    assert_eq!(ran.status, 1, "{ran}");
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("kubelet-client.crt is not the certificate that lies in the directory now"), "{ran}");
    assert!(flat.contains("clusterctl bundle on"), "{ran}");
    lab.good(&["bundle", "on"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn bundles_that_were_swapped_or_whose_templates_weaken_trust_are_found() {
    needs!("python3");
    let lab = Lab::issued();
    lab.good(&["bundle", "--eject-templates", "t"]);
    let found = |what: &str| {
        let ran = lab.run(&["verify", "--offline"]);
        assert_eq!(ran.status, 1, "{what}: {ran}");
        let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(what), "{what}: {ran}");
    };
    lab.good(&["bundle", "--all"]);
    std::fs::copy(lab.path("bundles/worker-b1.tar.gz"), lab.path("bundles/on.tar.gz")).expect("copied");
    found("it is the bundle of worker-b1");
    let changed = |path: &str, from: &str, to: &str| {
        let original = lab.read(path);
        assert!(original.contains(from), "{path} has no {from}: {original}");
        lab.write(path, &original.replace(from, to));
        lab.good(&["bundle", "--all", "--templates", "t"]);
        lab.write(path, &original);
    };
    let kubeconfig = "t/node/etc/kubernetes/kubelet.conf";
    changed(kubeconfig, "{{ cluster.endpoint }}", "\"https://evil.example:6443\"");
    found("it leads to https://evil.example:6443, the cluster file to https://api.prod.example.net:6443");
    changed(kubeconfig, "{{ files.ca }}", "/etc/ssl/certs/ca-certificates.crt");
    found("it trusts /etc/ssl/certs/ca-certificates.crt, which is not this root");
    lab.good(&["bundle", "--all", "--templates", "t"]);
    // No template makes such a bundle, but somebody may have.
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
    found("authorization.mode");
    lab.good(&["bundle", "--all", "--templates", "t"]);
    lab.good(&["verify", "--offline"]);
}

/// Unpacks `host`'s bundle, lets `python` change the tree in the folder `t`, lists what is there then in the manifest, and packs
/// it again: what a good packer makes of a bad tree.
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
fn a_bundle_that_undoes_trust_in_whatever_file_is_found() {
    needs!("python3");
    let lab = Lab::issued();
    let kubernetes = "etc/kubernetes";
    for (host, python, status, what) in [
        (
            "master-1",
            r#"swap("K/clusterctl/apiserver.env", "--anonymous-auth=false", "--anonymous-auth=true")"#,
            1,
            "does not say --anonymous-auth=false",
        ),
        (
            "master-1",
            r#"swap("K/manifests/kube-apiserver.yaml", '    - "--kubelet-certificate-authority=/K/pki/ca.crt"\n', "")"#,
            1,
            "does not say --kubelet-certificate-authority",
        ),
        (
            "master-1",
            r#"swap("K/clusterctl/etcd.env", "--client-cert-auth=true", "--client-cert-auth=false")"#,
            1,
            "does not say --client-cert-auth=true",
        ),
        (
            "master-1",
            r#"swap("K/clusterctl/apiserver.env", "--anonymous-auth=false", "--anonymous-auth=false\n--token-auth-file=/x")"#,
            1,
            "says --token-auth-file=/x",
        ),
        ("master-1", r#"os.remove(t + "/K/clusterctl/authorization.yaml")"#, 1, "authorization.yaml is missing"),
        (
            "master-1",
            r#"swap("K/clusterctl/authorization.yaml", "failurePolicy: Deny", "failurePolicy: NoOpinion")"#,
            1,
            "authorization.yaml says NoOpinion",
        ),
        ("master-1", r#"os.remove(t + "/K/pki/etcd/ca.crt")"#, 1, "etc/kubernetes/pki/etcd/ca.crt is missing"),
        (
            "master-1",
            r#"shutil.copy(t + "/K/pki/apiserver-kubelet-client.crt", t + "/K/pki/apiserver.crt")"#,
            1,
            "pki/apiserver.crt is not what lies in the directory",
        ),
        ("master-1", r#"write("K/pki/sa.pub", "nothing")"#, 1, "pki/sa.pub is not what lies in the directory"),
        (
            "master-1",
            r#"swap("K/manifests/etcd.yaml", "registry.k8s.io", "evil.example")"#,
            0,
            "otherwise than clusterctl would write it now: etc/kubernetes/manifests/etcd.yaml",
        ),
        (
            "on",
            r#"swap("etc/systemd/system/kubelet.service.d/99-clusterctl.conf", "--config=/var/lib/kubelet/config.yaml", "--config=/tmp/x")"#,
            1,
            "says --config=/tmp/x",
        ),
        (
            "on",
            r#"swap("etc/systemd/system/kubelet.service.d/99-clusterctl.conf", "ExecStart=kubelet ", "ExecStart=kubelet --anonymous-auth=true ")"#,
            1,
            "says --anonymous-auth=true",
        ),
        (
            "on",
            r#"shutil.copy(t + "/var/lib/kubelet/pki/kubelet-server.key", t + "/var/lib/kubelet/pki/kubelet-client.key")"#,
            1,
            "kubelet-client.key is not what lies in the directory",
        ),
        ("on", r#"os.remove(t + "/var/lib/kubelet/config.yaml")"#, 1, "var/lib/kubelet/config.yaml is missing"),
        ("on", r#"write("install.sh", "echo pwned\n")"#, 0, "otherwise than clusterctl would write it now: install.sh"),
    ] {
        lab.good(&["bundle", host]);
        repacked(&lab, host, &python.replace("K/", &format!("{kubernetes}/")));
        let ran = lab.run(&["verify", "--offline"]);
        let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(ran.status, status, "{python}: {ran}");
        assert!(flat.contains(what), "{python}: {ran}");
    }
    lab.good(&["bundle", "--all"]);
    let good = lab.good(&["verify", "--offline"]);
    assert!(good.out.contains("Good: "), "{good}");
}

#[test]
fn roots_in_each_others_places_and_open_doors_are_found() {
    let lab = Lab::issued();
    let copy = |from: &str, to: &str| std::fs::copy(lab.path(from), lab.path(to)).map(|_| ()).expect("copied");
    copy("pki/ca.crt", "pki/front-proxy/ca.crt");
    let ran = lab.run(&["verify", "--offline"]);
    assert_eq!(ran.status, 1, "{ran}");
    assert!(ran.out.contains("the ledger knows it as another root"), "{ran}");

    let lab = Lab::issued();
    std::fs::set_permissions(lab.path("pki"), PermissionsExt::from_mode(0o755)).expect("chmod");
    std::fs::set_permissions(lab.path("pki/ledger.sqlite3"), PermissionsExt::from_mode(0o666)).expect("chmod");
    let ran = lab.run(&["verify", "--offline"]);
    assert_eq!(ran.status, 1, "{ran}");
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("DIR/pki has mode 0755, others can read it; DIR/pki/ledger.sqlite3 has mode 0666"), "{ran}");
}

#[test]
fn flags_that_would_be_ignored_are_refused() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let cases: [(&[&str], &str); 7] = [
        (&["verify", "--offline", "--from", "x.tar.gz"], "cannot be used with"),
        (&["verify", "--offline", "--ca", "x"], "cannot be used with"),
        (&["verify", "--offline", "--kubeconfig", "x"], "cannot be used with"),
        (&["verify", "--offline", "--master-cert", "x", "--master-key", "x"], "cannot be used with"),
        (&["verify", "--node-cert", "x", "--node-key", "x"], "there are no roots to trust"),
        (&["verify", "--from", "bundles/on.tar.gz", "--node-cert", "x", "--node-key", "x"], "cannot be used with"),
        (&["verify", "--from", "bundles/on.tar.gz", "--node", "worker-b1"], "it cannot say where worker-b1 is"),
    ];
    for (args, told) in cases {
        let ran = lab.run(args);
        assert_eq!(ran.status, 2, "{args:?}: {ran}");
        assert!(ran.err.contains(told), "{args:?}: {told:?} is not in {ran}");
    }
    let ran = lab.run(&["verify", "--ca", "pki/ca.crt"]);
    assert_eq!((ran.status, ran.err.lines().next()), (2, Some("error: there is nobody to dial")));
}

#[test]
fn an_expired_directory_fails_and_names_the_root() {
    let mut lab = Lab::issued();
    lab.now += time::Duration::days(3651);
    let ran = lab.run(&["verify", "--offline"]);
    assert_eq!(ran.status, 1, "{ran}");
    assert!(ran.out.contains("FAIL trust.anchor"), "{ran}");
}

#[test]
fn json_is_versioned_and_complete_when_it_fails() {
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
    let cases: [(&[&str], &str); 5] = [
        (&["verify", "--node", "onn"], "hint: did you mean on ?"),
        (&["verify", "--resolve", "api"], "\"api\" is not NAME:ADDRESS"),
        (&["verify", "--offline", "--masters-only"], "cannot be used with"),
        (&["verify", "--timeout", "-1"], "error: "),
        (&["verify", "--timeout", "0"], "invalid value '0' for '--timeout"),
    ];
    for (args, told) in cases {
        let ran = lab.run(args);
        assert_eq!(ran.status, 2, "{args:?}: {ran}");
        assert!(ran.err.contains(told), "{args:?}: {told:?} is not in {ran}");
    }
}

#[test]
fn without_a_root_there_is_nothing_to_verify_with() {
    let lab = Lab::with(CLUSTER);
    let ran = lab.run(&["verify"]);
    assert_eq!((ran.status, ran.err.lines().next()), (3, Some("error: there is no root in DIR")));
}
