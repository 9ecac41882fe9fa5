//! `issue-master` and `issue-node`: the certificate table, convergence, and refusals.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clusterctl::app::issue::IssueReason;
use clusterctl::pki::pem::PemError;
use clusterctl::pki::violation::Violation;
use clusterctl::store::credentials::CredentialProblem;
use clusterctl::store::error::StoreError;
use clusterctl::store::ledger::Ledger;
use time::Duration;

use crate::support::fleets::{fleet_of, run};
use crate::support::outside::needs;
use crate::support::plans::{issued_by, node_plan};
use crate::support::{CLUSTER, Lab, forms, good_tool, tool};

fn text_of(path: &Path) -> String {
    good_tool("openssl", &["x509", "-in", &path.display().to_string(), "-noout", "-text"])
}

fn serial(lab: &Lab, path: &str) -> String {
    good_tool("openssl", &["x509", "-in", &lab.path(path).display().to_string(), "-noout", "-serial"])
}

/// Runs `openssl verify`, strictly, at the laboratory's time.
fn openssl_verifies(lab: &Lab, more: &[&str], certificate: &str) -> bool {
    let at = lab.now.unix_timestamp().to_string();
    let root = lab.path("pki/ca.crt").display().to_string();
    let certificate = lab.path(certificate).display().to_string();
    let mut args = vec!["verify", "-x509_strict", "-attime", &at, "-CAfile", &root];
    args.extend(more);
    args.push(&certificate);
    tool("openssl", &args).status.success()
}

#[test]
fn openssl_verifies_certificates_only_for_their_purpose_and_names() {
    needs!("openssl");
    for keys in ["ecdsa-p256", "ecdsa-p384", "ed25519"] {
        let lab = Lab::with(&format!("{CLUSTER}keys: {keys}\n"));
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        let servers = [
            ("pki/masters/master-1/apiserver.crt", "master-1.example.net", "10.20.0.11"),
            ("pki/masters/master-1/apiserver.crt", "api.prod.example.net", "10.96.0.1"),
            ("pki/masters/master-2/apiserver.crt", "kubernetes.default.svc.cluster.local", "fd00:10:96::1"),
            ("pki/nodes/worker-a1.fra1.example.net/kubelet-server.crt", "worker-a1.fra1.example.net", "fd20:1::11"),
            ("pki/nodes/on/kubelet-server.crt", "on", "10.20.4.1"),
        ];
        for (file, name, ip) in servers {
            assert!(
                openssl_verifies(&lab, &["-purpose", "sslserver", "-verify_hostname", name], file),
                "{file} {name}"
            );
            assert!(openssl_verifies(&lab, &["-purpose", "sslserver", "-verify_ip", ip], file), "{file} {ip}");
            assert!(!openssl_verifies(&lab, &["-verify_hostname", "other.example.net"], file), "{file}");
            assert!(!openssl_verifies(&lab, &["-verify_ip", "10.20.9.9"], file), "{file}");
            assert!(!openssl_verifies(&lab, &["-purpose", "sslclient"], file), "{file}");
        }
        for file in [
            "pki/masters/master-1/apiserver-kubelet-client.crt",
            "pki/nodes/on/kubelet-client.crt",
            "pki/verifier/verifier.crt",
        ] {
            assert!(openssl_verifies(&lab, &["-purpose", "sslclient"], file), "{file}");
            assert!(!openssl_verifies(&lab, &["-purpose", "sslserver"], file), "{file}");
        }
        let (key, certificate) =
            (lab.path("pki/nodes/on/kubelet-client.key"), lab.path("pki/nodes/on/kubelet-client.crt"));
        let public = good_tool("openssl", &["pkey", "-in", &key.display().to_string(), "-pubout"]);
        let in_certificate =
            good_tool("openssl", &["x509", "-in", &certificate.display().to_string(), "-noout", "-pubkey"]);
        assert_eq!(public, in_certificate);
    }
}

#[test]
fn openssl_verifies_the_certificates_of_a_fleet() {
    needs!("openssl");
    let lab = fleet_of(400);
    assert!(run(&lab, &["-q", "issue-node", "--all"]).status.success());
    let root = lab.path("pki/ca.crt").display().to_string();
    let certificate = |i, name| lab.path(&format!("pki/nodes/node-{i}/{name}.crt")).display().to_string();
    for (name, purpose) in [("kubelet-client", "sslclient"), ("kubelet-server", "sslserver")] {
        let all: Vec<String> = (0..400).map(|i| certificate(i, name)).collect();
        let mut args = vec!["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &root];
        args.extend(all.iter().map(String::as_str));
        assert_eq!(good_tool("openssl", &args).matches(": OK\n").count(), 400, "{name}");
    }
}

#[test]
fn certificates_match_the_table_of_profiles() {
    needs!("openssl");
    let lab = Lab::issued();
    let expectations: [(&str, &[&str]); 5] = [
        ("pki/masters/master-1/apiserver.crt", &["Subject: CN = kube-apiserver\n", "TLS Web Server Authentication\n"]),
        (
            "pki/masters/master-1/apiserver-kubelet-client.crt",
            &["Subject: CN = kube-apiserver-kubelet-client\n", "TLS Web Client Authentication\n"],
        ),
        (
            "pki/nodes/on/kubelet-client.crt",
            &["Subject: O = kubelets, CN = kubelet:on\n", "TLS Web Client Authentication\n"],
        ),
        (
            "pki/nodes/on/kubelet-server.crt",
            &["Subject: CN = system:node:on\n", "TLS Web Server Authentication\n", "DNS:on, IP Address:10.20.4.1\n"],
        ),
        (
            "pki/verifier/verifier.crt",
            &["Subject: O = clusterctl:verifiers, CN = clusterctl:verifier\n", "TLS Web Client Authentication\n"],
        ),
    ];
    for (file, wanted) in expectations {
        let text = text_of(&lab.path(file));
        let common = [
            "Issuer: O = prod, CN = prod root\n",
            "Not Before: Nov 23 11:55:00 2026 GMT\n",
            "Not After : Nov 23 12:00:00 2027 GMT\n",
            "X509v3 Basic Constraints: critical\n                CA:FALSE\n",
            "X509v3 Key Usage: critical\n                Digital Signature\n",
            "X509v3 Subject Key Identifier:",
            "X509v3 Authority Key Identifier:",
        ];
        for line in common.iter().chain(wanted) {
            assert!(text.contains(line), "{file}: {line:?} is not in {text}");
        }
    }
}

#[test]
fn system_node_accounts_have_the_node_authorizers_subject() {
    needs!("openssl");
    let lab = Lab::with(&format!("{CLUSTER}accounts: system-node\n"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-node", "on"]);
    assert!(
        text_of(&lab.path("pki/nodes/on/kubelet-client.crt"))
            .contains("Subject: O = system:nodes, CN = system:node:on\n")
    );
}

#[test]
fn keys_and_folders_have_private_modes() {
    let lab = Lab::issued();
    let mode = |path: &str| std::fs::metadata(lab.path(path)).expect("it").permissions().mode() & 0o777;
    assert_eq!(mode("pki/nodes/on/kubelet-client.key"), 0o600);
    assert_eq!(mode("pki/nodes/on/kubelet-client.crt"), 0o644);
    assert_eq!(mode("pki/nodes/on"), 0o700);
    assert_eq!(mode("pki/ledger.sqlite3"), 0o600);
}

#[test]
fn a_second_issue_changes_nothing() {
    let lab = Lab::issued();
    let before = lab.snapshot();
    let (issued, again) = issued_by(&lab, &["issue-node", "--all"]);
    assert_eq!((issued, again.out.as_str()), (0, ""), "{again}");
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_changed_address_reissues_only_the_serving_certificate() {
    needs!("openssl");
    let lab = Lab::issued();
    lab.write("cluster.yaml", &CLUSTER.replace("10.20.4.1", "10.20.1.12"));
    let before = lab.snapshot();
    let plan = lab.good(&["issue-node", "--all", "--dry-run"]);
    insta::assert_snapshot!("plan_after_a_changed_address", plan.to_string());
    assert_eq!(lab.snapshot(), before);
    let plan = node_plan(&lab, &[]);
    let reasons = [Violation::NameMissing("10.20.1.12".to_owned()), Violation::NameTooMany("10.20.4.1".to_owned())];
    let reasons = reasons.map(|violation| IssueReason::Problem(CredentialProblem::Violation(violation)));
    assert_eq!(plan.certificates, [("on kubelet-server".to_owned(), reasons.to_vec())]);
    assert_eq!(plan.kept, 5);
    let client = serial(&lab, "pki/nodes/on/kubelet-client.crt");
    let server = serial(&lab, "pki/nodes/on/kubelet-server.crt");
    lab.good(&["issue-node", "--all"]);
    assert_eq!(serial(&lab, "pki/nodes/on/kubelet-client.crt"), client);
    assert_ne!(serial(&lab, "pki/nodes/on/kubelet-server.crt"), server);
    assert!(openssl_verifies(&lab, &["-verify_ip", "10.20.1.12"], "pki/nodes/on/kubelet-server.crt"));
}

#[test]
fn a_plan_has_the_reason_for_each_certificate() {
    let mut lab = Lab::issued();
    let (certificate, key) = (lab.path("pki/nodes/on/kubelet-client.crt"), lab.path("pki/nodes/on/kubelet-client.key"));
    let mut shown = String::new();
    // Each plan has one problem of one certificate, and the next issue removes it.
    let mut expect = |lab: &Lab, problem: CredentialProblem| {
        assert_eq!(node_plan(lab, &["on"]).only_problem(), ("on kubelet-client", &problem));
        shown.push_str(&lab.good(&["issue-node", "on", "--dry-run"]).out);
        lab.good(&["issue-node", "on"]);
        assert_eq!(node_plan(lab, &["on"]).names(), [""; 0]);
    };
    std::fs::remove_file(&key).expect("removed");
    expect(&lab, CredentialProblem::Missing(key.clone()));
    std::fs::write(&certificate, "nonsense").expect("written");
    expect(&lab, CredentialProblem::NotPem(certificate, PemError::Nothing));
    std::fs::copy(lab.path("pki/nodes/worker-b1/kubelet-client.key"), &key).expect("copied");
    expect(&lab, CredentialProblem::Violation(Violation::KeyDoesNotFit));
    let is_expired = |reason: &IssueReason| {
        matches!(reason, IssueReason::Problem(CredentialProblem::Violation(Violation::Expired { .. })))
    };
    lab.now += Duration::days(366);
    let expired = node_plan(&lab, &["on"]);
    assert_eq!(expired.names(), ["on kubelet-client", "on kubelet-server"]);
    assert!(expired.certificates.iter().all(|(_, reasons)| reasons.iter().any(is_expired)), "{expired:?}");
    // In the last third of its validity.
    lab.now -= Duration::days(20);
    let late = node_plan(&lab, &["on"]);
    assert_eq!(late.certificates[0].1, [IssueReason::Expires { after: Duration::days(19) }], "{late:?}");
    lab.now -= Duration::days(181);
    assert_eq!(node_plan(&lab, &["on"]).names(), [""; 0]);
    shown.push_str(&lab.good(&["issue-node", "on", "--dry-run", "--renew-within", "210d"]).out);
    insta::assert_snapshot!("reasons_to_issue", shown);
}

#[test]
fn reissue_replaces_the_named_host_and_the_ledger_keeps_both() {
    needs!("openssl", "sqlite3");
    let lab = Lab::issued();
    let before = serial(&lab, "pki/nodes/on/kubelet-client.crt");
    lab.good(&["issue-node", "on", "--reissue"]);
    assert_ne!(serial(&lab, "pki/nodes/on/kubelet-client.crt"), before);
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let count = good_tool("sqlite3", &[&ledger, "select count(*) from certificates where host='on'"]);
    assert_eq!(count, "4\n");
    let distinct = good_tool("sqlite3", &[&ledger, "select count(distinct serial) = count(*) from certificates"]);
    assert_eq!(distinct, "1\n");
}

#[test]
fn foreign_files_beside_credentials_are_kept() {
    needs!("openssl");
    let lab = Lab::issued();
    lab.write("pki/nodes/on/notes.txt", "rack 7, second from below");
    lab.good(&["issue-node", "on", "--reissue"]);
    assert_eq!(lab.read("pki/nodes/on/notes.txt"), "rack 7, second from below");
    std::fs::create_dir(lab.path("pki/nodes/on/old")).expect("a folder");
    insta::assert_snapshot!("an_unknown_node", lab.run(&["issue-node", "elsewhere"]).to_string());
    insta::assert_snapshot!("a_master_is_not_a_node", lab.run(&["issue-node", "master-1"]).to_string());
    let before = serial(&lab, "pki/nodes/on/kubelet-client.crt");
    let ran = lab.run(&["issue-node", "on", "--reissue"]);
    assert!(ran.status == 3 && ran.err.contains("DIR/pki/nodes/on/old"), "{ran}");
    assert_eq!(serial(&lab, "pki/nodes/on/kubelet-client.crt"), before);
}

#[test]
fn the_ledger_has_every_certificate_and_no_key() {
    needs!("openssl", "sqlite3");
    let lab = Lab::issued();
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let certificate = lab.path("pki/nodes/on/kubelet-client.crt").display().to_string();
    let sha256 = good_tool("openssl", &["x509", "-in", &certificate, "-noout", "-fingerprint", "-sha256"]);
    let sha256 = sha256.trim().rsplit('=').next().expect("a digest").replace(':', "").to_lowercase();
    let row = good_tool(
        "sqlite3",
        &[
            &ledger,
            &format!("select profile, host, account, not_after, issued_by from certificates where sha256='{sha256}'"),
        ],
    );
    assert_eq!(row, "kubelet-client|on|kubelet:on|2027-11-23T12:00:00Z|admin@laptop\n");
    let der = good_tool("sqlite3", &[&ledger, &format!("select hex(der) from certificates where sha256='{sha256}'")]);
    assert!(der.starts_with("3082"));
    let bytes = std::fs::read(&ledger).expect("the ledger");
    for (path, key) in lab.snapshot().iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "key")) {
        let body: String = String::from_utf8_lossy(key).lines().nth(1).expect("base64").chars().take(40).collect();
        assert!(!bytes.windows(body.len()).any(|window| window == body.as_bytes()), "{}", path.display());
    }
}

#[test]
fn unknown_hosts_are_refused_with_a_similar_name() {
    let lab = Lab::with_roots();
    insta::assert_snapshot!("a_node_with_a_similar_name", lab.run(&["issue-node", "worker-b2"]).to_string());
    insta::assert_snapshot!("no_master_is_named", lab.run(&["issue-master"]).to_string());
}

#[test]
fn issue_without_a_ca_exits_with_3() {
    let lab = Lab::with(CLUSTER);
    insta::assert_snapshot!("issue_without_a_ca", lab.run(&["issue-node", "--all"]).to_string());
    assert_eq!(lab.snapshot().len(), 1);
}

#[test]
fn a_renamed_cluster_is_refused() {
    let lab = Lab::issued();
    lab.write("cluster.yaml", &CLUSTER.replace("name: prod", "name: stage"));
    let before = lab.snapshot();
    for command in [["issue-node", "--all"], ["issue-master", "--all"], ["bundle", "--all"]] {
        // The message is the same for all commands.
        insta::assert_snapshot!("a_ca_of_another_cluster", lab.run(&command).to_string());
    }
    assert_eq!(lab.snapshot(), before);
    let offline = lab.run(&["verify", "--offline"]);
    assert_eq!(offline.status, 1, "{offline}");
}

#[test]
fn a_ca_that_the_ledger_lacks_signs_nothing() {
    let (lab, other) = (Lab::with_roots(), Lab::with_roots());
    for file in ["pki/ca.crt", "pki/ca.key"] {
        std::fs::copy(other.path(file), lab.path(file)).expect("copied");
    }
    for command in [["issue-node", "--all"], ["issue-master", "--all"], ["bundle", "--all"]] {
        insta::assert_snapshot!("a_ca_that_the_ledger_lacks", lab.run(&command).to_string());
    }
    // With etcd's root every node would have access to etcd.
    for file in ["ca.crt", "ca.key"] {
        std::fs::copy(lab.path(&format!("pki/etcd/{file}")), lab.path(&format!("pki/{file}"))).expect("copied");
    }
    assert_eq!(lab.run(&["issue-node", "--all"]).status, 3);
}

#[test]
fn a_node_with_an_api_servers_name_or_address_is_refused() {
    let claims = [
        ("name: on", "name: kubernetes", "nodes[1].name"),
        ("10.20.4.1", "10.20.0.11", "nodes[1].addresses[0]"),
        ("10.20.4.1", "api.prod.example.net", "nodes[1].addresses[0]"),
        ("10.20.4.1", "kubernetes.default.svc.cluster.local", "nodes[1].addresses[0]"),
        ("10.20.4.1", "10.96.0.1", "nodes[1].addresses[0]"),
    ];
    let mut shown = String::new();
    for (from, to, path) in claims {
        let lab = Lab::with(&CLUSTER.replace(from, to));
        let ran = lab.run(&["init-ca", "--plaintext-ca-key"]);
        assert!(ran.status == 2 && ran.err.contains(path), "{to}: {ran}");
        shown.push_str(&ran.err);
    }
    insta::assert_snapshot!("nodes_with_names_of_api_servers", shown);
    // A machine with both roles has the same name in both lists.
    let both = "apiVersion: clusterctl/v1\nkind: Cluster\nname: one\nmasters:\n- {name: box, addresses: [10.0.0.1]}\n\
                nodes:\n- {name: box, addresses: [10.0.0.1]}\n";
    Lab::with(both).good(&["init-ca", "--plaintext-ca-key"]);
}

#[test]
fn an_expired_ca_signs_nothing() {
    let mut lab = Lab::with_roots();
    lab.now += Duration::days(3651);
    let before = lab.snapshot();
    insta::assert_snapshot!("an_expired_ca_at_issue", lab.run(&["issue-node", "--all"]).to_string());
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_ca_with_another_key_signs_nothing() {
    let lab = Lab::with_roots();
    let other = lab.read("pki/etcd/ca.key");
    lab.write("pki/ca.key", &other);
    let before = lab.snapshot();
    insta::assert_snapshot!("a_ca_with_another_key", lab.run(&["issue-node", "--all"]).to_string());
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_wrong_passphrase_exits_with_3_and_changes_nothing() {
    let mut lab = Lab::with(CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "right".into());
    lab.good(&["init-ca", "--allow-weak-passphrase"]);
    let before = lab.snapshot();
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "wrong".into());
    insta::assert_snapshot!("a_wrong_passphrase", lab.run(&["issue-node", "--all"]).to_string());
    lab.env.clear();
    insta::assert_snapshot!("a_passphrase_is_needed", lab.run(&["issue-node", "--all"]).to_string());
    assert_eq!(lab.snapshot(), before);
    lab.write("passphrase", "right\n");
    lab.good(&["issue-node", "--all", "--ca-passphrase-file", "passphrase"]);
}

#[test]
fn an_unusable_ledger_exits_with_4() {
    needs!("sqlite3");
    let lab = Lab::with_roots();
    let ledger = lab.path("pki/ledger.sqlite3");
    let good = std::fs::read(&ledger).expect("the ledger");
    let shown = ledger.display().to_string();
    let refused = |expected: fn(&StoreError) -> bool| {
        let error = Ledger::open_read_only(&ledger).expect_err("it cannot be used");
        assert!(expected(&error), "{error:?}");
        let ran = lab.run(&["issue-node", "--all"]);
        assert!(ran.status == 4 && ran.err.contains("DIR/pki/ledger.sqlite3"), "{ran}");
        assert!(!lab.path("pki/nodes").exists());
    };
    std::fs::write(&ledger, b"SQLite format 3\0 and then nonsense that is no database at all".repeat(40))
        .expect("written");
    refused(|error| matches!(error, StoreError::LedgerDamaged { .. }));
    std::fs::remove_file(&ledger).expect("removed");
    refused(|error| matches!(error, StoreError::LedgerMissing(_)));
    // Another file in the ledger's place must not be opened.
    std::fs::write(&ledger, b"not a ledger").expect("written");
    refused(|error| matches!(error, StoreError::LedgerForeign { .. }));
    std::fs::remove_file(&ledger).expect("removed");
    good_tool("sqlite3", &[&shown, "create table bookmarks (url text)"]);
    refused(|error| matches!(error, StoreError::LedgerForeign { .. }));
    std::fs::remove_file(&ledger).expect("removed");
    std::fs::create_dir(&ledger).expect("made");
    refused(|error| matches!(error, StoreError::LedgerForeign { .. }));
    std::fs::remove_dir(&ledger).expect("removed");
    std::fs::write(&ledger, b"").expect("written");
    refused(|error| matches!(error, StoreError::LedgerEmpty(_)));
    std::fs::write(&ledger, &good).expect("written");
    good_tool("sqlite3", &[&shown, "pragma user_version = 1000"]);
    refused(|error| matches!(error, StoreError::LedgerNewer { found: 1000, .. }));
    std::fs::write(&ledger, &good).expect("written");
    // Another writer does not keep the ledger from being read.
    let holder = rusqlite::Connection::open(&ledger).expect("open");
    holder.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    lab.good(&["issue-node", "--all", "--dry-run"]);
    let ran = lab.run(&["issue-node", "--all"]);
    assert!(ran.status == 4 && ran.err.contains("DIR/pki/ledger.sqlite3"), "{ran}");
    assert_eq!(std::fs::read_dir(lab.path("pki/nodes")).map_or(0, Iterator::count), 0);
    drop(holder);
    lab.good(&["issue-node", "--all"]);
}

#[test]
fn certificates_expire_with_their_ca_with_a_warning() {
    needs!("openssl");
    let mut lab = Lab::with_roots();
    lab.now += Duration::days(3650 - 30);
    let ran = lab.good(&["issue-node", "on"]);
    insta::assert_snapshot!("certificates_that_the_ca_shortens", ran.err.lines().next().unwrap_or_default());
    assert!(openssl_verifies(&lab, &[], "pki/nodes/on/kubelet-client.crt"));
}

#[test]
fn a_shorter_validity_replaces_certificates_and_a_longer_one_does_not() {
    let lab = Lab::issued();
    let original = lab.read("cluster.yaml");
    lab.write(
        "cluster.yaml",
        &original.replace("kind: Cluster\n", "kind: Cluster\nvalidity: {ca: 10y, master: 2y, node: 30d}\n"),
    );
    let plan = node_plan(&lab, &["on"]);
    let lives_too_long = |reason: &IssueReason| {
        matches!(reason, IssueReason::Problem(CredentialProblem::Violation(Violation::LivesTooLong { .. })))
    };
    assert_eq!(plan.names(), ["on kubelet-client", "on kubelet-server"]);
    assert!(plan.certificates.iter().all(|(_, reasons)| reasons.iter().any(lives_too_long)), "{plan:?}");
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1, "it is no longer what the cluster file asks for");
    lab.good(&["issue-node", "--all"]);
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
    assert_eq!(issued_by(&lab, &["issue-master", "--all"]).0, 0, "a validity below the limit is accepted");
    lab.good(&["verify", "--offline"]);
}

#[test]
fn json_names_the_hosts_and_the_reasons_as_ids() {
    let lab = Lab::with_roots();
    let run = |args: &[&str]| -> serde_json::Value {
        let report = lab.good(&[args, &["--output", "json"]].concat()).out;
        forms::conforms("issue", &report);
        serde_json::from_str(&report).expect("JSON")
    };
    let count = |report: &serde_json::Value| report["certificates"].as_array().map(Vec::len);
    let plan = run(&["issue-master", "--all", "--dry-run"]);
    let done = run(&["issue-master", "--all"]);
    assert_eq!((count(&done), &done["serviceAccountKey"]), (Some(19), &serde_json::json!("create")));
    assert_eq!((&plan["certificates"], &plan["dryRun"]), (&done["certificates"], &serde_json::json!(true)));
    assert_eq!(done["hostsToDeliver"], serde_json::json!(["master-1", "master-2"]));
    let nodes = run(&["issue-node", "--all"]);
    assert_eq!(nodes["certificates"][0]["reasons"], serde_json::json!(["not-issued"]));
    let again = run(&["issue-node", "on", "--reissue"]);
    assert_eq!(again["hostsToDeliver"], serde_json::json!(["on"]));
    assert_eq!(again["certificates"][0]["reasons"], serde_json::json!(["requested"]));
    let nothing = run(&["issue-node", "--all"]);
    assert_eq!((count(&nothing), &nothing["kept"]), (Some(0), &serde_json::json!(6)));
}
