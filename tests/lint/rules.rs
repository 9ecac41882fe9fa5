//! Each rule: files in which it finds something, and files that are nearly the same, in which it does not.

use std::collections::BTreeSet;
use std::fs;

use base64ct::{Base64, Encoding};
use clusterctl::app::lint::RULES;
use serde_json::Value;

use super::certificate_rules::CERTIFICATES;
use super::make::{BOTH, CA, CLIENT, Plan, SERVER, ca, kubeconfig, lab, leaf, lint, mode, text, write_kubeconfig};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool};

pub(super) type Make = fn(&Lab);
/// A rule, files in which it finds something, and files in which it does not.
pub(super) type Case = (&'static str, Make, Make);

pub(super) const ROOT: &str = "pki/ca.crt";
const RSA_1024: &[&str] = &["genrsa", "1024"];
const RSA_2048: &[&str] = &["genrsa", "2048"];

pub(super) fn root(lab: &Lab) {
    ca("ca").make(lab, ROOT);
}

/// A root, and a certificate that it signed.
pub(super) fn signed(lab: &Lab, file: &str, plan: impl FnOnce(Plan<'static>) -> Plan<'static>, extensions: &str) {
    root(lab);
    plan(leaf(ROOT, "host", extensions)).make(lab, &format!("pki/{file}.crt"));
}

/// A root that `plan` changes, and a certificate that it signed.
pub(super) fn below(lab: &Lab, plan: impl FnOnce(Plan<'static>) -> Plan<'static>, extensions: &str) {
    plan(ca("ca")).make(lab, ROOT);
    leaf(ROOT, "host", extensions).make(lab, "pki/host.crt");
}

/// A kubeconfig of a user with this name, and the certificate of an API server.
pub(super) fn config(lab: &Lab, user: &str, server: &str, days: i64) {
    signed(lab, "apiserver", |plan| plan, SERVER);
    leaf(ROOT, user, CLIENT).days(-1, days).make(lab, "pki/user.crt");
    kubeconfig(lab, "pki/user.conf", ROOT, "pki/user.crt", server);
}

/// A kubeconfig with these fields.
fn written(lab: &Lab, server: &str, cluster: &str, user: &str) {
    root(lab);
    write_kubeconfig(lab, "pki/it.conf", server, cluster, user);
}

const CAS: [Case; 13] = [
    ("ca.expired", |lab| ca("ca").days(-9, -1).make(lab, ROOT), |lab| ca("ca").days(-9, 1).make(lab, ROOT)),
    ("ca.not-yet-valid", |lab| ca("ca").days(1, 9).make(lab, ROOT), |lab| ca("ca").days(-1, 9).make(lab, ROOT)),
    ("ca.validity", |lab| ca("ca").days(-1, 36500).make(lab, ROOT), |lab| ca("ca").days(-1, 10000).make(lab, ROOT)),
    (
        "ca.basic-constraints",
        |lab| below(lab, |plan| plan.extensions("keyUsage=keyCertSign\nsubjectKeyIdentifier=hash"), SERVER),
        |lab| signed(lab, "host", |plan| plan, SERVER),
    ),
    (
        "ca.basic-constraints-not-critical",
        |lab| ca("ca").extensions(&CA.replacen("critical,", "", 1)).make(lab, ROOT),
        root,
    ),
    ("ca.key-usage", |lab| ca("ca").extensions(&CA.replace("keyCertSign,", "")).make(lab, ROOT), root),
    (
        "ca.no-key-usage",
        |lab| ca("ca").extensions("basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash").make(lab, ROOT),
        root,
    ),
    ("ca.crl-sign", |lab| ca("ca").extensions(&CA.replace(",cRLSign", "")).make(lab, ROOT), root),
    (
        "ca.extended-key-usage",
        |lab| below(lab, |plan| plan.extensions(&format!("{CA}\nextendedKeyUsage=clientAuth")), SERVER),
        |lab| below(lab, |plan| plan.extensions(&format!("{CA}\nextendedKeyUsage=clientAuth")), CLIENT),
    ),
    ("ca.path-length", |lab| path(lab, 0), |lab| path(lab, 1)),
    ("ca.subject-identifier-missing", |lab| ca("ca").extensions(&CA.replace("=hash", "=none")).make(lab, ROOT), root),
    (
        "ca.same-name",
        |lab| {
            root(lab);
            ca("ca").make(lab, "pki/ca2.crt");
        },
        |lab| {
            root(lab);
            ca("ca").with_key_of("pki/ca.key").serial("1002").make(lab, "pki/renewed.crt");
            ca("ca 2").make(lab, "pki/ca2.crt");
        },
    ),
    (
        "ca.several-roles",
        |lab| {
            root(lab);
            fs::create_dir(lab.path("pki/etcd")).expect("made");
            fs::copy(lab.path(ROOT), lab.path("pki/etcd/ca.crt")).expect("a copy");
        },
        |lab| {
            root(lab);
            ca("etcd").make(lab, "pki/etcd/ca.crt");
            fs::create_dir(lab.path("pki/host")).expect("made");
            fs::copy(lab.path(ROOT), lab.path("pki/host/ca.crt")).expect("a copy");
        },
    ),
];

/// A root whose path length is `allowed`, an intermediate CA, and a certificate below it.
fn path(lab: &Lab, allowed: u8) {
    ca("ca").extensions(&CA.replace("CA:TRUE", &format!("CA:TRUE,pathlen:{allowed}"))).make(lab, ROOT);
    let extensions = format!("{CA}\nauthorityKeyIdentifier=keyid");
    ca("below").below(ROOT).extensions(&extensions).make(lab, "pki/below-ca.crt");
    leaf("pki/below-ca.crt", "host", SERVER).make(lab, "pki/host.crt");
}

const KEYS: [Case; 6] = [
    (
        "key.mismatch",
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            fs::copy(lab.path("pki/ca.key"), lab.path("pki/host.key")).expect("a copy");
        },
        |lab| signed(lab, "host", |plan| plan, SERVER),
    ),
    (
        "key.weak",
        |lab| signed(lab, "host", |plan| plan.key(RSA_1024), SERVER),
        |lab| signed(lab, "host", |plan| plan.key(RSA_2048), SERVER),
    ),
    (
        "key.shared",
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            leaf(ROOT, "other", SERVER).with_key_of("pki/host.key").make(lab, "pki/other.crt");
        },
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            leaf(ROOT, "host", SERVER).serial("0a").with_key_of("pki/host.key").make(lab, "pki/renewed.crt");
        },
    ),
    (
        "key.world-readable",
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            mode(lab, "pki/host.key", 0o644);
        },
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            mode(lab, "pki/host.key", 0o640);
            mode(lab, "pki/host.crt", 0o644);
        },
    ),
    (
        "key.group-readable",
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            mode(lab, "pki/host.key", 0o640);
        },
        |lab| signed(lab, "host", |plan| plan, SERVER),
    ),
    (
        "key.ca-beside-credentials",
        |lab| signed(lab, "host", |plan| plan, SERVER),
        |lab| {
            root(lab);
            leaf(ROOT, "host", SERVER).make(lab, "pki/host/host.crt");
        },
    ),
];

const NAMES: [Case; 14] = [
    (
        "name.common-name-length",
        |lab| signed(lab, "host", |plan| plan.subject(&format!("/CN={}", "n".repeat(65))), SERVER),
        |lab| signed(lab, "host", |plan| plan.subject(&format!("/CN={}", "n".repeat(64))), SERVER),
    ),
    (
        "name.upper-case",
        |lab| signed(lab, "host", |plan| plan.subject("/O=system:nodes/CN=system:node:Worker-1"), CLIENT),
        |lab| signed(lab, "host", |plan| plan.subject("/O=Example Inc/CN=system:node:worker-1"), CLIENT),
    ),
    (
        "name.no-subject-alternative-name",
        |lab| signed(lab, "apiserver", |plan| plan, "extendedKeyUsage=serverAuth"),
        |lab| signed(lab, "apiserver-kubelet-client", |plan| plan, CLIENT),
    ),
    (
        "name.address-as-dns",
        |lab| signed(lab, "host", |plan| plan, &SERVER.replace("IP:", "DNS:")),
        |lab| signed(lab, "host", |plan| plan, SERVER),
    ),
    (
        "name.host-missing",
        |lab| signed(lab, "kubelet-server", |plan| plan.subject("/CN=system:node:worker-1"), SERVER),
        |lab| {
            let names = SERVER.replace("DNS:host", "DNS:worker-1");
            signed(lab, "kubelet-server", |plan| plan.subject("/CN=system:node:worker-1"), &names);
        },
    ),
    (
        "name.address-missing",
        |lab| of_the_cluster_file(lab, "DNS:worker-b1,IP:10.20.2.12"),
        |lab| of_the_cluster_file(lab, "DNS:worker-b1,IP:10.20.2.11"),
    ),
    (
        "name.kubelet-serving",
        |lab| signed(lab, "serving-kubelet", |plan| plan, SERVER),
        |lab| signed(lab, "serving-kubelet", |plan| plan.subject("/CN=system:node:host"), SERVER),
    ),
    (
        "account.system-masters",
        |lab| signed(lab, "host", |plan| plan.subject("/O=system:masters/CN=admin"), CLIENT),
        |lab| signed(lab, "host", |plan| plan.subject("/O=kubeadm:cluster-admins/CN=system:masters"), CLIENT),
    ),
    ("usage.missing", |lab| signed(lab, "host", |plan| plan, "subjectAltName=DNS:host"), root),
    (
        "usage.any",
        |lab| signed(lab, "host", |plan| plan, &SERVER.replace("serverAuth", "anyExtendedKeyUsage")),
        |lab| signed(lab, "host", |plan| plan, SERVER),
    ),
    (
        "usage.server-and-client",
        |lab| signed(lab, "host", |plan| plan, BOTH),
        |lab| {
            root(lab);
            leaf(ROOT, "host", BOTH).make(lab, "pki/etcd/peer.crt");
        },
    ),
    (
        "usage.not-server",
        |lab| signed(lab, "apiserver", |plan| plan, &SERVER.replace("serverAuth", "clientAuth")),
        |lab| signed(lab, "apiserver-etcd-client", |plan| plan, CLIENT),
    ),
    (
        "usage.not-client",
        |lab| signed(lab, "front-proxy-client", |plan| plan, SERVER),
        |lab| signed(lab, "front-proxy-client", |plan| plan, CLIENT),
    ),
    (
        "usage.etcd-member",
        |lab| {
            root(lab);
            leaf(ROOT, "host", SERVER).make(lab, "pki/etcd/server.crt");
        },
        |lab| {
            root(lab);
            leaf(ROOT, "host", CLIENT).make(lab, "pki/etcd/healthcheck-client.crt");
        },
    ),
];

/// A kubelet's certificate of a host in the cluster file.
fn of_the_cluster_file(lab: &Lab, names: &str) {
    lab.write("cluster.yaml", CLUSTER);
    let extensions = format!("extendedKeyUsage=serverAuth\nsubjectAltName={names}");
    signed(lab, "kubelet-server", |plan| plan.subject("/CN=system:node:worker-b1"), &extensions);
}

const FILES: &str = "client-certificate: me.crt\n    client-key: me.key";

const KUBECONFIGS: [Case; 7] = [
    (
        "kubeconfig.embedded",
        |lab| config(lab, "system:kube-scheduler", "https://host:6443", 300),
        |lab| config(lab, "alice", "https://host:6443", 300),
    ),
    (
        "kubeconfig.insecure",
        |lab| written(lab, "https://host:6443", "insecure-skip-tls-verify: true", FILES),
        |lab| written(lab, "https://host:6443", "certificate-authority: ca.crt", FILES),
    ),
    (
        "kubeconfig.refused",
        |lab| {
            written(lab, "https://host:6443", "certificate-authority: ca.crt", FILES);
            let text = lab.read("pki/it.conf").replace("current-context: it", "current-context: other");
            lab.write("pki/it.conf", &text);
        },
        |lab| written(lab, "https://host:6443", "certificate-authority: ca.crt", FILES),
    ),
    (
        "kubeconfig.credential",
        |lab| {
            config(lab, "alice", "https://host:6443", 300);
            replace_data(lab, "client-key-data", "Z2FyYmFnZQ==");
        },
        |lab| config(lab, "alice", "https://host:6443", 300),
    ),
    (
        "kubeconfig.server",
        |lab| config(lab, "alice", "https://10.0.0.9:6443", 300),
        |lab| config(lab, "alice", "https://10.0.0.1:6443", 300),
    ),
    (
        "kubeconfig.ca",
        |lab| {
            config(lab, "alice", "https://host:6443", 300);
            ca("other").make(lab, "pki/other-ca.crt");
            write_kubeconfig(lab, "pki/it.conf", "https://host:6443", "certificate-authority: other-ca.crt", FILES);
        },
        |lab| {
            config(lab, "alice", "https://host:6443", 300);
            ca("other").make(lab, "pki/other-ca.crt");
            write_kubeconfig(lab, "pki/it.conf", "https://elsewhere", "certificate-authority: other-ca.crt", FILES);
        },
    ),
    (
        "kubeconfig.reference",
        |lab| written(lab, "https://host:6443", "certificate-authority: /nowhere/pki/root.crt", "token: t"),
        // In a copy of a host's file system, the file is found.
        |lab| written(lab, "https://host:6443", "certificate-authority: /pki/ca.crt", "token: t"),
    ),
];

/// Replaces the data of a field of `pki/user.conf`.
fn replace_data(lab: &Lab, field: &str, data: &str) {
    let text = lab.read("pki/user.conf");
    let at = text.find(&format!("{field}:")).expect(field) + field.len() + 1;
    let end = at + text[at..].find('\n').expect("a line");
    lab.write("pki/user.conf", &format!("{} {data}{}", &text[..at], &text[end..]));
    mode(lab, "pki/user.conf", 0o600);
}

/// Asserts that a finding of a rule is the reason for status 1, and that `status` does not pass the kubeconfig either.
fn is_refused(lab: &Lab, path: &str, id: &str, case: &str) {
    let linted = lint(lab, &[path]);
    assert!(linted.status == 1 && linted.has(id), "{case}: {:#}", linted.answer);
    let status = lab.run(&["status", "--pki", path, "--output", "json"]);
    let answer: Value = serde_json::from_str(&status.out).expect("JSON");
    assert!(status.status == 1 && answer["skipped"][0]["file"] == path, "{case}: {status}");
}

#[test]
fn data_that_client_go_cannot_use_is_an_error_in_lint_and_in_status() {
    needs!("openssl");
    let base64 = |text: &str| Base64::encode_string(text.as_bytes());
    let lab = lab();
    config(&lab, "alice", "https://host:6443", 300);
    leaf(ROOT, "alice", CLIENT).make(&lab, "pki/user.crt");
    let good = lab.read("pki/user.conf");
    assert_eq!(lab.run(&["status", "--pki", "pki/user.conf"]).status, 0);
    let (certificate, key) = (lab.read("pki/user.crt"), lab.read("pki/user.key"));
    let broken = certificate.replacen("MII", "AAA", 1);
    let encrypted = text(&lab, "pki/encrypted.key");
    let by = ["pkcs8", "-topk8", "-passout", "pass:p", "-in", &text(&lab, "pki/user.key"), "-out", &encrypted];
    good_tool("openssl", &by);
    let encrypted = lab.read("pki/encrypted.key");
    for (field, data) in [
        ("client-certificate-data", "'!!!not base64'".to_owned()),
        ("certificate-authority-data", "'!!!not base64'".to_owned()),
        ("client-key-data", "'!!!not base64'".to_owned()),
        ("client-certificate-data", base64("garbage")),
        ("certificate-authority-data", base64("garbage")),
        ("client-key-data", base64("garbage")),
        ("client-certificate-data", base64(&broken)),
        ("certificate-authority-data", base64(&broken)),
        ("client-certificate-data", base64(&(broken + &certificate))),
        ("client-certificate-data", base64(&key)),
        ("client-key-data", base64(&certificate)),
        ("client-key-data", base64(&encrypted)),
        ("client-certificate-data", base64("\n")),
        ("client-certificate-data", "''".to_owned()),
        ("client-certificate-data", String::new()),
    ] {
        lab.write("pki/user.conf", &good);
        replace_data(&lab, field, &data);
        is_refused(&lab, "pki/user.conf", "kubeconfig.credential", &format!("{field} {data}"));
    }
    // One readable CA is enough for client-go.
    lab.write("pki/user.conf", &good);
    replace_data(
        &lab,
        "certificate-authority-data",
        &base64(&(certificate.replacen("MII", "AAA", 1) + &lab.read(ROOT))),
    );
    assert!(!lint(&lab, &["pki/user.conf"]).has("kubeconfig.credential"));
    for (field, data, id) in [
        ("client-key-data", base64(&lab.read("pki/ca.key")), "key.mismatch"),
        ("client-key-data", "''".to_owned(), "kubeconfig.refused"),
    ] {
        lab.write("pki/user.conf", &good);
        replace_data(&lab, field, &data);
        let linted = lint(&lab, &["pki/user.conf"]);
        assert!(linted.status == 1 && linted.has(id), "{field} {data}: {:#}", linted.answer);
        assert_eq!(lab.run(&["status", "--pki", "pki/user.conf"]).status, 1, "{field} {data}");
    }
}

#[test]
fn files_that_a_kubeconfig_names_must_exist_and_be_certificates_or_keys() {
    needs!("openssl");
    let lab = lab();
    root(&lab);
    leaf(ROOT, "alice", CLIENT).make(&lab, "pki/me.crt");
    let ca = "certificate-authority: ca.crt";
    write_kubeconfig(&lab, "pki/it.conf", "https://host:6443", ca, FILES);
    assert!(!lint(&lab, &["pki/it.conf"]).has("kubeconfig.credential"));
    assert_eq!(lab.run(&["status", "--pki", "pki/it.conf"]).status, 0);
    for file in ["pki/me.crt", "pki/ca.crt", "pki/me.key"] {
        let content = lab.read(file);
        for other in [None, Some("garbage\n"), Some("")] {
            match other {
                None => fs::remove_file(lab.path(file)).expect("removed"),
                Some(other) => lab.write(file, other),
            }
            let linted = lint(&lab, &["pki/it.conf"]);
            assert!(linted.status == 1 && linted.has("kubeconfig.credential"), "{file}: {:#}", linted.answer);
            if file != "pki/me.key" || other.is_some() {
                is_refused(&lab, "pki/it.conf", "kubeconfig.credential", file);
            }
            lab.write(file, &content);
        }
    }
    write_kubeconfig(
        &lab,
        "pki/it.conf",
        "https://host:6443",
        ca,
        "client-certificate: me.crt\n    client-key: ca.key",
    );
    mode(&lab, "pki/ca.key", 0o600);
    is_refused(&lab, "pki/it.conf", "key.mismatch", "the key of another certificate");
    write_kubeconfig(&lab, "pki/it.conf", "https://host:6443", ca, "client-key: me.key");
    is_refused(&lab, "pki/it.conf", "kubeconfig.credential", "a key alone");
    write_kubeconfig(&lab, "pki/it.conf", "https://host:6443", ca, "token: t");
    assert!(!lint(&lab, &["pki/it.conf"]).has("kubeconfig.credential"), "a token is a credential");
}

fn cases() -> impl Iterator<Item = Case> {
    CERTIFICATES.into_iter().chain(CAS).chain(KEYS).chain(NAMES).chain(KUBECONFIGS)
}

#[test]
fn each_rule_has_a_case() {
    let tested: BTreeSet<&str> = cases().map(|(id, ..)| id).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!((tested, cases().count()), (rules, RULES.len()));
}

/// Asserts that each rule has a finding in the first files of its case, and none in the others.
fn hold(cases: &[Case]) {
    for (id, bad, near) in cases {
        for (make, expected) in [(bad, true), (near, false)] {
            let lab = lab();
            make(&lab);
            let linted = lint(&lab, &["pki"]);
            assert_eq!(linted.has(id), expected, "{id}: {:#}", linted.answer);
            if expected {
                let ignored = lint(&lab, &["pki", "--ignore", id]);
                assert!(!ignored.has(id) && ignored.answer["summary"]["hidden"] != 0, "{id}: {:#}", ignored.answer);
            }
        }
    }
}

#[test]
fn rules_for_certificates_hold() {
    needs!("openssl");
    hold(&CERTIFICATES);
}

#[test]
fn rules_for_cas_hold() {
    needs!("openssl");
    hold(&CAS);
}

#[test]
fn rules_for_keys_hold() {
    needs!("openssl");
    hold(&KEYS);
}

#[test]
fn rules_for_names_and_usages_hold() {
    needs!("openssl");
    hold(&NAMES);
}

#[test]
fn rules_for_kubeconfigs_hold() {
    needs!("openssl");
    hold(&KUBECONFIGS);
}
