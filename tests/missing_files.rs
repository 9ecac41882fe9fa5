//! Files that are named and do not exist: every error has a remedy.

use std::fs;

use crate::support::Lab;

/// Every argument that names a file or a folder to read, with a name that does not exist.
const COMMANDS: [&[&str]; 44] = [
    &["show", "pki/none.crt"],
    &["lint", "pki/none.crt"],
    &["lint", "none/none.crt"],
    &["explain", "none"],
    &["validate", "--dir", "none"],
    &["status", "--pki", "none"],
    &["status", "--state", "none"],
    &["log", "--state", "none"],
    &["sign", "none.request"],
    &["sign", "on.request", "--known-hosts", "none"],
    &["request", "on", "--root", "none"],
    &["request", "on", "--root", "image", "--ssh-host-key", "none"],
    &["--dir", "empty", "import-ca", "--from-kubeadm", "none"],
    &["--dir", "empty", "import-ca", "--from-k3s", "none"],
    &["--dir", "empty", "import-ca", "--from-kubeadm", "image"],
    &["rotate-ca", "start", "--cert", "none.crt", "--key", "none.key"],
    &["rotate-ca", "start", "--cert", "other.crt", "--key", "none.key"],
    &["rotate-ca", "start", "--cert", "other.crt", "--key", "other.key", "--chain", "none"],
    &["init-ca", "--intermediate", "--renew", "--root-in", "none", "--plaintext-ca-key"],
    &["issue-node", "on", "--reissue", "--ca-passphrase-file", "none"],
    &["verify", "--replay", "none"],
    &["verify", "--from", "none"],
    &["verify", "--kubeconfig", "none"],
    &["verify", "--crl", "none"],
    &["verify", "--record", "none/run.json"],
    &["bundle", "on", "--templates", "none"],
    &["bundle", "on", "--sign-with", "none"],
    &["bundle", "on", "--encrypt-to", "none"],
    &["bundle", "on", "--known-hosts", "none"],
    &["policy", "--templates", "none"],
    &["open", "none"],
    &["open", "bundles/on.tar.gz", "--signer", "none"],
    &["open", "sealed.age", "--identity", "none"],
    &["backup", "new.age", "--passphrase-file", "none"],
    &["backup", "new.age", "--encrypt-to", "none"],
    &["--dir", "bare", "restore", "none"],
    &["--dir", "bare", "restore", "sealed.age", "--identity", "none"],
    &["revoke", "--from", "none"],
    &["revoke", "none.crt", "--yes"],
    &["ledger", "adopt", "none"],
    &["--dir", "bare", "init", "--from-kubectl", "none"],
    // From here on, there is no CA of etcd.
    &["import-ca", "--as", "etcd", "--cert", "none.crt", "--key", "pki/ca.key"],
    &["import-ca", "--as", "etcd", "--cert", "other.crt", "--key", "none.key"],
    &["import-ca", "--as", "etcd", "--cert", "other.crt", "--key", "other.key", "--chain", "none"],
];

#[test]
fn every_error_of_a_missing_file_has_a_remedy() {
    let lab = Lab::issued();
    for folder in ["image", "empty", "bare"] {
        fs::create_dir(lab.path(folder)).expect("a folder");
    }
    lab.write("empty/cluster.yaml", crate::support::CLUSTER);
    let other = Lab::with_roots();
    for ending in ["crt", "key"] {
        fs::copy(other.path(&format!("pki/ca.{ending}")), lab.path(&format!("other.{ending}"))).expect("copied");
    }
    lab.good(&["bundle", "on"]);
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&["backup", "sealed.age", "--passphrase-file", "passphrase"]);
    lab.good(&["request", "on", "--root", "image"]);
    let without = COMMANDS.iter().filter_map(|args| {
        if args.contains(&"--as") {
            fs::remove_dir_all(lab.path("pki/etcd")).unwrap_or_default();
        }
        let ran = lab.run(args);
        let is_told = matches!(ran.status, 1..=4) && ran.err.contains("\nhint: ");
        (!is_told).then(|| format!("{args:?}: {ran}"))
    });
    assert_eq!(without.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_similar_file_or_the_missing_folder_is_named() {
    let lab = Lab::issued();
    let hint = |path: &str| {
        let ran = lab.run(&["lint", path]);
        let hint = ran.err.lines().find_map(|line| line.strip_prefix("hint: ").map(str::to_owned));
        hint.unwrap_or_else(|| panic!("{path}: {ran}"))
    };
    assert!(hint("pki/ca.cert").contains("DIR/pki/ca.crt "));
    assert!(hint("pki/nothing-like-it.crt").contains("DIR/pki "));
    assert!(hint("pkj/ca.crt").contains("DIR/pkj"));
}
