//! Hosts with several addresses, more addresses than are connected to, the read-only port, and another node's expired
//! certificate.

use std::net::TcpListener;
use std::sync::Arc;

use clusterctl::cluster::address::Address;
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::Finding;
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::target::Target;
use clusterctl::verify::verdict::{Strictness, Verdict, verdict};
use time::{Duration, OffsetDateTime};

use super::lab::{Lab, lab};

/// Returns the findings of a run whose clients are chosen as of `then`.
fn found(lab: &Lab, target: Target, options: &Options, then: OffsetDateTime) -> Vec<Finding> {
    let target = Arc::new(target);
    let seen = run(&target, options, then, &|_, _| {}).expect("a network");
    judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) })
}

/// Returns address, status and observation of every finding of one check at a host.
fn of(findings: &[Finding], id: &str, host: &str) -> Vec<(String, &'static str, String)> {
    let wanted = findings.iter().filter(|f| f.id.to_string() == id && f.host == host);
    wanted.map(|f| (f.address.clone().unwrap_or_default(), f.status.as_str(), f.observed.clone())).collect()
}

fn without_read_only_port() -> Options {
    Options { readonly_port: None, ..Options::default() }
}

#[test]
fn every_address_of_a_host_is_checked() {
    let lab = lab(1, 2, None);
    let mut target = (*lab.target).clone();
    target.nodes[0].addresses.push(Address::parse("127.0.0.99").expect("an address"));
    let findings = found(&lab, target, &without_read_only_port(), lab.now);
    let port = lab.running.addresses.nodes[0].port();
    let connects = of(&findings, "node.connect", "node-1");
    assert_eq!(connects.len(), 2, "{connects:?}");
    assert_eq!((connects[0].0.as_str(), connects[0].1), (&*format!("127.0.0.11:{port}"), "pass"));
    assert_eq!((connects[1].0.as_str(), connects[1].1), (&*format!("127.0.0.99:{port}"), "fail"));
    // Every check of the second address is reported for it, and does not pass.
    let anonymous: Vec<&str> = of(&findings, "node.anonymous", "node-1").iter().map(|(_, status, _)| *status).collect();
    assert_eq!(anonymous, ["pass", "not-proven"]);
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}

#[test]
fn too_many_addresses_of_a_name_are_not_proven() {
    let lab = lab(1, 2, None);
    let mut target = (*lab.target).clone();
    target.nodes[0].addresses = vec![Address::parse("many.example.net").expect("a name")];
    let mut options = without_read_only_port();
    for _ in 0..17 {
        options.pin("many.example.net:127.0.0.11").expect("a pin");
    }
    let connects = of(&found(&lab, target, &options, lab.now), "node.connect", "node-1");
    let (passed, rest): (Vec<_>, Vec<_>) = connects.into_iter().partition(|(_, status, _)| *status == "pass");
    assert_eq!((passed.len(), rest.len()), (16, 1), "{rest:?}");
    assert_eq!((rest[0].1, rest[0].2.as_str()), ("not-proven", "1 more addresses of this name were not dialled"));
}

#[test]
fn an_open_read_only_port_gives_a_warning() {
    let lab = lab(1, 2, None);
    let open = TcpListener::bind("127.0.0.11:0").expect("a free port");
    let port = open.local_addr().expect("an address").port();
    let options = Options { readonly_port: Some(port), ..Options::default() };
    let findings = found(&lab, (*lab.target).clone(), &options, lab.now);
    let status = |host| of(&findings, "node.readonly", host).iter().map(|(_, status, _)| *status).collect::<Vec<_>>();
    assert_eq!((status("node-1"), status("node-2")), (vec!["warn"], vec!["pass"]));
}

#[test]
fn a_refusal_of_an_invalid_other_node_proves_nothing() {
    let lab = lab(1, 2, None);
    let findings = found(&lab, (*lab.target).clone(), &without_read_only_port(), lab.now + Duration::days(4000));
    let mut reasons = String::new();
    for host in ["node-1", "node-2"] {
        let other = of(&findings, "node.other-node", host);
        assert_eq!(other.len(), 1);
        assert_eq!(other[0].1, "skipped");
        reasons.push_str(&format!("{host}: {}\n", other[0].2));
    }
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("another_node_is_skipped", reasons);
    });
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}
