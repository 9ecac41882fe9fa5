//! Tokens that are locked, that are removed while they are used, and PINs that are typed.
//!
//! SoftHSM never locks a PIN and cannot be pulled out, so a module around its own, compiled here, does that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{PIN, failure, good, module, names, run, with_token};
use crate::prompts::at_a_terminal;
use crate::support::outside::{needs, stdout};
use crate::support::{Lab, good_tool};

/// A token behind the module with faults; its PIN is in no file.
fn with_faults() -> Lab {
    let mut lab = with_token();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokens/module.c").display().to_string();
    let built = lab.path("module.so").display().to_string();
    good_tool("cc", &["-shared", "-fPIC", "-o", &built, &source, "-ldl"]);
    names(&lab, ["ca", "etcd", "proxy"], "");
    lab.write("cluster.yaml", &lab.read("cluster.yaml").replace(module(), &built));
    for (name, value) in [("MODULE", module()), ("CLUSTERCTL_PIN", PIN)] {
        lab.env.insert(name.to_owned(), value.into());
    }
    lab.env.insert("CALLS".to_owned(), lab.path("calls").into());
    good(&lab, &["init-ca"]);
    lab
}

/// Returns how often the token was asked to log in since the last call of this function.
fn logins(lab: &Lab) -> usize {
    let calls = fs::read_to_string(lab.path("calls")).unwrap_or_default();
    lab.write("calls", "");
    calls.matches("login").count()
}

/// Returns the files of credentials. The ledger caches what was verified, and the token counts wrong PINs.
fn issued(lab: &Lab) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_issued = |path: &PathBuf| path.starts_with(lab.path("pki")) && path.extension().is_some_and(|e| e == "crt");
    lab.snapshot().into_iter().filter(|(path, _)| is_issued(path)).collect()
}

#[test]
fn a_locked_pin_is_not_tried() {
    needs!("softhsm2-util", "openssl", "cc");
    let mut lab = with_faults();
    logins(&lab);
    let before = issued(&lab);
    lab.env.insert("FAULT".to_owned(), "locked".into());
    insta::assert_snapshot!("a_locked_pin", failure(&lab, &["issue-node", "--all"]));
    assert_eq!(logins(&lab), 0, "the token says that its PIN is locked");
    // It locks with this very login.
    lab.env.insert("FAULT".to_owned(), "locks".into());
    insta::assert_snapshot!("a_pin_that_locks", failure(&lab, &["issue-node", "--all"]));
    assert_eq!(logins(&lab), 1);
    assert_eq!(issued(&lab), before, "nothing was issued");
    lab.env.remove("FAULT");
    good(&lab, &["issue-node", "--all"]);
}

#[test]
fn a_token_that_is_removed_while_it_signs_loses_nothing() {
    needs!("softhsm2-util", "openssl", "cc");
    let mut lab = with_faults();
    lab.env.insert("FAULT".to_owned(), "removed".into());
    // Threads sign, so that another certificate may be the first without a signature.
    let shown = failure(&lab, &["issue-node", "--all"]);
    let shown: Vec<&str> = shown.lines().filter(|line| !line.starts_with("error: ")).collect();
    insta::assert_snapshot!("a_removed_token", shown.join("\n"));
    lab.env.remove("FAULT");
    // What the ledger has is on the disk, and no unfinished file is left.
    good(&lab, &["ledger", "check"]);
    let unfinished = lab.snapshot().into_keys().find(|path| path.display().to_string().contains("/.clusterctl"));
    assert_eq!(unfinished, None);
    let missing = |lab: &Lab| lab.process(&["issue-node", "--all", "--dry-run"]);
    assert!(!stdout(&mut missing(&lab)).is_empty(), "some nodes were not issued to");
    good(&lab, &["issue-node", "--all"]);
    good(&lab, &["issue-master", "--all"]);
    good(&lab, &["bundle", "--all"]);
    good(&lab, &["verify", "--offline"]);
}

#[test]
fn a_pin_is_typed_without_echo_and_tried_once() {
    needs!("softhsm2-util", "openssl", "cc", "python3");
    let mut lab = with_faults();
    lab.env.remove("CLUSTERCTL_PIN");
    logins(&lab);
    let typed = at_a_terminal(&lab, "PIN of the token prod", &format!("{PIN}\\r"), &["issue-node", "on"]);
    assert_eq!((&typed["status"], &typed["asBefore"]), (&0.into(), &true.into()), "{typed}");
    assert!(!typed["seen"].as_str().expect("text").contains(PIN), "{typed}");
    assert!(lab.path("pki/nodes/on/kubelet-server.crt").exists());
    assert_eq!(logins(&lab), 1);
    let before = issued(&lab);
    for (answer, status) in [("000000\\r", 3), ("\\r", 2)] {
        let wrong = at_a_terminal(&lab, "PIN of the token prod", answer, &["issue-node", "--all"]);
        assert_eq!((&wrong["status"], &wrong["asBefore"]), (&status.into(), &true.into()), "{answer}: {wrong}");
        assert!(logins(&lab) <= 1, "a wrong PIN is not tried again");
    }
    let stopped = at_a_terminal(&lab, "PIN of the token prod", "\\x03", &["issue-node", "--all"]);
    assert_eq!((&stopped["signal"], &stopped["asBefore"]), (&2.into(), &true.into()), "{stopped}");
    assert_eq!(issued(&lab), before);
    // Before the last try there is a warning.
    lab.env.insert("FAULT".to_owned(), "final-try".into());
    let last = at_a_terminal(&lab, "PIN of the token prod", &format!("{PIN}\\r"), &["issue-node", "--all"]);
    assert_eq!(last["status"], 0, "{last}");
    assert!(last["seen"].as_str().expect("text").contains("warning"), "{last}");
    assert!(run(&lab, &["issue-node", "--all", "--dry-run"]).stdout.is_empty());
}
