//! Revocation, from the command to openssl, nginx, etcd, sqlite3 and whatever reads what was written.

use std::process::{Command, Output};

use clusterctl::bundle::archive;

use super::support::authorization::{AuthorizationConfiguration, Verdict};
use super::support::kubernetes::documents;
use super::support::{CLUSTER, Lab, NOW, Ran, good_tool};
use time::Duration;

use crate::support::outside::needs;

fn issued() -> Lab {
    let lab = Lab::with(CLUSTER);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab
}

fn openssl(lab: &Lab, args: &[&str]) -> Output {
    Command::new("openssl").args(args).current_dir(lab.dir()).output().expect("openssl")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn serial(lab: &Lab, certificate: &str) -> String {
    let output = openssl(lab, &["x509", "-in", certificate, "-noout", "-serial"]);
    text(&output).trim().strip_prefix("serial=").expect("a serial").to_owned()
}

fn fingerprint(lab: &Lab, certificate: &str) -> String {
    let output = openssl(lab, &["x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"]);
    let text = text(&output);
    text.trim().split_once('=').expect("a fingerprint").1.replace(':', "").to_lowercase()
}

fn rule(lab: &Lab) -> AuthorizationConfiguration {
    let [config] = documents(&lab.read("policy/masters/authorization.yaml")).try_into().expect("one document");
    AuthorizationConfiguration::read(config)
}

fn denies(lab: &Lab, certificate: &str) -> bool {
    let id = format!("X509SHA256={}", fingerprint(lab, certificate));
    let spec = serde_json::json!({"user": "system:anything", "groups": [], "uid": "",
        "extra": {"authentication.kubernetes.io/credential-id": [id]},
        "nonResourceAttributes": {"path": "/api", "verb": "get"}});
    !matches!(rule(lab).decide(&spec), Verdict::NoOpinion)
}

fn revoke(lab: &Lab, args: &[&str]) -> Ran {
    lab.run(&[&["revoke"], args].concat())
}

const CLIENT: &str = "pki/nodes/worker-b1/kubelet-client.crt";
const SERVER: &str = "pki/nodes/worker-b1/kubelet-server.crt";
const NEIGHBOUR: &str = "pki/nodes/on/kubelet-client.crt";

#[test]
fn a_revoked_host_is_in_the_list_and_in_the_rule_and_gets_new_certificates() {
    needs!("openssl");
    let lab = issued();
    lab.good(&["bundle", "--all"]);
    let before = [serial(&lab, CLIENT), serial(&lab, SERVER)];
    let ran = revoke(&lab, &["worker-b1", "--reason", "keyCompromise", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert_eq!(ran.out, "DIR/pki/crl.pem\nDIR/policy/masters/authorization.yaml\n");
    for serial in &before {
        assert!(ran.err.contains(&serial.to_lowercase()), "{ran}");
    }
    let shown = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-CAfile", "pki/ca.crt", "-noout", "-text"]));
    assert!(
        shown.contains("verify OK") && shown.contains("X509v3 CRL Number") && shown.contains("Key Compromise"),
        "{shown}"
    );
    for (certificate, good) in [(CLIENT, false), (SERVER, false), (NEIGHBOUR, true)] {
        let args = ["verify", "-crl_check", "-CAfile", "pki/ca.crt", "-CRLfile", "pki/crl.pem", "-attime"];
        let at = NOW.unix_timestamp().to_string();
        let output = openssl(&lab, &[&args[..], &[&at, certificate]].concat());
        assert_eq!(output.status.success(), good, "{certificate}: {}", text(&output));
        assert!(good || text(&output).contains("certificate revoked"));
    }
    assert!(denies(&lab, CLIENT) && !denies(&lab, NEIGHBOUR));
    // No client presents what kubelets serve with: the file names it beside the rules.
    let rules = lab.read("policy/masters/authorization.yaml");
    assert!(!denies(&lab, SERVER) && rules.contains(&format!("revoked SHA256={}", fingerprint(&lab, SERVER))));
    let refused = lab.run(&["bundle", "worker-b1"]);
    assert_eq!(refused.status, 3, "{refused}");
    assert!(refused.err.contains("it was revoked at 2026-11-23T12:00:00Z (keyCompromise)"), "{refused}");
    let offline = lab.run(&["verify", "--offline", "--output", "json"]);
    assert_eq!(offline.status, 1, "{offline}");
    let report: serde_json::Value = serde_json::from_str(&offline.out).expect("JSON");
    let results = report["results"].as_array().expect("results").iter();
    let wrong = results.filter(|result| result["status"] != "pass").map(|result| {
        let text = |key: &str| result[key].as_str().unwrap_or_default();
        [text("id"), text("host"), text("status"), text("remedy"), text("observed")].join(" ")
    });
    // The rules in policy/ are current; those in the masters' bundles are from before.
    insta::assert_snapshot!(wrong.collect::<Vec<_>>().join("\n"), @r"
    store.credential worker-b1 fail issue it was revoked at 2026-11-23T12:00:00Z (keyCompromise)
    store.credential worker-b1 fail issue it was revoked at 2026-11-23T12:00:00Z (keyCompromise)
    trust.match master-1 fail pack-bundle etc/kubernetes/clusterctl/authorization.yaml does not deny 1 revoked certificates
    trust.match master-2 fail pack-bundle etc/kubernetes/clusterctl/authorization.yaml does not deny 1 revoked certificates
    ");
    let plan = lab.good(&["issue-node", "--all", "--dry-run"]);
    assert_eq!(plan.out.matches("it was revoked").count(), 2, "{plan}");
    lab.good(&["issue-node", "--all"]);
    assert!(!before.contains(&serial(&lab, CLIENT)) && !denies(&lab, CLIENT));
    lab.good(&["bundle", "--all"]);
    let offline = lab.run(&["verify", "--offline"]);
    assert_eq!(offline.status, 0, "{offline}");
    let packed =
        archive::read(&std::fs::read(lab.path("bundles/master-1.tar.gz")).expect("a bundle")).expect("a bundle");
    let carried = packed.file("etc/kubernetes/clusterctl/authorization.yaml").expect("there");
    assert_eq!(*carried.bytes, *lab.read("policy/masters/authorization.yaml").as_bytes());
}

#[test]
fn a_masters_bundle_that_knows_of_more_revocations_is_newer() {
    let lab = issued();
    let generation = |lab: &Lab| {
        lab.good(&["bundle", "master-1"]);
        let bytes = std::fs::read(lab.path("bundles/master-1.tar.gz")).expect("a bundle");
        archive::read(&bytes).expect("a bundle").manifest.generation
    };
    let before = generation(&lab);
    assert_eq!(revoke(&lab, &["worker-b1", "--yes"]).status, 0);
    assert!(generation(&lab) > before);
}

#[test]
fn a_serial_number_stands_for_one_certificate_with_colons_or_without() {
    needs!("openssl");
    let lab = issued();
    let whole = serial(&lab, CLIENT);
    let colons: Vec<&str> = (0..whole.len() / 2).map(|i| &whole[2 * i..2 * i + 2]).collect();
    assert_eq!(revoke(&lab, &[&colons.join(":"), "--yes", "--reason", "superseded"]).status, 0);
    assert!(denies(&lab, CLIENT));
    let list = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"]));
    assert!(list.contains(&whole) && !list.contains(&serial(&lab, SERVER)) && list.contains("Superseded"), "{list}");
    let again = revoke(&lab, &[&whole.to_lowercase(), "--yes"]);
    assert_eq!(again.status, 3, "{again}");
    assert!(again.err.contains("is revoked already, since 2026-11-23T12:00:00Z"), "{again}");
    let prefixed = revoke(&lab, &[&format!("0x{whole}"), "--yes"]);
    assert_eq!((prefixed.status, prefixed.err.contains("is revoked already")), (3, true), "{prefixed}");
    assert_eq!(revoke(&lab, &[&format!("0X{}", serial(&lab, SERVER)), "--yes"]).status, 0);
}

#[test]
fn each_root_has_its_own_list() {
    needs!("openssl");
    let lab = issued();
    let ran = revoke(&lab, &["master-2", "--yes", "--reason", "cessationOfOperation"]);
    assert_eq!(ran.status, 0, "{ran}");
    for (list, root, certificate) in [
        ("pki/crl.pem", "pki/ca.crt", "pki/masters/master-2/apiserver.crt"),
        ("pki/etcd/crl.pem", "pki/etcd/ca.crt", "pki/masters/master-2/etcd-server.crt"),
        ("pki/front-proxy/crl.pem", "pki/front-proxy/ca.crt", "pki/masters/master-2/front-proxy-client.crt"),
    ] {
        let shown = text(&openssl(&lab, &["crl", "-in", list, "-CAfile", root, "-noout", "-text"]));
        assert!(shown.contains("verify OK") && shown.contains(&serial(&lab, certificate)), "{shown}");
    }
    assert!(denies(&lab, "pki/masters/master-2/controller-manager.crt"));
    assert!(!denies(&lab, "pki/masters/master-1/controller-manager.crt"));
    // etcd's clients never show theirs to an API server.
    assert!(!denies(&lab, "pki/masters/master-2/apiserver-etcd-client.crt"));
}

#[test]
fn lists_are_signed_again_with_growing_numbers() {
    needs!("openssl", "sqlite3");
    let lab = issued();
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    let number = |lab: &Lab, list: &str| {
        let shown = text(&openssl(lab, &["crl", "-in", list, "-noout", "-crlnumber"]));
        u64::from_str_radix(shown.trim().trim_start_matches("crlNumber=").trim_start_matches("0x"), 16)
            .expect("a number")
    };
    // The time, which does not go back with a backup.
    let first = u64::try_from(NOW.unix_timestamp()).expect("after 1970");
    assert_eq!(number(&lab, "pki/crl.pem"), first);
    let ran = revoke(&lab, &["--renew", "--crl-validity", "30d"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert_eq!(number(&lab, "pki/crl.pem"), first + 1);
    assert_eq!(number(&lab, "pki/etcd/crl.pem"), first);
    let due = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-nextupdate"]));
    assert_eq!(due.trim(), "nextUpdate=Dec 23 12:00:00 2026 GMT");
    // A ledger from before knows less than the list that lies there.
    let sql = "delete from revocation_lists";
    let sqlite = Command::new("sqlite3").arg(lab.path("pki/ledger.sqlite3")).arg(sql).output().expect("sqlite3");
    assert!(sqlite.status.success());
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    assert_eq!(number(&lab, "pki/crl.pem"), first + 2);
    let known = revoke(&lab, &["--renew", "on"]);
    assert_eq!(known.status, 2, "{known}");
}

#[test]
fn what_has_ended_leaves_the_list_and_the_rule() {
    needs!("openssl");
    let mut lab = issued();
    assert_eq!(revoke(&lab, &["worker-b1", "--yes"]).status, 0);
    let gone = serial(&lab, CLIENT);
    // A day is for clocks that differ.
    lab.now = NOW + Duration::days(365) + Duration::hours(12);
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    assert!(text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"])).contains(&gone));
    assert!(denies(&lab, CLIENT));
    lab.now = NOW + Duration::days(367);
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    assert!(
        text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"])).contains("No Revoked Certificates")
    );
    assert!(!denies(&lab, CLIENT));
    lab.good(&["policy"]);
    assert!(!denies(&lab, CLIENT));
    let ended = revoke(&lab, &["worker-b1", "--yes"]);
    assert_eq!(ended.status, 3, "{ended}");
    assert!(ended.err.contains("the last certificate ended at 2027-11-23T12:00:00Z"), "{ended}");
}

#[test]
fn what_cannot_be_revoked_is_refused_and_nothing_changes() {
    needs!("openssl");
    let mut lab = issued();
    let before = std::fs::read(lab.path("pki/ledger.sqlite3")).expect("a ledger");
    let root = serial(&lab, "pki/ca.crt");
    for (args, status, says) in [
        (&["worker-b2", "--yes"][..], 2, "did you mean worker-b1 ?"),
        (&["worker-a1", "--yes"], 2, "did you mean worker-a1.fra1.example.net ?"),
        (&["nobody-at-all", "--yes"], 2, "ever got a certificate here"),
        (&["system:node:on", "--yes"], 2, "system:node:on is an account of the host on\n"),
        (&["kubelet:on", "--yes"], 2, "clusterctl revoke on\n"),
        (&["kube-apiserver", "--yes"], 2, "an account that several hosts have: master-1, master-2\n"),
        (&["prod", "--yes"], 2, "prod is the cluster, which holds no certificate\n"),
        (&["prod root", "--yes"], 2, "prod root is a root"),
        (&["0x00112233445566778899aabbccddeeff", "--yes"], 2, "serial number 112233445566778899aabbccddeeff\n"),
        (&["00112233445566778899aabbccddeeff", "--yes"], 2, "knows no certificate with the serial number"),
        (&["on", "--yes", "--reason", "keycompromise"], 2, "keyCompromise"),
        (&["on", "--yes", "--reason", "certificateHold"], 2, "possible values"),
        (&[&root, "--yes"], 3, "is a root"),
        (&["on"], 2, "say --yes"),
        (&[], 2, "HOST|SERIAL"),
        (&["--renew", "--next-update", "soon"], 2, "soon"),
    ] {
        let ran = revoke(&lab, args);
        assert_eq!(ran.status, status, "{args:?}: {ran}");
        assert!(ran.err.contains(says), "{args:?}: {ran}");
    }
    lab.typed = Some(["no".to_owned()].into());
    let declined = revoke(&lab, &["on"]);
    assert_eq!(declined.status, 3, "{declined}");
    assert!(!lab.path("pki/crl.pem").exists() && !lab.path("policy").exists());
    assert_eq!(std::fs::read(lab.path("pki/ledger.sqlite3")).expect("a ledger"), before);
}

#[test]
fn a_wrong_passphrase_revokes_nothing() {
    let mut lab = Lab::with(CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "right".into());
    lab.good(&["init-ca"]);
    lab.good(&["issue-node", "on"]);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "wrong".into());
    let ran = revoke(&lab, &["on", "--yes"]);
    assert_eq!(ran.status, 3, "{ran}");
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "right".into());
    assert!(lab.good(&["issue-node", "on", "--dry-run"]).out.is_empty());
    let ran = revoke(&lab, &["on", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
}

#[test]
fn an_interrupted_revocation_is_completed_by_the_same_command() {
    needs!("openssl");
    let lab = issued();
    assert_eq!(revoke(&lab, &["on", "--yes", "--reason", "keyCompromise"]).status, 0);
    let rule = lab.read("policy/masters/authorization.yaml");
    // Killed after the ledger: neither list nor rule.
    std::fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    std::fs::remove_dir_all(lab.path("policy")).expect("removed");
    let ran = revoke(&lab, &["on", "--reason", "keyCompromise"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.err.contains("completed what was begun"), "{ran}");
    assert_eq!(lab.read("policy/masters/authorization.yaml"), rule);
    assert!(text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"])).contains("Key Compromise"));
    // Killed between list and rule.
    std::fs::remove_dir_all(lab.path("policy")).expect("removed");
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    assert_eq!(lab.read("policy/masters/authorization.yaml"), rule);
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 3);
    // Some of it revoked before: the rest is revoked now.
    lab.good(&["issue-node", "on"]);
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    assert!(denies(&lab, NEIGHBOUR));
}

#[test]
fn a_ledger_from_a_backup_takes_no_revocation_back() {
    needs!("openssl");
    let lab = issued();
    lab.good(&["verify", "--offline"]);
    let (ledger, backup) = (lab.path("pki/ledger.sqlite3"), lab.path("backup.sqlite3"));
    std::fs::copy(&ledger, &backup).expect("copied");
    assert_eq!(revoke(&lab, &["worker-b1", "--yes", "--reason", "keyCompromise"]).status, 0);
    let lost = [serial(&lab, CLIENT), serial(&lab, SERVER)];
    std::fs::copy(&backup, &ledger).expect("copied");
    let offline = lab.run(&["verify", "--offline"]);
    assert_eq!(offline.status, 1, "{offline}");
    let words = offline.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("it names 2 certificates that the ledger takes for good"), "{offline}");
    assert!(words.contains("clusterctl revoke --renew"), "{offline}");
    for command in [&["policy"][..], &["issue-node", "--all"], &["bundle", "--all"]] {
        let refused = lab.run(command);
        assert_eq!(refused.status, 3, "{refused}");
        assert!(refused.err.contains("the ledger lacks the revocation of 2 certificates"), "{refused}");
    }
    assert!(denies(&lab, CLIENT));
    // Whatever is revoked next keeps what was.
    let ran = revoke(&lab, &["on", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.err.contains("that 2 certificates of worker-b1 were revoked; it learnt it from the lists"), "{ran}");
    let list = || text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-CAfile", "pki/ca.crt", "-noout", "-text"]));
    let shown = list();
    assert!(lost.iter().all(|serial| shown.contains(serial)) && shown.contains(&serial(&lab, NEIGHBOUR)), "{shown}");
    assert!(shown.contains("Key Compromise"), "{shown}");
    assert!(denies(&lab, CLIENT) && denies(&lab, NEIGHBOUR));
    let offline = lab.run(&["verify", "--offline"]);
    assert!(offline.out.contains("it was revoked at 2026-11-23T12:00:00Z (keyCompromise)"), "{offline}");
    assert!(!offline.out.contains("ledger takes for good"), "{offline}");
    // The very host that was forgotten, and its own command.
    std::fs::copy(&backup, &ledger).expect("copied");
    let ran = revoke(&lab, &["worker-b1", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(list().contains("Key Compromise") && denies(&lab, CLIENT) && denies(&lab, NEIGHBOUR));
    assert_eq!(revoke(&lab, &["worker-b1", "--yes"]).status, 3);
}

#[test]
fn what_the_ledger_never_heard_of_stays_in_the_list() {
    needs!("openssl");
    let lab = issued();
    let (ledger, backup) = (lab.path("pki/ledger.sqlite3"), lab.path("backup.sqlite3"));
    std::fs::copy(&ledger, &backup).expect("copied");
    lab.good(&["issue-admin", "alice"]);
    assert_eq!(revoke(&lab, &["alice", "--yes"]).status, 0);
    let before = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"]));
    let number = |shown: &str| shown.split("Serial Number: ").nth(1).expect("one")[..32].to_owned();
    std::fs::copy(&backup, &ledger).expect("copied");
    std::fs::remove_dir_all(lab.path("pki/admins")).expect("removed");
    let offline = lab.run(&["verify", "--offline"]);
    assert_eq!(offline.status, 1, "the rules deny what the ledger does not have as revoked: {offline}");
    let words = offline.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("it names 1 certificate that the ledger never heard of"), "{offline}");
    let ran = revoke(&lab, &["--renew"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.err.contains("the lists name 1 certificate that the ledger never heard of"), "{ran}");
    let after = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"]));
    assert_eq!(number(&after), number(&before));
}

#[test]
fn lists_that_do_not_say_what_the_ledger_says_are_found_offline() {
    let mut lab = issued();
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    lab.good(&["issue-node", "on"]);
    lab.good(&["verify", "--offline"]);
    let good = std::fs::read(lab.path("pki/crl.pem")).expect("a list");
    let says = |lab: &Lab, what: &str| {
        let offline = lab.run(&["verify", "--offline"]);
        let words = offline.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(offline.status == 1 && words.contains(what), "{what}: {offline}");
    };
    assert_eq!(revoke(&lab, &["worker-b1", "--yes"]).status, 0);
    lab.good(&["issue-node", "worker-b1"]);
    lab.good(&["verify", "--offline"]);
    std::fs::write(lab.path("pki/crl.pem"), &good).expect("written");
    says(&lab, "it lacks 2 certificates that were revoked");
    std::fs::write(lab.path("pki/crl.pem"), "nothing").expect("written");
    says(&lab, "saw there is no PEM section in it");
    std::fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    says(&lab, "it is missing, and the ledger has 4 certificates that were revoked");
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    lab.good(&["verify", "--offline"]);
    std::fs::copy(lab.path("pki/crl.pem"), lab.path("pki/etcd/crl.pem")).expect("copied");
    says(&lab, "did not sign it");
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    lab.now = NOW + Duration::days(91);
    says(&lab, "it is overdue since 2027-02-21T12:00:00Z");
}

#[test]
fn show_tells_that_a_certificate_was_revoked() {
    let lab = issued();
    lab.good(&["issue-admin", "alice"]);
    let admin = "pki/admins/alice.conf";
    for file in [CLIENT, NEIGHBOUR, admin] {
        assert!(!lab.good(&["show", file]).out.contains("revoked"), "{file}");
    }
    assert_eq!(revoke(&lab, &["worker-b1", "--yes", "--reason", "keyCompromise"]).status, 0);
    assert_eq!(revoke(&lab, &["alice", "--yes"]).status, 0);
    let says = "problem      it was revoked at 2026-11-23T12:00:00Z (keyCompromise)\n";
    assert!(lab.good(&["show", CLIENT]).out.contains(says));
    let shown = lab.good(&["show", admin]);
    assert_eq!(shown.out.matches("it was revoked at 2026-11-23T12:00:00Z\n").count(), 1, "{shown}");
    assert!(!lab.good(&["show", NEIGHBOUR]).out.contains("revoked"));
}

#[test]
fn the_rules_to_be_copied_to_masters_are_looked_at_offline() {
    let lab = issued();
    let offline_with = |status: u8, says: &str| {
        let ran = lab.run(&["verify", "--offline"]);
        assert_eq!(ran.status, status, "{says}: {ran}");
        let words = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            words.contains("API servers' rules DIR/policy/masters/authorization.yaml"),
            !says.is_empty(),
            "{ran}"
        );
        assert!(words.contains(says), "{says}: {ran}");
        assert_eq!(words.contains("hint clusterctl policy"), !says.is_empty(), "{ran}");
    };
    let offline = |says: &str| offline_with(0, says);
    offline("");
    let path = "policy/masters/authorization.yaml";
    lab.good(&["policy"]);
    offline("");
    let before = lab.read(path);
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    lab.good(&["issue-node", "on"]);
    offline("");
    let after = lab.read(path);
    lab.write(path, &before);
    // Copied to masters it would take the revocation back.
    offline_with(1, "it does not deny 1 that were revoked");
    lab.write(path, &format!("{after}\n"));
    offline("it is not what this cluster file, this ledger and the compiled-in template give");
    std::fs::remove_file(lab.path(path)).expect("removed");
    offline("policy/masters/authorization.yaml");
    lab.good(&["policy"]);
    offline("");
}

#[test]
fn an_older_ledger_is_brought_up_to_date_and_keeps_what_it_knows() {
    needs!("sqlite3");
    let lab = issued();
    let sql = "drop table revocations; drop table revocation_lists; drop table verification_cache; drop index events_by_kind; \
               drop index certificates_by_account; drop index certificates_by_serial; drop index certificates_by_host; drop index certificates_by_expiry; pragma user_version=1";
    let path = lab.path("pki/ledger.sqlite3");
    let sqlite = Command::new("sqlite3").arg(&path).arg(sql).output().expect("sqlite3");
    assert!(sqlite.status.success(), "{}", text(&sqlite));
    assert!(lab.good(&["issue-node", "--all", "--dry-run"]).out.is_empty());
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    let version = Command::new("sqlite3").arg(&path).arg("select count(*) from revocations").output().expect("sqlite3");
    assert_eq!(text(&version), "2\n");
    // One from a later version is nobody's to change.
    let sqlite = Command::new("sqlite3").arg(&path).arg("pragma user_version=99").output().expect("sqlite3");
    assert!(sqlite.status.success());
    let ran = revoke(&lab, &["worker-b1", "--yes"]);
    assert_eq!(ran.status, 4, "{ran}");
}

#[test]
fn a_persons_account_is_revoked_by_its_name_and_an_emergencys_is_warned_of() {
    let lab = issued();
    lab.good(&["issue-admin", "alice"]);
    let ran = revoke(&lab, &["alice", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(ran.err.contains("alice admin"), "{ran}");
    let offline = lab.run(&["verify", "--offline"]);
    assert_eq!(offline.status, 1, "{offline}");
    let words = offline.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("it was revoked at 2026-11-23T12:00:00Z") && words.contains("admin alice"), "{offline}");
    assert!(words.contains("rm DIR/pki/admins/alice.conf"), "{offline}");
    std::fs::remove_file(lab.path("pki/admins/alice.conf")).expect("removed");
    lab.good(&["verify", "--offline"]);
    lab.good(&["issue-admin", "fire", "--break-glass", "--yes"]);
    let ran = revoke(&lab, &["fire", "--yes"]);
    assert!(ran.err.contains("lets system:masters in"), "{ran}");
}

#[test]
fn what_a_ledger_from_a_backup_has_forgotten_is_recorded_before_it_is_replaced() {
    needs!("age-keygen", "openssl");
    let lab = issued();
    let ledger = lab.path("pki/ledger.sqlite3");
    let backup = std::fs::read(&ledger).expect("a ledger");
    lab.good(&["issue-node", "worker-b1", "--reissue"]);
    let (forgotten, other) = (serial(&lab, CLIENT), serial(&lab, SERVER));
    std::fs::write(&ledger, backup).expect("put back");
    let unknown = revoke(&lab, &[&forgotten, "--yes"]);
    assert_eq!(unknown.status, 2, "{unknown}");
    assert!(unknown.err.contains("the ledger knows no certificate with the serial number"), "{unknown}");
    assert!(unknown.err.contains("it learns again when issue-node or issue-master replaces it"), "{unknown}");
    let ran = lab.good(&["issue-node", "--all"]);
    assert!(ran.err.contains("warning: 2 certificates that the ledger lacked are recorded in it"), "{ran}");
    assert_ne!(serial(&lab, CLIENT), forgotten);
    for serial in [&forgotten, &other] {
        assert_eq!(revoke(&lab, &[serial, "--yes"]).status, 0);
    }
    let list = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"]));
    assert!(list.contains(&forgotten) && list.contains(&other), "{list}");
    // Where its key was forgotten on purpose, or is damaged, a certificate is as good on its host.
    for spoil in ["forgotten", "damaged"] {
        let backup = std::fs::read(&ledger).expect("a ledger");
        lab.good(&["issue-node", "worker-b1", "--reissue"]);
        let (client, server) = (serial(&lab, CLIENT), serial(&lab, SERVER));
        if spoil == "forgotten" {
            let pair = good_tool("age-keygen", &[]);
            let recipient = pair.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
            lab.good(&["bundle", "worker-b1", "--encrypt-to", recipient, "--discard-keys"]);
        } else {
            lab.write(&CLIENT.replace(".crt", ".key"), "junk");
        }
        std::fs::write(&ledger, backup).expect("put back");
        let ran = lab.good(&["issue-node", "worker-b1"]);
        assert!(ran.err.contains("2 certificates that the ledger lacked"), "{spoil}: {ran}");
        for serial in [&client, &server] {
            assert_eq!(revoke(&lab, &[serial, "--yes"]).status, 0, "{spoil}");
        }
    }
    // Of another root it learns nothing.
    let strangers = issued();
    lab.write(CLIENT, &strangers.read(CLIENT));
    let ran = lab.good(&["issue-node", "--all"]);
    assert!(!ran.err.contains("ledger lacked"), "{ran}");
}
