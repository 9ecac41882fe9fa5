//! `status --pki`: PKIs with the layouts of other tools, which openssl creates, and hostile folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use base64ct::{Base64, Encoding};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::support::outside::needs;
use crate::support::{Lab, ends, forms, good_tool};

/// A laboratory with openssl's certificates, which are valid from now on.
pub(super) fn lab() -> Lab {
    let mut lab = Lab::empty();
    // openssl reads the clock after this test, so its certificates begin later.
    lab.now = OffsetDateTime::now_utc() + Duration::hours(1);
    lab
}

fn text(lab: &Lab, path: &str) -> String {
    lab.path(path).display().to_string()
}

fn key_of(path: &str) -> String {
    format!("{path}.key")
}

/// Creates a certificate that is valid for `days`; the arguments `more` determine whether it is a CA.
fn made(lab: &Lab, path: &str, days: u32, subject: &str, more: &[&str]) {
    fs::create_dir_all(lab.path(path).parent().expect("a folder")).expect("made");
    let (out, key, days) = (text(lab, path), text(lab, &key_of(path)), days.to_string());
    let subject = format!("/CN={subject}");
    let new = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", &days];
    good_tool("openssl", &[&new[..], &["-subj", &subject, "-out", &out, "-keyout", &key], more].concat());
}

pub(super) fn root(lab: &Lab, path: &str, days: u32, subject: &str) {
    made(lab, path, days, subject, &[]);
}

pub(super) fn leaf(lab: &Lab, ca: &str, path: &str, days: u32, subject: &str) {
    let (ca, key) = (text(lab, ca), text(lab, &key_of(ca)));
    made(lab, path, days, subject, &["-CA", &ca, "-CAkey", &key, "-addext", "basicConstraints=critical,CA:FALSE"]);
}

/// Writes a kubeconfig with embedded certificates and keys, like kubeadm's.
fn kubeconfig(lab: &Lab, ca: &str, path: &str, days: u32, subject: &str) {
    let certificate = format!("{path}.crt");
    leaf(lab, ca, &certificate, days, subject);
    let data = |path: &str| Base64::encode_string(lab.read(path).as_bytes());
    let config = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: kubernetes\n  cluster:\n    server: https://10.0.0.1:6443\n    \
         certificate-authority-data: {}\ncontexts:\n- name: it\n  context: {{cluster: kubernetes, user: {subject}}}\n\
         current-context: it\nusers:\n- name: {subject}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        data(ca),
        data(&certificate),
        data(&key_of(&certificate)),
    );
    lab.write(path, &config);
    for part in [certificate.clone(), key_of(&certificate)] {
        fs::remove_file(lab.path(&part)).expect("removed");
    }
}

/// Returns the kind, state and remedy of each row, by its file.
fn answer(lab: &Lab, paths: &[&str]) -> (u8, Value, BTreeMap<String, [String; 3]>) {
    let ran = lab.run(&[&["status", "--output", "json", "--pki"], paths].concat());
    assert!(ran.status <= 1, "{ran}");
    forms::conforms("status", &ran.out);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = answer["rows"].as_array().expect("rows").clone();
    let field = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    let by_file: BTreeMap<String, [String; 3]> = rows
        .iter()
        .map(|row| (field(row, "credential"), ["kind", "state", "remedy"].map(|key| field(row, key))))
        .collect();
    assert_eq!(by_file.len(), rows.len(), "{ran}");
    (ran.status, answer, by_file)
}

fn expected(rows: &[(&str, [&str; 3])]) -> BTreeMap<String, [String; 3]> {
    rows.iter().map(|(file, row)| ((*file).to_owned(), row.map(str::to_owned))).collect()
}

#[test]
fn folder_of_kubeadm() {
    needs!("openssl");
    let mut lab = lab();
    let at = |path: &str| format!("kubernetes/{path}");
    for (ca, name) in [("ca", "kubernetes"), ("front-proxy-ca", "front-proxy-ca"), ("etcd/ca", "etcd-ca")] {
        root(&lab, &at(&format!("pki/{ca}.crt")), 3650, name);
    }
    let cas = [at("pki/ca.crt"), at("pki/front-proxy-ca.crt"), at("pki/etcd/ca.crt")];
    leaf(&lab, &cas[0], &at("pki/apiserver.crt"), 365, "kube-apiserver");
    leaf(&lab, &cas[0], &at("pki/apiserver-kubelet-client.crt"), 200, "kube-apiserver-kubelet-client");
    leaf(&lab, &cas[1], &at("pki/front-proxy-client.crt"), 100, "front-proxy-client");
    leaf(&lab, &cas[2], &at("pki/etcd/healthcheck-client.crt"), 140, "kube-etcd-healthcheck-client");
    kubeconfig(&lab, &cas[0], &at("admin.conf"), 140, "kubernetes-admin");
    kubeconfig(&lab, &cas[0], &at("scheduler.conf"), 365, "system:kube-scheduler");
    // A kubelet's kubeconfig refers to a file that has older versions beside it.
    leaf(&lab, &cas[0], "kubelet/kubelet-client-2026-01-01.pem", 1, "system:node:master-1");
    leaf(&lab, &cas[0], "kubelet/kubelet-client-2026-06-01.pem", 365, "system:node:master-1");
    symlink("kubelet-client-2026-06-01.pem", lab.path("kubelet/kubelet-client-current.pem")).expect("a link");
    let current = text(&lab, "kubelet/kubelet-client-current.pem");
    let (of_current, key) = ("kubelet/kubelet-client-2026-06-01.pem", key_of("kubelet/kubelet-client-2026-06-01.pem"));
    lab.write(of_current, &(lab.read(of_current) + &lab.read(&key)));
    lab.write(
        &at("kubelet.conf"),
        &format!(
            "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers:\n- name: default-auth\n  user:\n    \
             client-certificate: {current}\n    client-key: {current}\n"
        ),
    );
    fs::create_dir_all(lab.path(&at("manifests"))).expect("made");
    lab.write(&at("manifests/etcd.yaml"), "apiVersion: v1\nkind: Pod\n");
    lab.now += Duration::days(139);
    let ca = ["root", "valid", "-"];
    let by_kubeadm = "renew-by-kubeadm";
    let (status, answer_of, rows) = answer(&lab, &["kubernetes"]);
    let wanted = [
        ("kubernetes/pki/ca.crt", ca),
        ("kubernetes/pki/front-proxy-ca.crt", ca),
        ("kubernetes/pki/etcd/ca.crt", ca),
        ("kubernetes/pki/apiserver.crt", ["certificate", "valid", "-"]),
        ("kubernetes/pki/apiserver-kubelet-client.crt", ["certificate", "due", by_kubeadm]),
        ("kubernetes/pki/front-proxy-client.crt", ["certificate", "expired", by_kubeadm]),
        ("kubernetes/pki/etcd/healthcheck-client.crt", ["certificate", "expiring", by_kubeadm]),
        ("kubernetes/admin.conf", ["kubeconfig", "expiring", by_kubeadm]),
        ("kubernetes/scheduler.conf", ["kubeconfig", "valid", "-"]),
        ("kubernetes/kubelet.conf", ["certificate", "valid", "-"]),
    ];
    assert_eq!((status, rows), (1, expected(&wanted)), "{answer_of:#}");
    assert_eq!(answer_of["skipped"], serde_json::json!([]));
    let etcd = answer_of["rows"].as_array().expect("rows").iter().find(|row| row["credential"] == wanted[6].0);
    assert!(etcd.expect("a row")["hint"].as_str().expect("words").contains("certs renew etcd-healthcheck-client "));
    let (status, _, rows) = answer(&lab, &["kubelet"]);
    let found = rows.values().cloned().collect::<Vec<_>>();
    assert_eq!((status, found), (0, vec![["certificate", "valid", "-"].map(str::to_owned)]));
    // An expired certificate requests no other one.
    lab.now += Duration::days(300);
    let (_, _, rows) = answer(&lab, &["kubernetes/kubelet.conf"]);
    assert_eq!(rows["kubernetes/kubelet.conf"], ["certificate", "expired", "replace-kubelet-client"]);
}

/// The serving certificate of kubeadm's kubelets, with the CA that signed it and whose key does not exist any more.
#[test]
fn serving_certificate_that_a_kubelet_made() {
    needs!("openssl");
    let mut lab = lab();
    root(&lab, "made/ca.crt", 365, "worker-1-ca@1764000000");
    leaf(&lab, "made/ca.crt", "made/kubelet.crt", 365, "worker-1@1764000000");
    for folder in ["pki", "other"] {
        fs::create_dir_all(lab.path(folder)).expect("made");
    }
    lab.write("pki/kubelet.crt", &(lab.read("made/kubelet.crt") + &lab.read("made/ca.crt")));
    lab.write("other/serving.crt", &(lab.read("made/kubelet.crt") + &lab.read("made/ca.crt")));
    let states = |lab: &Lab, path: &str| -> BTreeSet<[String; 3]> {
        let ran = lab.run(&["status", "--output", "json", "--pki", path]);
        let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
        let rows = answer["rows"].as_array().expect("rows").iter();
        rows.map(|row| ["kind", "state", "remedy"].map(|key| row[key].as_str().unwrap_or("-").to_owned())).collect()
    };
    let both = |state: &str, remedy: &str| {
        BTreeSet::from(["root", "certificate"].map(|kind| [kind, state, remedy].map(str::to_owned)))
    };
    assert_eq!(states(&lab, "pki"), both("valid", "-"));
    assert!(states(&lab, "other").contains(&["root", "due", "plan-new-ca"].map(str::to_owned)), "another CA");
    for (days, state) in [(250, "due"), (100, "expiring"), (100, "expired")] {
        lab.now += Duration::days(days);
        assert_eq!(states(&lab, "pki"), both(state, "replace-kubelet-serving"));
    }
}

#[test]
fn folders_of_k3s_and_talos() {
    needs!("openssl");
    let mut lab = lab();
    for ca in ["server-ca", "client-ca"] {
        root(&lab, &format!("tls/{ca}.crt"), 3650, ca);
    }
    leaf(&lab, "tls/server-ca.crt", "tls/serving-kube-apiserver.crt", 365, "kube-apiserver");
    leaf(&lab, "tls/client-ca.crt", "tls/client-admin.crt", 365, "system:admin");
    lab.write("tls/dynamic-cert.json", "{\"metadata\": {}}");
    for ca in ["ca", "aggregator-ca"] {
        root(&lab, &format!("secrets/kube-apiserver/{ca}.crt"), 3650, ca);
    }
    leaf(&lab, "secrets/kube-apiserver/ca.crt", "secrets/kube-apiserver/apiserver.crt", 365, "kube-apiserver");
    kubeconfig(&lab, "secrets/kube-apiserver/ca.crt", "secrets/kube-scheduler/kubeconfig", 365, "scheduler");
    let before = answer(&lab, &["tls", "secrets"]);
    assert_eq!((before.0, before.2.len()), (0, 8), "{:#}", before.1);
    lab.now += Duration::days(300);
    let states = |folder: &str, files: &[&str], remedy: &str| {
        let (_, answer, rows) = answer(&lab, &[folder]);
        for file in files {
            assert_eq!(rows[*file][1..], ["due", remedy].map(str::to_owned), "{answer:#}");
        }
    };
    states("tls", &["tls/serving-kube-apiserver.crt", "tls/client-admin.crt"], "renew-by-k3s");
    let talos = ["secrets/kube-apiserver/apiserver.crt", "secrets/kube-scheduler/kubeconfig"];
    states("secrets", &talos, "let-talos-renew");
}

#[test]
fn folder_of_kubernetes_the_hard_way() {
    needs!("openssl");
    let mut lab = lab();
    root(&lab, "way/ca.pem", 3650, "Kubernetes");
    leaf(&lab, "way/ca.pem", "way/kubernetes.pem", 365, "kubernetes");
    leaf(&lab, "way/ca.pem", "way/admin.pem", 365, "admin");
    kubeconfig(&lab, "way/ca.pem", "way/worker-0.kubeconfig", 365, "system:node:worker-0");
    good_tool(
        "openssl",
        &["x509", "-in", &text(&lab, "way/admin.pem"), "-outform", "DER", "-out", &text(&lab, "way/copy.der")],
    );
    leaf(&lab, "way/ca.pem", "way/only.der", 365, "proxy");
    let pem = text(&lab, "way/only.der");
    good_tool("openssl", &["x509", "-in", &pem, "-outform", "DER", "-out", &pem]);
    lab.write("way/ca-config.json", "{\"signing\": {\"default\": {\"expiry\": \"8760h\"}}}");
    crl_that_revokes(&lab, "way/ca.pem", "way/admin.pem", "way/crl.pem");
    lab.now += Duration::days(22);
    let (status, answer_of, rows) = answer(&lab, &["way"]);
    let valid = ["certificate", "valid", "-"];
    let wanted = [
        ("way/ca.pem", ["root", "valid", "-"]),
        ("way/kubernetes.pem", valid),
        ("way/admin.pem", ["certificate", "revoked", "renew-by-its-tool"]),
        ("way/only.der", valid),
        ("way/worker-0.kubeconfig", ["kubeconfig", "valid", "-"]),
        ("way/crl.pem", ["crl", "due", "sign-new-crl"]),
    ];
    assert_eq!((status, rows), (1, expected(&wanted)), "{answer_of:#}");
    assert_eq!(answer_of["skipped"], serde_json::json!([]));
    for format in ["human", "csv", "prometheus"] {
        assert_eq!(lab.run(&["status", "--output", format, "--pki", "way"]).status, 1, "{format}");
    }
    lab.now -= Duration::days(22);
    let (status, answer_of, rows) = answer(&lab, &["way/admin.pem", "way/crl.pem"]);
    assert_eq!((status, &rows["way/admin.pem"][1][..]), (1, "valid"), "{answer_of:#}");
    let skipped = answer_of["skipped"].as_array().expect("a list");
    assert_eq!(skipped.len(), 1, "a CRL whose CA is not given");
    assert_eq!(skipped[0]["file"], "way/crl.pem");
}

/// Creates a CRL that expires in 30 days.
fn crl_that_revokes(lab: &Lab, ca: &str, certificate: &str, path: &str) {
    let config = format!(
        "[ca]\ndefault_ca = it\n[it]\ndatabase = {}\ncertificate = {}\nprivate_key = {}\ndefault_md = sha256\n\
         default_crl_days = 30\n",
        text(lab, "index.txt"),
        text(lab, ca),
        text(lab, &key_of(ca)),
    );
    lab.write("openssl.cnf", &config);
    lab.write("index.txt", "");
    let config = text(lab, "openssl.cnf");
    good_tool("openssl", &["ca", "-config", &config, "-revoke", &text(lab, certificate)]);
    good_tool("openssl", &["ca", "-config", &config, "-gencrl", "-out", &text(lab, path)]);
}

#[test]
fn unreadable_files_are_skipped_by_name_and_fifos_do_not_block() {
    needs!("openssl");
    let lab = lab();
    root(&lab, "pki/ca.crt", 3650, "ca");
    let deep = format!("pki/{}", "d/".repeat(30));
    fs::create_dir_all(lab.path(&deep)).expect("made");
    good_tool("mkfifo", &[&text(&lab, "pki/fifo.crt")]);
    fs::File::create(lab.path("pki/large.crt")).and_then(|file| file.set_len(1 << 30)).expect("a sparse file");
    fs::create_dir(lab.path("pki/loop")).expect("made");
    symlink("..", lab.path("pki/loop/again")).expect("a link");
    symlink("self.crt", lab.path("pki/self.crt")).expect("a link");
    symlink("gone.crt", lab.path("pki/dangling.crt")).expect("a link");
    symlink("/dev/zero", lab.path("pki/zero.crt")).expect("a link");
    let _socket = std::os::unix::net::UnixListener::bind(lab.path("pki/socket.crt")).expect("a socket");
    lab.write("pki/damaged.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    lab.write("pki/unended.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    lab.write("pki/notes.txt", "nothing of interest");
    let name = std::ffi::OsStr::from_bytes(b"not-utf8-\xff.crt");
    fs::copy(lab.path("pki/ca.crt"), lab.path("pki").join(name)).expect("a copy");
    lab.write("pki/\u{1b}[31m.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let (status, answer_of, rows) = ends(move || answer(&lab, &["pki"]));
    assert_eq!((status, rows), (1, expected(&[("pki/ca.crt", ["root", "valid", "-"])])), "{answer_of:#}");
    let skipped = answer_of["skipped"].as_array().expect("a list");
    let mut names: Vec<&str> = skipped.iter().map(|one| one["file"].as_str().expect("a name")).collect();
    names.sort_unstable();
    let (deepest, names): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| name.contains("/d/d/"));
    assert_eq!(deepest.len(), 1, "{deepest:?}");
    let wanted = ["\\u{1b}[31m", "damaged", "dangling", "fifo", "large"].map(|name| format!("pki/{name}.crt"));
    let more = ["not-utf8-\u{fffd}", "self", "socket", "unended", "zero"].map(|name| format!("pki/{name}.crt"));
    let wanted = [&wanted[..], &["pki/loop/again".to_owned()], &more].concat();
    assert_eq!(names, wanted, "{skipped:#?}");
}

#[test]
fn damaged_files_are_reported_in_a_folder_and_as_arguments() {
    needs!("openssl");
    let lab = lab();
    root(&lab, "pki/ca.crt", 3650, "ca");
    kubeconfig(&lab, "pki/ca.crt", "pki/admin.conf", 365, "admin");
    let config = lab.read("pki/admin.conf");
    lab.write("pki/cut.conf", &config[..config.len() - 20]);
    lab.write("pki/tabs.conf", &config.replace("  user:", "\tuser:"));
    let (pem, der) = (text(&lab, "pki/ca.crt"), text(&lab, "pki/cut.der"));
    good_tool("openssl", &["x509", "-in", &pem, "-outform", "DER", "-out", &der]);
    let whole = fs::read(&der).expect("DER");
    fs::write(&der, &whole[..whole.len() - 9]).expect("written");
    fs::write(lab.path("pki/cut-without-ending"), &whole[..whole.len() - 9]).expect("written");
    fs::write(lab.path("pki/trailing"), [&whole[..], b"more"].concat()).expect("written");
    let certificate = lab.read("pki/ca.crt");
    let utf16 = [0xfeff].into_iter().chain(certificate.encode_utf16()).flat_map(u16::to_le_bytes);
    fs::write(lab.path("pki/utf16"), utf16.collect::<Vec<u8>>()).expect("written");
    let (key, p12) = (text(&lab, &key_of("pki/ca.crt")), text(&lab, "pki/ca.p12"));
    good_tool("openssl", &["pkcs12", "-export", "-in", &pem, "-inkey", &key, "-passout", "pass:", "-out", &p12]);
    lab.write("pki/empty.crt", "");
    lab.write("pki/openssl.cnf", "[req]\n");
    let (status, answer_of, rows) = answer(&lab, &["pki"]);
    assert_eq!((status, rows.len()), (1, 2), "{answer_of:#}");
    let skipped = answer_of["skipped"].as_array().expect("a list");
    let mut names: Vec<&str> = skipped.iter().map(|one| one["file"].as_str().expect("a name")).collect();
    names.sort_unstable();
    let damaged = [
        "pki/ca.p12",
        "pki/cut-without-ending",
        "pki/cut.conf",
        "pki/cut.der",
        "pki/empty.crt",
        "pki/tabs.conf",
        "pki/trailing",
        "pki/utf16",
    ];
    assert_eq!(names, damaged, "{skipped:#?}");
    for file in damaged {
        assert_ne!(lab.run(&["status", "--pki", file]).status, 0, "{file}");
    }
}

#[test]
fn a_folder_without_certificates_and_a_missing_path_are_errors() {
    let lab = lab();
    fs::create_dir(lab.path("empty")).expect("made");
    assert_eq!(lab.run(&["status", "--pki", "empty"]).status, 2);
    assert_ne!(lab.run(&["status", "--pki", "nothing"]).status, 0);
    assert_eq!(lab.run(&["status", "on", "--pki", "empty"]).status, 2);
}

#[test]
fn no_format_says_that_nothing_is_due_beside_what_was_not_read() {
    needs!("openssl");
    let lab = lab();
    root(&lab, "pki/ca.crt", 3650, "ca");
    let ran = |format: &str, status: u8| {
        let ran = lab.run(&["status", "--pki", "pki", "--output", format]);
        assert_eq!(ran.status, status, "{format}: {ran}");
        ran.out
    };
    insta::assert_snapshot!(ran("human", 0), @"nothing is due: 1 valid. The first to expire is pki/ca.crt, in 9 years");
    assert!(ran("html", 0).contains("verdict good"));
    let skipped = || {
        let answer: Value = serde_json::from_str(&ran("json", 1)).expect("JSON");
        assert_eq!(answer["skipped"][0]["file"], "pki/damaged.crt");
        ran("csv", 1);
        assert!(ran("prometheus", 1).contains("clusterctl_status_skipped_files{cluster=\"\"} 1\n"));
        let html = ran("html", 1);
        assert!(html.contains("id=\"skipped\"") && html.contains("verdict unknown"), "{html}");
        ran("human", 1)
    };
    lab.write("pki/damaged.crt", "garbage");
    insta::assert_snapshot!(skipped(), @"1 in all: 1 valid; 1 not read");
    fs::remove_file(lab.path("pki/ca.crt")).expect("removed");
    fs::remove_file(lab.path(&key_of("pki/ca.crt"))).expect("removed");
    insta::assert_snapshot!(skipped(), @"0 in all; 1 not read");
}

#[test]
fn an_empty_folder_is_named() {
    let lab = lab();
    fs::create_dir(lab.path("empty")).expect("made");
    for args in [&["status", "--pki", "empty"][..], &["lint", "empty"]] {
        let ran = lab.run(args);
        assert!(ran.status == 2 && ran.err.contains(" empty"), "{ran}");
    }
}
