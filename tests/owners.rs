//! Owners and modes of trusted files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::support::fleets::calls_of;
use super::support::{CLUSTER, Lab};

use crate::support::offline::offline;
use crate::support::outside::needs;

/// Another user.
const OTHER: u32 = 54_321;

/// Changes the owner. Returns false without the right to do so.
fn given_away(path: &Path) -> bool {
    chown(path, Some(OTHER), None).is_ok()
}

/// The finding about files that other users own or can change.
const OWNERS: &str = "fail store.credential owners restrict-owners";

#[test]
fn a_directory_that_another_user_owns_is_not_used() {
    let mut lab = Lab::issued();
    for what in ["", "cluster.yaml", "pki"] {
        let path = lab.path(what);
        let ours = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&path).expect("there"));
        if !given_away(&path) {
            return;
        }
        for command in [&["policy"][..], &["issue-node", "--all"], &["bundle", "--all"], &["verify", "--offline"]] {
            let ran = lab.run(command);
            assert_eq!(ran.status, 3, "{what} {command:?}: {ran}");
            assert!(ran.err.contains("--trust-owner") && ran.err.contains("uid 54321"), "{ran}");
        }
        lab.good(&["policy", "--trust-owner"]);
        let found = offline(&lab, &["--trust-owner"]);
        assert_eq!(found.status, 1, "{found:?}");
        assert!(found.observed(OWNERS).contains(&OTHER.to_string()), "{found:?}");
        // SUDO_UID names the user who became root.
        lab.env.insert("SUDO_UID".into(), OTHER.to_string().into());
        lab.good(&["policy"]);
        lab.env.clear();
        chown(&path, Some(ours), None).expect("taken back");
        // What root wrote belongs to the folder's owner.
        fs::remove_dir_all(lab.path("policy")).expect("removed");
    }
    lab.good(&["verify", "--offline"]);
}

#[test]
fn root_leaves_no_file_of_its_own_in_the_directory_of_another_user() {
    needs!("root");
    let mut lab = Lab::with(CLUSTER);
    let give = |path: &Path| chown(path, Some(OTHER), Some(OTHER)).expect("given away");
    give(lab.dir());
    give(&lab.path("cluster.yaml"));
    lab.env.insert("SUDO_UID".into(), OTHER.to_string().into());
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["apply"]);
    lab.good(&["apply", "--format", "dir"]);
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["revoke", "on", "--yes"]);
    lab.good(&["issue-node", "on"]);
    lab.good(&["bundle", "--verifier"]);
    lab.write("passphrase", "three in the morning\n");
    give(&lab.path("passphrase"));
    lab.good(&["backup", "prod.age", "--passphrase-file", "passphrase"]);
    fs::create_dir(lab.path("new")).expect("made");
    give(&lab.path("new"));
    lab.good(&["--dir", "new/prod", "restore", "prod.age", "--passphrase-file", "passphrase"]);
    lab.good(&["--dir", "new/prod", "issue-node", "--all", "--reissue"]);
    let mut open = vec![lab.dir().to_owned()];
    let mut seen = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let facts = fs::symlink_metadata(&path).expect("metadata");
            let owner = (std::os::unix::fs::MetadataExt::uid(&facts), std::os::unix::fs::MetadataExt::gid(&facts));
            assert_eq!(owner, (OTHER, OTHER), "{}", path.display());
            seen += 1;
            if facts.is_dir() {
                open.push(path);
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn files_that_other_users_can_change_are_found() {
    let lab = Lab::issued();
    lab.good(&["policy"]);
    let set = |path: &str, mode| fs::set_permissions(lab.path(path), fs::Permissions::from_mode(mode)).expect("set");
    for (path, before, mode, status) in [
        ("cluster.yaml", 0o644, 0o666, 1),
        ("cluster.yaml", 0o644, 0o664, 0),
        ("", 0o700, 0o777, 1),
        ("pki/ca.crt", 0o644, 0o666, 1),
        ("policy/masters/authorization.yaml", 0o644, 0o646, 1),
    ] {
        set(path, mode);
        let found = offline(&lab, &[]);
        assert_eq!(found.status, status, "{path}: {found:?}");
        let ids = if status == 1 { OWNERS } else { "warn store.credential owners restrict-owners" };
        assert!(found.observed(ids).contains(&format!("{mode:04o}")), "{path}: {found:?}");
        set(path, before);
    }
    assert_eq!(offline(&lab, &[]).ids(), [""; 0]);
}

#[test]
fn keys_and_folders_that_are_open_to_others_are_warned_of_when_they_are_used() {
    let lab = Lab::issued();
    let set = |path: &str, mode| fs::set_permissions(lab.path(path), fs::Permissions::from_mode(mode)).expect("set");
    let warned = |args: &[&str], path: &str| lab.good(args).err.contains(&format!(" DIR{path}: "));
    let reissue = ["issue-node", "on", "--reissue"];
    assert!(!warned(&reissue, "/pki/ca.key") && !warned(&reissue, ""));
    set("pki/ca.key", 0o644);
    assert!(warned(&reissue, "/pki/ca.key"));
    set("pki/ca.key", 0o600);
    for folder in ["", "/pki"] {
        set(folder.trim_start_matches('/'), 0o777);
        assert!(warned(&reissue, folder), "{folder}");
        set(folder.trim_start_matches('/'), 0o700);
    }
    // The key of another role is not used.
    set("pki/etcd/ca.key", 0o644);
    assert!(
        !warned(&reissue, "/pki/etcd/ca.key") && warned(&["issue-master", "--all", "--reissue"], "/pki/etcd/ca.key")
    );
}

#[test]
fn a_byte_order_mark_is_not_part_of_a_passphrase() {
    let lab = Lab::with(CLUSTER);
    lab.write("marked", "\u{feff}three in the morning\r\n");
    lab.write("plain", "three in the morning\n");
    lab.good(&["init-ca", "--ca-passphrase-file", "marked"]);
    lab.good(&["issue-node", "on", "--ca-passphrase-file", "plain"]);
}

#[test]
fn a_node_named_localhost_is_refused() {
    for node in ["{name: localhost, addresses: [10.20.9.1]}", "{name: n9, addresses: [localhost]}"] {
        let lab = Lab::with(&format!("{CLUSTER}- {node}\n"));
        assert_eq!(lab.run(&["policy", "--check"]).status, 2, "{node}");
    }
}

#[test]
fn a_ca_that_will_shorten_certificates_gives_a_warning() {
    let mut lab = Lab::issued();
    let warned = |lab: &Lab| offline(lab, &[]).has_remedy("plan-new-roots");
    lab.now += time::Duration::days(3650 - 400);
    assert!(!warned(&lab));
    lab.now += time::Duration::days(40);
    assert!(warned(&lab), "it ends within a year, and certificates live for one");
}

#[test]
fn core_dumps_are_disabled() {
    needs!("strace");
    let lab = Lab::with(CLUSTER);
    let calls = calls_of(&lab, "prctl,prlimit64,setrlimit", &["policy", "--check"]);
    assert!(calls.contains("PR_SET_DUMPABLE") && calls.contains("RLIMIT_CORE"), "{calls}");
}
