//! Kubeconfigs as client-go reads them: which context is used, which name TLS asks for, and whose account it is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::live::Live;
use crate::support::outside::needs;
use crate::support::{Lab, Ran, good_tool};

const USER: &str =
    "client-certificate: pki/nodes/node-1/kubelet-client.crt, client-key: pki/nodes/node-1/kubelet-client.key";

/// A kubeconfig of one context, whose entries hold `cluster` and `user`.
fn config(server: &str, cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- {{name: c, context: {{cluster: a, user: u}}}}\n\
         clusters:\n- name: a\n  cluster: {{server: '{server}', certificate-authority: pki/ca.crt, {cluster}}}\n\
         users:\n- name: u\n  user: {{{user}}}\n"
    )
}

/// Returns the findings as ids, hosts, clients and statuses.
fn results(ran: &Ran) -> Vec<[String; 4]> {
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("no JSON: {ran}"));
    let results = report["results"].as_array().expect("results");
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    results.iter().map(|result| ["id", "host", "caller", "status"].map(|key| text(result, key))).collect()
}

fn failed(ran: &Ran) -> BTreeSet<String> {
    results(ran).into_iter().filter(|[_, _, _, status]| status == "fail").map(|[id, ..]| id).collect()
}

#[test]
fn a_node_given_by_flag_and_kubeconfig_is_one_node() {
    needs!("xmllint");
    let live = Live::sized(1, 2, None);
    live.lab.write("kubelet.conf", &config(&format!("https://{}", live.addresses.endpoint), "", USER));
    // A kubelet writes its node's name in lowercase.
    let node = format!("Node-1={}", live.addresses.nodes[0]);
    let args = ["verify", "--kubeconfig", "kubelet.conf", "--node", &node, "--output", "json"];
    let masters = [
        "--master-cert",
        "pki/masters/master-1/apiserver-kubelet-client.crt",
        "--master-key",
        "pki/masters/master-1/apiserver-kubelet-client.key",
    ];
    let ran = live.lab.run(&[&args[..], &masters].concat());
    assert_eq!(failed(&ran), BTreeSet::new(), "{ran}");
    let found = results(&ran);
    let nodes: BTreeSet<&str> =
        found.iter().filter(|[id, ..]| id == "node.tls").map(|[_, host, ..]| host.as_str()).collect();
    assert_eq!(nodes, ["node-1"].into());
    let of = |id: &str| found.iter().filter(|[found, ..]| found == id).collect::<Vec<_>>();
    assert!(
        of("node.neighbour").is_empty() && of("node.other-node").is_empty(),
        "a node is not another node for itself"
    );
    let passed = of("master.whoami").iter().all(|[_, _, caller, status]| caller == "node-1" && status == "pass");
    assert!(passed && of("master.scope").iter().all(|[.., status]| status == "pass"), "{ran}");
    // One node at two addresses is one node, and has one port.
    let again = format!("node-1=127.0.0.1:{}", live.addresses.nodes[0].port() ^ 1);
    let ran = live.lab.run(&[&args[..], &["--node", &again]].concat());
    assert_eq!(ran.status, 2, "{ran}");
}

#[test]
fn tls_server_name_of_the_kubeconfig_is_checked() {
    needs!("xmllint");
    let live = Live::sized(1, 2, None);
    let server = format!("https://tunnel.example.net:{}", live.addresses.endpoint.port());
    let verify = |cluster: &str| {
        live.lab.write("tunnel.conf", &config(&server, cluster, USER));
        let pin = "tunnel.example.net:127.0.0.1";
        live.lab.run(&["verify", "--kubeconfig", "tunnel.conf", "--resolve", pin, "--output", "json"])
    };
    assert_eq!(failed(&verify("")), ["master.name".to_owned()].into());
    let ran = verify("tls-server-name: Kubernetes");
    assert_eq!(failed(&ran), BTreeSet::new(), "{ran}");
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let name = report["results"].as_array().expect("results").iter().find(|result| result["id"] == "master.name");
    assert_eq!(name.expect("judged")["serverName"], "kubernetes");
    assert_eq!(failed(&verify("tls-server-name: elsewhere.example.net")), ["master.name".to_owned()].into());
    assert_eq!(verify("tls-server-name: 'no name'").status, 2);
}

#[test]
fn a_recording_keeps_the_server_name() {
    needs!("xmllint");
    let live = Live::sized(1, 1, None);
    let server = format!("https://tunnel.example.net:{}", live.addresses.endpoint.port());
    live.lab.write("tunnel.conf", &config(&server, "tls-server-name: kubernetes", USER));
    let pin = "tunnel.example.net:127.0.0.1";
    let args = ["verify", "--kubeconfig", "tunnel.conf", "--resolve", pin, "--output", "json", "--record", "r.json"];
    let ran = live.lab.run(&args);
    assert_eq!(live.lab.run(&["verify", "--replay", "r.json", "--output", "json"]).out, ran.out);
}

#[test]
fn only_the_selected_context_is_checked() {
    needs!("xmllint");
    let live = Live::sized(1, 1, None);
    let server = format!("https://{}", live.addresses.endpoint);
    let more = format!(
        "{}- name: eks\n  user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: aws}}}}\n",
        config(&server, "", USER)
            .replace(
                "contexts:\n",
                "contexts:\n- {name: eks, context: {cluster: eks, user: eks}}\n\
                 - {name: none, context: {cluster: gone, user: u}}\n"
            )
            .replace(
                "clusters:\n",
                &format!(
                    "clusters:\n- name: eks\n  cluster: {{server: '{server}', insecure-skip-tls-verify: true, \
                     certificate-authority: pki/ca.crt}}\n"
                )
            )
    );
    live.lab.write("merged.conf", &more);
    let verify = |args: &[&str]| {
        let all = [&["verify", "--kubeconfig", "merged.conf", "--output", "json"], args].concat();
        live.lab.run(&all)
    };
    assert_eq!(failed(&verify(&[])), BTreeSet::new());
    assert_eq!(failed(&verify(&["--context", "c"])), BTreeSet::new());
    assert_eq!(failed(&verify(&["--context", "eks"])), ["trust.match".to_owned()].into());
    for dangling in ["none", "nowhere"] {
        let ran = verify(&["--context", dangling]);
        assert!(ran.status == 2 && ran.err.contains(dangling), "{ran}");
    }
    live.lab.write("merged.conf", &more.replace("current-context: c", "current-context: nowhere"));
    let ran = verify(&[]);
    assert!(ran.status == 2 && ran.err.contains("nowhere") && ran.err.contains("--context"), "{ran}");
    live.lab.write("merged.conf", &more.replace("current-context: c", "current-context: ''"));
    assert_eq!(verify(&[]).status, 2);
    let ran = live.lab.run(&["verify", "--context", "c"]);
    assert_eq!(ran.status, 2, "{ran}");
}

#[test]
fn unsupported_kubeconfig_settings_are_reported() {
    needs!("xmllint");
    let live = Live::sized(1, 1, None);
    let server = format!("https://{}", live.addresses.endpoint);
    for (cluster, user, what) in [
        ("proxy-url: 'http://127.0.0.1:9'", String::new(), "proxy-url"),
        ("", ", as: root, as-groups: ['system:masters']".to_owned(), "as-groups"),
    ] {
        live.lab.write("k.conf", &config(&server, cluster, &format!("{USER}{user}")));
        let ran = live.lab.run(&["verify", "--kubeconfig", "k.conf", "--output", "json"]);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let said = report["results"].as_array().expect("results").iter().any(|result| {
            result["id"] == "trust.match"
                && result["status"] == "warn"
                && result["observed"].as_str().expect("text").contains(what)
        });
        assert!(said && failed(&ran).is_empty(), "{what}: {ran}");
    }
}

#[test]
fn a_server_in_capitals_is_the_same_server() {
    needs!("xmllint");
    let live = Live::sized(1, 1, None);
    let server = format!("HTTPS://LOCALHOST:{}", live.addresses.endpoint.port());
    live.lab.write("upper.conf", &config(&server, "", USER));
    let pin = ["--resolve", "localhost:127.0.0.1"];
    let args = ["verify", "--kubeconfig", "upper.conf", "--output", "json"];
    let ran = live.lab.run(&[&args[..], &pin].concat());
    assert_eq!(failed(&ran), BTreeSet::new(), "{ran}");
    assert!(results(&ran).iter().any(|[id, _, _, status]| id == "master.name" && status == "pass"), "{ran}");
}

#[test]
fn the_forms_that_kubectl_reads_are_read() {
    needs!("xmllint");
    let live = Live::sized(1, 1, None);
    let server = format!("https://{}", live.addresses.endpoint);
    let plain = config(&server, "", USER);
    let root = good_tool("base64", &["-w60", &live.lab.path("pki/ca.crt").display().to_string()]);
    let indented: String = root.lines().map(|line| format!("      {line}\n")).collect();
    let wrapped = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- {{name: c, context: {{cluster: a, user: u}}}}\n\
         clusters:\n- name: a\n  cluster:\n    server: {server}\n    certificate-authority-data: |\n{indented}\
         users:\n- name: u\n  user: {{{USER}}}\n"
    );
    let without_users = format!("{}users: null\n", plain.split_once("users:").expect("users").0);
    let forms = [
        ("wrapped", wrapped),
        ("bom", format!("\u{feff}{plain}")),
        ("documents", format!("{plain}---\nkind: Pod\n")),
        ("null", without_users),
        ("no-kind", plain.replace("apiVersion: v1\nkind: Config\n", "")),
    ];
    for (name, text) in forms {
        live.lab.write("k.conf", &text);
        let ran = live.lab.run(&["verify", "--kubeconfig", "k.conf", "--output", "json"]);
        assert_eq!(failed(&ran), BTreeSet::new(), "{name}: {ran}");
        assert!(
            results(&ran).iter().any(|[id, _, _, status]| id == "master.chain" && status == "pass"),
            "{name}: {ran}"
        );
        live.lab.good(&["show", "k.conf"]);
    }
}

#[test]
fn a_bundles_kubeconfig_checks_the_servers_own_name() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--eject-templates", "t"]);
    let path = "t/node/etc/kubernetes/kubelet.conf";
    let original = lab.read(path);
    let changed = |from: &str, to: &str| {
        assert!(original.contains(from), "{original}");
        lab.write(path, &original.replace(from, to));
        lab.good(&["bundle", "--all", "--templates", "t"]);
        let ran = lab.run(&["verify", "--offline", "--output", "json"]);
        assert_eq!(ran.status, 1, "{ran}");
        assert!(failed(&ran).contains("trust.match"), "{ran}");
    };
    changed("    server:", "    tls-server-name: on\n    server:");
    changed("current-context: ", "current-context: not-");
}

#[test]
fn a_kubeconfig_account_that_is_not_a_node_is_the_verifier() {
    needs!("xmllint");
    let live = Live::sized(1, 1, None);
    let user = "client-certificate: pki/verifier/verifier.crt, client-key: pki/verifier/verifier.key";
    live.lab.write("admin.conf", &config(&format!("https://{}", live.addresses.endpoint), "", user));
    let ran = live.lab.run(&["verify", "--kubeconfig", "admin.conf", "--output", "json"]);
    assert_eq!(failed(&ran), BTreeSet::new(), "{ran}");
    let found = results(&ran);
    let status = |id: &str| {
        found.iter().filter(|[found, ..]| found == id).map(|[.., status]| status.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((status("master.caller"), status("master.flags")), (vec!["skipped"], vec!["pass"]), "{ran}");
    assert!(status("master.whoami").is_empty() && status("master.anonymous") == ["pass"], "{ran}");
    let ran = live.lab.run(&["verify", "--kubeconfig", "admin.conf", "--allow-skipped"]);
    assert_eq!(ran.status, 0, "{ran}");
}

#[test]
fn an_administrators_certificate_by_flag_is_not_a_nodes() {
    needs!("openssl", "python3", "xmllint");
    let live = Live::sized(1, 1, None);
    let at = |name: &str| live.lab.path(name).display().to_string();
    let (key, request, certificate) = (at("admin.key"), at("admin.csr"), at("admin.crt"));
    let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let subject = ["req", "-subj", "/O=system:masters/CN=admin", "-keyout", &key, "-out", &request];
    good_tool("openssl", &[&subject[..], &ec].concat());
    let (ca, ca_key) = (at("pki/ca.crt"), at("pki/ca.key"));
    let signed =
        ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-out", &certificate];
    good_tool("openssl", &signed);
    let endpoint = format!("https://{}", live.addresses.endpoint);
    let flags = ["verify", "--ca", &ca, "--endpoint", &endpoint, "--node-cert", &certificate, "--node-key", &key];
    let ran = live.lab.run(&[&flags[..], &["--output", "json"]].concat());
    let found = results(&ran);
    let statuses: Vec<&str> =
        found.iter().filter(|[id, ..]| id == "master.caller").map(|[.., status]| status.as_str()).collect();
    assert_eq!(statuses, ["skipped"], "{ran}");
    assert!(found.iter().all(|[id, ..]| id != "master.whoami" && id != "master.scope"), "{ran}");
    // `--context` needs a kubeconfig.
    assert_eq!(live.lab.run(&[&flags[..], &["--context", "c"]].concat()).status, 2);
}

#[test]
fn offline_verdict_is_sound_or_unsound_without_properties() {
    let lab = Lab::issued();
    let verdict = || {
        let ran = lab.run(&["verify", "--offline", "--output", "json"]);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let none =
            report["results"].as_array().expect("results").iter().all(|r| r["property"] == serde_json::json!([]));
        assert!(none, "{ran}");
        report["verdict"].as_str().expect("a verdict").to_owned()
    };
    assert_eq!(verdict(), "sound");
    std::fs::remove_file(lab.path("pki/nodes/on/kubelet-client.crt")).expect("removed");
    assert_eq!(verdict(), "unsound");
}
