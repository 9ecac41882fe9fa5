//! Keys of CAs in PKCS#11 tokens: SoftHSM, with OpenSC and openssl beside it.
//!
//! A module is loaded once by a process and reads its settings from the environment, so that each run is a process of its
//! own.

mod backups;
mod faults;

use std::path::Path;
use std::process::{Command, Output};

use crate::support::outside::{needs, stdout};
use crate::support::{CLUSTER, Lab, tool};

const PIN: &str = "648219";

/// Returns the path of SoftHSM's module.
fn module() -> &'static str {
    let known = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
    known.into_iter().find(|path| Path::new(path).exists()).expect("SoftHSM has a module")
}

/// A cluster directory and a token of its own, called `prod`.
fn with_token() -> Lab {
    let mut lab = Lab::empty();
    std::fs::create_dir(lab.path("tokens")).expect("a folder");
    let settings = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        lab.path("tokens").display()
    );
    lab.write("softhsm2.conf", &settings);
    lab.env.insert("SOFTHSM2_CONF".to_owned(), lab.path("softhsm2.conf").into());
    let init = ["--init-token", "--free", "--label", "prod", "--pin", PIN, "--so-pin", "11223344"];
    stdout(Command::new("softhsm2-util").args(init).envs(&lab.env));
    lab.write("pin", &format!("{PIN}\n"));
    names(&lab, ["ca", "etcd", "proxy"], "?pin-source=file:pin");
    lab
}

/// Names keys of the token as those of the cluster's, etcd's and the front proxy's CA.
fn names(lab: &Lab, labels: [&str; 3], query: &str) {
    let mut text = format!("{CLUSTER}signers:\n");
    for (role, label) in ["cluster", "etcd", "front-proxy"].into_iter().zip(labels) {
        let uri = format!("pkcs11:token=prod;object={label}{query}");
        text.push_str(&format!("  {role}: {{pkcs11: \"{uri}\", module: \"{}\"}}\n", module()));
    }
    lab.write("cluster.yaml", &text);
}

fn pkcs11_tool(lab: &Lab, args: &[&str]) -> String {
    let login = ["--module", module(), "--token-label", "prod", "--login", "--pin", PIN];
    stdout(Command::new("pkcs11-tool").args(login).args(args).envs(&lab.env))
}

fn run(lab: &Lab, args: &[&str]) -> Output {
    lab.process(args).output().expect("it runs")
}

#[track_caller]
fn good(lab: &Lab, args: &[&str]) {
    stdout(&mut lab.process(args));
}

/// Returns the exit status and the error, for a snapshot.
fn failure(lab: &Lab, args: &[&str]) -> String {
    let output = run(lab, args);
    let error = String::from_utf8_lossy(&output.stderr).replace(&lab.dir().display().to_string(), "DIR");
    format!("exit status {}\n{}", output.status.code().unwrap_or(-1), error.replace(module(), "MODULE"))
}

fn openssl_accepts(lab: &Lab, certificate: &str) -> bool {
    let path = |name: &str| lab.path(name).display().to_string();
    let (root, crl, leaf) = (path("pki/ca.crt"), path("pki/crl.pem"), path(certificate));
    let mut args = vec!["verify", "-CAfile", &root];
    if Path::new(&crl).exists() {
        args.extend(["-crl_check", "-CRLfile", &crl]);
    }
    args.push(&leaf);
    tool("openssl", &args).status.success()
}

/// Issues, packs, revokes and renews with keys in the token.
fn full_lifecycle(lab: &Lab) {
    good(lab, &["init-ca"]);
    for role in ["", "etcd/", "front-proxy/"] {
        assert!(lab.path(&format!("pki/{role}ca.crt")).exists() && !lab.path(&format!("pki/{role}ca.key")).exists());
    }
    good(lab, &["issue-master", "--all"]);
    good(lab, &["issue-node", "--all"]);
    good(lab, &["issue-admin", "alice"]);
    good(lab, &["bundle", "--all"]);
    good(lab, &["verify", "--offline"]);
    let node = |name: &str| format!("pki/nodes/{name}/kubelet-server.crt");
    assert!(openssl_accepts(lab, &node("on")) && openssl_accepts(lab, &node("worker-b1")));
    good(lab, &["revoke", "on", "--yes"]);
    assert!(!openssl_accepts(lab, &node("on")) && openssl_accepts(lab, &node("worker-b1")));
    let before = lab.read(&node("worker-b1"));
    good(lab, &["renew", "--all", "--within", "400d"]);
    assert_ne!(lab.read(&node("worker-b1")), before);
    good(lab, &["bundle", "--all"]);
    good(lab, &["verify", "--offline"]);
}

#[test]
fn keys_are_made_in_a_token_and_stay_there() {
    needs!("softhsm2-util", "pkcs11-tool", "openssl");
    let lab = with_token();
    full_lifecycle(&lab);
    let objects = pkcs11_tool(&lab, &["--list-objects", "--type", "privkey"]);
    assert_eq!(objects.matches("never extractable").count(), 3, "{objects}");
    assert_eq!(objects.matches("EC").count(), 3, "{objects}");
}

#[test]
fn keys_that_a_token_has_are_used() {
    needs!("softhsm2-util", "pkcs11-tool", "openssl");
    let lab = with_token();
    for (label, kind, id) in
        [("ca", "rsa:2048", "01"), ("etcd", "EC:secp384r1", "02"), ("proxy", "EC:prime256v1", "03")]
    {
        pkcs11_tool(&lab, &["--keypairgen", "--key-type", kind, "--label", label, "--id", id]);
    }
    full_lifecycle(&lab);
    let objects = pkcs11_tool(&lab, &["--list-objects", "--type", "privkey"]);
    assert_eq!(objects.matches("label:").count(), 3, "none was made: {objects}");
}

#[test]
fn a_ca_is_imported_whose_key_is_in_a_token() {
    needs!("softhsm2-util", "pkcs11-tool", "openssl");
    let lab = with_token();
    good(&lab, &["init-ca"]);
    for role in ["", "etcd/", "front-proxy/"] {
        let name = format!("{}.crt", role.trim_end_matches('/'));
        std::fs::rename(lab.path(&format!("pki/{role}ca.crt")), lab.path(&name)).expect("moved");
    }
    std::fs::remove_dir_all(lab.path("pki")).expect("removed");
    let other = run(&lab, &["import-ca", "--as", "cluster", "--cert", "etcd.crt"]);
    assert_eq!(other.status.code(), Some(3), "its key is another one");
    good(&lab, &["import-ca", "--as", "cluster", "--cert", ".crt"]);
    good(&lab, &["import-ca", "--as", "etcd", "--cert", "etcd.crt"]);
    good(&lab, &["import-ca", "--as", "front-proxy", "--cert", "front-proxy.crt"]);
    good(&lab, &["issue-master", "--all"]);
    good(&lab, &["issue-node", "--all"]);
    good(&lab, &["bundle", "--all"]);
    good(&lab, &["verify", "--offline"]);
}

#[test]
fn a_pin_comes_from_the_environment_too() {
    needs!("softhsm2-util", "openssl");
    let mut lab = with_token();
    names(&lab, ["ca", "etcd", "proxy"], "");
    insta::assert_snapshot!("no_pin", failure(&lab, &["init-ca"]));
    assert!(!lab.path("pki").exists());
    lab.env.insert("CLUSTERCTL_PIN".to_owned(), PIN.into());
    good(&lab, &["init-ca"]);
    lab.env.insert("CLUSTERCTL_PIN".to_owned(), "000000".into());
    insta::assert_snapshot!("wrong_pin", failure(&lab, &["issue-node", "--all"]));
    lab.env.insert("CLUSTERCTL_PIN".to_owned(), PIN.into());
    good(&lab, &["issue-node", "--all"]);
}

#[test]
fn a_token_that_cannot_sign_issues_nothing() {
    needs!("softhsm2-util", "pkcs11-tool", "openssl");
    let lab = with_token();
    good(&lab, &["init-ca"]);
    let good_file = lab.read("cluster.yaml");
    let mut shown = String::new();
    let mut fails = |change: (&str, &str)| {
        let text = good_file.replace(change.0, change.1);
        assert_ne!(text, good_file, "{change:?}");
        lab.write("cluster.yaml", &text);
        // Of several hosts, the first that fails is named: which one is not determined.
        let error = failure(&lab, &["issue-node", "on"]);
        shown.push_str(&format!("--- {} -> {}\n{error}", change.0.replace(module(), "MODULE"), change.1));
        assert!(!lab.path("pki/nodes/on").exists(), "{change:?}");
    };
    fails(("token=prod", "token=other"));
    fails(("object=ca", "object=no-such-key"));
    fails(("object=ca", "object=etcd"));
    fails((module(), "/no/such/module.so"));
    fails((module(), "./cluster.yaml"));
    fails(("file:pin", "no-such-file"));
    insta::assert_snapshot!("a_token_that_cannot_sign", shown);
    lab.write("cluster.yaml", &good_file);
    good(&lab, &["issue-node", "--all"]);
}

#[test]
fn a_token_is_named_by_its_attributes() {
    needs!("softhsm2-util", "openssl");
    let lab = with_token();
    lab.write("cluster.yaml", &lab.read("cluster.yaml").replace("object=ca?", "object=ca;serial=0?"));
    insta::assert_snapshot!("no_such_serial", failure(&lab, &["init-ca"]));
    assert!(!lab.path("pki").exists());
    lab.write("cluster.yaml", &lab.read("cluster.yaml").replace("serial=0", "model=SoftHSM%20v2"));
    good(&lab, &["init-ca"]);
}

#[test]
fn ed25519_keys_are_made_in_a_token_and_stay_there() {
    needs!("softhsm2-util", "pkcs11-tool", "openssl");
    let lab = with_token();
    lab.write("cluster.yaml", &format!("{}keys: ed25519\n", lab.read("cluster.yaml")));
    full_lifecycle(&lab);
    let objects = pkcs11_tool(&lab, &["--list-objects", "--type", "privkey"]);
    assert_eq!(objects.matches("EC_EDWARDS").count(), 3, "{objects}");
    assert_eq!(objects.matches("never extractable").count(), 3, "{objects}");
    let root = tool("openssl", &["x509", "-in", &lab.path("pki/ca.crt").display().to_string(), "-noout", "-text"]);
    assert!(String::from_utf8_lossy(&root.stdout).contains("ED25519"));
}

#[test]
fn an_ed25519_key_that_a_token_has_is_used() {
    needs!("softhsm2-util", "pkcs11-tool", "openssl");
    let lab = with_token();
    for (label, id) in [("ca", "01"), ("etcd", "02"), ("proxy", "03")] {
        pkcs11_tool(&lab, &["--keypairgen", "--key-type", "EC:edwards25519", "--label", label, "--id", id]);
    }
    full_lifecycle(&lab);
    let objects = pkcs11_tool(&lab, &["--list-objects", "--type", "privkey"]);
    assert_eq!(objects.matches("label:").count(), 3, "none was made: {objects}");
}

#[test]
fn a_token_that_cannot_make_a_kind_of_key_says_so() {
    needs!("softhsm2-util", "openssl");
    let lab = with_token();
    lab.write("cluster.yaml", &format!("{}keys: ed25519\n", lab.read("cluster.yaml")));
    let without = "slots.mechanisms = -CKM_EC_EDWARDS_KEY_PAIR_GEN,CKM_EDDSA\n";
    lab.write("softhsm2.conf", &format!("{}{without}", lab.read("softhsm2.conf")));
    insta::assert_snapshot!("a_kind_that_the_token_does_not_make", failure(&lab, &["init-ca"]));
    assert!(!lab.path("pki").exists());
}
