//! `lint`: the rules, and the findings in PKIs with the layouts of kubeadm, k3s, Talos and Kubernetes the hard way, which
//! openssl creates.

#[path = "lint/certificate_rules.rs"]
mod certificate_rules;
#[path = "lint/make.rs"]
mod make;
#[path = "lint/output.rs"]
mod output;
#[path = "lint/rules.rs"]
mod rules;

use std::collections::BTreeSet;
use std::fs;

use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool};

use make::{BOTH, CA, CLIENT, ca, key_of, kubeconfig, lab, leaf, lint};

/// The extensions of kubeadm's and k3s's CAs: their key usage lacks cRLSign.
const GO_CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature,keyEncipherment,keyCertSign\n\
                     subjectKeyIdentifier=hash";

fn found(rows: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    rows.iter().map(|(id, file)| ((*id).to_owned(), (*file).to_owned())).collect()
}

fn server(names: &str) -> String {
    format!("extendedKeyUsage=serverAuth\nsubjectAltName={names}")
}

const API: &str = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:m1,IP:10.96.0.1,IP:10.0.0.1";

/// Creates kubeadm's `/etc/kubernetes` of the first control-plane node.
pub(super) fn kubeadm(lab: &Lab, at: &str) {
    let pki = |path: &str| format!("{at}/pki/{path}.crt");
    for (file, name) in [("ca", "kubernetes"), ("front-proxy-ca", "front-proxy-ca"), ("etcd/ca", "etcd-ca")] {
        ca(name).extensions(GO_CA).make(lab, &pki(file));
    }
    let (cluster, proxy, etcd) = (pki("ca"), pki("front-proxy-ca"), pki("etcd/ca"));
    leaf(&cluster, "kube-apiserver", &server(API)).make(lab, &pki("apiserver"));
    leaf(&cluster, "kube-apiserver-kubelet-client", CLIENT).make(lab, &pki("apiserver-kubelet-client"));
    leaf(&proxy, "front-proxy-client", CLIENT).make(lab, &pki("front-proxy-client"));
    leaf(&etcd, "kube-apiserver-etcd-client", CLIENT).make(lab, &pki("apiserver-etcd-client"));
    leaf(&etcd, "kube-etcd-healthcheck-client", CLIENT).make(lab, &pki("etcd/healthcheck-client"));
    for name in ["server", "peer"] {
        leaf(&etcd, &format!("m1-{name}"), BOTH).subject("/CN=m1").make(lab, &pki(&format!("etcd/{name}")));
    }
    let users = [
        ("admin", "/O=kubeadm:cluster-admins/CN=kubernetes-admin"),
        ("super-admin", "/O=system:masters/CN=kubernetes-super-admin"),
        ("controller-manager", "/CN=system:kube-controller-manager"),
        ("scheduler", "/CN=system:kube-scheduler"),
    ];
    for (file, subject) in users {
        let certificate = format!("{at}/{file}.crt");
        leaf(&cluster, file, CLIENT).subject(subject).make(lab, &certificate);
        kubeconfig(lab, &format!("{at}/{file}.conf"), &cluster, &certificate, "https://10.0.0.1:6443");
    }
}

#[test]
fn folder_of_kubeadm() {
    needs!("openssl");
    let lab = lab();
    kubeadm(&lab, "kubernetes");
    let linted = lint(&lab, &["kubernetes"]);
    let wanted = [
        ("account.system-masters", "kubernetes/super-admin.conf"),
        ("ca.crl-sign", "kubernetes/pki/ca.crt"),
        ("ca.crl-sign", "kubernetes/pki/etcd/ca.crt"),
        ("ca.crl-sign", "kubernetes/pki/front-proxy-ca.crt"),
        ("key.ca-beside-credentials", "kubernetes/pki/ca.key"),
        ("key.ca-beside-credentials", "kubernetes/pki/etcd/ca.key"),
        ("key.ca-beside-credentials", "kubernetes/pki/front-proxy-ca.key"),
        ("kubeconfig.embedded", "kubernetes/controller-manager.conf"),
        ("kubeconfig.embedded", "kubernetes/scheduler.conf"),
    ];
    assert_eq!((linted.status, linted.found), (1, found(&wanted)), "{:#}", linted.answer);
    let ignored = ["--ignore", "account.system-masters,key.*", "kubernetes"];
    let linted = lint(&lab, &ignored);
    assert_eq!((linted.status, linted.answer["summary"]["notes"].as_u64()), (0, Some(5)), "{:#}", linted.answer);
    let linted = lint(&lab, &["--severity", "error", "kubernetes"]);
    assert_eq!((linted.status, linted.found), (0, found(&[])), "{:#}", linted.answer);
}

#[test]
fn folder_of_k3s() {
    needs!("openssl");
    let lab = lab();
    let at = |path: &str| format!("tls/{path}.crt");
    for name in ["server-ca", "client-ca", "request-header-ca"] {
        ca(name).extensions(GO_CA).make(&lab, &at(name));
    }
    for name in ["server-ca", "peer-ca"] {
        ca(&format!("etcd-{name}")).extensions(GO_CA).make(&lab, &at(&format!("etcd/{name}")));
    }
    let (server_ca, client_ca) = (at("server-ca"), at("client-ca"));
    leaf(&server_ca, "kube-apiserver", &server(API)).make(&lab, &at("serving-kube-apiserver"));
    leaf(&server_ca, "m1", &server("DNS:m1,IP:10.0.0.1")).make(&lab, &at("serving-kubelet"));
    let admin = leaf(&client_ca, "system:admin", CLIENT).subject("/O=system:masters/CN=system:admin");
    admin.make(&lab, &at("client-admin"));
    leaf(&client_ca, "system:kube-proxy", CLIENT).make(&lab, &at("client-kube-proxy"));
    leaf(&at("etcd/server-ca"), "etcd-server", BOTH).make(&lab, &at("etcd/server-client"));
    leaf(&at("etcd/peer-ca"), "etcd-peer", BOTH).make(&lab, &at("etcd/peer-server-client"));
    leaf(&at("etcd/server-ca"), "etcd-client", CLIENT).make(&lab, &at("etcd/client"));
    lab.write("tls/dynamic-cert.json", "{\"metadata\": {}}");
    let linted = lint(&lab, &["tls", "--severity", "warning"]);
    let beside = |name: &str| ("key.ca-beside-credentials".to_owned(), format!("tls/{name}.key"));
    let mut wanted = found(&[
        ("account.system-masters", "tls/client-admin.crt"),
        ("name.kubelet-serving", "tls/serving-kubelet.crt"),
    ]);
    wanted.extend(["server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"].map(beside));
    assert_eq!((linted.status, linted.found), (1, wanted), "{:#}", linted.answer);
}

#[test]
fn folder_of_talos() {
    needs!("openssl");
    let lab = lab();
    let at = |path: &str| format!("secrets/{path}.crt");
    let ed25519: &[&str] = &["genpkey", "-algorithm", "ed25519"];
    ca("talos").subject("/O=talos").extensions(CA).key(ed25519).make(&lab, "os/ca.crt");
    ca("kubernetes").subject("/O=kubernetes").make(&lab, &at("kube-apiserver/ca"));
    ca("aggregator").subject("/O=front-proxy").make(&lab, &at("kube-apiserver/aggregator-ca"));
    ca("etcd").subject("/O=etcd").make(&lab, &at("etcd/ca"));
    let cluster = at("kube-apiserver/ca");
    leaf(&cluster, "kube-apiserver", &server(API)).make(&lab, "made-apiserver/apiserver.crt");
    // Talos has the keys of CAs only in its machine configuration.
    fs::rename(lab.path("made-apiserver/apiserver.crt"), lab.path(&at("kube-apiserver/apiserver"))).expect("moved");
    leaf(&at("etcd/ca"), "m1", BOTH).make(&lab, &at("etcd/server"));
    leaf(&at("etcd/ca"), "peer", BOTH).subject("/CN=m1").make(&lab, &at("etcd/peer"));
    leaf(&cluster, "system:kube-scheduler", CLIENT).make(&lab, "secrets/scheduler.crt");
    let config = "secrets/kube-scheduler/kubeconfig";
    fs::create_dir(lab.path("secrets/kube-scheduler")).expect("made");
    kubeconfig(&lab, config, &cluster, "secrets/scheduler.crt", "https://localhost:7445");
    for ca in ["kube-apiserver/ca", "kube-apiserver/aggregator-ca", "etcd/ca"] {
        fs::remove_file(lab.path(&key_of(&at(ca)))).expect("removed");
    }
    let linted = lint(&lab, &["secrets"]);
    let wanted = [("kubeconfig.embedded", config), ("kubeconfig.server", config)];
    assert_eq!((linted.status, linted.found), (1, found(&wanted)), "{:#}", linted.answer);
}

#[test]
fn folder_of_kubernetes_the_hard_way() {
    needs!("openssl");
    let lab = lab();
    let at = |path: &str| format!("way/{path}.pem");
    ca("Kubernetes").make(&lab, &at("ca"));
    let root = at("ca");
    // Its cfssl profile has both usages.
    leaf(&root, "kubernetes", &format!("{BOTH},{API}")).make(&lab, &at("kubernetes"));
    leaf(&root, "admin", BOTH).subject("/O=system:masters/CN=admin").make(&lab, &at("admin"));
    leaf(&root, "worker-0", BOTH).subject("/O=system:nodes/CN=system:node:worker-0").make(&lab, &at("worker-0"));
    leaf(&root, "scheduler", CLIENT).subject("/CN=system:kube-scheduler").make(&lab, "way/scheduler.crt");
    kubeconfig(&lab, "way/kube-scheduler.kubeconfig", &root, "way/scheduler.crt", "https://127.0.0.1:6443");
    lab.write("way/ca-config.json", "{\"signing\": {\"default\": {\"expiry\": \"8760h\"}}}");
    let linted = lint(&lab, &["way"]);
    let wanted = [
        ("account.system-masters", "way/admin.pem"),
        ("key.ca-beside-credentials", "way/ca-key.pem"),
        ("kubeconfig.embedded", "way/kube-scheduler.kubeconfig"),
        ("kubeconfig.server", "way/kube-scheduler.kubeconfig"),
        ("usage.server-and-client", "way/admin.pem"),
        ("usage.server-and-client", "way/kubernetes.pem"),
        ("usage.server-and-client", "way/worker-0.pem"),
    ];
    assert_eq!((linted.status, linted.found), (1, found(&wanted)), "{:#}", linted.answer);
}

/// The directory has CAs' keys, bundles as archives or folders, and an administrator's kubeconfig.
#[test]
fn nothing_is_found_in_clusterctls_own_directory() {
    for (format, accounts) in [("tar.gz", "kubelet"), ("dir", "system-node")] {
        let lab = Lab::with(&CLUSTER.replace("name: prod", &format!("name: prod\naccounts: {accounts}")));
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        lab.good(&["issue-admin", "alice"]);
        let args: &[&str] = if format == "dir" { &["--format", "dir"] } else { &[] };
        lab.good(&[&["bundle", "--all"], args].concat());
        lab.good(&["revoke", "on", "--yes"]);
        lab.good(&["issue-node", "on"]);
        lab.good(&[&["bundle", "--all"], args].concat());
        let linted = lint(&lab, &["."]);
        assert_eq!((linted.status, linted.found), (0, found(&[])), "{:#}", linted.answer);
        let files = linted.answer["files"].as_u64().expect("a number");
        let certificates = linted.answer["certificates"].as_u64().expect("a number");
        assert!(files > 40 && certificates > 25, "{:#}", linted.answer);
    }
}

#[test]
fn a_servers_certificate_that_lost_an_address_of_the_cluster_file_is_found() {
    let lab = Lab::issued();
    assert_eq!(lint(&lab, &["pki"]).status, 0);
    lab.write("cluster.yaml", &CLUSTER.replace("10.20.0.12", "10.20.0.13").replace("10.20.4.1]", "10.20.4.2]"));
    let linted = lint(&lab, &["pki"]);
    let missing = |file: &str| ("name.address-missing".to_owned(), format!("pki/{file}.crt"));
    let wanted = [
        "masters/master-2/apiserver",
        "masters/master-2/etcd-peer",
        "masters/master-2/etcd-server",
        "nodes/on/kubelet-server",
    ];
    assert_eq!(linted.found, wanted.map(missing).into(), "{:#}", linted.answer);
}

/// A bundle from templates of one's own may have a kubeconfig that client-go cannot use.
#[test]
fn a_damaged_kubeconfig_in_a_bundle_is_found_as_in_a_folder() {
    needs!("tar");
    let lab = Lab::issued();
    lab.good(&["bundle", "--eject-templates", "own"]);
    let template = "own/node/etc/kubernetes/kubelet.conf";
    let (good, ca) = (lab.read(template), "certificate-authority: {{ files.ca }}");
    for (bad, rule) in [
        (good.clone(), None),
        (good.replace(ca, "certificate-authority-data: '%%%'"), Some("kubeconfig.credential")),
        (good.replace(ca, "certificate-authority-data: bm90IFBFTQ=="), Some("kubeconfig.credential")),
        (good.replace("users:", "users: {"), Some("file.unreadable")),
    ] {
        lab.write(template, &bad);
        lab.good(&["bundle", "on", "--templates", "own"]);
        let folder = lab.path("unpacked");
        fs::create_dir(&folder).expect("a folder");
        let (archive, to) = (lab.path("bundles/on.tar.gz").display().to_string(), folder.display().to_string());
        good_tool("tar", &["-xzf", &archive, "-C", &to]);
        for (named, file) in
            [("bundles/on.tar.gz", "bundles/on.tar.gz"), ("unpacked", "unpacked/on/etc/kubernetes/kubelet.conf")]
        {
            let linted = lint(&lab, &[named]);
            let about =
                |(id, _): &&(String, String)| id.starts_with("kubeconfig.credential") || id.starts_with("file.");
            let rows: Vec<(&str, &str)> = rule.iter().map(|rule| (*rule, file)).collect();
            assert_eq!(linted.found.iter().filter(about).cloned().collect::<BTreeSet<_>>(), found(&rows), "{named}");
        }
        let ran = lab.run(&["status", "--pki", "bundles/on.tar.gz", "--output", "json"]);
        let status: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        let skipped = status["skipped"].as_array().map(Vec::len);
        assert_eq!((ran.status, skipped), (u8::from(rule.is_some()), Some(rule.iter().count())), "{status:#}");
        assert_eq!(status["summary"]["total"], 3, "the root, and the certificates of the client and the server");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
