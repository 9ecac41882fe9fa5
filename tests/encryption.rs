//! Encrypted bundles: `age` and `open` decrypt them with keys of ssh-keygen and age-keygen, and other keys cannot.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use clusterctl::app::package::encryption::{Encryption, Recipients};
use clusterctl::app::package::open;
use clusterctl::app::package::{CredentialRemedy, OpenBundleError, PackageError, PackageReport};
use clusterctl::bundle::encryption::{DecryptError, Identity};
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::recipient::Recipient;
use clusterctl::pki::known_hosts::KnownHosts;

use crate::support::outside::needs;
use crate::support::packages::{package, package_with};
use crate::support::{CLUSTER, Lab, good_tool, tool};

/// A host's name.
fn host(name: &str) -> HostName {
    HostName::parse(name).expect("a name")
}

/// Packs hosts through the library, encrypted to these recipients.
fn encrypt(lab: &Lab, hosts: &[&str], recipients: Recipients) -> Result<PackageReport, PackageError> {
    package_with(lab, hosts, |cluster, options| {
        options.encryption = Encryption::plan(&options.hosts, cluster, options.format, &recipients)?;
        Ok(())
    })
}

/// A key pair of ssh-keygen's at `name`; its public half without the comment.
pub(crate) fn ssh_key(lab: &Lab, name: &str, kind: &str, passphrase: &str) -> String {
    let path = lab.path(name).display().to_string();
    good_tool("ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-C", "root@on", "-f", &path]);
    let public = lab.read(&format!("{name}.pub"));
    public.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// An identity of age-keygen's at `name`; its recipient.
pub(crate) fn age_key(lab: &Lab, name: &str) -> String {
    let path = lab.path(name).display().to_string();
    good_tool("age-keygen", &["-o", &path]);
    good_tool("age-keygen", &["-y", &path]).trim().to_owned()
}

/// What `age` decrypts from a file.
fn age_opens(lab: &Lab, sealed: &str, key: &str) -> Option<Vec<u8>> {
    let (sealed, key) = (lab.path(sealed).display().to_string(), lab.path(key).display().to_string());
    let output = tool("age", &["-d", "-i", &key, &sealed]);
    output.status.success().then_some(output.stdout)
}

/// [`CLUSTER`], with `sealTo` for the node called `on`.
fn cluster_with(seal_to: &str) -> String {
    let entry = "- {name: on, addresses: [10.20.4.1]}";
    assert!(CLUSTER.contains(entry));
    CLUSTER.replace(entry, &format!("- name: on\n  addresses: [10.20.4.1]\n  sealTo: {seal_to}"))
}

fn bundles(lab: &Lab) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(lab.path("bundles"))
        .map(|entries| entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

fn unpacked(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o7777;
                found.push((path.strip_prefix(folder).expect("below").display().to_string(), mode));
            }
        }
    }
    found.sort();
    found
}

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
    // The one in the clear is gone, and the sealed one is its owner's alone.
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
    // Sealing draws keys by chance; what is inside does not change.
    let first = fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle");
    fs::remove_file(lab.path("bundles/on.tar.gz.age")).expect("removed");
    lab.good(&args);
    let second = fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle");
    assert_ne!(first, second);
    assert_eq!(age_opens(&lab, "bundles/on.tar.gz.age", "age").as_deref(), Some(plain.as_slice()));
    // And back, where somebody says so: one that is written in the clear takes the sealed one's place.
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
    // The flag was forgotten: nothing for anyone, in no form.
    for format in ["tar.gz", "dir", "cloud-init", "ignition"] {
        let refused = lab.run(&["bundle", "--all", "--format", format]);
        assert_eq!((refused.status, refused.out.as_str()), (3, ""), "{refused}");
        assert_eq!(lab.snapshot(), before, "{format}");
    }
    let all = ["master-1", "master-2", "worker-a1.fra1.example.net", "on", "worker-b1"];
    assert_eq!(package(&lab, &[]), Err(PackageError::EncryptedBefore(all.map(host).into())));
    // One encrypted bundle is enough to leave all as they are.
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
    // What was touched since is sealed again, and so is what others are to open.
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

#[test]
fn the_cluster_file_names_recipients_and_the_command_line_overrides_them() {
    needs!("age", "age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let (host, admin, other) = (ssh_key(&lab, "host", "ed25519", ""), age_key(&lab, "admin"), age_key(&lab, "other"));
    lab.write("cluster.yaml", &cluster_with(&format!("[\"{host} root@on\", {admin}]")));
    lab.good(&["bundle", "on"]);
    assert_eq!(bundles(&lab), ["on.tar.gz.age"]);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "host").is_some());
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "admin").is_some());

    lab.good(&["bundle", "on", "--encrypt-to", &other]);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "other").is_some());
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "host").is_none());

    lab.good(&["bundle", "on", "--unencrypted"]);
    assert_eq!(bundles(&lab), ["on.tar.gz"]);

    // A text alone will do for one.
    lab.write("cluster.yaml", &cluster_with(&format!("\"{host}\"")));
    lab.good(&["bundle", "on"]);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "host").is_some());

    // Others have nobody, so that nobody gets anything.
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "--all"]);
    assert_eq!(refused.status, 3, "{refused}");
    insta::assert_snapshot!("hosts_without_recipients", refused.err);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn flags_have_their_former_names_too() {
    let lab = Lab::issued();
    let recipient = age_key(&lab, "key");
    lab.good(&["bundle", "on", "--seal-to", &recipient, "--forget-keys"]);
    assert_eq!(bundles(&lab), ["on.tar.gz.age"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on"), ["kubelet-client.crt", "kubelet-server.crt"]);
    lab.good(&["issue-node", "--reissue", "on"]);
    lab.good(&["bundle", "on", "--unsealed"]);
    assert_eq!(bundles(&lab), ["on.tar.gz"]);
    let help = lab.good(&["bundle", "--help"]).out;
    assert!(["--seal-to", "--forget-keys", "--unsealed"].iter().all(|former| !help.contains(former)), "{help}");
}

#[test]
fn a_file_of_recipients_holds_for_all_hosts() {
    needs!("age", "age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let (one, two) = (age_key(&lab, "one"), ssh_key(&lab, "two", "ed25519", ""));
    lab.write("recipients", &format!("# ours\n\n{one}\n{two} a comment\n"));
    lab.good(&["bundle", "--all", "--encrypt-to", "recipients"]);
    assert_eq!(bundles(&lab).len(), 5);
    assert!(bundles(&lab).iter().all(|name| name.ends_with(".tar.gz.age")));
    assert!(age_opens(&lab, "bundles/worker-b1.tar.gz.age", "one").is_some());
    assert!(age_opens(&lab, "bundles/master-2.tar.gz.age", "two").is_some());
}

#[test]
fn known_hosts_gives_each_host_its_own_key_hashed_or_not() {
    needs!("age", "python3", "ssh-keygen", "xmllint");
    let lab = Lab::issued();
    let hosts = [
        ("master-1", "master-1.example.net"),
        ("master-2", "10.20.0.12"),
        ("worker-a1.fra1.example.net", "fd20:1::11"),
        ("on", "10.20.4.1"),
        ("worker-b1", "worker-b1"),
    ];
    let mut file = String::from("# learned by hand\n");
    for (host, known_as) in hosts {
        let key = ssh_key(&lab, &format!("key-of-{host}"), "ed25519", "");
        let other = ssh_key(&lab, &format!("other-key-of-{host}"), "ecdsa", "");
        file.push_str(&format!("{known_as} {other}\n{known_as} {key}\n"));
    }
    lab.write("known_hosts", &file);
    let check = |lab: &Lab| {
        for (host, _) in hosts {
            let sealed = format!("bundles/{host}.tar.gz.age");
            assert!(age_opens(lab, &sealed, &format!("key-of-{host}")).is_some(), "{host}");
            for (other, _) in hosts.iter().filter(|(other, _)| *other != host) {
                assert!(age_opens(lab, &sealed, &format!("key-of-{other}")).is_none(), "{host} {other}");
            }
        }
    };
    lab.good(&["bundle", "--all", "--known-hosts", "known_hosts"]);
    check(&lab);

    // Another port is another sshd, whose key is not the host's; without its own the host has none.
    let elsewhere = ssh_key(&lab, "key-elsewhere", "ed25519", "");
    lab.write("known_hosts", &format!("[10.20.4.1]:2222,[on]:2222 {elsewhere}\n{file}"));
    lab.good(&["bundle", "--all", "--known-hosts", "known_hosts"]);
    check(&lab);
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "key-elsewhere").is_none());
    lab.write("known_hosts", &file.replace("10.20.4.1", "[10.20.4.1]:2222"));
    let refused = lab.run(&["bundle", "on", "--known-hosts", "known_hosts"]);
    assert_eq!(refused.status, 3, "{refused}");

    // Hashed by ssh-keygen itself.
    lab.write("known_hosts", &file);
    let path = lab.path("known_hosts").display().to_string();
    good_tool("ssh-keygen", &["-q", "-H", "-f", &path]);
    assert!(lab.read("known_hosts").contains("|1|") && !lab.read("known_hosts").contains("10.20.4.1"));
    lab.good(&["bundle", "--all", "--known-hosts", "known_hosts"]);
    check(&lab);

    // One that it does not know: nothing for anyone.
    lab.write("known_hosts", &file.replace("worker-b1 ", "worker-b2 "));
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "--all", "--known-hosts", "known_hosts"]);
    assert_eq!(refused.status, 3, "{refused}");
    insta::assert_snapshot!("a_host_that_known_hosts_does_not_have", refused.err);
    assert_eq!(lab.snapshot(), before);

    // Clones of one image.
    let shared = lab.read("key-of-on.pub");
    lab.write("known_hosts", &format!("on {shared}worker-b1 {shared}"));
    for hosts in [&["on", "worker-b1"][..], &["on"], &["worker-b1"]] {
        let refused = lab.run(&[&["bundle"], hosts, &["--known-hosts", "known_hosts"]].concat());
        assert_eq!(refused.status, 3, "{refused}");
        let known = KnownHosts::parse(&lab.read("known_hosts"));
        let error = encrypt(&lab, hosts, Recipients::Given { everyone: Vec::new(), known_hosts: Some(known) });
        let shared = PackageError::SharedHostKey { one: "on".to_owned(), other: "worker-b1".to_owned() };
        assert_eq!(error.err(), Some(shared));
    }

    // As a file of recipients it would seal every bundle to every host.
    let wrong = lab.run(&["bundle", "on", "--encrypt-to", "known_hosts"]);
    assert_eq!(wrong.status, 2, "{wrong}");
    assert!(wrong.err.contains("--known-hosts"), "{wrong}");
}

#[test]
fn texts_that_are_not_recipients_are_refused_before_anything_is_written() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let good = age_key(&lab, "good");
    let mut wrong_age = good.clone();
    wrong_age.replace_range(10..11, if &good[10..11] == "q" { "p" } else { "q" });
    lab.write("empty", "# nobody\n");
    lab.write("bad", &format!("{good}\n{wrong_age}\n"));
    let secret = lab.read("good").lines().last().expect("a secret").to_owned();
    let before = lab.snapshot();
    let mut said = Vec::new();
    for given in [
        "nobody",
        wrong_age.as_str(),
        "ssh-ed25519",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
        "ecdsa-sha2-nistp256 AAAA",
        "empty",
        "bad",
        secret.as_str(),
    ] {
        let refused = lab.run(&["bundle", "on", "--encrypt-to", &good, "--encrypt-to", given]);
        assert_eq!(refused.status, 2, "{given}: {refused}");
        assert!(!refused.err.contains(&secret), "a secret is never repeated");
        said.push(refused.err.replace(&wrong_age, "WRONG"));
    }
    insta::assert_snapshot!("texts_that_are_not_recipients", said.join("\n"));
    // A key of the right form whose bytes are no point of the curve: y = 2 has none (checked with the curve's equation).
    let off_curve = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let refused = lab.run(&["bundle", "on", "--encrypt-to", off_curve]);
    assert_eq!(refused.status, 2, "{refused}");
    insta::assert_snapshot!("a_key_that_is_not_on_its_curve", refused.err);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn an_invalid_recipient_is_an_error_of_the_cluster_file_with_path_and_line() {
    needs!("age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let good = age_key(&lab, "good");
    let wrong = if good.ends_with('x') { 'q' } else { 'x' };
    let secret = lab.read("good").lines().last().expect("a secret").to_owned();
    for (seal_to, path, says) in [
        (format!("{}{wrong}", &good[..61]), "nodes[1].sealTo (line 14)", "the checksum in it is wrong"),
        (format!("[{good}, \"ssh-ed25519 AAAA\"]"), "nodes[1].sealTo[1] (line 14)", "cut off, damaged"),
        ("\"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAwD/\"".to_owned(), "nodes[1].sealTo (line 14)", "behind ssh-rsa"),
        (secret.clone(), "nodes[1].sealTo (line 14)", "it is a secret key"),
        ("{age: x}".to_owned(), "nodes[1].sealTo (line 14)", "needed here"),
        ("[]".to_owned(), "nodes[1].sealTo (line 14)", "at least one recipient, or no such key, is needed here"),
        ("[[x]]".to_owned(), "nodes[1].sealTo[0] (line 14)", "a text is needed here"),
    ] {
        lab.write("cluster.yaml", &cluster_with(&seal_to));
        let refused = lab.run(&["bundle", "--all"]);
        assert_eq!(refused.status, 2, "{seal_to}: {refused}");
        assert!(refused.err.contains(path) && refused.err.contains(says), "{seal_to}: {refused}");
        assert!(!refused.err.contains(&secret[..30]), "a secret is never repeated");
    }
    // Nor is a line out of the middle of one, which says of itself only that it is long.
    ssh_key(&lab, "key", "ed25519", "");
    let pem = lab.read("key");
    for line in pem.lines().filter(|line| line.len() == 70) {
        for seal_to in
            [format!("\"{line}\""), format!("[\"ssh-ed25519 {line}\"]"), format!("|\n    {line}\n    {line}")]
        {
            lab.write("cluster.yaml", &cluster_with(&seal_to));
            let refused = lab.run(&["bundle", "--all"]);
            assert!(refused.status == 2 && refused.err.contains("nodes[1].sealTo"), "{refused}");
            assert!(!refused.err.contains(&line[..30]), "{refused}");
        }
    }
}

#[test]
fn a_secret_key_where_its_file_belongs_is_not_repeated() {
    needs!("age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    age_key(&lab, "age");
    ssh_key(&lab, "key", "ed25519", "");
    lab.good(&["bundle", "on", "--encrypt-to", &age_key(&lab, "other")]);
    let before = lab.snapshot();
    let secret = lab.read("age").lines().last().expect("a secret").to_owned();
    let pem = lab.read("key");
    let lines: Vec<&str> = pem.lines().filter(|line| line.len() == 70).collect();
    assert!(lines.len() > 2);
    let mut said = BTreeSet::new();
    for given in [secret.as_str(), &secret.to_lowercase(), pem.as_str(), lines[0], lines[1], lines[2]] {
        for args in [
            &["open", "bundles/on.tar.gz.age", "-i", given][..],
            &["bundle", "on", "--sign-with", given],
            &["bundle", "on", "--encrypt-to", given],
        ] {
            let refused = lab.run(args);
            assert_eq!((refused.status, refused.out.as_str()), (2, ""), "{refused}");
            said.insert(refused.err.clone());
            let parts = given.lines().filter(|line| !line.starts_with("-----")).map(|line| &line[..line.len().min(24)]);
            assert!(parts.into_iter().all(|part| !refused.err.contains(part)), "{refused}");
        }
    }
    let [said] = Vec::from_iter(said).try_into().expect("the same for all");
    insta::assert_snapshot!("a_secret_key_in_place_of_a_file", said);
    // Wherever else it is put, with what clap itself complains of, too.
    for args in [&["open", &secret][..], &["show", &secret], &["bundle", "on", "--no-such-flag", &pem], &[&secret]] {
        let refused = lab.run(args);
        assert_eq!(refused.status, 2, "{refused}");
        assert!(!refused.err.contains(&secret[20..40]) && !refused.err.contains(lines[0]), "{refused}");
    }
    assert_eq!(lab.snapshot(), before);
}

/// What decrypting a file through the library gives.
fn decrypted(lab: &Lab, file: &str, key: &str) -> Result<(), DecryptError> {
    let identity = Identity::from_age_file(&fs::read(lab.path(key)).expect("a key")).expect("an identity");
    let bytes = fs::read(lab.path(file)).expect("a file");
    match open::read(&lab.path(file), bytes.into()).expect("a header") {
        open::OpenedFile::Encrypted(encrypted) => match encrypted.decrypt(&identity) {
            Ok(_) => Ok(()),
            Err(OpenBundleError::Decrypt { source, .. }) => Err(source),
            Err(other) => panic!("{other:?}"),
        },
        open::OpenedFile::Bundle(_) => panic!("it is not encrypted"),
    }
}

#[test]
fn other_keys_and_damaged_files_decrypt_nothing() {
    needs!("age", "age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "ours");
    age_key(&lab, "theirs");
    ssh_key(&lab, "ssh", "ed25519", "");
    ssh_key(&lab, "ecdsa", "ecdsa", "");
    lab.good(&["bundle", "on", "--encrypt-to", &recipient]);
    let good = fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle");
    let refused = |file: &str, key: &str, status: u8| {
        let refused = lab.run(&["open", file, "-i", key]);
        assert_eq!(refused.status, status, "{file} {key}: {refused}");
        assert!(!lab.path("on").exists());
        refused.err
    };
    let encrypted = "bundles/on.tar.gz.age";
    let said = [
        refused(encrypted, "theirs", 3),
        refused(encrypted, "ssh", 3),
        refused(encrypted, "ecdsa", 2),
        refused(encrypted, "cluster.yaml", 2),
        refused(encrypted, "ssh.pub", 2),
        refused(encrypted, "nothing", 2),
        refused("nothing", "ours", 2),
    ];
    insta::assert_snapshot!("keys_that_do_not_decrypt", said.join("\n"));

    // No byte can be changed, and no end left out.
    let file = "bad.age";
    for at in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(lab.path(file), bad).expect("written");
        let refused = lab.run(&["open", file, "-i", "ours"]);
        assert!([2, 3].contains(&refused.status), "byte {at}: {refused}");
        assert!(!lab.path("on").exists());
    }
    for cut in [0, 10, 40, 150, good.len() / 2, good.len() - 1] {
        fs::write(lab.path(file), &good[..cut]).expect("written");
        let refused = lab.run(&["open", file, "-i", "ours"]);
        assert_eq!(refused.status, 2, "cut at {cut}: {refused}");
    }
    fs::write(lab.path(file), [good.as_slice(), b"x"].concat()).expect("written");
    refused(file, "ours", 2);
    assert_eq!(decrypted(&lab, file, "ours"), Err(DecryptError::Damaged));

    // Sealed by stock age, to us, and no bundle; made for mail; sealed with a passphrase.
    let (bad, path) = (lab.path(file).display().to_string(), lab.path("cluster.yaml").display().to_string());
    good_tool("age", &["-r", &recipient, "-o", &bad, &path]);
    let mut said = vec![refused(file, "ours", 2)];
    good_tool("age", &["-a", "-r", &recipient, "-o", &bad, &path]);
    said.push(refused(file, "ours", 2));
    fs::write(lab.path(file), "age-encryption.org/v1\n-> scrypt bUFpbCBtZSBzb21ldGhpbmc 10\nAAAA\n--- AAAA\n")
        .expect("written");
    said.push(refused(file, "ours", 2));
    fs::write(lab.path(file), "age-encryption.org/v9\n-> X25519 a\n").expect("written");
    said.push(refused(file, "ours", 2));
    insta::assert_snapshot!("files_that_are_not_encrypted_bundles", said.join("\n"));

    // What is there is never overwritten.
    fs::create_dir(lab.path("on")).expect("made");
    let there = lab.run(&["open", "bundles/on.tar.gz.age", "-i", "ours"]);
    assert_eq!(there.status, 3, "{there}");
    insta::assert_snapshot!("a_folder_that_exists", there.err);
}

#[test]
fn open_takes_an_unencrypted_bundle_too_and_lists_without_writing() {
    let lab = Lab::issued();
    lab.good(&["bundle", "on"]);
    let before = lab.snapshot();
    let listed = lab.good(&["open", "bundles/on.tar.gz", "--list"]);
    assert!(
        listed.out.contains("0600 ") && listed.out.contains(" var/lib/kubelet/pki/kubelet-client.key\n"),
        "{listed}"
    );
    insta::assert_snapshot!("an_unsigned_bundle", listed.err);
    assert_eq!(lab.snapshot(), before);
    lab.good(&["open", "bundles/on.tar.gz"]);
    assert!(lab.path("on/install.sh").exists());
    fs::write(lab.path("bad"), &fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle")[..1000]).expect("written");
    let damaged = lab.run(&["open", "bad", "--to", "elsewhere"]);
    assert_eq!(damaged.status, 2, "{damaged}");
    assert!(!lab.path("elsewhere").exists(), "{damaged}");
}

#[test]
fn an_encrypted_ssh_key_is_unlocked_by_a_passphrase_typed_or_from_a_file() {
    needs!("ssh-keygen");
    let mut lab = Lab::issued();
    let recipient = ssh_key(&lab, "key", "ed25519", "open sesame");
    lab.good(&["bundle", "on", "--encrypt-to", &recipient]);
    let open = ["open", "bundles/on.tar.gz.age", "-i", "key", "--list"];
    let nobody = lab.run(&open);
    assert_eq!(nobody.status, 2, "{nobody}");
    insta::assert_snapshot!("a_passphrase_without_a_terminal", nobody.err);
    lab.typed = Some(["wrong", "", "open sesame"].map(str::to_owned).into());
    assert!(lab.good(&open).err.contains("the passphrase is wrong, try again"));
    lab.typed = Some(["wrong", "wrong", "wrong"].map(str::to_owned).into());
    let wrong = lab.run(&open);
    assert_eq!(wrong.status, 3, "{wrong}");
    lab.typed = None;
    lab.write("passphrase", "open sesame\n");
    lab.good(&[&open[..], &["--identity-passphrase-file", "passphrase"]].concat());
    lab.write("passphrase", "close sesame\n");
    let wrong = lab.run(&[&open[..], &["--identity-passphrase-file", "passphrase"]].concat());
    assert_eq!(wrong.status, 3, "{wrong}");
}

#[test]
fn show_describes_the_recipients_of_an_encrypted_file() {
    needs!("age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let (age, ssh) = (age_key(&lab, "age"), ssh_key(&lab, "ssh", "ed25519", ""));
    lab.good(&["bundle", "on", "--encrypt-to", &age, "--encrypt-to", &ssh]);
    let shown = lab.good(&["show", "bundles/on.tar.gz.age"]);
    insta::assert_snapshot!(shown.out);
    // What age adds by chance is nobody: neither in what it made, nor where it stands for sure.
    for _ in 0..20 {
        lab.good(&["bundle", "on", "--encrypt-to", &age]);
        let shown = lab.good(&["show", "bundles/on.tar.gz.age"]);
        let closed = lab.run(&["open", "bundles/on.tar.gz.age", "-i", "ssh"]);
        assert!(!shown.out.contains("of the kind") && !shown.out.contains("grease"), "{shown}");
        assert_eq!(closed.status, 3, "{closed}");
    }
    let header = "age-encryption.org/v1\n-> X25519 x\nx\n-> 4z;-grease 0 {Y\nx\n-> other x\nx\n--- x\n";
    fs::write(lab.path("by-chance"), header).expect("written");
    let shown = lab.good(&["show", "by-chance"]);
    assert!(shown.out.contains("an age key") && shown.out.contains("of the kind other"), "{shown}");
    assert!(!shown.out.contains("grease"), "{shown}");
    fs::write(lab.path("bad"), "age-encryption.org/v1\n-> \u{1b}[2J x\n--- x\n").expect("written");
    assert!(!lab.good(&["show", "bad"]).out.contains('\u{1b}'));
    fs::write(lab.path("bad"), "age-encryption.org/v1\n-> X25519").expect("written");
    assert_eq!(lab.run(&["show", "bad"]).status, 2);
}

// ── keys that are discarded ──

/// A laboratory in which `on` has an encrypted bundle and its keys were discarded.
fn discarded() -> Lab {
    let lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    let report = package_with(&lab, &["on"], |cluster, options| {
        let everyone = vec![Recipient::parse(&recipient).expect("a recipient")];
        let to = Recipients::Given { everyone, known_hosts: None };
        options.encryption = Encryption::plan(&options.hosts, cluster, options.format, &to)?;
        options.discard_keys = true;
        Ok(())
    });
    assert_eq!(report.expect("a bundle").discarded, Some(2));
    lab
}

fn folder_of(lab: &Lab, of: &str) -> Vec<String> {
    let entries = fs::read_dir(lab.path(of)).expect("a folder");
    let mut names: Vec<String> = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into()).collect();
    names.sort();
    names
}

#[test]
fn discarded_keys_are_in_the_encrypted_bundle_and_nowhere_else() {
    needs!("age-keygen", "sqlite3");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    let key = lab.read("pki/nodes/on/kubelet-client.key");
    let masters = folder_of(&lab, "pki/masters/master-1");
    lab.good(&["bundle", "--all", "--encrypt-to", &recipient, "--discard-keys"]);
    for node in ["on", "worker-b1", "worker-a1.fra1.example.net"] {
        assert_eq!(folder_of(&lab, &format!("pki/nodes/{node}")), ["kubelet-client.crt", "kubelet-server.crt"]);
    }
    // Masters' keys stay: the next master's certificates and bundles need them beside the others.
    assert_eq!(folder_of(&lab, "pki/masters/master-1"), masters);
    let here: Vec<_> = lab
        .snapshot()
        .into_iter()
        .filter(|(_, bytes)| bytes.windows(key.len()).any(|window| window == key.as_bytes()))
        .collect();
    assert!(here.is_empty(), "the key lies nowhere in the clear");
    lab.good(&["open", "bundles/on.tar.gz.age", "-i", "age"]);
    assert_eq!(lab.read("on/var/lib/kubelet/pki/kubelet-client.key"), key);
    let events = good_tool(
        "sqlite3",
        &[
            &lab.path("pki/ledger.sqlite3").display().to_string(),
            "SELECT count(*), count(DISTINCT subject) FROM events WHERE kind = 'forget-key' AND by = 'admin@laptop' \
         AND detail IN (SELECT sha256 FROM certificates)",
        ],
    );
    assert_eq!(events, "6|3\n");
}

#[test]
fn a_discarded_key_is_accepted_until_the_certificate_no_longer_fits() {
    needs!("age-keygen");
    let lab = discarded();
    let kept = lab.good(&["issue-node", "--all"]);
    assert!(kept.err.contains("nothing to do: 6 certificates valid"), "{kept}");
    let offline = lab.good(&["verify", "--offline"]);
    assert!(offline.out.contains("Good: "), "{offline}");
    let json = lab.good(&["verify", "--offline", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    let of_host = json["results"].as_array().expect("results").iter().filter(|result| result["host"] == "on");
    let stored: Vec<_> = of_host.filter(|result| result["id"] == "store.credential").collect();
    assert!(!stored.is_empty() && stored.iter().all(|result| result["status"] == "pass"), "{stored:?}");

    // One that simply went missing is not good.
    fs::remove_file(lab.path("pki/nodes/worker-b1/kubelet-client.key")).expect("removed");
    let plan = lab.good(&["issue-node", "--all", "--dry-run"]);
    assert!(plan.out.contains("issue worker-b1 kubelet-client: ") && plan.out.lines().count() == 1, "{plan}");
    lab.good(&["issue-node", "--all"]);

    // The server's certificate no longer fits; a bundle needs both keys, so both are made.
    lab.write("cluster.yaml", &CLUSTER.replace("[10.20.4.1]", "[10.20.4.1, 10.20.4.2]"));
    let plan = lab.good(&["issue-node", "--all", "--dry-run"]);
    assert!(plan.out.contains("issue on kubelet-server: 10.20.4.2 is not in the certificate"), "{plan}");
    assert!(plan.out.contains("issue on kubelet-client: its key was discarded"), "{plan}");
    assert!(plan.err.contains("would issue 2 certificates and keep 4"), "{plan}");
    lab.good(&["issue-node", "--all"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on").len(), 4);
    lab.good(&["bundle", "on", "--unencrypted"]);
}

#[test]
fn a_host_whose_keys_were_discarded_is_refused_with_the_command_that_makes_new_ones() {
    needs!("age-keygen");
    let lab = discarded();
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "on"]);
    assert_eq!(refused.status, 3, "{refused}");
    let Err(PackageError::Refused(refusal)) = package(&lab, &["on"]) else { panic!("a bundle") };
    assert_eq!(refusal.refused[0].remedy(), CredentialRemedy::Reissue);
    assert_eq!(lab.snapshot(), before);
    // Of all hosts it keeps the sealed one that is there.
    assert_eq!(package(&lab, &[]).expect("bundles").kept, [host("on")]);
    assert_eq!(bundles(&lab).iter().filter(|name| name.starts_with("on.")).collect::<Vec<_>>(), ["on.tar.gz.age"]);
    assert_eq!(bundles(&lab).len(), 5);
    // Where even that is gone, nobody gets anything.
    fs::remove_file(lab.path("bundles/on.tar.gz.age")).expect("removed");
    assert_eq!(lab.run(&["bundle", "--all"]).status, 3);
    lab.good(&["issue-node", "--reissue", "on"]);
    lab.good(&["bundle", "--all"]);
}

#[test]
fn keys_are_discarded_only_when_bundles_are_encrypted() {
    let lab = Lab::issued();
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "on", "--discard-keys"]);
    assert_eq!(refused.status, 2, "{refused}");
    insta::assert_snapshot!("keys_are_not_discarded_without_encryption", refused.err);
    assert_eq!(lab.run(&["bundle", "on", "--discard-keys", "--unencrypted"]).status, 2);
    assert_eq!(lab.run(&["bundle", "--verifier", "--discard-keys"]).status, 2);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn no_unencrypted_bundle_stays_beside_an_encrypted_one_and_a_folder_cannot_be_encrypted() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    lab.good(&["bundle", "on", "--format", "dir"]);
    lab.good(&["bundle", "on"]);
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "on", "--format", "dir", "--encrypt-to", &recipient]);
    assert_eq!(refused.status, 2, "{refused}");
    assert_eq!(lab.snapshot(), before);
    assert_eq!(bundles(&lab), ["on", "on.tar.gz"]);
    lab.good(&["bundle", "on", "--format", "tar.gz", "--encrypt-to", &recipient]);
    assert_eq!(bundles(&lab), ["on.tar.gz.age"]);
}

#[test]
fn verify_reports_discarded_keys_and_proves_the_rest() {
    needs!("age-keygen");
    let live = crate::support::live::Live::start(None);
    let recipient = age_key(&live.lab, "age");
    live.lab.good(&["bundle", "node-1", "--encrypt-to", &recipient, "--discard-keys"]);
    let ran = live.lab.run(&["verify"]);
    // What nobody could try is not proven.
    assert_eq!(ran.status, 1, "{ran}");
    let summary = ran.out.lines().find(|line| line.contains(" checks: ")).expect("a summary");
    assert!(summary.ends_with(" skipped") && !summary.contains("failed"), "{ran}");
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for id in ["master.caller", "master.whoami"] {
        assert!(flat.contains(&format!("skipped {id}")), "{id}: {ran}");
    }
}

#[test]
fn keys_exist_until_their_bundle_is_written_and_the_ledger_has_recorded_it() {
    needs!("age-keygen", "sqlite3");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let forbid = "CREATE TRIGGER t BEFORE INSERT ON events WHEN NEW.kind = 'forget-key' AND NEW.subject = 'worker-b1' \
                  BEGIN SELECT RAISE(ABORT, 'not now'); END";
    good_tool("sqlite3", &[&ledger, forbid]);
    let failed = lab.run(&["bundle", "--all", "--encrypt-to", &recipient, "--discard-keys"]);
    assert_eq!(failed.status, 4, "{failed}");
    assert_eq!(bundles(&lab).len(), 5);
    for node in ["on", "worker-b1"] {
        assert_eq!(folder_of(&lab, &format!("pki/nodes/{node}")).len(), 4, "all keys or none");
    }
    assert_eq!(good_tool("sqlite3", &[&ledger, "SELECT count(*) FROM events WHERE kind = 'forget-key'"]), "0\n");
    good_tool("sqlite3", &[&ledger, "DROP TRIGGER t"]);
    let key = lab.read("pki/nodes/on/kubelet-client.key");
    lab.good(&["bundle", "--all", "--encrypt-to", &recipient, "--discard-keys"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on").len(), 2);

    // The ledger knew, and the machine went down before the key was gone: it is as good as before.
    lab.write("pki/nodes/on/kubelet-client.key", &key);
    fs::set_permissions(lab.path("pki/nodes/on/kubelet-client.key"), fs::Permissions::from_mode(0o600)).expect("set");
    lab.good(&["verify", "--offline"]);
    assert!(lab.good(&["issue-node", "--all"]).err.contains("nothing to do: 6 certificates valid"));
}

#[test]
fn a_revoked_certificate_is_not_kept_because_its_key_was_discarded() {
    needs!("age-keygen");
    let lab = discarded();
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    let plan = lab.good(&["issue-node", "on", "--dry-run"]);
    assert_eq!(plan.out.matches("revoked").count(), 2, "{plan}");
    lab.good(&["issue-node", "on"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on").len(), 4);
}
