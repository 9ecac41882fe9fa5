//! `revoke`: the ledger, the CRLs and the authorization configuration, read with sqlite3, openssl and an evaluator of the
//! rules.

use super::support::authorization::{AuthorizationConfiguration, Verdict};
use super::support::kubernetes::documents;
use super::support::{CLUSTER, Lab, NOW, Ran};
use super::verifying::problems;
use crate::support::outside::needs;
use clusterctl::bundle::archive;
use clusterctl::pki::certificate::Serial;
use clusterctl::store::ledger::Ledger;
use std::process::{Command, Output};
use time::Duration;

/// The text that openssl prints for an empty CRL.
const EMPTY_CRL: &str = "No Revoked Certificates";

pub(super) fn issued() -> Lab {
    let lab = Lab::with(CLUSTER);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab
}

pub(super) fn openssl(lab: &Lab, args: &[&str]) -> Output {
    Command::new("openssl").args(args).current_dir(lab.dir()).output().expect("openssl")
}

pub(super) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

pub(super) fn serial(lab: &Lab, certificate: &str) -> String {
    let output = openssl(lab, &["x509", "-in", certificate, "-noout", "-serial"]);
    text(&output).trim().strip_prefix("serial=").expect("a serial").to_owned()
}

fn fingerprint(lab: &Lab, certificate: &str) -> String {
    let output = openssl(lab, &["x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"]);
    let text = text(&output);
    text.trim().split_once('=').expect("a fingerprint").1.replace(':', "").to_lowercase()
}

fn rules(lab: &Lab) -> AuthorizationConfiguration {
    let [config] = documents(&lab.read("policy/masters/authorization.yaml")).try_into().expect("one document");
    AuthorizationConfiguration::read(config)
}

pub(super) fn denies(lab: &Lab, certificate: &str) -> bool {
    let id = format!("X509SHA256={}", fingerprint(lab, certificate));
    let spec = serde_json::json!({"user": "system:anything", "groups": [], "uid": "",
        "extra": {"authentication.kubernetes.io/credential-id": [id]},
        "nonResourceAttributes": {"path": "/api", "verb": "get"}});
    !matches!(rules(lab).decide(&spec), Verdict::NoOpinion)
}

pub(super) fn revoke(lab: &Lab, args: &[&str]) -> Ran {
    lab.run(&[&["revoke"], args].concat())
}

/// Returns the reason of a revocation in the ledger; `None` if the certificate is not revoked.
pub(super) fn recorded_reason(lab: &Lab, serial: &str) -> Option<String> {
    let ledger = Ledger::open_read_only(&lab.path("pki/ledger.sqlite3")).expect("a ledger");
    let found = ledger.by_serial(&Serial::parse(serial).expect("a serial number")).expect("the ledger");
    found.into_iter().find_map(|issued| Some(issued.revocation?.reason.as_str().to_owned()))
}

/// Returns the lines of `show` with the problems of a file.
fn shown_problems(lab: &Lab, file: &str) -> Vec<String> {
    let shown = lab.good(&["show", file]);
    shown
        .out
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("problem "))
        .map(|line| line.trim().to_owned())
        .collect()
}

pub(super) const CLIENT: &str = "pki/nodes/worker-b1/kubelet-client.crt";
pub(super) const SERVER: &str = "pki/nodes/worker-b1/kubelet-server.crt";
pub(super) const OTHER_CLIENT: &str = "pki/nodes/on/kubelet-client.crt";

#[test]
fn a_revoked_host_is_in_the_crl_and_the_rules_and_gets_new_certificates() {
    needs!("openssl");
    let lab = issued();
    lab.good(&["bundle", "--all"]);
    let before = [serial(&lab, CLIENT), serial(&lab, SERVER)];
    let ran = revoke(&lab, &["worker-b1", "--reason", "keyCompromise", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert_eq!(ran.out, "DIR/pki/crl.pem\nDIR/policy/masters/authorization.yaml\n");
    for serial in &before {
        assert!(ran.err.contains(&serial.to_lowercase()), "{ran}");
    }
    let shown = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-CAfile", "pki/ca.crt", "-noout", "-text"]));
    assert!(
        shown.contains("verify OK") && shown.contains("X509v3 CRL Number") && shown.contains("Key Compromise"),
        "{shown}"
    );
    for (certificate, good) in [(CLIENT, false), (SERVER, false), (OTHER_CLIENT, true)] {
        let args = ["verify", "-crl_check", "-CAfile", "pki/ca.crt", "-CRLfile", "pki/crl.pem", "-attime"];
        let at = NOW.unix_timestamp().to_string();
        let output = openssl(&lab, &[&args[..], &[&at, certificate]].concat());
        assert_eq!(output.status.success(), good, "{certificate}: {}", text(&output));
        assert!(good || text(&output).contains("certificate revoked"));
    }
    assert!(denies(&lab, CLIENT) && !denies(&lab, OTHER_CLIENT));
    // No client presents a serving certificate, so no rule denies it; a comment in the file names it.
    let rules = lab.read("policy/masters/authorization.yaml");
    assert!(!denies(&lab, SERVER) && rules.contains(&format!("revoked SHA256={}", fingerprint(&lab, SERVER))));
    let refused = lab.run(&["bundle", "worker-b1"]);
    assert_eq!(refused.status, 3, "{refused}");
    insta::assert_snapshot!("a_host_whose_certificates_are_revoked_is_not_packed", refused.err);
    // The rules in policy/ are current; those in the masters' bundles are from before the revocation.
    insta::assert_snapshot!(problems(&lab), @r"
    exit status 1
    fail store.credential worker-b1 issue
      it was revoked at 2026-11-23T12:00:00Z (keyCompromise)
    fail store.credential worker-b1 issue
      it was revoked at 2026-11-23T12:00:00Z (keyCompromise)
    fail trust.match master-1 pack-bundle
      etc/kubernetes/clusterctl/authorization.yaml does not deny 1 revoked certificates
    fail trust.match master-2 pack-bundle
      etc/kubernetes/clusterctl/authorization.yaml does not deny 1 revoked certificates
    ");
    let plan = lab.good(&["issue-node", "--all", "--dry-run"]);
    assert_eq!(plan.out.lines().count(), 2, "{plan}");
    lab.good(&["issue-node", "--all"]);
    assert!(!before.contains(&serial(&lab, CLIENT)) && !denies(&lab, CLIENT));
    lab.good(&["bundle", "--all"]);
    let offline = lab.run(&["verify", "--offline"]);
    assert_eq!(offline.status, 0, "{offline}");
    let packed =
        archive::read(&std::fs::read(lab.path("bundles/master-1.tar.gz")).expect("a bundle")).expect("a bundle");
    let carried = packed.file("etc/kubernetes/clusterctl/authorization.yaml").expect("there");
    assert_eq!(*carried.bytes, *lab.read("policy/masters/authorization.yaml").as_bytes());
}

#[test]
fn a_masters_bundle_with_more_revocations_has_a_higher_generation() {
    let lab = issued();
    let generation = |lab: &Lab| {
        lab.good(&["bundle", "master-1"]);
        let bytes = std::fs::read(lab.path("bundles/master-1.tar.gz")).expect("a bundle");
        archive::read(&bytes).expect("a bundle").manifest.generation
    };
    let before = generation(&lab);
    assert_eq!(revoke(&lab, &["worker-b1", "--yes"]).status, 0);
    assert!(generation(&lab) > before);
}

#[test]
fn a_serial_number_with_or_without_colons_names_one_certificate() {
    needs!("openssl");
    let lab = issued();
    let whole = serial(&lab, CLIENT);
    let colons: Vec<&str> = (0..whole.len() / 2).map(|i| &whole[2 * i..2 * i + 2]).collect();
    assert_eq!(revoke(&lab, &[&colons.join(":"), "--yes", "--reason", "superseded"]).status, 0);
    assert!(denies(&lab, CLIENT));
    let list = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"]));
    assert!(list.contains(&whole) && !list.contains(&serial(&lab, SERVER)) && list.contains("Superseded"), "{list}");
    let before = lab.snapshot();
    for again in [whole.to_lowercase(), format!("0x{whole}")] {
        let again = revoke(&lab, &[&again, "--yes"]);
        assert_eq!(again.status, 3, "{again}");
    }
    assert_eq!(lab.snapshot(), before, "it is revoked already");
    assert_eq!(revoke(&lab, &[&format!("0X{}", serial(&lab, SERVER)), "--yes"]).status, 0);
}

#[test]
fn each_ca_has_its_own_crl() {
    needs!("openssl");
    let lab = issued();
    let ran = revoke(&lab, &["master-2", "--yes", "--reason", "cessationOfOperation"]);
    assert_eq!(ran.status, 0, "{ran}");
    for (list, root, certificate) in [
        ("pki/crl.pem", "pki/ca.crt", "pki/masters/master-2/apiserver.crt"),
        ("pki/etcd/crl.pem", "pki/etcd/ca.crt", "pki/masters/master-2/etcd-server.crt"),
        ("pki/front-proxy/crl.pem", "pki/front-proxy/ca.crt", "pki/masters/master-2/front-proxy-client.crt"),
    ] {
        let shown = text(&openssl(&lab, &["crl", "-in", list, "-CAfile", root, "-noout", "-text"]));
        assert!(shown.contains("verify OK") && shown.contains(&serial(&lab, certificate)), "{shown}");
    }
    assert!(denies(&lab, "pki/masters/master-2/controller-manager.crt"));
    assert!(!denies(&lab, "pki/masters/master-1/controller-manager.crt"));
    // Clients of etcd never present their certificates to an API server.
    assert!(!denies(&lab, "pki/masters/master-2/apiserver-etcd-client.crt"));
}

#[test]
fn crls_are_renewed_with_growing_numbers() {
    needs!("openssl", "sqlite3");
    let lab = issued();
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    let number = |lab: &Lab, list: &str| {
        let shown = text(&openssl(lab, &["crl", "-in", list, "-noout", "-crlnumber"]));
        u64::from_str_radix(shown.trim().trim_start_matches("crlNumber=").trim_start_matches("0x"), 16)
            .expect("a number")
    };
    // The first number is the time in seconds, so that a restored backup does not repeat earlier numbers.
    let first = u64::try_from(NOW.unix_timestamp()).expect("after 1970");
    assert_eq!(number(&lab, "pki/crl.pem"), first);
    let ran = revoke(&lab, &["--renew", "--crl-validity", "30d"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert_eq!(number(&lab, "pki/crl.pem"), first + 1);
    assert_eq!(number(&lab, "pki/etcd/crl.pem"), first);
    let due = text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-nextupdate"]));
    assert_eq!(due.trim(), "nextUpdate=Dec 23 12:00:00 2026 GMT");
    // A ledger from a backup has lower numbers than the CRL in the directory.
    let sql = "delete from revocation_lists";
    let sqlite = Command::new("sqlite3").arg(lab.path("pki/ledger.sqlite3")).arg(sql).output().expect("sqlite3");
    assert!(sqlite.status.success());
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    assert_eq!(number(&lab, "pki/crl.pem"), first + 2);
    let known = revoke(&lab, &["--renew", "on"]);
    assert_eq!(known.status, 2, "{known}");
}

#[test]
fn expired_certificates_leave_the_crl_and_the_rules() {
    needs!("openssl");
    let mut lab = issued();
    assert_eq!(revoke(&lab, &["worker-b1", "--yes"]).status, 0);
    let gone = serial(&lab, CLIENT);
    // Clocks may differ by a day.
    lab.now = NOW + Duration::days(365) + Duration::hours(12);
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    assert!(text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"])).contains(&gone));
    assert!(denies(&lab, CLIENT));
    lab.now = NOW + Duration::days(367);
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    assert!(text(&openssl(&lab, &["crl", "-in", "pki/crl.pem", "-noout", "-text"])).contains(EMPTY_CRL));
    assert!(!denies(&lab, CLIENT));
    lab.good(&["policy"]);
    assert!(!denies(&lab, CLIENT));
    let ended = revoke(&lab, &["worker-b1", "--yes"]);
    assert_eq!(ended.status, 3, "{ended}");
    insta::assert_snapshot!(ended.err, @r"
    error: worker-b1 has no certificate that can be revoked: the last one expired at 2027-11-23T12:00:00Z
    hint: an expired certificate is rejected without a revocation
    ");
}

#[test]
fn requests_that_cannot_be_met_are_refused_and_change_nothing() {
    needs!("openssl");
    let mut lab = issued();
    let before = std::fs::read(lab.path("pki/ledger.sqlite3")).expect("a ledger");
    let root = serial(&lab, "pki/ca.crt").to_lowercase();
    let server = "pki/nodes/on/kubelet-server.crt";
    let serials = [root.clone(), serial(&lab, OTHER_CLIENT), serial(&lab, server)].map(|serial| serial.to_lowercase());
    let mut refusals = String::new();
    for args in [
        &["worker-b2", "--yes"][..],
        &["worker-a1", "--yes"],
        &["nobody-at-all", "--yes"],
        &["./absent.crt", "--yes"],
        &["system:node:on", "--yes"],
        &["kubelet:on", "--yes"],
        &["kube-apiserver", "--yes"],
        &["prod", "--yes"],
        &["prod root", "--yes"],
        &["0x00112233445566778899aabbccddeeff", "--yes"],
        &["00112233445566778899aabbccddeeff", "--yes"],
        &["on", "--issuer", "cluster", "--yes"],
        &["on", "--yes", "--reason", "keycompromise"],
        &["on", "--yes", "--reason", "certificateHold"],
        &[&root, "--yes"],
        &["on"],
        &[],
        &["--renew", "--next-update", "soon"],
    ] {
        let ran = revoke(&lab, args);
        let anonymous =
            |text: &str| serials.iter().fold(text.to_owned(), |text, serial| text.replace(serial, "SERIAL"));
        let (args, shown) = (anonymous(&args.join(" ")), anonymous(&ran.err));
        refusals.push_str(&format!("revoke {args}\nexit status {}\n{shown}\n", ran.status));
    }
    insta::assert_snapshot!("revocations_that_are_refused", refusals);
    lab.typed = Some(["no".to_owned()].into());
    let declined = revoke(&lab, &["on"]);
    assert_eq!(declined.status, 3, "{declined}");
    assert!(!lab.path("pki/crl.pem").exists() && !lab.path("policy").exists());
    assert_eq!(std::fs::read(lab.path("pki/ledger.sqlite3")).expect("a ledger"), before);
}

#[test]
fn a_wrong_passphrase_revokes_nothing() {
    let mut lab = Lab::with(CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "right".into());
    lab.good(&["init-ca", "--allow-weak-passphrase"]);
    lab.good(&["issue-node", "on"]);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "wrong".into());
    let ran = revoke(&lab, &["on", "--yes"]);
    assert_eq!(ran.status, 3, "{ran}");
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "right".into());
    assert!(lab.good(&["issue-node", "on", "--dry-run"]).out.is_empty());
    let ran = revoke(&lab, &["on", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
}

#[test]
fn crls_that_differ_from_the_ledger_are_found_offline() {
    let mut lab = issued();
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    lab.good(&["issue-node", "on"]);
    lab.good(&["verify", "--offline"]);
    let good = std::fs::read(lab.path("pki/crl.pem")).expect("a CRL");
    let mut found = String::new();
    let mut look = |lab: &Lab, case: &str| found.push_str(&format!("{case}: {}", problems(lab)));
    assert_eq!(revoke(&lab, &["worker-b1", "--yes"]).status, 0);
    lab.good(&["issue-node", "worker-b1"]);
    lab.good(&["verify", "--offline"]);
    std::fs::write(lab.path("pki/crl.pem"), &good).expect("written");
    look(&lab, "a CRL from before");
    std::fs::write(lab.path("pki/crl.pem"), "nothing").expect("written");
    look(&lab, "not a CRL");
    std::fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    look(&lab, "no CRL");
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    lab.good(&["verify", "--offline"]);
    std::fs::copy(lab.path("pki/crl.pem"), lab.path("pki/etcd/crl.pem")).expect("copied");
    look(&lab, "the CRL of another CA");
    assert_eq!(revoke(&lab, &["--renew"]).status, 0);
    lab.now = NOW + Duration::days(91);
    look(&lab, "an expired CRL");
    insta::assert_snapshot!("crls_that_do_not_match_the_ledger", found);
}

#[test]
fn show_names_a_revocation_as_a_problem() {
    let lab = issued();
    lab.good(&["issue-admin", "alice"]);
    let admin = "pki/admins/alice.conf";
    for file in [CLIENT, OTHER_CLIENT, admin] {
        assert_eq!(shown_problems(&lab, file), Vec::<String>::new(), "{file}");
    }
    assert_eq!(revoke(&lab, &["worker-b1", "--yes", "--reason", "keyCompromise"]).status, 0);
    assert_eq!(revoke(&lab, &["alice", "--yes"]).status, 0);
    let shown = [CLIENT, admin, OTHER_CLIENT].map(|file| format!("{file}: {}", shown_problems(&lab, file).join("; ")));
    insta::assert_snapshot!(shown.join("\n"), @r"
    pki/nodes/worker-b1/kubelet-client.crt: it was revoked at 2026-11-23T12:00:00Z (keyCompromise)
    pki/admins/alice.conf: it was revoked at 2026-11-23T12:00:00Z
    pki/nodes/on/kubelet-client.crt:
    ");
}

#[test]
fn the_authorization_configuration_is_checked_offline() {
    let lab = issued();
    let matches = || assert_eq!(problems(&lab), "exit status 0\n");
    matches();
    let path = "policy/masters/authorization.yaml";
    lab.good(&["policy"]);
    matches();
    let before = lab.read(path);
    assert_eq!(revoke(&lab, &["on", "--yes"]).status, 0);
    lab.good(&["issue-node", "on"]);
    matches();
    let after = lab.read(path);
    lab.write(path, &before);
    // Copied to masters, the earlier rules would undo the revocation.
    let older = problems(&lab);
    lab.write(path, &format!("{after}\n"));
    let changed = problems(&lab);
    std::fs::remove_file(lab.path(path)).expect("removed");
    insta::assert_snapshot!([older, changed, problems(&lab)].join("\n"), @r"
    exit status 1
    fail store.credential API servers' rules write-policy
      it does not deny 1 revoked certificates

    exit status 0
    warn store.credential API servers' rules write-policy
      it differs from what would be generated now from the cluster file, the ledger and the templates

    exit status 0
    warn store.credential API servers' rules write-policy
      DIR/policy/masters/authorization.yaml does not exist
    ");
    lab.good(&["policy"]);
    matches();
}

#[test]
fn an_administrator_is_revoked_by_name_and_a_break_glass_account_with_a_warning() {
    let lab = issued();
    lab.good(&["issue-admin", "alice"]);
    let ran = revoke(&lab, &["alice", "--yes"]);
    assert_eq!(ran.status, 0, "{ran}");
    insta::assert_snapshot!(problems(&lab), @r"
    exit status 1
    fail store.credential admin alice delete-admin
      it was revoked at 2026-11-23T12:00:00Z
    ");
    std::fs::remove_file(lab.path("pki/admins/alice.conf")).expect("removed");
    lab.good(&["verify", "--offline"]);
    lab.good(&["issue-admin", "fire", "--break-glass", "--yes"]);
    let ran = revoke(&lab, &["fire", "--yes"]);
    let warnings: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("warning: ")).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"warning: Kubernetes authorizes system:masters before any rule: a break-glass account keeps its rights until its certificate expires");
}
