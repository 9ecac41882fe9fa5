//! The simulated cluster, without a fault and with each of its faults.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::{Finding, Property, Status};
use clusterctl::verify::observation::{Answer, LeaseListOutcome, Observations, Outcome, Untrusted};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::remedy::{ConnectionRemedy, Remedy};
use clusterctl::verify::target::{Place, Target};
use clusterctl::verify::verdict::{Strictness, Verdict, verdict};
use time::Duration;

use super::lab::{assert_not_passed, lab, not_passed, slow_lab};

use crate::support::outside::needs;

#[test]
fn a_correct_cluster_has_all_six_properties() {
    let lab = lab(2, 3, None);
    let findings = lab.judge(&lab.observe());
    assert_eq!(not_passed(&findings), BTreeMap::new(), "{}", lab.text(&findings));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
    let ids: BTreeSet<String> = findings.iter().map(|finding| finding.id.to_string()).collect();
    let node = ["connect", "tls", "protocol", "chain", "possession", "dates", "expiry", "name", "usage", "identity"];
    let calls = ["caller", "anonymous", "untrusted", "other-node", "readonly", "listed", "heartbeat", "config"];
    let asked = ["caller", "whoami", "scope", "anonymous", "untrusted", "flags", "admission", "backend", "denials"];
    let expected = std::iter::once("trust.anchor".to_owned())
        .chain(node.iter().chain(&calls).map(|aspect| format!("node.{aspect}")))
        .chain(node[..9].iter().chain(&asked).map(|a| format!("master.{a}")));
    assert_eq!(ids, expected.collect());
    // Every node is known at the endpoint and at each master, and every master at each node.
    let count = |id: &str| findings.iter().filter(|finding| finding.id.to_string() == id).count();
    assert_eq!((count("master.whoami"), count("node.caller")), (3 * 3, 3 * 2));
    assert_eq!((count("master.scope"), count("master.flags"), count("node.listed")), (3 * 3, 3, 3));
    let text = lab.text(&findings);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(lab.cluster.nodes.len(), 3);
}

#[test]
fn runs_and_replays_have_the_same_findings() {
    let lab = lab(1, 2, Some(InjectedFault::WrongName));
    let (first, second) = (lab.observe(), lab.observe());
    let timeless = |findings: Vec<Finding>| -> Vec<String> {
        let text = |f: Finding| format!("{} {} {:?} {:?}", f.id, f.host, f.client, f.status);
        findings.into_iter().map(text).collect()
    };
    assert_eq!(timeless(lab.judge(&first)), timeless(lab.judge(&second)));
    let recording = serde_json::to_string(&first).expect("a recording");
    assert!(!recording.contains("PRIVATE KEY"));
    let replayed: Observations = serde_json::from_str(&recording).expect("the same");
    assert_eq!(replayed, first);
    assert_eq!(lab.judge(&replayed), lab.judge(&first));
}

#[test]
fn an_expired_certificate_fails_only_its_dates() {
    assert_not_passed(
        InjectedFault::ExpiredNode,
        &[
            ("fail", &["node.dates at node-2"]),
            ("not-proven", &["node.expiry at node-2"]),
            ("warn", &["node.identity at node-2"]),
        ],
    );
}

#[test]
fn another_ca_of_the_same_name_fails_the_chain() {
    let not_proven = [
        "node.caller at node-2",
        "node.anonymous at node-2",
        "node.untrusted at node-2",
        "node.other-node at node-2",
        "node.config at node-2",
    ];
    assert_not_passed(
        InjectedFault::OtherCa,
        &[("fail", &["node.chain at node-2"]), ("not-proven", &not_proven), ("warn", &["node.identity at node-2"])],
    );
}

#[test]
fn a_wrong_name_fails_only_the_name() {
    assert_not_passed(
        InjectedFault::WrongName,
        &[("fail", &["node.name at node-2"]), ("warn", &["node.identity at node-2"])],
    );
}

#[test]
fn a_kubelet_without_authentication_fails_every_refusal() {
    assert_not_passed(
        InjectedFault::AnonymousNode,
        &[("fail", &["node.anonymous at node-2", "node.untrusted at node-2", "node.other-node at node-2"])],
    );
}

#[test]
fn api_servers_without_authentication_fail_every_refusal() {
    let mut failed = Vec::new();
    for host in ["endpoint", "master-1", "master-2"] {
        failed.push(format!("master.anonymous at {host}"));
        let untrusted = Untrusted::at(Place::Master).iter();
        failed.extend(untrusted.map(|kind| format!("master.untrusted at {host} by {}", kind.as_str())));
    }
    let failed: Vec<&str> = failed.iter().map(String::as_str).collect();
    assert_not_passed(InjectedFault::AnonymousMaster, &[("fail", &failed)]);
}

#[test]
fn api_servers_that_accept_every_ca_fail_for_each_untrusted_client() {
    let mut failed = Vec::new();
    for host in ["endpoint", "master-1", "master-2"] {
        let untrusted = Untrusted::at(Place::Master).iter();
        failed.extend(untrusted.map(|kind| format!("master.untrusted at {host} by {}", kind.as_str())));
    }
    let failed: Vec<&str> = failed.iter().map(String::as_str).collect();
    assert_not_passed(InjectedFault::AnyCaMaster, &[("fail", &failed)]);
}

/// The untrusted clients that fail at the broken node.
fn let_in(fault: InjectedFault) -> Vec<String> {
    let lab = lab(1, 2, Some(fault));
    let findings = lab.judge(&lab.observe());
    let failed = findings.into_iter().filter(|f| f.id.to_string() == "node.untrusted" && f.status == Status::Fail);
    failed.map(|f| format!("{} {}", f.host, f.client.unwrap_or_default())).collect()
}

#[test]
fn a_kubelet_that_accepts_self_signed_certificates_fails_only_for_them() {
    assert_eq!(let_in(InjectedFault::SelfSignedNode), ["node-2 self-signed"]);
}

#[test]
fn rsa_only_servers_are_tried_with_rsa_keys() {
    let expected: Vec<String> =
        Untrusted::at(Place::Node).iter().map(|kind| format!("node-2 {}", kind.as_str())).collect();
    assert_eq!(let_in(InjectedFault::RsaOnlyNode), expected);
}

#[test]
fn untrusted_clients_try_second_requests_and_other_paths() {
    let both = ["node.anonymous at node-2", "node.untrusted at node-2"];
    for fault in [InjectedFault::SecondRequest, InjectedFault::OpenMetrics] {
        assert_not_passed(fault, &[("fail", &both)]);
    }
    let mut open = Vec::new();
    for host in ["endpoint", "master-1", "master-2"] {
        open.push(format!("master.anonymous at {host}"));
        let untrusted = Untrusted::at(Place::Master).iter();
        open.extend(untrusted.map(|kind| format!("master.untrusted at {host} by {}", kind.as_str())));
    }
    let open: Vec<&str> = open.iter().map(String::as_str).collect();
    assert_not_passed(InjectedFault::OpenSecrets, &[("fail", &open)]);
    let lab = lab(1, 2, Some(InjectedFault::OpenSecrets));
    let recorded = serde_json::to_string(&lab.observe()).expect("a recording");
    assert!(!recorded.contains("SecretList"), "what a secret holds is in no recording");
}

#[test]
fn api_servers_that_accept_a_nodes_proxy_header_fail() {
    let failed = ["endpoint", "master-1", "master-2"].map(|host| format!("master.whoami at {host} by node-1"));
    assert_not_passed(InjectedFault::BelievedHeader, &[("fail", &failed.each_ref().map(String::as_str))]);
}

#[test]
fn a_kubelet_that_forbids_the_api_server_fails() {
    // A refusal that the masters get, too, does not prove a refusal of other clients.
    let not_proven = ["node.other-node at node-2"];
    assert_not_passed(
        InjectedFault::ForbiddenMasters,
        &[("fail", &["node.caller at node-2"]), ("not-proven", &not_proven)],
    );
}

#[test]
fn contradictory_reviews_fail_and_failed_authorizers_prove_nothing() {
    for (fault, status) in
        [(InjectedFault::ContradictoryReviews, "fail"), (InjectedFault::FailingAuthorizer, "not-proven")]
    {
        let lab = lab(1, 2, Some(fault));
        let found = not_passed(&lab.judge(&lab.observe()));
        let scopes = found.get(status).into_iter().flatten().filter(|check| check.starts_with("master.scope"));
        assert_eq!(scopes.count(), 4, "{fault}: {found:?}");
    }
}

#[test]
fn a_slow_answer_does_not_delay_others() {
    let timeout = StdDuration::from_secs(4);
    let lab = slow_lab(1, 2, timeout / 4);
    let options = Options { timeout, ..Options::default() };
    let seen = run(&lab.target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = lab.judge(&seen);
    // Sixteen requests on one connection took four times the limit of one.
    assert_eq!(not_passed(&findings), BTreeMap::new(), "{}", lab.text(&findings));
}

#[test]
fn late_answers_have_the_remedy_of_a_longer_timeout() {
    let lab = slow_lab(1, 2, StdDuration::from_secs(20));
    let options = Options { timeout: StdDuration::from_millis(500), ..Options::default() };
    let seen = run(&lab.target, &options, lab.now, &|_, _| {}).expect("a network");
    let masters = seen.peers.iter().filter(|peer| peer.place != Place::Node);
    let exchanges = masters.flat_map(|peer| &peer.locations).flat_map(|at| &at.dials).flat_map(|dial| &dial.exchanges);
    let outcomes: Vec<_> = exchanges.map(|exchange| &exchange.outcome).collect();
    assert!(outcomes.len() > 2 * Untrusted::at(Place::Master).len());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::TimedOut(_))), "{outcomes:?}");
    let findings = lab.judge(&seen);
    for id in ["master.caller", "master.anonymous", "master.untrusted"] {
        let named = |f: &Finding| {
            f.status == Status::NotProven && f.remedy == Some(Remedy::Connection(ConnectionRemedy::RaiseTimeout))
        };
        let mut of_it = findings.iter().filter(|f| f.id.to_string() == id);
        assert!(of_it.all(named), "{id}: {}", lab.text(&findings));
    }
}

#[test]
fn a_swapped_account_fails_whoami_at_every_master() {
    let failed = ["endpoint", "master-1", "master-2"].map(|host| format!("master.whoami at {host} by node-1"));
    let failed: Vec<&str> = failed.iter().map(String::as_str).collect();
    assert_not_passed(InjectedFault::SwappedAccount, &[("fail", &failed)]);
}

#[test]
fn a_stale_lease_fails_only_the_heartbeat() {
    assert_not_passed(InjectedFault::SilentNode, &[("fail", &["node.heartbeat at node-2"])]);
}

#[test]
fn api_servers_that_do_not_verify_kubelets_fail_by_their_flags() {
    let lab = lab(1, 2, Some(InjectedFault::UnverifiedKubelets));
    let findings = lab.judge(&lab.observe());
    let failed: Vec<&Finding> = findings.iter().filter(|f| f.status == Status::Fail).collect();
    assert_eq!(failed.len(), 2, "{}", lab.text(&findings));
    assert!(failed.iter().all(|f| f.id.to_string() == "master.flags" && f.properties() == [Property::P1ii]));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}

#[test]
fn api_servers_without_the_policy_fail_admission() {
    let failed = ["endpoint", "master-1", "master-2"].map(|host| format!("master.admission at {host} by node-1"));
    let failed: Vec<&str> = failed.iter().map(String::as_str).collect();
    assert_not_passed(InjectedFault::NoAdmission, &[("fail", &failed)]);
}

#[test]
fn dry_run_writes_can_be_left_out() {
    let lab = lab(1, 2, Some(InjectedFault::NoAdmission));
    let options = Options { dry_run_writes: false, ..Options::default() };
    let seen = run(&lab.target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = lab.judge(&seen);
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
    let skipped = &not_passed(&findings)["skipped"];
    assert!(skipped.iter().all(|check| check.starts_with("master.admission at ")), "{skipped:?}");
}

/// A read-only gateway, for example: writes that are refused for all clients say nothing about admission.
#[test]
fn admission_is_skipped_where_no_write_is_served() {
    let lab = lab(1, 2, Some(InjectedFault::NoAdmission));
    for status in [404, 405, 501] {
        let mut seen = lab.observe();
        let dials = seen.peers.iter_mut().flat_map(|peer| &mut peer.locations).flat_map(|at| &mut at.dials);
        for exchange in dials.flat_map(|dial| &mut dial.exchanges).filter(|exchange| exchange.request.is_dry_run()) {
            let Outcome::Answer(answer) = &mut exchange.outcome else { panic!("an answer") };
            (answer.status, answer.body) = (status, "nothing here".into());
        }
        let findings = lab.judge(&seen);
        assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven, "{status}");
        let skipped = &not_passed(&findings)["skipped"];
        assert!(skipped.iter().all(|check| check.starts_with("master.admission at ")), "{skipped:?}");
    }
}

#[test]
fn an_unreachable_etcd_is_the_cause_of_other_findings() {
    let lab = lab(1, 2, Some(InjectedFault::EtcdDown));
    let options = Options { timeout: StdDuration::from_secs(2), ..Options::default() };
    let seen = run(&lab.target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = lab.judge(&seen);
    let failed: BTreeSet<String> =
        findings.iter().filter(|f| f.status == Status::Fail).map(|f| f.id.to_string()).collect();
    assert_eq!(failed, ["master.backend".to_owned()].into(), "{}", lab.text(&findings));
    let backend = failed.first().expect("one");
    let unproven: Vec<&Finding> = findings.iter().filter(|f| f.status == Status::NotProven).collect();
    assert!(unproven.iter().any(|f| f.id.to_string() == "node.heartbeat"), "{unproven:#?}");
    assert!(
        unproven.iter().all(|f| f.because_of.as_ref().is_some_and(|cause| cause.id.to_string() == *backend)),
        "{unproven:#?}"
    );
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}

#[test]
fn a_late_answer_does_not_cancel_others() {
    let asked = |fault: Option<InjectedFault>, timeout: u64| -> Vec<String> {
        let lab = lab(1, 2, fault);
        let options = Options { timeout: StdDuration::from_secs(timeout), ..Options::default() };
        let seen = run(&lab.target, &options, lab.now, &|_, _| {}).expect("a network");
        let master = seen.peers.iter().find(|peer| peer.place == Place::Master).expect("a master");
        let exchanges = master.locations[0].dials[0].exchanges.iter();
        exchanges.map(|exchange| format!("{:?} {:?}", exchange.client, exchange.request)).collect()
    };
    assert_eq!(asked(Some(InjectedFault::EtcdDown), 1), asked(None, 60));
}

#[test]
fn an_older_policy_skips_the_heartbeat_and_fails_nothing() {
    let lab = lab(1, 2, None);
    let mut seen = lab.observe();
    let forbidden =
        Answer { status: 403, version: "HTTP/2.0".into(), content_type: None, body: "{}".into(), truncated: false };
    seen.leases.as_mut().expect("asked").outcome = LeaseListOutcome::Failed(Outcome::Answer(forbidden));
    let findings = lab.judge(&seen);
    assert_eq!(not_passed(&findings), [("skipped", ["node.heartbeat at lab".to_owned()].into())].into());
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
    // The same holds for a recording from before this check existed.
    seen.leases = None;
    assert_eq!(not_passed(&lab.judge(&seen)), not_passed(&findings));
}

#[test]
fn plain_http_is_recognized() {
    let rest = ["protocol", "chain", "possession", "dates", "expiry", "name", "usage", "identity", "caller"];
    let rest =
        rest.iter().chain(&["anonymous", "untrusted", "other-node", "config"]).map(|a| format!("node.{a} at node-2"));
    let rest: Vec<String> = rest.collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    assert_not_passed(InjectedFault::Plaintext, &[("fail", &["node.tls at node-2"]), ("not-proven", &rest)]);
    let lab = lab(1, 2, Some(InjectedFault::Plaintext));
    let findings = lab.judge(&lab.observe());
    let tls = findings.iter().find(|f| f.status == Status::Fail).expect("a failure");
    assert_eq!(tls.observed, "it answers plain HTTP");
    // Findings that depend on a cause are reported under it.
    let text = lab.text(&findings);
    assert!(!text.contains("\nnot-proven"), "{text}");
}

#[test]
fn an_expired_ca_fails_the_anchor() {
    let lab = lab(1, 2, Some(InjectedFault::ExpiredRoot));
    let findings = lab.judge(&lab.observe());
    let failed = &not_passed(&findings)["fail"];
    for check in ["trust.anchor at lab", "node.dates at node-1", "master.dates at master-1", "node.caller at node-1"] {
        assert!(failed.contains(check), "{check}: {}", lab.text(&findings));
    }
    let passes = |id: &str| findings.iter().filter(|f| f.id.to_string() == id).all(|f| f.status == Status::Pass);
    assert!(passes("node.chain") && passes("node.name") && passes("node.tls"));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}

#[test]
fn two_hundred_nodes_are_summarized_in_few_lines() {
    let lab = lab(1, 200, None);
    // Independent of the load of this machine.
    let options = Options { timeout: StdDuration::from_secs(120), ..Options::default() };
    let findings = lab.judge(&run(&lab.target, &options, lab.now, &|_, _| {}).expect("a network"));
    assert_eq!(not_passed(&findings), BTreeMap::new(), "{}", lab.text(&findings));
    let text = lab.text(&findings);
    assert!(text.contains("200 nodes pass") && text.lines().count() < 20, "{text}");
}

#[test]
fn a_deadline_stops_the_run_and_proves_nothing() {
    let lab = lab(1, 3, None);
    let options = Options { deadline: Some(StdDuration::ZERO), ..Options::default() };
    let seen = run(&lab.target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = lab.judge(&seen);
    assert!(findings.iter().all(|f| f.status == Status::NotProven || f.id.to_string() == "trust.anchor"));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::NothingJudged);
}

#[test]
fn proxy_and_trust_variables_are_ignored() {
    // A child process, because the environment belongs to the whole process.
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "verify::fake_cluster::a_correct_cluster_has_all_six_properties"])
        .envs([
            ("HTTPS_PROXY", "http://127.0.0.1:9"),
            ("ALL_PROXY", "http://127.0.0.1:9"),
            ("https_proxy", "http://127.0.0.1:9"),
        ])
        .envs([("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")])
        .output()
        .expect("a child");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[test]
fn curl_and_kubectl_accept_the_fake_cluster() {
    needs!("curl", "kubectl");
    let lab = lab(1, 2, None);
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, lab.target.roots[0].to_pem()).expect("written");
    let at = |address: &std::net::SocketAddr, path: &str| format!("https://{address}{path}");
    let curl = |url: &str| {
        let output = Command::new("curl").args(["-sS", "-i", "--cacert"]).arg(&ca).arg(url).output().expect("curl");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let addresses = &lab.running.addresses;
    let kubelet = curl(&at(&addresses.nodes[0], "/pods"));
    assert!(kubelet.contains(" 401") && kubelet.ends_with("Unauthorized"), "{kubelet}");
    let master = curl(&at(&addresses.masters[0], "/api/v1/nodes"));
    assert!(master.contains("HTTP/2 401") && master.contains("\"reason\": \"Unauthorized\""), "{master}");
    let plain = Command::new("curl").arg("-sS").arg(format!("http://{}/", addresses.nodes[0])).output().expect("curl");
    assert_eq!(String::from_utf8_lossy(&plain.stdout), "Client sent an HTTP request to an HTTPS server.\n");
    let (cert, key) = (folder.path().join("node.crt"), folder.path().join("node.key"));
    std::fs::write(&cert, lab.client.certificate.to_pem()).expect("written");
    std::fs::write(&key, lab.client.key.to_pem().as_bytes()).expect("written");
    let kubectl = |path: &str| {
        let mut command = Command::new("kubectl");
        command.args(["--server", &at(&addresses.endpoint, ""), "--certificate-authority"]).arg(&ca);
        command.arg("--client-certificate").arg(&cert).arg("--client-key").arg(&key);
        let output = command.args(["get", "--raw", path]).env("HOME", folder.path()).env_remove("KUBECONFIG").output();
        let output = output.expect("kubectl");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    assert!(kubectl("/api/v1/nodes/node-1").contains("\"kind\": \"Node\""), "{}", kubectl("/api/v1/nodes/node-1"));
    let other = kubectl("/api/v1/nodes/node-2");
    assert!(other.contains("node-2") && other.contains("(Forbidden)") && other.contains("kubelet:node-1"), "{other}");
}

#[test]
fn a_run_can_be_restricted_to_a_node_or_to_the_masters() {
    let lab = lab(1, 3, None);
    let hosts = |target: &Target| {
        let target = Arc::new(target.clone());
        let seen = run(&target, &Options::default(), lab.now, &|_, _| {}).expect("a network");
        let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
        assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
        let named = |pick: fn(&Finding) -> Option<&str>| -> BTreeSet<String> {
            findings.iter().filter_map(pick).map(str::to_owned).collect()
        };
        let connected = named(|f| Some(f.host.as_str()).filter(|host| host.starts_with("node")));
        let whoami = named(|f| f.client.as_deref().filter(|_| f.id.to_string() == "master.whoami"));
        let others = named(|f| f.client.as_deref().filter(|_| f.id.to_string() == "node.other-node"));
        [connected, whoami, others].map(|set| set.into_iter().collect::<Vec<_>>().join(" "))
    };
    let mut one = (*lab.target).clone();
    one.only_nodes(|name| name == "node-2");
    assert_eq!(hosts(&one), ["node-2", "node-2", "node-3"]);
    let mut masters = (*lab.target).clone();
    masters.only_masters();
    assert_eq!(hosts(&masters), ["", "node-1 node-2 node-3", ""]);
}
