//! `verify --enrolment`: the endpoint is the cluster's, and others get nothing from it.

use std::sync::Arc;

use clusterctl::app::Env;
use clusterctl::app::enrol::serve::{self, ServeOptions};
use clusterctl::cluster::name::HostName;
use clusterctl::config;
use clusterctl::server::Server;
use clusterctl::store::layout::Layout;
use serde_json::Value;

use crate::support::joining::mailbox;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab};

/// Starts the enrolment CA's server of a directory, and returns its URL.
pub(super) fn served(lab: &Lab) -> (Server, String) {
    let env = Env { layout: Layout::new(lab.dir().to_owned()), now: lab.now, actor: "test".to_owned() };
    let cluster = config::read(lab.read("cluster.yaml").as_bytes()).expect("a cluster");
    let options = ServeOptions {
        listen: Some(([127, 0, 0, 1], 0).into()),
        state: None,
        master: HostName::parse("master-1").ok(),
        max_connections: 100,
        max_connections_per_address: 100,
        version: "test",
    };
    let now = lab.now;
    let server = serve::serve(&options, &cluster, &env, Arc::new(move || now)).expect("a server");
    let url = format!("https://127.0.0.1:{}", server.address().port());
    (server, url)
}

/// Returns the checks with their results.
fn results(lab: &Lab, url: &str) -> (u8, Vec<(String, String)>) {
    let ran = lab.run(&["verify", "--enrolment", url, "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran}"));
    let text = |one: &Value, key: &str| one[key].as_str().expect("text").to_owned();
    let all = report["results"].as_array().expect("results");
    (ran.status, all.iter().map(|one| (text(one, "id"), text(one, "status"))).collect())
}

fn all(aspects: &[(&str, &str)]) -> Vec<(String, String)> {
    aspects.iter().map(|(aspect, status)| (format!("enrolment.{aspect}"), (*status).to_owned())).collect()
}

#[test]
fn the_enrolment_ca_proves_itself_and_refuses_others() {
    let lab = Lab::with(&format!("{CLUSTER}enrolment: {{policy: queue}}\n"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    let (_server, url) = served(&lab);
    let passed = ["connect", "chain", "name", "anonymous", "untrusted", "other-node"].map(|aspect| (aspect, "pass"));
    assert_eq!(results(&lab, &url), (0, all(&passed)));
    // A name that no certificate of the master has.
    let port = url.rsplit_once(':').expect("a port").1;
    let elsewhere = format!("https://127.0.0.2:{port}");
    assert_eq!(results(&lab, &elsewhere).0, 1, "nothing listens there");
}

/// Nodes that joined keep their keys.
#[test]
fn no_key_of_a_node_is_needed_for_the_proof() {
    let lab = Lab::with(&format!("{CLUSTER}enrolment: {{policy: queue}}\n"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    let (_server, url) = served(&lab);
    let passed = ["connect", "chain", "name", "anonymous", "untrusted", "other-node"].map(|aspect| (aspect, "pass"));
    assert_eq!(results(&lab, &url), (0, all(&passed)));
    let report: Value =
        serde_json::from_str(&lab.run(&["verify", "--enrolment", &url, "--output", "json"]).out).expect("JSON");
    assert_eq!(report["lookedAt"], "enrolment");
}

#[test]
fn another_cas_server_and_one_that_refuses_nobody_are_found() {
    needs!("python3");
    let (lab, other) = (Lab::issued(), Lab::with(CLUSTER));
    other.good(&["init-ca", "--plaintext-ca-key"]);
    other.good(&["issue-master", "--all"]);
    let judged = |credentials: &Lab| {
        let (mut child, port) = mailbox(credentials, "pki/masters/master-1/apiserver");
        let results = results(&lab, &format!("https://127.0.0.1:{port}"));
        let _ = child.kill();
        let _ = child.wait();
        results
    };
    assert_eq!(judged(&other), (1, all(&[("connect", "pass"), ("chain", "fail")])));
    // The mailbox of these tests answers everybody: it is no enrolment CA.
    let (status, found) = judged(&lab);
    assert_eq!(status, 1);
    assert!(found.contains(&("enrolment.other-node".to_owned(), "fail".to_owned())), "{found:?}");
    assert!(found.contains(&("enrolment.anonymous".to_owned(), "fail".to_owned())), "{found:?}");
}
