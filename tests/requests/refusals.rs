//! `sign` refuses what it should not sign, with every reason.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use clusterctl::app;
use clusterctl::app::sign::{self, RefusedRequest, RequestProblem, SignError, SignOptions};
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::Profile;
use clusterctl::pki::reason::Reason;
use clusterctl::pki::request::RequestError;
use serde_json::Value;

use super::{CLIENT, EC, SERVER, csr, install, leaks, request, sign, signed};
use crate::support::outside::needs;
use crate::support::packages::{cluster, env};
use crate::support::{CLUSTER, Lab, forms, good_tool};

/// Returns why requests are refused; nothing is changed.
#[track_caller]
pub(super) fn refused(lab: &Lab, host: Option<&str>, profile: Option<Profile>, files: &[&str]) -> Vec<RefusedRequest> {
    let host = host.map(|host| HostName::parse(host).expect("a name"));
    refused_with(lab, files, SignOptions { host, profile, ..SignOptions::default() })
}

#[track_caller]
pub(super) fn refused_with(lab: &Lab, files: &[&str], options: SignOptions) -> Vec<RefusedRequest> {
    let options = SignOptions { files: files.iter().map(|file| lab.path(file)).collect(), ..options };
    match sign::preview(&options, &cluster(lab), &env(lab)) {
        Err(app::Error::Sign(SignError::Refused(refused))) => refused,
        Err(error) => panic!("{error}"),
        Ok(preview) => panic!("accepted: {:?}", preview.certificates().collect::<Vec<_>>()),
    }
}

#[track_caller]
pub(super) fn problems(lab: &Lab, file: &str) -> Vec<RequestProblem> {
    let refused = refused(lab, Some("on"), Some(Profile::KubeletServer), &[file]);
    let [one] = refused.as_slice() else { panic!("{refused:?}") };
    one.problems.clone()
}

#[test]
fn requests_that_ask_for_more_are_refused_with_all_reasons() {
    needs!("openssl");
    let lab = Lab::issued();
    let before = lab.snapshot();
    let subject = "/O=system:masters/O=system:nodes/CN=kubernetes-admin";
    let extensions = [
        "-addext",
        "subjectAltName=DNS:on,DNS:kubernetes.default,IP:10.96.0.1,IP:10.20.4.1,email:a@example.net",
        "-addext",
        "extendedKeyUsage=serverAuth,clientAuth",
        "-addext",
        "basicConstraints=CA:TRUE",
    ];
    let greedy = csr(&lab, "greedy", &[&EC[..], &extensions].concat(), subject);
    let found = problems(&lab, &greedy);
    let other_name = |name: &str| RequestProblem::OtherName(name.to_owned());
    assert_eq!(
        found,
        [
            RequestProblem::OtherUser("kubernetes-admin".to_owned()),
            RequestProblem::OtherGroup("system:masters".to_owned()),
            other_name("kubernetes.default"),
            other_name("10.96.0.1"),
            other_name("email a@example.net"),
            RequestProblem::OtherUsage { usage: "clientAuth".to_owned(), profile: Profile::KubeletServer },
            RequestProblem::Ca,
        ]
    );
    let ran = lab.run(&["sign", "--host", "on", "--profile", "kubelet-server", &greedy]);
    assert_eq!((ran.status, ran.out.as_str()), (3, ""));
    for usage in ["keyCertSign", "cRLSign"] {
        let usage = format!("keyUsage={usage}");
        let file = csr(&lab, "ca", &[&EC[..], &["-addext", &usage]].concat(), "/CN=on");
        assert_eq!(problems(&lab, &file), [RequestProblem::Ca]);
    }
    let files: BTreeMap<_, _> = lab.snapshot().into_iter().filter(|(path, _)| before.contains_key(path)).collect();
    assert_eq!(files, before);
}

#[test]
fn keys_that_are_weak_or_of_others_or_revoked_are_refused() {
    needs!("openssl");
    let lab = Lab::issued();
    let weak = csr(&lab, "weak", &["-newkey", "rsa:1024", "-nodes"], "/CN=on");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521", "-nodes"];
    let curve = csr(&lab, "curve", &curve, "/CN=on");
    let k256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes"];
    let k256 = csr(&lab, "k256", &k256, "/CN=on");
    let unnamed = csr(&lab, "unnamed", &["-newkey", "ed448", "-nodes"], "/CN=on");
    let pss = csr(&lab, "pss", &["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-nodes"], "/CN=on");
    for (file, name) in
        [(&weak, "RSA 1024"), (&curve, "ecdsa-p521"), (&k256, "secp256k1"), (&unnamed, "Ed448"), (&pss, "RSA-PSS")]
    {
        let found = problems(&lab, file);
        let [RequestProblem::Unproven(RequestError::WeakKey(kind))] = &found[..] else { panic!("{file}: {found:?}") };
        assert!(kind.starts_with(name), "{file}: {kind}");
    }
    // An ordinary RSA key may sign its request by PSS.
    let padding =
        ["-newkey", "rsa:2048", "-nodes", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    let by_pss = csr(&lab, "by-pss", &padding, "/CN=on");
    lab.good(&["sign", "--host", "on", "--profile", "kubelet-server", "--dry-run", &by_pss]);
    // The keys of another node, of the same node's other certificate, of a master, and of a CA.
    let request_of = |path: &str| {
        let (key, out) = (lab.path(path).display().to_string(), lab.path("x.csr").display().to_string());
        good_tool("openssl", &["req", "-new", "-key", &key, "-subj", "/CN=on", "-out", &out]);
    };
    for path in [
        "pki/nodes/worker-b1/kubelet-server.key",
        "pki/nodes/on/kubelet-client.key",
        "pki/masters/master-1/apiserver.key",
        "pki/ca.key",
    ] {
        request_of(path);
        let found = problems(&lab, "x.csr");
        assert!(matches!(found[..], [RequestProblem::KeyOfAnother { .. }]), "{path}: {found:?}");
    }
    // Not only the host has a key that was generated here.
    request_of("pki/nodes/on/kubelet-server.key");
    let found = problems(&lab, "x.csr");
    assert!(matches!(found[..], [RequestProblem::KeyMadeHere { .. }]), "{found:?}");
    lab.good(&["revoke", "on", "--yes"]);
    let found = problems(&lab, "x.csr");
    assert!(matches!(found[..], [RequestProblem::KeyRevoked { .. }]), "{found:?}");
}

#[test]
fn a_key_is_refused_when_its_revocation_is_raised_to_a_compromise() {
    needs!("openssl");
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let key = lab.path("pki/nodes/on/kubelet-server.key").display().to_string();
    let (client, out) = (lab.read("pki/nodes/on/kubelet-client.crt"), lab.path("x.csr").display().to_string());
    good_tool("openssl", &["req", "-new", "-key", &key, "-subj", "/CN=on", "-out", &out]);
    lab.good(&["revoke", "on", "--reason", "superseded", "--yes"]);
    let options = SignOptions {
        files: vec![lab.path("x.csr")],
        host: Some(HostName::parse("on").expect("a name")),
        profile: Some(Profile::KubeletServer),
        ..SignOptions::default()
    };
    assert!(sign::preview(&options, &cluster(&lab), &env(&lab)).is_ok(), "its successor may have the same key");
    let entries = |lab: &Lab| {
        let list = lab.path("pki/crl.pem").display().to_string();
        let text = good_tool("openssl", &["crl", "-in", &list, "-noout", "-text"]);
        let dates: Vec<&str> = text.lines().filter(|line| line.contains("Revocation Date")).collect();
        (["Superseded", "Key Compromise"].map(|reason| text.matches(reason).count()), dates.join("\n"))
    };
    let (reasons, dates) = entries(&lab);
    assert_eq!(reasons, [2, 0]);
    let rules = lab.read("policy/masters/authorization.yaml");
    let mut later = lab;
    later.now += time::Duration::days(2);
    let lab = later;
    // A lesser reason changes nothing.
    assert_eq!(lab.run(&["revoke", "on", "--reason", "superseded", "--yes"]).status, 3);
    assert_eq!(lab.run(&["revoke", "on", "--reason", "keyCompromise"]).status, 2, "it asks");
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    let raised = problems(&lab, "x.csr");
    assert!(matches!(raised[..], [RequestProblem::KeyRevoked { reason: Reason::KeyCompromise, .. }]), "{raised:?}");
    // The CRL has the new reason with the time of the revocation, and API servers deny as before.
    assert_eq!(entries(&lab), ([0, 2], dates));
    assert_eq!(lab.read("policy/masters/authorization.yaml"), rules);
    lab.good(&["crl", "show"]);
    lab.good(&["ledger", "check"]);
    assert_eq!(lab.read("pki/nodes/on/kubelet-client.crt"), client);
    let log: Value = serde_json::from_str(&lab.good(&["log", "on", "-o", "json"]).out).expect("JSON");
    forms::conforms("log", &log.to_string());
    let changes: Vec<&Value> = log["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["kind"] == "change-reason" && entry["reason"] == "keyCompromise")
        .collect();
    assert_eq!(changes.len(), 2, "{log:#}");
    let again = lab.run(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    assert_eq!(again.status, 3, "{again}");
    // A run that was interrupted before the CRL was signed is completed.
    let (list, with_reason) = (lab.path("pki/crl.pem"), lab.read("pki/crl.pem"));
    fs::remove_file(&list).expect("removed");
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    assert_ne!(lab.read("pki/crl.pem"), with_reason);
    assert_eq!(entries(&lab).0, [0, 2]);
    // A rebuilt ledger has the reason from the CRL.
    fs::remove_file(lab.path("pki/ledger.sqlite3")).expect("removed");
    lab.good(&["ledger", "rebuild"]);
    assert!(!problems(&lab, "x.csr").is_empty());
}

#[test]
fn after_a_change_of_accounts_a_host_keeps_its_certificate_until_it_requests_another() {
    let lab = signed();
    lab.good(&["issue-node", "--all"]);
    lab.write("cluster.yaml", &CLUSTER.replace("name: prod\n", "name: prod\naccounts: system-node\n"));
    let revoked = || {
        let ledger = rusqlite::Connection::open(lab.path("pki/ledger.sqlite3")).expect("a ledger");
        let query = "SELECT c.host FROM revocations r JOIN certificates c ON c.sha256 = r.sha256 ORDER BY 1";
        let mut select = ledger.prepare(query).expect("a query");
        let hosts = select.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        hosts.collect::<Result<Vec<_>, _>>().expect("hosts")
    };
    lab.good(&["issue-node", "--all"]);
    assert_eq!(revoked(), ["worker-a1.fra1.example.net", "worker-b1"]);
    let report: Value = serde_json::from_str(&lab.good(&["renew", "--all", "-o", "json"]).out).expect("JSON");
    assert_eq!(report["hostsToRequest"], serde_json::json!(["on"]));
    // The same key may get a certificate for another account, although the old certificate is superseded.
    request(&lab, "on");
    sign(&lab, &["on.request"]);
    lab.good(&["issue-node", "--all"]);
    assert_eq!(revoked(), ["on", "worker-a1.fra1.example.net", "worker-b1"]);
    sign(&lab, &["--dry-run", "on.request"]);
    lab.good(&["bundle", "on"]);
}

#[test]
fn a_master_that_is_also_a_node_generates_only_the_kubelets_keys() {
    needs!("dash");
    let lab = Lab::with(&format!("{CLUSTER}- {{name: master-1, addresses: [10.20.0.11]}}\n"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    request(&lab, "master-1");
    sign(&lab, &["master-1.request"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all", "--format", "dir"]);
    let listed = lab.read("bundles/master-1/host-keys");
    let paths: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(paths, [format!("{CLIENT}.key"), format!("{SERVER}.key")]);
    assert!(lab.path("bundles/master-1/etc/kubernetes/pki/apiserver.key").exists());
    lab.good(&["verify", "--offline"]);
    let ran = Command::new("dash")
        .arg(lab.path("bundles/master-1/install.sh"))
        .env("DESTDIR", lab.path("hosts/master-1"))
        .output()
        .expect("dash");
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn a_host_replaces_keys_of_the_directory_by_its_own() {
    needs!("dash");
    let lab = Lab::issued();
    fs::create_dir_all(lab.path("hosts/on/etc")).expect("made");
    lab.good(&["bundle", "on", "--format", "dir"]);
    assert!(install(&lab, &[]).status.success());
    let path = |base: &str| lab.path(&format!("hosts/on/{base}.key"));
    assert!(path(CLIENT).exists());
    request(&lab, "on");
    assert_eq!(lab.run(&["sign", "on.request"]).status, 3, "the keys are from the directory");
    for base in [CLIENT, SERVER] {
        fs::rename(path(base), path(base).with_extension("old")).expect("moved");
    }
    request(&lab, "on");
    sign(&lab, &["on.request"]);
    lab.good(&["bundle", "on", "--format", "dir"]);
    let ran = install(&lab, &[]);
    assert!(ran.status.success(), "{ran:?}");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(!said.contains("left "), "its own keys are not left over: {said}");
    assert_eq!(leaks(&lab), Vec::<String>::new());
}

#[test]
fn requests_of_unknown_hosts_and_for_unknown_profiles_are_refused_together() {
    needs!("openssl");
    let lab = Lab::issued();
    let plain = csr(&lab, "plain", &EC, "/CN=onn");
    let nameless = csr(&lab, "nameless", &EC, "/");
    let found = refused(&lab, None, None, &[&plain, &nameless, "missing.csr"]);
    let problems: Vec<&[RequestProblem]> = found.iter().map(|one| one.problems.as_slice()).collect();
    let unknown = RequestProblem::UnknownHost { name: "onn".to_owned(), similar: Some("on".to_owned()) };
    assert_eq!(
        problems,
        [
            &[RequestProblem::Missing][..],
            &[unknown, RequestProblem::NoProfile],
            &[RequestProblem::NoHost, RequestProblem::NoProfile]
        ]
    );
    // A master's certificates are not signed by request.
    let found = refused(&lab, Some("master-1"), Some(Profile::KubeletServer), &[&plain]);
    assert!(
        matches!(&found[0].problems[..], [RequestProblem::Master(name)] if name.as_str() == "master-1"),
        "{found:?}"
    );
    let masters = csr(&lab, "masters", &EC, "/O=system:nodes/CN=system:node:master-1");
    let found = refused(&lab, None, Some(Profile::KubeletServer), &[&masters]);
    assert!(matches!(found[0].problems[..], [RequestProblem::Master(_)]), "{found:?}");
    let ran = lab.run(&["sign", "--profile", "kubelet-server", &masters]);
    assert!(ran.status == 3 && ran.err.contains("clusterctl issue-master master-1"), "{ran}");
    let other = csr(&lab, "other", &EC, "/CN=database");
    let ran = lab.run(&["sign", "--profile", "kubelet-server", &other]);
    assert!(ran.status == 3 && ran.err.contains("--host HOST"), "{ran}");
    // A control character is escaped, and once.
    let escape = csr(&lab, "escape", &EC, "/CN=\u{1b}[31mon");
    let ran = lab.run(&["sign", "--profile", "kubelet-server", &escape]);
    assert!(ran.status == 3 && ran.err.contains("\"\\u{1b}[31mon\""), "{ran}");
    // Twice the same key, and twice the same certificate.
    request(&lab, "on");
    let found = refused(&lab, None, None, &["on.request", "on.request"]);
    assert_eq!(found.len(), 2);
    for one in found {
        assert!(matches!(one.problems[..], [RequestProblem::KeyTwice, RequestProblem::Twice(_)]), "{one:?}");
    }
}

#[test]
fn files_that_are_no_requests_and_requests_that_were_changed_are_refused() {
    needs!("openssl");
    let lab = Lab::issued();
    let good = csr(&lab, "good", &EC, "/CN=on");
    let der = lab.path("good.der").display().to_string();
    good_tool("openssl", &["req", "-in", &lab.path(&good).display().to_string(), "-outform", "DER", "-out", &der]);
    let bytes = fs::read(&der).expect("DER");
    fs::write(lab.path("cut"), &bytes[..bytes.len() - 1]).expect("written");
    fs::write(lab.path("longer"), [&bytes[..], b"x"].concat()).expect("written");
    lab.write("empty", "\n");
    fs::write(lab.path("large"), vec![b'x'; 1024 * 1024]).expect("written");
    let text = lab.read(&good);
    lab.write("cut.pem", &text[..text.len() / 2]);
    lab.write("with-key", &format!("{text}{}", lab.read("good.pem")));
    assert!(matches!(problems(&lab, "cut")[..], [RequestProblem::Damaged(_)]));
    assert!(matches!(problems(&lab, "longer")[..], [RequestProblem::Damaged(_)]));
    assert!(matches!(problems(&lab, "cut.pem")[..], [RequestProblem::Damaged(_)]));
    assert_eq!(problems(&lab, "empty"), [RequestProblem::Empty]);
    assert!(matches!(problems(&lab, "large")[..], [RequestProblem::TooLarge { .. }]));
    assert_eq!(problems(&lab, "with-key"), [RequestProblem::PrivateKey]);
    assert_eq!(problems(&lab, "pki/ca.crt"), [RequestProblem::NoRequest]);
    // Every change of the signed part is detected. The signature's algorithm, ecdsa-with-SHA256, follows it.
    let algorithm = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let end = bytes.windows(algorithm.len()).position(|part| part == algorithm).expect("an algorithm") - 2;
    for at in 0..end {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(lab.path("changed"), changed).expect("written");
        let found = refused(&lab, Some("on"), Some(Profile::KubeletServer), &["changed"]);
        assert!(!found.is_empty(), "octet {at}");
    }
}

#[test]
fn the_key_of_service_accounts_is_not_a_hosts() {
    needs!("openssl");
    let lab = Lab::issued();
    let path = |name: &str| lab.path(name).display().to_string();
    good_tool("openssl", &["req", "-new", "-key", &path("pki/sa.key"), "-subj", "/CN=on", "-out", &path("sa.csr")]);
    assert_eq!(problems(&lab, "sa.csr"), [RequestProblem::KeyOfServiceAccounts]);
    // While it is rotated, both keys are.
    lab.good(&["rotate-ca", "start", "--role", "service-account"]);
    let new = path("pki/sa-rotation/new.key");
    good_tool("openssl", &["req", "-new", "-key", &new, "-subj", "/CN=on", "-out", &path("new.csr")]);
    for csr in ["sa.csr", "new.csr"] {
        assert_eq!(problems(&lab, csr), [RequestProblem::KeyOfServiceAccounts], "{csr}");
    }
}
