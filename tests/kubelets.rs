//! Kubelet settings from the cluster file: merged, read back by third-party readers, and refused where they would weaken
//! trust.

use std::collections::BTreeMap;
use std::fs;

use clusterctl::bundle::archive;
use clusterctl::cluster::kubelet::{RawValue, Setting};
use clusterctl::cluster::spec::{RawCluster, RawHost};
use proptest::prelude::{
    ProptestConfig, Strategy, TestCaseError, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample;
use proptest::strategy::Just;
use serde::Deserialize;

use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool};

/// KubeletConfiguration (kubelet.config.k8s.io/v1beta1), maintained by hand: every field that clusterctl or a test here
/// writes, with its type in Go, and no others.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KubeletConfiguration {
    api_version: String,
    kind: String,
    address: std::net::IpAddr,
    port: i32,
    read_only_port: i32,
    authentication: Authentication,
    authorization: Authorization,
    tls_cert_file: String,
    tls_private_key_file: String,
    tls_min_version: String,
    #[serde(rename = "clusterDNS")]
    cluster_dns: Option<Vec<std::net::IpAddr>>,
    cluster_domain: Option<String>,
    cgroup_driver: Option<String>,
    container_runtime_endpoint: Option<String>,
    eviction_hard: Option<BTreeMap<String, String>>,
    fail_swap_on: Option<bool>,
    feature_gates: Option<BTreeMap<String, bool>>,
    kube_reserved: Option<BTreeMap<String, String>>,
    max_pods: Option<i32>,
    memory_throttling_factor: Option<f64>,
    register_with_taints: Option<Vec<Taint>>,
    serialize_image_pulls: Option<bool>,
    shutdown_grace_period: Option<String>,
    shutdown_grace_period_critical_pods: Option<String>,
    static_pod_path: Option<String>,
    system_reserved: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Authentication {
    anonymous: Switch,
    webhook: Webhook,
    x509: X509,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Switch {
    enabled: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Webhook {
    enabled: bool,
    #[serde(rename = "cacheTTL")]
    cache_ttl: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct X509 {
    #[serde(rename = "clientCAFile")]
    client_ca_file: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Authorization {
    mode: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Taint {
    key: String,
    value: Option<String>,
    effect: String,
}

/// Returns the kubelet configuration of a node's bundle: its text, and as read by PyYAML (YAML 1.1) and then by the strict
/// reader above.
fn configuration(lab: &Lab, host: &str) -> (String, KubeletConfiguration) {
    lab.good(&["bundle", host]);
    let bundle = archive::read(&fs::read(lab.path(&format!("bundles/{host}.tar.gz"))).expect("an archive"));
    let bundle = bundle.expect("a bundle");
    let file = bundle.file("var/lib/kubelet/config.yaml").expect("a configuration");
    let text = String::from_utf8(file.bytes.to_vec()).expect("text");
    lab.write("config.yaml", &text);
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let json = good_tool("/usr/bin/python3", &["-c", script, &lab.path("config.yaml").display().to_string()]);
    let read = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    (text, read)
}

fn issued(cluster: &str) -> Lab {
    let lab = Lab::with(cluster);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab
}

#[test]
fn default_kubelet_configuration_decodes_strictly() {
    needs!("python3");
    let lab = Lab::issued();
    let (_, read) = configuration(&lab, "on");
    assert_eq!((read.kind.as_str(), read.max_pods, read.cluster_dns), ("KubeletConfiguration", None, None));
}

#[test]
fn global_and_node_settings_are_merged_below_trust() {
    needs!("python3");
    let all = "kubelet:\n  clusterDNS: [10.96.0.10, \"fd00:10:96::a\"]\n  clusterDomain: \"on\"\n  cgroupDriver: systemd\n  \
               maxPods: 250\n  failSwapOn: false\n  memoryThrottlingFactor: 0.8\n  shutdownGracePeriod: 30s\n  \
               systemReserved: {cpu: 2, memory: 1e3}\n  evictionHard: {\"memory.available\": 5%}\n  \
               featureGates: {NodeSwap: true}\n  tlsMinVersion: VersionTLS13\n  readOnlyPort: 0\n  \
               authentication: {webhook: {cacheTTL: 1m}}\n";
    let one = "- name: \"on\"\n  addresses: [10.20.4.1]\n  kubelet:\n    maxPods: 30\n    featureGates: null\n    \
               systemReserved: {cpu: null, pid: \"1000\"}\n    registerWithTaints: [{key: \"no\", effect: NoSchedule}]\n";
    let lab = issued(
        &CLUSTER
            .replace("- {name: on, addresses: [10.20.4.1]}\n", one)
            .replace("masters:\n", &format!("{all}masters:\n")),
    );
    let (text, on) = configuration(&lab, "on");
    assert!(text.starts_with("# "), "the template's comments are kept: {text}");
    let map = |entries: &[(&str, &str)]| -> Option<BTreeMap<String, String>> {
        Some(entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    assert_eq!(
        on,
        KubeletConfiguration {
            api_version: "kubelet.config.k8s.io/v1beta1".into(),
            kind: "KubeletConfiguration".into(),
            address: "0.0.0.0".parse().expect("an address"),
            port: 10250,
            read_only_port: 0,
            authentication: Authentication {
                anonymous: Switch { enabled: false },
                webhook: Webhook { enabled: true, cache_ttl: Some("1m".into()) },
                x509: X509 { client_ca_file: "/etc/kubernetes/pki/ca.crt".into() },
            },
            authorization: Authorization { mode: "Webhook".into() },
            tls_cert_file: "/var/lib/kubelet/pki/kubelet-server.crt".into(),
            tls_private_key_file: "/var/lib/kubelet/pki/kubelet-server.key".into(),
            tls_min_version: "VersionTLS13".into(),
            cluster_dns: Some(vec!["10.96.0.10".parse().expect("an address"), "fd00:10:96::a".parse().expect("one")]),
            cluster_domain: Some("on".into()),
            cgroup_driver: Some("systemd".into()),
            container_runtime_endpoint: None,
            eviction_hard: map(&[("memory.available", "5%")]),
            fail_swap_on: Some(false),
            feature_gates: None,
            kube_reserved: None,
            max_pods: Some(30),
            memory_throttling_factor: Some(0.8),
            register_with_taints: Some(vec![Taint { key: "no".into(), value: None, effect: "NoSchedule".into() }]),
            serialize_image_pulls: None,
            shutdown_grace_period: Some("30s".into()),
            shutdown_grace_period_critical_pods: None,
            static_pod_path: None,
            system_reserved: map(&[("memory", "1e3"), ("pid", "1000")]),
        }
    );
    let (_, other) = configuration(&lab, "worker-b1");
    assert_eq!(other.max_pods, Some(250));
    assert_eq!(other.system_reserved, map(&[("cpu", "2"), ("memory", "1e3")]));
    assert!(other.feature_gates.expect("gates")["NodeSwap"]);
    // Deterministic, and accepted by `verify`.
    let first = fs::read(lab.path("bundles/on.tar.gz")).expect("an archive");
    lab.good(&["bundle", "--all"]);
    assert_eq!(fs::read(lab.path("bundles/on.tar.gz")).expect("an archive"), first);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn settings_that_weaken_trust_are_refused_together_with_the_violated_property() {
    let settings = "kubelet:\n  readonlyPort: 0\n  readOnlyPort: 10255\n  authentication:\n    anonymous: {enabled: true}\n    \
                    x509: null\n  authorization: {mode: AlwaysAllow}\n  tlsCertFile: /etc/ssl/my.crt\n  maxPods: many\n  \
                    tlsCipherSuites: [TLS_RSA_WITH_RC4_128_SHA]\n";
    let lab = Lab::with(&CLUSTER.replace("masters:\n", &format!("{settings}masters:\n")));
    let ran = lab.run(&["bundle", "--all"]);
    insta::assert_snapshot!(ran);
}

#[test]
fn an_own_template_cannot_weaken_trust_either() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--eject-templates", "templates"]);
    let path = "templates/node/var/lib/kubelet/config.yaml";
    let text = lab.read(path);
    lab.write(path, &text.replace("enabled: false", "enabled: true").replace("port: {{ node.port }}", "port: 10251"));
    let ran = lab.run(&["bundle", "--all", "--templates", "templates"]);
    assert_eq!(ran.status, 2, "{ran}");
    for named in ["node/var/lib/kubelet/config.yaml", "10251", "kubeletPort", "authentication.anonymous.enabled"] {
        assert!(ran.err.contains(named), "{named}: {ran}");
    }
    assert!(fs::read_dir(lab.path("bundles")).map_or(0, Iterator::count) == 0, "nothing is packed");
    // A template with more settings is accepted, and those of the cluster file take precedence.
    lab.write(path, &format!("{text}maxPods: 20\nclusterDomain: off\n"));
    let cluster = lab.read("cluster.yaml");
    lab.write("cluster.yaml", &format!("{cluster}kubelet: {{maxPods: 40}}\n"));
    lab.good(&["bundle", "on", "--templates", "templates"]);
    let packed = archive::read(&fs::read(lab.path("bundles/on.tar.gz")).expect("an archive")).expect("a bundle");
    let made = String::from_utf8_lossy(&packed.file("var/lib/kubelet/config.yaml").expect("there").bytes).into_owned();
    assert!(made.contains("\nmaxPods: 40\nclusterDomain: \"off\"\n"), "{made}");
}

// ── merging never changes the settings of trust ──

/// A few fields at any depth, security-relevant ones and others, with valid, invalid and empty values.
fn written() -> impl Strategy<Value = RawValue> {
    let paths = [
        "authentication",
        "authentication.anonymous",
        "authentication.anonymous.enabled",
        "authentication.webhook.enabled",
        "authentication.webhook.cacheTTL",
        "authentication.x509",
        "authentication.x509.clientCAFile",
        "authorization",
        "authorization.mode",
        "readOnlyPort",
        "port",
        "address",
        "tlsCertFile",
        "tlsPrivateKeyFile",
        "tlsMinVersion",
        "rotateCertificates",
        "serverTLSBootstrap",
        "staticPodURL",
        "enableServer",
        "featureGates",
        "featureGates.NodeSwap",
        "maxPods",
        "kind",
    ];
    let values = ["true", "false", "0", "10255", "Webhook", "AlwaysAllow", "VersionTLS10", "VersionTLS13", "30s", "/x"];
    let value = prop_oneof![
        1 => Just(RawValue::Null),
        1 => Just(RawValue::Mapping(Vec::new())),
        5 => sample::select(values.to_vec()).prop_map(|text| RawValue::Text(text.to_owned())),
    ];
    prop::collection::vec((sample::select(paths.to_vec()), value), 0..4).prop_map(|fields| {
        let mut all = RawValue::Mapping(Vec::new());
        for (path, value) in fields {
            put(&mut all, path, value);
        }
        all
    })
}

fn put(into: &mut RawValue, path: &str, value: RawValue) {
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    if !matches!(into, RawValue::Mapping(_)) {
        *into = RawValue::Mapping(Vec::new());
    }
    let RawValue::Mapping(entries) = into else { unreachable!("made above") };
    let at = entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
        entries.push((key.to_owned(), RawValue::Null));
        entries.len() - 1
    });
    if rest.is_empty() { entries[at].1 = value } else { put(&mut entries[at].1, rest, value) }
}

fn draft(all: RawValue, one: RawValue) -> RawCluster {
    let host = |name: &str, kubelet| RawHost {
        name: Some(name.into()),
        addresses: vec![format!("{name}.example.net")],
        kubelet,
        ..RawHost::default()
    };
    RawCluster {
        name: Some("c".into()),
        masters: vec![host("m", RawValue::Null)],
        nodes: vec![host("n", one)],
        kubelet: all,
        ..RawCluster::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn accepted_settings_leave_every_trust_field_unchanged(all in written(), one in written()) {
        let Ok(cluster) = draft(all, one).check() else { return Err(TestCaseError::reject("refused")) };
        let base = |port: &str| {
            let text = |text: &str| Setting::Text(text.to_owned());
            let map = |key: &str, value| Setting::Mapping(vec![(key.to_owned(), value)]);
            let x509 = map("x509", map("clientCAFile", text("/ca")));
            let anonymous = map("anonymous", map("enabled", Setting::Bool(false)));
            [
                map("kind", text("KubeletConfiguration")), map("port", Setting::Number(port.to_owned())),
                map("readOnlyPort", Setting::Number("0".into())), map("authentication", x509.merged(&anonymous)),
                map("authorization", map("mode", text("Webhook"))), map("tlsCertFile", text("/crt")),
                map("tlsPrivateKeyFile", text("/key")), map("tlsMinVersion", text("VersionTLS12")),
            ].iter().fold(Setting::default(), Setting::merged)
        };
        let merged = base("10250").merged(&cluster.kubelet).merged(&cluster.nodes[0].kubelet);
        let at = |path: &[&str]| {
            let found = path.iter().try_fold(&merged, |here, key| here.get(key));
            found.map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        // Kubernetes's defaults, where a field was removed.
        let or = |path: &[&str], default: &str| at(path).replace("nothing", default);
        prop_assert_eq!(at(&["kind"]), "KubeletConfiguration");
        prop_assert_eq!(at(&["port"]), "10250");
        prop_assert_eq!(at(&["authentication", "x509", "clientCAFile"]), "/ca");
        prop_assert_eq!(at(&["tlsCertFile"]), "/crt");
        prop_assert_eq!(at(&["tlsPrivateKeyFile"]), "/key");
        prop_assert_eq!(or(&["readOnlyPort"], "0"), "0");
        prop_assert_eq!(or(&["authentication", "anonymous", "enabled"], "false"), "false");
        prop_assert_eq!(or(&["authentication", "webhook", "enabled"], "true"), "true");
        prop_assert_eq!(or(&["authorization", "mode"], "Webhook"), "Webhook");
        let version = or(&["tlsMinVersion"], "VersionTLS12");
        prop_assert!(["VersionTLS12", "VersionTLS13"].contains(&version.as_str()), "{version}");
        prop_assert_eq!(or(&["rotateCertificates"], "false"), "false");
        prop_assert_eq!(or(&["serverTLSBootstrap"], "false"), "false");
        prop_assert_eq!(or(&["enableServer"], "true"), "true");
        prop_assert_eq!(at(&["staticPodURL"]), "nothing");
        prop_assert_eq!(or(&["address"], "0.0.0.0"), "0.0.0.0");
    }
}
