//! `show` on the files of other tools: every form, kind and name that they write.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::show::{json_of, put};
use crate::support::outside::needs;
use crate::support::{Lab, ends, good_tool};

#[test]
fn an_unreadable_file_exits_with_2() {
    let lab = Lab::issued();
    put(&lab, "corrupt.crt");
    put(&lab, "bom.crt");
    for file in ["corrupt.crt", "bom.crt"] {
        insta::assert_snapshot!(format!("show_{file}"), lab.run(&["show", file]));
    }
    // Valid objects in the same file are described.
    let ran = lab.run(&["show", "--output", "json", "corrupt.crt", "pki/ca.crt"]);
    assert_eq!(ran.status, 2, "{ran}");
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(value["files"][1]["items"][0]["kind"], "CA certificate");
    let half = lab.read("pki/ca.crt");
    lab.write("half.crt", &half[..half.len() / 2]);
    assert_eq!(lab.run(&["show", "half.crt"]).status, 2);
}

#[test]
fn show_reads_every_form_of_other_tools() {
    needs!("openssl");
    let lab = Lab::issued();
    lab.good(&["revoke", "on", "--yes"]);
    put(&lab, "kubelet.csr");
    let at = |name: &str| lab.path(name).display().to_string();
    let (crt, key) = (at("pki/ca.crt"), at("pki/nodes/on/kubelet-client.key"));
    for args in [
        &["x509", "-in", &crt, "-outform", "DER", "-out", &at("ca.der")][..],
        &["x509", "-in", &crt, "-trustout", "-addtrust", "serverAuth", "-out", &at("trusted.pem")],
        &["crl2pkcs7", "-nocrl", "-certfile", &crt, "-out", &at("p7.pem")],
        &["crl2pkcs7", "-nocrl", "-certfile", &crt, "-outform", "DER", "-out", &at("p7.der")],
        &["req", "-in", &at("kubelet.csr"), "-outform", "DER", "-out", &at("csr.der")],
        &["crl", "-in", &at("pki/crl.pem"), "-outform", "DER", "-out", &at("crl.der")],
        &["pkcs8", "-topk8", "-nocrypt", "-in", &key, "-outform", "DER", "-out", &at("pkcs8.der")],
        &["ec", "-in", &key, "-outform", "DER", "-out", &at("sec1.der")],
        &["genrsa", "-traditional", "-out", &at("rsa.pem"), "2048"],
        &["rsa", "-in", &at("rsa.pem"), "-traditional", "-outform", "DER", "-out", &at("pkcs1.der")],
    ] {
        good_tool("openssl", args);
    }
    lab.write("new.csr", &lab.read("kubelet.csr").replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"));
    for (file, kind) in [
        ("ca.der", "CA certificate"),
        ("trusted.pem", "CA certificate"),
        ("p7.pem", "CA certificate"),
        ("p7.der", "CA certificate"),
        ("kubelet.csr", "certificate signing request"),
        ("new.csr", "certificate signing request"),
        ("csr.der", "certificate signing request"),
        ("crl.der", "certificate revocation list"),
        ("pkcs8.der", "private key"),
        ("sec1.der", "private key"),
        ("pkcs1.der", "private key"),
    ] {
        let value = json_of(&lab, &[file]);
        assert_eq!(value["files"][0]["items"][0]["kind"], kind, "{file}: {value}");
    }
    // The output says what Kubernetes does not read in that form.
    for file in ["trusted.pem", "p7.pem", "ca.der"] {
        let value = json_of(&lab, &[file]);
        assert_eq!(value["files"][0]["items"][0]["problems"].as_array().map(Vec::len), Some(1), "{file}: {value}");
    }
}

#[test]
fn unsupported_algorithms_are_not_reported_as_invalid() {
    needs!("openssl");
    let lab = Lab::empty();
    let at = |name: &str| lab.path(name).display().to_string();
    for (key, made) in [
        ("p521.key", &["ecparam", "-name", "secp521r1", "-genkey", "-noout", "-out"][..]),
        ("p256.key", &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"]),
    ] {
        good_tool("openssl", &[made, &[&at(key)]].concat());
    }
    good_tool("openssl", &["genrsa", "-out", &at("rsa.key"), "1024"]);
    good_tool("openssl", &["pkcs8", "-topk8", "-nocrypt", "-in", &at("p521.key"), "-out", &at("p521-pkcs8.key")]);
    for (key, kind) in [
        ("p521.key", "ecdsa-p521"),
        ("p521-pkcs8.key", "ecdsa-p521"),
        ("rsa.key", "RSA 1024"),
        ("p256.key", "ecdsa-p256"),
    ] {
        assert_eq!(json_of(&lab, &[key])["files"][0]["items"][0]["facts"]["key"], kind, "{key}");
    }
    for (key, valid) in [("p521.key", None), ("rsa.key", None), ("p256.key", Some(true))] {
        good_tool("openssl", &["req", "-new", "-key", &at(key), "-subj", "/CN=x", "-out", &at("csr")]);
        let value = json_of(&lab, &["csr"]);
        assert_eq!(
            value["files"][0]["items"][0]["facts"]["signatureValid"],
            serde_json::json!(valid),
            "{key}: {value}"
        );
    }
    // A CRL of such a CA.
    good_tool(
        "openssl",
        &["req", "-x509", "-key", &at("p521.key"), "-subj", "/CN=ca", "-days", "9", "-out", &at("ca.crt")],
    );
    lab.write("index", "");
    lab.write("conf", &format!("[ca]\ndefault_ca=d\n[d]\ndatabase={}\ndefault_md=sha512\n", at("index")));
    let (conf, key, ca, crl) = (at("conf"), at("p521.key"), at("ca.crt"), at("crl"));
    let list = ["ca", "-gencrl", "-config", &conf, "-keyfile", &key, "-cert", &ca, "-crldays", "9", "-out", &crl];
    good_tool("openssl", &list);
    let value = json_of(&lab, &["crl", "ca.crt"]);
    insta::assert_snapshot!(value["files"][0]["items"][0]["problems"][0]);
}

#[test]
fn files_of_other_kinds_are_named() {
    let lab = Lab::empty();
    for (bytes, kind) in [
        (&b""[..], "empty"),
        (b"\n\n", "blank"),
        (b"ssh-ed25519 AAAA x\n", "ssh"),
        (b"\xfe\xed\xfe\xed\x00\x00", "keystore"),
        (b"SQLite format 3\0", "sqlite"),
        (b"# created: x\nAGE-SECRET-KEY-1X\n", "age"),
        (b"\xff\xfe-\0-\0", "utf16"),
        (b"MIIBszCC", "base64"),
        (b"\x30\x82\x01", "der"),
    ] {
        std::fs::write(lab.path("file"), bytes).expect("written");
        insta::assert_snapshot!(format!("other_kind_{kind}"), lab.run(&["show", "file"]));
    }
}

#[test]
fn show_reads_a_folder_and_standard_input() {
    let lab = Lab::issued();
    std::fs::create_dir_all(lab.path("etc/pki")).expect("created");
    std::fs::copy(lab.path("pki/ca.crt"), lab.path("etc/pki/ca.crt")).expect("copied");
    std::fs::copy(lab.path("pki/nodes/on/kubelet-client.crt"), lab.path("etc/on.crt")).expect("copied");
    lab.write("etc/README", "words\n");
    let value = json_of(&lab, &["etc"]);
    let files: Vec<_> = value["files"].as_array().expect("files").iter().map(|file| file["file"].clone()).collect();
    assert_eq!(files, ["etc/on.crt", "etc/pki/ca.crt"]);
    std::fs::create_dir(lab.path("empty")).expect("created");
    assert_eq!(lab.run(&["show", "empty"]).status, 2);
    let mut process = lab.process(&["show", "-"]);
    process.stdin(std::fs::File::open(lab.path("pki/ca.crt")).expect("a file"));
    let output = process.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("-\n  CA certificate\n"), "{output:?}");
}

#[test]
fn show_describes_each_file_of_a_folder_once_and_names_what_it_does_not_read() {
    let lab = Lab::issued();
    std::fs::create_dir(lab.path("etc")).expect("created");
    for name in [&b"ca.crt"[..], b"not-utf8-\xff.crt"] {
        let name = std::ffi::OsStr::from_bytes(name);
        std::fs::copy(lab.path("pki/ca.crt"), lab.path("etc").join(name)).expect("copied");
    }
    symlink(".", lab.path("etc/again")).expect("a link");
    symlink("/dev/zero", lab.path("etc/zero.crt")).expect("a link");
    let ran = ends(move || lab.run(&["show", "-o", "json", "etc"]));
    assert_eq!(ran.status, 2, "{ran}");
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let files = value["files"].as_array().expect("files").iter().map(|file| file["file"].clone());
    assert_eq!(files.collect::<Vec<_>>(), ["etc/ca.crt", "etc/not-utf8-\u{fffd}.crt", "etc/zero.crt"], "{ran}");
    let errors = value["files"].as_array().expect("files").iter().map(|file| file["error"].is_string());
    assert_eq!(errors.collect::<Vec<_>>(), [false, true, true], "{ran}");
}

#[test]
fn file_names_are_printed_escaped() {
    let lab = Lab::issued();
    let name = "a\u{1b}[2J\u{202e}.crt";
    std::fs::copy(lab.path("pki/ca.crt"), lab.path(name)).expect("copied");
    let ran = lab.good(&["show", name]);
    assert!(!ran.out.contains(['\u{1b}', '\u{202e}']), "{ran:?}");
    lab.write(name, "words");
    let ran = lab.run(&["show", name]);
    assert_eq!(ran.status, 2, "{ran}");
    assert!(!ran.err.contains(['\u{1b}', '\u{202e}']), "{ran:?}");
    let ran = lab.run(&["show", "no\u{1b}[2J"]);
    assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
}
