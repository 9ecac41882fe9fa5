//! One-time tokens at the enrolment CA's server: raced, for other hosts, addresses and keys; and the table of threats.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clusterctl::cluster::name::HostName;
use clusterctl::enrol::evidence::{Occasion, Proofs, Statement};
use clusterctl::enrol::token::Token;
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::pki::pem::{self, Item};
use serde_json::Value;
use time::OffsetDateTime;

use crate::support::enrolment::{CSRS, Served, clusterctl, csr, directory, object};

/// Returns a new token of a host.
fn token(dir: &Path, args: &[&str]) -> Token {
    Token::parse(clusterctl(dir, &[&["token", "create"], args].concat()).trim()).expect("a token")
}

/// Returns a request of a host with a new key, proven by a token.
fn by_token(dir: &Path, name: &str, host: &str, token: &Token) -> Value {
    let (text, _) = csr(&format!("kubelet:{host}"));
    with_token(dir, name, host, token, &text)
}

fn with_token(dir: &Path, name: &str, host: &str, token: &Token, csr: &str) -> Value {
    let root = fs::read(dir.join("pki/ca.crt")).expect("the CA");
    let root = Certificate::from_der(pem::certificates(&root).expect("PEM").swap_remove(0)).expect("a certificate");
    let Ok(items) = pem::read_all(csr.as_bytes()) else { panic!("PEM") };
    let Some(Item::Csr(der)) = items.into_iter().next() else { panic!("a CSR") };
    let statement = Statement {
        host: HostName::parse(host).expect("a name"),
        time: OffsetDateTime::now_utc(),
        cluster: root.spki_fingerprint(),
        request: Fingerprint::of(&der),
        occasion: Occasion::Join,
    };
    let proofs = Proofs { ssh_host_key: None, token: Some((token.id.as_str(), &token.secret)) };
    object(name, &format!("{csr}{}", statement.to_blocks(&proofs).expect("evidence")))
}

#[test]
fn a_token_that_is_raced_serves_one_key() {
    let dir = directory();
    let served = Served::start(dir.path());
    let token = token(dir.path(), &["node-2"]);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let send = |i: usize| {
            let (served, token) = (&served, &token);
            scope.spawn(move || {
                let body = by_token(&served.dir, &format!("r{i}"), "node-2", token);
                served.api(None).post(CSRS, &body).0
            })
        };
        let running: Vec<_> = (0..8).map(send).collect();
        running.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 201 | 403)), "{statuses:?}");
}

#[test]
fn a_token_is_bound_to_its_host_its_address_and_its_key() {
    let dir = directory();
    let served = Served::start(dir.path());
    let api = served.api(None);
    let post = |body: &Value| api.post(CSRS, body).0;
    let of_host = token(dir.path(), &["node-1"]);
    assert_eq!(post(&by_token(dir.path(), "other-host", "node-2", &of_host)), 403);
    let elsewhere = token(dir.path(), &["node-1", "--source", "10.9.9.0/24"]);
    assert_eq!(post(&by_token(dir.path(), "elsewhere", "node-1", &elsewhere)), 403);
    let here = token(dir.path(), &["node-1", "--source", "127.0.0.0/8"]);
    assert_eq!(post(&by_token(dir.path(), "here", "node-1", &here)), 201);
    let (text, key) = csr("kubelet:node-1");
    let of_key = token(dir.path(), &["node-1", "--key", &Fingerprint::of(&key.spki()).as_pin()]);
    assert_eq!(post(&by_token(dir.path(), "other-key", "node-1", &of_key)), 403);
    assert_eq!(post(&with_token(dir.path(), "its-key", "node-1", &of_key, &text)), 201);
    let wrong = Token { id: of_host.id, secret: here.secret };
    assert_eq!(post(&by_token(dir.path(), "wrong-secret", "node-1", &wrong)), 403);
    let revoked = token(dir.path(), &["node-1"]);
    clusterctl(dir.path(), &["token", "revoke", &revoked.id]);
    assert_eq!(post(&by_token(dir.path(), "revoked", "node-1", &revoked)), 403);
}

/// The table of threats names a test for each line, and each of these tests exists.
#[test]
fn every_threat_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/src/threats.md")).expect("a page");
    let (_, table) = text.split_once("## Enrolment").expect("the section");
    let mut sources = String::new();
    let mut open = vec![root.join("tests")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("rs") => sources.push_str(&fs::read_to_string(&path).expect("text")),
                None if path.is_dir() && !path.ends_with("data") && !path.ends_with("snapshots") => open.push(path),
                _ => {}
            }
        }
    }
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat")).collect();
    assert!(rows.len() >= 20, "{}", rows.len());
    let mut named = BTreeSet::new();
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next().expect("a cell");
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            let name = test.rsplit("::").next().expect("a name");
            assert!(sources.contains(&format!("fn {name}()")), "there is no test {test}");
            named.insert(name);
        }
    }
    assert!(named.len() > 15, "{named:?}");
}
