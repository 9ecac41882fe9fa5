//! Rotations of every role that are interrupted: killed at any write, run twice at once, and aborted in any phase.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::service_account_key::ServiceAccountKey;
use time::OffsetDateTime;

use crate::support::outside::needs;
use crate::support::phases::{Rotated, killed};
use crate::support::rotation::{Files, bundle_files};
use crate::support::{Lab, good_tool};

const HOSTS: [&str; 5] = ["master-1", "master-2", "worker-a1.fra1.example.net", "on", "worker-b1"];

/// A directory whose bundles are packed.
fn packed() -> Lab {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&["apply"]);
    lab
}

fn backup(lab: &mut Lab, file: &str) {
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["backup", file, "--passphrase-file", "passphrase"]);
}

fn write_proof(lab: &mut Lab, rotated: Rotated) {
    lab.now = OffsetDateTime::now_utc();
    lab.write("proof.json", &rotated.proof(lab));
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    good_tool("cp", &["-a", &from.display().to_string(), &to.display().to_string()]);
}

/// Kills a command at every write, or at every third one of a CA's rotation, each time from the state before, and returns how often. After each, the same command
/// has to do what it would have done.
fn kill_everywhere(lab: &mut Lab, rotated: Rotated, args: &[&str], expected: Option<&'static str>) -> usize {
    // Links of the many files of credentials are alike.
    let step = if rotated == Rotated::TokenKey { 1 } else { 3 };
    let before = rotated.phase(lab);
    let saved = tempfile::tempdir().expect("a folder");
    let (pki, kept) = (lab.path("pki"), saved.path().join("pki"));
    copy(&pki, &kept);
    for nth in (1..).step_by(step) {
        copy(&kept, &pki);
        lab.now = OffsetDateTime::now_utc();
        if !killed(lab, args, nth) {
            assert_eq!(rotated.phase(lab), expected, "{args:?}");
            return nth / step;
        }
        // Readers see one of the two states, and other commands can work.
        let now = rotated.phase(lab);
        assert!(now == before || now == expected, "{args:?}, {nth}: {now:?}");
        assert_eq!(lab.run(&["plan"]).status, 0, "{args:?}, {nth}");
        if now != expected || rotated.folder(lab).exists() != expected.is_some() {
            lab.good(args);
        }
        assert_eq!(rotated.phase(lab), expected, "{args:?}, {nth}");
        assert_eq!(rotated.folder(lab).exists(), expected.is_some(), "{args:?}, {nth}");
        lab.good(&["ledger", "check"]);
    }
    unreachable!("the command ends")
}

/// Kills every command of a rotation, from its start to its end, and those that abort it. `more` are arguments of the commands
/// that begin the next phase.
fn kill_all(rotated: Rotated, more: &[&'static str]) -> Lab {
    let mut lab = packed();
    let phases = rotated.phases();
    let mut kills = kill_everywhere(&mut lab, rotated, &rotated.args("start", &[]), Some(phases[0]));
    backup(&mut lab, "1.age");
    let (next, last_abortable) = ([rotated.next(), more.to_vec()].concat(), rotated.abortable().pop());
    for phase in &phases[1..] {
        write_proof(&mut lab, rotated);
        // Of a CA's rotation, the other phases write as little as the abort below.
        if rotated == Rotated::TokenKey || *phase == "canary" || *phase == phases[1] {
            kills += kill_everywhere(&mut lab, rotated, &next, Some(phase));
        } else {
            lab.good(&next);
        }
        lab.now = OffsetDateTime::now_utc();
        lab.good(&["apply"]);
        if Some(*phase) == last_abortable {
            let saved = tempfile::tempdir().expect("a folder");
            let (pki, kept) = (lab.path("pki"), saved.path().join("pki"));
            copy(&pki, &kept);
            if *phase != phases[1] {
                kills += kill_everywhere(&mut lab, rotated, &rotated.args("abort", &[]), Some("trust-both"));
                write_proof(&mut lab, rotated);
            }
            let abort = rotated.args("abort", &["--report", "proof.json"]);
            kills += kill_everywhere(&mut lab, rotated, &abort, None);
            // What a killed command left is not in the way of another rotation.
            lab.good(&rotated.args("start", &[]));
            copy(&kept, &pki);
        }
    }
    write_proof(&mut lab, rotated);
    kills += kill_everywhere(&mut lab, rotated, &next, None);
    assert!(kills > 8, "{rotated:?}: {kills}");
    lab.good(&["apply"]);
    lab.good(&["verify", "--offline"]);
    lab
}

#[test]
fn a_step_that_was_killed_at_any_write_is_continued() {
    needs!("strace");
    kill_all(Rotated::Ca(CaRole::Cluster), &[]);
}

#[test]
fn a_step_of_etcds_ca_that_was_killed_at_any_write_is_continued() {
    needs!("strace");
    kill_all(Rotated::Ca(CaRole::Etcd), &[]);
}

#[test]
fn a_step_of_the_front_proxys_ca_that_was_killed_at_any_write_is_continued() {
    needs!("strace");
    kill_all(Rotated::Ca(CaRole::FrontProxy), &[]);
}

#[test]
fn a_step_of_the_token_key_that_was_killed_at_any_write_is_continued() {
    needs!("strace");
    let lab = kill_all(Rotated::TokenKey, &["--keep-old-key"]);
    let kept = std::fs::read_dir(lab.path("pki")).expect("pki").map(|entry| entry.expect("an entry").path());
    let kept: Vec<PathBuf> = kept.filter(|path| path.display().to_string().contains("/sa-")).collect();
    let key = |path: &Path| {
        let pem = std::fs::read(path).expect("readable");
        ServiceAccountKey::from_pem(&pem).expect("a key").fingerprint()
    };
    assert_eq!(kept.len(), 1, "{kept:?}");
    let name = kept[0].file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(name, format!("sa-{}.key", &key(&kept[0]).to_string()[..16]));
    assert_ne!(key(&kept[0]), key(&lab.path("pki/sa.key")));
}

/// Runs a command twice at once, and returns the two exit statuses, sorted.
fn twice(lab: &Lab, args: &[&str]) -> Vec<i32> {
    let start = || lab.process(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let both = [start().expect("it starts"), start().expect("it starts")];
    let mut statuses = both.map(|mut one| one.wait().expect("it ends").code().expect("a status")).to_vec();
    statuses.sort_unstable();
    statuses
}

#[test]
fn of_two_commands_at_once_one_waits_and_finds_what_the_other_did() {
    for rotated in Rotated::ALL {
        let mut lab = packed();
        let phases = rotated.phases();
        assert_eq!(twice(&lab, &rotated.args("start", &[])), [0, 3], "{rotated:?}");
        assert_eq!(rotated.phase(&lab), Some(phases[0]), "{rotated:?}");
        let aborted = twice(&lab, &rotated.args("abort", &[]));
        assert_eq!((aborted, rotated.phase(&lab)), (vec![0, 3], None), "{rotated:?}");
        lab.now = OffsetDateTime::now_utc();
        lab.good(&rotated.args("start", &[]));
        backup(&mut lab, "1.age");
        for phase in &phases[1..] {
            write_proof(&mut lab, rotated);
            // The report is of the phase before: the second command does not begin another one.
            let statuses = twice(&lab, &rotated.next());
            assert_eq!((statuses, rotated.phase(&lab)), (vec![0, 2], Some(*phase)), "{rotated:?}");
            lab.now = OffsetDateTime::now_utc();
            lab.good(&["apply"]);
        }
        write_proof(&mut lab, rotated);
        let statuses = twice(&lab, &rotated.next());
        assert_eq!((statuses, rotated.phase(&lab)), (vec![0, 3], None), "{rotated:?}");
        lab.good(&["ledger", "check"]);
        lab.now = OffsetDateTime::now_utc();
        lab.good(&["verify", "--offline"]);
    }
}

fn bundles(lab: &Lab) -> BTreeMap<&'static str, Files> {
    HOSTS.iter().map(|host| (*host, bundle_files(lab, host))).collect()
}

/// Returns the files of the credentials and of the CAs, without the records of rotations.
fn credentials(lab: &Lab) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_record = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ledger.") || name.starts_with("trust.") || name == "handovers.json"
    };
    let pki = lab.path("pki");
    lab.snapshot().into_iter().filter(|(path, _)| path.starts_with(&pki) && !is_record(path)).collect()
}

#[test]
fn an_abort_gives_back_the_very_bytes_in_every_phase_of_every_role() {
    for rotated in Rotated::ALL {
        let mut lab = packed();
        let (before, keys) = (bundles(&lab), credentials(&lab));
        for (number, last) in rotated.abortable().into_iter().enumerate() {
            lab.now = OffsetDateTime::now_utc();
            lab.good(&rotated.args("start", &[]));
            backup(&mut lab, &format!("{number}.age"));
            while rotated.phase(&lab) != Some(last) {
                write_proof(&mut lab, rotated);
                lab.good(&rotated.next());
                lab.now = OffsetDateTime::now_utc();
                lab.good(&["apply"]);
            }
            assert_eq!(bundles(&lab) == before, number == 0, "{rotated:?}, {last}");
            lab.good(&rotated.args("abort", &[]));
            if number > 1 {
                // Hosts present certificates issued by the new CA, and are trusted until they have the old ones.
                assert_eq!(rotated.phase(&lab), Some("trust-both"), "{rotated:?}, {last}");
                lab.good(&["apply"]);
                write_proof(&mut lab, rotated);
                lab.good(&rotated.args("abort", &["--report", "proof.json"]));
            }
            assert_eq!(rotated.phase(&lab), None, "{rotated:?}, {last}");
            lab.now = OffsetDateTime::now_utc();
            lab.good(&["apply"]);
            assert!(bundles(&lab) == before, "{rotated:?}, {last}: the bundles");
            let left = credentials(&lab);
            let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&left), names(&keys), "{rotated:?}, {last}");
            assert!(left == keys, "{rotated:?}, {last}: the files below pki");
            lab.good(&["verify", "--offline"]);
        }
    }
}
