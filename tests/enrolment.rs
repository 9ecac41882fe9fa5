//! The signer: who gets a certificate, once, and what it contains. The mailbox is in memory; the real ones have their own
//! tests.

mod faults;
mod memory;
mod persons;
mod policies;
mod site;

use clusterctl::app::enrol::signer::SignerEvent;
use clusterctl::cluster::address::Address;
use clusterctl::enrol::request::State;
use clusterctl::pki::certificate::SubjectAltName;
use clusterctl::store::ledger::certificates::CertificateQuery;
use site::{Ask, Site, new_key};

use crate::support::PATIENCE;

const QUEUE: &str = "{policy: queue}";

/// Returns the certificates of a host in the ledger.
fn issued(site: &Site, host: &str) -> usize {
    site.ledger().by_host(host).and_then(CertificateQuery::all).expect("a ledger").len()
}

#[test]
fn an_approved_request_gets_the_certificate_of_the_cluster_file_once() {
    let site = Site::with(QUEUE);
    let key = new_key();
    let ask = Ask::serving("a", "kubelet:on", &["on"]);
    site.mailbox.put(ask.with(&ask.csr(&key)));
    let events = site.sign();
    assert!(events.iter().any(|event| matches!(event, SignerEvent::Queued { .. })), "{events:?}");
    assert_eq!((site.state("a"), issued(&site, "on")), (State::Pending, 0));
    site.mailbox.condition("a", "Approved");
    let events = site.sign();
    assert!(events.iter().any(|event| matches!(event, SignerEvent::Issued { again: false, .. })), "{events:?}");
    let certificate = site.certificate("a");
    let names: Vec<String> = certificate.names.iter().map(SubjectAltName::to_string).collect();
    let address = Address::parse("10.20.4.1").expect("an address").to_string();
    assert_eq!(names, ["on".to_owned(), address]);
    assert_eq!(certificate.account().user, "system:node:on");
    assert_eq!(certificate.spki, key.spki());
    let known = site.ledger().by_fingerprint(certificate.fingerprint()).expect("a ledger");
    assert_eq!(known.and_then(|known| known.host).as_deref(), Some("on"));
    site.sign();
    assert_eq!(issued(&site, "on"), 1, "none twice");
    let log = site.lab.good(&["log", "on"]).out;
    assert!(log.contains("request a"), "{log}");
}

/// More than one batch: while one is judged, those before it are signed and delivered.
#[test]
fn many_requests_are_each_approved_issued_once_and_delivered_in_this_order() {
    const COUNT: usize = 600;
    let hosts: String =
        (0..COUNT).map(|i| format!("- {{name: h{i}, addresses: [10.9.{}.{}]}}\n", i / 250, i % 250)).collect();
    let site = Site::of(&format!(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: prod\nendpoint: https://10.0.0.1:6443\n\
         masters: [{{name: m, addresses: [10.0.0.2]}}]\nnodes:\n{hosts}\
         enrolment: {{policy: insecure-always-approve, until: 2026-11-23T22:00:00Z}}\n"
    ));
    for i in 0..COUNT {
        site.mailbox.put(Ask::client(&format!("r{i}"), &format!("kubelet:h{i}")).make());
    }
    site.mailbox.put(Ask::client("r251-unknown", "kubelet:unknown").make());
    site.mailbox.put(Ask::serving("r252-more", "kubelet:h1", &["h2"]).make());
    let (counts, events) = site.try_sign(&|| false);
    let counts = counts.expect("a directory");
    assert_eq!((counts.issued, counts.denied, counts.retried), (COUNT, 1, 0));
    assert_eq!((site.state("r251-unknown"), site.state("r252-more")), (State::Pending, State::Denied));
    let mut approved = std::collections::BTreeSet::new();
    for event in &events {
        match event {
            SignerEvent::Approved { request, .. } => assert!(approved.insert(request), "{request}"),
            SignerEvent::Issued { request, again, .. } => assert!(approved.remove(request) && !again, "{request}"),
            _ => {}
        }
    }
    assert_eq!(approved.len(), 0);
    for i in 0..COUNT {
        assert_eq!((site.state(&format!("r{i}")), issued(&site, &format!("h{i}"))), (State::Issued, 1));
        assert!(site.lab.path(&format!("pki/nodes/h{i}/kubelet-client.crt")).is_file());
    }
    let log = site.lab.good(&["log", "h1"]).out;
    assert!(log.contains("request r252-more"), "the ledger has the denial: {log}");
}

#[test]
fn what_asks_for_more_is_denied_with_the_difference() {
    let site = Site::with(QUEUE);
    let more = [
        Ask::serving("names", "kubelet:on", &["on", "api.prod.example.net"]),
        Ask::serving("another-host", "kubelet:on", &["worker-b1"]),
    ];
    more.iter().for_each(|ask| site.mailbox.put(ask.make()));
    site.sign();
    for ask in &more {
        let request = site.mailbox.get(ask.name);
        assert_eq!(request.state, State::Denied, "{}", ask.name);
        let last = ask.addresses.last().expect("a name");
        assert!(request.conditions[0].message.contains(last), "{:?}", request.conditions);
    }
    assert_eq!(issued(&site, "on"), 0);
}

#[test]
fn hosts_that_the_cluster_file_lacks_wait_and_do_not_hold_up_others() {
    let site = Site::with(QUEUE);
    site.mailbox.put(Ask::client("a", "kubelet:unknown").make());
    site.mailbox.put(Ask::client("b", "kubelet:on").make());
    site.mailbox.condition("a", "Approved");
    site.mailbox.condition("b", "Approved");
    site.sign();
    assert_eq!((site.state("a"), site.state("b")), (State::Approved, State::Issued));
    let file = site.lab.read("cluster.yaml");
    site.lab.write("cluster.yaml", &file.replace("nodes:\n", "nodes:\n- {name: unknown, addresses: [10.20.9.1]}\n"));
    site.sign();
    assert_eq!(site.certificate("a").account().user, "kubelet:unknown");
}

#[test]
fn requests_of_other_account_schemes_are_left_alone() {
    let site = Site::with("{policy: always-reject}");
    site.mailbox.put(Ask::client("a", "system:node:on").make());
    site.mailbox.put(Ask::client("b", "kubelet:on").make());
    site.sign();
    assert_eq!((site.state("a"), site.state("b")), (State::Pending, State::Denied));
}

#[test]
fn the_cluster_file_is_read_again_before_signing() {
    let site = Site::with(QUEUE);
    site.mailbox.put(Ask::serving("a", "kubelet:on", &["10.20.4.1"]).make());
    site.mailbox.put(Ask::serving("b", "kubelet:worker-b1", &[]).make());
    site.sign();
    site.mailbox.condition("a", "Approved");
    site.mailbox.condition("b", "Approved");
    let file = site.lab.read("cluster.yaml");
    let file = file.replace("addresses: [10.20.4.1]", "addresses: [10.20.4.7]");
    site.lab.write("cluster.yaml", &file.replace("addresses: [10.20.2.11]", "addresses: [10.20.2.12]"));
    site.sign();
    let request = site.mailbox.get("a");
    assert_eq!(request.state, State::Failed, "it asks for an address that the host no longer has");
    let names: Vec<String> = site.certificate("b").names.iter().map(SubjectAltName::to_string).collect();
    assert!(names.contains(&"10.20.2.12".to_owned()), "{names:?}");
}

#[test]
fn the_same_request_gets_the_same_certificate_whatever_became_of_its_object() {
    let site = Site::with(QUEUE);
    let ask = Ask::client("a", "kubelet:on");
    let csr = ask.csr(&new_key());
    site.mailbox.put(ask.with(&csr));
    site.mailbox.condition("a", "Approved");
    site.sign();
    let first = site.certificate("a");
    // Kubernetes's cleaner removed the object, and the host asks again.
    site.mailbox.remove("a");
    let again = Ask { name: "b", ..ask };
    site.mailbox.put(again.with(&csr));
    site.mailbox.condition("b", "Approved");
    let events = site.sign();
    assert!(events.iter().any(|event| matches!(event, SignerEvent::Issued { again: true, .. })), "{events:?}");
    assert_eq!(site.certificate("b"), first);
    assert_eq!(issued(&site, "on"), 1);
}

#[test]
fn a_key_that_was_revoked_or_is_another_hosts_is_never_certified() {
    let mut site = Site::with(QUEUE);
    let key = new_key();
    let ask = Ask::client("a", "kubelet:on");
    site.mailbox.put(ask.with(&ask.csr(&key)));
    site.mailbox.condition("a", "Approved");
    site.sign();
    let other = Ask::client("other", "kubelet:worker-b1");
    site.mailbox.put(other.with(&other.csr(&key)));
    let open = Ask::client("open", "kubelet:on");
    site.mailbox.put(open.make());
    site.sign();
    assert_eq!((site.state("other"), site.state("open")), (State::Denied, State::Pending));
    site.lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    site.lab.now += time::Duration::hours(1);
    let again = Ask { name: "again", created: site.lab.now, ..Ask::client("again", "kubelet:on") };
    site.mailbox.put(again.with(&again.csr(&key)));
    let new = Ask { name: "new", created: site.lab.now, ..Ask::client("new", "kubelet:on") };
    site.mailbox.put(new.make());
    site.sign();
    assert_eq!(site.state("again"), State::Denied, "its key was revoked");
    assert_eq!(site.state("open"), State::Denied, "it is older than the revocation");
    assert_eq!(site.state("new"), State::Pending, "a new key is judged by the policy");
}

#[test]
fn one_of_two_signers_works_and_the_other_takes_over() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};
    let site = Site::with(QUEUE);
    let stop = AtomicBool::new(false);
    let until = |what: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !what() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        what()
    };
    let (held, refused, signed, first) = std::thread::scope(|scope| {
        let first = scope.spawn(|| site.run("one", false, &|| stop.load(Ordering::Relaxed)));
        let held = until(&|| site.mailbox.holder().as_deref() == Some("one"));
        let (refused, _) = site.run("two", true, &|| false);
        site.mailbox.put(Ask::client("a", "kubelet:on").make());
        site.mailbox.condition("a", "Approved");
        let signed = until(&|| site.state("a") == State::Issued);
        stop.store(true, Ordering::Relaxed);
        (held, refused, signed, first.join().expect("no panic"))
    });
    assert!(held && signed, "{first:?}");
    assert!(refused.is_err(), "the Lease is held");
    assert!(first.0.is_ok(), "{first:?}");
    site.mailbox.restart();
    let (result, _) = site.run("two", true, &|| false);
    assert!(result.is_ok(), "the first gave the Lease up: {result:?}");
}
