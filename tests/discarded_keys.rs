//! Keys that are deleted once their encrypted bundle is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use clusterctl::app::issue::IssueReason;
use clusterctl::app::package::encryption::{Encryption, Recipients};
use clusterctl::app::package::{CredentialRemedy, PackageError};
use clusterctl::cluster::recipient::Recipient;
use clusterctl::pki::violation::Violation;
use clusterctl::store::credentials::CredentialProblem;

use crate::support::encryption::{age_key, bundles, folder_of, host};
use crate::support::outside::needs;
use crate::support::packages::{package, package_with};
use crate::support::plans::{issued_by, node_plan};
use crate::support::{CLUSTER, Lab, good_tool};

/// A laboratory in which `on` has an encrypted bundle and its keys were discarded.
fn discarded() -> Lab {
    let lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    let report = package_with(&lab, &["on"], |cluster, options| {
        let for_all_hosts = vec![Recipient::parse(&recipient).expect("a recipient")];
        let to = Recipients::Given { for_all_hosts, known_hosts: None };
        options.encryption = Encryption::plan(&options.hosts, cluster, options.format, &to)?;
        options.discard_keys = true;
        Ok(())
    });
    assert_eq!(report.expect("a bundle").discarded, Some(2));
    lab
}

#[test]
fn discarded_keys_are_in_the_encrypted_bundle_and_nowhere_else() {
    needs!("age-keygen", "sqlite3");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    let key = lab.read("pki/nodes/on/kubelet-client.key");
    let masters = folder_of(&lab, "pki/masters/master-1");
    lab.good(&["bundle", "--all", "--encrypt-to", &recipient, "--discard-keys"]);
    for node in ["on", "worker-b1", "worker-a1.fra1.example.net"] {
        assert_eq!(folder_of(&lab, &format!("pki/nodes/{node}")), ["kubelet-client.crt", "kubelet-server.crt"]);
    }
    // Masters' keys are kept: the next master's certificates and bundles need them.
    assert_eq!(folder_of(&lab, "pki/masters/master-1"), masters);
    let here: Vec<_> = lab
        .snapshot()
        .into_iter()
        .filter(|(_, bytes)| bytes.windows(key.len()).any(|window| window == key.as_bytes()))
        .collect();
    assert!(here.is_empty(), "no unencrypted key is left");
    lab.good(&["open", "bundles/on.tar.gz.age", "-i", "age"]);
    assert_eq!(lab.read("on/var/lib/kubelet/pki/kubelet-client.key"), key);
    let events = good_tool(
        "sqlite3",
        &[
            &lab.path("pki/ledger.sqlite3").display().to_string(),
            "SELECT count(*), count(DISTINCT subject) FROM events WHERE kind = 'forget-key' AND by = 'admin@laptop' \
         AND detail IN (SELECT sha256 FROM certificates)",
        ],
    );
    assert_eq!(events, "6|3\n");
}

#[test]
fn a_discarded_key_is_accepted_until_the_certificate_no_longer_fits() {
    needs!("age-keygen");
    let lab = discarded();
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
    let plan = node_plan(&lab, &[]);
    assert!(plan.names().is_empty() && plan.kept == 6, "{plan:?}");
    lab.good(&["verify", "--offline"]);
    let json = lab.good(&["verify", "--offline", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    let of_host = json["results"].as_array().expect("results").iter().filter(|result| result["host"] == "on");
    let stored: Vec<_> = of_host.filter(|result| result["id"] == "store.credential").collect();
    assert!(!stored.is_empty() && stored.iter().all(|result| result["status"] == "pass"), "{stored:?}");

    // A key that is missing for another reason is a problem.
    fs::remove_file(lab.path("pki/nodes/worker-b1/kubelet-client.key")).expect("removed");
    assert_eq!(node_plan(&lab, &[]).only().0, "worker-b1 kubelet-client");
    lab.good(&["issue-node", "--all"]);

    // The serving certificate is no longer valid; a bundle needs both keys, so both are generated.
    lab.write("cluster.yaml", &CLUSTER.replace("[10.20.4.1]", "[10.20.4.1, 10.20.4.2]"));
    let plan = node_plan(&lab, &[]);
    let reasons: BTreeMap<&str, &[IssueReason]> =
        plan.certificates.iter().map(|(name, reasons)| (name.as_str(), reasons.as_slice())).collect();
    assert_eq!((reasons.len(), plan.kept), (2, 4), "{plan:?}");
    assert_eq!(reasons["on kubelet-client"], [IssueReason::KeyDiscarded]);
    let missing = Violation::NameMissing("10.20.4.2".to_owned());
    assert!(
        reasons["on kubelet-server"].contains(&IssueReason::Problem(CredentialProblem::Violation(missing))),
        "{plan:?}"
    );
    lab.good(&["issue-node", "--all"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on").len(), 4);
    lab.good(&["bundle", "on", "--unencrypted"]);
}

#[test]
fn a_host_whose_keys_were_discarded_is_refused_with_the_command_that_makes_new_ones() {
    needs!("age-keygen");
    let lab = discarded();
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "on"]);
    assert_eq!(refused.status, 3, "{refused}");
    let Err(PackageError::Refused(refusal)) = package(&lab, &["on"]) else { panic!("a bundle") };
    assert_eq!(refusal.refused[0].remedy(), CredentialRemedy::Reissue);
    assert_eq!(lab.snapshot(), before);
    // With --all, the existing encrypted bundle is kept.
    assert_eq!(package(&lab, &[]).expect("bundles").kept, [host("on")]);
    assert_eq!(bundles(&lab).iter().filter(|name| name.starts_with("on.")).collect::<Vec<_>>(), ["on.tar.gz.age"]);
    assert_eq!(bundles(&lab).len(), 5);
    // Without that bundle, nothing is packed.
    fs::remove_file(lab.path("bundles/on.tar.gz.age")).expect("removed");
    assert_eq!(lab.run(&["bundle", "--all"]).status, 3);
    lab.good(&["issue-node", "--reissue", "on"]);
    lab.good(&["bundle", "--all"]);
}

#[test]
fn keys_are_discarded_only_when_bundles_are_encrypted() {
    let lab = Lab::issued();
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "on", "--discard-keys"]);
    assert_eq!(refused.status, 2, "{refused}");
    insta::assert_snapshot!("keys_are_not_discarded_without_encryption", refused.err);
    assert_eq!(lab.run(&["bundle", "on", "--discard-keys", "--unencrypted"]).status, 2);
    assert_eq!(lab.run(&["bundle", "--verifier", "--discard-keys"]).status, 2);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn no_unencrypted_bundle_stays_beside_an_encrypted_one_and_a_folder_cannot_be_encrypted() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    lab.good(&["bundle", "on", "--format", "dir"]);
    lab.good(&["bundle", "on"]);
    let before = lab.snapshot();
    let refused = lab.run(&["bundle", "on", "--format", "dir", "--encrypt-to", &recipient]);
    assert_eq!(refused.status, 2, "{refused}");
    assert_eq!(lab.snapshot(), before);
    assert_eq!(bundles(&lab), ["on", "on.tar.gz"]);
    lab.good(&["bundle", "on", "--format", "tar.gz", "--encrypt-to", &recipient]);
    assert_eq!(bundles(&lab), ["on.tar.gz.age"]);
}

#[test]
fn verify_reports_discarded_keys_and_proves_the_rest() {
    needs!("age-keygen");
    let live = crate::support::live::Live::start(None);
    let recipient = age_key(&live.lab, "age");
    live.lab.good(&["bundle", "node-1", "--encrypt-to", &recipient, "--discard-keys"]);
    let ran = live.lab.run(&["verify", "--output", "json"]);
    // Skipped checks are not proven.
    assert_eq!(ran.status, 1, "{ran}");
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let results = report["results"].as_array().expect("results").iter();
    let others = results.filter(|result| result["status"] != "pass");
    let others: BTreeSet<[&str; 2]> =
        others.map(|r| ["status", "id"].map(|key| r[key].as_str().expect("text"))).collect();
    assert!(others.iter().all(|[status, _]| *status == "skipped"), "{others:?}");
    for id in ["master.caller", "master.whoami"] {
        assert!(others.contains(&["skipped", id]), "{others:?}");
    }
}

#[test]
fn keys_exist_until_their_bundle_is_written_and_the_ledger_has_recorded_it() {
    needs!("age-keygen", "sqlite3");
    let lab = Lab::issued();
    let recipient = age_key(&lab, "age");
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let forbid = "CREATE TRIGGER t BEFORE INSERT ON events WHEN NEW.kind = 'forget-key' AND NEW.subject = 'worker-b1' \
                  BEGIN SELECT RAISE(ABORT, 'not now'); END";
    good_tool("sqlite3", &[&ledger, forbid]);
    let failed = lab.run(&["bundle", "--all", "--encrypt-to", &recipient, "--discard-keys"]);
    assert_eq!(failed.status, 4, "{failed}");
    assert_eq!(bundles(&lab).len(), 5);
    for node in ["on", "worker-b1"] {
        assert_eq!(folder_of(&lab, &format!("pki/nodes/{node}")).len(), 4, "all keys or none");
    }
    assert_eq!(good_tool("sqlite3", &[&ledger, "SELECT count(*) FROM events WHERE kind = 'forget-key'"]), "0\n");
    good_tool("sqlite3", &[&ledger, "DROP TRIGGER t"]);
    let key = lab.read("pki/nodes/on/kubelet-client.key");
    lab.good(&["bundle", "--all", "--encrypt-to", &recipient, "--discard-keys"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on").len(), 2);

    // The deletion is recorded, but a crash prevented it: the key is still used.
    lab.write("pki/nodes/on/kubelet-client.key", &key);
    fs::set_permissions(lab.path("pki/nodes/on/kubelet-client.key"), fs::Permissions::from_mode(0o600)).expect("set");
    lab.good(&["verify", "--offline"]);
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
}

#[test]
fn a_revoked_certificate_is_not_kept_because_its_key_was_discarded() {
    needs!("age-keygen");
    let lab = discarded();
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    let plan = node_plan(&lab, &["on"]);
    let is_revoked = |reason: &IssueReason| matches!(reason, IssueReason::Problem(CredentialProblem::Revoked(_)));
    let revoked = plan.certificates.iter().filter(|(_, reasons)| reasons.iter().any(is_revoked)).count();
    assert_eq!(revoked, 2, "{plan:?}");
    lab.good(&["issue-node", "on"]);
    assert_eq!(folder_of(&lab, "pki/nodes/on").len(), 4);
}
