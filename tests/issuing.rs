//! `issue-master` and `issue-node`: the certificate table, convergence, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clusterctl::store::error::StoreError;
use clusterctl::store::ledger::Ledger;
use time::Duration;

use crate::support::fleets::{fleet_of, run};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, good_tool, tool};

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
fn openssl_verifies_every_certificate_for_its_purpose_and_names_and_for_no_other() {
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
fn openssl_verifies_all_that_a_fleet_was_issued() {
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
fn the_certificate_table_is_kept_exactly() {
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
fn system_node_accounts_are_the_node_authorizers() {
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
fn keys_are_their_owners_alone() {
    let lab = Lab::issued();
    let mode = |path: &str| std::fs::metadata(lab.path(path)).expect("it").permissions().mode() & 0o777;
    assert_eq!(mode("pki/nodes/on/kubelet-client.key"), 0o600);
    assert_eq!(mode("pki/nodes/on/kubelet-client.crt"), 0o644);
    assert_eq!(mode("pki/nodes/on"), 0o700);
    assert_eq!(mode("pki/ledger.sqlite3"), 0o600);
}

#[test]
fn what_is_good_is_kept_and_the_second_run_does_nothing() {
    let lab = Lab::issued();
    let before = lab.snapshot();
    let again = lab.good(&["issue-node", "--all"]);
    assert_eq!((again.out.as_str(), again.err.as_str()), ("", "nothing to do: 6 certificates valid\n"));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_changed_address_reissues_one_certificate_and_the_plan_says_why() {
    needs!("openssl");
    let lab = Lab::issued();
    lab.write("cluster.yaml", &CLUSTER.replace("10.20.4.1", "10.20.1.12"));
    let before = lab.snapshot();
    let plan = lab.good(&["issue-node", "--all", "--dry-run"]);
    assert_eq!(
        (plan.out.as_str(), plan.err.as_str()),
        (
            "issue on kubelet-server: 10.20.1.12 is not in the certificate; 10.20.4.1 is in the certificate, but no \
             longer in the cluster file\n",
            "would issue 1 certificate and keep 5; nothing was changed\n"
        )
    );
    assert_eq!(lab.snapshot(), before);
    let client = serial(&lab, "pki/nodes/on/kubelet-client.crt");
    let server = serial(&lab, "pki/nodes/on/kubelet-server.crt");
    lab.good(&["issue-node", "--all"]);
    assert_eq!(serial(&lab, "pki/nodes/on/kubelet-client.crt"), client);
    assert_ne!(serial(&lab, "pki/nodes/on/kubelet-server.crt"), server);
    assert!(openssl_verifies(&lab, &["-verify_ip", "10.20.1.12"], "pki/nodes/on/kubelet-server.crt"));
}

#[test]
fn every_reason_to_issue_is_named() {
    let mut lab = Lab::issued();
    let plan = |lab: &Lab| lab.good(&["issue-node", "on", "--dry-run"]).out;
    std::fs::remove_file(lab.path("pki/nodes/on/kubelet-client.key")).expect("removed");
    assert_eq!(plan(&lab), "issue on kubelet-client: DIR/pki/nodes/on/kubelet-client.key is missing\n");
    lab.good(&["issue-node", "on"]);
    lab.write("pki/nodes/on/kubelet-client.crt", "nonsense");
    assert!(plan(&lab).contains("DIR/pki/nodes/on/kubelet-client.crt: there is no PEM section in it"));
    lab.good(&["issue-node", "on"]);
    let other = lab.read("pki/nodes/worker-b1/kubelet-client.key");
    lab.write("pki/nodes/on/kubelet-client.key", &other);
    assert_eq!(plan(&lab), "issue on kubelet-client: the private key does not belong to the certificate\n");
    lab.good(&["issue-node", "on"]);
    assert_eq!(plan(&lab), "");
    lab.now += Duration::days(366);
    assert_eq!(
        plan(&lab),
        "issue on kubelet-client: expired 1 day ago on 2027-11-23T12:00:00Z\n\
         issue on kubelet-server: expired 1 day ago on 2027-11-23T12:00:00Z\n"
    );
    lab.now -= Duration::days(20);
    assert!(plan(&lab).starts_with("issue on kubelet-client: expires in 19 days\n"), "in the last third of its life");
    lab.now -= Duration::days(181);
    assert_eq!(plan(&lab), "");
    let early = lab.good(&["issue-node", "on", "--dry-run", "--renew-within", "210d"]).out;
    assert!(early.starts_with("issue on kubelet-client: expires in 200 days\n"), "{early}");
}

#[test]
fn reissue_replaces_what_is_named_and_the_ledger_keeps_both() {
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
fn what_a_person_laid_beside_a_hosts_credentials_is_not_lost() {
    needs!("openssl");
    let lab = Lab::issued();
    lab.write("pki/nodes/on/notes.txt", "rack 7, second from below");
    lab.good(&["issue-node", "on", "--reissue"]);
    assert_eq!(lab.read("pki/nodes/on/notes.txt"), "rack 7, second from below");
    std::fs::create_dir(lab.path("pki/nodes/on/old")).expect("a folder");
    assert_eq!(lab.run(&["issue-node", "nobody"]).status, 2);
    let ran = lab.run(&["issue-node", "master-1"]);
    assert!(ran.err.contains("hint: it is in the other list: clusterctl issue-master master-1\n"), "{ran}");
    let before = serial(&lab, "pki/nodes/on/kubelet-client.crt");
    let ran = lab.run(&["issue-node", "on", "--reissue"]);
    assert!(ran.status == 3 && ran.err.contains("DIR/pki/nodes/on/old"), "{ran}");
    assert_eq!(serial(&lab, "pki/nodes/on/kubelet-client.crt"), before);
}

#[test]
fn the_ledger_knows_every_certificate_and_no_key() {
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
fn hosts_that_are_not_in_the_cluster_file_are_refused_with_the_nearest() {
    let lab = Lab::with_roots();
    let ran = lab.run(&["issue-node", "worker-b2"]);
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (2, "error: the cluster file has no node called \"worker-b2\"\nhint: did you mean worker-b1 ?\n")
    );
    let ran = lab.run(&["issue-master"]);
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (2, "error: no master was named\nhint: name some of the cluster file's masters, or say --all\n")
    );
}

#[test]
fn without_a_root_the_command_that_makes_one_is_named() {
    let lab = Lab::with(CLUSTER);
    let ran = lab.run(&["issue-node", "--all"]);
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (3, "error: there is no root in DIR\nhint: create it with: clusterctl init-ca\n")
    );
    assert_eq!(lab.snapshot().len(), 1);
}

#[test]
fn a_cluster_whose_name_was_changed_after_its_roots_were_made_is_refused() {
    let lab = Lab::issued();
    lab.write("cluster.yaml", &CLUSTER.replace("name: prod", "name: stage"));
    let before = lab.snapshot();
    for command in [["issue-node", "--all"], ["issue-master", "--all"], ["bundle", "--all"]] {
        let ran = lab.run(&command);
        assert_eq!(
            (ran.status, ran.err.as_str()),
            (
                3,
                "error: the root DIR/pki/ca.crt is not the root of the cluster stage: it carries CN=prod root O=prod, the \
                 cluster file asks for CN=stage root O=stage\n\
                 hint: put the name back into cluster.yaml; a cluster of another name has its own directory and roots\n"
            )
        );
    }
    assert_eq!(lab.snapshot(), before);
    let offline = lab.run(&["verify", "--offline"]);
    assert_eq!(offline.status, 1, "{offline}");
}

#[test]
fn a_root_that_the_ledger_does_not_know_signs_nothing() {
    let (lab, other) = (Lab::with_roots(), Lab::with_roots());
    for file in ["pki/ca.crt", "pki/ca.key"] {
        std::fs::copy(other.path(file), lab.path(file)).expect("copied");
    }
    for command in [["issue-node", "--all"], ["issue-master", "--all"], ["bundle", "--all"]] {
        let ran = lab.run(&command);
        assert_eq!(
            (ran.status, ran.err.lines().next()),
            (3, Some("error: the root DIR/pki/ca.crt is not the one that the ledger knows")),
            "{ran}"
        );
    }
    // etcd's root would let every node into etcd.
    for file in ["ca.crt", "ca.key"] {
        std::fs::copy(lab.path(&format!("pki/etcd/{file}")), lab.path(&format!("pki/{file}"))).expect("copied");
    }
    assert_eq!(lab.run(&["issue-node", "--all"]).status, 3);
}

#[test]
fn a_node_may_not_claim_an_api_servers_names_or_addresses() {
    let claims = [
        ("name: on", "name: kubernetes", "nodes[1].name", "the API server's own name"),
        ("10.20.4.1", "10.20.0.11", "nodes[1].addresses[0]", "a master's name or address"),
        ("10.20.4.1", "api.prod.example.net", "nodes[1].addresses[0]", "the endpoint"),
        ("10.20.4.1", "kubernetes.default.svc.cluster.local", "nodes[1].addresses[0]", "the API server's own name"),
        ("10.20.4.1", "10.96.0.1", "nodes[1].addresses[0]", "in a service range"),
    ];
    for (from, to, path, whose) in claims {
        let lab = Lab::with(&CLUSTER.replace(from, to));
        let ran = lab.run(&["init-ca", "--plaintext-ca-key"]);
        assert_eq!(ran.status, 2, "{to}: {ran}");
        assert!(ran.err.contains(path) && ran.err.contains(&format!("it is {whose}")), "{to}: {ran}");
    }
    // A machine that is both goes by one name in both lists.
    let both = "apiVersion: clusterctl/v1\nkind: Cluster\nname: one\nmasters:\n- {name: box, addresses: [10.0.0.1]}\n\
                nodes:\n- {name: box, addresses: [10.0.0.1]}\n";
    Lab::with(both).good(&["init-ca", "--plaintext-ca-key"]);
}

#[test]
fn an_expired_root_signs_nothing() {
    let mut lab = Lab::with_roots();
    lab.now += Duration::days(3651);
    let before = lab.snapshot();
    let ran = lab.run(&["issue-node", "--all"]);
    assert_eq!(ran.status, 3);
    assert!(
        ran.err.starts_with(
            "error: the root is not fit to sign\ncaused by: expired 1 day ago on 2036-11-20T12:00:00Z\nhint: "
        ),
        "{ran}"
    );
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_root_whose_key_does_not_fit_signs_nothing() {
    let lab = Lab::with_roots();
    let other = lab.read("pki/etcd/ca.key");
    lab.write("pki/ca.key", &other);
    let before = lab.snapshot();
    let ran = lab.run(&["issue-node", "--all"]);
    assert_eq!(ran.status, 3);
    assert!(ran.err.contains("caused by: the private key does not belong to the certificate\n"), "{ran}");
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_wrong_passphrase_is_refused_and_changes_nothing() {
    let mut lab = Lab::with(CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "right".into());
    lab.good(&["init-ca"]);
    let before = lab.snapshot();
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "wrong".into());
    let ran = lab.run(&["issue-node", "--all"]);
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (
            3,
            "error: DIR/pki/ca.key: the passphrase is wrong\nhint: nothing was changed; try again with the right one\n"
        )
    );
    lab.env.clear();
    let ran = lab.run(&["issue-node", "--all"]);
    assert_eq!(ran.status, 2, "{ran}");
    assert!(ran.err.contains("--ca-passphrase-file FILE or CLUSTERCTL_CA_PASSPHRASE"), "{ran}");
    assert_eq!(lab.snapshot(), before);
    lab.write("passphrase", "right\n");
    lab.good(&["issue-node", "--all", "--ca-passphrase-file", "passphrase"]);
}

#[test]
fn a_ledger_that_is_corrupt_missing_locked_or_newer_stops_the_issue() {
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
    // Another file in its place has nothing to recover.
    std::fs::write(&ledger, b"a note of somebody's").expect("written");
    refused(|error| matches!(error, StoreError::LedgerForeign { .. }));
    std::fs::remove_file(&ledger).expect("removed");
    good_tool("sqlite3", &[&shown, "create table bookmarks (url text)"]);
    refused(|error| matches!(error, StoreError::LedgerForeign { .. }));
    std::fs::remove_file(&ledger).expect("removed");
    std::fs::create_dir(&ledger).expect("made");
    refused(|error| matches!(error, StoreError::Io { kind: std::io::ErrorKind::IsADirectory, .. }));
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
fn a_leaf_ends_with_its_root_and_that_is_said() {
    needs!("openssl");
    let mut lab = Lab::with_roots();
    lab.now += Duration::days(3650 - 30);
    let ran = lab.good(&["issue-node", "on"]);
    assert!(
        ran.err.starts_with(
            "warning: the CA expires at 2036-11-20T12:00:00Z, and 2 certificates with it, earlier than the cluster file says\n"
        ),
        "{ran}"
    );
    assert!(openssl_verifies(&lab, &[], "pki/nodes/on/kubelet-client.crt"));
}

#[test]
fn a_validity_that_was_shortened_replaces_what_lives_longer_and_one_that_grew_does_not() {
    let lab = Lab::issued();
    let original = lab.read("cluster.yaml");
    lab.write(
        "cluster.yaml",
        &original.replace("kind: Cluster\n", "kind: Cluster\nvalidity: {ca: 10y, master: 2y, node: 30d}\n"),
    );
    let plan = lab.good(&["issue-node", "on", "--dry-run"]);
    assert!(
        plan.out.contains(
            "issue on kubelet-client: valid until 2027-11-23T12:00:00Z, longer than the cluster file's 30d\n"
        ),
        "{plan}"
    );
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1, "it is no longer what the cluster file asks for");
    lab.good(&["issue-node", "--all"]);
    let again = lab.good(&["issue-node", "--all"]);
    assert!(again.err.contains("nothing to do: 6 certificates valid"), "{again}");
    let masters = lab.good(&["issue-master", "--all"]);
    assert!(masters.err.contains("nothing to do"), "shorter than allowed is good: {masters}");
    lab.good(&["verify", "--offline"]);
}
