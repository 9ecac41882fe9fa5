//! `import-ca`: CAs like those of kubeadm, Kubernetes the hard way, Talos and a company, made with openssl; and CAs
//! that cannot sign.

use clusterctl::app::ca::{ImportCaError, ImportOptions, plan};
use clusterctl::app::revoke::{self, Advice, Outcome, Request, RevokeOptions, Subject};
use clusterctl::app::{self, Env, Silent};
use clusterctl::cluster::lifetime::Lifetime;
use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::ca_certificate::CaCertificateError;
use clusterctl::pki::reason::Reason;
use clusterctl::pki::violation::Violation;
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use serde_json::Value;
use time::Duration;

use crate::support::encryption::age_key;
use crate::support::live::Live;
use crate::support::openssl::{BARE, ED25519, GOOD, KUBEADM, P256, P384, RSA, certificate, key, root};
use crate::support::outside::needs;
use crate::support::packages::{cluster, env};
use crate::support::{CLUSTER, Lab, forms, good_tool};

/// Imports `NAME.crt` and `NAME.key`, and returns the report.
pub(crate) fn import(lab: &Lab, role: &str, name: &str, more: &[&str]) -> Value {
    let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
    let args = ["import-ca", "--as", role, "--cert", &cert, "--key", &key, "-o", "json"];
    let report = lab.good(&[&args, more].concat()).out;
    forms::conforms("import-ca", &report);
    serde_json::from_str(&report).expect("JSON")
}

/// Issues, packs, verifies, renews and revokes with the CA that `prepare` imports, in a running cluster. `crl` is whether
/// this CA signs CRLs. The other CAs are generated.
fn full_lifecycle(prepare: impl FnOnce(&Lab), crl: bool) -> Live {
    let prepare = |lab: &Lab| {
        prepare(lab);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
    };
    full_lifecycle_with_all_cas(prepare, crl)
}

/// Like [`full_lifecycle`], but `prepare` makes all CAs.
pub(crate) fn full_lifecycle_with_all_cas(prepare: impl FnOnce(&Lab), crl: bool) -> Live {
    let live = Live::with_cas(1, 2, |lab| {
        std::fs::remove_dir_all(lab.path("pki")).expect("removed");
        prepare(lab);
    });
    let lab = &live.lab;
    lab.good(&["verify"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    lab.good(&["renew", "--all", "--within", "400d"]);
    lab.good(&["issue-admin", "alice"]);
    lab.run(&["status"]);
    lab.good(&["revoke", "node-2", "--yes"]);
    assert_eq!(lab.path("pki/crl.pem").exists(), crl);
    lab.good(&["crl", "renew"]);
    assert_eq!(lab.path("pki/crl.pem").exists(), crl);
    let shown: Value = serde_json::from_str(&lab.good(&["crl", "show", "-o", "json"]).out).expect("JSON");
    assert_eq!(shown["unlisted"].as_u64() > Some(0), !crl, "{shown}");
    lab.good(&["ledger", "check"]);
    let denied = lab.read("policy/masters/authorization.yaml");
    assert!(denied.contains("X509SHA256="), "the API servers' rules deny it");
    lab.good(&["issue-node", "node-2"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    live
}

#[test]
fn the_hard_ways_root_signs_for_the_cluster() {
    needs!("openssl");
    full_lifecycle(
        |lab| {
            root(lab, "ca", "/C=US/L=Portland/O=Kubernetes/CN=Kubernetes", GOOD, RSA);
            let report = import(lab, "cluster", "ca", &["--plaintext-ca-key"]);
            assert_eq!((&report["key"], &report["name"]), (&"RSA 2048".into(), &"Kubernetes".into()));
            assert_eq!(report["missing"], serde_json::json!(["etcd", "front-proxy"]));
        },
        true,
    );
}

/// OpenSSL before 1.1.0 signed with SHA-1 by default. The signature of a root is never verified, and ring cannot verify
/// this one.
#[test]
fn a_root_that_signed_itself_with_sha1_is_used_checked_backed_up_restored_and_rebuilt() {
    needs!("openssl", "age-keygen");
    for new_key in [&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..], &["rsa:2048"]] {
        let mut lab = Lab::with(CLUSTER);
        // openssl reads the clock.
        lab.now = time::OffsetDateTime::now_utc() + Duration::hours(1);
        let (cert, key) = (lab.path("ca.crt").display().to_string(), lab.path("ca.key").display().to_string());
        let new = ["req", "-x509", "-sha1", "-days", "3650", "-nodes", "-subj", "/CN=old", "-newkey"];
        good_tool("openssl", &[&new[..], new_key, &["-out", &cert, "-keyout", &key]].concat());
        assert!(good_tool("openssl", &["x509", "-in", &cert, "-noout", "-text"]).to_lowercase().contains("sha1"));
        import(&lab, "cluster", "ca", &["--plaintext-ca-key"]);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        lab.good(&["issue-admin", "alice"]);
        lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
        lab.good(&["issue-node", "on"]);
        lab.good(&["bundle", "--all"]);
        lab.good(&["verify", "--offline"]);
        lab.good(&["ledger", "check"]);

        let recipient = age_key(&lab, "admin.key");
        lab.good(&["backup", "b.age", "--encrypt-to", &recipient]);
        lab.good(&["--dir", "again", "restore", "b.age", "--identity", "admin.key"]);
        lab.good(&["--dir", "again", "ledger", "check"]);

        let revoked = |lab: &Lab| {
            let text = lab.good(&["crl", "show", "pki/crl.pem", "-o", "json"]).out;
            let shown: Value = serde_json::from_str(&text).expect("JSON");
            assert!(shown["crls"][0]["ca"].is_string(), "its signer is found: {shown:#}");
            assert_eq!(shown["crls"][0]["ledger"]["notRevoked"], serde_json::json!([]), "{shown:#}");
            shown["crls"][0]["crl"].clone()
        };
        let before = revoked(&lab);
        std::fs::remove_file(lab.path("pki/ledger.sqlite3")).expect("removed");
        let report: Value =
            serde_json::from_str(&lab.good(&["ledger", "rebuild", "--output", "json"]).out).expect("JSON");
        assert!(report["unknown"].as_array().expect("a list").iter().all(|one| one["kind"] != "crl"), "{report:#}");
        assert!(report["revoked"].as_u64().unwrap_or(0) + report["revokedUnknown"].as_u64().unwrap_or(0) >= 2);
        lab.good(&["ledger", "check"]);
        assert_eq!(revoked(&lab), before, "no revocation is lost");
        lab.good(&["crl", "renew"]);
        lab.good(&["policy"]);
        lab.good(&["bundle", "--all"]);
        lab.good(&["verify", "--offline"]);
    }
}

#[test]
fn a_kubeadm_root_without_crl_sign_issues_and_revokes_without_a_crl() {
    needs!("openssl");
    full_lifecycle(
        |lab| {
            root(lab, "ca", "/CN=kubernetes", KUBEADM, RSA);
            let report = import(lab, "cluster", "ca", &["--plaintext-ca-key"]);
            let warnings = report["warnings"].as_array().expect("warnings");
            let texts: Vec<&str> = warnings.iter().map(|warning| warning["text"].as_str().expect("words")).collect();
            insta::assert_snapshot!("warnings_of_a_kubeadm_root", texts.join("\n"));
        },
        false,
    );
}

#[test]
fn revoking_without_a_crl_advises_to_deliver_the_rules() {
    needs!("openssl");
    let lab = Lab::empty();
    lab.write("cluster.yaml", CLUSTER);
    root(&lab, "ca", "/CN=kubernetes", KUBEADM, RSA);
    import(&lab, "cluster", "ca", &["--plaintext-ca-key"]);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-node", "--all"]);
    let (cluster, env) = (cluster(&lab), env(&lab));
    let subject = Subject { name: "on".to_owned(), file: lab.path("on"), issuer: None };
    let request = Request::Revoke { subject, reason: Reason::KeyCompromise };
    let options = RevokeOptions { request, crl_validity: Some(Lifetime::NINETY_DAYS), templates: None };
    let plan = revoke::plan(options, &cluster, &env, &mut Silent).expect("a plan");
    assert!(plan.signers().is_empty());
    let report = plan.apply(&[], &mut Silent).expect("revoked");
    assert_eq!((report.outcome, report.next_update), (Outcome::Revoked(2), None));
    assert!(report.advice.contains(&Advice::CopyAuthorization), "{report:?}");
    assert_eq!(report.written, [lab.path("policy/masters/authorization.yaml")]);
}

#[test]
fn a_host_is_removed_without_a_crl_of_kubeadms_root() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    root(&lab, "ca", "/CN=kubernetes", KUBEADM, RSA);
    import(&lab, "cluster", "ca", &["--plaintext-ca-key"]);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-node", "--all"]);
    let without = CLUSTER.lines().filter(|line| !line.contains("worker-b1")).map(|line| format!("{line}\n"));
    lab.write("cluster.yaml", &without.collect::<String>());
    for _ in 0..2 {
        let report = lab.good(&["remove", "worker-b1", "--yes", "--output", "json"]).out;
        forms::conforms("remove", &report);
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!(report["nextUpdate"], Value::Null);
        assert!(!lab.path("pki/crl.pem").exists() && !lab.path("pki/nodes/worker-b1").exists());
        assert_eq!(lab.read("policy/masters/authorization.yaml").matches("X509SHA256=").count(), 1);
    }
    let log: Value = serde_json::from_str(&lab.good(&["log", "worker-b1", "-o", "json"]).out).expect("JSON");
    let kinds = log["entries"].as_array().expect("entries").iter().filter(|entry| entry["kind"] == "remove");
    assert_eq!(kinds.count(), 1);
}

#[test]
fn rsa_keys_of_up_to_4096_bits_sign() {
    needs!("openssl");
    for bits in ["3072", "4096"] {
        let lab = Lab::with(CLUSTER);
        root(&lab, "ca", "/CN=ca", GOOD, &["genrsa", bits]);
        let report = import(&lab, "cluster", "ca", &["--plaintext-ca-key"]);
        assert_eq!(report["key"], format!("RSA {bits}"));
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-node", "--all"]);
        let (root, leaf) = (lab.path("pki/ca.crt"), lab.path("pki/nodes/on/kubelet-server.crt"));
        good_tool("openssl", &["verify", "-CAfile", &root.display().to_string(), &leaf.display().to_string()]);
    }
    let lab = Lab::with(CLUSTER);
    root(&lab, "ca", "/CN=ca", GOOD, &["genrsa", "4104"]);
    lab.write("root.crt", &lab.read("ca.crt"));
    let error = refusal(&lab, "ca", "ca");
    assert!(matches!(error, ImportCaError::LongKey { .. }), "{error:?}");
}

#[test]
fn talos_ed25519_root_signs_for_the_cluster() {
    needs!("openssl");
    full_lifecycle(
        |lab| {
            root(lab, "ca", "/O=kubernetes", GOOD, ED25519);
            import(lab, "cluster", "ca", &["--plaintext-ca-key"]);
        },
        true,
    );
}

#[test]
fn a_companys_intermediate_signs_and_its_root_alone_is_trusted() {
    needs!("openssl");
    let live = full_lifecycle(
        |lab| {
            root(lab, "root", "/O=Example/CN=Example Root", GOOD, P384);
            key(lab, "below", P256);
            certificate(lab, "below", "/O=Example/CN=Kubernetes CA", GOOD, Some("root"), 1000);
            let report = import(lab, "cluster", "below", &["--chain", "root.crt", "--plaintext-ca-key"]);
            assert_eq!(report["chain"].as_array().map(Vec::len), Some(1));
        },
        true,
    );
    let count = |path: &str| live.lab.read(path).matches("BEGIN CERTIFICATE").count();
    assert_eq!((count("pki/ca.crt"), count("pki/nodes/node-1/kubelet-server.crt")), (1, 2));
    assert_eq!(live.lab.read("pki/ca.crt").trim(), live.lab.read("root.crt").trim());
    std::fs::remove_file(live.lab.path("pki/ledger.sqlite3")).expect("removed");
    live.lab.good(&["ledger", "rebuild"]);
    live.lab.good(&["policy"]);
    live.lab.good(&["bundle", "--all"]);
    live.lab.good(&["ledger", "check"]);
    live.lab.good(&["verify", "--offline"]);
}

/// The trust files contain only the root, so with a shared root etcd would accept every node's certificate.
#[test]
fn roles_do_not_share_a_root() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    root(&lab, "root", "/O=Example/CN=Example Root", GOOD, P384);
    for name in ["cluster", "etcd"] {
        key(&lab, name, P256);
        certificate(&lab, name, &format!("/O=Example/CN={name} CA"), GOOD, Some("root"), 1000);
    }
    import(&lab, "cluster", "cluster", &["--chain", "root.crt", "--plaintext-ca-key"]);
    let before = lab.snapshot();
    let of = |cert: &str| {
        let args = ["import-ca", "--as", "etcd", "--plaintext-ca-key", "--chain", "root.crt"];
        lab.run(&[&args[..], &["--cert", &format!("{cert}.crt"), "--key", &format!("{cert}.key")]].concat()).status
    };
    assert_eq!((of("etcd"), of("root"), of("cluster")), (3, 3, 3));
    assert_eq!(lab.snapshot(), before);

    // Make a directory with a shared root, by copying a CA from another directory.
    let other = Lab::with(CLUSTER);
    for name in ["root.crt", "etcd.crt", "etcd.key"] {
        other.write(name, &lab.read(name));
    }
    root(&other, "own", "/O=Example/CN=Another Root", GOOD, P384);
    import(&other, "cluster", "own", &["--plaintext-ca-key"]);
    import(&other, "etcd", "etcd", &["--chain", "root.crt", "--plaintext-ca-key"]);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    std::fs::remove_dir_all(lab.path("pki/etcd")).expect("removed");
    std::fs::create_dir(lab.path("pki/etcd")).expect("made");
    for file in std::fs::read_dir(other.path("pki/etcd")).expect("listed").flatten() {
        std::fs::copy(file.path(), lab.path("pki/etcd").join(file.file_name())).expect("copied");
    }
    let found = lab.run(&["verify", "--offline", "--output", "json"]);
    let report: Value = serde_json::from_str(&found.out).expect("JSON");
    let wrong = report["results"].as_array().expect("results").iter().filter(|one| {
        let is_shared = one["observed"].as_str().is_some_and(|text| text.contains("O=Example, CN=Example Root"));
        one["id"] == "store.credential" && one["status"] == "fail" && is_shared
    });
    assert_eq!((found.status, wrong.count()), (1, 2), "{}", found.out);
}

#[test]
fn every_role_is_imported_and_nothing_is_replaced() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    for (name, how) in [("ca", P256), ("etcd", P384), ("proxy", ED25519)] {
        root(&lab, name, &format!("/CN={name}"), BARE, how);
    }
    let early =
        lab.run(&["import-ca", "--as", "etcd", "--cert", "etcd.crt", "--key", "etcd.key", "--plaintext-ca-key"]);
    assert_eq!(early.status, 3, "{early}");
    assert!(!lab.path("pki").exists());
    import(&lab, "cluster", "ca", &["--plaintext-ca-key"]);
    assert_eq!(lab.run(&["issue-master", "--all"]).status, 3, "etcd's CA is missing");
    let twice = lab.run(&["import-ca", "--as", "etcd", "--cert", "ca.crt", "--key", "ca.key", "--plaintext-ca-key"]);
    assert_eq!(twice.status, 3, "{twice}");
    import(&lab, "etcd", "etcd", &["--plaintext-ca-key"]);
    let report = import(&lab, "front-proxy", "proxy", &["--plaintext-ca-key"]);
    assert_eq!(report["missing"], serde_json::json!([]));
    let before = lab.snapshot();
    for (role, name) in [("cluster", "etcd"), ("etcd", "proxy"), ("front-proxy", "ca")] {
        let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
        let ran = lab.run(&["import-ca", "--as", role, "--cert", &cert, "--key", &key, "--plaintext-ca-key"]);
        assert_eq!(ran.status, 3, "{ran}");
    }
    assert_eq!(lab.run(&["init-ca", "--plaintext-ca-key"]).status, 3);
    assert_eq!(lab.snapshot(), before);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
}

/// Because commands ask for only one passphrase.
#[test]
fn all_cas_of_a_directory_have_one_passphrase() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    for name in ["cluster", "etcd"] {
        root(&lab, name, &format!("/CN={name}"), GOOD, P256);
    }
    lab.write("one", "three in the morning, again\n");
    lab.write("other", "four in the morning, again\n");
    import(&lab, "cluster", "cluster", &["--ca-passphrase-file", "one"]);
    let before = lab.snapshot();
    let etcd =
        ["import-ca", "--as", "etcd", "--cert", "etcd.crt", "--key", "etcd.key", "--ca-passphrase-file", "other"];
    assert_eq!(lab.run(&etcd).status, 3);
    assert_eq!(lab.run(&["init-ca", "--ca-passphrase-file", "other"]).status, 3);
    assert_eq!(lab.snapshot(), before);
    lab.good(&["init-ca", "--ca-passphrase-file", "one"]);
    lab.good(&["issue-master", "--all", "--ca-passphrase-file", "one"]);
}

#[test]
fn init_ca_does_not_replace_a_lost_ca_that_signed() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    root(&lab, "ca", "/CN=ca", GOOD, P256);
    import(&lab, "cluster", "ca", &["--plaintext-ca-key"]);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    std::fs::remove_dir_all(lab.path("pki/etcd")).expect("removed");
    assert_eq!(lab.run(&["init-ca", "--plaintext-ca-key"]).status, 3);
    assert!(!lab.path("pki/etcd").exists());
}

/// Returns the error of importing `NAME.crt` with `KEY.key`.
fn refusal(lab: &Lab, name: &str, key: &str) -> ImportCaError {
    let layout = Layout::new(lab.dir().to_owned());
    let env = Env { layout, now: lab.now, actor: "admin@laptop".to_owned() };
    let options = ImportOptions {
        certificate: lab.path(&format!("{name}.crt")),
        key: Some(lab.path(&format!("{key}.key"))),
        chain: Some(lab.path("root.crt")),
        role: CaRole::Cluster,
    };
    let (cert, key) = (format!("{name}.crt"), format!("{key}.key"));
    let args = ["import-ca", "--as", "cluster", "--cert", &cert, "--key", &key, "--chain", "root.crt"];
    let ran = lab.run(&[&args[..], &["--plaintext-ca-key"]].concat());
    assert!(ran.status == 3 && !lab.path("pki").exists(), "{ran}");
    match plan(options, &cluster(lab), &env) {
        Ok(plan) => plan.open(None).expect_err("refused"),
        Err(app::Error::ImportCa(error)) => error,
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn what_cannot_sign_is_refused() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    let pathlen = GOOD.replace("CA:TRUE", "CA:TRUE,pathlen:0");
    root(&lab, "root", "/CN=root", &pathlen, P256);
    key(&lab, "below", P256);
    certificate(&lab, "below", "/CN=below", GOOD, Some("root"), 3000);
    key(&lab, "lowest", P256);
    certificate(&lab, "lowest", "/CN=lowest", GOOD, Some("below"), 3000);
    root(&lab, "leaf", "/CN=leaf", "basicConstraints=CA:FALSE", P256);
    root(&lab, "signless", "/CN=signless", "basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign", P256);
    root(&lab, "client", "/CN=client", &format!("{GOOD}\nextendedKeyUsage=clientAuth"), P256);
    let constrained = format!("{GOOD}\nnameConstraints=critical,permitted;DNS:example.net");
    root(&lab, "constrained", "/CN=constrained", &constrained, P256);
    key(&lab, "old", P256);
    certificate(&lab, "old", "/CN=old", GOOD, None, 5);
    root(&lab, "weak", "/CN=weak", GOOD, &["genrsa", "1024"]);
    root(&lab, "p521", "/CN=p521", GOOD, &["ecparam", "-name", "secp521r1", "-genkey", "-noout"]);
    root(&lab, "good", "/CN=good", GOOD, RSA);

    let of = |name: &str| refusal(&lab, name, name);
    let violates = |error: ImportCaError, is: fn(&Violation) -> bool| match &error {
        ImportCaError::CannotSign { violations, .. } => assert!(violations.iter().any(is), "{error:?}"),
        ImportCaError::Path { source: CaCertificateError::NotACa { violation, .. }, .. } => {
            assert!(is(violation), "{error:?}");
        }
        _ => panic!("{error:?}"),
    };
    violates(of("leaf"), |violation| matches!(violation, Violation::NotACa));
    violates(of("signless"), |violation| matches!(violation, Violation::NoCertSign));
    violates(of("client"), |violation| matches!(violation, Violation::RootUsage(_)));
    violates(of("constrained"), |violation| matches!(violation, Violation::NameConstraints));
    violates(of("old"), |violation| matches!(violation, Violation::Expired { .. }));
    violates(refusal(&lab, "good", "root"), |violation| matches!(violation, Violation::KeyDoesNotFit));
    let path = |error: ImportCaError| match error {
        ImportCaError::Path { source, .. } => source,
        error => panic!("{error:?}"),
    };
    assert!(matches!(path(of("below")), CaCertificateError::PathLength { .. }));
    assert!(matches!(path(of("lowest")), CaCertificateError::NoParent { .. }));
    assert!(matches!(path(of("weak")), CaCertificateError::UnsupportedKey(_)));
    assert!(matches!(path(of("p521")), CaCertificateError::UnsupportedKey(_)));
    let mut early = lab;
    early.now -= Duration::days(20);
    let error = refusal(&early, "good", "good");
    violates(error, Violation::is_early);
    assert!(ca::trust(&Layout::new(early.dir().to_owned()), CaRole::Cluster).is_err());
}
