//! `demo`: succeeds without a fault, and finds every injected fault.

use crate::support::Lab;

#[test]
fn the_demo_passes_every_check() {
    let mut lab = Lab::empty();
    lab.now = time::OffsetDateTime::now_utc();
    let ran = lab.run(&["demo"]);
    assert_eq!(ran.status, 0, "{ran}");
    for step in ["init-ca --plaintext-ca-key", "issue-master --all", "issue-node --all", "bundle --all", "verify"] {
        assert!(ran.err.lines().any(|line| line.trim_start().starts_with(step)), "{step}: {ran}");
    }
    let passed = ran.out.lines().find_map(|line| line.split_once(" checks: ")).expect("a sum");
    assert_eq!(passed.1, format!("{} passed", passed.0), "{ran}");
    assert!(!ran.out.contains("FAIL"), "{ran}");
    assert!(lab.snapshot().is_empty(), "the demo leaves nothing where it was started");
}

#[test]
fn every_injected_fault_is_found_and_exits_with_1() {
    let faults = [
        ("expired-node", "FAIL node.dates\n    at       node node-2 "),
        ("other-ca", "FAIL node.chain\n    at       node node-2 "),
        ("wrong-name", "FAIL node.name\n    at       node node-2 "),
        ("anonymous-node", "FAIL node.anonymous\n    at       node node-2 "),
        ("anonymous-master", "FAIL master.anonymous\n"),
        ("swapped-account", "FAIL master.whoami\n"),
        ("plaintext", "FAIL node.tls\n    at       node node-2 "),
        ("expired-root", "FAIL trust.anchor"),
        ("unverified-kubelets", "FAIL master.flags\n"),
        ("no-admission", "FAIL master.admission\n"),
        ("etcd-down", "FAIL master.backend\n"),
        ("silent-node", "FAIL node.heartbeat\n    at       node node-2\n"),
        ("any-ca-master", "FAIL master.untrusted\n"),
        ("self-signed-node", "FAIL node.untrusted\n    at       node node-2 "),
        ("rsa-only-node", "FAIL node.untrusted\n    at       node node-2 "),
        ("second-request", "FAIL node.anonymous\n    at       node node-2 "),
        ("open-metrics", "FAIL node.anonymous\n    at       node node-2 "),
        ("open-secrets", "FAIL master.anonymous\n"),
        ("forbidden-masters", "FAIL node.caller\n"),
        ("contradictory-reviews", "FAIL master.scope\n"),
        ("failing-authorizer", "master.scope\n"),
        ("believed-header", "FAIL master.whoami\n"),
        ("not-reloaded", "master.denials\n"),
    ];
    let mut lab = Lab::empty();
    lab.now = time::OffsetDateTime::now_utc();
    for (fault, found) in faults {
        let ran = lab.run(&["demo", "--fault", fault]);
        assert_eq!(ran.status, 1, "{fault}: {ran}");
        assert!(ran.out.contains(found), "{fault}: {found:?} is not in {ran}");
        assert!(ran.out.contains("    hint    "), "{fault}: {ran}");
    }
    let unknown = lab.run(&["demo", "--fault", "rain"]);
    assert_eq!(unknown.status, 2);
    assert!(faults.iter().all(|(fault, _)| unknown.err.contains(fault)), "{unknown}");
}

#[test]
fn the_demo_of_a_rotation_refuses_no_connection() {
    let mut lab = Lab::empty();
    lab.now = time::OffsetDateTime::now_utc();
    let ran = lab.run(&["demo", "--rotate", "--keep", "--quiet"]);
    assert_eq!(ran.status, 0, "{ran}");
    let folder = ran.out.lines().last().expect("the folder is named").to_owned();
    let log = lab.good(&["--dir", &folder, "log", "--output", "json"]).out;
    for phase in ["prepare", "trust-both", "canary", "servers", "clients", "drop-old", "retire"] {
        assert!(log.contains(&format!("{phase}, old ")), "{phase}: {log}");
    }
    assert!(!std::path::Path::new(&folder).join("pki/rotation").exists(), "the rotation is over");
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_host_that_is_left_out_of_a_rotation_is_named() {
    let mut lab = Lab::empty();
    lab.now = time::OffsetDateTime::now_utc();
    for (fault, check) in [("left-out", "node.new-root"), ("still-trusts-old", "node.old-root")] {
        let ran = lab.run(&["demo", "--rotate", "--fault", fault]);
        assert_eq!(ran.status, 1, "{fault}: {ran}");
        assert!(ran.err.contains(&format!("node-2 {check}")), "{fault}: {ran}");
        assert_eq!(lab.run(&["demo", "--fault", fault]).status, 2, "{fault}: of another demo");
    }
    assert_eq!(lab.run(&["demo", "--rotate", "--fault", "other-ca"]).status, 2);
    assert_eq!(lab.run(&["demo", "--rotate", "--dynamic"]).status, 2);
}

#[test]
fn demo_keep_leaves_a_usable_cluster_directory() {
    let mut lab = Lab::empty();
    lab.now = time::OffsetDateTime::now_utc();
    for args in [&["demo", "--keep"][..], &["demo", "--keep", "--quiet"]] {
        let ran = lab.good(args);
        let folder = match args.contains(&"--quiet") {
            true => ran.out.lines().last(),
            false => ran.err.lines().last().and_then(|line| line.split(": ").nth(1)),
        };
        let folder = folder.expect("the folder is named").to_owned();
        assert!(!args.contains(&"--quiet") || ran.err.is_empty(), "--quiet says nothing else: {ran}");
        let offline = lab.good(&["--dir", &folder, "verify", "--offline"]);
        assert!(offline.out.contains(" passed\n"), "{offline}");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}

#[test]
fn a_stopped_demo_leaves_no_folder() {
    let tmp = tempfile::tempdir().expect("a folder");
    let listed = || std::fs::read_dir(tmp.path()).expect("a folder").count();
    let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_clusterctl"))
        .arg("demo")
        .env("TMPDIR", tmp.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    while listed() == 0 {
        assert_eq!(demo.try_wait().expect("asked"), None, "the folder is made first");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let id = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("a signal");
    demo.wait().expect("ended");
    assert_eq!(listed(), 0);
}
