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
    // Simulates a run that was killed before it removed the unencrypted bundle.
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
    // Some hosts have no recipient: the report names them, and everything else is done.
    lab.write("cluster.yaml", &cluster_with(&recipient).replace("10.20.4.1]", "10.20.4.7]"));
    for command in ["plan", "apply"] {
        let ran = lab.run(&[command, "--output", "json"]);
        assert_eq!(ran.status, 3, "{command}: {ran}");
        crate::support::forms::conforms("apply", &ran.out);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let without = texts(&report, "hostsWithoutRecipients");
        assert!(!without.is_empty() && !without.contains(&"on"), "{report:#}");
        assert_eq!(texts(&report, "hostsToDeliver"), ["on"], "{report:#}");
    }
    assert!(age_opens(&lab, "bundles/on.tar.gz.age", "age").is_some());
}

#[test]
fn the_verifier_bundle_is_packed_again_where_there_is_one() {
    let lab = applied();
    converged(&lab, &[]);
    lab.good(&["bundle", "--verifier"]);
    converged(&lab, &[]);
    let before = fs::read(lab.path("verifier.tar.gz")).expect("a bundle");
    // The cluster file is in it.
    lab.write("cluster.yaml", &format!("{CLUSTER}- {{name: new, addresses: [10.20.9.9]}}\n"));
    let plan = run(&lab, "plan", &[]);
    assert!(plan["verifierBundle"].as_str().is_some_and(|path| path.ends_with("verifier.tar.gz")), "{plan:#}");
    let done = run(&lab, "apply", &[]);
    assert_eq!(done["verifierBundle"], plan["verifierBundle"]);
    assert_ne!(fs::read(lab.path("verifier.tar.gz")).expect("a bundle"), before);
    converged(&lab, &[]);
    // `bundle --all` packs it again, too; here because of new certificates.
    lab.good(&["issue-master", "--all", "--reissue"]);
    let stale = fs::read(lab.path("verifier.tar.gz")).expect("a bundle");
    lab.good(&["bundle", "--all"]);
    assert_ne!(fs::read(lab.path("verifier.tar.gz")).expect("a bundle"), stale);
    converged(&lab, &[]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn a_run_beside_another_reports_its_own_work() {
    use clusterctl::app::apply;
    use clusterctl::app::package::encryption::Encryption;
    use clusterctl::app::package::{PackageOptions, Selection, versions};
    use clusterctl::app::{Env, Silent};
    use clusterctl::bundle::format::Format;

    let lab = applied();
    lab.good(&["revoke", "worker-b1", "--yes"]);
    lab.write("cluster.yaml", &CLUSTER.replace("10.20.4.1]", "10.20.4.2]"));
    let (env, cluster): (Env, _) = (crate::support::packages::env(&lab), crate::support::packages::cluster(&lab));
    let plan = || {
        let options = PackageOptions {
            hosts: Selection::all(&cluster),
            format: Format::TarGz,
            templates: None,
            settings: versions::settings(&cluster, &[], false).expect("settings"),
            overrides_versions: false,
            encryption: Encryption::None { requested: false },
            signing_key: None,
            discard_keys: false,
        };
        apply::plan(options, Vec::new(), &cluster, &env, &mut Silent).expect("a plan")
    };
    let issuers = || {
        let roles = clusterctl::cluster::profile::CaRole::ALL;
        let open = |role| clusterctl::store::ca::open(&env.layout, role, None).expect("a CA").into_issuer(env.now);
        roles.map(|role| open(role).expect("an issuer"))
    };
    let (first, second) = (plan(), plan());
    assert_eq!(first.changes(), second.changes());
    let done = first.apply(&issuers(), &mut Silent).expect("applied");
    assert!(!done.is_empty() && !done.certificates.is_empty() && !done.bundles.is_empty(), "{done:#?}");
    let nothing = second.apply(&issuers(), &mut Silent).expect("applied");
    assert!(nothing.is_empty(), "{nothing:#?}");
    assert_eq!(nothing.to_deliver, []);
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
    // Simulates a run that was killed before it deleted the keys.
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

/// Returns the path of a template that is in every node's bundle.
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
