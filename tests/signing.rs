//! Signed bundles: `ssh-keygen -Y verify` accepts the signature, install.sh and `open` refuse bundles that do not verify once
//! they know the signer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clusterctl::app::package::Warning;
use clusterctl::bundle::archive::{self, ArchiveError};
use clusterctl::cluster::name::HostName;
use clusterctl::pki::ssh::SshKey;

use crate::support::encryption::ssh_key;
use crate::support::outside::needs;
use crate::support::packages::warnings;
use crate::support::{Lab, good_tool};

/// A laboratory with a signed bundle of `on`, and `allowed_signers` with its signer.
fn signed() -> Lab {
    let lab = Lab::issued();
    let public = ssh_key(&lab, "signer", "ed25519", "");
    lab.write("allowed_signers", &format!("admin@example.net {public}\n"));
    lab.good(&["bundle", "on", "--sign-with", "signer"]);
    lab
}

#[test]
fn an_unsigned_bundle_in_place_of_a_signed_one_gives_a_warning() {
    needs!("ssh-keygen");
    let lab = signed();
    let again = lab.good(&["bundle", "on", "--sign-with", "signer"]);
    assert_eq!(again.err.matches("warning: ").count(), 0, "{again}");
    let hosts = vec![HostName::parse("on").expect("a name")];
    assert_eq!(warnings(&lab, &["on"]), [Warning::SignatureRemoved { hosts }]);
    assert_eq!(warnings(&lab, &["on"]), [], "only once");
}

/// `on.tar.gz` unpacked by tar.
fn unpack(lab: &Lab) -> PathBuf {
    let _ = fs::remove_dir_all(lab.path("on"));
    let archive = lab.path("bundles/on.tar.gz").display().to_string();
    good_tool("tar", &["-xzf", &archive, "-C", &lab.dir().display().to_string()]);
    lab.path("on")
}

fn install(lab: &Lab, unpacked: &Path, arguments: &[&str]) -> Output {
    let root = lab.path("root");
    fs::create_dir_all(&root).expect("made");
    let mut command = Command::new("dash");
    command.arg(unpacked.join("install.sh")).args(arguments).env("DESTDIR", root).current_dir(lab.dir());
    command.envs(&lab.env).output().expect("dash runs")
}

/// Asserts that `install.sh` refused the bundle with the error of this snapshot, and changed nothing.
fn refused(lab: &Lab, output: &Output, snapshot: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stderr).replace(&lab.dir().display().to_string(), "DIR");
    insta::assert_snapshot!(snapshot, shown.lines().next().unwrap_or_default());
    let kept = fs::read_dir(lab.path("root")).expect("a folder").count();
    assert!(kept == usize::from(lab.path("root/etc").exists()), "nothing was touched");
    assert!(!lab.path("root/var").exists() && !lab.path("root/etc/kubernetes/kubelet.conf").exists());
}

/// Returns the result of ssh-keygen for the signature in `unpacked`, with the laboratory's file of allowed signers.
fn ssh_keygen_verifies(lab: &Lab, unpacked: &Path, namespace: &str) -> Output {
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-I", "admin@example.net", "-n", namespace, "-f"]);
    command.arg(lab.path("allowed_signers")).arg("-s").arg(unpacked.join("manifest.json.sig"));
    let manifest = fs::File::open(unpacked.join("manifest.json")).expect("a manifest");
    command.stdin(Stdio::from(manifest)).output().expect("ssh-keygen runs")
}

#[test]
fn ssh_keygen_accepts_the_signature_of_every_kind_of_key_that_signs() {
    needs!("ssh-keygen");
    let lab = Lab::issued();
    for kind in ["ed25519", "ecdsa"] {
        let public = ssh_key(&lab, kind, kind, "");
        lab.write("allowed_signers", &format!("admin@example.net {public}\n"));
        lab.good(&["bundle", "on", "--sign-with", kind]);
        let folder = unpack(&lab);
        let verified = ssh_keygen_verifies(&lab, &folder, "clusterctl-bundle");
        assert!(verified.status.success(), "{kind}: {verified:?}");
        assert!(!ssh_keygen_verifies(&lab, &folder, "file").status.success(), "{kind}");
        // The same input gives the same bytes, signed or not.
        let first = fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle");
        lab.good(&["bundle", "on", "--sign-with", kind]);
        assert_eq!(fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle"), first, "{kind}");
        lab.good(&["open", "bundles/on.tar.gz", "--signer", "allowed_signers", "--list"]);
        let shown = lab.good(&["show", "bundles/on.tar.gz"]).out;
        let key = lab.path(&format!("{kind}.pub")).display().to_string();
        let listed = good_tool("ssh-keygen", &["-l", "-f", &key]);
        let fingerprint = listed.split(' ').nth(1).expect("a fingerprint");
        assert!(shown.contains(&format!("signed by    {fingerprint}")), "{fingerprint}: {shown}");
    }
}

#[test]
fn a_key_with_a_short_private_number_signs() {
    needs!("ssh-keygen");
    let lab = Lab::issued();
    lab.write("right", "open sesame\n");
    lab.write("wrong", "close sesame\n");
    let path = lab.path("key").display().to_string();
    for name in ["ecdsa-256-short", "ecdsa-384-short"] {
        let pem = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/openssh").join(name)).expect("a key");
        for cipher in ["none", "aes256-ctr", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
            fs::write(&path, &pem).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
            let public = good_tool("ssh-keygen", &["-y", "-f", &path]);
            lab.write("allowed_signers", &format!("admin@example.net {public}"));
            let mut args = vec!["bundle", "on", "--sign-with", "key"];
            if cipher != "none" {
                good_tool("ssh-keygen", &["-q", "-p", "-N", "open sesame", "-Z", cipher, "-f", &path]);
                let before = lab.snapshot();
                let refused = lab.run(&[&args[..], &["--sign-passphrase-file", "wrong"]].concat());
                assert_eq!(refused.status, 3, "{name} {cipher}: {refused}");
                assert_eq!(lab.snapshot(), before, "{name} {cipher}");
                args.extend(["--sign-passphrase-file", "right"]);
            }
            lab.good(&args);
            let verified = ssh_keygen_verifies(&lab, &unpack(&lab), "clusterctl-bundle");
            assert!(verified.status.success(), "{name} {cipher}: {verified:?}");
        }
    }
}

#[test]
fn open_accepts_signatures_of_ssh_keygen() {
    needs!("ssh-keygen");
    let lab = signed();
    let folder = unpack(&lab);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let public = ssh_key(&lab, kind, kind, "");
        lab.write("allowed_signers", &format!("{kind}@example.net {public}\n"));
        fs::remove_file(folder.join("manifest.json.sig")).expect("removed");
        let key = lab.path(kind).display().to_string();
        let manifest = folder.join("manifest.json").display().to_string();
        good_tool("ssh-keygen", &["-q", "-Y", "sign", "-f", &key, "-n", "clusterctl-bundle", &manifest]);
        let (archive, dir) = (lab.path("theirs.tar.gz").display().to_string(), lab.dir().display().to_string());
        good_tool("tar", &["-czf", &archive, "-C", &dir, "on"]);
        let opened = lab.good(&["open", "theirs.tar.gz", "--signer", "allowed_signers", "--list"]);
        assert!(opened.err.contains(&format!("signed by {kind}@example.net")), "{opened}");
    }
    // Unpacking drops setuid bits.
    let setuid = folder.join("manifest.json.sig");
    fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).expect("set");
    let (archive, dir) = (lab.path("setuid.tar.gz").display().to_string(), lab.dir().display().to_string());
    good_tool("tar", &["-czf", &archive, "-C", &dir, "on"]);
    lab.good(&["open", "setuid.tar.gz", "--to", "opened"]);
    let mode = fs::metadata(lab.path("opened/manifest.json.sig")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn install_sh_refuses_bundles_without_a_valid_allowed_signature() {
    needs!("dash", "ssh-keygen");
    let mut lab = signed();
    let folder = unpack(&lab);
    let untrusted_key = ssh_key(&lab, "stranger", "ed25519", "");
    lab.write("others", &format!("other@example.net {untrusted_key}\n"));
    let manifest = fs::read(folder.join("manifest.json")).expect("a manifest");

    refused(&lab, &install(&lab, &folder, &["--signer", "others"]), "a_signer_who_is_not_allowed");
    refused(&lab, &install(&lab, &folder, &["--signer=nowhere"]), "allowed_signers_that_cannot_be_read");
    lab.env.insert("CLUSTERCTL_SIGNER".into(), lab.path("others").into());
    refused(&lab, &install(&lab, &folder, &[]), "a_signer_who_is_not_allowed");
    lab.env.clear();
    let usual = lab.path("root/etc/kubernetes/clusterctl");
    fs::create_dir_all(&usual).expect("made");
    fs::copy(lab.path("others"), usual.join("allowed_signers")).expect("copied");
    refused(&lab, &install(&lab, &folder, &[]), "a_signer_who_is_not_allowed");
    // The environment does not replace what the host has.
    lab.env.insert("CLUSTERCTL_SIGNER".into(), lab.path("allowed_signers").into());
    refused(&lab, &install(&lab, &folder, &[]), "a_signer_who_is_not_allowed");
    lab.env.clear();
    fs::remove_dir_all(lab.path("root/etc")).expect("removed");

    // The manifest was changed after signing, and its checksum was adapted.
    let changed = String::from_utf8(manifest.clone()).expect("text").replace("\"generation\": ", "\"generation\": 1");
    fs::write(folder.join("manifest.json"), &changed).expect("written");
    let sum = good_tool("sha256sum", &[&folder.join("manifest.json").display().to_string()]);
    fs::write(folder.join("manifest.sha256"), format!("{}  manifest.json\n", &sum[..64])).expect("written");
    refused(&lab, &install(&lab, &folder, &["--signer", "allowed_signers"]), "a_signature_of_something_else");
    fs::write(folder.join("manifest.json"), &manifest).expect("written");

    // The same key signed it for another purpose (namespace).
    let (key, path) = (lab.path("signer").display().to_string(), folder.join("manifest.json").display().to_string());
    let good = fs::read(folder.join("manifest.json.sig")).expect("a signature");
    fs::remove_file(folder.join("manifest.json.sig")).expect("removed");
    refused(&lab, &install(&lab, &folder, &["--signer", "allowed_signers"]), "a_bundle_without_a_signature");
    good_tool("ssh-keygen", &["-q", "-Y", "sign", "-f", &key, "-n", "file", &path]);
    refused(&lab, &install(&lab, &folder, &["--signer", "allowed_signers"]), "a_signature_of_something_else");
    fs::write(folder.join("manifest.json.sig"), &good[..good.len() / 2]).expect("written");
    refused(&lab, &install(&lab, &folder, &["--signer", "allowed_signers"]), "a_damaged_signature");
    fs::write(folder.join("manifest.json.sig"), &good).expect("written");

    let sum = good_tool("sha256sum", &[&path]);
    fs::write(folder.join("manifest.sha256"), format!("{}  manifest.json\n", &sum[..64])).expect("written");
    let usage = install(&lab, &folder, &["--signer"]);
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    let installed = install(&lab, &folder, &["--signer", "allowed_signers"]);
    assert!(installed.status.success() && installed.stderr.is_empty(), "{installed:?}");
    assert!(String::from_utf8_lossy(&installed.stdout).contains("admin@example.net"), "{installed:?}");
    // Once the host has the file, no flag is needed.
    fs::copy(lab.path("allowed_signers"), usual.join("allowed_signers")).expect("copied");
    let again = install(&lab, &folder, &[]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("admin@example.net"), "{again:?}");
}

/// Returns the signer that `install.sh` names in its first line.
fn signer_in(stdout: &str) -> &str {
    let line = stdout.lines().next().unwrap_or_default();
    line.split_once(" by ").map_or("", |(_, signer)| signer.trim_end_matches('.'))
}

#[test]
fn install_sh_tries_every_principal_of_the_signers_key() {
    needs!("dash", "ssh-keygen");
    let lab = signed();
    let folder = unpack(&lab);
    let untrusted_key = ssh_key(&lab, "stranger", "ed25519", "");
    let public = lab.read("signer.pub").split(' ').take(2).collect::<Vec<_>>().join(" ");
    let install_with = |lines: &str| {
        let lines = lines.replace("KEY", &public).replace("UNTRUSTED", &untrusted_key);
        lab.write("signers", &format!("# who may\n\n{lines}"));
        install(&lab, &folder, &["--signer", "signers", "--dry-run"])
    };
    // Refusals first: a key that is listed for other purposes only, or only in negated lines.
    let other = "alice namespaces=\"git\" KEY\ndeploy namespaces=\"file\" KEY\n";
    refused(&lab, &install_with(other), "a_key_for_another_purpose");
    refused(&lab, &install_with("alice namespaces=\"git\" KEY\ndeploy UNTRUSTED\n"), "a_key_for_another_purpose");
    refused(&lab, &install_with("!alice KEY\n"), "a_signer_who_is_not_allowed");
    refused(&lab, &install_with("alice UNTRUSTED\ndeploy UNTRUSTED\n"), "a_signer_who_is_not_allowed");
    for (lines, signer) in [
        ("alice namespaces=\"git\" KEY\ndeploy namespaces=\"clusterctl-bundle\" KEY\n", "deploy"),
        // The last line without a newline.
        ("alice namespaces=\"git\" KEY\n\n# more\nother UNTRUSTED\nbob namespaces=\"file\" KEY\ndeploy KEY", "deploy"),
        ("alice,bob namespaces=\"git\" KEY\ncarol,deploy KEY\n", "carol"),
        ("alice,bob KEY\n", "alice"),
        ("!alice,bob KEY\n", "bob"),
        ("!alice KEY\ndeploy KEY\n", "deploy"),
        ("alice namespaces=\"git\" KEY\n\"the deployer,bob\" KEY\n", "the deployer"),
        ("alice no-such-option KEY\ndeploy KEY\n", "deploy"),
        ("alice valid-before=\"20200101\" KEY\ndeploy KEY\n", "deploy"),
        ("*@example.net namespaces=\"git\" KEY\n* KEY\n", "*@example.net"),
    ] {
        let ran = install_with(lines);
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{lines}: {ran:?}");
        assert_eq!(signer_in(&said), signer, "{lines}: {said}");
    }
    // An ssh-keygen that leaves the commas between the names, as the first ones with find-principals did.
    let bin = lab.path("bin");
    fs::create_dir(&bin).expect("made");
    let real = good_tool("sh", &["-c", "command -v ssh-keygen"]);
    let older = "case \"$2\" in find-principals) echo !alice,bob ;; *) exec REAL \"$@\" ;; esac";
    let older = format!("#!/bin/sh\n{}\n", older.replace("REAL", real.trim()));
    fs::write(bin.join("ssh-keygen"), older).expect("written");
    fs::set_permissions(bin.join("ssh-keygen"), fs::Permissions::from_mode(0o755)).expect("set");
    lab.write("signers", &format!("!alice,bob {public}\n"));
    let path = std::env::var("PATH").expect("a PATH");
    let mut command = Command::new("dash");
    command.arg(folder.join("install.sh")).args(["--dry-run", "--signer"]).arg(lab.path("signers"));
    command.env("DESTDIR", lab.path("root")).env("PATH", format!("{}:{path}", bin.display()));
    let ran = command.output().expect("dash runs");
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(signer_in(&String::from_utf8_lossy(&ran.stdout)), "bob");
}

#[test]
fn install_sh_reports_an_unchecked_signature() {
    needs!("dash", "ssh-keygen");
    let mut lab = signed();
    let folder = unpack(&lab);
    let unchecked = install(&lab, &folder, &["--dry-run"]);
    let said = String::from_utf8_lossy(&unchecked.stdout).into_owned();
    let first = said.lines().next().unwrap_or_default().replace(&lab.dir().display().to_string(), "DIR");
    assert!(unchecked.status.success(), "{said}");
    insta::assert_snapshot!("a_signature_that_is_not_checked", first);
    // A host with everything but ssh-keygen.
    let bin = lab.path("bin");
    fs::create_dir(&bin).expect("made");
    for name in ["dirname", "id", "sha256sum", "cut", "sed", "grep", "tr", "wc", "head", "date", "expr", "uname"] {
        let found = good_tool("sh", &["-c", &format!("command -v {name}")]);
        std::os::unix::fs::symlink(found.trim(), bin.join(name)).expect("linked");
    }
    let dash = good_tool("sh", &["-c", "command -v dash"]);
    std::os::unix::fs::symlink(dash.trim(), bin.join("dash")).expect("linked");
    lab.env.insert("PATH".into(), bin.into());
    refused(&lab, &install(&lab, &folder, &["--signer", "allowed_signers"]), "a_host_without_ssh_keygen");
}

#[test]
fn open_reads_a_file_of_allowed_signers_as_ssh_keygen_does() {
    needs!("ssh-keygen");
    let lab = signed();
    let folder = unpack(&lab);
    let public = lab.read("signer.pub").split(' ').take(2).collect::<Vec<_>>().join(" ");
    for (line, good) in [
        ("admin@x KEY", true),
        ("!admin@x KEY", false),
        ("other@x,!admin@x KEY", false),
        ("!admin@x KEY\nadmin@x KEY", true),
        ("admin@x valid-before=\"20300101\" KEY", true),
        ("admin@x valid-before=\"20300101Z\" KEY", true),
        ("admin@x valid-before=\"203001011200\" KEY", true),
        ("admin@x valid-before=\"203001011200Z\" KEY", true),
        ("admin@x valid-before=\"20300101120030\" KEY", true),
        ("admin@x valid-before=\"20300101120030Z\" KEY", true),
        ("admin@x valid-after=\"20200101\" KEY", true),
        ("admin@x valid-before=\"20200101\" KEY", false),
        ("admin@x valid-before=\"20200101\",valid-before=\"20300101\" KEY", false),
        ("admin@x valid-before=20300101 KEY", false),
        ("admin@x valid-before=\"203001\" KEY", false),
        ("admin@x valid-before=\"soon\" KEY", false),
        ("admin@x valid-before=\"soon\" KEY\nadmin@x KEY", true),
        ("admin@x no-such-option KEY\nadmin@x KEY", true),
        ("admin@x ssh-ed25519 AAAA\nadmin@x KEY", true),
        ("admin@x\nadmin@x KEY", true),
        ("admin@x namespaces=\"git\" KEY", false),
    ] {
        lab.write("signers", &format!("{}\n", line.replace("KEY", &public)));
        let mut theirs = Command::new("ssh-keygen");
        theirs.args(["-Y", "verify", "-I", "admin@x", "-n", "clusterctl-bundle", "-f"]).arg(lab.path("signers"));
        let manifest = fs::File::open(folder.join("manifest.json")).expect("a manifest");
        theirs.arg("-s").arg(folder.join("manifest.json.sig")).stdin(Stdio::from(manifest));
        let theirs = theirs.output().expect("ssh-keygen runs");
        assert_eq!(theirs.status.success(), good, "{line}: {theirs:?}");
        let ours = lab.run(&["open", "bundles/on.tar.gz", "--signer", "signers", "--list"]);
        assert_eq!(ours.status == 0, good, "{line}: {ours}");
        assert!(good || [2, 3].contains(&ours.status), "{line}: {ours}");
        let left_out = good && ["soon", "no-such", "AAAA\n", "admin@x\n"].iter().any(|bad| line.contains(bad));
        let warned = ours.err.lines().any(|line| line.starts_with("warning: ") && line.contains("DIR/signers"));
        assert_eq!(warned, left_out, "{line}: {ours}");
    }
}

#[test]
fn open_and_install_sh_refuse_a_missing_or_wrong_manifest_checksum() {
    needs!("dash", "ssh-keygen", "strace");
    let lab = signed();
    let folder = unpack(&lab);
    let (archive, dir) = (lab.path("theirs.tar.gz").display().to_string(), lab.dir().display().to_string());
    let opened = || {
        good_tool("tar", &["-czf", &archive, "-C", &dir, "on"]);
        let refused = lab.run(&["open", "theirs.tar.gz", "--signer", "allowed_signers", "--list"]);
        assert_eq!(refused.status, 2, "{refused}");
        archive::read(&fs::read(&archive).expect("an archive")).expect_err("a bad checksum")
    };
    let sum = lab.read("on/manifest.sha256");
    let other = if sum.starts_with('0') { "1" } else { "0" };
    lab.write("on/manifest.sha256", &format!("{other}{}", &sum[1..]));
    assert!(matches!(opened(), ArchiveError::OtherSum { .. }));
    refused(&lab, &install(&lab, &folder, &["--signer", "allowed_signers"]), "a_manifest_with_another_checksum");
    fs::remove_file(folder.join("manifest.sha256")).expect("removed");
    assert_eq!(opened(), ArchiveError::NoSum);
    refused(&lab, &install(&lab, &folder, &["--signer", "allowed_signers"]), "a_manifest_without_a_checksum");
}

#[test]
fn open_refuses_bundles_without_an_allowed_signer() {
    needs!("ssh-keygen");
    let lab = signed();
    let untrusted_key = ssh_key(&lab, "stranger", "ed25519", "");
    lab.write("others", &format!("other@example.net {untrusted_key}\n"));
    lab.write("nobody", "# nobody\n");
    lab.write("damaged", "admin ssh-ed25519 AAAA\n");
    let signer = SshKey::from_pem(lab.read("signer").as_bytes()).expect("a key");
    let fingerprint = signer.fingerprint();
    let refused = |args: &[&str], status: u8| {
        let refused = lab.run(&[&["open"][..], args].concat());
        assert_eq!(refused.status, status, "{args:?}: {refused}");
        assert!(!lab.path("on").exists(), "{args:?}: {refused}");
        refused.err.replace(&fingerprint, "FINGERPRINT")
    };
    let mut said = vec![
        refused(&["bundles/on.tar.gz", "--signer", "others"], 3),
        refused(&["bundles/on.tar.gz", "--signer", "nobody"], 2),
        refused(&["bundles/on.tar.gz", "--signer", "damaged"], 2),
        refused(&["bundles/on.tar.gz", "--signer", "nowhere"], 2),
    ];
    lab.good(&["bundle", "on"]);
    said.push(refused(&["bundles/on.tar.gz", "--signer", "allowed_signers"], 3));
    insta::assert_snapshot!(said.join("\n"));
    // Encrypted and signed: both are checked.
    let host = ssh_key(&lab, "host", "ed25519", "");
    lab.good(&["bundle", "on", "--encrypt-to", &host, "--sign-with", "signer"]);
    refused(&["bundles/on.tar.gz.age", "-i", "host", "--signer", "others"], 3);
    lab.good(&["open", "bundles/on.tar.gz.age", "-i", "host", "--signer", "allowed_signers"]);
    // The signature is a file of the bundle, with the same mode as the others.
    let mode = fs::metadata(lab.path("on/manifest.json.sig")).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
}

#[test]
fn an_unusable_signing_key_writes_nothing() {
    needs!("ssh-keygen");
    let mut lab = Lab::issued();
    ssh_key(&lab, "key", "ed25519", "open sesame");
    lab.write("wrong", "close sesame\n");
    lab.write("right", "open sesame\n");
    let pem = lab.read("key");
    lab.write("cut", &pem[..pem.len() / 2]);
    ssh_key(&lab, "rsa", "rsa", "");
    lab.write("old", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n");
    let before = lab.snapshot();
    let mut said = Vec::new();
    for (args, status) in [
        (&["nowhere"][..], 2),
        (&["cluster.yaml"], 2),
        (&["key.pub"], 2),
        (&["cut"], 2),
        (&["old"], 2),
        (&["rsa"], 2),
        (&["bundles"], 2),
        (&["key"], 2),
        (&["key", "--sign-passphrase-file", "wrong"], 3),
        (&["key", "--sign-passphrase-file", "nowhere"], 2),
    ] {
        let refused = lab.run(&[&["bundle", "on", "--sign-with"][..], args].concat());
        assert_eq!(refused.status, status, "{args:?}: {refused}");
        assert_eq!(lab.snapshot(), before, "{args:?}");
        said.push(refused.err);
    }
    insta::assert_snapshot!(said.join("\n"));
    lab.typed = Some(["wrong", "open sesame"].map(str::to_owned).into());
    lab.good(&["bundle", "on", "--sign-with", "key"]);
    lab.typed = None;
    lab.good(&["bundle", "--all", "--sign-with", "key", "--sign-passphrase-file", "right"]);
}

#[test]
fn the_verifiers_bundle_is_signed_too_and_still_verifies() {
    needs!("ssh-keygen");
    let lab = signed();
    lab.good(&["bundle", "--verifier", "--sign-with", "signer"]);
    let listed = lab.good(&["open", "verifier.tar.gz", "--signer", "allowed_signers", "--list"]);
    assert!(listed.out.contains("manifest.json.sig"), "{listed}");
}
