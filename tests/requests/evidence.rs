//! Requests that a host's SSH key signed: `sign` compares it with the known keys, and ssh-keygen verifies the signature.

use std::fs;

use clusterctl::app::sign::{RequestProblem, SignOptions};
use clusterctl::cluster::name::HostName;
use clusterctl::pki::known_hosts::KnownHosts;
use serde_json::Value;

use super::refusals::refused_with;
use super::{request, sign};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool};

/// Generates an SSH key, and returns its public key without a comment.
fn ssh_key(lab: &Lab, name: &str, kind: &str) -> String {
    let path = lab.path(name).display().to_string();
    good_tool("ssh-keygen", &["-q", "-t", kind, "-N", "", "-C", "", "-f", &path]);
    lab.read(&format!("{name}.pub")).trim().to_owned()
}

/// Writes `on.request`, signed by this SSH key.
fn request_signed_by(lab: &Lab, key: &str) {
    lab.good(&["request", "on", "--root", "hosts/on", "--ssh-host-key", key]);
}

/// The statement and the signature of a request.
fn statement(lab: &Lab) -> (String, String) {
    let text = lab.read("on.request");
    let (before, signature) = text.split_once("-----BEGIN SSH SIGNATURE-----").expect("a signature");
    let at = before.find("clusterctl-request 1\n").expect("a statement");
    (before[at..].to_owned(), format!("-----BEGIN SSH SIGNATURE-----{signature}"))
}

fn known_hosts(lab: &Lab, text: &str) -> SignOptions {
    lab.write("known_hosts", text);
    let known_hosts = Some(KnownHosts::parse(text));
    SignOptions { known_hosts, require_host_key: true, ..SignOptions::default() }
}

/// The problems of the first of the two requests.
#[track_caller]
fn host_key_problems(lab: &Lab, options: SignOptions) -> Vec<RequestProblem> {
    refused_with(lab, &["on.request"], options).swap_remove(0).problems
}

#[test]
fn the_hosts_ssh_key_shows_whose_request_it_is() {
    needs!("ssh-keygen");
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("hosts/on/etc/kubernetes/pki")).expect("made");
    let (own, other) = (ssh_key(&lab, "own", "ed25519"), ssh_key(&lab, "other", "ed25519"));
    let required = || SignOptions { require_host_key: true, ..SignOptions::default() };
    let evidence = |args: &[&str]| {
        let report = sign(&lab, &[&["--dry-run", "on.request"], args].concat());
        report["certificates"][1]["hostKey"].clone()
    };
    request(&lab, "on");
    assert_eq!(evidence(&[]), Value::Null);
    assert_eq!(host_key_problems(&lab, required()), [RequestProblem::NoHostKey]);
    assert_eq!(lab.run(&["sign", "--require-host-key", "on.request"]).status, 3);

    // If no key of the host is known, the signature is shown, but proves nothing.
    request_signed_by(&lab, "own");
    assert_eq!(evidence(&[])["isKnown"], false);
    assert!(matches!(host_key_problems(&lab, required())[..], [RequestProblem::UnknownHostKey(_)]));
    lab.write("known_hosts", &format!("10.20.4.1 {own}\n"));
    let known = evidence(&["--known-hosts", "known_hosts", "--require-host-key"]);
    assert_eq!((&known["isKnown"], &known["time"]), (&Value::Bool(true), &"2026-11-23T12:00:00Z".into()));
    let fingerprint = good_tool("ssh-keygen", &["-l", "-f", &lab.path("own.pub").display().to_string()]);
    assert_eq!(fingerprint.split(' ').nth(1), known["fingerprint"].as_str());
    for text in [format!("on {other}\n"), format!("on {own}\n@revoked * {own}\n"), format!("worker-b1 {own}\n")] {
        let found = host_key_problems(&lab, known_hosts(&lab, &text));
        let expected = matches!(
            found[..],
            [RequestProblem::OtherHostKey(_) | RequestProblem::HostKeyUnusable(_) | RequestProblem::UnknownHostKey(_)]
        );
        assert!(expected, "{text}: {found:?}");
    }
    // The cluster file's keys are compared without a flag.
    let sealed = |key: &str| CLUSTER.replace("{name: on, ", &format!("{{name: on, sealTo: \"{key}\", "));
    lab.write("cluster.yaml", &sealed(&own));
    assert_eq!(evidence(&["--require-host-key"])["isKnown"], true);
    lab.write("cluster.yaml", &sealed(&other));
    assert!(matches!(host_key_problems(&lab, SignOptions::default())[..], [RequestProblem::OtherHostKey(_)]));
}

/// `known_hosts` often has keys of several types. Each of them counts, and a host with only other keys is not unknown.
#[test]
fn keys_of_every_type_in_known_hosts_are_compared() {
    needs!("ssh-keygen");
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("hosts/on")).expect("made");
    let keys = [ssh_key(&lab, "ecdsa", "ecdsa"), ssh_key(&lab, "ed25519", "ed25519")];
    for (own, name, other) in [(&keys[0], "ecdsa", &keys[1]), (&keys[1], "ed25519", &keys[0])] {
        request_signed_by(&lab, name);
        lab.write("known_hosts", &format!("on {own}\n"));
        let report = sign(&lab, &["--dry-run", "--known-hosts", "known_hosts", "--require-host-key", "on.request"]);
        assert_eq!(report["certificates"][0]["hostKey"]["isKnown"], true, "{name}");
        let options = SignOptions { require_host_key: false, ..known_hosts(&lab, &format!("on {other}\n")) };
        let found = host_key_problems(&lab, options);
        assert!(matches!(found[..], [RequestProblem::OtherHostKey(_)]), "{name}: {found:?}");
        let options = known_hosts(&lab, &format!("on {own}\n@revoked * {own}\n"));
        let found = host_key_problems(&lab, options);
        assert!(matches!(found[..], [RequestProblem::HostKeyUnusable(_)]), "{name}: {found:?}");
    }
}

#[test]
fn ssh_keygen_verifies_the_signature_of_a_request_and_makes_one() {
    needs!("ssh-keygen", "sh");
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("hosts/on")).expect("made");
    let (own, rsa) = (ssh_key(&lab, "own", "ed25519"), ssh_key(&lab, "rsa", "rsa"));
    request_signed_by(&lab, "own");
    let (text, signature) = statement(&lab);
    lab.write("text", &text);
    lab.write("text.sig", &signature);
    lab.write("signers", &format!("on namespaces=\"clusterctl-request\" {own}\n"));
    let path = |name: &str| lab.path(name).display().to_string();
    let verify = format!(
        "ssh-keygen -Y verify -f {} -I on -n clusterctl-request -s {} <{}",
        path("signers"),
        path("text.sig"),
        path("text")
    );
    good_tool("sh", &["-c", &verify]);
    fs::remove_file(lab.path("text.sig")).expect("removed");
    good_tool("ssh-keygen", &["-Y", "sign", "-q", "-f", &path("own"), "-n", "clusterctl-request", &path("text")]);
    let whole = lab.read("on.request");
    let with = |signature: &str| {
        let at = whole.find("-----BEGIN SSH").expect("a signature");
        lab.write("on.request", &format!("{}{signature}", &whole[..at]));
    };
    with(&lab.read("text.sig"));
    lab.write("known_hosts", &format!("on {own}\n"));
    sign(&lab, &["--known-hosts", "known_hosts", "--require-host-key", "--dry-run", "on.request"]);
    // A file from Windows.
    lab.write("on.request", &lab.read("on.request").replace('\n', "\r\n"));
    sign(&lab, &["--known-hosts", "known_hosts", "--require-host-key", "--dry-run", "on.request"]);
    // Signatures with another namespace, and of another text, prove nothing.
    fs::remove_file(lab.path("text.sig")).expect("removed");
    good_tool("ssh-keygen", &["-Y", "sign", "-q", "-f", &path("own"), "-n", "file", &path("text")]);
    with(&lab.read("text.sig"));
    assert!(matches!(host_key_problems(&lab, SignOptions::default())[..], [RequestProblem::Statement(_)]));
    for (from, to) in [("host: on\n", "host: worker-b1\n"), ("12:00:00Z", "12:00:01Z"), ("request 1\n", "request 2\n")]
    {
        lab.write("on.request", &whole.replace(from, to));
        let found = host_key_problems(&lab, SignOptions::default());
        assert!(matches!(found[..], [RequestProblem::Statement(_)]), "{from}: {found:?}");
    }
    // An RSA key does not sign here.
    assert_eq!(lab.run(&["request", "on", "--root", "hosts/on", "--ssh-host-key", "rsa"]).status, 2);
    assert_eq!(lab.run(&["request", "on", "--root", "hosts/on", "--ssh-host-key", "own.pub"]).status, 2);
    assert!(!rsa.is_empty());
}

#[test]
fn every_change_of_a_signed_request_is_detected() {
    needs!("ssh-keygen");
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("hosts/on")).expect("made");
    let own = ssh_key(&lab, "own", "ed25519");
    request_signed_by(&lab, "own");
    let whole = lab.read("on.request").into_bytes();
    let (statement, _) = statement(&lab);
    let start = whole.windows(statement.len()).position(|part| part == statement.as_bytes()).expect("a statement");
    // The last octet is a line feed after the signature.
    for at in start..whole.len() - 1 {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(lab.path("on.request"), changed).expect("written");
        let found = refused_with(&lab, &["on.request"], known_hosts(&lab, &format!("on {own}\n")));
        assert!(!found.is_empty(), "octet {at}");
    }
}

#[test]
fn a_signed_statement_is_about_one_host_one_cluster_and_these_requests() {
    needs!("ssh-keygen");
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("hosts/on/etc/kubernetes/pki")).expect("made");
    let own = ssh_key(&lab, "own", "ed25519");
    // The statement of a host that trusts this cluster, and of one that trusts another.
    fs::copy(lab.path("pki/ca.crt"), lab.path("hosts/on/etc/kubernetes/pki/ca.crt")).expect("copied");
    request_signed_by(&lab, "own");
    sign(&lab, &["--dry-run", "on.request"]);
    let other = Lab::with_roots();
    fs::copy(other.path("pki/ca.crt"), lab.path("hosts/on/etc/kubernetes/pki/ca.crt")).expect("copied");
    request_signed_by(&lab, "own");
    assert!(matches!(host_key_problems(&lab, SignOptions::default())[..], [RequestProblem::OtherCluster(_)]));
    fs::remove_file(lab.path("hosts/on/etc/kubernetes/pki/ca.crt")).expect("removed");
    // Another host's name, with --host, too.
    request_signed_by(&lab, "own");
    let host = Some(HostName::parse("worker-b1").expect("a name"));
    let found = host_key_problems(&lab, SignOptions { host, ..SignOptions::default() });
    assert!(found.iter().any(|one| matches!(one, RequestProblem::OtherHost(_))), "{found:?}");
    // Other requests before the same statement.
    let (text, signature) = statement(&lab);
    request(&lab, "worker-b1");
    lab.write("on.request", &format!("{}{text}{signature}", lab.read("worker-b1.request")));
    assert_eq!(host_key_problems(&lab, SignOptions::default()), [RequestProblem::OtherRequests]);
    lab.write("on.request", &format!("{}{text}{signature}{text}{signature}", lab.read("worker-b1.request")));
    assert!(matches!(host_key_problems(&lab, SignOptions::default())[..], [RequestProblem::Statement(_)]));
    assert!(!own.is_empty());
}
