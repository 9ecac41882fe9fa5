//! The ledger: formats of earlier versions, restored backups, concurrent readers, and read-only media.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::store::error::StoreError;
use clusterctl::store::ledger::{AuditContext, Ledger};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::support::fleets::{fleet_of, kill_at, run};
use crate::support::outside::needs;
use crate::support::{Lab, NOW, good_tool};

const LEDGER: &str = "pki/ledger.sqlite3";
const LOG: &str = "pki/ledger.sqlite3-wal";

/// The tables whose rows migrations keep, each with the format that introduced it.
const TABLES: [(&str, i64); 11] = [
    ("certificates", 1),
    ("events", 1),
    ("revocations", 2),
    ("revocation_lists", 2),
    ("generation", 5),
    ("bundles", 5),
    ("images", 5),
    ("units", 5),
    ("sealed", 5),
    ("sequence", 6),
    ("unrecorded_revocations", 6),
];
const FORMATS: std::ops::RangeInclusive<i64> = 1..=8;
/// The current format.
const FORMAT: i64 = 9;

/// Creates a ledger of an earlier format.
fn older(path: &Path, format: i64) {
    let sql = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/ledgers/format{format}.sql"));
    let sql = fs::read_to_string(sql).expect("a schema with rows");
    Connection::open(path).and_then(|ledger| ledger.execute_batch(&sql)).expect("a ledger");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

fn format(path: &Path) -> i64 {
    let ledger = Connection::open(path).expect("a ledger");
    ledger.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a format")
}

fn rows(path: &Path, table: &str) -> Vec<Vec<Value>> {
    let ledger = Connection::open(path).expect("a ledger");
    let mut select =
        ledger.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap_or_else(|error| panic!("{error}"));
    let columns = select.column_count();
    let rows = select.query_map([], |row| (0..columns).map(|i| row.get(i)).collect()).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

fn kept(path: &Path, since: i64) -> Vec<(&'static str, Vec<Vec<Value>>)> {
    TABLES.iter().filter(|(_, format)| *format <= since).map(|(table, _)| (*table, rows(path, table))).collect()
}

#[test]
fn a_ledger_of_each_earlier_format_is_migrated_and_loses_no_row() {
    for earlier in FORMATS {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite3");
        older(&path, earlier);
        let before = kept(&path, earlier);
        assert!(
            before.iter().all(|(_, rows)| !rows.is_empty()),
            "{earlier}: each table has rows, otherwise the test proves little"
        );

        // Readers see the same and change nothing.
        let bytes = fs::read(&path).expect("a ledger");
        let ledger = Ledger::open_read_only(&path).expect("a ledger");
        let of_host = ledger.by_host("worker-1").and_then(|query| query.all()).expect("certificates");
        assert_eq!(of_host.len(), 2, "{earlier}");
        drop(ledger);
        assert_eq!(fs::read(&path).expect("a ledger"), bytes, "{earlier}");

        let ledger = Ledger::open(&path).expect("migrated");
        assert_eq!(ledger.by_host("worker-1").and_then(|query| query.all()), Ok(of_host), "{earlier}");
        let client = Fingerprint::of(b"certificate 2");
        assert!(ledger.inventory().expect("an inventory").is_key_discarded(client), "{earlier}");
        assert_eq!(
            ledger.sequence(),
            Ok(match earlier {
                1 => 0,
                2..=5 => 1,
                _ => 2,
            }),
            "{earlier}"
        );
        let chain = ledger.check_chain(None).expect("a chain");
        let chained = |(table, _): &&(&str, Vec<_>)| {
            ["certificates", "events", "revocations", "unrecorded_revocations"].contains(table)
        };
        assert_eq!(chain.rows, before.iter().filter(chained).map(|(_, rows)| rows.len()).sum::<usize>(), "{earlier}");
        assert_eq!(chain.breaks, [], "{earlier}");
        assert_eq!(ledger.schema_problems(), Ok(Vec::new()), "{earlier}");
        drop(ledger);
        assert_eq!(format(&path), FORMAT);
        assert_eq!(kept(&path, earlier), before, "{earlier}");
        let gone = "SELECT count(*) FROM sqlite_master WHERE name IN ('traces', 'fleet_trace')";
        let gone: i64 =
            Connection::open(&path).and_then(|ledger| ledger.query_row(gone, [], |row| row.get(0))).expect("a count");
        assert_eq!(gone, 0, "{earlier}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "{earlier}: no log is left");
    }
}

#[test]
fn a_directory_with_a_ledger_of_each_earlier_format_stays_usable() {
    for earlier in FORMATS {
        let lab = Lab::with_roots();
        let (path, new) = (lab.path(LEDGER), lab.path("new.sqlite3"));
        fs::rename(&path, &new).expect("moved");
        older(&path, earlier);
        // This directory's CAs, as that version would have recorded them.
        let columns = "serial, sha256, spki_sha256, profile, host, account, not_before, not_after, issuer_sha256, issued_at, issued_by, der";
        Connection::open(&path)
            .and_then(|ledger| {
                ledger.execute_batch(&format!(
                    "ATTACH '{}' AS new; INSERT INTO certificates ({columns}) SELECT {columns} FROM new.certificates;",
                    new.display()
                ))
            })
            .expect("recorded");
        fs::remove_file(&new).expect("removed");
        lab.good(&["issue-node", "--all"]);
        assert_eq!(format(&path), FORMAT);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["revoke", "on", "--yes"]);
        lab.good(&["issue-node", "--all"]);
        lab.good(&["bundle", "--all"]);
        lab.good(&["verify", "--offline"]);
    }
}

#[test]
fn an_interrupted_migration_leaves_the_ledger_unchanged() {
    needs!("strace");
    // Killed while the migrated pages are written, and before the journal is removed, which is the commit.
    for (call, nth, only) in
        [("pwrite64", 1, LEDGER), ("pwrite64", 6, LEDGER), ("unlink", 1, "pki/ledger.sqlite3-journal")]
    {
        let lab = fleet_of(1);
        let path = lab.path(LEDGER);
        fs::remove_file(&path).expect("removed");
        older(&path, 6);
        let before = kept(&path, 6);
        kill_at(&lab, call, nth, Some(only), &["issue-node", "--all"]);
        assert_eq!((format(&path), kept(&path, 6)), (6, before.clone()), "{call} {nth}");
        drop(Ledger::open(&path).expect("migrated"));
        assert_eq!((format(&path), kept(&path, 6)), (FORMAT, before), "{call} {nth}");
    }
    // A failing step rolls back the steps before it.
    let lab = Lab::empty();
    let path = lab.path("ledger.sqlite3");
    older(&path, 2);
    Connection::open(&path)
        .and_then(|ledger| ledger.execute_batch("CREATE TABLE verification_cache (a)"))
        .expect("made");
    let before = kept(&path, 2);
    assert!(matches!(Ledger::open(&path), Err(StoreError::Ledger { .. })));
    assert_eq!((format(&path), kept(&path, 2)), (2, before));
}

fn copy(from: &Path, to: &Path) {
    good_tool("cp", &[&from.display().to_string(), &to.display().to_string()]);
}

fn certificates(lab: &Lab) -> usize {
    rows(&lab.path(LEDGER), "certificates").len()
}

/// Returns a directory in which a command was killed after it recorded certificates, and ledgers from long before and
/// just before.
fn with_a_log() -> (Lab, PathBuf, PathBuf) {
    let lab = fleet_of(3);
    let backups = ["long-before", "just-before"].map(|name| lab.path(name));
    copy(&lab.path(LEDGER), &backups[0]);
    assert!(run(&lab, &["issue-node", "node-0"]).status.success());
    copy(&lab.path(LEDGER), &backups[1]);
    kill_at(&lab, "syncfs", 1, None, &["issue-node", "--all"]);
    assert!(fs::metadata(lab.path(LOG)).expect("a log").len() > 4096, "else this proves nothing");
    let [long_before, just_before] = backups;
    (lab, long_before, just_before)
}

#[test]
fn entries_of_a_killed_command_are_in_the_ledger() {
    needs!("strace");
    let (lab, _, _) = with_a_log();
    let plan = run(&lab, &["issue-node", "--all", "--dry-run"]);
    assert!(plan.status.success());
    assert_eq!(certificates(&lab), 3 + 6);
    assert!(!lab.path(LOG).exists());
}

#[test]
fn a_ledger_from_a_backup_is_not_mixed_with_the_log_of_a_killed_command() {
    needs!("sqlite3", "strace");
    let (lab, long_before, just_before) = with_a_log();
    let log = fs::read(lab.path(LOG)).expect("a log");

    // SQLite itself would apply the log to any database beside it.
    let mixed = lab.path("mixed");
    copy(&long_before, &mixed);
    copy(&lab.path(LOG), &lab.path("mixed-wal"));
    let count = "select count(*) from certificates";
    let counted = Command::new("sqlite3").arg(&mixed).arg(count).output().expect("sqlite3 runs");
    assert_ne!(String::from_utf8_lossy(&counted.stdout).trim(), "3", "else no check would be needed");

    copy(&long_before, &lab.path(LEDGER));
    let restored = fs::read(lab.path(LEDGER)).expect("a ledger");
    for command in [&["issue-node", "--all"][..], &["verify", "--offline"], &["policy"]] {
        let ran = run(&lab, command);
        assert!(!ran.status.success(), "{command:?}");
        assert_eq!(fs::read(lab.path(LEDGER)).expect("a ledger"), restored, "{command:?}");
        assert_eq!(fs::read(lab.path(LOG)).expect("a log"), log, "{command:?}");
    }
    assert_eq!(run(&lab, &["issue-node", "--all"]).status.code(), Some(4));
    assert_eq!(Ledger::open(&lab.path(LEDGER)).map(|_| ()), Err(StoreError::LedgerLogForeign(lab.path(LOG))));
    // This follows the remedy.
    fs::remove_file(lab.path(LOG)).expect("removed");
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    assert!(run(&lab, &["verify", "--offline"]).status.code() != Some(4));

    // A backup of the state before the log is completed by the log.
    let (lab, _, just_before_again) = with_a_log();
    drop(just_before);
    copy(&just_before_again, &lab.path(LEDGER));
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    assert_eq!(certificates(&lab), 3 + 6 + 4, "those of the log, and two nodes' once more");
}

#[test]
fn a_backup_by_sqlite_is_consistent_while_a_command_writes() {
    needs!("sqlite3");
    let lab = fleet_of(1);
    let (path, backup) = (lab.path(LEDGER), lab.path("backup.sqlite3"));
    let mut ledger = Ledger::open(&path).expect("a ledger");
    let audit = AuditContext { at: NOW, by: "admin@laptop" };
    ledger.log_event("test", "before", "", &audit).expect("logged");
    good_tool("sqlite3", &[&path.display().to_string(), &format!(".backup {}", backup.display())]);
    ledger.log_event("test", "after", "", &audit).expect("logged");
    assert_eq!(rows(&backup, "events").len() + 1, rows(&path, "events").len());
    // Restored beside the log that continues it, as after a kill.
    let (log, killed) = (fs::read(lab.path(LOG)).expect("a log"), rows(&path, "events"));
    drop(ledger);
    copy(&backup, &path);
    fs::write(lab.path(LOG), log).expect("put back");
    drop(Ledger::open(&path).expect("they belong together"));
    assert_eq!(rows(&path, "events"), killed);
}

#[test]
fn a_reader_does_not_block_a_writer() {
    let lab = fleet_of(300);
    let reader = Connection::open(lab.path(LEDGER)).expect("a ledger");
    let count =
        || reader.query_row("SELECT count(*) FROM certificates", [], |row| row.get::<_, i64>(0)).expect("a count");
    reader.execute_batch("BEGIN").expect("begun");
    assert_eq!(count(), 3);
    let ran = run(&lab, &["issue-node", "--all"]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(count(), 3, "a transaction sees no later rows");
    reader.execute_batch("COMMIT").expect("done");
    assert_eq!(count(), 3 + 600);
    drop(reader);
    assert!(!lab.path(LOG).exists(), "the last to close the ledger removes the log");
}

#[test]
fn readers_are_never_refused_during_writes() {
    let lab = fleet_of(700);
    assert!(run(&lab, &["issue-master", "--all"]).status.success());
    let mut writer = lab.process(&["issue-node", "--all"]).stderr(Stdio::null()).spawn().expect("it runs");
    let mut read = 0;
    while writer.try_wait().expect("a process").is_none() {
        let ledger = Ledger::open_read_only(&lab.path(LEDGER)).expect("a ledger");
        assert_eq!(ledger.by_host("m").and_then(|query| query.all()).map(|found| found.len() > 3), Ok(true));
        let ran = run(&lab, &["show", "pki/masters/m/apiserver.crt"]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let ran = run(&lab, &["verify", "--offline"]);
        assert!(matches!(ran.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&ran.stderr));
        read += 1;
    }
    assert!(writer.wait().expect("reaped").success());
    assert!(read > 0, "it ended before anything was read; the test proves nothing");
    assert_eq!(certificates(&lab), rows(&lab.path(LEDGER), "certificates").len());
    assert!(!lab.path(LOG).exists());
}

/// A read-only bind mount of a folder, unmounted on drop.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn view(of: &Path, place: PathBuf) -> Self {
        fs::create_dir_all(&place).expect("a folder");
        let (of, shown) = (of.display().to_string(), place.display().to_string());
        good_tool("mount", &["--bind", &of, &shown]);
        let view = Self(place);
        good_tool("mount", &["-o", "remount,ro,bind", &shown]);
        view
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        // A process that another test is just starting may have a file of it open for a moment.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_ledger_in_a_read_only_directory_is_read_in_every_state() {
    needs!("mount", "root", "strace", "umount");
    let (lab, _, _) = with_a_log();
    let place = tempfile::tempdir().expect("a folder");
    let view = |name: &str| ReadOnly::view(&lab.path("pki"), place.path().join(name));
    let count = |view: &ReadOnly| {
        let ledger = Ledger::open(&view.0.join("ledger.sqlite3")).expect("a ledger");
        (0..3)
            .map(|i| ledger.by_host(&format!("node-{i}")).and_then(|query| query.all()).expect("found").len())
            .sum::<usize>()
    };
    // With a log and its index, as the killed command left them; with only the log, as in a copy; and without a log.
    assert_eq!(count(&view("killed")), 6);
    fs::remove_file(lab.path("pki/ledger.sqlite3-shm")).expect("removed");
    assert_eq!(count(&view("copied")), 6);
    let mut writer = Ledger::open(&lab.path(LEDGER)).expect("a ledger");
    drop(writer);
    assert!(!lab.path(LOG).exists());
    assert_eq!(count(&view("closed")), 6);
    // During writes of another process.
    writer = Ledger::open(&lab.path(LEDGER)).expect("a ledger");
    let audit = AuditContext { at: NOW, by: "admin@laptop" };
    writer.record_discarded_keys(&[("node-0".to_owned(), Fingerprint::of(b"a"))], &audit).expect("recorded");
    let beside = view("beside");
    let reader = Ledger::open_read_only(&beside.0.join("ledger.sqlite3")).expect("a ledger");
    assert!(reader.inventory().expect("an inventory").is_key_discarded(Fingerprint::of(b"a")));
    drop((reader, beside, writer));
    // A ledger of an earlier format.
    older(&lab.path("pki/older.sqlite3"), 3);
    let older = view("older");
    let ledger = Ledger::open_read_only(&older.0.join("older.sqlite3")).expect("a ledger");
    assert_eq!(ledger.by_host("worker-1").and_then(|query| query.all()).map(|found| found.len()), Ok(2));
}

#[test]
fn commands_that_only_read_work_on_a_read_only_directory() {
    needs!("mount", "root", "umount");
    let lab = fleet_of(2);
    for role in ["issue-master", "issue-node"] {
        assert!(run(&lab, &[role, "--all"]).status.success());
    }
    assert!(run(&lab, &["bundle", "--all"]).status.success());
    let place = tempfile::tempdir().expect("a folder");
    let view = ReadOnly::view(lab.dir(), place.path().join("view"));
    let dir = view.0.display().to_string();
    for command in [&["verify", "--offline"][..], &["issue-node", "--all", "--dry-run"]] {
        let ran = run(&lab, &[&["--dir", &dir], command].concat());
        assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    let shown = run(&lab, &["--dir", &dir, "show", &format!("{dir}/pki/nodes/node-1/kubelet-client.crt")]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
}
