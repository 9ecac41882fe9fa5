//! `init --from-kubectl` on node lists as the distributions print them: which hosts are imported, left out, or refused.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use crate::support::outside::needs;
use crate::support::{Lab, Ran, pyyaml};

fn list(name: &str) -> String {
    format!("{}/tests/data/node-lists/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn init(lab: &Lab, file: &str, more: &[&str]) -> Ran {
    let file = list(file);
    lab.run(
        &[&["init", "--name", "t", "--endpoint", "https://api.example.net:6443", "--from-kubectl", &file], more]
            .concat(),
    )
}

/// The hosts of one role in the cluster file, with their addresses.
fn hosts(lab: &Lab, role: &str) -> BTreeMap<String, Vec<String>> {
    let file = pyyaml(&lab.read("cluster.yaml"));
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let addresses = |host: &serde_json::Value| host["addresses"].as_array().expect("a list").iter().map(text).collect();
    file[role].as_array().expect("a list").iter().map(|host| (text(&host["name"]), addresses(host))).collect()
}

/// Runs `init`, which must succeed, and returns masters' names, nodes and the warnings, without the one of the services' range.
fn taken(file: &str, more: &[&str]) -> (Vec<String>, BTreeMap<String, Vec<String>>, Vec<String>) {
    let lab = Lab::empty();
    let ran = init(&lab, file, more);
    assert_eq!(ran.status, 0, "{file}: {ran}");
    let warnings = ran.err.lines().filter(|line| line.starts_with("warning: ") && !line.contains("10.96.0.0/12"));
    let warnings = warnings.map(str::to_owned).collect();
    (hosts(&lab, "masters").into_keys().collect(), hosts(&lab, "nodes"), warnings)
}

#[test]
fn control_plane_labels_of_every_distribution_are_recognized() {
    needs!("python3-yaml");
    for (file, masters) in [
        ("kind.json", &["kind-control-plane"][..]),
        ("minikube.json", &["minikube"]),
        ("k3s.json", &["home-0", "home-1", "home-2"]),
        ("rke2.json", &["rke2-server-0"]),
        ("talos.json", &["talos-cp-0", "talos-cp-1", "talos-cp-2"]),
        ("talos.yaml", &["talos-cp-0", "talos-cp-1", "talos-cp-2"]),
        ("rke1.json", &["198.51.100.7"]),
        ("microk8s.json", &["mk-1", "mk-2", "mk-3"]),
        ("vsphere.json", &["cp1"]),
        ("hetzner.json", &["cp-2", "cp-3", "cp-4"]),
        ("openstack.json", &["os-master-0"]),
        ("bare-metal.json", &["metal-1"]),
        ("kubespray-tainted.json", &["t-1"]),
    ] {
        assert_eq!(taken(file, &[]).0, masters, "{file}");
    }
}

#[test]
fn a_list_without_control_planes_reports_the_expected_labels() {
    needs!("python3-yaml");
    for file in ["eks.json", "gke.json", "aks.json"] {
        let lab = Lab::empty();
        let ran = init(&lab, file, &[]);
        assert_eq!(ran.status, 2, "{file}: {ran}");
        insta::assert_snapshot!("no_control_plane_is_listed", ran);
        let (masters, nodes, warnings) = taken(file, &["--master", "m=10.77.0.1"]);
        assert_eq!((masters.len(), nodes.len(), warnings.len()), (1, 2, 0), "{file}: {warnings:?}");
        assert!(nodes.values().all(|addresses| addresses[0].starts_with("10.")), "{file}: {nodes:?}");
    }
}

#[test]
fn internal_addresses_come_first_then_names_then_external_ones() {
    needs!("python3-yaml");
    let (_, nodes, _) = taken("hetzner.json", &[]);
    assert_eq!(nodes["worker-9"], ["10.0.0.9", "worker-9", "203.0.113.9"]);
    let (_, nodes, _) = taken("eks.json", &["--master", "m=10.77.0.1"]);
    let cloud = "ip-10-40-1-17.eu-west-1.compute.internal";
    let public = "ec2-203-0-113-40.eu-west-1.compute.amazonaws.com";
    assert_eq!(nodes[cloud], ["10.40.1.17", cloud, public, "203.0.113.40"]);
    let (_, nodes, _) = taken("kind.json", &[]);
    assert_eq!(nodes["kind-worker"], ["172.18.0.2", "fc00:f853:ccd:e793::2", "kind-worker"]);
}

#[test]
fn external_addresses_are_never_first() {
    let lab = Lab::empty();
    let ran = init(&lab, "hetzner.json", &[]);
    // worker-9's IPv6 address would be the only one of its family.
    insta::assert_snapshot!("hetzner", ran);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all", "--format", "dir"]);
    let mut seen = 0;
    for (path, bytes) in lab.snapshot() {
        let text = String::from_utf8_lossy(&bytes);
        // Masters' env files and manifests, kubelets' drop-ins.
        for line in text.lines().filter(|line| {
            ["-urls=", "--initial-cluster=", "advertise-address=", "--node-ip="].iter().any(|f| line.contains(f))
        }) {
            seen += 1;
            assert!(!line.contains("203.0.113.") && !line.contains("2001:db8:"), "{}: {line}", path.display());
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn a_host_with_only_an_external_address_needs_the_flag() {
    needs!("python3-yaml");
    let lab = Lab::empty();
    let ran = init(&lab, "external-only.json", &[]);
    assert_eq!((ran.status, lab.snapshot().len()), (2, 0), "{ran}");
    insta::assert_snapshot!("external_only", ran);
    let (masters, nodes, _) = taken("external-only.json", &["--external-ips"]);
    assert_eq!((masters, &nodes["vps-2"][..]), (vec!["vps-1".into()], &["vps-2".into(), "203.0.113.72".into()][..]));
    // Or a flag names the endpoint.
    let named = ["--node", "vps-1=10.1.0.1", "--node", "vps-2=10.1.0.2", "--master", "vps-1=10.1.0.1"];
    assert_eq!(taken("external-only.json", &named).1["vps-1"], ["10.1.0.1"]);
}

#[test]
fn addresses_unfit_for_certificates_are_left_out_with_a_warning() {
    needs!("python3-yaml");
    for (file, host, addresses, named) in [
        ("k3s.json", "home-3", &["192.168.7.13", "home-3"][..], &["home-3: 203.0.113.9 "][..]),
        ("vsphere.json", "wk1", &["10.60.0.21", "wk1.corp.example"], &["wk1: WK1.CORP.EXAMPLE "]),
        ("vsphere.json", "cp1", &["10.60.0.11", "cp1"], &["cp1: fe80::250:56ff:fe00:11 ", "cp1: CP1 "]),
        ("bare-metal.json", "metal-2", &["192.0.2.12"], &["metal-2: localhost.localdomain "]),
        (
            "bare-metal.json",
            "metal-3",
            &["192.0.2.13", "metal-3"],
            &["metal-3: fe80::1%eth0 ", "metal-3: 169.254.8.8 "],
        ),
        ("openstack.json", "os-worker-0.novalocal", &["172.16.3.20", "198.51.100.120"], &["os_worker-0.novalocal"]),
    ] {
        let (_, nodes, warnings) = taken(file, &[]);
        assert_eq!(nodes[host], addresses, "{file}: {warnings:?}");
        for named in named {
            assert!(warnings.iter().any(|warning| warning.contains(named)), "{file}: {named}: {warnings:?}");
        }
    }
}

#[test]
fn a_node_left_without_addresses_is_an_error() {
    needs!("python3-yaml");
    let lab = Lab::empty();
    let ran = init(&lab, "without-address.json", &[]);
    assert_eq!((ran.status, lab.snapshot().len()), (2, 0), "{ran}");
    insta::assert_snapshot!("without_address", ran);
    assert_eq!(taken("without-address.json", &["--node", "lost=10.9.0.2"]).1["lost"], ["10.9.0.2"]);
}

#[test]
fn two_nodes_with_one_internal_ip_are_an_error() {
    let lab = Lab::empty();
    let ran = init(&lab, "shared-internal.json", &[]);
    assert_eq!((ran.status, lab.snapshot().len()), (2, 0), "{ran}");
    insta::assert_snapshot!("shared_internal", ran);
}

#[test]
fn addresses_of_endpoint_and_flags_are_left_out_of_nodes() {
    needs!("python3-yaml");
    let file = list("hetzner.json");
    let lab = Lab::empty();
    let ran = lab.good(&[
        "init",
        "--name",
        "t",
        "--endpoint",
        "https://203.0.113.9:6443",
        "--from-kubectl",
        &file,
        "--node",
        "extra=10.0.7.1,203.0.113.4",
    ]);
    insta::assert_snapshot!("addresses_that_others_have", ran);
    assert_eq!(hosts(&lab, "nodes")["worker-9"], ["10.0.0.9", "worker-9"]);
}

#[test]
fn an_assumed_service_range_is_reported() {
    let lab = Lab::empty();
    let ran = init(&lab, "microk8s.json", &[]);
    insta::assert_snapshot!("service_range_assumed", ran);
    let ran = init(&Lab::empty(), "microk8s.json", &["--service-cidr", "10.152.183.0/24"]);
    assert!(!ran.err.contains("10.96.0.0/12"), "{ran}");
}

#[test]
fn items_that_are_not_hosts_are_skipped_with_a_warning() {
    needs!("python3-yaml");
    let (masters, nodes, warnings) = taken("no-hosts.json", &[]);
    assert_eq!(masters, ["cp-1"]);
    assert_eq!(nodes.keys().collect::<Vec<_>>(), ["cp-1", "win-1"]);
    insta::assert_snapshot!("no_hosts", warnings.join("\n"));
    // A flag takes precedence.
    let named = ["--node", "kwok-node-0=10.0.9.3"];
    assert!(taken("no-hosts.json", &named).1.contains_key("kwok-node-0"));
}

#[test]
fn concatenated_lists_are_read_and_other_answers_are_errors() {
    needs!("python3-yaml");
    let json = |name: &str, ip: &str| {
        let addresses = serde_json::json!([{ "type": "InternalIP", "address": ip }]);
        serde_json::json!({ "kind": "Node", "metadata": { "name": name }, "status": { "addresses": addresses } })
    };
    let yaml = |name: &str, ip: &str| {
        format!(
            "kind: Node\nmetadata: {{name: {name}}}\nstatus: {{addresses: [{{type: InternalIP, address: {ip}}}]}}\n"
        )
    };
    for text in [
        format!("{:#}\n{:#}\n", json("a", "10.0.0.1"), json("b", "10.0.0.2")),
        format!("---\n{}---\n{}", yaml("a", "10.0.0.1"), yaml("b", "10.0.0.2")),
    ] {
        let lab = Lab::empty();
        lab.write("list", &text);
        lab.good(&["init", "--name", "t", "--from-kubectl", "list", "--master", "a=10.0.0.1"]);
        assert_eq!(hosts(&lab, "nodes").keys().collect::<Vec<_>>(), ["a", "b"], "{text}");
    }
    for (text, name) in [
        ("", "empty"),
        ("\n", "empty_line"),
        ("NAME   STATUS   ROLES    AGE   VERSION\na      Ready    <none>   1d    v1.36.2\n", "table"),
        (r#"{"kind":"Status","message":"nodes is forbidden","code":403}"#, "forbidden"),
        (r#"{"kind":"PodList","items":[]}"#, "pods"),
    ] {
        let lab = Lab::empty();
        lab.write("list", text);
        let ran = lab.run(&["init", "--name", "t", "--from-kubectl", "list"]);
        assert!(!lab.path("cluster.yaml").exists(), "{text}: {ran}");
        insta::assert_snapshot!(format!("no_list_{name}"), ran);
    }
}

#[test]
fn a_dash_reads_standard_input() {
    needs!("python3-yaml");
    let lab = Lab::empty();
    for (file, there) in [("talos.json", "talos-w-0"), ("talos.yaml", "talos-w-0")] {
        let endpoint = "https://api.example.net:6443";
        let mut child = lab
            .process(&["init", "--name", "t", "--endpoint", endpoint, "--from-kubectl", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let bytes = std::fs::read(list(file)).expect("a list");
        child.stdin.take().expect("a pipe").write_all(&bytes).expect("written");
        assert!(child.wait().expect("it ends").success(), "{file}");
        assert!(hosts(&lab, "nodes").contains_key(there), "{file}");
        std::fs::remove_file(lab.path("cluster.yaml")).expect("removed");
    }
}

#[test]
fn every_recorded_list_becomes_bundles() {
    for file in ["kind.json", "minikube.json", "k3s.json", "rke2.json", "rke1.json", "vsphere.json", "openstack.json"] {
        let lab = Lab::empty();
        let ran = init(&lab, file, &[]);
        assert_eq!(ran.status, 0, "{file}: {ran}");
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        lab.good(&["bundle", "--all"]);
        lab.good(&["verify", "--offline"]);
    }
}

/// Imports two nodes with these versions of their kubelets, and returns the lines about Kubernetes's version.
fn imported_version(versions: [Option<&str>; 2]) -> Vec<String> {
    let lab = Lab::empty();
    let node = |(i, version): (usize, Option<&str>)| {
        serde_json::json!({
            "metadata": {"name": format!("n{i}"), "labels": {"node-role.kubernetes.io/control-plane": ""}},
            "status": {
                "addresses": [{"type": "InternalIP", "address": format!("10.1.0.{i}")}],
                "nodeInfo": {"kubeletVersion": version},
            },
        })
    };
    let items: Vec<_> = (1..).zip(versions).map(node).collect();
    lab.write("nodes.json", &serde_json::json!({"kind": "List", "items": items}).to_string());
    let endpoint = ["--endpoint", "https://api.example.org:6443"];
    lab.good(&[&["init", "--name", "prod", "--from-kubectl", "nodes.json"], &endpoint[..]].concat());
    lab.good(&["validate"]);
    let text = lab.read("cluster.yaml");
    let lines = text.lines().skip_while(|line| !line.trim_start_matches("# ").starts_with("kubernetes:"));
    lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_version_of_all_nodes_is_imported_and_another_is_a_comment() {
    assert_eq!(imported_version([Some("v1.35.1"); 2])[..2], ["kubernetes:", "  version: \"v1.35.1\""]);
    // Distributions append their own.
    assert_eq!(imported_version([Some("v1.35.1+k3s1"), Some("v1.35.1+k3s1")])[1], "  version: \"v1.35.1\"");
    for (versions, named) in [
        ([Some("v1.35.1"), Some("v1.34.7")], vec!["v1.34.7", "v1.35.1", "n1", "n2"]),
        ([Some("v1.17.0"); 2], vec!["v1.17.0"]),
        ([Some("next"); 2], vec!["next"]),
    ] {
        let lines = imported_version(versions);
        assert!(lines.iter().all(|line| line.starts_with('#')), "{lines:#?}");
        let text = lines.join(" ");
        assert!(named.iter().all(|name| text.contains(name)), "{text}");
    }
    let nothing = imported_version([None, None]);
    assert!(nothing.iter().all(|line| line.starts_with('#')) && nothing.len() == 4, "{nothing:#?}");
}
