use super::super::config_error::Reason;
use super::super::spec::{RawCluster, RawHost};

fn host(name: &str, addresses: &[&str]) -> RawHost {
    let addresses = addresses.iter().map(ToString::to_string).collect();
    RawHost { name: Some(name.into()), addresses, ..RawHost::default() }
}

fn raw_cluster() -> RawCluster {
    RawCluster {
        name: Some("prod".into()),
        masters: vec![host("m1", &["10.0.0.1"])],
        nodes: vec![host("n1", &["10.0.1.1", "fd00::1"])],
        ..RawCluster::default()
    }
}

#[test]
fn the_only_master_is_the_endpoint() {
    let cluster = raw_cluster().check().expect("a valid cluster file");
    assert_eq!(cluster.endpoint.to_string(), "https://10.0.0.1:6443");
    assert_eq!(cluster.nodes[0].port, 10250);
}

#[test]
fn a_master_that_is_the_endpoint_listens_on_its_port() {
    let endpoint = Some("https://10.0.0.1:8443".to_owned());
    let cluster = RawCluster { endpoint, ..raw_cluster() }.check().expect("a valid cluster file");
    assert_eq!(cluster.masters[0].port, 8443);
}

#[test]
fn services_need_a_range() {
    let errors = RawCluster { service_cidrs: Some(Vec::new()), ..raw_cluster() }.check().expect_err("no range");
    assert_eq!(errors[0].path, "serviceCIDRs");
}

#[test]
fn a_port_is_plain_decimal() {
    for wrong in ["0", "+1", "010250", "0x1", "65536", "-1", ""] {
        let mut bad = raw_cluster();
        bad.nodes[0].port = Some(wrong.into());
        assert_eq!(bad.check().expect_err(wrong)[0].reason, Reason::Port);
    }
}

#[test]
fn all_errors_are_reported_together_with_their_paths() {
    let mut bad = raw_cluster();
    bad.name = None;
    bad.keys = Some("rsa".into());
    bad.validity_ca = Some("1d".into());
    bad.service_cidrs = Some(vec!["10.0.0.0/8".into(), "10.0.0.0/40".into()]);
    bad.masters.push(host("m1", &[]));
    bad.nodes.push(host("N2", &["fd00:0::1", "x y"]));
    bad.nodes.push(host(&"a".repeat(53), &["10.0.1.3"]));
    bad.nodes[2].port = Some("0".into());
    bad.nodes.push(host(&format!("b{}", "a".repeat(52)), &["10.0.1.4"]));
    let errors = bad.check().expect_err("an invalid cluster file");
    let paths: Vec<&str> = errors.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "name",
            "serviceCIDRs[1]",
            "keys",
            "validity.master",
            "validity.node",
            "masters[1].name",
            "masters[1].addresses",
            "endpoint",
            "nodes[1].name",
            "nodes[1].addresses[0]",
            "nodes[1].addresses[1]",
            "nodes[2].kubeletPort",
            "nodes[3].name",
        ]
    );
    assert_eq!(errors[9].reason, Reason::Duplicate { first: "nodes[0].addresses[1]".into() });
    assert_eq!(
        errors[12].reason,
        Reason::AccountTooLong { account: format!("system:node:b{}", "a".repeat(52)), length: 65 }
    );
}
