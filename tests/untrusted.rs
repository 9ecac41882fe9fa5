//! What strangers may have made: nothing of it is obeyed by a terminal, waited for, or believed twice.

use std::fs;

use base64ct::{Base64, Encoding};
use clusterctl::bundle::archive::ArchiveError;
use clusterctl::bundle::format;
use serde_json::{Value, json};

use crate::delivery::decompressed;
use crate::support::outside::needs;
use crate::support::{Lab, ends, good_tool};

#[test]
fn no_terminal_code_comes_through_an_error() {
    needs!("openssl");
    let lab = Lab::issued();
    lab.good(&["bundle", "on"]);
    let dir = lab.dir().display().to_string();
    good_tool("tar", &["-xzf", &lab.path("bundles/on.tar.gz").display().to_string(), "-C", &dir]);
    let manifest = lab.read("on/manifest.json").replacen('{', r#"{"\u001b]0;pwned\u0007\u202e": 1,"#, 1);
    lab.write("on/manifest.json", &manifest);
    good_tool("tar", &["-czf", &lab.path("evil.tar.gz").display().to_string(), "-C", &dir, "on"]);
    for args in
        [&["open", "evil.tar.gz", "--unsigned"][..], &["show", "evil.tar.gz"], &["verify", "--from", "evil.tar.gz"]]
    {
        let ran = lab.run(args);
        assert_ne!(ran.status, 0, "{ran}");
        assert!(!ran.err.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", ran.err);
        assert!(args[0] == "open" || ran.err.contains("pwned"), "the reason is told: {ran}");
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
fn a_kubeconfig_that_names_a_pipe_is_not_waited_for() {
    let lab = Lab::issued();
    let config = lab.read("pki/ca.crt");
    good_tool("mkfifo", &[&lab.path("pipe").display().to_string()]);
    assert!(config.starts_with("-----BEGIN"));
    lab.write(
        "kubeconfig",
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {server: https://10.0.0.1:6443, \
         certificate-authority: pipe}\nusers: []\ncontexts: []\n",
    );
    let shown = lab.good(&["show", "kubeconfig"]).out;
    assert!(shown.contains("DIR/pipe is in the way"), "{shown}");
    let ran = lab.run(&["verify", "--kubeconfig", "kubeconfig"]);
    assert!(ran.status != 0 && ran.err.contains("DIR/pipe is in the way"), "{ran}");
    fs::remove_file(lab.path("pipe")).expect("removed");
    let ran = lab.run(&["verify", "--kubeconfig", "kubeconfig"]);
    assert_eq!((ran.status, ran.err.lines().next()), (2, Some("error: there is no file DIR/pipe")), "{ran}");
}

#[test]
fn an_ignition_config_with_a_file_twice_is_no_bundle() {
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
fn user_data_with_thousands_of_files_is_refused_soon() {
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
    // Only work that grows with the square of the files does not end soon.
    let ran = ends(move || lab.run(&["show", "many.yaml"]));
    assert_eq!(ran.status, 2, "{ran}");
    assert!(ran.err.contains("files, which no bundle has"), "{ran}");
}

#[test]
fn a_certificates_file_with_another_behind_it_is_issued_again() {
    let lab = Lab::issued();
    let path = "pki/masters/master-1/apiserver-kubelet-client.crt";
    lab.write(path, &format!("{}{}", lab.read(path), lab.read("pki/ca.crt")));
    let offline = lab.run(&["verify", "--offline"]);
    assert_eq!(offline.status, 1, "{offline}");
    assert!(offline.out.contains("holds 2 certificates instead of one"), "{offline}");
    lab.good(&["issue-master", "--all"]);
    assert_eq!(lab.read(path).matches("BEGIN").count(), 1);
    lab.good(&["verify", "--offline"]);
    lab.good(&["bundle", "--verifier"]);
}

#[test]
fn an_encrypted_key_may_have_others_behind_it() {
    needs!("openssl");
    let lab = Lab::issued();
    let key = lab.path("enc.pem").display().to_string();
    let encrypted = ["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", &key];
    good_tool("openssl", &encrypted);
    lab.write("both.pem", &format!("{}{}", lab.read("enc.pem"), lab.read("pki/ca.crt")));
    let shown = lab.good(&["show", "both.pem"]).out;
    assert!(shown.contains("encrypted private key") && shown.contains("CA certificate"), "{shown}");
}

#[test]
fn a_key_that_is_whole_and_not_read_here_is_not_called_damaged() {
    needs!("openssl", "ssh-keygen");
    let lab = Lab::issued();
    let old = lab.path("old.pem").display().to_string();
    good_tool("openssl", &["genrsa", "-aes128", "-passout", "pass:abcd", "-traditional", "-out", &old, "2048"]);
    let ran = lab.run(&["show", "old.pem"]);
    assert!(ran.status == 2 && ran.err.contains("a key in it in OpenSSL's old encrypted form"), "{ran}");
    // As it is told.
    let new = lab.path("new.pem").display().to_string();
    let pass = ["-passin", "pass:abcd", "-passout", "pass:abcd"];
    good_tool("openssl", &[&["pkcs8", "-topk8", "-in", &old, "-out", &new], &pass[..]].concat());
    assert!(lab.good(&["show", "new.pem"]).out.contains("encrypted private key"));
    let ssh = lab.path("ssh").display().to_string();
    good_tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &ssh]);
    let ran = lab.run(&["show", "ssh"]);
    assert!(ran.status == 2 && ran.err.contains("a section \"OPENSSH PRIVATE KEY\" in it"), "{ran}");
}

#[test]
fn a_revoked_verifier_that_a_ledger_from_a_backup_forgot_is_not_packed() {
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
fn what_there_are_several_of_is_a_list_in_json() {
    let lab = Lab::issued();
    lab.good(&["bundle", "on"]);
    let shown = lab.good(&["show", "--output", "json", "bundles/on.tar.gz"]).out;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let facts = &shown["files"][0]["items"][0]["facts"];
    assert!(facts["files"].as_array().is_some_and(|files| files.len() > 5), "{facts}");
    assert!(facts["host"].is_string(), "{facts}");
}
