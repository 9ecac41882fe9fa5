//! The options that `apply` shares with `bundle`: the same bundles, and nothing to do after them.

use std::fs;

use serde_json::Value;

use super::{applied, bundles, changed, converged, run, state, texts};
use crate::support::encryption::{age_key, age_opens, cluster_with, folder_of, ssh_key};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab};

#[test]
fn bundles_are_those_of_bundle_in_every_form() {
    needs!("ssh-keygen", "age-keygen");
    let lab = applied();
    ssh_key(&lab, "signer", "ed25519", "");
    let recipient = age_key(&lab, "age");
    let known: String = ["master-1", "master-2", "worker-a1.fra1.example.net", "on", "worker-b1"]
        .iter()
        .map(|host| format!("{host} {}\n", ssh_key(&lab, &format!("key-{host}"), "ed25519", "")))
        .collect();
    lab.write("known_hosts", &known);
    for options in [
        &["--format", "dir"][..],
        &["--format", "cloud-init"],
        &["--format", "ignition"],
        &["--sign-with", "signer"],
        &["--encrypt-to", &recipient],
        &["--known-hosts", "known_hosts", "--sign-with", "signer"],
        &["--unencrypted"],
    ] {
        lab.good(&[&["bundle", "--all"], options].concat());
        converged(&lab, options);
        fs::remove_dir_all(lab.path("bundles")).expect("removed");
        assert_eq!(texts(&run(&lab, "apply", options), "hostsToDeliver").len(), 5, "{options:?}");
        let before = state(&lab);
        lab.good(&[&["bundle", "--all"], options].concat());
        let changed = changed(&before, &lab);
        assert!(changed.iter().all(|path| !path.starts_with("bundles")), "{options:?}: {changed:?}");
    }
}

#[test]
fn another_form_is_a_reason_of_its_own() {
    needs!("ssh-keygen", "age-keygen");
    let lab = applied();
    ssh_key(&lab, "signer", "ed25519", "");
    let signed = run(&lab, "plan", &["--sign-with", "signer"]);
    assert!(bundles(&signed).iter().all(|(_, reason)| *reason == "form") && bundles(&signed).len() == 5, "{signed:#}");
    let folders = run(&lab, "plan", &["--format", "dir"]);
    assert!(bundles(&folders).iter().all(|(_, reason)| *reason == "missing"), "{folders:#}");
    let recipient = age_key(&lab, "age");
    let encrypted = &["--encrypt-to", recipient.as_str()][..];
    run(&lab, "apply", encrypted);
    converged(&lab, encrypted);
    assert_eq!(folder_of(&lab, "bundles").len(), 5, "no unencrypted bundle is left");
    // As a run that was killed before it had removed it.
    lab.write("bundles/on.tar.gz", "unencrypted");
    assert_eq!(bundles(&run(&lab, "apply", encrypted)), [("on", "other-form")]);
    assert!(!lab.path("bundles/on.tar.gz").exists());
    // A forgotten option does not undo the encryption.
    for command in ["plan", "apply"] {
        assert_eq!(lab.run(&[command]).status, 3);
    }
    run(&lab, "apply", &["--unencrypted"]);
    converged(&lab, &[]);
}

#[test]
fn seal_to_in_the_cluster_file_is_used() {
    needs!("age-keygen");
    let lab = Lab::with_roots();
    let recipient = age_key(&lab, "age");
    let block = "  addresses: [10.20.1.11";
    let sealed = CLUSTER.replace(", addresses: [", &format!(", sealTo: {recipient}, addresses: ["));
    let sealed = sealed.replace(block, &format!("  sealTo: {recipient}\n{block}"));
    lab.write("cluster.yaml", &sealed);
    run(&lab, "apply", &[]);
    assert!(folder_of(&lab, "bundles").iter().all(|name| name.ends_with(".age")));
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "age").is_some());
    converged(&lab, &[]);
    lab.write("cluster.yaml", &cluster_with(&recipient));
    assert_eq!(lab.run(&["plan"]).status, 3, "some hosts have no recipient");
}

#[test]
fn keys_are_discarded_once() {
    needs!("age-keygen");
    let lab = applied();
    let recipient = age_key(&lab, "age");
    let options = &["--encrypt-to", recipient.as_str(), "--discard-keys"][..];
    let done = run(&lab, "apply", options);
    assert_eq!(texts(&done, "hostsToDeliver").len(), 5);
    assert!(!lab.path("pki/nodes/on/kubelet-client.key").exists());
    converged(&lab, options);
    let kept = run(&lab, "plan", options);
    assert_eq!(texts(&kept, "hostsThatKeepTheirBundles"), ["worker-a1.fra1.example.net", "on", "worker-b1"]);
    // As a run that was killed before it had deleted it.
    let encrypt = &options[..2];
    lab.good(&["issue-node", "on", "--reissue"]);
    run(&lab, "apply", encrypt);
    assert_eq!(bundles(&run(&lab, "apply", options)), [("on", "keys")]);
    assert!(!lab.path("pki/nodes/on/kubelet-client.key").exists());
    converged(&lab, options);
}

#[test]
fn changed_templates_and_versions_are_packed() {
    let lab = applied();
    lab.good(&["bundle", "--eject-templates", "own"]);
    lab.write("cluster.yaml", &CLUSTER.replace("serviceCIDRs", "templates: own\nserviceCIDRs"));
    converged(&lab, &[]);
    let own = template(&lab);
    lab.write(&own, &format!("# ours\n{}", lab.read(&own)));
    let done = run(&lab, "apply", &[]);
    assert!(bundles(&done).iter().any(|(host, reason)| (*host, *reason) == ("on", "content")), "{done:#}");
    assert!(done["bundles"].as_array().is_some_and(|all| all.iter().all(|one| one["changed"] != Value::Array(vec![]))));
    converged(&lab, &[]);
}

/// Returns the path of a template of every node's bundle.
fn template(lab: &Lab) -> String {
    fn find(folder: &std::path::Path) -> Option<std::path::PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).find_map(|path| match path
            .is_dir()
        {
            true => find(&path),
            false => path.to_string_lossy().contains("kubelet").then_some(path),
        })
    }
    let found = find(&lab.path("own")).expect("a template of kubelets");
    found.strip_prefix(lab.dir()).expect("a path").display().to_string()
}
