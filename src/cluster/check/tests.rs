use std::num::NonZeroU8;

use super::super::config_error::Reason;
use super::super::enrolment::{Enrolment, EnrolmentError, Policy, Program, Requirement, Then};
use super::super::kubelet::RawValue;
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

fn text(text: &str) -> RawValue {
    RawValue::Text(text.to_owned())
}

fn map(entries: &[(&str, RawValue)]) -> RawValue {
    RawValue::Mapping(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

fn with_enrolment(entries: &[(&str, RawValue)]) -> Result<Option<Enrolment>, Vec<(String, Reason)>> {
    let raw = RawCluster { enrolment: map(entries), ..raw_cluster() };
    match raw.check() {
        Ok(cluster) => Ok(cluster.enrolment),
        Err(errors) => Err(errors.into_iter().map(|error| (error.path, error.reason)).collect()),
    }
}

fn rule(name: &str, require: &[&str], then: &str) -> RawValue {
    let require = require.iter().map(|word| text(word)).collect();
    map(&[("name", text(name)), ("require", RawValue::List(require)), ("then", text(then))])
}

#[test]
fn enrolment_is_off_without_its_key_and_queues_by_default() {
    assert_eq!(raw_cluster().check().expect("a cluster").enrolment, None);
    let enrolment = with_enrolment(&[("listen", text("[::]:6444"))]).expect("valid").expect("on");
    assert_eq!(enrolment.policy, Policy::Queue);
    assert_eq!(enrolment.listen.map(|address| address.port()), Some(6444));
}

#[test]
fn rules_are_read_in_their_order() {
    let exec = map(&[("exec", RawValue::List(vec![text("check"), text("prod")]))]);
    let when = map(&[("kind", text("renewal")), ("hosts", text("a-*,b")), ("profile", text("kubelet-server"))]);
    let rules = RawValue::List(vec![
        rule("racks", &["inventory", "ssh-host-key"], "approve"),
        map(&[
            ("name", text("asked")),
            ("when", when),
            ("require", RawValue::List(vec![exec])),
            ("then", text("deny")),
        ]),
        map(&[("name", text("rest")), ("then", text("queue")), ("approvals", text("2"))]),
    ]);
    let read = with_enrolment(&[("allowedSigners", text("approvers")), ("policy", rules)]).expect("valid").expect("on");
    let Policy::Rules(rules) = read.policy else { panic!("rules") };
    assert_eq!(rules[0].require, [Requirement::Inventory, Requirement::SshHostKey]);
    assert_eq!(rules[1].when.hosts.len(), 2);
    let program = Program { program: "check".into(), args: vec!["prod".into()] };
    assert_eq!((&rules[1].require[..], rules[1].then), (&[Requirement::Exec(program)][..], Then::Deny));
    assert_eq!(rules[2].then, Then::Queue { approvals: NonZeroU8::new(2) });
}

#[test]
fn a_rule_never_approves_whoever_asks() {
    let path = "enrolment.policy[0].require".to_owned();
    for require in [&[][..], &["inventory"], &["inventory", "inventory"]] {
        let read = with_enrolment(&[("policy", RawValue::List(vec![rule("all", require, "approve")]))]);
        assert_eq!(read, Err(vec![(path.clone(), Reason::Enrolment(EnrolmentError::ApprovesEveryone))]));
    }
    let queued = with_enrolment(&[("policy", RawValue::List(vec![rule("all", &["inventory"], "queue")]))]);
    assert!(queued.is_ok());
}

#[test]
fn a_repeated_rule_is_named_by_its_place_in_the_file() {
    let rules = vec![RawValue::Null, rule("all", &["inventory"], "queue"), rule("all", &["inventory"], "queue")];
    let errors = with_enrolment(&[("policy", RawValue::List(rules))]).expect_err("two errors");
    let repeated = ("enrolment.policy[2].name".into(), Reason::Duplicate { first: "enrolment.policy[1].name".into() });
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors.contains(&repeated), "{errors:?}");
}

#[test]
fn insecure_approval_has_an_end_and_no_other_policy_has_one() {
    let end = ("until", text("2026-12-01T18:00:00Z"));
    let word = |word| ("policy", text(word));
    assert!(with_enrolment(&[word("insecure-always-approve"), end.clone()]).is_ok());
    let errors = with_enrolment(&[word("insecure-always-approve")]);
    assert_eq!(errors, Err(vec![("enrolment.policy".into(), Reason::Enrolment(EnrolmentError::MissingUntil))]));
    let errors = with_enrolment(&[word("queue"), end]);
    assert_eq!(errors, Err(vec![("enrolment.until".into(), Reason::Enrolment(EnrolmentError::UntilWithOtherPolicy))]));
}

#[test]
fn every_error_of_enrolment_is_reported_with_its_path() {
    let two = map(&[("exec", RawValue::List(vec![text("a")])), ("puppet-autosign", RawValue::List(vec![text("b")]))]);
    let hook = map(&[("url", text("http://a")), ("ca", text("")), ("certificate", text("c")), ("key", text("k"))]);
    let rules = RawValue::List(vec![
        rule("Racks", &["ssh"], "maybe"),
        map(&[("name", text("two")), ("require", RawValue::List(vec![two])), ("then", text("deny"))]),
        map(&[
            ("name", text("hook")),
            ("require", RawValue::List(vec![map(&[("webhook", hook)])])),
            ("then", text("approve")),
            ("approvals", text("2")),
        ]),
        map(&[("name", text("more")), ("then", text("queue")), ("approvals", text("10"))]),
        map(&[("name", text("one")), ("then", text("queue")), ("unknown", text("x"))]),
        map(&[("name", text("one")), ("then", text("queue"))]),
    ]);
    let errors = with_enrolment(&[
        ("listen", text("10.0.0.1")),
        ("endpoint", text("http://ca")),
        ("bootstrap", RawValue::List(vec![text("https://a"), text("b")])),
        ("policy", rules),
        ("other", text("x")),
    ]);
    let paths: Vec<String> = errors.expect_err("errors").into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "enrolment.other",
            "enrolment.listen",
            "enrolment.endpoint",
            "enrolment.bootstrap[1]",
            "enrolment.policy[0].name",
            "enrolment.policy[0].require[0]",
            "enrolment.policy[0].then",
            "enrolment.policy[1].require[0]",
            "enrolment.policy[2].require[0].webhook.url",
            "enrolment.policy[2].approvals",
            "enrolment.policy[3].approvals",
            "enrolment.policy[4].unknown",
            "enrolment.policy[5].name",
        ]
    );
}
