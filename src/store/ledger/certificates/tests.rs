use rusqlite::types::Value;

use super::*;
use crate::pki::certificate::Serial;

fn ledger(folder: &tempfile::TempDir) -> Ledger {
    Ledger::create(&folder.path().join("ledger.sqlite3")).expect("a ledger")
}

/// Adds certificates that expire one day after the other.
fn fill(ledger: &mut Ledger, count: usize) {
    let digest = |what: &str| Fingerprint::of(what.as_bytes()).to_string();
    ledger
        .write(|transaction| {
            for i in 0..count {
                let row: [Value; 12] = [
                    digest(&format!("serial {i}"))[..16].to_owned().into(),
                    digest(&format!("certificate {i}")).into(),
                    digest("key").into(),
                    "kubelet-client".to_owned().into(),
                    format!("host-{}", i / 2).into(),
                    format!("system:node:host-{}", i / 2).into(),
                    "2026-01-01T00:00:00Z".to_owned().into(),
                    stamp(time::macros::datetime!(2026-01-01 00:00 UTC) + time::Duration::days(i as i64)).into(),
                    digest("issuer").into(),
                    "2026-01-01T00:00:00Z".to_owned().into(),
                    "admin@laptop".to_owned().into(),
                    vec![0_u8; 8].into(),
                ];
                transaction.execute(
                    "INSERT INTO certificates (serial, sha256, spki_sha256, profile, host, account, not_before, \
                     not_after, issuer_sha256, issued_at, issued_by, der) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                    rusqlite::params_from_iter(row),
                )?;
            }
            Ok(())
        })
        .expect("filled");
}

/// Returns SQLite's query plan.
fn plan(ledger: &Ledger, query: &CertificateQuery<'_>) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {}", query.statement.expanded_sql().expect("a query"));
    ledger.read(|connection| connection.prepare(&explain)?.query_map([], |row| row.get(3))?.collect()).expect("a plan")
}

#[test]
fn every_query_searches_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = ledger(&folder);
    fill(&mut ledger, 100);
    let (now, digest) = (time::macros::datetime!(2026-11-23 12:00 UTC), Fingerprint::of(b"certificate"));
    let serial = Serial::parse("0a0b").expect("a serial number");
    let by = |condition, value: String| ledger.certificates(condition, &[&value]).expect("a query");
    let queries = [
        ("certificates_by_expiry", ledger.expiring_before(now).expect("a query")),
        ("certificates_by_host", ledger.by_host("host-1").expect("a query")),
        ("certificates_by_serial", by("WHERE c.serial = ?1 ORDER BY c.seq", serial.to_string())),
        ("sqlite_autoindex_certificates_1", by("WHERE c.sha256 = ?1", digest.to_string())),
        ("certificates_by_account", ledger.valid_by_account_prefix("kubelet-client", "system:", now).expect("a query")),
        ("sqlite_autoindex_certificates_1", ledger.revoked_expiring_after(now).expect("a query")),
    ];
    for (index, query) in &queries {
        let plan = plan(&ledger, query);
        assert!(
            plan.iter().any(|step| step.starts_with("SEARCH c USING") && step.contains(index)),
            "{index}: {plan:?}"
        );
        assert!(!plan.iter().any(|step| step.starts_with("SCAN c")), "{plan:?}");
    }
}

#[test]
fn expiring_certificates_are_streamed_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = ledger(&folder);
    fill(&mut ledger, 100);
    let time = time::macros::datetime!(2026-01-11 00:00 UTC);
    let mut query = ledger.expiring_before(time).expect("a query");
    let times: Vec<OffsetDateTime> = query.rows().map(|row| row.expect("a row").not_after).collect();
    assert_eq!(times.len(), 10);
    assert!(times.is_sorted() && times.iter().all(|end| *end < time));
    assert_eq!(query.rows().take(3).count(), 3, "it can be read again, and in part");
}

#[test]
fn certificates_are_found_by_host_serial_and_fingerprint() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = ledger(&folder);
    fill(&mut ledger, 10);
    let of_host = ledger.by_host("host-1").and_then(CertificateQuery::all).expect("found");
    let [first, second] = of_host.as_slice() else { panic!("{of_host:?}") };
    assert_eq!(ledger.by_serial(&first.serial), Ok(vec![first.clone()]));
    assert_eq!(ledger.by_fingerprint(second.fingerprint), Ok(Some(second.clone())));
    assert_eq!(ledger.by_issuer_and_serial(first.issuer, &first.serial), Ok(Some(first.clone())));
    assert_eq!(ledger.by_issuer_and_serial(first.fingerprint, &first.serial), Ok(None));
    assert_eq!(ledger.by_fingerprint(Fingerprint::of(b"another")), Ok(None));
}

#[test]
fn a_row_that_clusterctl_did_not_write_is_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = ledger(&folder);
    fill(&mut ledger, 2);
    ledger.write(|transaction| transaction.execute("UPDATE certificates SET not_after = 'soon'", [])).expect("changed");
    let read = ledger.by_host("host-0").and_then(CertificateQuery::all);
    assert!(matches!(read, Err(StoreError::LedgerDamaged { .. })), "{read:?}");
}
