//! Reading cluster files: written by hand and by programs, with errors, and malicious ones.

use clusterctl::cluster::config_error::{ConfigError, Reason};
use clusterctl::cluster::inventory::{ExternalIps, Inventory};
use clusterctl::cluster::kubelet::Setting;
use clusterctl::cluster::spec::{Cluster, Host, OneOrMore, RawCluster, RawHost};
use clusterctl::config::{KubectlError, MAX_BYTES, ReadError, from_kubectl, read, write};

use crate::support::drafts::{GOOD, meaning, means_to_pyyaml, with};
use crate::support::ends;
use crate::support::outside::needs;

fn cluster(text: &str) -> Cluster {
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn error(text: &str) -> ReadError {
    read(text.as_bytes()).expect_err(text)
}

/// Returns `path (line)` of each error.
fn places(error: &ReadError) -> Vec<String> {
    let place =
        |f: &ConfigError| format!("{} {}", f.path, f.line.map_or_else(|| "-".to_owned(), |line| line.to_string()));
    error.errors().iter().map(place).collect()
}

// ── valid files ──

#[test]
fn recipients_of_a_host_round_trip() {
    const AGE: &str = "age1l2ssrztdghwpmjqed7zzhqz68qz8ua9unftxx8w7w767p7k639tsgmkwjz";
    let host = |name: &str, address: &str, seal_to: OneOrMore| RawHost {
        name: Some(name.into()),
        addresses: vec![address.into()],
        seal_to,
        ..RawHost::default()
    };
    let draft = RawCluster {
        name: Some("prod".into()),
        masters: vec![host("m", "10.0.0.1", OneOrMore::One(AGE.into()))],
        nodes: vec![
            host("n", "10.0.1.1", OneOrMore::More(vec![AGE.into(), format!(" {AGE} ")])),
            host("o", "10.0.1.2", OneOrMore::default()),
        ],
        ..RawCluster::default()
    };
    let cluster = cluster(&write(&draft));
    assert_eq!(Ok(&cluster), draft.check().as_ref());
    let recipients = |host: &Host| host.recipients.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(recipients(&cluster.masters[0]), [AGE]);
    // A repeated value counts once.
    assert_eq!(recipients(&cluster.nodes[0]), [AGE]);
    assert!(cluster.nodes[1].recipients.is_empty());
}

#[test]
fn every_key_of_the_file_is_read() {
    let cluster = cluster(GOOD);
    assert_eq!(cluster.name.as_str(), "prod");
    assert_eq!(cluster.endpoint.to_string(), "https://api.prod.example.net:6443");
    assert_eq!(cluster.accounts.as_str(), "system-node");
    let cidrs: Vec<String> = cluster.service_cidrs.iter().map(ToString::to_string).collect();
    assert_eq!(cidrs, ["10.96.0.0/16", "fd00:10:96::/112"]);
    assert_eq!(cluster.keys.as_str(), "ed25519");
    assert_eq!(cluster.validity.node.to_string(), "90d");
    assert_eq!(cluster.masters[0].port, 7443);
    assert_eq!(cluster.nodes[0].port, 10350);
    let addresses: Vec<String> = cluster.nodes[0].addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.20.1.11", "fd20:1::11", "worker-a1.fra1.example.net"]);
}

#[test]
fn a_name_that_looks_like_another_yaml_type_stays_text() {
    for name in ["on", "no", "y", "null", "true", "1e3", "0x1f", "0o17", "012", "1.5", "2026-11-23", "123", "inf"] {
        let text = with(&format!("name: c\nmasters: [{{name: {name}, addresses: [10.0.0.1]}}]\n"));
        assert_eq!(cluster(&text).masters[0].name.as_str(), name);
    }
    // These are not host names, but the error shows the text of the file, not the value that YAML reads.
    for name in ["~", "1_000", "+12", "12:30:45", "1e1_0", "Null", "TRUE", ".inf", "0X1F"] {
        let error = error(&with(&format!("name: c\nmasters: [{{name: {name}, addresses: [10.0.0.1]}}]\n")));
        assert_eq!(error.errors()[0].seen.as_deref(), Some(name));
    }
}

#[test]
fn quotes_byte_order_marks_crlf_and_document_markers_are_accepted() {
    for text in [
        format!("\u{feff}{GOOD}"),
        GOOD.replace('\n', "\r\n"),
        format!("---\n{GOOD}...\n"),
        format!("%YAML 1.1\n---\n{GOOD}"),
        GOOD.replace("worker-a1.fra1.example.net\n", "'worker-a1.fra1.example.net'\n"),
    ] {
        assert_eq!(cluster(&text), cluster(GOOD));
    }
}

#[test]
fn a_list_whose_items_are_commented_out_is_empty() {
    let text =
        with("name: c\nvalidity:\n  # ca: 1y\nmasters: [{name: m, addresses: [10.0.0.1]}]\nnodes:\n# - name: n\n");
    assert!(cluster(&text).nodes.is_empty());
}

#[test]
fn an_alias_for_a_host_with_both_roles_is_accepted() {
    let text = with("name: c\nmasters:\n- &box {name: box, addresses: [10.0.0.1]}\nnodes:\n- *box\n");
    assert_eq!(cluster(&text).nodes[0].name.as_str(), "box");
}

#[test]
fn the_examples_are_valid() {
    let homelab = cluster(include_str!("../examples/homelab.yaml"));
    assert_eq!((homelab.masters.len(), homelab.nodes.len()), (1, 2));
    assert_eq!(homelab.endpoint.to_string(), "https://192.168.1.10:6443");
    let ha = cluster(include_str!("../examples/ha-dual-stack.yaml"));
    assert_eq!((ha.masters.len(), ha.nodes.len()), (3, 12));
    let both_families = |host: &Host| {
        let ips: Vec<_> = host.addresses.iter().filter_map(|a| a.ip()).collect();
        ips.iter().any(std::net::IpAddr::is_ipv4) && ips.iter().any(std::net::IpAddr::is_ipv6)
    };
    assert!(ha.masters.iter().chain(&ha.nodes).all(both_families));
    assert!(!ha.masters.iter().any(|master| master.addresses.contains(&ha.endpoint.host)));
    let single = cluster(include_str!("../examples/single-machine.yaml"));
    assert_eq!(single.masters[0].name, single.nodes[0].name);
}

// ── kubelet configurations ──

#[test]
fn kubelet_settings_are_kept_as_written() {
    let cluster = cluster(&format!(
        "{GOOD}  kubelet: {{maxPods: 30, evictionHard: null}}\n\
         kubelet:\n  clusterDomain: \"on\"\n  cgroupDriver: no\n  maxPods: 250\n  failSwapOn: false\n  \
         systemReserved: {{cpu: 2, memory: 1e3, pid: \"null\", ephemeral-storage: 010}}\n  evictionHard:\n    \
         \"memory.available\": 5%\n  registerWithTaints:\n  - {{key: on, effect: NoSchedule}}\n  \
         clusterDNS: [10.96.0.10, \"fd00:10:96::a\"]\n  shutdownGracePeriod: 30s\n"
    ));
    assert_eq!(
        cluster.kubelet.to_string(),
        "{clusterDomain: on, cgroupDriver: no, maxPods: 250, failSwapOn: false, systemReserved: {cpu: 2, memory: 1e3, \
         pid: null, ephemeral-storage: 010}, evictionHard: {memory.available: 5%}, registerWithTaints: [{key: on, \
         effect: NoSchedule}], clusterDNS: [10.96.0.10, fd00:10:96::a], shutdownGracePeriod: 30s}"
    );
    assert_eq!(cluster.kubelet.get("cgroupDriver"), Some(&Setting::Text("no".into())));
    assert_eq!(cluster.kubelet.get("systemReserved").and_then(|r| r.get("pid")), Some(&Setting::Text("null".into())));
    assert_eq!(cluster.kubelet.get("failSwapOn"), Some(&Setting::Bool(false)));
    assert_eq!(cluster.nodes[0].kubelet.to_string(), "{maxPods: 30, evictionHard: null}");
    assert!(cluster.masters[0].kubelet.is_empty());
    // The earlier text is commented out.
    assert!(self::cluster(&format!("{GOOD}kubelet:\n")).kubelet.is_empty());
}

#[test]
fn a_master_cannot_have_kubelet_settings() {
    let text = GOOD.replace("apiServerPort: 7443}", "apiServerPort: 7443, kubelet: {maxPods: 1}}");
    assert_eq!(places(&error(&text)), ["masters[0].kubelet 11"]);
}

#[test]
fn faults_of_kubelet_settings_have_path_and_line() {
    let text = format!(
        "{GOOD}  kubelet:\n    port: 10251\n    evictionHard:\n      memory.available: [1]\n\
         kubelet:\n  readonlyPort: 0\n  maxPods: 1e3\n  maxPods: 5\n  authentication:\n    anonymous:\n      \
         enabled: true\n  featureGates: {{AllAlpha: true}}\n  clusterDNS: !x [a]\n  tlsCertFile: null\n"
    );
    assert_eq!(
        places(&error(&text)),
        [
            "nodes[0].kubelet.port 17",
            "nodes[0].kubelet.evictionHard.\"memory.available\" 19",
            "kubelet.readonlyPort 21",
            "kubelet.maxPods 22",
            "kubelet.maxPods 23",
            "kubelet.authentication.anonymous.enabled 26",
            "kubelet.featureGates.AllAlpha 27",
            "kubelet.clusterDNS 28",
            "kubelet.tlsCertFile 29",
        ]
    );
    let of_a_list = error(&format!("{GOOD}kubelet:\n- a\n"));
    let [fault] = of_a_list.errors() else { panic!("{of_a_list}") };
    assert!(matches!(fault.reason, Reason::Shape { .. }));
    assert_eq!(places(&of_a_list), ["kubelet 16"]);
}

#[test]
fn aliases_cannot_multiply_kubelet_settings() {
    let alias = error(&format!("{GOOD}kubelet:\n  systemReserved: &a {{cpu: 1}}\n  kubeReserved: *a\n"));
    assert!(matches!(alias, ReadError::Stopped { ref errors, .. } if errors.is_empty()), "{alias}");
    let scalar = cluster(&format!("{GOOD}kubelet:\n  clusterDomain: &a on\n  cgroupRoot: *a\n"));
    assert_eq!(scalar.kubelet.to_string(), "{clusterDomain: on, cgroupRoot: on}");
    let items = "*a, ".repeat(5_000);
    let long = "x".repeat(200);
    let bomb = error(&format!("{GOOD}kubelet:\n  clusterDomain: &a {long}\n  clusterDNS: [{items}]\n"));
    assert!(matches!(bomb, ReadError::Stopped { .. }), "{:.300}", bomb.to_string());
}

// ── errors ──

#[test]
fn all_faults_are_reported_together_in_file_order() {
    let text = "\
apiVersion: clusterctl/v2
name: Prod
colour: blue
serviceCIDRs: 10.96.0.0/16
keys: rsa
keys: ed25519
validity:
  ca: 1d
  nodes: 1y
masters:
- name: m1
  addresses:
  - 10.0.0.1
  - [10.0.0.2]
  - 10.0.0.300
- just-a-name
nodes:
- {name: n1, addresses: [10.0.1.1], kubletPort: 10250}
- name: {first: n, last: '2'}
  addresses: [10.0.1.1]
  kubeletPort: 70000
- addresses: 10.0.1.3
";
    let error = error(text);
    let expected = [
        "kind -",
        "endpoint -",
        "apiVersion 1",
        "name 2",
        "colour 3",
        "serviceCIDRs 4",
        "keys 5",
        "keys 6",
        "validity.master 7",
        "validity.node 7",
        "validity.nodes 9",
        "masters[0].addresses[1] 14",
        "masters[0].addresses[2] 15",
        "masters[1] 16",
        "nodes[0].kubletPort 18",
        "nodes[1].name 19",
        "nodes[1].addresses[0] 20",
        "nodes[1].kubeletPort 21",
        "nodes[2].addresses 22",
        "nodes[2].name 22",
    ];
    assert_eq!(places(&error), expected);
}

#[test]
fn a_duplicate_key_is_reported_at_its_second_line() {
    let text = with("name: c\nmasters: [{name: m, addresses: [10.0.0.1]}]\nx: 1\nname: d\nx: 2\nname: e\n");
    assert_eq!(places(&error(&text)), ["x 5", "name 6", "x 7", "name 8"]);
}

#[test]
fn an_error_in_an_alias_has_the_line_of_the_anchor() {
    let text = with("name: c\nmasters:\n- &m\n  name: M\n  addresses: [10.0.0.1]\nnodes:\n- *m\n- {name: n}\n");
    assert_eq!(places(&error(&text)), ["masters[0].name 6", "nodes[0].name 6", "nodes[1].addresses 10"]);
}

#[test]
fn a_fault_names_the_allowed_values() {
    let text = with("name: c\nmasters: [{name: m, adresses: [10.0.0.1]}]\n");
    let error = error(&text);
    assert_eq!(places(&error), ["masters[0].addresses 4", "masters[0].adresses 4"]);
    let [missing, unknown] = error.errors() else { panic!("{error}") };
    assert_eq!(missing.reason, Reason::NoAddresses { host: "m".into() });
    assert_eq!(unknown.reason, Reason::UnknownKey { allowed: &["name", "addresses", "apiServerPort", "sealTo"] });
}

#[test]
fn terminal_escapes_in_a_key_are_not_printed() {
    let error = error(&with("\"\\e[2Jnodes\": []\nname: c\nmasters: [{name: m, addresses: [10.0.0.1]}]\n"));
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}

#[test]
fn a_tag_is_refused_and_reading_continues() {
    let text = with(
        "name: !env CLUSTER\nkeys: !x [a]\nmasters: !hosts [{name: m, addresses: [10.0.0.1]}]\nnodes: [!x on]\nc: 1\n",
    );
    assert_eq!(places(&error(&text)), ["name 3", "keys 4", "masters 5", "nodes[0] 6", "c 7"]);
}

#[test]
fn merge_keys_are_refused() {
    let text = with("name: c\nmasters:\n- &m {name: m, addresses: [10.0.0.1]}\nnodes:\n- {<<: *m, name: n}\n");
    let error = error(&text);
    assert_eq!(places(&error), ["nodes[0].addresses 7", "nodes[0].\"<<\" 7"]);
}

#[test]
fn an_alias_to_a_list_in_place_of_a_text_is_an_error() {
    for lines in [
        "serviceCIDRs: &c [10.96.0.0/16]\nname: *c\nkeys: x\n",
        "serviceCIDRs: &c [10.96.0.0/16]\nname: *c\n",
        "serviceCIDRs: [&c [10.96.0.0/16], *c]\n",
        "serviceCIDRs: [&c [10.96.0.0/16], *c, a]\n",
        "serviceCIDRs: &c [*c]\n",
        "name: &c {a: *c}\n",
        "validity: &c {ca: *c}\n",
        "masters: &c [*c, {name: *c, addresses: *c}]\n",
        "*c : x\n",
    ] {
        let error = error(&with(lines));
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn faults_before_a_syntax_error_are_reported_with_it() {
    let text = with("name: [c]\ncolour: blue\nmasters:\n- name: m\n  addresses: [10.0.0.1\nnodes: []\n");
    let error = error(&text);
    assert_eq!(places(&error), ["name 3", "colour 4"]);
    assert!(matches!(error, ReadError::Stopped { line: Some(8), .. }), "{error:?}");
    insta::assert_snapshot!("faults_before_a_syntax_error", error.to_string());
}

#[test]
fn a_tab_has_its_own_hint() {
    let error = error(&with("name: c\nmasters:\n\t- name: m\n"));
    assert!(matches!(error, ReadError::Stopped { line: Some(5), .. }), "{error:?}");
    assert!(error.hint().contains("tabs"));
}

#[test]
fn files_that_are_not_a_cluster_file_have_typed_errors() {
    for empty in ["", "\n", "# a comment\n", "---\n", "--- # nothing\n...\n", "\u{feff}", "~", "null"] {
        assert_eq!(error(empty), ReadError::Empty, "{empty:?}");
    }
    assert_eq!(error("- a\n- b\n"), ReadError::NotAMapping { found: "a list" });
    assert_eq!(error("just a text"), ReadError::NotAMapping { found: "a text" });
    assert_eq!(error("!tagged {a: b}"), ReadError::NotAMapping { found: "a value with a YAML tag" });
    assert_eq!(error(&format!("{GOOD}---\n{GOOD}")), ReadError::SeveralDocuments { line: Some(17) });
    assert_eq!(read(b"name: c\nkind: \xff\n"), Err(ReadError::NotUtf8 { line: 2 }));
    assert_eq!(read(b"\xff\xfen\0a\0"), Err(ReadError::NotUtf8 { line: 1 }));
    assert!(matches!(error("name: a\0b"), ReadError::Stopped { .. }));
    assert!(matches!(
        error("-----BEGIN CERTIFICATE-----\nMIIB\n"),
        ReadError::NotAMapping { .. } | ReadError::Stopped { .. }
    ));
    for all in [ReadError::Empty, ReadError::TooLarge { size: 2, limit: 1 }, error("- a"), error("name: [")] {
        assert!(!all.hint().is_empty());
    }
}

// ── malicious files ──

fn refused(what: &str, bytes: &[u8]) -> ReadError {
    let bytes = bytes.to_vec();
    ends(move || read(&bytes)).expect_err(what)
}

#[test]
fn a_file_of_50_mb_is_refused_without_parsing() {
    let mut bytes = GOOD.as_bytes().to_vec();
    bytes.resize(50_000_000, b'#');
    let error = refused("50 MB", &bytes);
    assert_eq!(error, ReadError::TooLarge { size: 50_000_000, limit: MAX_BYTES });
}

#[test]
fn deep_nesting_is_refused_in_a_bounded_time() {
    for (open, size) in [
        ("[", 8_000_000),
        ("{a: ", 8_000_000),
        ("- ", 2_000_000),
        ("? ", 2_000_000),
        ("[[],", 400_000),
        ("- ? ", 400_000),
    ] {
        for head in ["", "apiVersion: clusterctl/v1\nnodes:\n  ", "nodes: [{name: "] {
            let text = format!("{head}{}", open.repeat(size / open.len()));
            let error = refused(open, text.as_bytes());
            assert!(matches!(error, ReadError::TooDeep { .. } | ReadError::Stopped { .. }), "{open} {error:.200}");
        }
    }
    // Deep, but below the bracket limit, and closed: the parser's own limit speaks.
    let text = format!("nodes: {}{}", "[".repeat(150), "]".repeat(150));
    assert!(matches!(error(&text), ReadError::Stopped { .. }));
}

#[test]
fn alias_bombs_are_refused_in_a_bounded_time() {
    let laughs: String = (1..30).map(|i| format!("  - &l{i} [{}]\n", format!("*l{}, ", i - 1).repeat(10))).collect();
    let laughs = with(&format!("nodes:\n  - &l0 [lol]\n{laughs}"));
    let wide = with(&format!(
        "serviceCIDRs: &a [{}]\nnodes: [{}]\n",
        "10.96.0.0/16, ".repeat(20_000),
        "{name: n, addresses: *a}, ".repeat(20_000)
    ));
    let hidden = with(&format!("x: &x [[{}]]\nnodes: [{}]\n", "1, ".repeat(100_000), "*x, ".repeat(100_000)));
    let long = with(&format!("name: &n {}\nserviceCIDRs: [{}]\n", "a".repeat(1_000_000), "*n, ".repeat(100_000)));
    for (what, text) in [("laughs", laughs), ("wide", wide), ("hidden", hidden), ("long", long)] {
        let error = refused(what, text.as_bytes());
        assert!(matches!(error, ReadError::Stopped { .. }), "{what}: {:.300}", error.to_string());
    }
}

#[test]
fn too_many_values_are_refused_without_parsing() {
    for rubbish in ["a,", "a:\n", "\n"] {
        let text = with(&format!("nodes: [{}]\n", rubbish.repeat(9_000_000)));
        let error = refused(rubbish, text.as_bytes());
        assert_eq!(error, ReadError::TooManyValues { limit: 8_000_000 });
    }
}

#[test]
fn a_list_of_invalid_items_stops_at_10000_faults() {
    let text = with(&format!("nodes: [{}]\n", "a, ".repeat(1_000_000)));
    let error = refused("rubbish", text.as_bytes());
    assert!(matches!(error, ReadError::Stopped { line: Some(3), ref errors, .. } if errors.len() == 10_000));
}

// ── from kubectl ──

fn kubectls(bytes: &[u8]) -> Result<Inventory, KubectlError> {
    from_kubectl(bytes, ExternalIps::NamesOnly)
}

#[test]
fn recorded_kubectl_output_is_imported_completely() {
    needs!("python3-yaml");
    let found = kubectls(include_bytes!("data/nodes-from-kubectl.json")).expect("real output");
    let names: Vec<&str> = found.nodes.iter().filter_map(|node| node.name.as_deref()).collect();
    assert_eq!(
        names,
        [
            "ip-10-20-3-7.eu-central-1.compute.internal",
            "node-1",
            "on",
            "worker-a1.fra1.example.net",
            "worker-a2.fra1.example.net",
            "worker-b1",
            "worker-b2"
        ]
    );
    assert_eq!(names[0].len(), 42);
    assert_eq!(found.nodes[0].addresses, ["10.20.3.7", "ip-10-20-3-7.eu-central-1.compute.internal"]);
    assert_eq!(found.nodes[3].addresses, ["10.20.1.11", "fd20:1::11", "worker-a1.fra1.example.net"]);
    assert_eq!(found.nodes[6].addresses, ["10.20.2.12", "worker-b2", "worker-b2.edge.example.net", "203.0.113.22"]);
    assert!(found.nodes.iter().all(|node| node.port.is_none()));
    assert!(found.masters.is_empty() && found.without_addresses.is_empty());

    let master = RawHost { name: Some("master-1".into()), addresses: vec!["10.20.0.11".into()], ..RawHost::default() };
    let draft =
        RawCluster { name: Some("prod".into()), masters: vec![master], nodes: found.nodes, ..RawCluster::default() };
    let cluster = cluster(&write(&draft));
    assert_eq!(cluster.nodes[2].name.as_str(), "on");
    assert_eq!(means_to_pyyaml(&[write(&draft)]), [meaning(&draft)]);
}

#[test]
fn ports_masters_and_nodes_without_addresses_are_reported() {
    let json = r#"{"kind": "NodeList", "apiVersion": "v1", "items": [
        {"metadata": {"name": "cp", "labels": {"node-role.kubernetes.io/control-plane": ""}},
         "status": {"addresses": [{"type": "InternalIP", "address": "fd00::1"}, {"type": "ExternalIP", "address": "FD00:0::1"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10350}}}},
        {"metadata": {"name": "old", "labels": {"node-role.kubernetes.io/master": "true"}},
         "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.2"}], "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}}},
        {"metadata": {"name": "lost"}, "status": {"addresses": []}},
        {"metadata": {"name": "new"}}]}"#;
    let found = kubectls(json.as_bytes()).expect("valid");
    let host = |name: &str, address: &str, port: Option<&str>| RawHost {
        name: Some(name.into()),
        addresses: vec![address.into()],
        port: port.map(Into::into),
        ..RawHost::default()
    };
    assert_eq!(found.nodes, [host("cp", "fd00::1", Some("10350")), host("old", "10.0.0.2", None)]);
    assert_eq!(found.masters, [host("cp", "fd00::1", None), host("old", "10.0.0.2", None)]);
    assert_eq!(found.without_addresses, ["lost", "new"]);
}

#[test]
fn a_single_node_object_is_imported() {
    let json = r#"{"kind":"Node","metadata":{"name":"a"},"status":{"addresses":[{"type":"Hostname","address":"a"}]}}"#;
    assert_eq!(kubectls(json.as_bytes()).expect("valid").nodes.len(), 1);
}

#[test]
fn input_that_is_not_kubectl_output_has_typed_errors() {
    let refused = |json: &str| kubectls(json.as_bytes()).expect_err(json);
    assert_eq!(refused(r#"{"kind":"List","items":[]}"#), KubectlError::NoNodes);
    assert_eq!(refused(r#"{"kind":"List","items":null}"#), KubectlError::NoNodes);
    assert_eq!(refused(r#"{"kind":"PodList","items":[]}"#), KubectlError::OtherKind { kind: "PodList".into() });
    let pods = r#"{"kind":"List","items":[{"kind":"Pod","metadata":{"name":"p"}}]}"#;
    assert_eq!(refused(pods), KubectlError::OtherKind { kind: "Pod".into() });
    assert_eq!(refused(r#"{"kind":"List","items":[{"metadata":{}}]}"#), KubectlError::NoName { index: 0 });
    assert_eq!(kubectls(b"\xff\xfe{\0"), Err(KubectlError::NotUtf8));
    for wrong in
        ["", "NAME STATUS ROLES\nn1 Ready <none>\n", "[]", "{}", "apiVersion: v1\nkind: List\n", &"[".repeat(100_000)]
    {
        let error = refused(wrong);
        let said = matches!(error, KubectlError::Json { .. } | KubectlError::Empty | KubectlError::Table);
        assert!(said, "{error:?}");
    }
}
