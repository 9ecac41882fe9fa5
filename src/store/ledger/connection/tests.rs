use std::fs::OpenOptions;
use std::io::Write;

use time::macros::datetime;

use super::*;
use crate::store::ledger::AuditContext;

fn ledger() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite3");
    drop(Ledger::create(&path).expect("a ledger"));
    (folder, path)
}

fn log(ledger: &mut Ledger, subject: &str) {
    let audit = AuditContext { at: datetime!(2026-11-23 12:00 UTC), by: "admin@laptop" };
    ledger.log_event("test", subject, "", &audit).expect("logged");
}

fn events(ledger: &Ledger) -> i64 {
    ledger
        .read(|connection| connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)))
        .expect("a count")
}

fn pragma<T: rusqlite::types::FromSql>(ledger: &Ledger, name: &str) -> T {
    ledger.read(|connection| connection.pragma_query_value(None, name, |row| row.get(0))).expect("a value")
}

#[test]
fn the_last_commit_survives_a_power_failure() {
    let (_folder, path) = ledger();
    let ledger = Ledger::open(&path).expect("a ledger");
    assert_eq!(pragma::<String>(&ledger, "journal_mode"), "wal");
    assert_eq!(
        pragma::<i64>(&ledger, "synchronous"),
        3,
        "EXTRA: each commit is synced, and the folder after a rollback"
    );
}

#[test]
fn the_page_cache_fits_the_batch_within_its_limit() {
    let (_folder, path) = ledger();
    let ledger = Ledger::open(&path).expect("a ledger");
    for (certificates, kibibytes) in [(2, 2_000), (20_000, 10_000), (200_000, 32_768), (usize::MAX, 32_768)] {
        ledger.reserve_cache(certificates);
        assert_eq!(pragma::<i64>(&ledger, "cache_size"), -kibibytes, "{certificates}");
    }
}

#[test]
fn the_page_cache_also_fits_the_certificates_that_the_ledger_has() {
    let (_folder, path) = ledger();
    let ledger = Ledger::open(&path).expect("a ledger");
    let one_of_many = "INSERT INTO certificates (seq, serial, sha256, spki_sha256, profile, account, not_before, \
                       not_after, issuer_sha256, issued_at, issued_by, der) \
                       VALUES (20000, '', '', '', '', '', '', '', '', '', '', '')";
    ledger.read(|connection| connection.execute(one_of_many, [])).expect("inserted");
    ledger.reserve_cache(20_000);
    assert_eq!(pragma::<i64>(&ledger, "cache_size"), -20_000);
}

#[test]
fn a_closed_ledger_leaves_no_log_and_every_transaction_is_counted() {
    let (folder, path) = ledger();
    let mut ledger = Ledger::open(&path).expect("a ledger");
    let before: u32 = pragma(&ledger, "application_id");
    log(&mut ledger, "a");
    log(&mut ledger, "b");
    assert_eq!(pragma::<u32>(&ledger, "application_id"), before + 2);
    assert!(wal::beside(&path, "-wal").exists());
    drop(ledger);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn a_reader_does_not_write_or_wait_and_sees_one_state() {
    let (_folder, path) = ledger();
    let mut writer = Ledger::open(&path).expect("a ledger");
    log(&mut writer, "a");
    let mut reader = Ledger::open_read_only(&path).expect("a ledger");
    reader.read(|connection| connection.execute_batch("BEGIN")).expect("started");
    assert_eq!(events(&reader), 1);
    log(&mut writer, "b");
    assert_eq!((events(&reader), events(&writer)), (1, 2));
    reader.read(|connection| connection.execute_batch("COMMIT")).expect("done");
    assert_eq!(events(&reader), 2);
    let audit = AuditContext { at: datetime!(2026-11-23 12:00 UTC), by: "admin@laptop" };
    assert!(reader.log_event("test", "c", "", &audit).is_err());
    drop(writer);
    drop(reader);
    assert!(!wal::beside(&path, "-wal").exists(), "the last to close it removes the log");
}

/// Creates a ledger as a killed process leaves it: with a log of two transactions.
fn killed(path: &Path) {
    let mut ledger = Ledger::open(path).expect("a ledger");
    log(&mut ledger, "a");
    log(&mut ledger, "b");
    ledger.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("set");
    ledger.writes = false;
    drop(ledger);
    assert!(wal::beside(path, "-wal").exists());
}

#[test]
fn a_wal_is_applied_only_to_its_own_ledger() {
    let (folder, path) = ledger();
    let backups = [0, 1, 2].map(|i| folder.path().join(format!("backup-{i}")));
    for backup in &backups {
        fs::copy(&path, backup).expect("copied");
        log(&mut Ledger::open(&path).expect("a ledger"), "between");
    }
    fs::copy(&path, folder.path().join("newest")).expect("copied");
    killed(&path);
    let (log, kept) = (wal::beside(&path, "-wal"), folder.path().join("log"));
    fs::copy(&log, &kept).expect("copied");
    for backup in &backups {
        fs::copy(backup, &path).and_then(|_| fs::copy(&kept, &log)).expect("put back");
        for opened in [Ledger::open(&path), Ledger::open_read_only(&path)] {
            assert_eq!(opened.map(|_| ()), Err(StoreError::LedgerLogForeign(log.clone())));
        }
        assert_eq!(fs::read(&path).expect("read"), fs::read(backup).expect("read"), "nothing was played into it");
        fs::remove_file(&log).expect("removed");
        Ledger::open(&path).expect("without the log it is good");
    }
    // The state at the beginning of the log.
    fs::copy(folder.path().join("newest"), &path).and_then(|_| fs::copy(&kept, &log)).expect("put back");
    assert_eq!(events(&Ledger::open(&path).expect("a ledger")), 5);
    // A state that already contains a part of the log.
    fs::copy(&kept, &log).expect("put back");
    assert_eq!(events(&Ledger::open(&path).expect("a ledger")), 5);
}

#[test]
fn a_torn_wal_belongs_to_its_ledger() {
    let (_folder, path) = ledger();
    killed(&path);
    let log = wal::beside(&path, "-wal");
    let length = fs::metadata(&log).expect("a log").len();
    OpenOptions::new().write(true).open(&log).and_then(|file| file.set_len(length - 1000)).expect("cut");
    assert_eq!(events(&Ledger::open_read_only(&path).expect("a ledger")), 1);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&log)
        .and_then(|mut file| file.write_all(b"x"))
        .expect("cut");
    assert!(Ledger::open(&path).is_ok());
}

#[test]
fn a_query_is_prepared_once_for_all_values() {
    let (_folder, path) = ledger();
    let ledger = Ledger::open(&path).expect("a ledger");
    for host in ["on", "worker-1", "worker-2"] {
        let query = ledger.by_host(host).expect("a query");
        assert_eq!(query.statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "{host}");
        assert_eq!(query.all(), Ok(Vec::new()));
    }
}
