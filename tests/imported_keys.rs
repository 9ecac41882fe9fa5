//! `import-ca`: the forms in which openssl writes the key and the certificate of a CA.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use clusterctl::pki::ca_key::CaKey;
use clusterctl::pki::key::KeyError;
use clusterctl::pki::passphrase::Passphrase;
use clusterctl::pki::pem::{HeaderFault, PemError};
use clusterctl::pki::signing_key::SigningKey;

use crate::importing::import;
use crate::support::openssl::{ED25519, GOOD, KUBEADM, P256, P384, RSA, certificate, key, root};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, Ran, good_tool, tool};

/// The passphrase of the keys. In PKCS#12 its letters are UTF-16, elsewhere UTF-8.
const THEIRS: &str = "gr\u{fc}n wie \u{3a9}";

/// Reads a key.
fn read(bytes: &[u8], passphrase: Option<&str>) -> Result<CaKey, KeyError> {
    CaKey::read(bytes, passphrase.map(|text| Passphrase::new(text.to_owned())).as_ref())
}

/// Returns the error of reading a key.
fn fault(bytes: &[u8], passphrase: Option<&str>) -> KeyError {
    read(bytes, passphrase).expect_err("refused")
}

/// Returns the output of openssl with `options` for the key `NAME.key`, and the passphrase [`THEIRS`].
fn converted(lab: &Lab, name: &str, options: &[&str]) -> Vec<u8> {
    let (path, pass) = (lab.path(&format!("{name}.key")).display().to_string(), format!("pass:{THEIRS}"));
    let ran = tool("openssl", &[options, &["-in", &path, "-passout", &pass]].concat());
    assert!(ran.status.success(), "{options:?}: {ran:?}");
    ran.stdout
}

const LEGACY: [&str; 4] = ["-provider", "legacy", "-provider", "default"];

#[test]
fn every_encryption_of_openssl_is_opened() {
    needs!("openssl");
    let lab = Lab::empty();
    let pkcs8: [&[&str]; 7] = [
        &["-v2", "aes-128-cbc"],
        &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"],
        &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"],
        &["-v2", "des3"],
        &["-v2", "des3", "-v2prf", "hmacWithSHA1"],
        &["-v1", "PBE-SHA1-3DES"],
        &["-scrypt"],
    ];
    let old = ["-aes128", "-aes192", "-aes256", "-des3"];
    for (name, how, tool) in [("rsa", RSA, "rsa"), ("p256", P256, "ec"), ("p384", P384, "ec"), ("ed25519", ED25519, "")]
    {
        key(&lab, name, how);
        let path = lab.path(&format!("{name}.key")).display().to_string();
        let public = converted_public(&path);
        let check = |options: &[&str], is_weak: bool| {
            let text = converted(&lab, name, options);
            let opened = read(&text, Some(THEIRS)).unwrap_or_else(|error| panic!("{name} {options:?}: {error}"));
            assert_eq!(opened.open().expect("a key").public_key(), public, "{name} {options:?}");
            assert_eq!(opened.is_weakly_encrypted(), is_weak, "{name} {options:?}");
            assert_eq!(fault(&text, None), KeyError::PassphraseNeeded, "{name} {options:?}");
            // The padding of a wrong plaintext may be right by chance.
            for wrong in 0..20 {
                let wrong = fault(&text, Some(&wrong.to_string()));
                assert_eq!(wrong, KeyError::WrongPassphrase, "{name} {options:?}");
                if options.contains(&"-scrypt") {
                    break;
                }
            }
        };
        for options in pkcs8 {
            check(&[&["pkcs8", "-topk8"], options].concat(), false);
        }
        for cipher in old.iter().filter(|_| !tool.is_empty()) {
            let traditional: &[&str] = if tool == "rsa" { &["-traditional"] } else { &[] };
            check(&[&[tool, cipher], traditional].concat(), true);
        }
    }
}

/// Returns the SubjectPublicKeyInfo of a key's file.
fn converted_public(path: &str) -> Vec<u8> {
    let ran = tool("openssl", &["pkey", "-in", path, "-pubout", "-outform", "DER"]);
    assert!(ran.status.success(), "{ran:?}");
    ran.stdout
}

#[test]
fn a_weakly_encrypted_key_is_imported_with_a_warning_and_encrypted_again() {
    needs!("openssl");
    for (how, old) in [
        (&["genrsa", "-traditional", "-aes128", "-passout"][..], None),
        (P256, Some(&["ec", "-aes256", "-passout"][..])),
    ] {
        let lab = Lab::with(CLUSTER);
        let path = |name: &str| lab.path(name).display().to_string();
        let pass = format!("pass:{THEIRS}");
        match old {
            // The key never was unencrypted in a file.
            None => lab.write("old.key", &good_tool("openssl", &[how, &[&pass, "2048"]].concat())),
            Some(old) => {
                key(&lab, "plain", how);
                lab.write("old.key", &good_tool("openssl", &[old, &[&pass, "-in", &path("plain.key")]].concat()));
            }
        }
        assert!(lab.read("old.key").contains("DEK-Info: AES-"));
        let plain = good_tool("openssl", &["pkey", "-in", &path("old.key"), "-passin", &pass]);
        lab.write("ca.key", &plain);
        certificate(&lab, "ca", "/CN=ca", GOOD, None, 3650);
        lab.write("ca.key", &lab.read("old.key"));
        lab.write("theirs", &format!("{THEIRS}\n"));
        lab.write("wrong", "wrong\n");
        lab.write("ours", "a passphrase of ours\n");
        let more = ["--ca-passphrase-file", "ours", "--key-passphrase-file", "theirs"];
        let args = ["import-ca", "--as", "cluster", "--cert", "ca.crt", "--key", "ca.key"];
        assert_eq!(lab.run(&[&args[..], &["--plaintext-ca-key"]].concat()).status, 2, "no passphrase");
        let ran = lab.run(&[&args[..], &["--plaintext-ca-key", "--key-passphrase-file", "wrong"]].concat());
        assert!(ran.status == 3 && !lab.path("pki").exists(), "{ran}");
        let report = import(&lab, "cluster", "ca", &more);
        let warnings = report["warnings"].as_array().expect("warnings");
        assert!(warnings.iter().any(|warning| warning["text"].to_string().contains("MD5")), "{report}");
        let stored = path("pki/ca.key");
        assert!(lab.read("pki/ca.key").starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let public = |pass: &str, file: &str| good_tool("openssl", &["pkey", "-in", file, "-passin", pass, "-pubout"]);
        assert_eq!(public("pass:a passphrase of ours", &stored), public(&pass, &path("old.key")));
    }
}

/// Replaces a key by one in OpenSSL's form before PKCS#8, encrypted with [`THEIRS`].
fn weaken(path: &Path) {
    let (path, pass) = (path.display().to_string(), format!("pass:{THEIRS}"));
    good_tool("openssl", &["ec", "-aes256", "-passout", &pass, "-in", &path, "-out", &path]);
}

fn is_warned(ran: &Ran) -> bool {
    ran.err.lines().any(|line| line.starts_with("warning: ") && line.contains("MD5"))
}

#[test]
fn a_rotation_warns_of_the_weakly_encrypted_key_that_it_imports() {
    needs!("openssl");
    for typed in [None, Some(THEIRS)] {
        let mut lab = Lab::with_roots();
        key(&lab, "new", P256);
        certificate(&lab, "new", "/CN=their root", GOOD, None, 3650);
        weaken(&lab.path("new.key"));
        lab.write("theirs", &format!("{THEIRS}\n"));
        let start = ["rotate-ca", "start", "--cert", "new.crt", "--key", "new.key"];
        assert_eq!(lab.run(&start).status, 2, "no passphrase");
        lab.typed = typed.map(|typed| VecDeque::from([typed.to_owned()]));
        let given: &[&str] = if typed.is_none() { &["--key-passphrase-file", "theirs"] } else { &[] };
        let ran = lab.good(&[&start[..], given].concat());
        assert!(is_warned(&ran), "{ran}");
    }
}

/// The warning has the command that ends it, which is run here.
#[test]
fn a_weakly_encrypted_key_is_warned_of_wherever_it_is_opened() {
    needs!("openssl");
    let lab = Lab::with_roots();
    lab.write("theirs", &format!("{THEIRS}\n"));
    weaken(&lab.path("pki/ca.key"));
    let pass = format!("pass:{THEIRS}");
    for command in [
        &["issue-master", "--all"][..],
        &["issue-node", "on"],
        &["issue-admin", "alice"],
        &["revoke", "on", "--yes"],
        &["crl", "renew"],
        &["rotate-ca", "start"],
    ] {
        let ran = lab.good(&[command, &["--ca-passphrase-file", "theirs"]].concat());
        assert!(is_warned(&ran), "{command:?}: {ran}");
    }
    let ran = lab.good(&["issue-node", "worker-b1", "--ca-passphrase-file", "theirs"]);
    let stated =
        ran.err.lines().find_map(|line| line.split_once("openssl pkcs8 ")?.1.split_once(" && ")).expect("a command");
    let (path, convert) = (lab.path("pki/ca.key"), stated.0.replace("DIR", &lab.dir().display().to_string()));
    let convert: Vec<&str> = convert.split(' ').chain(["-passin", &pass, "-passout", &pass]).collect();
    good_tool("openssl", &[&["pkcs8"], &convert[..]].concat());
    fs::rename(path.with_extension("key.new"), &path).expect("renamed");
    let ran = lab.good(&["issue-node", "--all", "--ca-passphrase-file", "theirs"]);
    assert!(!is_warned(&ran), "{ran}");
}

#[test]
fn a_weakly_encrypted_key_of_an_offline_root_is_warned_of() {
    needs!("openssl");
    let (lab, safe) = (Lab::with(CLUSTER), tempfile::tempdir().expect("a folder"));
    let roots = safe.path().join("roots");
    let folder = roots.display().to_string();
    lab.good(&["init-ca", "--intermediate", "--root-out", &folder, "--plaintext-ca-key"]);
    weaken(&roots.join("etcd/root.key"));
    lab.write("theirs", &format!("{THEIRS}\n"));
    let renew = ["init-ca", "--intermediate", "--renew", "--root-in", &folder, "--plaintext-ca-key"];
    let ran = lab.good(&[&renew[..], &["--root-passphrase-file", "theirs"]].concat());
    let warnings = ran.err.lines().filter(|line| line.starts_with("warning: ") && line.contains("MD5"));
    assert_eq!(warnings.count(), 1, "{ran}");
}

#[test]
fn encryption_that_is_not_read_is_named_before_a_passphrase_is_asked_for() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    root(&lab, "ca", "/CN=kubernetes", KUBEADM, RSA);
    let plain = lab.read("ca.key");
    lab.write("theirs", &format!("{THEIRS}\n"));
    let cases: [(&[&str], &str); 8] = [
        (&["rsa", "-traditional", "-camellia256"], "CAMELLIA-256-CBC"),
        (&["rsa", "-traditional", "-des", LEGACY[0], LEGACY[1], LEGACY[2], LEGACY[3]], "DES-CBC"),
        (&["pkcs8", "-topk8", "-v2", "camellia-256-cbc"], "CAMELLIA-256-CBC"),
        (&["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512-256"], "hmacWithSHA512-256"),
        (&["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithMD5"], "hmacWithMD5"),
        (&["pkcs8", "-topk8", "-v2", "aes-256-ofb"], "2.16.840.1.101.3.4.1.43"),
        (&["pkcs8", "-topk8", "-v1", "PBE-MD5-DES", LEGACY[0], LEGACY[1], LEGACY[2], LEGACY[3]], "PBE-MD5-DES"),
        (&["pkcs8", "-topk8", "-v1", "PBE-SHA1-RC2-40", LEGACY[0], LEGACY[1], LEGACY[2], LEGACY[3]], "PBE-SHA1-RC2-40"),
    ];
    for (options, name) in cases {
        lab.write("ca.key", &plain);
        let text = converted(&lab, "ca", options);
        let named = fault(&text, None);
        assert!(matches!(&named, KeyError::Encryption(text) if text.ends_with(name)), "{options:?}: {named:?}");
        fs::write(lab.path("ca.key"), &text).expect("written");
        let import = ["import-ca", "--as", "cluster", "--cert", "ca.crt", "--plaintext-ca-key"];
        let ran = lab.run(&[&import[..], &["--key", "ca.key"]].concat());
        assert_eq!(ran.status, 3, "{options:?}: {ran}");
        assert!(ran.err.contains(name) && ran.err.contains("openssl pkcs8 -topk8"), "{options:?}: {ran}");
        assert!(!lab.path("pki").exists());
        // The command in the message converts the key.
        let (from, to) = (lab.path("ca.key").display().to_string(), lab.path("new.key").display().to_string());
        let pass = format!("pass:{THEIRS}");
        let convert = ["pkcs8", "-topk8", "-in", &from, "-out", &to, "-passin", &pass, "-passout", &pass];
        good_tool("openssl", &[&convert[..], &LEGACY].concat());
        lab.good(&[&import[..], &["--key", "new.key", "--key-passphrase-file", "theirs"]].concat());
        fs::remove_dir_all(lab.path("pki")).expect("removed");
    }
}

#[test]
fn damage_to_a_key_with_header_lines_is_not_taken_for_a_wrong_passphrase() {
    needs!("openssl");
    let lab = Lab::empty();
    key(&lab, "ca", P256);
    let text = String::from_utf8(converted(&lab, "ca", &["ec", "-aes256"])).expect("PEM");
    let iv = text.lines().find_map(|line| line.strip_prefix("DEK-Info: AES-256-CBC,")).expect("a vector");
    let changed = |from: &str, to: &str| fault(text.replacen(from, to, 1).as_bytes(), Some(THEIRS));
    let of_headers = |fault| KeyError::Pem(PemError::Headers { line: 1, fault });
    assert_eq!(changed("DEK-Info", "Other"), of_headers(HeaderFault::NotOneDekInfo));
    assert_eq!(changed(iv, ""), of_headers(HeaderFault::InitializationVector));
    assert_eq!(changed(iv, &iv[..16]), KeyError::InitializationVector { wanted: 16, found: 8 });
    assert_eq!(changed("AES-256-CBC", "DES-EDE3-CBC"), KeyError::InitializationVector { wanted: 8, found: 16 });
    assert_eq!(changed("AES-256-CBC", "AES-128-CBC"), KeyError::WrongPassphrase);
    let (first, rest) = text.split_once("\n\n").expect("header lines");
    let (_, rest) = rest.split_once('\n').expect("a line of base64");
    assert_eq!(read(format!("{first}\n\n{rest}").as_bytes(), Some(THEIRS)).map(|_| ()), Err(KeyError::WrongPassphrase));
    let short = format!("{first}\n\nb25l\n-----END EC PRIVATE KEY-----\n");
    assert_eq!(fault(short.as_bytes(), Some(THEIRS)), KeyError::Damaged);
}

#[test]
fn der_is_imported_like_pem() {
    needs!("openssl");
    for (how, convert) in [
        (RSA, &["rsa", "-traditional", "-outform", "DER"][..]),
        (P256, &["ec", "-outform", "DER"]),
        (ED25519, &["pkey", "-outform", "DER"]),
        (P384, &["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-outform", "DER"]),
    ] {
        let lab = Lab::with(CLUSTER);
        root(&lab, "pem", "/CN=ca", GOOD, how);
        let crt = lab.path("pem.crt").display().to_string();
        let der = tool("openssl", &["x509", "-in", &crt, "-outform", "DER"]).stdout;
        fs::write(lab.path("ca.crt"), der).expect("written");
        let options: Vec<&str> = convert.to_vec();
        fs::write(lab.path("ca.key"), converted(&lab, "pem", &options)).expect("written");
        lab.write("theirs", &format!("{THEIRS}\n"));
        import(&lab, "cluster", "ca", &["--plaintext-ca-key", "--key-passphrase-file", "theirs"]);
        assert_eq!(lab.read("pki/ca.crt"), lab.read("pem.crt"));
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-node", "--all"]);
    }
}

#[test]
fn files_of_other_kinds_are_named() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    root(&lab, "ca", "/CN=ca", GOOD, P256);
    let path = |name: &str| lab.path(name).display().to_string();
    let (crt, key, p12) = (path("ca.crt"), path("ca.key"), path("ca.p12"));
    good_tool("openssl", &["pkcs12", "-export", "-in", &crt, "-inkey", &key, "-passout", "pass:x", "-out", &p12]);
    lab.write("words", "words\n");
    // Nothing is read from a certificate's file (2), or the key is refused (3).
    for (cert, key, status) in [
        ("ca.key", "ca.crt", 2),
        ("ca.p12", "ca.key", 2),
        ("words", "ca.key", 2),
        ("ca.crt", "ca.crt", 3),
        ("ca.crt", "ca.p12", 3),
        ("ca.crt", "words", 3),
    ] {
        let args = ["import-ca", "--as", "cluster", "--cert", cert, "--key", key, "--plaintext-ca-key"];
        let ran = lab.run(&args);
        assert!(ran.status == status && !lab.path("pki").exists(), "{cert} {key}: {ran}");
        assert!(ran.err.contains("hint:"), "{cert} {key}: {ran}");
    }
    assert_eq!(fault(&fs::read(lab.path("ca.p12")).expect("PKCS#12"), None), KeyError::Pkcs12);
    assert_eq!(fault(lab.read("ca.crt").as_bytes(), None), KeyError::NoKey);
}

#[test]
fn encryption_that_asks_for_too_much_is_not_begun() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    root(&lab, "root", "/CN=ca", GOOD, P256);
    let path = |name: &str| lab.path(name).display().to_string();
    let (plain, der) = (path("root.key"), path("slow.der"));
    let args = ["pkcs8", "-topk8", "-in", &plain, "-v2", "aes256", "-iter", "65536", "-passout", "pass:theirs"];
    good_tool("openssl", &[&args[..], &["-outform", "DER", "-out", &der]].concat());
    let mut bytes = fs::read(&der).expect("DER");
    // The number of iterations as a DER INTEGER.
    let at = bytes.windows(5).position(|window| window == [2, 3, 1, 0, 0]).expect("65536");
    bytes[at + 2..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
    let body = <base64ct::Base64 as base64ct::Encoding>::encode_string(&bytes);
    lab.write("slow.key", &pem(&body));
    let key = CaKey::read(lab.read("slow.key").as_bytes(), Some(&Passphrase::new("theirs".to_owned())));
    assert!(matches!(key, Err(KeyError::Encryption(_))), "{key:?}");
    lab.write("theirs", "theirs\n");
    let args = ["import-ca", "--as", "cluster", "--cert", "root.crt", "--key", "slow.key", "--plaintext-ca-key"];
    assert_eq!(lab.run(&[&args[..], &["--key-passphrase-file", "theirs"]].concat()).status, 3);
    assert!(!lab.path("pki").exists());
}

/// Returns an encrypted key as PEM.
fn pem(base64: &str) -> String {
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n-----END ENCRYPTED PRIVATE KEY-----\n", lines.join("\n"))
}

#[test]
fn encrypted_keys_are_opened_and_encrypted_again() {
    needs!("openssl");
    for how in [RSA, P256, ED25519] {
        let mut lab = Lab::with(CLUSTER);
        root(&lab, "plain", "/CN=ca", GOOD, how);
        lab.write("ca.crt", &lab.read("plain.crt"));
        let plain = lab.path("plain.key").display().to_string();
        let args = ["pkcs8", "-topk8", "-in", &plain, "-v2", "aes-256-cbc", "-passout", "pass:theirs"];
        lab.write("ca.key", &good_tool("openssl", &args));
        lab.write("theirs", "theirs\n");
        lab.write("wrong", "wrong\n");
        lab.write("ours", "a passphrase of ours\n");
        let args =
            ["import-ca", "--as", "cluster", "--cert", "ca.crt", "--key", "ca.key", "--ca-passphrase-file", "ours"];
        assert_eq!(lab.run(&args).status, 2, "no passphrase, and no terminal");
        assert_eq!(lab.run(&[&args[..], &["--key-passphrase-file", "wrong"]].concat()).status, 3);
        assert!(!lab.path("pki").exists());
        lab.typed = Some(["wrong", "theirs"].map(str::to_owned).into());
        lab.good(&args);
        lab.typed = None;
        let stored = lab.path("pki/ca.key").display().to_string();
        let public = |file: &str, pass: &str| good_tool("openssl", &["pkey", "-in", file, "-passin", pass, "-pubout"]);
        assert_eq!(public(&stored, "pass:a passphrase of ours"), public(&plain, "pass:"));
        lab.good(&["init-ca", "--ca-passphrase-file", "ours"]);
        lab.good(&["issue-node", "--all", "--ca-passphrase-file", "ours"]);
    }
}
