//! Untrusted files: control characters are escaped, FIFOs do not block, and duplicates are rejected.

use std::fs;
use std::os::unix::net::UnixListener;

use base64ct::{Base64, Encoding};
use clusterctl::bundle::archive::ArchiveError;
use clusterctl::bundle::format;
use clusterctl::store::credentials::CredentialProblem;
use serde_json::{Value, json};

use crate::cloud_init::decompressed;
use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::plans::master_plan;
use crate::support::{CLUSTER, Lab, ends, good_tool};

#[test]
fn terminal_escapes_in_bundles_are_not_printed() {
    needs!("openssl");
    let lab = Lab::issued();
    lab.good(&["bundle", "on"]);
    let dir = lab.dir().display().to_string();
    good_tool("tar", &["-xzf", &lab.path("bundles/on.tar.gz").display().to_string(), "-C", &dir]);
    let manifest = lab.read("on/manifest.json").replacen('{', r#"{"\u001b]0;pwned\u0007\u202e": 1,"#, 1);
    lab.write("on/manifest.json", &manifest);
    good_tool("tar", &["-czf", &lab.path("hostile.tar.gz").display().to_string(), "-C", &dir, "on"]);
    for args in [&["open", "hostile.tar.gz"][..], &["show", "hostile.tar.gz"], &["verify", "--from", "hostile.tar.gz"]]
    {
        let ran = lab.run(args);
        assert_ne!(ran.status, 0, "{ran}");
        assert!(!ran.err.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", ran.err);
        assert!(ran.err.contains("pwned"), "the reason is given: {ran}");
    }
    let pem = good_tool("openssl", &["genpkey", "-algorithm", "ed25519"]);
    fs::write(lab.path("k.pem"), pem).expect("written");
    let key = lab.path("k.pem").display().to_string();
    let subject = "/CN=a\u{202e}b";
    let request = good_tool("openssl", &["req", "-new", "-utf8", "-key", &key, "-subj", subject]);
    fs::write(lab.path("r.csr"), request).expect("written");
    let shown = lab.good(&["show", "r.csr"]).out;
    assert!(!shown.contains('\u{202e}'), "{shown:?}");
}

#[test]
fn a_kubeconfig_that_names_a_fifo_does_not_block() {
    let lab = Lab::issued();
    good_tool("mkfifo", &[&lab.path("pipe").display().to_string()]);
    lab.write(
        "kubeconfig",
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {server: https://10.0.0.1:6443, \
         certificate-authority: pipe}\nusers: []\ncontexts: []\n",
    );
    insta::assert_snapshot!("show_with_a_fifo_as_ca", lab.good(&["show", "kubeconfig"]).out);
    let ran = lab.run(&["verify", "--kubeconfig", "kubeconfig"]);
    insta::assert_snapshot!("verify_with_a_fifo_as_ca", ran.to_string());
    fs::remove_file(lab.path("pipe")).expect("removed");
    let ran = lab.run(&["verify", "--kubeconfig", "kubeconfig"]);
    insta::assert_snapshot!("verify_with_a_missing_ca", ran.to_string());
}

#[test]
fn a_fifo_that_is_named_is_refused_and_not_waited_for() {
    let lab = Lab::issued();
    good_tool("mkfifo", &[&lab.path("pipe").display().to_string()]);
    ends(move || {
        for (args, status) in [
            (&["status", "--pki", "pipe"][..], 1),
            (&["show", "pipe"], 2),
            (&["lint", "pipe"], 1),
            (&["crl", "show", "pipe"], 2),
            (&["ledger", "adopt", "pipe"], 2),
            (&["revoke", "pipe", "--yes"], 2),
            (&["open", "pipe", "--to", "there"], 2),
            (&["verify", "--kubeconfig", "pipe"], 2),
            (&["verify", "--replay", "pipe"], 2),
            (&["--dir", "new", "restore", "pipe"], 2),
        ] {
            let ran = lab.run(args);
            assert_eq!(ran.status, status, "{args:?}: {ran}");
        }
    });
}

#[test]
fn what_is_no_plain_file_is_refused_as_a_file_and_named() {
    let lab = Lab::issued();
    fs::create_dir(lab.path("new")).expect("made");
    fs::copy(lab.path("cluster.yaml"), lab.path("new/cluster.yaml")).expect("a copy");
    fs::create_dir(lab.path("empty")).expect("made");
    fs::copy(lab.path("cluster.yaml"), lab.path("empty/cluster.yaml")).expect("a copy");
    let _socket = UnixListener::bind(lab.path("socket")).expect("a socket");
    good_tool("mkfifo", &[&lab.path("pipe").display().to_string()]);
    fs::create_dir(lab.path("folder")).expect("made");
    ends(move || {
        for named in ["pipe", "socket", "folder"] {
            let import = ["--dir", "empty", "import-ca", "--as", "cluster", "--plaintext-ca-key", "--cert"];
            let sign = ["sign", "--host", "on", "--profile", "kubelet-server"];
            let files = ["verify", "--endpoint", "https://127.0.0.1:1", "--ca"];
            let [cert, key] = ["crt", "key"].map(|end| format!("pki/masters/master-1/apiserver-kubelet-client.{end}"));
            let mut cases = vec![
                [&import[..], &[named, "--key", "pki/ca.key"]].concat(),
                [&import[..], &["pki/ca.crt", "--key", named]].concat(),
                [&import[..], &["pki/ca.crt", "--key", "pki/ca.key", "--chain", named]].concat(),
                [&sign[..], &[named]].concat(),
                vec!["crl", "show", named],
                vec!["open", named, "--to", "there"],
                vec!["verify", "--kubeconfig", named],
                vec!["verify", "--replay", named],
                vec!["verify", "--crl", named],
                [&files[..], &[named]].concat(),
                [&files[..], &["pki/ca.crt", "--master-cert", named, "--master-key", &key]].concat(),
                [&files[..], &["pki/ca.crt", "--master-cert", &cert, "--master-key", named]].concat(),
                vec!["--dir", "restored", "restore", named],
                vec!["bundle", "--all", "--encrypt-to", named],
            ];
            // A program may still write a passphrase into a pipe.
            if named != "pipe" {
                cases.push(vec!["--dir", "new", "init-ca", "--ca-passphrase-file", named]);
                cases.push(vec!["backup", "b.age", "--passphrase-file", named]);
            }
            for args in cases {
                let ran = lab.run(&args);
                assert!(ran.status == 2 && ran.err.contains(named), "{args:?}: {ran}");
            }
        }
        assert_eq!(lab.run(&["crl", "show", "/dev/zero"]).status, 2, "too large");
    });
}

#[test]
fn a_ledger_that_is_no_plain_file_is_named_and_rebuilt() {
    for kind in ["pipe", "folder", "socket"] {
        let lab = Lab::issued();
        let ledger = lab.path("pki/ledger.sqlite3");
        fs::rename(&ledger, lab.path("aside")).expect("moved");
        let _socket = match kind {
            "pipe" => {
                good_tool("mkfifo", &["-m", "600", &ledger.display().to_string()]);
                None
            }
            "folder" => {
                fs::create_dir(&ledger).expect("made");
                None
            }
            _ => Some(UnixListener::bind(&ledger).expect("a socket")),
        };
        ends(move || {
            let commands: [&[&str]; 5] = [
                &["issue-node", "--all"],
                &["status"],
                &["log"],
                &["revoke", "on", "--yes"],
                &["backup", "b.age", "--passphrase-file", "cluster.yaml", "--allow-weak-passphrase"],
            ];
            for args in commands {
                let ran = lab.run(args);
                assert!((1..=4).contains(&ran.status), "{kind} {args:?}: {ran}");
                let told = [ran.out.as_str(), ran.err.as_str()].concat();
                assert!(told.contains("DIR/pki/ledger.sqlite3"), "{kind} {args:?}: {ran}");
            }
            let ran = lab.run(&["ledger", "check", "--output", "json"]);
            let report: Value = serde_json::from_str(&ran.out).expect("JSON");
            assert_eq!((ran.status, &report["findings"][0]["id"]), (1, &json!("ledger.integrity")), "{ran}");
            lab.good(&["ledger", "rebuild"]);
            lab.good(&["ledger", "check"]);
        });
    }
}

#[test]
fn a_passphrase_may_come_through_a_fifo() {
    let mut lab = Lab::with(CLUSTER);
    lab.write("passphrase", "three in the morning\n");
    lab.good(&["init-ca", "--ca-passphrase-file", "passphrase"]);
    good_tool("mkfifo", &["-m", "600", &lab.path("pipe").display().to_string()]);
    lab.env.clear();
    let pipe = lab.path("pipe");
    let writer = std::thread::spawn(move || fs::write(pipe, "three in the morning\n"));
    lab.good(&["issue-node", "on", "--ca-passphrase-file", "pipe"]);
    writer.join().expect("no panic").expect("written");
}

#[test]
fn an_ignition_config_with_a_duplicate_file_is_refused() {
    let lab = Lab::issued();
    lab.good(&["bundle", "on", "--format", "ignition"]);
    let mut config: Value = serde_json::from_str(&lab.read("bundles/on.ign")).expect("JSON");
    let files = config["storage"]["files"].as_array_mut().expect("files");
    let weak = b"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    let mut twice = files.iter().find(|file| file["path"] == "/var/lib/kubelet/config.yaml").expect("there").clone();
    twice["contents"]["source"] = json!(format!("data:;base64,{}", Base64::encode_string(weak)));
    files.push(twice);
    lab.write("bundles/on.ign", &config.to_string());
    let ran = lab.run(&["show", "bundles/on.ign"]);
    assert_eq!(ran.status, 2, "{ran}");
    let twice = ArchiveError::Twice { path: "var/lib/kubelet/config.yaml".to_owned() };
    assert_eq!(format::read(lab.read("bundles/on.ign").as_bytes()), Err(twice));
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1);
}

#[test]
fn user_data_with_thousands_of_files_is_refused_quickly() {
    needs!("gzip");
    let lab = Lab::issued();
    lab.good(&["bundle", "on", "--format", "cloud-init"]);
    let data = fs::read_to_string(decompressed(&lab, &lab.path("bundles/on.cloud-init.yaml.gz"))).expect("text");
    let lines = data.lines().filter(|line| line.starts_with("- {\"path\""));
    let line = lines.min_by_key(|line| line.len()).expect("a file");
    let begin = line.find("/run/").expect("a path");
    let end = begin + line[begin..].find('"').expect("its end");
    let folder = line[begin..end].split('/').take(4).collect::<Vec<_>>().join("/");
    let mut many = data.clone();
    for i in 0..20_000 {
        many.push_str(&format!("{}{folder}/f{i}{}\n", &line[..begin], &line[end..]));
    }
    lab.write("many.yaml", &many);
    // Only quadratic work would take long.
    let (ran, read) = ends(move || (lab.run(&["show", "many.yaml"]), format::read(many.as_bytes())));
    assert_eq!(ran.status, 2, "{ran}");
    assert_eq!(read.err(), Some(ArchiveError::TooManyFiles));
}

#[test]
fn a_certificate_file_with_two_certificates_is_reissued() {
    let lab = Lab::issued();
    let path = "pki/masters/master-1/apiserver-kubelet-client.crt";
    lab.write(path, &format!("{}{}", lab.read(path), lab.read("pki/ca.crt")));
    let found = offline(&lab, &[]);
    assert_eq!((found.status, found.ids()), (1, vec!["fail store.credential master-1 issue"]), "{found:?}");
    let file = lab.path(path);
    let plan = master_plan(&lab);
    assert_eq!(
        plan.only_problem(),
        ("master-1 apiserver-kubelet-client", &CredentialProblem::Several(file, 2)),
        "{plan:?}"
    );
    lab.good(&["issue-master", "--all"]);
    assert_eq!(lab.read(path).matches("BEGIN").count(), 1);
    lab.good(&["verify", "--offline"]);
    lab.good(&["bundle", "--verifier"]);
}

/// Returns the kinds of the objects that `show` finds in a file.
fn kinds(lab: &Lab, file: &str) -> Vec<String> {
    let shown = lab.good(&["show", "--output", "json", file]).out;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let items = shown["files"][0]["items"].as_array().expect("items").iter();
    items.map(|item| item["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[test]
fn show_finds_an_encrypted_key_and_the_certificate_after_it() {
    needs!("openssl");
    let lab = Lab::issued();
    let key = lab.path("enc.pem").display().to_string();
    let encrypted = ["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", &key];
    good_tool("openssl", &encrypted);
    lab.write("both.pem", &format!("{}{}", lab.read("enc.pem"), lab.read("pki/ca.crt")));
    assert_eq!(kinds(&lab, "both.pem"), ["CA certificate", "encrypted private key"]);
}

#[test]
fn unsupported_key_formats_are_not_reported_as_damaged() {
    needs!("openssl", "ssh-keygen");
    let lab = Lab::issued();
    let old = lab.path("old.pem").display().to_string();
    good_tool("openssl", &["genrsa", "-aes128", "-passout", "pass:abcd", "-traditional", "-out", &old, "2048"]);
    let ran = lab.run(&["show", "old.pem"]);
    insta::assert_snapshot!("a_traditional_encrypted_key", ran.to_string());
    // This follows the hint.
    let new = lab.path("new.pem").display().to_string();
    let pass = ["-passin", "pass:abcd", "-passout", "pass:abcd"];
    good_tool("openssl", &[&["pkcs8", "-topk8", "-in", &old, "-out", &new], &pass[..]].concat());
    assert_eq!(kinds(&lab, "new.pem"), ["encrypted private key"]);
    let ssh = lab.path("ssh").display().to_string();
    good_tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &ssh]);
    let ran = lab.run(&["show", "ssh"]);
    insta::assert_snapshot!("an_openssh_key", ran.to_string());
}

#[test]
fn a_revoked_verifier_is_not_packed_after_a_restored_ledger() {
    let lab = Lab::issued();
    let ledger = lab.path("pki/ledger.sqlite3");
    let before = fs::read(&ledger).expect("a ledger");
    lab.good(&["revoke", "clusterctl:verifier", "--yes"]);
    fs::write(&ledger, before).expect("put back");
    let ran = lab.run(&["bundle", "--verifier"]);
    assert_eq!(ran.status, 3, "{ran}");
    assert!(!lab.path("verifier.tar.gz").exists(), "{ran}");
    insta::assert_snapshot!("a_revocation_that_the_ledger_lacks", ran.err);
}

#[test]
fn show_json_has_lists_for_repeated_facts() {
    let lab = Lab::issued();
    lab.good(&["bundle", "on"]);
    let shown = lab.good(&["show", "--output", "json", "bundles/on.tar.gz"]).out;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let facts = &shown["files"][0]["items"][0]["facts"];
    assert!(facts["files"].as_array().is_some_and(|files| files.len() > 5), "{facts}");
    assert!(facts["host"].is_string(), "{facts}");
}
