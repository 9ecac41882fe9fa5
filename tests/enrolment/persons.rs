//! Proofs and persons: SSH host keys, present certificates, and approvals that SSH keys sign.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use clusterctl::app::enrol::signer::SignerEvent;
use clusterctl::enrol::approval::ANNOTATION;
use clusterctl::enrol::evidence::Proofs;
use clusterctl::enrol::request::{EnrolmentRequest, State};
use clusterctl::enrol::token::Token;
use clusterctl::pki::ssh::SshKey;

use super::site::{Ask, Site};
use crate::support::{CLUSTER, outside::needs};

/// A program that leaves the decision to a person.
const QUEUES: &str = r#"echo '{"verdict":"queue","reason":"a person decides"}'"#;

/// Makes an SSH key with ssh-keygen; returns the private key, and the public one as a line.
fn ssh_key(site: &crate::support::Lab, name: &str) -> (SshKey, String) {
    let path = site.path(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&path).status();
    assert!(made.expect("ssh-keygen").success());
    let public = site.read(&format!("{name}.pub")).trim().to_owned();
    (SshKey::from_pem(site.read(name).as_bytes()).expect("a key"), public)
}

#[test]
fn two_persons_approve_by_ssh_and_the_mailbox_alone_approves_nothing() {
    needs!("ssh-keygen");
    let rules = "[{name: rest, require: [inventory], then: queue, approvals: 2}]";
    let site = Site::with(&format!("{{allowedSigners: approvers, policy: {rules}}}"));
    let keys: Vec<(SshKey, String)> = ["ann", "bob", "eve"].iter().map(|name| ssh_key(&site.lab, name)).collect();
    site.lab.write("approvers", &format!("ann {}\nbob namespaces=\"clusterctl-approval\" {}\n", keys[0].1, keys[1].1));
    site.mailbox.put(Ask::client("a", "kubelet:on").make());
    // An attacker with control of the mailbox says that it is approved.
    site.mailbox.put(Ask::client("b", "kubelet:worker-b1").make());
    site.mailbox.condition("b", "Approved");
    let approve = |request: &EnrolmentRequest, key: &SshKey| site.approval(request, key);
    for (key, state) in [
        (&keys[0].0, State::Pending),
        (&keys[0].0, State::Pending),
        (&keys[2].0, State::Pending),
        (&keys[1].0, State::Issued),
    ] {
        let request = site.mailbox.get("a");
        let annotation = approve(&request, key);
        let mut changed = request.clone();
        changed.annotations.insert(ANNOTATION.to_owned(), annotation);
        site.mailbox.put(changed);
        site.sign();
        assert_eq!(site.state("a"), state);
    }
    assert_eq!(site.state("b"), State::Approved, "it has no signature");
    let log = site.lab.good(&["log", "on"]).out;
    assert!(log.contains("ann, bob"), "{log}");
    // The signatures are about another request.
    let mut moved = site.mailbox.get("b");
    moved.annotations.clone_from(&site.mailbox.get("a").annotations);
    site.mailbox.put(moved);
    site.sign();
    assert_eq!(site.state("b"), State::Approved);
}

#[test]
fn a_program_that_fails_lowers_no_number_of_approvals() {
    needs!("ssh-keygen");
    for (program, rules) in [
        // A rule that approves, and its program leaves the decision to a person.
        (QUEUES, "[{name: known, require: [{exec: [./check]}], then: approve}, ALL]"),
        // The program of a rule with approvals gives no answer, five times.
        ("exit 1", "[{name: known, require: [{exec: [./check]}], then: queue, approvals: 2}]"),
        // No rule decides.
        ("exit 1", "[{name: token, require: [token], then: queue, approvals: 2}]"),
    ] {
        let rules = rules.replace("ALL", "{name: rest, require: [token], then: queue, approvals: 2}");
        let site = Site::with(&format!("{{allowedSigners: approvers, policy: {rules}}}"));
        let keys: Vec<(SshKey, String)> = ["ann", "bob"].iter().map(|name| ssh_key(&site.lab, name)).collect();
        site.lab.write("approvers", &format!("ann {}\nbob {}\n", keys[0].1, keys[1].1));
        site.lab.write("check", &format!("#!/bin/sh\n{program}\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(site.lab.path("check"), mode).expect("a file");
        site.mailbox.put(Ask::client("a", "kubelet:on").make());
        site.mailbox.condition("a", "Approved");
        site.run_until(&|event| matches!(event, SignerEvent::Queued { .. }));
        assert_eq!(site.state("a"), State::Approved, "{rules}: the mailbox alone has approved it");
    }
}

#[test]
fn the_present_certificate_of_the_host_renews_it_and_others_do_not() {
    let rules = "[{name: renewals, when: {kind: renewal}, require: [inventory, same-host], then: approve}]";
    let site = Site::with(&format!("{{policy: {rules}}}"));
    site.mailbox.put(Ask::client("first", "kubelet:on").make());
    site.mailbox.condition("first", "Approved");
    site.sign();
    let certificate = site.certificate("first");
    let with_certificate = |name: &str, user: &str, id: String| {
        let mut request = Ask::client(name, user).make();
        request.requester.username = "kubelet:on".to_owned();
        request.requester.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![id]);
        request
    };
    let id = format!("X509SHA256={}", certificate.fingerprint());
    site.mailbox.put(with_certificate("renewal", "kubelet:on", id.clone()));
    site.mailbox.put(with_certificate("other", "kubelet:worker-b1", id.clone()));
    site.mailbox.put(with_certificate("invented", "kubelet:on", format!("X509SHA256={}", "0".repeat(64))));
    site.sign();
    assert_eq!(site.state("renewal"), State::Issued);
    assert_eq!((site.state("other"), site.state("invented")), (State::Pending, State::Pending));
    site.lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    let mut late = with_certificate("late", "kubelet:on", id);
    late.created += time::Duration::hours(1);
    site.mailbox.put(late);
    site.sign();
    assert_eq!(site.state("late"), State::Pending, "a revoked certificate proves nothing");
}

#[test]
fn the_hosts_ssh_key_proves_its_host_unless_it_is_cloned() {
    needs!("ssh-keygen");
    let keys = crate::support::Lab::empty();
    let (own, own_public) = ssh_key(&keys, "own");
    let (cloned, cloned_public) = ssh_key(&keys, "cloned");
    let (stranger, _) = ssh_key(&keys, "stranger");
    let nodes = CLUSTER
        .replace("{name: on, addresses: [10.20.4.1]}", &format!("{{name: on, addresses: [10.20.4.1], sealTo: \"{own_public}\"}}"))
        .replace("{name: worker-b1, addresses: [10.20.2.11]}", &format!(
            "{{name: worker-b1, addresses: [10.20.2.11], sealTo: \"{cloned_public}\"}}\n- {{name: clone, addresses: [10.20.2.12], sealTo: \"{cloned_public}\"}}"
        ));
    let rules = "[{name: racks, require: [inventory, ssh-host-key], then: approve}]";
    let site = Site::of(&format!("{nodes}enrolment: {{policy: {rules}}}\n"));
    let now = site.lab.now;
    let ask = |name: &'static str, user: &'static str, host: &str, key: &SshKey, time| {
        site.asked_by(name, user, host, key, time)
    };
    site.mailbox.put(ask("own", "kubelet:on", "on", &own, now));
    site.mailbox.put(ask("stranger", "kubelet:on", "on", &stranger, now));
    site.mailbox.put(ask("of-another", "kubelet:worker-b1", "worker-b1", &own, now));
    site.mailbox.put(ask("cloned", "kubelet:worker-b1", "worker-b1", &cloned, now));
    site.mailbox.put(ask("other-statement", "kubelet:on", "worker-b1", &own, now));
    site.mailbox.put(ask("old", "kubelet:on", "on", &own, now - time::Duration::days(2)));
    site.mailbox.put(ask("ahead", "kubelet:on", "on", &own, now + time::Duration::days(2)));
    site.sign();
    assert_eq!(site.state("own"), State::Issued);
    for name in ["stranger", "of-another", "cloned", "other-statement", "old", "ahead"] {
        assert_eq!(site.state(name), State::Pending, "{name}");
    }
}

/// A cluster file in which the host `on` has an SSH key.
fn sealed_to(key: &str, policy: &str) -> String {
    let node = "{name: on, addresses: [10.20.4.1]";
    assert!(CLUSTER.contains(node));
    format!("{}enrolment: {{policy: {policy}}}\n", CLUSTER.replace(node, &format!("{node}, sealTo: \"{key}\"")))
}

#[test]
fn an_ssh_key_that_was_stolen_with_the_certificate_proves_nothing() {
    needs!("ssh-keygen");
    let keys = crate::support::Lab::empty();
    let ((stolen, stolen_public), (new, new_public)) = (ssh_key(&keys, "stolen"), ssh_key(&keys, "new"));
    let rules = "[{name: racks, require: [inventory, ssh-host-key], then: approve}]";
    let site = Site::of(&sealed_to(&stolen_public, rules));
    let ask = |name: &str, key: &SshKey, hours| {
        let mut request = site.asked_by(name, "kubelet:on", "on", key, site.lab.now);
        request.created += time::Duration::hours(hours);
        site.mailbox.put(request);
        site.sign();
        site.state(name)
    };
    let revoke = |reason: &str| site.lab.good(&["revoke", "on", "--reason", reason, "--yes"]);
    assert_eq!(ask("first", &stolen, 0), State::Issued);
    revoke("cessationOfOperation");
    assert_eq!(ask("reinstalled", &stolen, 1), State::Issued, "no key was stolen");
    revoke("keyCompromise");
    assert_eq!(ask("thief", &stolen, 2), State::Pending);
    site.mailbox.condition("thief", "Approved");
    site.sign();
    assert_eq!(site.state("thief"), State::Issued, "a person may approve it");
    assert_eq!(ask("again", &stolen, 2), State::Pending, "the key itself stays compromised");
    site.lab.write("cluster.yaml", &sealed_to(&new_public, rules));
    assert_eq!(ask("old", &stolen, 2), State::Pending);
    assert_eq!(ask("new", &new, 2), State::Issued);
    site.lab.write("cluster.yaml", &sealed_to(&stolen_public, rules));
    assert_eq!(ask("back", &stolen, 2), State::Pending);
}

#[test]
fn the_reason_of_a_revocation_may_become_known_later() {
    needs!("ssh-keygen");
    let keys = crate::support::Lab::empty();
    let (stolen, public) = ssh_key(&keys, "stolen");
    let site = Site::of(&sealed_to(&public, "[{name: racks, require: [ssh-host-key], then: approve}]"));
    site.mailbox.put(site.asked_by("first", "kubelet:on", "on", &stolen, site.lab.now));
    site.sign();
    site.lab.good(&["revoke", "on", "--reason", "unspecified", "--yes"]);
    site.lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    let mut thief = site.asked_by("thief", "kubelet:on", "on", &stolen, site.lab.now);
    thief.created += time::Duration::hours(1);
    site.mailbox.put(thief);
    site.sign();
    assert_eq!((site.state("first"), site.state("thief")), (State::Issued, State::Pending));
}

#[test]
fn a_token_that_is_older_than_a_compromise_proves_nothing() {
    let site = Site::with("{policy: [{name: tokens, require: [inventory, token], then: approve}]}");
    let token = || Token::parse(&site.lab.good(&["token", "create", "on"]).out).expect("a token");
    let ask = |name: &str, token: &Token, hours| {
        let proofs = Proofs { ssh_host_key: None, token: Some((&token.id, &token.secret)) };
        let mut request = site.proven_by(name, "kubelet:on", "on", proofs, site.lab.now);
        request.created += time::Duration::hours(hours);
        site.mailbox.put(request);
        site.sign();
        site.state(name)
    };
    let (first, stolen) = (token(), token());
    assert_eq!(ask("first", &first, 0), State::Issued);
    site.lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    assert_eq!(ask("thief", &stolen, 1), State::Pending);
    assert_eq!(ask("new", &token(), 1), State::Issued, "it was made later, though in the same second");
}

#[test]
fn a_compromised_host_is_approved_by_no_rule_without_a_proof() {
    for policy in [
        "insecure-always-approve, until: \"2026-11-24T11:00:00Z\"",
        "[{name: known, require: [source-address], then: approve}]",
    ] {
        let site = Site::with(&format!("{{policy: {policy}}}"));
        let ask = |name: &str, user: &str, address: &str, created| {
            let mut request = Ask { created, ..Ask::client(name, user) }.make();
            request.requester.extra.insert("clusterctl.io/source-address".to_owned(), vec![address.to_owned()]);
            site.mailbox.put(request);
        };
        ask("first", "kubelet:on", "10.20.4.1", site.lab.now);
        site.sign();
        site.lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
        let created = site.lab.now + time::Duration::hours(1);
        ask("thief", "kubelet:on", "10.20.4.1", created);
        ask("other", "kubelet:worker-b1", "10.20.2.11", created);
        site.sign();
        let states = ["first", "thief", "other"].map(|name| site.state(name));
        assert_eq!(states, [State::Issued, State::Pending, State::Issued], "{policy}");
    }
}
