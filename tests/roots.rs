//! `init-ca`: three roots, created once and atomically, with encrypted keys.

use std::os::unix::fs::PermissionsExt;

use crate::support::outside::needs;
use crate::support::plans::issued_by;
use crate::support::{CLUSTER, Lab, good_tool, tool};

/// The passphrase of encrypted CA keys.
const PASSPHRASE: &str = "three in the morning";

const ROOTS: [(&str, &str); 3] =
    [("pki", "prod root"), ("pki/etcd", "prod etcd root"), ("pki/front-proxy", "prod front-proxy root")];

fn with_passphrase(text: &str) -> Lab {
    let mut lab = Lab::with(CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), text.into());
    lab
}

#[test]
fn init_ca_does_not_replace_existing_cas() {
    let lab = Lab::with_roots();
    let before = lab.snapshot();
    insta::assert_snapshot!("cas_that_exist", lab.run(&["init-ca", "--plaintext-ca-key"]).to_string());
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn init_ca_without_passphrase_and_terminal_exits_with_2() {
    let lab = Lab::with(CLUSTER);
    insta::assert_snapshot!("no_passphrase_and_no_terminal", lab.run(&["init-ca"]).to_string());
    assert!(!lab.path("pki").exists());
}

#[test]
fn passphrases_that_differ_write_nothing() {
    let mut lab = Lab::with(CLUSTER);
    lab.typed = Some([PASSPHRASE, "three in the mourning"].map(str::to_owned).into());
    insta::assert_snapshot!("passphrases_that_differ", lab.run(&["init-ca"]).to_string());
    lab.typed = Some(["", ""].map(str::to_owned).into());
    assert_eq!(lab.run(&["init-ca"]).status, 3);
    assert!(!lab.path("pki").exists());
    lab.typed = Some([PASSPHRASE, PASSPHRASE].map(str::to_owned).into());
    lab.good(&["init-ca"]);
    lab.typed = Some(["three in the mourning", PASSPHRASE].map(str::to_owned).into());
    let (issued, ran) = issued_by(&lab, &["issue-node", "on"]);
    assert_eq!((issued, ran.err.matches("warning: ").count()), (2, 1), "{ran}");
}

#[test]
fn openssl_decrypts_the_ca_keys_and_verifies_the_cas() {
    needs!("openssl");
    let lab = with_passphrase(PASSPHRASE);
    let ran = lab.good(&["init-ca"]);
    for (folder, name) in ROOTS {
        let path = |file: &str| lab.path(folder).join(file).display().to_string();
        let (key, certificate) = (path("ca.key"), path("ca.crt"));
        assert!(lab.read(&format!("{folder}/ca.key")).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let public = good_tool("openssl", &["pkey", "-in", &key, "-passin", "pass:three in the morning", "-pubout"]);
        assert!(!tool("openssl", &["pkey", "-in", &key, "-passin", "pass:wrong"]).status.success());
        assert_eq!(public, good_tool("openssl", &["x509", "-in", &certificate, "-noout", "-pubkey"]));
        good_tool("openssl", &["verify", "-x509_strict", "-check_ss_sig", "-CAfile", &certificate, &certificate]);
        let text = good_tool("openssl", &["x509", "-in", &certificate, "-noout", "-text"]);
        for line in [
            "CA:TRUE, pathlen:0",
            "X509v3 Basic Constraints: critical",
            "X509v3 Key Usage: critical",
            "Certificate Sign, CRL Sign",
            "X509v3 Subject Key Identifier",
            &format!("Subject: O = prod, CN = {name}"),
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        let parameters = good_tool("openssl", &["asn1parse", "-in", &key]);
        for part in ["PBES2", "scrypt", "aes-256-cbc", ":4000", ":08", ":05"] {
            assert!(parameters.contains(part), "{part} is not in {parameters}");
        }
        let mode =
            |file: &str| std::fs::metadata(lab.path(folder).join(file)).expect("it").permissions().mode() & 0o777;
        assert_eq!((mode("ca.key"), mode("ca.crt"), mode("")), (0o600, 0o644, 0o700));
    }
    let spki = lab.path("spki.der").display().to_string();
    let certificate = lab.path("pki/ca.crt").display().to_string();
    let public = good_tool("openssl", &["x509", "-in", &certificate, "-noout", "-pubkey"]);
    lab.write("public.pem", &public);
    good_tool(
        "openssl",
        &["pkey", "-pubin", "-in", &lab.path("public.pem").display().to_string(), "-outform", "DER", "-out", &spki],
    );
    let pin = good_tool("openssl", &["dgst", "-sha256", "-r", &spki]);
    let pin = pin.split(' ').next().expect("a digest");
    assert!(ran.out.contains(&format!("pin          sha256:{pin}\n")), "{ran}");
}

#[test]
fn ca_subjects_have_the_clusters_name() {
    needs!("openssl");
    let subject = |name: &str| {
        let lab = Lab::with(&CLUSTER.replace("name: prod", &format!("name: {name}")));
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        good_tool("openssl", &["x509", "-in", &lab.path("pki/ca.crt").display().to_string(), "-noout", "-subject"])
    };
    assert_eq!(subject("prod"), "subject=O = prod, CN = prod root\n");
    assert_eq!(subject("lab"), "subject=O = lab, CN = lab root\n");
}

#[test]
fn the_passphrase_is_in_no_file_and_no_message() {
    let lab = with_passphrase(PASSPHRASE);
    let ran = lab.good(&["init-ca", "--verbose"]);
    assert!(!ran.to_string().contains(PASSPHRASE));
    for (path, bytes) in lab.snapshot() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains(PASSPHRASE), "{}", path.display());
    }
}

#[test]
fn sqlite3_reads_the_roots_in_the_ledger() {
    needs!("sqlite3");
    let lab = Lab::with_roots();
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let rows = good_tool("sqlite3", &[&ledger, "select profile, account, issued_by, issued_at from certificates"]);
    assert_eq!(
        rows,
        "root|prod root|admin@laptop|2026-11-23T12:00:00Z\n\
         etcd root|prod etcd root|admin@laptop|2026-11-23T12:00:00Z\n\
         front-proxy root|prod front-proxy root|admin@laptop|2026-11-23T12:00:00Z\n"
    );
}

#[test]
fn an_unusable_cluster_directory_is_refused() {
    let lab = Lab::with(CLUSTER);
    lab.write("file", "");
    let ran = lab.run(&["init-ca", "--plaintext-ca-key", "--dir", "file"]);
    assert_eq!((ran.status, ran.out.as_str()), (4, ""), "{ran}");
    let ran = lab.run(&["init-ca", "--plaintext-ca-key", "--dir", "/proc"]);
    assert_eq!(ran.status, 2, "{ran}");
}

#[test]
fn an_absent_ca_key_is_needed_only_for_signing() {
    let lab = Lab::issued();
    std::fs::rename(lab.path("pki/ca.key"), lab.path("ca.key.away")).expect("moved");
    lab.good(&["issue-node", "--all"]);
    lab.good(&["verify", "--offline"]);
    insta::assert_snapshot!("a_ca_key_that_is_kept_elsewhere", lab.run(&["issue-node", "on", "--reissue"]).to_string());
}

#[test]
fn one_passphrase_is_tried_for_all_cas_before_another_prompt() {
    needs!("openssl");
    let mut lab = Lab::with(CLUSTER);
    lab.typed = Some(["one".to_owned(), "one".to_owned()].into());
    lab.good(&["init-ca", "--allow-weak-passphrase"]);
    lab.typed = Some(["one".to_owned()].into());
    lab.good(&["issue-master", "--all"]);

    let (key, clear) = (lab.path("pki/etcd/ca.key"), lab.path("clear"));
    let (key, clear) = (key.display().to_string(), clear.display().to_string());
    good_tool("openssl", &["pkey", "-in", &key, "-passin", "pass:one", "-out", &clear]);
    good_tool("openssl", &["pkcs8", "-topk8", "-scrypt", "-in", &clear, "-passout", "pass:two", "-out", &key]);
    lab.typed = Some(["one".to_owned(), "wrong".to_owned(), "two".to_owned()].into());
    let (issued, ran) = issued_by(&lab, &["issue-master", "--all", "--reissue"]);
    assert_eq!((issued, ran.err.matches("warning: ").count()), (19, 1), "{ran}");
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".to_owned(), "one".into());
    let refused = lab.run(&["issue-master", "--all", "--reissue"]);
    assert_eq!(refused.status, 3, "{refused}");
    insta::assert_snapshot!("a_passphrase_of_another_ca", refused.err);
}
