//! Revocations after an interruption, with a ledger from a backup, and of an older format.

use super::revoking::{CLIENT, OTHER_CLIENT, SERVER, denies, issued, openssl, recorded_reason, revoke, serial, text};
use super::support::good_tool;
use super::verifying::problems;
use crate::support::outside::needs;
use std::process::Command;

#[test]
fn an_interrupted_revocation_is_completed_by_the_same_command() {
    needs!("openssl");
    let lab = issued();
    assert_eq!(revoke(&lab, &["on", "--yes", "--reason", "keyCompromise"]).status, 0);
    let rule = lab.read("policy/masters/authorization.yaml");
    // Killed after the ledger was written: neither CRL nor rules.
    std::fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    std::fs::remove_dir_all(lab.path("policy")).expect("removed");
    let ran = revoke(&lab, &["on", "--reason", "keyCompromise"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert_eq!(ran.out, "DIR/pki/crl.pem\nDIR/policy/masters/authorization.yaml\n");
    assert_eq!(lab.read("policy/masters/authorization.yaml"), rule);
    assert!(text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"])).contains("Key Compromise"));
    // Killed between CRL and rules.
    std::fs::remove_dir_all(lab.path("policy")).expect("removed");
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    assert_eq!(lab.read("policy/masters/authorization.yaml"), rule);
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 3);
    // Some of its certificates are revoked already: the others are revoked now.
    lab.good(&["issue-node", "on"]);
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    assert!(denies(&lab, OTHER_CLIENT));
}

#[test]
fn a_ledger_from_a_backup_undoes_no_revocation() {
    needs!("openssl");
    let lab = issued();
    lab.good(&["verify", "--offline"]);
    let (ledger, backup) = (lab.path("pki/ledger.sqlite3"), lab.path("backup.sqlite3"));
    std::fs::copy(&ledger, &backup).expect("copied");
    assert_eq!(revoke(&lab, &["worker-b1", "--yes", "--reason", "keyCompromise"]).status, 0);
    let lost = [serial(&lab, CLIENT), serial(&lab, SERVER)];
    std::fs::copy(&backup, &ledger).expect("copied");
    insta::assert_snapshot!(problems(&lab), @r"
    exit status 1
    fail store.credential CRL of the root renew-crl
      it lists 2 certificates that the ledger does not record as revoked
    fail store.credential API servers' rules record-missing
      it is newer than the ledger: it revokes 2 certificates that the ledger does not record as revoked
    ");
    for command in [&["policy"][..], &["issue-node", "--all"], &["bundle", "--all"]] {
        let refused = lab.run(command);
        assert_eq!(refused.status, 3, "{refused}");
    }
    assert_eq!(recorded_reason(&lab, &lost[0]), None);
    assert!(denies(&lab, CLIENT));
    // The next revocation keeps the earlier ones.
    let ran = revoke(&lab, &["on", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(lost.iter().all(|serial| recorded_reason(&lab, serial).as_deref() == Some("keyCompromise")), "{ran}");
    let list = || text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-CAfile", "pki/ca.crt", "-noout", "-text"]));
    let shown = list();
    assert!(lost.iter().all(|serial| shown.contains(serial)) && shown.contains(&serial(&lab, OTHER_CLIENT)), "{shown}");
    assert!(shown.contains("Key Compromise"), "{shown}");
    assert!(denies(&lab, CLIENT) && denies(&lab, OTHER_CLIENT));
    insta::assert_snapshot!(problems(&lab), @r"
    exit status 1
    fail store.credential on issue
      it was revoked at 2026-11-23T12:00:00Z
    fail store.credential on issue
      it was revoked at 2026-11-23T12:00:00Z
    fail store.credential worker-b1 issue
      it was revoked at 2026-11-23T12:00:00Z (keyCompromise)
    fail store.credential worker-b1 issue
      it was revoked at 2026-11-23T12:00:00Z (keyCompromise)
    ");
    // The same host again, whose revocation the ledger lacks.
    std::fs::copy(&backup, &ledger).expect("copied");
    let ran = revoke(&lab, &["worker-b1", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(list().contains("Key Compromise") && denies(&lab, CLIENT) && denies(&lab, OTHER_CLIENT));
    assert_eq!(revoke(&lab, &["worker-b1", "--yes"]).status, 3);
}

#[test]
fn certificates_that_the_ledger_lacks_stay_in_the_crl() {
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
    // The rules deny what the ledger does not record as revoked.
    insta::assert_snapshot!(problems(&lab), @r"
    exit status 1
    warn store.credential CRL of the root restore-ledger
      it lists 1 certificate that the ledger does not have
    fail store.credential API servers' rules record-missing
      it is newer than the ledger: it revokes 1 certificate that the ledger does not record as revoked
    ");
    let ran = revoke(&lab, &["--renew"]);
    assert_eq!(ran.status, 0, "{ran}");
    insta::assert_snapshot!(ran.err, @r"
    renewed the CRLs; they expire at 2027-02-21T12:00:00Z
    warning: the CRLs list 1 certificate that the ledger does not have: they stay in the CRLs, and API servers cannot deny them
    warning: the API servers' rules deny 1 certificate that the ledger does not have: they stay denied, and no CRL can list them
    ");
    let after = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"]));
    assert_eq!(number(&after), number(&before));
}

#[test]
fn an_older_ledger_is_migrated_and_keeps_its_certificates() {
    needs!("sqlite3");
    let lab = issued();
    let sql = "drop table chain; drop table revocations; drop table revocation_lists; drop table verification_cache; drop index events_by_kind; \
               drop index certificates_by_account; drop index certificates_by_serial; drop index certificates_by_host; drop index certificates_by_expiry; pragma user_version=1";
    let path = lab.path("pki/ledger.sqlite3");
    let sqlite = Command::new("sqlite3").arg(&path).arg(sql).output().expect("sqlite3");
    assert!(sqlite.status.success(), "{}", text(&sqlite));
    assert!(lab.good(&["issue-node", "--all", "--dry-run"]).out.is_empty());
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    let version = Command::new("sqlite3").arg(&path).arg("select count(*) from revocations").output().expect("sqlite3");
    assert_eq!(text(&version), "2\n");
    // A ledger of a later version is not changed.
    let sqlite = Command::new("sqlite3").arg(&path).arg("pragma user_version=99").output().expect("sqlite3");
    assert!(sqlite.status.success());
    let ran = revoke(&lab, &["worker-b1", "--yes"]);
    assert_eq!(ran.status, 4, "{ran}");
}

#[test]
fn certificates_that_the_ledger_lacks_are_recorded_before_they_are_replaced() {
    needs!("age-keygen", "openssl");
    let lab = issued();
    let ledger = lab.path("pki/ledger.sqlite3");
    let backup = std::fs::read(&ledger).expect("a ledger");
    lab.good(&["issue-node", "worker-b1", "--reissue"]);
    let (forgotten, other) = (serial(&lab, CLIENT), serial(&lab, SERVER));
    std::fs::write(&ledger, backup).expect("put back");
    let unknown = revoke(&lab, &[&forgotten, "--yes"]);
    assert_eq!(unknown.status, 2, "{unknown}");
    lab.good(&["issue-node", "--all"]);
    assert_ne!(serial(&lab, CLIENT), forgotten);
    for serial in [&forgotten, &other] {
        assert_eq!(revoke(&lab, &[serial, "--yes"]).status, 0);
    }
    let list = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"]));
    assert!(list.contains(&forgotten) && list.contains(&other), "{list}");
    // A certificate whose key was discarded or damaged here is still valid on its host.
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
        lab.good(&["issue-node", "worker-b1"]);
        for serial in [&client, &server] {
            assert_eq!(revoke(&lab, &[serial, "--yes"]).status, 0, "{spoil}");
        }
    }
    // A certificate of another CA is not recorded.
    let foreign = issued();
    lab.write(CLIENT, &foreign.read(CLIENT));
    let foreign_serial = serial(&lab, CLIENT);
    lab.good(&["issue-node", "--all"]);
    assert_eq!(revoke(&lab, &[&foreign_serial, "--yes"]).status, 2);
}
