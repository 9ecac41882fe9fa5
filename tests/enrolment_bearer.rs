//! Bearer tokens at the enrolment CA's server.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::enrolment_server::{eventually, state};
use crate::support::enrolment::{CSRS, Served, clusterctl, directory, request, runtime};
use crate::support::outside::needs;

/// Sends a request with a bearer token, and returns the status.
fn post_with_bearer(served: &Served, token: &str, body: &Value) -> u16 {
    let (api, body) = (served.api(None), body.to_string());
    let sent = runtime().block_on(async {
        let request = api.client.post(format!("{}{CSRS}", api.url)).bearer_auth(token.trim());
        request.header("content-type", "application/json").body(body).send().await
    });
    sent.expect("an answer").status().as_u16()
}

#[test]
fn anonymous_requests_do_not_lock_out_a_bearer_token() {
    let dir = directory();
    let token = |args: &[&str]| clusterctl(dir.path(), &[&["token", "create", "node-1", "--bearer"], args].concat());
    let (here, elsewhere) = (token(&[]), token(&["--source", "10.9.9.0/24"]));
    let served = Served::start(dir.path());
    let anonymous = served.api(None);
    let known: Vec<u16> = (0..5).map(|i| anonymous.post(CSRS, &request(&format!("k{i}"), "node-1")).0).collect();
    assert_eq!(known, [201, 201, 201, 201, 429]);
    assert_eq!(post_with_bearer(&served, &elsewhere, &request("elsewhere", "node-1")), 429, "it proves nothing here");
    assert_eq!(post_with_bearer(&served, &here, &request("own", "node-1")), 201);
    assert_eq!(state(&anonymous.get(&format!("{CSRS}/k0")).1), "Failed");
}

#[test]
fn a_bearer_token_is_that_of_its_host_and_signs_the_discovery() {
    needs!("openssl");
    let dir = directory();
    let token = clusterctl(dir.path(), &["token", "create", "node-1", "--bearer"]);
    let (id, secret) = token.trim().split_once('.').expect("a token");
    let served = Served::start(dir.path());
    let post = |token: &str, name: &str, host: &str| post_with_bearer(&served, token, &request(name, host));
    assert_eq!(post(token.trim(), "own", "node-1"), 201);
    assert_eq!(post(token.trim(), "foreign", "node-2"), 403, "the token is for another host");
    assert_eq!(post(&format!("{id}.{}", "a".repeat(secret.len())), "wrong", "node-1"), 401);
    assert_eq!(served.api(None).get(&format!("{CSRS}/own")).0, 404, "others do not see it");

    let (_, info) = served.api(None).get("/api/v1/namespaces/kube-public/configmaps/cluster-info");
    let data = &info["data"];
    let jws = data[format!("jws-kubeconfig-{id}")].as_str().expect("a signature");
    let (header, signature) = jws.split_once("..").expect("a detached JWS");
    let encode = |bytes: &[u8]| <base64ct::Base64UrlUnpadded as base64ct::Encoding>::encode_string(bytes);
    assert_eq!(header, encode(format!("{{\"alg\":\"HS256\",\"kid\":\"{id}\"}}").as_bytes()));
    let signed = format!("{header}.{}", encode(data["kubeconfig"].as_str().expect("a kubeconfig").as_bytes()));
    fs::write(dir.path().join("signed"), signed).expect("written");
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-mac", "HMAC", "-macopt", &format!("key:{secret}"), "-binary"]);
    let made = openssl.arg(dir.path().join("signed")).output().expect("it runs").stdout;
    assert_eq!(signature, encode(&made), "openssl makes the same HMAC");
    clusterctl(dir.path(), &["token", "revoke", id]);
    eventually("a revoked token is rejected", || post(token.trim(), "later", "node-1") == 401);
}
