//! The bootstrap endpoint: what it refuses, whatever a client sends, and its folder.

use std::fs;

use clusterctl::enrol::record::{MAX_RECORD, registration_message};
use clusterctl::enrol::token::Token;
use clusterctl::https::{Answer, Client, ClientOptions, Request, Trust};
use clusterctl::pki::fingerprint::Fingerprint;
use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::joining::Joinable;
use crate::support::outside::needs;

/// Sends to the endpoint, whose certificate is not verified: what it gives is signed.
struct Endpoint {
    client: Client,
    url: String,
}

impl Endpoint {
    fn of(on: &Joinable) -> Self {
        let now = on.lab.now;
        let limit = PATIENCE;
        let options = ClientOptions { trust: Trust::SignedAnswers, certificate: None, now, limit };
        let url = format!("https://{}", on.bootstrap.as_ref().expect("started").address);
        Self { client: Client::new(&options).expect("a client"), url }
    }

    fn send(&self, method: &str, path: &str, body: Option<&[u8]>, headers: &[(&str, &str)]) -> Answer {
        let url = format!("{}{path}", self.url);
        let body = body.map(|body| ("application/json", body));
        self.client.send(&Request { method, url: &url, body, headers, limit: 1 << 20 }).expect("an answer")
    }

    /// Registers a cluster with a token.
    fn register(&self, id: &Fingerprint, token: &Token) -> u16 {
        let body = br#"{"name":"prod"}"#;
        let signature = token.secret.sign(&registration_message(*id, body)).expect("signed");
        let signature = <base64ct::Base64 as base64ct::Encoding>::encode_string(&signature);
        let path = format!("/clusterctl/v1/clusters/{}/registration", id.as_pin());
        let headers = [("x-clusterctl-token", token.id.as_str()), ("x-clusterctl-signature", signature.as_str())];
        self.send("PUT", &path, Some(body), &headers).status
    }
}

fn new_token(on: &Joinable) -> Token {
    let text = on.lab.good(&["serve", "bootstrap", "--state", "boot", "--create-token"]).out;
    Token::parse(text.trim()).expect("a token")
}

#[test]
fn what_is_not_proven_is_refused_as_a_status() {
    needs!("python3");
    let on = Joinable::start();
    let endpoint = Endpoint::of(&on);
    let unknown = Fingerprint::of(b"another cluster");
    let of = |id: &Fingerprint| format!("/clusterctl/v1/clusters/{}", id.as_pin());
    let large = vec![b'a'; MAX_RECORD + 1];
    let record = fs::read(
        fs::read_dir(on.lab.path("boot/clusters")).expect("a folder").next().expect("one").expect("one").path(),
    );
    let record = record.expect("a record");
    for (what, answer, status) in [
        ("no id", endpoint.send("GET", "/clusterctl/v1/clusters/sha256:1", None, &[]), 404),
        ("an unknown cluster", endpoint.send("GET", &of(&unknown), None, &[]), 404),
        ("not registered", endpoint.send("PUT", &of(&unknown), Some(&record), &[]), 404),
        ("too large", endpoint.send("PUT", &of(&unknown), Some(&large), &[]), 413),
        ("no signature", endpoint.send("PUT", &(of(&unknown) + "/registration"), Some(b"{}"), &[]), 401),
        ("a large registration", endpoint.send("PUT", &(of(&unknown) + "/registration"), Some(&large), &[]), 413),
        ("another path", endpoint.send("GET", "/clusterctl/v1/clusters", None, &[]), 404),
        ("another method", endpoint.send("POST", &of(&unknown), Some(b"{}"), &[]), 405),
    ] {
        assert_eq!(answer.status, status, "{what}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{what}: no JSON"));
        assert_eq!((&body["kind"], &body["code"]), (&"Status".into(), &status.into()), "{what}");
    }
    let metrics = endpoint.send("GET", "/metrics", None, &[]);
    let text = String::from_utf8(metrics.body).expect("text");
    assert!(text.contains("clusterctl_bootstrap_refusals_total"), "{text}");
}

#[test]
fn a_registration_token_serves_one_cluster_also_in_a_race() {
    needs!("python3");
    let on = Joinable::start();
    let token = new_token(&on);
    let clusters: Vec<Fingerprint> = (0..8_u8).map(|i| Fingerprint::of(&[i])).collect();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let register = |id| {
            let (on, token) = (&on, &token);
            scope.spawn(move || Endpoint::of(on).register(id, token))
        };
        let running: Vec<_> = clusters.iter().map(register).collect();
        running.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 204 | 409)), "{statuses:?}");
    let winner = clusters.iter().zip(&statuses).find(|(_, status)| **status == 204).expect("one").0;
    assert_eq!(Endpoint::of(&on).register(winner, &token), 204, "the answer may have been lost");
    let other = new_token(&on);
    let forged = Token { id: token.id, secret: other.secret };
    assert_eq!(Endpoint::of(&on).register(winner, &forged), 401, "another token's signature");
}

#[test]
fn a_folder_has_one_server_and_its_damage_is_named() {
    needs!("python3");
    let mut on = Joinable::start();
    let second = on.lab.run(&["serve", "bootstrap", "--state", "boot", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status, 4, "{second}");
    new_token(&on);
    on.bootstrap = None;
    on.lab.write("boot/registrations.json", "[{\"id\":");
    let damaged = on.lab.run(&["serve", "bootstrap", "--state", "boot", "--listen", "127.0.0.1:0"]);
    assert_eq!(damaged.status, 3, "{damaged}");
    assert_eq!(on.lab.run(&["serve", "bootstrap", "--state", "boot", "--create-token"]).status, 3);
    assert_eq!(on.lab.read("boot/registrations.json"), "[{\"id\":", "it is kept");
}
