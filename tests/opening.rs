//! `open` and `show` with encrypted bundles: which keys decrypt them, and what is refused.

use std::fs;

use clusterctl::app::package::{OpenBundleError, open};
use clusterctl::bundle::encryption::{DecryptError, Identity};

use crate::support::encryption::{age_key, ssh_key};
use crate::support::outside::needs;
use crate::support::{Lab, good_tool};

/// Decrypts a file through the library.
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

    // Neither changed bytes nor a truncated end are accepted.
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

    // Encrypted by age to this key, but not a bundle; armored; encrypted with a passphrase.
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

    // Existing files are never overwritten.
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
    let refused = lab.run(&open);
    assert_eq!(refused.status, 2, "{refused}");
    insta::assert_snapshot!("a_passphrase_without_a_terminal", refused.err);
    lab.typed = Some(["wrong", "", "open sesame"].map(str::to_owned).into());
    insta::assert_snapshot!("a_wrong_passphrase_is_asked_for_again", lab.good(&open).err);
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

/// Returns the recipients that `show` finds in an encrypted file.
fn shown_recipients(lab: &Lab, file: &str) -> Vec<String> {
    let shown = lab.good(&["show", "--output", "json", file]).out;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let recipients = shown["files"][0]["items"][0]["facts"]["recipients"].clone();
    serde_json::from_value(recipients).expect("a list of recipients")
}

#[test]
fn show_describes_the_recipients_of_an_encrypted_file() {
    needs!("age-keygen", "ssh-keygen");
    let lab = Lab::issued();
    let (age, ssh) = (age_key(&lab, "age"), ssh_key(&lab, "ssh", "ed25519", ""));
    lab.good(&["bundle", "on", "--encrypt-to", &age, "--encrypt-to", &ssh]);
    let shown = lab.good(&["show", "bundles/on.tar.gz.age"]);
    insta::assert_snapshot!(shown.out);
    // The random stanzas that age adds are not recipients.
    for _ in 0..20 {
        lab.good(&["bundle", "on", "--encrypt-to", &age]);
        assert_eq!(shown_recipients(&lab, "bundles/on.tar.gz.age"), ["an age key"]);
        let refused = lab.run(&["open", "bundles/on.tar.gz.age", "-i", "ssh"]);
        assert_eq!(refused.status, 3, "{refused}");
    }
    let header = "age-encryption.org/v1\n-> X25519 x\nx\n-> 4z;-grease 0 {Y\nx\n-> other x\nx\n--- x\n";
    fs::write(lab.path("by-chance"), header).expect("written");
    let recipients = shown_recipients(&lab, "by-chance");
    assert!(recipients.len() == 2 && recipients[1].ends_with(" other"), "{recipients:?}");
    fs::write(lab.path("bad"), "age-encryption.org/v1\n-> \u{1b}[2J x\n--- x\n").expect("written");
    assert!(!lab.good(&["show", "bad"]).out.contains('\u{1b}'));
    fs::write(lab.path("bad"), "age-encryption.org/v1\n-> X25519").expect("written");
    assert_eq!(lab.run(&["show", "bad"]).status, 2);
}
