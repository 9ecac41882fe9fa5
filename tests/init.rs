//! `init`: a cluster file from flags, from questions, from kubectl; and cluster files with errors.

use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool};

const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/nodes-from-kubectl.json");

#[test]
fn a_cluster_file_is_never_replaced() {
    let lab = Lab::with(CLUSTER);
    let ran = lab.run(&["init", "--name", "prod", "--master", "m=10.0.0.1"]);
    assert_eq!(ran.status, 3, "{ran}");
    assert_eq!(lab.read("cluster.yaml"), CLUSTER);
}

#[test]
fn init_reports_all_faults_and_writes_nothing() {
    let lab = Lab::empty();
    let ran =
        lab.run(&["init", "--name", "Prod", "--master", "m=10.0.0.300", "--node", "n=", "--service-cidr", "10.0.0.0"]);
    insta::assert_snapshot!(ran);
    assert!(lab.snapshot().is_empty());
}

#[test]
fn without_a_master_and_without_a_terminal_the_flag_is_named() {
    let lab = Lab::empty();
    let ran = lab.run(&["init", "--name", "prod"]);
    insta::assert_snapshot!(ran);
}

#[test]
fn a_recorded_inventory_becomes_a_complete_cluster_file() {
    needs!("python3");
    let lab = Lab::empty();
    let master = "master-1=10.20.0.11,master-1.example.net";
    lab.good(&[
        "init",
        "--name",
        "prod",
        "--from-kubectl",
        REAL,
        "--endpoint",
        "https://10.20.0.10:6443",
        "--master",
        master,
    ]);
    // PyYAML, a YAML 1.1 reader, must read the same strings that kubectl printed.
    let script = "
import json, sys, yaml
file = yaml.safe_load(open(sys.argv[1]))
real = json.load(open(sys.argv[2]))
by_type = lambda n: sorted(n['status']['addresses'], key=lambda a: (a['type'] != 'InternalIP', a['type'] == 'ExternalIP'))
want = {n['metadata']['name']: list(dict.fromkeys(a['address'] for a in by_type(n))) for n in real['items']}
have = {n['name']: n['addresses'] for n in file['nodes']}
assert have == want, (have, want)
assert 'on' in have and len(have) == 7
assert file['masters'] == [{'name': 'master-1', 'addresses': ['10.20.0.11', 'master-1.example.net']}], file['masters']
print('same')
";
    let file = lab.path("cluster.yaml").display().to_string();
    assert_eq!(good_tool("/usr/bin/python3", &["-c", script, &file, REAL]), "same\n");
    let text = lab.read("cluster.yaml");
    assert!(text.lines().filter(|line| line.starts_with('#')).count() > 20, "the file explains itself");
}

#[test]
fn a_recorded_inventory_goes_through_issue_bundle_and_verify() {
    needs!("openssl");
    let lab = Lab::empty();
    let master = "master-1=10.20.0.11,master-1.example.net";
    lab.good(&[
        "init",
        "--name",
        "prod",
        "--from-kubectl",
        REAL,
        "--endpoint",
        "https://10.20.0.10:6443",
        "--master",
        master,
    ]);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all"]);
    let offline = lab.good(&["verify", "--offline"]);
    assert!(offline.out.contains("37 checks: 37 passed\n"), "{offline}");
    let cloud = "ip-10-20-3-7.eu-central-1.compute.internal";
    let root = lab.path("pki/ca.crt").display().to_string();
    let at = lab.now.unix_timestamp().to_string();
    for (node, name) in [(cloud, cloud), ("on", "on"), ("worker-b2", "worker-b2.edge.example.net")] {
        let certificate = lab.path(&format!("pki/nodes/{node}/kubelet-server.crt")).display().to_string();
        good_tool(
            "openssl",
            &[
                "verify",
                "-x509_strict",
                "-attime",
                &at,
                "-purpose",
                "sslserver",
                "-verify_hostname",
                name,
                "-CAfile",
                &root,
                &certificate,
            ],
        );
        let bundle = lab.path(&format!("bundles/{node}.tar.gz")).display().to_string();
        assert!(good_tool("tar", &["-tzf", &bundle]).contains(&format!("{node}/etc/kubernetes/kubelet.conf\n")));
    }
    // Hosts that a test cannot reach are reported as not proven.
    let online = lab.run(&[
        "verify",
        "--timeout",
        "0.05",
        "--node",
        "on",
        "--resolve",
        "on:127.0.0.9",
        "--resolve",
        "master-1.example.net:127.0.0.9",
    ]);
    assert_eq!(online.status, 1, "{online}");
    assert!(online.out.contains("FAIL node.connect\n    at       node on "), "{online}");
}

#[test]
fn init_refuses_files_that_are_not_kubectl_output() {
    let lab = Lab::empty();
    lab.write("nodes.json", "{\"kind\": \"PodList\", \"items\": []}");
    let ran = lab.run(&["init", "--from-kubectl", "nodes.json", "--master", "m=10.0.0.1"]);
    insta::assert_snapshot!("init_from_pods", ran);
    let ran = lab.run(&["init", "--from-kubectl", "absent.json", "--master", "m=10.0.0.1"]);
    insta::assert_snapshot!("init_from_absent_file", ran);
}

#[test]
fn init_prompts_for_values_without_a_flag() {
    let mut lab = Lab::empty();
    let typed = ["lab", "m1=10.0.0.1", "m2=10.0.0.2", "", "https://10.0.0.9:6443", "on=10.0.1.1,fd00::1", ""];
    lab.typed = Some(typed.map(str::to_owned).into());
    lab.good(&["init"]);
    assert!(lab.read("cluster.yaml").contains("- name: \"on\"\n  addresses: [\"10.0.1.1\", \"fd00::1\"]\n"));
}

#[test]
fn all_faults_of_a_cluster_file_are_shown_with_path_and_line() {
    let lab = Lab::with(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: Prod\nendpont: x\nserviceCIDRs: [10.96.0.0/40]\nmasters:\n\
         - {name: m1, addresses: [10.0.0.1]}\n- {name: m1, addresses: [10.0.0.1]}\nnodes:\n- {name: Upper, addresses: []}\n\
         - {name: n, addresses: [10.0.1.1], kubeletPort: 70000}\n",
    );
    let ran = lab.run(&["issue-node", "--all"]);
    insta::assert_snapshot!(ran);
}

#[test]
fn an_empty_huge_or_invalid_cluster_file_exits_with_2() {
    let lab = Lab::empty();
    let refused = |text: &str| {
        lab.write("cluster.yaml", text);
        let ran = lab.run(&["init-ca", "--plaintext-ca-key"]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran}");
        assert!(!lab.path("pki").exists());
    };
    for text in ["", "{{{", "\u{0}\u{1}garbage"] {
        refused(text);
    }
    refused(&"# a comment\n".repeat(50 * 1024 * 1024 / 12));
    std::fs::remove_file(lab.path("cluster.yaml")).expect("removed");
    let ran = lab.run(&["init-ca", "--plaintext-ca-key"]);
    insta::assert_snapshot!(ran);
}

#[test]
fn an_account_over_64_characters_is_refused_with_its_length() {
    let long = format!("{}.example.net", "a".repeat(45));
    let lab = Lab::with(&CLUSTER.replace("name: on", &format!("name: {long}")));
    let ran = lab.run(&["issue-node", "--all"]);
    insta::assert_snapshot!(ran);
}

#[test]
fn init_prompts_again_after_an_invalid_line() {
    let mut lab = Lab::empty();
    let typed = ["m1", "m1=10.0.0.1", "m2=10.0.0.2", "", "10.0.0.9", "https://10.0.0.9:6443", "n1=10.0.1.1", ""];
    lab.typed = Some(typed.map(str::to_owned).into());
    let ran = lab.good(&["init", "--name", "lab"]);
    insta::assert_snapshot!(ran);
    let file = lab.read("cluster.yaml");
    assert!(file.contains("\nendpoint: \"https://10.0.0.9:6443\"\n"), "{file}");
    assert!(file.contains("- name: \"m1\"\n  addresses: [\"10.0.0.1\"]\n"), "{file}");
}

#[test]
fn init_checks_each_answer_immediately() {
    needs!("python3-yaml");
    let mut lab = Lab::empty();
    let typed = [
        "Prod",
        "prod",
        "",
        "m1=10.0.0.300",
        "M1=10.0.0.1",
        "m1=10.0.0.1",
        "m2=10.0.0.1",
        "m2=",
        "m2=10.0.0.2",
        "",
        "https://",
        "https://10.0.0.9:6443",
        "n1=10.0.0.9",
        "n1=10.0.0.1",
        "n1=10.96.0.7",
        "n1=10.0.1.1",
        "n1=10.0.1.2",
        "n2=10.0.1.2,n1",
        "n2=10.0.1.2",
        "",
    ];
    lab.typed = Some(typed.map(str::to_owned).into());
    let ran = lab.good(&["init"]);
    let refused = ran.err.lines().filter(|line| line.starts_with("warning: ")).count();
    assert_eq!(refused, 12, "{ran}");
    let file = crate::support::pyyaml(&lab.read("cluster.yaml"));
    assert_eq!(file["name"], "prod");
    assert_eq!((file["masters"].as_array().map(Vec::len), file["nodes"].as_array().map(Vec::len)), (Some(2), Some(2)));
}

#[test]
fn init_writes_endpoint_and_addresses_in_lower_case() {
    needs!("python3-yaml");
    let lab = Lab::empty();
    let balancer = "https://Internal-ELB-1.eu-west-1.elb.AmazonAWS.com:6443";
    lab.good(&["init", "--name", "t", "--endpoint", balancer, "--master", "m=10.0.0.1,M.Example.NET"]);
    let file = crate::support::pyyaml(&lab.read("cluster.yaml"));
    assert_eq!(file["endpoint"], "https://internal-elb-1.eu-west-1.elb.amazonaws.com:6443");
    assert_eq!(file["masters"][0]["addresses"][1], "m.example.net");
}

#[test]
fn an_invalid_flag_is_refused_before_any_prompt() {
    let mut lab = Lab::empty();
    lab.typed = Some(std::collections::VecDeque::new());
    let ran = lab.run(&["init", "--service-cidr", "10.0.0.0"]);
    assert_eq!(ran.status, 2, "{ran}");
    assert!(ran.err.contains("serviceCIDRs[0]"), "{ran}");
}

#[test]
fn end_of_input_at_a_prompt_writes_nothing() {
    let mut lab = Lab::empty();
    lab.typed = Some(["m1=10.0.0.1"].map(str::to_owned).into());
    assert_ne!(lab.run(&["init", "--name", "lab"]).status, 0);
    assert!(!lab.path("cluster.yaml").exists());
}
