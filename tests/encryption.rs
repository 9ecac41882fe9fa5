//! Encrypted bundles: `age` and `open` decrypt them, and are replaced only on request.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use clusterctl::app::package::PackageError;

use crate::support::Lab;
use crate::support::encryption::{age_key, age_opens, bundles, host, ssh_key, unpacked};
use crate::support::outside::needs;
use crate::support::packages::package;

#[test]
fn a_bundle_is_encrypted_to_ssh_and_age_keys_and_each_of_them_decrypts_it() {
    needs!("age", "age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    lab.good(&["bundle", "on"]);
    let plain = fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle");
    let keys = [
        ("ed25519", ssh_key(&lab, "ed25519", "ed25519", "")),
        ("rsa", ssh_key(&lab, "rsa", "rsa", "")),
        ("age", age_key(&lab, "age")),
    ];
    let mut args = vec!["bundle", "on"];
    for (_, recipient) in &keys {
        args.extend(["--encrypt-to", recipient]);
    }
    let ran = lab.good(&args);
    assert_eq!(ran.out, "DIR/bundles/on.tar.gz.age\n");
    // The plaintext bundle is removed, and the encrypted one has mode 0600.
    assert_eq!(bundles(&lab), ["on.tar.gz.age"]);
    assert_eq!(fs::metadata(lab.path("bundles/on.tar.gz.age")).expect("there").permissions().mode() & 0o777, 0o600);
    for (name, _) in &keys {
        assert_eq!(age_opens(&lab, "bundles/on.tar.gz.age", name).as_deref(), Some(plain.as_slice()), "{name}");
        let opened = lab.good(&["open", "bundles/on.tar.gz.age", "--identity", name, "--to", &format!("by-{name}")]);
        assert_eq!(opened.err.matches("warning: ").count(), 1, "install.sh refuses it on another host: {opened}");
        let files = unpacked(&lab.path(&format!("by-{name}")));
        assert!(files.contains(&("install.sh".to_owned(), 0o755)), "{files:?}");
        assert!(files.contains(&("var/lib/kubelet/pki/kubelet-client.key".to_owned(), 0o600)), "{files:?}");
        assert!(files.contains(&("etc/kubernetes/pki/ca.crt".to_owned(), 0o644)), "{files:?}");
    }
    let folder = fs::metadata(lab.path("by-age")).expect("there").permissions().mode() & 0o777;
    assert_eq!(folder, 0o700);
    // age draws random keys, so the ciphertext differs; the content does not.
    let first = fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle");
    fs::remove_file(lab.path("bundles/on.tar.gz.age")).expect("removed");
    lab.good(&args);
    let second = fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle");
    assert_ne!(first, second);
    assert_eq!(age_opens(&lab, "bundles/on.tar.gz.age", "age").as_deref(), Some(plain.as_slice()));
    // With --unencrypted the plaintext bundle replaces the encrypted one.
    lab.good(&["bundle", "on", "--unencrypted"]);
    assert_eq!(bundles(&lab), ["on.tar.gz"]);
}

#[test]
fn an_unencrypted_bundle_replaces_an_encrypted_one_only_when_requested() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "key");
    lab.good(&["bundle", "--all", "--encrypt-to", &recipient]);
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "on"]);
    assert_eq!((refused.status, refused.out.as_str()), (3, ""), "{refused}");
    insta::assert_snapshot!("an_encrypted_bundle_is_not_replaced", refused.err);
    // Without the flag nothing is packed, in any format.
    for format in ["tar.gz", "dir", "cloud-init", "ignition"] {
        let refused = lab.run(&["bundle", "--all", "--format", format]);
        assert_eq!((refused.status, refused.out.as_str()), (3, ""), "{refused}");
        assert_eq!(lab.snapshot(), before, "{format}");
    }
    let all = ["master-1", "master-2", "worker-a1.fra1.example.net", "on", "worker-b1"];
    assert_eq!(package(&lab, &[]), Err(PackageError::WouldReplaceEncrypted(all.map(host).into())));
    // One encrypted bundle is enough to keep all.
    for host in ["master-1", "master-2", "worker-a1.fra1.example.net", "worker-b1"] {
        fs::remove_file(lab.path(&format!("bundles/{host}.tar.gz.age"))).expect("removed");
    }
    assert_eq!(lab.run(&["bundle", "--all"]).status, 3);
    assert_eq!(bundles(&lab), ["on.tar.gz.age"]);
    lab.good(&["bundle", "worker-b1"]);
    lab.good(&["bundle", "--all", "--encrypt-to", &recipient]);
    lab.good(&["bundle", "--all", "--unencrypted"]);
    assert!(bundles(&lab).len() == 5 && bundles(&lab).iter().all(|name| name.ends_with(".tar.gz")));
}

#[test]
fn an_encrypted_bundle_that_is_up_to_date_is_left_alone() {
    needs!("age", "age-keygen");
    use std::os::unix::fs::MetadataExt;
    let lab = Lab::issued();
    let (recipient, other) = (age_key(&lab, "key"), age_key(&lab, "other"));
    let pack = |to: &[&str]| -> Vec<String> {
        let recipients = to.iter().flat_map(|to| ["--encrypt-to", to]);
        let ran = lab.good(&["bundle", "--all", "--output", "json"].into_iter().chain(recipients).collect::<Vec<_>>());
        let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        serde_json::from_value(report["changed"].clone()).expect("a list of names")
    };
    let inode = |host: &str| fs::metadata(lab.path(&format!("bundles/{host}.tar.gz.age"))).expect("facts").ino();
    assert_eq!(pack(&[&recipient]).len(), 5);
    let (on, worker) = (inode("on"), inode("worker-b1"));
    assert!(pack(&[&recipient]).is_empty() && inode("on") == on);
    lab.good(&["issue-node", "--reissue", "on"]);
    assert_eq!(pack(&[&recipient]), ["on"]);
    assert!(inode("worker-b1") == worker);
    // A changed bundle, and one with a changed recipient, is encrypted again.
    let path = lab.path("bundles/on.tar.gz.age");
    let mut bytes = fs::read(&path).expect("an archive");
    *bytes.last_mut().expect("an octet") ^= 1;
    fs::write(&path, bytes).expect("written");
    fs::set_permissions(lab.path("bundles/worker-b1.tar.gz.age"), fs::Permissions::from_mode(0o644)).expect("set");
    assert_eq!(pack(&[&recipient]), ["on", "worker-b1"]);
    assert_eq!(pack(&[&recipient, &other]).len(), 5);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "other").is_some());
    assert!(pack(&[&other, &recipient]).is_empty(), "in another order");
}

#[test]
fn an_unpacked_bundle_can_be_installed() {
    needs!("ssh-keygen");
    let lab = Lab::issued();
    let recipient = ssh_key(&lab, "key", "ed25519", "");
    lab.good(&["bundle", "on", "--encrypt-to", &recipient]);
    lab.good(&["open", "bundles/on.tar.gz.age", "-i", "key"]);
    let root = lab.path("root");
    fs::create_dir(&root).expect("made");
    let installed = Command::new("sh").arg(lab.path("on/install.sh")).env("DESTDIR", &root).output().expect("a shell");
    assert!(installed.status.success(), "{installed:?}");
    assert!(root.join("var/lib/kubelet/pki/kubelet-client.key").exists());
}
