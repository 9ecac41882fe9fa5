//! Who owns what is believed, and who else may change it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::support::fleets::calls_of;
use super::support::{CLUSTER, Lab, Ran};

use crate::support::outside::needs;

/// Some other user.
const OTHER: u32 = 54_321;

/// False where nobody may give files away: then nothing can be tried.
fn given_away(path: &Path) -> bool {
    chown(path, Some(OTHER), None).is_ok()
}

fn words(ran: &Ran) -> String {
    ran.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

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
        let offline = lab.run(&["verify", "--offline", "--trust-owner"]);
        assert_eq!(offline.status, 1, "{offline}");
        assert!(words(&offline).contains("belongs to uid 54321"), "{offline}");
        // Who became root with sudo is known.
        lab.env.insert("SUDO_UID".into(), OTHER.to_string().into());
        lab.good(&["policy"]);
        lab.env.clear();
        chown(&path, Some(ours), None).expect("taken back");
    }
    lab.good(&["verify", "--offline"]);
}

#[test]
fn what_others_may_change_is_found() {
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
        let ran = lab.run(&["verify", "--offline"]);
        assert_eq!(ran.status, status, "{path}: {ran}");
        assert!(words(&ran).contains("others can change it"), "{path}: {ran}");
        set(path, before);
    }
    let clean = lab.good(&["verify", "--offline"]);
    assert!(!words(&clean).contains("others can change it"), "{clean}");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_passphrase() {
    let lab = Lab::with(CLUSTER);
    lab.write("marked", "\u{feff}right\r\n");
    lab.write("plain", "right\n");
    lab.good(&["init-ca", "--ca-passphrase-file", "marked"]);
    lab.good(&["issue-node", "on", "--ca-passphrase-file", "plain"]);
}

#[test]
fn no_node_is_called_localhost() {
    for node in ["{name: localhost, addresses: [10.20.9.1]}", "{name: n9, addresses: [localhost]}"] {
        let lab = Lab::with(&format!("{CLUSTER}- {node}\n"));
        assert_eq!(lab.run(&["policy", "--check"]).status, 2, "{node}");
    }
}

#[test]
fn a_root_is_warned_of_before_it_shortens_what_it_signs() {
    let mut lab = Lab::issued();
    let warned = |lab: &Lab| {
        let ran = lab.run(&["verify", "--offline"]);
        words(&ran).contains("plan for new roots")
    };
    lab.now += time::Duration::days(3650 - 400);
    assert!(!warned(&lab));
    lab.now += time::Duration::days(40);
    assert!(warned(&lab), "it ends within a year, and certificates live for one");
}

#[test]
fn memory_with_keys_is_kept_out_of_core_dumps() {
    needs!("strace");
    let lab = Lab::with(CLUSTER);
    let calls = calls_of(&lab, "prctl,prlimit64,setrlimit", &["policy", "--check"]);
    assert!(calls.contains("PR_SET_DUMPABLE") && calls.contains("RLIMIT_CORE"), "{calls}");
}
