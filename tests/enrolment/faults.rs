//! Whatever fails, no certificate is outside the ledger, none is issued twice, and nothing is denied.

use std::collections::BTreeMap;
use std::time::Duration;

use clusterctl::enrol::request::State;
use clusterctl::store::ledger::certificates::CertificateQuery;
use clusterctl::store::lock::Lock;

use super::site::{Ask, Site};

#[test]
fn lost_calls_and_replies_issue_nothing_twice_and_deny_nothing() {
    let site = Site::with("{policy: queue}");
    let hosts = ["on", "worker-b1", "worker-a1.fra1.example.net"];
    let users: Vec<String> = hosts.iter().map(|host| format!("kubelet:{host}")).collect();
    let mut names = Vec::new();
    for user in &users {
        for serving in [false, true] {
            let name = format!("{}-{serving}", &user[8..]);
            let ask = Ask { is_serving: serving, ..Ask::client(&name, user) };
            site.mailbox.put(ask.make());
            site.mailbox.condition(&name, "Approved");
            names.push(name);
        }
    }
    for seed in 0..60 {
        site.mailbox.fail(seed, 3);
        let (_, events) = site.try_sign(&|| false);
        let _ = events;
        for name in &names {
            let state = site.state(name);
            assert!(matches!(state, State::Approved | State::Issued), "{name}: {state}");
        }
    }
    site.mailbox.stop_failing();
    // What failed is tried again after a pause.
    site.sign();
    let ledger = site.ledger();
    let mut delivered = BTreeMap::new();
    for name in &names {
        let certificate = site.certificate(name);
        assert!(ledger.by_fingerprint(certificate.fingerprint()).expect("a ledger").is_some(), "{name}");
        delivered.insert(certificate.fingerprint(), name);
    }
    let recorded: usize =
        hosts.iter().map(|host| ledger.by_host(host).and_then(CertificateQuery::all).expect("rows").len()).sum();
    assert_eq!((delivered.len(), recorded), (names.len(), names.len()), "one each");
}

/// Another command works in the directory.
#[test]
fn a_locked_directory_denies_nothing() {
    let site = Site::with("{policy: queue}");
    site.mailbox.put(Ask::client("a", "kubelet:on").make());
    site.mailbox.condition("a", "Approved");
    let lock = Lock::take(&site.layout().lock(), "a test", Duration::ZERO, &mut |_| ()).expect("free");
    std::thread::scope(|scope| {
        let signing = scope.spawn(|| site.sign());
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(site.state("a"), State::Approved, "it waits");
        drop(lock);
        signing.join().expect("no panic");
    });
    site.certificate("a");
}

#[test]
fn a_cluster_file_that_cannot_be_read_denies_nothing() {
    let site = Site::with("{policy: always-reject}");
    let good = site.lab.read("cluster.yaml");
    site.mailbox.put(Ask::client("a", "kubelet:on").make());
    site.lab.write("cluster.yaml", "apiVersion: clusterctl/v1\n");
    assert!(site.try_sign(&|| false).0.is_err());
    assert_eq!(site.state("a"), State::Pending);
    site.lab.write("cluster.yaml", &good);
    site.sign();
    assert_eq!(site.state("a"), State::Denied);
}
