//! Written cluster files have the same meaning for the program and for PyYAML.

use clusterctl::cluster::config_error::{ConfigError, Reason};
use clusterctl::cluster::inventory::ExternalIps;
use clusterctl::cluster::kubelet::RawValue;
use clusterctl::cluster::signer::{RawSigner, RawSigners};
use clusterctl::cluster::spec::{Cluster, RawCluster, RawHost};
use clusterctl::config::{ReadError, from_kubectl, read, write};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::{Just, Strategy};
use proptest::{option, prop_oneof, sample};

use crate::support::drafts::{GOOD, meaning, means_to_pyyaml, with};
use crate::support::outside::needs;

fn host() -> impl Strategy<Value = RawHost> {
    (option::weighted(0.9, text()), prop::collection::vec(text(), 0..4), option::of(port()), kubelet())
        .prop_map(|(name, addresses, port, kubelet)| RawHost { name, addresses, port, kubelet, ..RawHost::default() })
}

/// Often empty; otherwise fields of the kubelet with any value, and others.
fn kubelet() -> impl Strategy<Value = RawValue> {
    let fields = [
        "maxPods",
        "clusterDNS",
        "systemReserved",
        "featureGates",
        "authentication",
        "anonymous",
        "webhook",
        "enabled",
        "readOnlyPort",
        "registerWithTaints",
        "shutdownGracePeriod",
        "memoryThrottlingFactor",
        "memory.available",
    ];
    let key = prop_oneof![4 => sample::select(fields.to_vec()).prop_map(str::to_owned), 1 => text()];
    let leaf = prop_oneof![1 => Just(RawValue::Null), 4 => text().prop_map(RawValue::Text)];
    let value = leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(RawValue::List),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|map| RawValue::Mapping(map.into_iter().collect())),
        ]
    });
    prop_oneof![3 => Just(RawValue::Null), 1 => value]
}

fn port() -> impl Strategy<Value = String> {
    prop_oneof![any::<u16>().prop_map(|p| p.to_string()), "0[0-7]{1,4}", "[0-9]{1,2}:[0-9]{2}", text()]
}

/// Valid values, strings that YAML misreads, and arbitrary ones.
fn text() -> impl Strategy<Value = String> {
    let misread = [
        "on",
        "off",
        "yes",
        "no",
        "y",
        "n",
        "null",
        "~",
        "true",
        "False",
        "1e3",
        "0x1f",
        "0o17",
        "012",
        "1_000",
        "12:30:45",
        "1.5",
        ".inf",
        ".NaN",
        "2026-11-23",
        "2026-11-23T01:02:03Z",
        "=",
        "<<",
        "",
        " ",
        "- a",
        "a: b",
        "a #b",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "'",
        "\"",
        "\\",
        "[",
        "{}",
        "|",
        ">",
        "\t",
        "\n",
        "a\nb",
        "---",
        "...",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{1f600}",
        "\u{0}",
        "\u{7f}",
    ];
    prop_oneof![
        3 => "[a-z][a-z0-9-]{0,10}(\\.[a-z0-9]{1,5}){0,2}",
        2 => sample::select(misread.to_vec()).prop_map(str::to_owned),
        2 => any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        2 => any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
        1 => any::<String>(),
    ]
}

fn signers() -> impl Strategy<Value = RawSigners> {
    let signer = || {
        let exec = option::of(prop::collection::vec(text(), 0..3));
        let signer = (exec, option::of(text()), option::of(text()), option::of(text()));
        option::of(signer.prop_map(|(exec, timeout, pkcs11, module)| RawSigner { exec, timeout, pkcs11, module }))
    };
    let all = (signer(), signer(), signer(), signer());
    all.prop_map(|(cluster, etcd, front_proxy, next_cluster)| RawSigners { cluster, etcd, front_proxy, next_cluster })
        .boxed()
}

fn draft() -> impl Strategy<Value = RawCluster> {
    let hosts = || prop::collection::vec(host(), 0..3);
    // Boxed, because the stack of a test's thread is smaller than the strategy would be.
    let value = || option::of(text()).boxed();
    let values = (value(), value(), value(), option::of(prop::collection::vec(text(), 0..3)), value(), value());
    let versions = (value(), value(), value(), value(), value());
    (
        values,
        (value(), value(), value(), value(), value(), value()),
        versions,
        signers().boxed(),
        kubelet().boxed(),
        hosts().boxed(),
        hosts().boxed(),
    )
        .prop_map(
            |(
                (name, endpoint, accounts, service_cidrs, cluster_domain, keys),
                (ca, master, node, admin, crl, renew_before),
                (kubernetes_version, image_repository, etcd_version, templates, with_units),
                signers,
                kubelet,
                masters,
                nodes,
            )| RawCluster {
                name,
                endpoint,
                accounts,
                service_cidrs,
                cluster_domain,
                keys,
                validity_ca: ca,
                validity_master: master,
                validity_node: node,
                validity_admin: admin,
                validity_crl: crl,
                kubernetes_version,
                image_repository,
                etcd_version,
                templates,
                with_units,
                renew_before,
                signers,
                enrolment: RawValue::Null,
                kubelet,
                // A master's entry has no such key.
                masters: masters.into_iter().map(|host| RawHost { kubelet: RawValue::Null, ..host }).collect(),
                nodes,
            },
        )
}

/// Hosts with valid names and addresses, all different.
fn good_hosts(ips: std::ops::Range<u32>) -> impl Strategy<Value = Vec<RawHost>> {
    let name = prop_oneof!["[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", Just("on".to_owned()), Just("1e3".to_owned())];
    prop::collection::btree_map(name, (ips, option::of(1_u16..)), 1..8).prop_map(|hosts| {
        let mut all = std::collections::BTreeSet::new();
        let hosts = hosts.into_iter().filter(|(_, (ip, _))| all.insert(*ip));
        let host = |(name, (ip, port)): (String, (u32, Option<u16>))| RawHost {
            name: Some(name),
            addresses: vec![
                std::net::Ipv4Addr::from_bits(ip).to_string(),
                format!("fd00::{:x}:{:x}", ip >> 16, ip & 0xffff),
            ],
            port: port.map(|p| p.to_string()),
            ..RawHost::default()
        };
        hosts.map(host).collect()
    })
}

fn without_lines(result: Result<Cluster, ReadError>) -> Result<Cluster, Vec<ConfigError>> {
    result.map_err(|error| {
        assert!(matches!(error, ReadError::Invalid { .. }), "{error}");
        in_any_order(error.errors().to_vec())
    })
}

fn in_any_order(errors: Vec<ConfigError>) -> Vec<ConfigError> {
    let mut errors: Vec<ConfigError> = errors.into_iter().map(|error| ConfigError { line: None, ..error }).collect();
    errors.sort_by_key(|error| (error.path.clone(), error.reason.to_string()));
    errors
}

proptest! {
    #[test]
    fn writing_and_reading_a_draft_round_trips(draft in draft()) {
        prop_assert_eq!(without_lines(read(write(&draft).as_bytes())), draft.check().map_err(in_any_order));
    }

    #[test]
    fn every_valid_cluster_round_trips(masters in good_hosts(0x8000_0000..0xDFFF_FFFF), nodes in good_hosts(0x0B00_0000..0x7EFF_FFFF)) {
        let endpoint = Some("https://[fd00:1::1]:6443".to_owned());
        let draft = RawCluster { name: Some("c".into()), endpoint, masters, nodes, ..RawCluster::default() };
        let cluster = draft.check();
        prop_assert!(cluster.is_ok(), "{cluster:?}");
        prop_assert_eq!(read(write(&draft).as_bytes()).map_err(|e| e.errors().to_vec()), cluster);
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        let _ = from_kubectl(&bytes, ExternalIps::NamesOnly);
    }

    #[test]
    fn no_yaml_like_text_makes_the_reader_panic(text in "([\\[\\]{}:,&*!|>'\"%@~?#\\- \n\t]|&a|\\*a|!!?[a-z]+|name|nodes|masters|addresses|: |\n  |- ){0,60}") {
        for text in [text.clone(), with(&text), format!("nodes:\n- {text}"), format!("nodes: [{text}]")] {
            if let Err(error) = read(text.as_bytes()) {
                prop_assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            }
        }
    }

    #[test]
    fn the_reader_does_not_panic_on_damaged_files(
        cuts in prop::collection::vec((any::<sample::Index>(), 0_usize..12, "[\\[\\]{}:,&*!'\"a0 \n-]{0,4}"), 1..6),
    ) {
        let mut text = GOOD.to_owned();
        for (at, length, insert) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.replace_range(at..end, &insert);
        }
        if let Err(error) = read(text.as_bytes()) {
            for fault in error.errors() {
                prop_assert!(!fault.path.is_empty() && fault.line.is_none_or(|line| line <= text.lines().count() + 1));
            }
        }
        let _ = from_kubectl(text.as_bytes(), ExternalIps::NamesOnly);
    }
}

#[test]
fn a_yaml_1_1_reader_reads_the_same_values() {
    needs!("python3-yaml");
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::default();
    let drafts: Vec<RawCluster> = (0..300).map(|_| draft().new_tree(&mut runner).expect("a draft").current()).collect();
    let written: Vec<String> = drafts.iter().map(write).collect();
    for ((draft, text), read) in drafts.iter().zip(&written).zip(means_to_pyyaml(&written)) {
        assert_eq!(read, meaning(draft), "{text}");
    }
}

#[test]
fn a_new_file_explains_every_key() {
    let text = write(&RawCluster { name: Some("prod".into()), ..RawCluster::default() });
    for key in [
        "name",
        "endpoint",
        "accounts",
        "serviceCIDRs",
        "clusterDomain",
        "keys",
        "validity",
        "kubernetes",
        "templates",
        "withUnits",
        "renewBefore",
        "signers",
        "kubelet",
        "masters",
        "nodes",
    ] {
        let line = text.lines().position(|line| line.trim_start_matches("# ").starts_with(&format!("{key}:")));
        let line = line.unwrap_or_else(|| panic!("{key} is not in\n{text}"));
        assert!(text.lines().nth(line - 1).is_some_and(|above| above.starts_with("# ")), "{key} has no comment");
    }
    assert!(text.lines().all(|line| line.len() <= 120));
    let commented: String = text.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line))).collect();
    assert!(commented.contains("\nvalidity:\n  ca: \"10y\"\n"), "a default can be used by removing `# `:\n{text}");
}

#[test]
fn an_empty_draft_has_exactly_its_faults() {
    let error = read(write(&RawCluster::default()).as_bytes()).expect_err("no name, no master");
    assert_eq!(error.errors().len(), 2);
    assert!(matches!(error.errors()[0].reason, Reason::Missing { .. }));
}
