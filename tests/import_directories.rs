//! `import-ca --from-kubeadm` and `--from-k3s`: control planes as openssl makes them after the layouts of both.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::importing::full_lifecycle_with_all_cas;
use crate::support::openssl::{CLIENT, ED25519, GOOD, KUBEADM, P256, RSA, SERVER, key, kubeconfig, leaf, root};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, forms, good_tool};

/// Moves what was made in the laboratory's folder into a folder of a tool.
fn moved(lab: &Lab, name: &str, to: &str) {
    for ending in ["crt", "key"] {
        let to = lab.path(&format!("{to}.{ending}"));
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::rename(lab.path(&format!("{name}.{ending}")), to).expect("moved");
    }
}

/// Makes kubeadm's `/etc/kubernetes/pki`, as far as CAs and the service accounts' key are concerned.
pub(crate) fn kubeadm(lab: &Lab) {
    for (name, file) in [("kubernetes", "ca"), ("front-proxy-ca", "front-proxy-ca"), ("etcd-ca", "etcd/ca")] {
        root(lab, "made", &format!("/CN={name}"), KUBEADM, RSA);
        moved(lab, "made", &format!("kubernetes/pki/{file}"));
    }
    key(lab, "kubernetes/pki/sa", RSA);
}

/// Makes the certificates that kubeadm issues to a control plane, and its kubeconfigs.
fn kubeadms_certificates(lab: &Lab) {
    let both = format!("{SERVER},clientAuth\nsubjectAltName=DNS:master-1,IP:10.20.0.11");
    let server = format!("{SERVER}\nsubjectAltName=DNS:master-1,DNS:kubernetes,IP:10.20.0.11");
    let leaves = [
        ("pki/apiserver", "/CN=kube-apiserver", server.as_str(), "ca"),
        ("pki/apiserver-kubelet-client", "/O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client", CLIENT, "ca"),
        ("pki/apiserver-etcd-client", "/CN=kube-apiserver-etcd-client", CLIENT, "etcd/ca"),
        ("pki/front-proxy-client", "/CN=front-proxy-client", CLIENT, "front-proxy-ca"),
        ("pki/etcd/server", "/CN=master-1", &both, "etcd/ca"),
        ("pki/etcd/peer", "/CN=master-1", &both, "etcd/ca"),
        ("pki/etcd/healthcheck-client", "/CN=kube-etcd-healthcheck-client", CLIENT, "etcd/ca"),
        ("super-admin", "/O=system:masters/CN=kubernetes-super-admin", CLIENT, "ca"),
        ("scheduler", "/CN=system:kube-scheduler", CLIENT, "ca"),
    ];
    for (i, (name, subject, extensions, ca)) in leaves.iter().enumerate() {
        let (name, ca) = (format!("kubernetes/{name}"), format!("kubernetes/pki/{ca}"));
        leaf(lab, &name, subject, extensions, &ca, &format!("{:02x}", i + 0x20));
    }
    kubeconfig(lab, "kubernetes/super-admin");
    kubeconfig(lab, "kubernetes/scheduler");
}

/// Makes the certificates that k3s issues to a server; each is followed by its CA.
fn certificates_of_k3s(lab: &Lab) {
    let server = format!("{SERVER}\nsubjectAltName=DNS:master-1,IP:10.20.0.11");
    let both = format!("{SERVER},clientAuth\nsubjectAltName=DNS:master-1,IP:10.20.0.11");
    let leaves = [
        ("client-admin", "/O=system:masters/CN=system:admin", CLIENT, "client-ca"),
        ("client-scheduler", "/CN=system:kube-scheduler", CLIENT, "client-ca"),
        ("client-auth-proxy", "/CN=system:auth-proxy", CLIENT, "request-header-ca"),
        ("serving-kube-apiserver", "/CN=kube-apiserver", server.as_str(), "server-ca"),
        ("etcd/server-client", "/CN=etcd-server", &both, "etcd/server-ca"),
        ("etcd/peer-server-client", "/CN=etcd-peer", &both, "etcd/peer-ca"),
        ("etcd/client", "/CN=etcd-client", CLIENT, "etcd/server-ca"),
    ];
    for (i, (name, subject, extensions, ca)) in leaves.iter().enumerate() {
        let (name, ca) = (format!("server/tls/{name}"), format!("server/tls/{ca}"));
        leaf(lab, &name, subject, extensions, &ca, &format!("{:02x}", i + 0x20));
        let followed = lab.read(&format!("{name}.crt")) + &lab.read(&format!("{ca}.crt"));
        lab.write(&format!("{name}.crt"), &followed);
    }
    fs::create_dir_all(lab.path("server/cred")).expect("a folder");
    lab.write("server/cred/passwd", "a,b,c\n");
    // etcd's database, which is not searched.
    fs::create_dir_all(lab.path("server/db/etcd")).expect("a folder");
    fs::copy(lab.path("server/tls/client-admin.crt"), lab.path("server/db/etcd/copy.crt")).expect("a copy");
}

/// Returns the recorded certificates: profile, host and file, sorted.
fn recorded(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let adopted = report["recorded"]["adopted"].as_array().expect("a list").iter();
    let mut recorded: Vec<_> = adopted
        .map(|one| {
            let file = text(&one["file"]);
            (text(&one["profile"]), text(&one["host"]), file.rsplit('/').next().unwrap_or_default().to_owned())
        })
        .collect();
    recorded.sort();
    recorded
}

#[test]
fn the_certificates_beside_kubeadms_cas_are_in_the_ledger() {
    needs!("openssl");
    // Both folders that may be named; of pki alone, the kubeconfigs above it are not looked for.
    for (named, count) in [("kubernetes", 9), ("kubernetes/pki", 7)] {
        let lab = Lab::with(CLUSTER);
        kubeadm(&lab);
        kubeadms_certificates(&lab);
        good_tool("mkfifo", &[&lab.path("kubernetes/pipe.conf").display().to_string()]);
        let ran =
            lab.good(&["import-ca", "--from-kubeadm", named, "--plaintext-ca-key", "-o", "json", "--host", "master-1"]);
        forms::conforms("import-ca", &ran.out);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let recorded = recorded(&report);
        assert_eq!(recorded.len(), count, "{report:#}");
        assert_eq!(report["recorded"]["skipped"], serde_json::json!([]), "{report:#}");
        for profile in ["apiserver", "etcd-server", "etcd-peer", "apiserver-etcd-client", "front-proxy-client"] {
            let found = recorded.iter().find(|one| one.0 == profile);
            assert!(found.is_some_and(|one| one.1 == "master-1"), "{profile}: {recorded:?}");
        }
        // They can be revoked by their serial numbers, and nothing is left to adopt.
        let again: Value =
            serde_json::from_str(&lab.good(&["ledger", "adopt", named, "-o", "json"]).out).expect("JSON");
        assert_eq!((&again["adopted"], &again["known"]), (&serde_json::json!([]), &serde_json::json!(count)));
        lab.good(&["revoke", "0x21", "--yes"]);
        lab.good(&["ledger", "check"]);
    }
    let lab = Lab::with(CLUSTER);
    kubeadm(&lab);
    let args = ["import-ca", "--from-kubeadm", "kubernetes", "--plaintext-ca-key", "--host", "master-9"];
    assert_eq!(lab.run(&args).status, 2, "there is no such host");
    assert!(!lab.path("pki").exists());
}

#[test]
fn the_certificates_beside_the_cas_of_k3s_are_in_the_ledger() {
    needs!("openssl");
    for named in ["server", "server/tls"] {
        let lab = Lab::with(CLUSTER);
        k3s(&lab);
        certificates_of_k3s(&lab);
        let report = import(&lab, "--from-k3s", named);
        let recorded = recorded(&report);
        assert_eq!(recorded.len(), 7, "{report:#}");
        assert_eq!(report["recorded"]["skipped"], serde_json::json!([]), "{report:#}");
        let of =
            |profile: &str| recorded.iter().find(|one| one.0 == profile).map(|one| (one.1.as_str(), one.2.as_str()));
        assert_eq!(of("break-glass"), Some(("-", "client-admin.crt")), "{recorded:?}");
        // The CA of etcd's peers signs no more, and what it signed is known.
        assert_eq!(of("etcd-peer"), Some(("master-1", "peer-server-client.crt")), "{recorded:?}");
        assert_eq!(of("etcd-server"), Some(("master-1", "server-client.crt")), "{recorded:?}");
        lab.good(&["ledger", "check"]);
    }
}

/// Makes k3s's `server/tls`.
pub(crate) fn k3s(lab: &Lab) {
    for file in ["server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"] {
        let subject = format!("/CN=k3s-{}@1790000000", file.replace('/', "-"));
        root(lab, "made", &subject, KUBEADM, P256);
        moved(lab, "made", &format!("server/tls/{file}"));
    }
    key(lab, "server/tls/service", RSA);
}

fn import(lab: &Lab, tool: &str, folder: &str) -> Value {
    let ran = lab.good(&["import-ca", tool, folder, "--plaintext-ca-key", "-o", "json"]);
    forms::conforms("import-ca", &ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

/// Returns the public half of a key, by openssl.
fn public(path: &Path) -> String {
    good_tool("openssl", &["pkey", "-in", &path.display().to_string(), "-pubout"])
}

#[test]
fn kubeadms_control_plane_is_imported_and_lives() {
    needs!("openssl");
    let live = full_lifecycle_with_all_cas(
        |lab| {
            kubeadm(lab);
            let report = import(lab, "--from-kubeadm", "kubernetes");
            let roles: Vec<&Value> = report["cas"].as_array().expect("CAs").iter().map(|ca| &ca["role"]).collect();
            assert_eq!(roles, ["cluster", "etcd", "front-proxy"]);
            assert_eq!(report["trusted"], serde_json::json!([]));
        },
        false,
    );
    let lab = &live.lab;
    assert_eq!(public(&lab.path("pki/sa.key")), public(&lab.path("kubernetes/pki/sa.key")));
    assert_eq!(lab.read("pki/sa.pub"), public(&lab.path("pki/sa.key")));
    for (ours, theirs) in [("ca", "ca"), ("etcd/ca", "etcd/ca"), ("front-proxy/ca", "front-proxy-ca")] {
        let theirs = format!("kubernetes/pki/{theirs}");
        assert_eq!(lab.read(&format!("pki/{ours}.crt")).trim(), lab.read(&format!("{theirs}.crt")).trim());
        assert_eq!(public(&lab.path(&format!("pki/{ours}.key"))), public(&lab.path(&format!("{theirs}.key"))));
    }
    lab.good(&["ledger", "check"]);
}

#[test]
fn the_control_plane_of_k3s_is_imported_and_lives() {
    needs!("openssl");
    let live = full_lifecycle_with_all_cas(
        |lab| {
            k3s(lab);
            let report = import(lab, "--from-k3s", "server");
            assert_eq!(report["trusted"].as_array().map(Vec::len), Some(2), "{report}");
        },
        false,
    );
    let lab = &live.lab;
    // Clients and servers that k3s issued are accepted still.
    let count = |path: &str| lab.read(path).matches("BEGIN CERTIFICATE").count();
    assert_eq!(["pki/ca.crt", "pki/etcd/ca.crt", "pki/front-proxy/ca.crt"].map(count), [2, 2, 1]);
    assert_eq!(public(&lab.path("pki/sa.key")), public(&lab.path("server/tls/service.key")));
}

#[test]
fn a_newer_key_of_k3s_and_encrypted_keys_are_taken() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    k3s(&lab);
    key(&lab, "server/tls/service.current", P256);
    lab.write("theirs", "theirs\n");
    lab.write("ours", "a passphrase of ours\n");
    for ca in ["server-ca", "request-header-ca"] {
        let path = lab.path(&format!("server/tls/{ca}.key")).display().to_string();
        let encrypted = good_tool("openssl", &["pkcs8", "-topk8", "-in", &path, "-passout", "pass:theirs"]);
        fs::write(&path, encrypted).expect("written");
    }
    let args = ["import-ca", "--from-k3s", "server/tls", "--ca-passphrase-file", "ours"];
    assert_eq!(lab.run(&args).status, 2, "no passphrase, and no terminal");
    assert!(!lab.path("pki").exists());
    lab.good(&[&args[..], &["--key-passphrase-file", "theirs"]].concat());
    assert_eq!(public(&lab.path("pki/sa.key")), public(&lab.path("server/tls/service.current.key")));
    lab.good(&["issue-master", "--all", "--ca-passphrase-file", "ours"]);
}

/// What is wrong, the exit status, and how it is made so.
type Case = (&'static str, u8, fn(&Lab));

#[test]
fn all_is_imported_or_nothing() {
    needs!("openssl");
    let spoil: [Case; 8] = [
        ("a missing key", 2, |lab| fs::remove_file(lab.path("kubernetes/pki/etcd/ca.key")).expect("removed")),
        ("a missing certificate", 2, |lab| fs::remove_file(lab.path("kubernetes/pki/etcd/ca.crt")).expect("removed")),
        ("no key of service accounts", 2, |lab| fs::remove_file(lab.path("kubernetes/pki/sa.key")).expect("removed")),
        ("a key of service accounts that signs no tokens", 3, |lab| key(lab, "kubernetes/pki/sa", ED25519)),
        ("a key of another CA", 3, |lab| {
            fs::copy(lab.path("kubernetes/pki/ca.key"), lab.path("kubernetes/pki/etcd/ca.key")).expect("a copy");
        }),
        ("one CA for two roles", 3, |lab| {
            for ending in ["crt", "key"] {
                let path = |name: &str| lab.path(&format!("kubernetes/pki/{name}.{ending}"));
                fs::copy(path("ca"), path("front-proxy-ca")).expect("a copy");
            }
        }),
        ("a certificate that is no CA", 3, |lab| {
            root(lab, "made", "/CN=leaf", "basicConstraints=CA:FALSE", P256);
            moved(lab, "made", "kubernetes/pki/front-proxy-ca");
        }),
        ("a CA that was there", 3, |lab| drop(lab.good(&["init-ca", "--plaintext-ca-key"]))),
    ];
    for (what, status, spoil) in spoil {
        let lab = Lab::with(CLUSTER);
        kubeadm(&lab);
        spoil(&lab);
        let before = lab.snapshot();
        let ran = lab.run(&["import-ca", "--from-kubeadm", "kubernetes", "--plaintext-ca-key"]);
        assert_eq!(ran.status, status, "{what}: {ran}");
        assert_eq!(lab.snapshot(), before, "{what}");
    }
    let lab = Lab::with(CLUSTER);
    for args in
        [&["--from-kubeadm", "a", "--from-k3s", "b"][..], &["--from-k3s", "a", "--as", "etcd"], &["--as", "etcd"]]
    {
        assert_eq!(lab.run(&[&["import-ca"], args].concat()).status, 2, "{args:?}");
    }
    let ran = lab.run(&["import-ca", "--from-kubeadm", "absent", "--plaintext-ca-key"]);
    assert!(ran.status == 2 && ran.err.contains("/absent") && !ran.err.contains("ca.crt"), "{ran}");
}

/// Runs an import that is killed at a system call; returns false where it made fewer of these calls.
fn killed(lab: &Lab, call: &str, nth: usize, args: &[&str]) -> bool {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    let dir = lab.dir().display().to_string();
    let strace =
        ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl"), "--dir", &dir];
    let ran = Command::new("strace").args(strace).args(args).current_dir(lab.dir()).output().expect("strace runs");
    !ran.status.success()
}

/// Kills an import at each of several calls: afterwards there is nothing, or all of it, and the same command succeeds.
fn survives_kills(lab: &Lab, place: &str, args: &[&str]) {
    for call in ["mkdir,mkdirat", "rename,renameat,renameat2", "fsync,fdatasync,syncfs", "pwrite64", "unlink,unlinkat"]
    {
        let mut nth = 1;
        while killed(lab, call, nth, args) {
            let is_there = lab.path(place).exists();
            let again = lab.run(args);
            assert_eq!(again.status, if is_there { 3 } else { 0 }, "{call} {nth}: {again}");
            lab.good(&["ledger", "check"]);
            assert!(lab.path(&format!("{place}/ca.key")).exists() && lab.path(&format!("{place}/ca.crt")).exists());
            fs::remove_dir_all(lab.path(place)).expect("removed");
            nth = if call == "pwrite64" { nth * 2 } else { nth + 1 };
        }
        assert!(nth > 1 || call.starts_with("unlink"), "{call}: else this proves nothing");
        fs::remove_dir_all(lab.path(place)).expect("removed");
    }
}

#[test]
fn an_import_that_is_killed_leaves_nothing_or_all() {
    needs!("openssl", "strace");
    let mut lab = Lab::with(CLUSTER);
    // The program runs by the clock.
    lab.now = time::OffsetDateTime::now_utc();
    kubeadm(&lab);
    survives_kills(&lab, "pki", &["import-ca", "--from-kubeadm", "kubernetes", "--plaintext-ca-key"]);
    let one = |role, name: &str| {
        let (cert, key) = (format!("kubernetes/pki/{name}.crt"), format!("kubernetes/pki/{name}.key"));
        ["import-ca", "--as", role, "--cert", &cert, "--key", &key, "--plaintext-ca-key"].map(str::to_owned)
    };
    let of_cluster = one("cluster", "ca");
    let of_cluster: Vec<&str> = of_cluster.iter().map(String::as_str).collect();
    survives_kills(&lab, "pki", &of_cluster);
    lab.good(&of_cluster);
    let of_etcd = one("etcd", "etcd/ca");
    survives_kills(&lab, "pki/etcd", &of_etcd.iter().map(String::as_str).collect::<Vec<_>>());
    root(&lab, "other", "/CN=other", GOOD, P256);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
}
