use time::macros::datetime;

use super::super::AuditContext;
use super::super::events::ADOPTED;
use super::*;
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;

/// Adds certificates: profile, host, account, and a distinguishing number.
fn ledger_with(folder: &tempfile::TempDir, rows: &[(&str, Option<&str>, &str, &str)]) -> Ledger {
    let mut ledger = Ledger::create(&folder.path().join("ledger.sqlite3")).expect("a ledger");
    let digest = |what: &str| Fingerprint::of(what.as_bytes()).to_string();
    ledger
        .write(|transaction| {
            for (i, (profile, host, account, name)) in rows.iter().enumerate() {
                let day = datetime!(2026-01-01 00:00 UTC) + time::Duration::days(i as i64);
                transaction.execute(
                    "INSERT INTO certificates (serial, sha256, spki_sha256, profile, host, account, not_before, \
                     not_after, issuer_sha256, issued_at, issued_by, der) \
                     VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?6, 'admin@laptop', x'00')",
                    rusqlite::params![
                        digest(&format!("serial {name}"))[..16].to_owned(),
                        digest(name),
                        profile,
                        host,
                        account,
                        stamp(day),
                        stamp(day + time::Duration::days(365)),
                        digest("issuer"),
                    ],
                )?;
            }
            Ok(())
        })
        .expect("filled");
    ledger
}

#[test]
fn the_last_certificate_of_each_holder_is_its_current_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger_with(
        &folder,
        &[
            ("kubelet-client", Some("worker-2"), "kubelet:worker-2", "first of 2"),
            ("kubelet-client", Some("worker-1"), "kubelet:worker-1", "of 1"),
            ("kubelet-server", Some("worker-2"), "system:node:worker-2", "another profile"),
            ("kubelet-client", Some("worker-2"), "system:node:worker-2", "second of 2"),
            ("admin", None, "alice", "first of alice"),
            ("admin", None, "bob", "of bob"),
            ("admin", None, "alice", "second of alice"),
        ],
    );
    let found = |query: CurrentQuery<'_>| -> Vec<(Option<String>, Fingerprint)> {
        let all = query.all().expect("rows");
        all.into_iter().map(|row| (row.issued.host, row.issued.fingerprint)).collect()
    };
    let of = |host: Option<&str>, name: &str| (host.map(str::to_owned), Fingerprint::of(name.as_bytes()));
    assert_eq!(
        found(ledger.current_of_hosts("kubelet-client").expect("a query")),
        [of(Some("worker-1"), "of 1"), of(Some("worker-2"), "second of 2")]
    );
    assert_eq!(
        found(ledger.current_of_accounts("admin").expect("a query")),
        [of(None, "second of alice"), of(None, "of bob")]
    );
    assert_eq!(found(ledger.current_of_hosts("admin").expect("a query")), []);
}

#[test]
fn an_adopted_certificate_precedes_all_others_of_its_holder() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows =
        ["first", "second", "adopted"].map(|name| ("kubelet-client", Some("worker-1"), "kubelet:worker-1", name));
    let mut ledger = ledger_with(&folder, &rows);
    let current = |ledger: &Ledger| -> Vec<Fingerprint> {
        let all = ledger.current_of_hosts("kubelet-client").and_then(CurrentQuery::all).expect("rows");
        all.into_iter().map(|row| row.issued.fingerprint).collect()
    };
    assert_eq!(current(&ledger), [Fingerprint::of(b"adopted")]);
    let audit = AuditContext { at: datetime!(2026-06-01 00:00 UTC), by: "admin@laptop" };
    let detail = Fingerprint::of(b"adopted").to_string();
    ledger.log_event(ADOPTED, "worker-1", &detail, &audit).expect("recorded");
    assert_eq!(current(&ledger), [Fingerprint::of(b"second")]);
}

#[test]
fn current_certificates_are_read_in_the_order_of_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger_with(&folder, &[]);
    for (query, index) in [
        (ledger.current_of_hosts("kubelet-client").expect("a query"), "certificates_by_holder"),
        (ledger.current_of_accounts("admin").expect("a query"), "certificates_by_account"),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {}", query.query.statement.expanded_sql().expect("a query"));
        let plan: Vec<String> = ledger
            .read(|connection| connection.prepare(&explain)?.query_map([], |row| row.get(3))?.collect())
            .expect("a plan");
        assert!(plan.iter().any(|step| step.contains(index)), "{plan:?}");
        assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "{plan:?}");
    }
}
