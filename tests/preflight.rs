//! Hosts whose credentials are missing, unreadable, not yet valid, or without keys: `bundle` refuses them and names a remedy.
//!
//! One host is called `on`, which YAML 1.1 reads as a boolean unless it is quoted.

use std::fs;

use clusterctl::app::package::encryption::{Encryption, Recipients};
use clusterctl::app::package::{CredentialRemedy, PackageError, Refusal};
use clusterctl::cluster::recipient::Recipient;
use clusterctl::store::credentials::CredentialProblem;
use clusterctl::store::error::StoreError;

use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::packages::{package, package_with};
use crate::support::{Lab, Ran, good_tool};

/// Returns the error message of a run, without the warnings and notes before it.
fn error(ran: &Ran) -> &str {
    ran.err.find("error: ").map_or("", |at| &ran.err[at..])
}

/// Packs these hosts, and returns the refusal: the hosts that cannot be packed, with their problems.
fn refused(lab: &Lab, hosts: &[&str]) -> Refusal {
    match package(lab, hosts) {
        Err(PackageError::Refused(refusal)) => refusal,
        other => panic!("expected refused hosts, got {other:?}"),
    }
}

#[test]
fn a_host_without_credentials_is_refused_with_the_command_that_issues_them() {
    let lab = Lab::with_roots();
    for format in ["tar.gz", "dir", "cloud-init", "ignition"] {
        let ran = lab.run(&["bundle", "--all", "--format", format]);
        assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{ran}");
        assert!(!lab.path("bundles").exists(), "a bundle was packed");
    }
    insta::assert_snapshot!("no_credentials", lab.run(&["bundle", "on"]).err);
    lab.good(&["issue-master", "--all"]);
    insta::assert_snapshot!("no_credentials_of_nodes", error(&lab.run(&["bundle", "--all"])));
    let refusal = refused(&lab, &["on"]);
    assert!(!refusal.is_partial && refusal.refused.len() == 1, "{refusal:?}");
    assert_eq!(refusal.refused[0].remedy(), CredentialRemedy::Issue);
    assert_eq!(refusal.refused[0].problems, [CredentialProblem::NotThere]);
}

#[test]
fn an_unreadable_credential_is_not_reissued() {
    let lab = Lab::issued();
    let replace_by_folder = |file: &str| {
        fs::rename(lab.path(file), lab.path("aside")).expect("cannot move the key away");
        fs::create_dir(lab.path(file)).expect("cannot make a folder in its place");
    };
    replace_by_folder("pki/nodes/on/kubelet-client.key");
    let ran = lab.run(&["bundle", "on"]);
    assert_eq!(ran.status, 4, "{ran}");
    insta::assert_snapshot!("a_key_that_cannot_be_read", ran.err);
    assert_eq!(refused(&lab, &["on"]).refused[0].remedy(), CredentialRemedy::MakeReadable);
    assert_eq!(lab.run(&["issue-node", "on"]).status, 4);
    // One host has no credentials at all. The hint says to issue them, but only after the unreadable keys are readable again.
    fs::remove_dir_all(lab.path("pki/nodes/worker-b1")).expect("cannot remove the folder");
    replace_by_folder("pki/nodes/worker-a1.fra1.example.net/kubelet-server.key");
    let ran = lab.run(&["bundle", "--all"]);
    assert_eq!(ran.status, 3, "{ran}");
    insta::assert_snapshot!("keys_that_cannot_be_read_and_others_that_are_missing", error(&ran));
    let key_of_master = "pki/masters/master-1/apiserver-kubelet-client.key";
    for (file, args) in [(key_of_master, &["bundle", "--verifier"][..]), ("pki/sa.key", &["bundle", "master-1"])] {
        replace_by_folder(file);
        let ran = lab.run(args);
        assert_eq!(ran.status, 4, "{ran}");
        fs::remove_dir(lab.path(file)).expect("cannot remove the folder");
        fs::rename(lab.path("aside"), lab.path(file)).expect("cannot move the key back");
    }
    let found = offline(&lab, &[]);
    assert!(!found.has_remedy("restrict-key"), "the mode of a folder in place of a key does not matter: {found:?}");
}

#[test]
fn a_fifo_in_place_of_a_key_does_not_block() {
    let lab = Lab::issued();
    let key = lab.path("pki/nodes/on/kubelet-client.key");
    fs::remove_file(&key).expect("cannot remove the key");
    good_tool("mkfifo", &[&key.display().to_string()]);
    // `issue-node` exits with 3, and not with 4 as for a folder: a FIFO is refused before it is read, but a folder causes an error
    // only when it is read.
    for (args, status) in [(&["bundle", "on"][..], 4), (&["issue-node", "on"], 3)] {
        assert_eq!(lab.run(args).status, status, "{args:?}");
    }
    assert_eq!(offline(&lab, &[]).ids(), ["fail store.credential on check-disk"]);
    let in_the_way = CredentialProblem::Unreadable(StoreError::InTheWay(key));
    assert_eq!(refused(&lab, &["on"]).refused[0].problems, [in_the_way]);
}

#[test]
fn a_clock_that_is_behind_is_reported() {
    let mut lab = Lab::issued();
    lab.now -= time::Duration::days(400);
    insta::assert_snapshot!("bundle_before_the_ca_is_valid", lab.run(&["bundle", "on"]).to_string());
    insta::assert_snapshot!("issue_before_the_ca_is_valid", lab.run(&["issue-node", "on", "--reissue"]).to_string());
    let found = offline(&lab, &[]);
    assert_eq!(found.status, 1);
    // Each text has a status, the id of a check, a host, and the id of the remedy.
    let is_about_clocks = |ids: &&str| ids.ends_with(" compare-clocks");
    assert!(found.ids().iter().all(is_about_clocks), "{:#?}", found.ids());
}

#[test]
fn the_hint_for_many_discarded_keys_lists_host_names_instead_of_the_option_all() {
    needs!("age-keygen");
    let nodes: String = (0..60).map(|i| format!("- {{name: n{i}, addresses: [10.1.0.{}]}}\n", i + 1)).collect();
    let lab = Lab::with(&format!(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: fleet\nmasters:\n- {{name: m, addresses: [10.0.0.1]}}\nnodes:\n{nodes}"
    ));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    let pair = good_tool("age-keygen", &[]);
    let recipient =
        pair.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("age-keygen printed no recipient");
    lab.good(&["bundle", "--all", "--encrypt-to", recipient, "--discard-keys"]);
    for i in 0..57 {
        fs::remove_file(lab.path(&format!("bundles/n{i}.tar.gz.age"))).expect("cannot remove a bundle");
    }
    let packed = package_with(&lab, &[], |cluster, options| {
        let to = Recipients::Given {
            for_all_hosts: vec![Recipient::parse(recipient).expect("not a recipient")],
            known_hosts: None,
        };
        options.encryption = Encryption::plan(&options.hosts, cluster, options.format, &to)?;
        Ok(())
    });
    let refusal = packed.expect("cannot pack").refusal().expect("no host was refused");
    let ran = lab.run(&["bundle", "--all", "--encrypt-to", recipient]);
    assert_eq!(ran.status, 3, "{ran}");
    insta::assert_snapshot!("many_discarded_keys", error(&ran));
    let reissue = refusal.refused.iter().filter(|host| host.remedy() == CredentialRemedy::Reissue);
    assert_eq!(reissue.count(), 57);
}
