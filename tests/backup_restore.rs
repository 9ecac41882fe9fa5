//! `backup` and `restore`: an encrypted file of the cluster directory, which age and tar can also read.

mod kills;
mod special_files;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use clusterctl::app::backup::{RestoreError, RestoreOptions, open, restore};
use clusterctl::app::{self, Env};
use clusterctl::bundle::backup::BackupContentError as Content;
use clusterctl::bundle::backup_manifest::BackupManifestError;
use clusterctl::bundle::encrypted_stream::StreamError;
use clusterctl::bundle::encryption::Identity;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::store::layout::Layout;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::encryption::{age_key, age_opens};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, forms, good_tool};

const LEDGER: &str = "pki/ledger.sqlite3";

/// Returns a directory with files of every kind, and the recipient of `admin.key`, which decrypts the backup.
fn complete() -> (Lab, String) {
    let mut lab = Lab::issued();
    lab.write("cluster.yaml", &format!("{CLUSTER}templates: ./own/templates\n"));
    fs::create_dir_all(lab.path("own/templates")).expect("a folder");
    lab.good(&["issue-admin", "alice"]);
    lab.now += time::Duration::days(1);
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    lab.good(&["issue-node", "on"]);
    let recipient = age_key(&lab, "admin.key");
    lab.good(&["bundle", "worker-b1", "--encrypt-to", &recipient, "--discard-keys"]);
    lab.good(&["bundle", "on", "master-1", "master-2", "worker-a1.fra1.example.net"]);
    (lab, recipient)
}

fn back_up(lab: &Lab, file: &str, more: &[&str]) -> Value {
    let ran = lab.good(&[&["backup", file, "-o", "json"], more].concat());
    forms::conforms("backup", &ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

/// Returns the files below a folder with their modes and contents, except the ledger and the lock.
fn files_of(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("below").display().to_string();
            let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o7777;
            if path.is_dir() {
                open.push(path);
                found.insert(name, (mode, Vec::new()));
            } else if !name.starts_with(LEDGER) && name != ".clusterctl.lock" {
                found.insert(name, (mode, fs::read(path).expect("bytes")));
            }
        }
    }
    found
}

/// Returns the rows of a table of a ledger.
fn rows(ledger: &Path, table: &str) -> Vec<String> {
    let ledger = Connection::open(ledger).expect("a ledger");
    let mut select = ledger.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).expect("a query");
    let columns = select.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns).map(|i| row.get_ref(i).map(|value| format!("{value:?}"))).collect::<Result<Vec<_>, _>>()
    };
    let rows = select.query_map([], |one| row(one).map(|values| values.join("|"))).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

/// Returns the files that are backed up. The laboratory's folder has others, too.
fn expected(lab: &Lab) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut files = files_of(lab.dir());
    let tops = ["cluster.yaml", ".clusterctl.ledger", "pki", "policy", "bundles", "own"];
    files.retain(|path, _| tops.iter().any(|top| path == top || path.starts_with(&format!("{top}/"))));
    files
}

#[test]
fn a_restored_directory_is_the_one_that_was_backed_up() {
    needs!("age", "tar");
    let (lab, recipient) = complete();
    let out = tempfile::tempdir().expect("a folder");
    let file = out.path().join("prod.age").display().to_string();
    let before = lab.snapshot();
    let made = back_up(&lab, &file, &["--encrypt-to", &recipient]);
    let changed = lab.snapshot().into_iter().filter(|(path, bytes)| before.get(path) != Some(bytes));
    assert_eq!(changed.map(|(path, _)| path).collect::<Vec<_>>(), [lab.path(LEDGER)], "only the event is new");
    assert_eq!(fs::metadata(&file).expect("metadata").permissions().mode() & 0o777, 0o600);
    assert_eq!(made["sha256"], Fingerprint::of(&fs::read(&file).expect("bytes")).to_string());
    assert_eq!((&made["bundles"], &made["leftOut"]), (&json!(true), &json!([])));
    let target = out.path().join("restored");
    fs::create_dir(&target).expect("a folder");
    let key = lab.path("admin.key").display().to_string();
    let dir = target.display().to_string();
    for place in [dir.as_str(), &format!("{dir}-absent")] {
        let ran = lab.good(&["--dir", place, "restore", &file, "--identity", &key, "-o", "json"]);
        forms::conforms("restore", &ran.out);
        let restored: Value = serde_json::from_str(&ran.out).expect("JSON");
        for key in ["cluster", "created", "rootPin", "ledgerHead", "files", "certificates"] {
            assert_eq!(restored[key], made[key], "{key}");
        }
        assert_eq!(files_of(Path::new(place)), expected(&lab));
        for table in ["certificates", "revocations", "unrecorded_revocations", "bundles", "generation", "sequence"] {
            assert_eq!(rows(&Path::new(place).join(LEDGER), table), rows(&lab.path(LEDGER), table), "{table}");
        }
        let mode =
            |path: &str| fs::metadata(Path::new(place).join(path)).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(["pki/ca.key", LEDGER, "pki/nodes/on/kubelet-client.key"].map(mode), [0o600; 3]);
        lab.good(&["--dir", place, "ledger", "check", "--head", made["ledgerHead"].as_str().expect("a hash")]);
        lab.good(&["--dir", place, "verify", "--offline"]);
        assert!(lab.good(&["--dir", place, "issue-node", "--all", "--dry-run"]).out.is_empty());
        assert!(!lab.good(&["--dir", place, "bundle", "--all"]).out.contains("tar.gz"), "no bundle is made again");
        let log: Value = serde_json::from_str(&lab.good(&["--dir", place, "log", "-o", "json"]).out).expect("JSON");
        let kinds: Vec<&Value> =
            log["entries"].as_array().expect("entries").iter().map(|entry| &entry["kind"]).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == "restore").count(), 1);
    }
    let log = lab.good(&["log", "-o", "json"]).out;
    assert!(log.contains("\"kind\": \"backup\""), "{log}");
    let status: Value = serde_json::from_str(&lab.run(&["status", "-o", "json"]).out).expect("JSON");
    assert_eq!(status["lastBackup"], made["created"]);
    let mut names: Vec<_> =
        fs::read_dir(out.path()).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["prod.age", "restored", "restored-absent"], "nothing unfinished stays");
}

/// Decrypts a backup with age, and unpacks it with tar; returns the folder, and the names in the archive's order.
fn unpacked(lab: &Lab, file: &str) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("archive.tar");
    let bytes = age_opens(lab, file, "admin.key").expect("age decrypts it");
    fs::write(&archive, bytes).expect("written");
    let (archive, to) = (archive.display().to_string(), folder.path().join("in").display().to_string());
    fs::create_dir(&to).expect("a folder");
    good_tool("tar", &["-x", "-p", "-f", &archive, "-C", &to]);
    let names = good_tool("tar", &["-t", "-f", &archive]).lines().map(str::to_owned).collect();
    (folder, names)
}

#[test]
fn age_and_tar_read_a_backup() {
    needs!("age", "tar");
    let (lab, recipient) = complete();
    let made = back_up(&lab, "../prod.age", &["--encrypt-to", &recipient, "--without-bundles"]);
    let backup = lab.dir().parent().expect("a folder").join("prod.age");
    fs::rename(backup, lab.path("prod.age")).expect("moved");
    let (folder, names) = unpacked(&lab, "prod.age");
    assert_eq!(names.first().map(String::as_str), Some("backup.json"));
    let top = folder.path().join("in");
    let manifest: Value = serde_json::from_slice(&fs::read(top.join("backup.json")).expect("bytes")).expect("JSON");
    assert_eq!(manifest["ledgerHead"], made["ledgerHead"]);
    for file in manifest["files"].as_array().expect("files") {
        let bytes = fs::read(top.join(file["path"].as_str().expect("a path"))).expect("bytes");
        assert_eq!(file["sha256"], Fingerprint::of(&bytes).to_string(), "{file}");
    }
    fs::remove_file(top.join("backup.json")).expect("removed");
    let mut expected = expected(&lab);
    expected.retain(|path, _| !path.starts_with("bundles"));
    assert_eq!(files_of(&top), expected);
    lab.good(&["--dir", &top.display().to_string(), "ledger", "check"]);
}

/// Decrypts a file with age, which asks for a passphrase on its terminal.
fn age_with_passphrase(file: &Path, passphrase: &str) -> Vec<u8> {
    let script = "import os, pty, sys\n\
                  pid, terminal = pty.fork()\n\
                  if pid == 0:\n    os.execvp('age', ['age', '-d', '-o', sys.argv[2], sys.argv[1]])\n\
                  seen = b''\n\
                  while b'assphrase' not in seen:\n    seen += os.read(terminal, 1000)\n\
                  os.write(terminal, sys.argv[3].encode() + b'\\n')\n\
                  try:\n    while os.read(terminal, 1000): pass\n\
                  except OSError: pass\n\
                  sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n";
    let out = file.with_extension("out");
    let (from, to) = (file.display().to_string(), out.display().to_string());
    good_tool("python3", &["-c", script, &from, &to, passphrase]);
    fs::read(out).expect("decrypted")
}

#[test]
fn a_passphrase_from_a_file_the_environment_or_a_prompt_encrypts_and_decrypts() {
    needs!("age", "python3");
    let mut lab = Lab::issued();
    let out = tempfile::tempdir().expect("a folder");
    let at = |name: &str| out.path().join(name).display().to_string();
    assert_eq!(lab.run(&["backup", &at("none")]).status, 2, "neither a passphrase nor a terminal");
    lab.write("secret", "correct horse battery\n");
    lab.good(&["backup", &at("file"), "--passphrase-file", "secret"]);
    lab.write("weak", "kubernetes\n");
    assert_eq!(lab.run(&["backup", &at("weak"), "--passphrase-file", "weak"]).status, 3);
    lab.typed = Some(["correct horse battery", "another"].map(str::to_owned).into());
    assert_eq!(lab.run(&["backup", &at("none")]).status, 3, "the two differ");
    lab.typed = Some(["correct horse battery", "correct horse battery"].map(str::to_owned).into());
    lab.good(&["backup", &at("typed")]);
    lab.typed = None;
    lab.env.insert("CLUSTERCTL_BACKUP_PASSPHRASE".to_owned(), "correct horse battery".into());
    lab.good(&["backup", &at("env")]);
    assert_eq!(fs::read_dir(out.path()).expect("a folder").count(), 3);
    assert!(!age_with_passphrase(&out.path().join("env"), "correct horse battery").is_empty());
    lab.good(&["--dir", &at("a"), "restore", &at("typed")]);
    lab.env.clear();
    lab.good(&["--dir", &at("b"), "restore", &at("env"), "--passphrase-file", "secret"]);
    assert_eq!(lab.run(&["--dir", &at("c"), "restore", &at("env")]).status, 2, "no terminal");
    lab.typed = Some(["wrong", "correct horse battery"].map(str::to_owned).into());
    lab.good(&["--dir", &at("c"), "restore", &at("file")]);
    lab.typed = Some(["wrong", "wrong", "wrong"].map(str::to_owned).into());
    assert_eq!(lab.run(&["--dir", &at("d"), "restore", &at("file")]).status, 3);
    assert!(!Path::new(&at("d")).exists());
}

/// Returns why a file is not restored. Nothing may be left.
fn refusal(lab: &Lab, file: &str, options: impl FnOnce(&mut RestoreOptions)) -> RestoreError {
    let out = tempfile::tempdir().expect("a folder");
    let env = Env { layout: Layout::new(out.path().join("prod")), now: lab.now, actor: "admin@laptop".to_owned() };
    let mut asked = RestoreOptions { file: lab.path(file), pin: None, head: None };
    options(&mut asked);
    let identity = Identity::from_age_file(&fs::read(lab.path("admin.key")).expect("a key")).expect("a key");
    let error =
        open(asked, &env).and_then(|opened| restore(opened, &identity, &env).map(|report| panic!("{report:?}")));
    assert_eq!(fs::read_dir(out.path()).expect("a folder").count(), 0, "nothing is left");
    match error {
        Err(app::Error::Restore(error)) => error,
        Err(error) => panic!("{error:?}"),
        Ok(()) => panic!("it was restored"),
    }
}

/// Returns a directory with CAs only, its backup `prod.age`, and the backup's recipient.
fn small() -> (Lab, String) {
    let lab = Lab::with_roots();
    let recipient = age_key(&lab, "admin.key");
    lab.good(&["backup", "prod.age", "--encrypt-to", &recipient]);
    (lab, recipient)
}

#[test]
fn truncated_and_changed_files_and_other_keys_are_refused() {
    needs!("age");
    let (lab, _) = small();
    let good = fs::read(lab.path("prod.age")).expect("bytes");
    let refused = |bytes: &[u8]| {
        fs::write(lab.path("bad.age"), bytes).expect("written");
        match refusal(&lab, "bad.age", |_| ()) {
            RestoreError::Decrypt { source, .. } => source,
            other => panic!("{other:?}"),
        }
    };
    let header = good.windows(5).position(|window| window == b"\n--- ").expect("a header");
    let chunk = 64 * 1024 + 16;
    let body = header + 6 + 43 + 16;
    for length in (0..good.len()).step_by(good.len() / 40).chain([header, body, body + chunk, good.len() - 1]) {
        let error = refused(&good[..length]);
        let is_known = matches!(error, StreamError::Damaged | StreamError::Header | StreamError::NotEncrypted);
        assert!(is_known, "{length}: {error:?}");
    }
    for at in (0..good.len()).step_by(good.len() / 40).chain([good.len() - 1]) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        let error = refused(&changed);
        let is_known = !matches!(error, StreamError::Read(_) | StreamError::PassphraseNeeded);
        assert!(is_known, "{at}: {error:?}");
    }
    let longer = [good.as_slice(), b"more"].concat();
    assert_eq!(refused(&longer), StreamError::Damaged);
    assert_eq!(refused(&fs::read(lab.path("cluster.yaml")).expect("bytes")), StreamError::NotEncrypted);
    let armored =
        good_tool("age", &["-a", "-r", &age_key(&lab, "armor.key"), &lab.path("cluster.yaml").display().to_string()]);
    assert_eq!(refused(armored.as_bytes()), StreamError::Armored);
    let other = age_key(&lab, "other.key");
    let path = |name: &str| lab.path(name).display().to_string();
    good_tool("age", &["-r", &other, "-o", &path("other.age"), &path("cluster.yaml")]);
    let error = refusal(&lab, "other.age", |_| ());
    assert!(matches!(error, RestoreError::Decrypt { source: StreamError::KeyNeeded { .. }, .. }), "{error:?}");
    lab.write("secret", "correct horse battery\n");
    lab.good(&["backup", "locked.age", "--passphrase-file", "secret"]);
    let error = refusal(&lab, "locked.age", |_| ());
    assert!(matches!(error, RestoreError::Decrypt { source: StreamError::PassphraseNeeded, .. }), "{error:?}");
}

/// Unpacks `prod.age`, changes the folder and the list of names, and packs it again with GNU tar and age.
fn repacked(lab: &Lab, recipient: &str, change: impl FnOnce(&Path, &mut Vec<String>)) -> String {
    let (folder, mut names) = unpacked(lab, "prod.age");
    let top = folder.path().join("in");
    change(&top, &mut names);
    let list = folder.path().join("list");
    fs::write(&list, names.join("\n") + "\n").expect("written");
    let path = |path: &Path| path.display().to_string();
    let (archive, top) = (folder.path().join("new.tar"), path(&top));
    good_tool("tar", &["-c", "-f", &path(&archive), "-C", &top, "--no-recursion", "-P", "-T", &path(&list)]);
    let _ = fs::remove_file(lab.path("new.age"));
    good_tool("age", &["-r", recipient, "-o", &path(&lab.path("new.age")), &path(&archive)]);
    "new.age".to_owned()
}

fn change_manifest(top: &Path, change: impl FnOnce(&mut Value)) {
    let path = top.join("backup.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).expect("bytes")).expect("JSON");
    change(&mut manifest);
    fs::write(path, manifest.to_string()).expect("written");
}

/// Writes a file that is not the one that was backed up, and its SHA-256 into the manifest.
fn replace(top: &Path, name: &str, bytes: &[u8]) {
    fs::write(top.join(name), bytes).expect("written");
    change_manifest(top, |manifest| {
        let files = manifest["files"].as_array_mut().expect("files");
        let file = files.iter_mut().find(|file| file["path"] == name).expect("listed");
        file["sha256"] = Fingerprint::of(bytes).to_string().into();
        file["size"] = bytes.len().into();
    });
}

#[test]
fn an_unchanged_archive_of_other_programs_is_restored() {
    needs!("age", "tar");
    let (lab, recipient) = small();
    let file = repacked(&lab, &recipient, |_, _| ());
    lab.good(&["--dir", "again", "restore", &file, "--identity", "admin.key"]);
    lab.good(&["--dir", "again", "ledger", "check"]);
}

#[test]
fn foreign_newer_and_edited_archives_are_refused() {
    needs!("age", "tar");
    let (lab, recipient) = small();
    let content = |change: &dyn Fn(&Path, &mut Vec<String>)| {
        let file = repacked(&lab, &recipient, |top, names| change(top, names));
        match refusal(&lab, &file, |_| ()) {
            RestoreError::Content { source, .. } => source,
            other => panic!("{other:?}"),
        }
    };
    let not_one = Content::Manifest(BackupManifestError::NotOne);
    assert_eq!(content(&|_, names| names.retain(|name| name != "backup.json")), not_one);
    assert_eq!(content(&|_, names| names.reverse()), not_one);
    assert_eq!(content(&|top, _| fs::write(top.join("backup.json"), "{}").expect("written")), not_one);
    let newer = content(&|top, _| change_manifest(top, |manifest| manifest["version"] = 2.into()));
    assert_eq!(newer, Content::Manifest(BackupManifestError::Newer { found: 2 }));
    let name = || "pki/ca.crt".to_owned();
    assert_eq!(
        content(&|_, names| names.retain(|one| one != "pki/ca.crt")),
        Content::Unexpected("pki/ca.key".to_owned())
    );
    assert_eq!(content(&|_, names| names.truncate(names.len() - 1)), Content::Missing(LEDGER.to_owned()));
    assert_eq!(content(&|_, names| names.push(name())), Content::Unexpected(name()));
    assert_eq!(content(&|top, _| fs::write(top.join("pki/ca.crt"), "x").expect("written")), Content::Changed(name()));
    let same_length = content(&|top, _| {
        let mut bytes = fs::read(top.join("pki/ca.crt")).expect("bytes");
        bytes[30] ^= 1;
        fs::write(top.join("pki/ca.crt"), bytes).expect("written");
    });
    assert_eq!(same_length, Content::Changed(name()));
    let linked = content(&|top, _| {
        fs::remove_file(top.join("pki/ca.crt")).expect("removed");
        symlink("/etc/passwd", top.join("pki/ca.crt")).expect("linked");
    });
    assert_eq!(linked, Content::Unexpected(name()));
    let outside = content(&|top, _| change_manifest(top, |manifest| manifest["files"][0]["path"] = "../x".into()));
    assert_eq!(outside, Content::Manifest(BackupManifestError::Path("../x".to_owned())));
    // The error about an archive with unexpected files does not advise to unpack it with tar.
    let file = repacked(&lab, &recipient, |_, names| names.push(name()));
    let ran = lab.run(&["--dir", "new", "restore", &file, "--identity", "admin.key"]);
    let words: Vec<&str> = ran.err.split_whitespace().collect();
    let unpacks = |pair: &[&str]| pair[0] == "tar" && (pair[1].contains('x') || pair[1].starts_with("--ex"));
    assert!(ran.status == 3 && words.contains(&"tar") && !words.windows(2).any(unpacks), "{ran}");
    // Not an archive at all.
    let path = |name: &str| lab.path(name).display().to_string();
    good_tool("age", &["-r", &recipient, "-o", &path("text.age"), &path("cluster.yaml")]);
    let error = refusal(&lab, "text.age", |_| ());
    assert!(matches!(error, RestoreError::Content { .. }), "{error:?}");
}

#[test]
fn a_damaged_directory_and_one_of_another_cluster_are_refused() {
    needs!("age", "tar");
    let (lab, recipient) = small();
    let refused = |change: &dyn Fn(&Path)| {
        let file = repacked(&lab, &recipient, |top, _| change(top));
        refusal(&lab, &file, |_| ())
    };
    let other = Lab::with_roots();
    let is_directory = |error: &RestoreError| matches!(error, RestoreError::Directory { .. });
    let pki = refused(&|top| replace(top, "pki/ca.crt", &fs::read(other.path("pki/ca.crt")).expect("bytes")));
    assert!(is_directory(&pki), "{pki:?}");
    let renamed = refused(&|top| replace(top, "cluster.yaml", CLUSTER.replace("name: prod", "name: test").as_bytes()));
    assert!(is_directory(&renamed), "{renamed:?}");
    let edited = refused(&|top| {
        let ledger = Connection::open(top.join(LEDGER)).expect("a ledger");
        ledger.execute("UPDATE certificates SET account = 'x' WHERE seq = 1", []).expect("changed");
        drop(ledger);
        replace(top, LEDGER, &fs::read(top.join(LEDGER)).expect("bytes"));
    });
    assert!(is_directory(&edited), "{edited:?}");
    // The whole directory of another cluster, under this one's manifest.
    let swapped = refused(&|top| {
        for name in [
            "pki/ca.crt",
            "pki/ca.key",
            "pki/etcd/ca.crt",
            "pki/etcd/ca.key",
            "pki/front-proxy/ca.crt",
            "pki/front-proxy/ca.key",
            LEDGER,
        ] {
            replace(top, name, &fs::read(other.path(name)).expect("bytes"));
        }
    });
    assert!(matches!(swapped, RestoreError::OtherCluster { .. }), "{swapped:?}");
    let headless = refused(&|top| {
        change_manifest(top, |manifest| manifest["ledgerHead"] = Fingerprint::of(b"x").to_string().into());
    });
    assert!(matches!(headless, RestoreError::OtherHead { .. }), "{headless:?}");
    let x = Some(Fingerprint::of(b"x"));
    let pinned = refusal(&lab, "prod.age", |options| options.pin = x);
    assert!(matches!(pinned, RestoreError::OtherCluster { .. }), "{pinned:?}");
    let head = refusal(&lab, "prod.age", |options| options.head = x);
    assert!(matches!(head, RestoreError::OtherHead { .. }), "{head:?}");
}

#[test]
fn nothing_is_replaced_and_only_an_empty_folder_is_filled() {
    needs!("age");
    let (lab, recipient) = small();
    let before = lab.snapshot();
    let to = ["--encrypt-to", recipient.as_str()];
    assert_eq!(lab.run(&[&["backup", "prod.age"], &to[..]].concat()).status, 3);
    for inside in ["pki/prod.age", "pki/etcd/prod.age", "./pki/../pki/x"] {
        assert_eq!(lab.run(&[&["backup", inside], &to[..]].concat()).status, 3, "{inside}");
    }
    assert_eq!(lab.run(&[&["backup", "nowhere/prod.age"], &to[..]].concat()).status, 4);
    assert_eq!(lab.run(&[&["backup", "-"], &to[..]].concat()).status, 2);
    assert_eq!(lab.run(&["restore", "prod.age", "--identity", "admin.key"]).status, 3, "the current folder");
    lab.write("file", "");
    assert_eq!(lab.run(&["--dir", "file", "restore", "prod.age", "--identity", "admin.key"]).status, 3);
    fs::remove_file(lab.path("file")).expect("removed");
    assert_eq!(lab.run(&["--dir", "new", "restore", "nowhere.age", "--identity", "admin.key"]).status, 2);
    assert_eq!(lab.run(&["--dir", "new", "restore", "prod.age"]).status, 2, "no key");
    assert_eq!(lab.snapshot(), before);
    symlink("/etc/passwd", lab.path("pki/link")).expect("linked");
    assert_eq!(lab.run(&[&["backup", "linked.age"], &to[..]].concat()).status, 3);
    fs::remove_file(lab.path("pki/link")).expect("removed");
    let other = Lab::with_roots();
    fs::create_dir_all(lab.path("pki/nodes/on")).expect("a folder");
    fs::copy(other.path("pki/ca.crt"), lab.path("pki/nodes/on/kubelet-client.crt")).expect("copied");
    assert_eq!(lab.run(&[&["backup", "foreign.age"], &to[..]].concat()).status, 3);
    fs::remove_dir_all(lab.path("pki/nodes")).expect("removed");
    Connection::open(lab.path(LEDGER))
        .and_then(|ledger| ledger.execute("UPDATE events SET by = 'x' WHERE seq = 1", []))
        .expect("changed");
    assert_eq!(lab.run(&[&["backup", "edited.age"], &to[..]].concat()).status, 3);
    let age = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "age");
    assert_eq!(lab.snapshot().keys().filter(|path| age(path)).count(), 1, "no backup is left");
}

#[test]
fn files_outside_of_the_directory_are_reported() {
    needs!("age");
    let (lab, recipient) = small();
    let templates = tempfile::tempdir().expect("a folder");
    lab.write("cluster.yaml", &format!("{CLUSTER}templates: {}\n", templates.path().display()));
    fs::remove_file(lab.path("pki/etcd/ca.key")).expect("removed");
    let made = back_up(&lab, "second.age", &["--encrypt-to", &recipient]);
    let kinds: Vec<&Value> = made["leftOut"].as_array().expect("a list").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["templates", "key"]);
    lab.good(&["--dir", "again", "restore", "second.age", "--identity", "admin.key"]);
}

/// Otherwise, backups with the damaged key would replace the last one with a usable key.
#[test]
fn a_damaged_key_of_a_ca_is_found_before_a_backup() {
    needs!("age-keygen");
    let (lab, recipient) = small();
    let (key, other) = (lab.path("pki/ca.key"), lab.path("pki/etcd/ca.key"));
    for damaged in [b"x".to_vec(), fs::read(&other).expect("a key")] {
        fs::write(&key, damaged).expect("written");
        assert_eq!(lab.run(&["backup", "damaged.age", "--encrypt-to", &recipient]).status, 3);
        assert!(!lab.path("damaged.age").exists());
        assert_eq!(lab.run(&["verify", "--offline"]).status, 1);
    }
}
