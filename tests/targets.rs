//! Targets of `verify`: the directory, a verifier bundle, a node's own bundle, files and flags, a kubeconfig.

use std::collections::{BTreeMap, BTreeSet};

use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::verify::remedy::TargetKind;
use clusterctl::verify::target::Target;
use serde_json::Value;

use crate::support::live::Live;
use crate::support::outside::needs;
use crate::support::{Lab, Ran, good_tool, without_digests};

#[test]
fn verify_proves_a_live_cluster_and_finds_a_fault() {
    needs!("xmllint");
    let live = Live::start(None);
    let ran = live.lab.good(&["verify", "--output", "json"]);
    assert_eq!(worst(&ran), BTreeMap::new());
    let broken = Live::start(Some(InjectedFault::AnonymousNode));
    let ran = broken.lab.run(&["verify", "--output", "json"]);
    assert_eq!(ran.status, 1, "{ran}");
    assert_eq!(worst(&ran).get("node.anonymous node-2").map(String::as_str), Some("fail"), "{ran}");
    // The fault is at another node.
    broken.lab.good(&["verify", "--node", "node-1"]);
    broken.lab.good(&["verify", "--masters-only"]);
}

#[test]
fn a_verifier_bundle_has_no_keys_of_cas_or_nodes() {
    needs!("tar", "xmllint");
    let live = Live::start(None);
    let packed = live.lab.good(&["bundle", "--verifier"]);
    assert_eq!(packed.out, "DIR/verifier.tar.gz\n");
    let listed = good_tool("tar", &["-tzf", &live.lab.path("verifier.tar.gz").display().to_string()]);
    let files: Vec<&str> = listed.lines().collect();
    assert_eq!(
        files,
        [
            "verifier/",
            "verifier/cluster.yaml",
            "verifier/manifest.json",
            "verifier/manifest.sha256",
            "verifier/pki/ca.crt",
            "verifier/pki/masters/master-1/apiserver-kubelet-client.crt",
            "verifier/pki/masters/master-1/apiserver-kubelet-client.key",
            "verifier/pki/masters/master-2/apiserver-kubelet-client.crt",
            "verifier/pki/masters/master-2/apiserver-kubelet-client.key",
            "verifier/pki/verifier/verifier.crt",
            "verifier/pki/verifier/verifier.key",
            "verifier/policy/clusterctl-verifier.yaml",
            "verifier/policy/denials.json",
        ]
    );
    // In another folder, with only the bundle.
    let mut ci = Lab::empty();
    ci.now = live.lab.now;
    std::fs::copy(live.lab.path("verifier.tar.gz"), ci.path("verifier.tar.gz")).expect("copied");
    let strict = ci.run(&["verify", "--from", "verifier.tar.gz", "--output", "json"]);
    assert_eq!(strict.status, 1, "nodes' own certificates are not there: {strict}");
    let skipped = worst(&strict);
    assert!(!skipped.is_empty() && skipped.values().all(|status| status == "skipped"), "{skipped:#?}");
    let lenient = ci.run(&["verify", "--from", "verifier.tar.gz", "--allow-skipped", "--output", "json"]);
    assert_eq!((lenient.status, worst(&lenient)), (0, skipped));
    let again = live.lab.good(&["bundle", "--verifier"]);
    assert_eq!(again.out, packed.out);
    let bytes = |lab: &Lab| std::fs::read(lab.path("verifier.tar.gz")).expect("a bundle");
    assert_eq!(bytes(&live.lab), bytes(&ci), "the same bytes on every run");
}

/// Returns the worst status of each check and host, without passes.
fn worst(ran: &Ran) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let rank = |status: &str| ["pass", "skipped", "warn", "not-proven", "fail"].iter().position(|s| *s == status);
    for result in report["results"].as_array().expect("results") {
        let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        let known = found.entry(format!("{} {}", text("id"), text("host"))).or_default();
        if known.is_empty() || rank(known) < rank(&text("status")) {
            *known = text("status");
        }
    }
    found.retain(|_, status| status != "pass");
    found
}

/// `id host status` of every result, in the report's order.
fn table(ran: &Ran) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let results = report["results"].as_array().expect("results").iter();
    results.map(|result| (text(result, "id"), text(result, "host"), text(result, "status"))).collect()
}

/// `status: observed` of every result of `trust.match`.
fn trust_match(ran: &Ran) -> String {
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let results = report["results"].as_array().expect("results").iter().filter(|result| result["id"] == "trust.match");
    results.map(|r| format!("{}: {}\n", text(r, "status"), text(r, "observed"))).collect()
}

/// Returns the worst status of each check, by its id.
fn statuses(ran: &Ran) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let rank = |status: &str| ["pass", "skipped", "warn", "not-proven", "fail"].iter().position(|s| *s == status);
    for result in report["results"].as_array().expect("results") {
        let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        let known = found.entry(text("id")).or_default();
        if known.is_empty() || rank(known) < rank(&text("status")) {
            *known = text("status");
        }
    }
    found
}

#[test]
fn refusals_are_proven_with_the_verifiers_certificate_alone() {
    needs!("xmllint");
    let live = Live::start(None);
    live.lab.good(&["bundle", "--verifier"]);
    let args = ["verify", "--from", "verifier.tar.gz", "--allow-skipped", "--output", "json"];
    // Nodes' certificates are not in the bundle; the verifier is accepted and untrusted clients are refused.
    let found = statuses(&live.lab.good(&args));
    for check in ["master.anonymous", "master.untrusted", "node.caller", "node.anonymous", "node.untrusted"] {
        assert_eq!(found[check], "pass", "{check}: {found:#?}");
    }
    for check in ["master.caller", "master.whoami", "node.other-node"] {
        assert_eq!(found[check], "skipped", "{check}: {found:#?}");
    }
    // Without the masters' key pair, the kubelet authenticates the verifier but forbids it the pods.
    for master in ["master-1", "master-2"] {
        for ending in ["crt", "key"] {
            let file = format!("pki/masters/{master}/apiserver-kubelet-client.{ending}");
            std::fs::remove_file(live.lab.path(&file)).expect("removed");
        }
    }
    let found = statuses(&live.lab.good(&["verify", "--allow-skipped", "--output", "json"]));
    for check in ["node.anonymous", "node.untrusted", "node.other-node"] {
        assert_eq!(found[check], if check == "node.other-node" { "skipped" } else { "pass" }, "{check}: {found:#?}");
    }
    assert_eq!(found["node.caller"], "skipped");
    // Without both, no client is accepted, and a refusal proves nothing.
    std::fs::remove_dir_all(live.lab.path("pki/verifier")).expect("removed");
    let found = statuses(&live.lab.good(&["verify", "--allow-skipped", "--output", "json"]));
    for check in ["node.caller", "node.anonymous", "node.untrusted", "node.other-node"] {
        assert_eq!(found[check], "skipped", "{check}: {found:#?}");
    }
    // Anonymous access is found with and without it.
    let open = Live::start(Some(InjectedFault::AnonymousMaster));
    open.lab.good(&["bundle", "--verifier"]);
    let ran = open.lab.run(&args);
    assert_eq!((ran.status, statuses(&ran)["master.anonymous"].as_str()), (1, "fail"), "{ran}");
}

#[test]
fn a_sample_is_spread_over_the_fleet_and_reports_the_rest() {
    needs!("xmllint");
    let live = Live::sized(1, 20, None);
    let ran = live.lab.good(&["verify", "--sample", "4", "--output", "json", "--record", "run.json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let results = report["results"].as_array().expect("results");
    let of = |id: &str, key: &str| -> Vec<&str> {
        results.iter().filter(|r| r["id"] == id && r["role"] != "cluster").filter_map(|r| r[key].as_str()).collect()
    };
    assert_eq!(of("node.tls", "host"), ["node-1", "node-6", "node-11", "node-16"]);
    let asked: BTreeSet<&str> = of("master.whoami", "caller").into_iter().collect();
    assert_eq!(asked, ["node-1", "node-11", "node-16", "node-6"].into());
    let left_out: Vec<&Value> =
        results.iter().filter(|r| r["role"] == "cluster" && r["id"] == "node.connect").collect();
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0]["remedy"], "verify-all-nodes");
    insta::assert_snapshot!(
        left_out[0]["observed"].as_str().expect("text"),
        @"16 of 20 nodes were left out: a sample of 4 was requested"
    );
    assert_eq!((&left_out[0]["status"], &left_out[0]["severity"]), (&"skipped".into(), &"warning".into()));
    // Also in the text report, and in the recording.
    let again = live.lab.good(&["verify", "--replay", "run.json", "--output", "json"]);
    assert_eq!(again.out, ran.out);
    let all = live.lab.good(&["verify", "--sample", "99", "--output", "json"]);
    assert_eq!(worst(&all), BTreeMap::new());
    let ran = live.lab.run(&["verify", "--sample", "0"]);
    assert_eq!(ran.status, 2, "{ran}");
    let ran = live.lab.run(&["verify", "--sample", "1", "--node", "node-1"]);
    assert_eq!(ran.status, 2, "{ran}");
}

#[test]
fn the_verifiers_policy_is_read_by_kubectl_and_has_no_proxy() {
    needs!("python3");
    let live = Live::start(None);
    live.lab.good(&["bundle", "--verifier"]);
    let dir = live.lab.dir().display().to_string();
    good_tool("tar", &["-xzf", &live.lab.path("verifier.tar.gz").display().to_string(), "-C", &dir]);
    let policy = live.lab.read("verifier/policy/clusterctl-verifier.yaml");
    let rules: Vec<&str> = policy.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    assert!(!rules.join("\n").contains("nodes/proxy"));
    let script = "
import sys, yaml
documents = list(yaml.safe_load_all(open(sys.argv[1])))
assert [d['kind'] for d in documents] == ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding']
for role, binding in zip(documents[::2], documents[1::2]):
    assert binding['roleRef'] == {'apiGroup': 'rbac.authorization.k8s.io', 'kind': role['kind'], 'name': role['metadata']['name']}
    assert binding['metadata'].get('namespace') == role['metadata'].get('namespace')
    assert [s['name'] for s in binding['subjects']] == ['clusterctl:verifiers']
    for rule in role['rules']:
        # A review is asked by creating it; nothing is stored.
        reviews = rule.get('resources') == ['subjectaccessreviews']
        assert rule['verbs'] == ['create'] if reviews else set(rule['verbs']) <= {'get', 'list'}, rule
assert documents[2]['metadata']['namespace'] == 'kube-node-lease'
assert documents[2]['rules'] == [{'apiGroups': ['coordination.k8s.io'], 'resources': ['leases'], 'verbs': ['get', 'list']}]
print('fine')
";
    let path = live.lab.path("verifier/policy/clusterctl-verifier.yaml").display().to_string();
    assert_eq!(good_tool("/usr/bin/python3", &["-c", script, &path]), "fine\n");
}

#[test]
fn a_nodes_bundle_proves_the_connection_to_the_masters() {
    let live = Live::start(None);
    live.lab.good(&["bundle", "--all"]);
    let found = statuses(&live.lab.good(&["verify", "--from", "bundles/node-1.tar.gz", "--output", "json"]));
    for id in ["master.whoami", "master.caller", "trust.match"] {
        assert_eq!(found[id], "pass", "{id}: {found:#?}");
    }
    assert!(!found.contains_key("node.tls"), "no connection to a node: {found:#?}");
    let swapped = Live::start(Some(InjectedFault::SwappedAccount));
    swapped.lab.good(&["bundle", "--all"]);
    let ran = swapped.lab.run(&["verify", "--from", "bundles/node-1.tar.gz", "--output", "json"]);
    assert_eq!((ran.status, statuses(&ran)["master.whoami"].as_str()), (1, "fail"), "{ran}");
    let ran = live.lab.run(&["verify", "--from", "bundles/master-1.tar.gz"]);
    assert_eq!(ran.status, 2);
}

#[test]
fn a_tampered_bundle_is_refused() {
    needs!("tar");
    let live = Live::start(None);
    live.lab.good(&["bundle", "--verifier"]);
    let dir = live.lab.dir().display().to_string();
    let bundle = live.lab.path("verifier.tar.gz").display().to_string();
    good_tool("tar", &["-xzf", &bundle, "-C", &dir]);
    live.lab.write("verifier/pki/ca.crt", &live.lab.read("pki/etcd/ca.crt"));
    good_tool("tar", &["-czf", &bundle, "-C", &dir, "verifier"]);
    let ran = live.lab.run(&["verify", "--from", "verifier.tar.gz"]);
    insta::assert_snapshot!("a_verifier_bundle_that_was_changed", without_digests(&ran.to_string()));
}

#[test]
fn files_and_flags_prove_a_cluster_without_a_directory() {
    let live = Live::start(None);
    let endpoint = format!("https://{}", live.addresses.endpoint);
    let nodes: Vec<String> =
        live.addresses.nodes.iter().enumerate().map(|(i, at)| format!("node-{}={at}", i + 1)).collect();
    let mut args = vec!["verify", "--ca", "pki/ca.crt", "--endpoint", &endpoint];
    for node in &nodes[..2] {
        args.extend(["--node", node]);
    }
    args.extend(["--master-cert", "pki/masters/master-1/apiserver-kubelet-client.crt"]);
    args.extend(["--master-key", "pki/masters/master-1/apiserver-kubelet-client.key"]);
    args.extend([
        "--node-cert",
        "pki/nodes/node-1/kubelet-client.crt",
        "--node-key",
        "pki/nodes/node-1/kubelet-client.key",
    ]);
    std::fs::remove_file(live.lab.path("cluster.yaml")).expect("removed");
    let found = table(&live.lab.run(&[&args[..], &["--output", "json"]].concat()));
    assert!(found.iter().all(|(_, _, status)| status != "fail"), "{found:#?}");
    let endpoint = live.addresses.endpoint.to_string();
    for (id, hosts) in [
        ("node.caller", &["node-1", "node-2"][..]),
        ("node.chain", &["node-1", "node-2"]),
        ("node.name", &["node-1", "node-2"]),
        ("node.anonymous", &["node-1", "node-2"]),
        ("master.whoami", &[&endpoint]),
        ("master.chain", &[&endpoint]),
    ] {
        let of_check = found.iter().filter(|(check, ..)| check == id).map(|(_, host, status)| (&**host, &**status));
        let expected: Vec<(&str, &str)> = hosts.iter().map(|host| (*host, "pass")).collect();
        assert_eq!(of_check.collect::<Vec<_>>(), expected, "{id}");
    }
    let table: String = found.iter().map(|(id, host, status)| format!("{id} {host} {status}\n")).collect();
    insta::assert_snapshot!("files_and_flags", table.replace(&endpoint, "ENDPOINT"));
    let broken = Live::start(Some(InjectedFault::OtherCa));
    let node = format!("node-2={}", broken.addresses.nodes[1]);
    let ran = broken.lab.run(&["verify", "--ca", "pki/ca.crt", "--node", &node, "--output", "json"]);
    assert_eq!(ran.status, 1, "{ran}");
    assert_eq!(worst(&ran).get("node.chain node-2").map(String::as_str), Some("fail"), "{ran}");
}

/// The certificates are by clusterctl, but its directory is not available.
#[test]
fn remedies_for_a_cluster_given_by_flags_name_no_clusterctl_command() {
    needs!("xmllint");
    for fault in [InjectedFault::ExpiredNode, InjectedFault::WrongName, InjectedFault::OtherCa] {
        let live = Live::sized(1, 2, Some(fault));
        let endpoint = format!("https://{}", live.addresses.endpoint);
        let node = format!("node-2={}", live.addresses.nodes[1]);
        let flags = ["verify", "--output", "json", "--ca", "pki/ca.crt", "--endpoint", &endpoint, "--node", &node];
        let hints = |args: &[&str]| -> Vec<String> {
            let report: Value = serde_json::from_str(&live.lab.run(args).out).expect("JSON");
            let results = report["results"].as_array().expect("results").iter();
            results.filter_map(|result| result["hint"].as_str()).map(str::to_owned).collect()
        };
        let ours = |hint: &String| {
            ["clusterctl issue", "clusterctl init", "bundle", "cluster file"].iter().any(|words| hint.contains(words))
        };
        let of_flags = hints(&flags);
        assert!(!of_flags.is_empty() && !of_flags.iter().any(ours), "{fault}: {of_flags:#?}");
        let of_the_directory = hints(&["verify", "--output", "json"]);
        assert!(of_the_directory.iter().any(ours), "{fault}: {of_the_directory:#?}");
    }
}

#[test]
fn a_kubeadm_cluster_is_recognized_by_its_ca() {
    let kind = |name: &str| {
        let mut target = Target::empty("c".into());
        let path = format!("{}/tests/data/trust/{name}.crt", env!("CARGO_MANIFEST_DIR"));
        target.add_trust_file(&std::fs::read(path).expect("readable"));
        target.by_another_tool()
    };
    assert_eq!(kind("serial-zero"), TargetKind::Kubeadm);
    assert_eq!(kind("api"), TargetKind::Other);
}

#[test]
fn a_kubeconfig_gives_endpoint_trust_and_account() {
    needs!("xmllint");
    let live = Live::start(None);
    let server = format!("https://{}", live.addresses.endpoint);
    let config = |cluster: &str, user: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- {{name: c, context: {{cluster: a, user: u}}}}\n\
             clusters:\n- name: a\n  cluster: {{server: '{server}', {cluster}}}\nusers:\n- name: u\n  user: {{{user}}}\n"
        )
    };
    let by_path =
        "client-certificate: pki/nodes/node-1/kubelet-client.crt, client-key: pki/nodes/node-1/kubelet-client.key";
    live.lab.write("by-path.conf", &config("certificate-authority: pki/ca.crt", by_path));
    let found = statuses(&live.lab.good(&["verify", "--kubeconfig", "by-path.conf", "--output", "json"]));
    assert_eq!((found["master.whoami"].as_str(), found["trust.match"].as_str()), ("pass", "pass"));

    let data = |path: &str| good_tool("base64", &["-w0", &live.lab.path(path).display().to_string()]);
    let embedded = format!(
        "client-certificate-data: {}, client-key-data: {}",
        data("pki/nodes/node-1/kubelet-client.crt"),
        data("pki/nodes/node-1/kubelet-client.key")
    );
    let root = format!("certificate-authority-data: {}", data("pki/ca.crt"));
    live.lab.write("embedded.conf", &config(&root, &embedded));
    let ran = live.lab.good(&["verify", "--kubeconfig", "embedded.conf", "--output", "json"]);
    assert_eq!(statuses(&ran)["trust.match"], "warn", "works, and is warned of: {ran}");
    insta::assert_snapshot!("trust_match_of_an_embedded_certificate", trust_match(&ran));
    assert_eq!(live.lab.run(&["verify", "--kubeconfig", "embedded.conf", "--fail-on", "warn"]).status, 1);

    live.lab.write("open.conf", &config("certificate-authority: pki/ca.crt, insecure-skip-tls-verify: true", by_path));
    let ran = live.lab.run(&["verify", "--kubeconfig", "open.conf", "--output", "json"]);
    assert_eq!((ran.status, statuses(&ran)["trust.match"].as_str()), (1, "fail"), "{ran}");
    insta::assert_snapshot!("trust_match_without_verification", trust_match(&ran));

    let marker = live.lab.path("was-run");
    let exec = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: touch, args: ['{}']}}",
        marker.display()
    );
    live.lab.write("exec.conf", &config("certificate-authority: pki/ca.crt", &exec));
    let ran = live.lab.run(&["verify", "--kubeconfig", "exec.conf", "--output", "json"]);
    assert_eq!((ran.status, statuses(&ran)["trust.match"].as_str()), (1, "fail"), "{ran}");
    insta::assert_snapshot!("trust_match_of_an_exec_plugin", trust_match(&ran));
    assert!(!marker.exists());

    live.lab.write("no-ca.conf", &config("insecure-skip-tls-verify: false", by_path));
    let ran = live.lab.run(&["verify", "--kubeconfig", "no-ca.conf"]);
    assert_eq!(ran.status, 2, "{ran}");
}

#[test]
fn invalid_targets_exit_with_2() {
    let lab = Lab::issued();
    lab.write("empty.crt", "");
    lab.write("mixed.crt", &format!("{}{}", lab.read("pki/ca.crt"), lab.read("pki/ca.key")));
    let leaf = "pki/nodes/on/kubelet-client.crt";
    let cases: [(&[&str], u8); 15] = [
        (&["verify", "--endpoint", "https://127.0.0.9:1"], 2),
        (&["verify", "--ca", "absent.crt", "--endpoint", "https://127.0.0.9:1"], 2),
        (&["verify", "--ca", "pki", "--endpoint", "https://127.0.0.9:1"], 2),
        (&["verify", "--ca", "pki/ca.crt", "--endpoint", "http://127.0.0.9:1"], 2),
        (&["verify", "--ca", "pki/ca.crt", "--endpoint", "https://127.0.0.9:1", "--crl", "pki"], 2),
        (&["verify", "--ca", "empty.crt", "--endpoint", "https://127.0.0.9:1"], 1),
        (&["verify", "--ca", "mixed.crt", "--endpoint", "https://127.0.0.9:1"], 1),
        (&["verify", "--ca", leaf, "--endpoint", "https://127.0.0.9:1"], 1),
        (&["verify", "--ca", "pki/ca.crt", "--endpoint", "127.0.0.9:1"], 2),
        (&["verify", "--ca", "pki/ca.crt", "--endpoint", "https://127.0.0.9:1/api"], 2),
        (&["verify", "--ca", "pki/ca.crt", "--node", "on"], 2),
        (&["verify", "--ca", "pki/ca.crt", "--node", "=10.0.0.1"], 2),
        (&["verify", "--ca", "pki/ca.crt", "--node", "on=10.0.0.1:99999"], 2),
        (&["verify", "--from", "x.tar.gz", "--ca", "pki/ca.crt"], 2),
        (&["verify", "--ca", "pki/ca.crt", "--node-cert", leaf], 2),
    ];
    let mut shown = String::new();
    for (args, status) in cases {
        let ran = lab.run(&[args, &["--timeout", "0.5", "--output", "json"]].concat());
        assert_eq!(ran.status, status, "{args:?}: {ran}");
        let report: Option<Value> = serde_json::from_str(&ran.out).ok();
        let results = report.iter().flat_map(|report| report["results"].as_array().expect("results"));
        let failed = results.filter(|result| result["id"] == "trust.anchor" && result["status"] == "fail");
        let failed: String = failed.map(|result| format!("{}\n", result["observed"].as_str().expect("text"))).collect();
        shown.push_str(&format!("$ {}\n{}{failed}", args.join(" "), if report.is_some() { "" } else { &ran.err }));
    }
    insta::assert_snapshot!("invalid_targets", without_digests(&shown));
}

#[test]
fn the_expected_certificate_comes_from_the_ledger() {
    needs!("xmllint");
    let live = Live::sized(1, 2, None);
    let identity = |host: &str| {
        let ran = live.lab.run(&["verify", "--output", "json"]);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let results = report["results"].as_array().expect("results");
        let wanted = |result: &&Value| result["id"] == "node.identity" && result["host"] == host;
        let result = results.iter().find(wanted).unwrap_or_else(|| panic!("{ran}"));
        result["status"].as_str().expect("a status").to_owned()
    };
    let folder = live.lab.path("pki/nodes/node-1");
    let copy = live.lab.path("copy");
    assert!(std::process::Command::new("cp").arg("-a").args([&folder, &copy]).status().expect("cp").success());
    assert_eq!(identity("node-1"), "pass");
    live.lab.good(&["issue-node", "node-1", "--reissue"]);
    assert_eq!(identity("node-1"), "warn");
    // The backup has the certificate that the node still serves, which is not the newest one.
    std::fs::remove_dir_all(&folder).expect("removed");
    std::fs::rename(&copy, &folder).expect("put back");
    assert_eq!(identity("node-1"), "warn");
    assert_eq!(identity("node-2"), "pass");
}
