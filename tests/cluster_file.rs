//! Reading cluster files: written by hand and by programs, with errors, and malicious ones.

use crate::support::drafts::{GOOD, with};
use clusterctl::cluster::config_error::{ConfigError, Reason};
use clusterctl::cluster::kubelet::Setting;
use clusterctl::cluster::spec::{Cluster, Host, OneOrMore, RawCluster, RawHost};
use clusterctl::config::{ReadError, read, write};

pub(super) fn cluster(text: &str) -> Cluster {
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(super) fn error(text: &str) -> ReadError {
    read(text.as_bytes()).expect_err(text)
}

/// Returns `path (line)` of each error.
pub(super) fn places(error: &ReadError) -> Vec<String> {
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
    // A repeated value is only used once.
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
