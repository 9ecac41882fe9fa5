//! `ledger check`: every kind of change by another program is found, with the row.

use std::fs;

use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::pem;
use clusterctl::pki::reason::Reason;
use clusterctl::store::ledger::certificates::Entry;
use clusterctl::store::ledger::revocations::Revocation;
use clusterctl::store::ledger::unrecorded::UnrecordedRevocation;
use clusterctl::store::ledger::{AuditContext, Ledger};
use rusqlite::Connection;
use serde_json::Value;

use crate::support::encryption::age_key;
use crate::support::outside::needs;
use crate::support::{Lab, forms, good_tool};

const LEDGER: &str = "pki/ledger.sqlite3";

fn checked(lab: &Lab) -> (u8, Value) {
    let ran = lab.run(&["ledger", "check", "--output", "json"]);
    forms::conforms("ledger-check", &ran.out);
    (ran.status, serde_json::from_str(&ran.out).expect("JSON"))
}

/// Returns the findings as `id place`.
fn found(report: &Value) -> Vec<String> {
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("a text").to_owned();
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().map(|finding| format!("{} {}", text(finding, "id"), text(finding, "place"))).collect()
}

fn sql(lab: &Lab, statements: &str) {
    let statements = format!("PRAGMA foreign_keys = OFF; {statements}");
    Connection::open(lab.path(LEDGER)).and_then(|ledger| ledger.execute_batch(&statements)).expect("changed");
}

fn count(lab: &Lab, query: &str) -> u64 {
    let ledger = Connection::open(lab.path(LEDGER)).expect("a ledger");
    ledger.query_row(query, [], |row| row.get::<_, i64>(0)).expect("a count").unsigned_abs()
}

/// A directory with rows in every table that is chained.
fn chained() -> Lab {
    let mut lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.now += time::Duration::days(1);
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    lab.good(&["issue-node", "on"]);
    lab
}

#[test]
fn a_ledger_that_clusterctl_wrote_is_good() {
    let lab = chained();
    let (status, report) = checked(&lab);
    assert_eq!((status, found(&report)), (0, Vec::new()));
    let rows = "SELECT (SELECT count(*) FROM certificates) + (SELECT count(*) FROM events) + (SELECT count(*) FROM revocations)";
    assert_eq!(report["rows"].as_u64(), Some(count(&lab, rows)));
    assert_eq!(report["certificates"].as_u64(), Some(count(&lab, "SELECT count(*) FROM certificates")));
    let head = report["head"].clone();
    assert!(head.is_string());
    assert_eq!(checked(&lab).1["head"], head, "a check changes nothing");
    lab.good(&["issue-node", "on", "--reissue"]);
    let (status, report) = checked(&lab);
    assert_eq!(status, 0);
    assert_ne!(report["head"], head);
}

#[test]
fn every_change_by_another_program_is_found_with_its_row() {
    let lab = chained();
    let good = fs::read(lab.path(LEDGER)).expect("a ledger");
    let links = count(&lab, "SELECT max(seq) FROM chain");
    let last = count(&lab, "SELECT max(seq) FROM events");
    let inserted = last + 1;
    let revoked = count(&lab, "SELECT c.seq FROM certificates c JOIN revocations r ON r.sha256 = c.sha256 LIMIT 1");
    let cases = [
        ("UPDATE certificates SET host = 'other' WHERE seq = 5", vec!["ledger.row-changed certificates 5".to_owned()]),
        ("UPDATE certificates SET issued_by = 'x' WHERE seq = 1", vec!["ledger.row-changed certificates 1".to_owned()]),
        ("DELETE FROM events WHERE seq = 2", vec!["ledger.row-removed events 2".to_owned()]),
        (
            "UPDATE revocations SET reason = 'superseded' WHERE seq = 1",
            vec!["ledger.row-changed revocations 1".to_owned()],
        ),
        ("DELETE FROM revocations WHERE seq = 2", vec!["ledger.row-removed revocations 2".to_owned()]),
        (
            "INSERT INTO events (at, by, kind, subject, detail) SELECT at, by, kind, subject, detail FROM events WHERE seq = 1",
            vec![format!("ledger.row-inserted events {inserted}")],
        ),
        (
            "UPDATE chain SET hash = zeroblob(32) WHERE seq = 2",
            vec!["ledger.chain chain 2".to_owned(), "ledger.chain chain 3".to_owned()],
        ),
    ];
    for (statement, expected) in &cases {
        sql(&lab, statement);
        let (status, report) = checked(&lab);
        assert_eq!((status, found(&report)), (1, expected.clone()), "{statement}");
        fs::write(lab.path(LEDGER), &good).expect("put back");
    }

    sql(&lab, &format!("DELETE FROM certificates WHERE seq = {revoked}"));
    let of_removed = found(&checked(&lab).1);
    assert!(of_removed.contains(&format!("ledger.row-removed certificates {revoked}")), "{of_removed:?}");
    assert!(of_removed.iter().any(|one| one.starts_with("ledger.foreign-key revocations")), "{of_removed:?}");
    fs::write(lab.path(LEDGER), &good).expect("put back");

    sql(&lab, "DELETE FROM chain WHERE seq = 2");
    let of_link = found(&checked(&lab).1);
    assert!(of_link.contains(&"ledger.chain chain 3".to_owned()) && of_link.len() > 1, "{of_link:?}, {links} links");
    fs::write(lab.path(LEDGER), &good).expect("put back");

    sql(&lab, "UPDATE certificates SET der = (SELECT der FROM certificates WHERE seq = 4) WHERE seq = 5");
    let of_other = found(&checked(&lab).1);
    assert_eq!(of_other, ["ledger.row-changed certificates 5", "ledger.certificate certificates 5"]);
}

#[test]
fn a_row_of_another_program_is_still_found_after_further_commands() {
    let lab = chained();
    let next = count(&lab, "SELECT max(seq) FROM events") + 1;
    sql(&lab, "INSERT INTO events (at, by, kind, subject, detail) VALUES ('2026-01-01T00:00:00Z', 'a', 'b', 'c', 'd')");
    lab.good(&["issue-node", "on", "--reissue"]);
    let (status, report) = checked(&lab);
    assert_eq!((status, found(&report)), (1, vec![format!("ledger.row-inserted events {next}")]));
}

#[test]
fn a_crl_that_does_not_match_the_ledger_is_found() {
    let lab = chained();
    fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    let (status, report) = checked(&lab);
    assert_eq!(status, 1);
    assert!(found(&report).iter().all(|one| one.starts_with("ledger.crl ")), "{report}");
}

#[test]
fn a_ledger_of_an_earlier_format_is_checked_without_changing_it() {
    let lab = chained();
    sql(&lab, "DROP TABLE chain; PRAGMA user_version = 7");
    let before = fs::read(lab.path(LEDGER)).expect("a ledger");
    assert_eq!(checked(&lab).0, 0);
    assert_eq!(fs::read(lab.path(LEDGER)).expect("a ledger"), before);
    drop(Ledger::open(&lab.path(LEDGER)).expect("migrated"));
    assert_eq!(checked(&lab).0, 0);
}

#[test]
fn a_chain_that_was_truncated_or_created_again_lacks_an_earlier_head() {
    let lab = chained();
    let earlier = fs::read(lab.path(LEDGER)).expect("a ledger");
    lab.good(&["issue-node", "on", "--reissue"]);
    let head = checked(&lab).1["head"].as_str().expect("a head").to_owned();
    lab.good(&["issue-node", "on", "--reissue"]);
    assert_eq!(lab.run(&["ledger", "check", "--head", &head]).status, 0, "more was recorded since");
    assert_eq!(lab.run(&["ledger", "check", "--head", "x"]).status, 2);

    fs::write(lab.path(LEDGER), &earlier).expect("put back");
    let ran = lab.run(&["ledger", "check", "--output", "json", "--head", &head]);
    forms::conforms("ledger-check", &ran.out);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.status, found(&report)), (1, vec!["ledger.head chain".to_owned()]));

    sql(&lab, "UPDATE events SET detail = 'x' WHERE seq = 1; DROP TABLE chain; PRAGMA user_version = 7");
    assert_eq!(
        lab.run(&["ledger", "check", "--head", &head]).status,
        1,
        "a new chain hides the change, but lacks the head"
    );
}

#[test]
fn a_revocation_whose_certificate_is_recorded_later_is_not_reported_as_removed() {
    let lab = Lab::issued();
    let backup = fs::read(lab.path(LEDGER)).expect("a ledger");
    lab.good(&["issue-node", "on", "--reissue"]);
    fs::write(lab.path(LEDGER), backup).expect("put back");
    let read = |path: &str| {
        let mut ders = pem::certificates(lab.read(path).as_bytes()).expect("PEM");
        Certificate::from_der(ders.remove(0)).expect("a certificate")
    };
    let (certificate, issuer) = (read("pki/nodes/on/kubelet-client.crt"), read("pki/ca.crt"));
    let mut ledger = Ledger::open(&lab.path(LEDGER)).expect("a ledger");
    let audit = AuditContext { at: lab.now, by: "admin@laptop" };
    let revocation = Revocation { reason: Reason::Superseded, at: lab.now };
    let unrecorded = UnrecordedRevocation { fingerprint: Some(certificate.fingerprint()), serial: None, revocation };
    ledger.revoke_unrecorded(&[unrecorded], &audit).expect("recorded");
    let entry = Entry { certificate: &certificate, profile: "kubelet-client", host: Some("on"), issuer: &issuer };
    ledger.record(&[entry], &audit).expect("recorded");
    ledger.resolve_unrecorded().expect("resolved");
    assert_eq!(ledger.unrecorded(), Ok(Vec::new()));
    assert_eq!(ledger.check_chain(None).expect("a chain").breaks, []);
}

#[test]
fn triggers_views_and_altered_tables_are_named() {
    needs!("sqlite3");
    let lab = chained();
    let good = fs::read(lab.path(LEDGER)).expect("a ledger");
    let ledger = lab.path(LEDGER).display().to_string();
    let no_revocation =
        "CREATE TRIGGER forge AFTER INSERT ON revocations BEGIN DELETE FROM revocations WHERE seq = new.seq; END";
    let edited = "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('trigger', 'sqlite_x', 'events', 0, \
                  'CREATE TRIGGER sqlite_x AFTER INSERT ON events BEGIN SELECT 1; END')";
    for (statements, expected) in [
        (no_revocation, "trigger forge"),
        (edited, "trigger sqlite_x"),
        ("CREATE VIEW spare AS SELECT * FROM certificates", "view spare"),
        ("CREATE TABLE other (x)", "table other"),
        ("CREATE INDEX other ON events (by)", "index other"),
        ("DROP INDEX events_by_kind", "index events_by_kind"),
        ("ALTER TABLE revocations ADD COLUMN more TEXT", "table revocations"),
        ("DROP TABLE chain", "table chain"),
        ("ALTER TABLE events RENAME TO old; CREATE VIEW events AS SELECT * FROM old", "table events"),
    ] {
        good_tool("sqlite3", &[&ledger, ".dbconfig defensive off", statements]);
        let (status, report) = checked(&lab);
        assert!(status == 1 && found(&report).contains(&format!("ledger.schema {expected}")), "{expected}: {report:#}");
        fs::write(lab.path(LEDGER), &good).expect("put back");
    }
    good_tool("sqlite3", &[&ledger, no_revocation]);
    let recipient = age_key(&lab, "admin.key");
    assert_eq!(lab.run(&["backup", "b.age", "--encrypt-to", &recipient]).status, 3, "it would be restored with it");
    lab.good(&["ledger", "rebuild"]);
    lab.good(&["ledger", "check"]);
    good_tool("sqlite3", &[&ledger, "ANALYZE; VACUUM"]);
    lab.good(&["ledger", "check"]);
}
