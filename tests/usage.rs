//! Usage errors, and warnings that are always printed.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use clap::Parser;
use clusterctl::commands::tree::Cli;

use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab};

#[test]
fn verbs_of_other_programs_get_a_suggestion() {
    let lab = Lab::empty();
    for (verb, names) in [
        ("rotate", "clusterctl renew"),
        ("expiry", "clusterctl status"),
        ("list", "clusterctl show"),
        ("get", "clusterctl show"),
        ("scan", "clusterctl lint"),
        ("delete", "clusterctl remove"),
        ("rm", "clusterctl remove"),
        ("enroll", "install.sh"),
        ("sync", "clusterctl apply"),
        ("diff", "clusterctl plan"),
        ("certs", "clusterctl show"),
        ("generate", "Cluster API"),
        ("describe", "Cluster API"),
        ("move", "Cluster API"),
    ] {
        let ran = lab.run(&[verb, "wk1"]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{verb}: {ran}");
        assert!(ran.err.contains(names) && !ran.err.contains("similar"), "{verb}: {ran}");
    }
    let ran = lab.run(&["init", "--infrastructure", "docker"]);
    assert!(ran.status == 2 && ran.err.contains("Cluster API"), "{ran}");
}

#[test]
fn all_flags_for_durations_parse_the_same() {
    let parses = |args: &[&str]| Cli::try_parse_from([&["clusterctl"], args].concat()).is_ok();
    for time in ["5", "0.5", "5s", "500ms", "2m", "1m30s", "12h", "1d"] {
        assert!(parses(&["verify", "--timeout", time]) && parses(&["verify", "--deadline", time]), "{time}");
        assert!(parses(&["rotate-ca", "next", "--timeout", time]), "{time}");
    }
    for wrong in ["", "s", "-5s", "5 s", "5x", "0s", "0", "30d", "nan", "inf"] {
        assert!(!parses(&["verify", "--timeout", wrong]), "{wrong}");
        assert!(!parses(&["rotate-ca", "abort", "--timeout", wrong]), "{wrong}");
    }
    for args in [["verify", "--expires-within"], ["issue-node", "--renew-within"], ["issue-admin", "--validity"]] {
        assert!(parses(&[&args[..], &["30d"]].concat()) && parses(&[&args[..], &["12h"]].concat()), "{args:?}");
    }
}

#[test]
fn a_readable_passphrase_gives_a_warning_and_a_weak_one_is_refused() {
    let warnings_of = |text: &str, mode: u32, more: &[&str]| {
        let lab = Lab::with(CLUSTER);
        lab.write("passphrase", text);
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(lab.path("passphrase"), mode).expect("set");
        let ran = lab.good(&[&["init-ca", "--ca-passphrase-file", "passphrase"], more].concat());
        let warned =
            ran.err.lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned).collect::<Vec<_>>();
        (warned, lab)
    };
    let (warned, _) = warnings_of("three in the morning", 0o600, &[]);
    assert!(warned.is_empty(), "{warned:?}");
    let (warned, lab) = warnings_of("three in the morning", 0o644, &[]);
    assert!(warned.len() == 1 && warned[0].contains("DIR/passphrase"), "{warned:?}");
    let ran = lab.good(&["issue-node", "--all", "--ca-passphrase-file", "passphrase"]);
    insta::assert_snapshot!("a_passphrase_that_others_can_read", ran.err.lines().next().unwrap_or_default());
    let (warned, _) = warnings_of("x", 0o600, &["--allow-weak-passphrase"]);
    assert!(warned.len() == 1 && !warned[0].contains("DIR"), "{warned:?}");
    for weak in ["short-one", "prod-kubernetes-2026", "123456789012345"] {
        let mut lab = Lab::with(CLUSTER);
        lab.write("passphrase", weak);
        let ran = lab.run(&["init-ca", "--ca-passphrase-file", "passphrase"]);
        assert!(ran.status == 3 && !lab.path("pki").exists() && !ran.err.contains(weak), "{weak}: {ran}");
        lab.typed = Some([weak, weak].map(str::to_owned).into());
        assert_eq!(lab.run(&["init-ca"]).status, 3, "{weak}");
        assert!(!lab.path("pki").exists());
    }
}

#[test]
fn a_long_validity_of_an_administrator_gives_a_warning() {
    let lab = Lab::with_roots();
    let ran = lab.good(&["issue-admin", "alice", "--validity", "3650d"]);
    assert_eq!(
        ran.err.lines().filter(|line| line.starts_with("warning: ") && line.contains("10y")).count(),
        1,
        "{ran}"
    );
    assert_eq!(lab.good(&["issue-admin", "bob"]).err.matches("warning: ").count(), 0);
}

#[test]
fn the_next_step_is_the_missing_one() {
    let lab = Lab::with_roots();
    let next = |args: &[&str]| {
        let ran = lab.good(args);
        ran.err.lines().last().expect("a line").rsplit("clusterctl ").next().expect("a command").to_owned()
    };
    assert_eq!(next(&["issue-node", "on"]), "issue-master --all");
    assert_eq!(next(&["issue-master", "--all"]), "issue-node --all");
    assert_eq!(next(&["issue-node", "--all"]), "bundle --all");
    assert_eq!(next(&["issue-master", "--all", "--reissue"]), "bundle --all");
}

#[test]
fn a_lost_ledger_needs_a_backup() {
    for lose in [
        |lab: &Lab| std::fs::remove_file(lab.path("pki/ledger.sqlite3")),
        |lab: &Lab| std::fs::write(lab.path("pki/ledger.sqlite3"), ""),
    ] {
        let lab = Lab::issued();
        lose(&lab).expect("lost");
        let ran = lab.run(&["issue-node", "--all", "--reissue"]);
        assert_eq!(ran.status, 4, "{ran}");
        assert!(ran.err.contains("backup") && !ran.err.contains(".recover"), "{ran}");
    }
}

/// The program in an environment where no thread can be created, as under `ulimit -u`, which does not limit root.
fn without_threads(lab: &Lab, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "trace=clone3,clone", "-e", "inject=clone3,clone:error=EAGAIN"])
        .arg(env!("CARGO_BIN_EXE_clusterctl"))
        .args(args)
        .current_dir(lab.dir())
        .env_remove("CLUSTERCTL_DIR")
        .output()
        .expect("strace");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn commands_work_without_additional_threads() {
    needs!("strace");
    let lab = Lab::with(&CLUSTER.replace("https://api.prod.example.net:6443", "https://127.0.0.9:6443"));
    for args in [
        &["init-ca", "--plaintext-ca-key"][..],
        &["issue-master", "--all"],
        &["issue-node", "--all"],
        &["issue-node", "--all", "--reissue"],
        &["bundle", "--all"],
        &["verify", "--offline"],
    ] {
        let (status, said) = without_threads(&lab, args);
        assert_eq!(status, Some(0), "{args:?}: {said}");
    }
    let (status, said) = without_threads(&lab, &["verify", "--timeout", "50ms", "--deadline", "1s"]);
    assert!(status == Some(1) && !said.contains("panicked"), "{said}");
    let (status, said) = without_threads(&lab, &["demo"]);
    assert!(status == Some(4) && said.contains("RLIMIT_NPROC") && !said.contains("panicked"), "{said}");
}

#[test]
fn a_file_size_limit_exits_with_4() {
    needs!("bash");
    let lab = Lab::issued();
    let output = Command::new("bash")
        .args(["-c", r#"ulimit -f 0; exec "$0" bundle --all"#, env!("CARGO_BIN_EXE_clusterctl")])
        .current_dir(lab.dir())
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(4) && said.contains("error: "), "{said}");
}

#[test]
fn missing_randomness_exits_with_4() {
    needs!("strace");
    let lab = Lab::with_roots();
    let output = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "trace=getrandom", "-e", "inject=getrandom:error=EIO:when=2+"])
        .arg(env!("CARGO_BIN_EXE_clusterctl"))
        .args(["issue-node", "on"])
        .current_dir(lab.dir())
        .stdin(Stdio::null())
        .output()
        .expect("strace");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("randomness"), "{said}");
}

#[test]
fn hosts_are_given_as_names_lists_and_patterns() {
    let lab = Lab::issued();
    let planned = |args: &[&str]| lab.good(&[args, &["--reissue", "--dry-run"]].concat()).out.lines().count();
    assert_eq!(planned(&["issue-node", "worker-*"]), 4);
    assert_eq!(planned(&["issue-node", "on,worker-b1"]), 4);
    // Nine per master, and the verifier's.
    assert_eq!(planned(&["issue-master", "master-?"]), 2 * 9 + 1);
    lab.good(&["bundle", "on,master-*"]);
    let mut packed: Vec<String> =
        lab.snapshot().into_keys().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    packed.retain(|name| name.ends_with(".tar.gz"));
    assert_eq!(packed, ["master-1.tar.gz", "master-2.tar.gz", "on.tar.gz"]);
    for command in ["issue-node", "bundle"] {
        assert_eq!(lab.run(&[command, "rack-*"]).status, 2, "{command}");
        assert_eq!(lab.run(&[command, "on,"]).status, 2, "{command}");
    }
}
