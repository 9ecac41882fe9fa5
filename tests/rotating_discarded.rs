//! A rotation of the cluster's CA, with nodes whose keys were deleted here: `install.sh` keeps their keys where only roots
//! change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use clusterctl::cluster::profile::CaRole;
use clusterctl::fake_cluster::cluster::reserve;
use clusterctl::pki::rotation::Phase;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::rotating::{Fleet, names};
use crate::support::Lab;
use crate::support::encryption::{age_key, folder_of};
use crate::support::outside::needs;
use crate::support::phases::Rotated;
use crate::support::rotation::{Files, IDENTITY, roots_in};

const CLUSTER: Rotated = Rotated::Ca(CaRole::Cluster);
const CA: &str = "etc/kubernetes/pki/ca.crt";
const KEYS: [&str; 2] = ["var/lib/kubelet/pki/kubelet-client.key", "var/lib/kubelet/pki/kubelet-server.key"];

/// Opens the encrypted bundle of a host, and runs its installer in the folder that stands for the host's root.
fn install(lab: &Lab, host: &str) -> Output {
    let (unpacked, root) = (format!("unpacked/{host}"), lab.path(&format!("hosts/{host}")));
    let _ = fs::remove_dir_all(lab.path(&unpacked));
    fs::create_dir_all(lab.path("unpacked")).expect("made");
    fs::create_dir_all(&root).expect("made");
    lab.good(&["open", &format!("bundles/{host}.tar.gz.age"), "-i", IDENTITY, "--to", &unpacked]);
    let mut installer = Command::new("dash");
    installer.arg(lab.path(&unpacked).join("install.sh")).arg("--force-host");
    installer.env("DESTDIR", root).current_dir("/").output().expect("dash")
}

/// Returns the files that are installed on a host.
fn installed(lab: &Lab, host: &str) -> Files {
    let root = lab.path(&format!("hosts/{host}"));
    let (mut files, mut open) = (Files::new(), vec![root.clone()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("below").display().to_string();
                files.insert(name, fs::read(path).expect("readable"));
            }
        }
    }
    files
}

/// Installs the bundles of hosts of a running cluster.
fn deliver(fleet: &Fleet, is_chosen: impl Fn(&str) -> bool) {
    for host in fleet.names.iter().filter(|host| is_chosen(host)) {
        let ran = install(&fleet.lab, host);
        assert!(ran.status.success(), "{host}: {ran:?}");
        fleet.hosts.install(&fleet.running, host, &installed(&fleet.lab, host));
    }
}

/// Returns the hosts whose installed keys differ, and keeps the present ones.
fn rekeyed<'f>(fleet: &'f Fleet, known: &mut BTreeMap<String, Vec<Vec<u8>>>) -> Vec<&'f str> {
    let mut changed = Vec::new();
    for host in fleet.names.iter().filter(|host| host.starts_with("node")) {
        let files = installed(&fleet.lab, host);
        let keys = KEYS.map(|key| files[key].clone()).to_vec();
        if known.insert(host.clone(), keys.clone()) != Some(keys) {
            changed.push(host.as_str());
        }
    }
    changed
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn nodes_whose_keys_were_deleted_here_need_new_ones_only_with_new_certificates() {
    needs!("age-keygen", "dash");
    let mut recipient = String::new();
    let mut fleet = Fleet::with(reserve(2, 3).expect("loopback has addresses"), |lab| {
        recipient = age_key(lab, IDENTITY);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["apply", "--encrypt-to", &recipient]);
    });
    let apply = ["apply", "--encrypt-to", &recipient, "--discard-keys", "--output", "json"];
    deliver(&fleet, |_| true);
    fleet.good(&apply);
    assert_eq!(folder_of(&fleet.lab, "pki/nodes/node-1"), ["kubelet-client.crt", "kubelet-server.crt"]);
    let mut keys = BTreeMap::new();
    rekeyed(&fleet, &mut keys);
    let prober = fleet.hosts.probe(fleet.trust().active().root());
    let nothing: Vec<String> = Vec::new();
    fleet.good(&["rotate-ca", "start"]);
    fleet.backup();
    let next = ["rotate-ca", "next", "--no-wait", "--yes", "--allow-skipped"];
    for (phase, expected) in [
        (Phase::TrustBoth, &[][..]),
        (Phase::Canary, &["node-1"]),
        (Phase::Servers, &["node-2", "node-3"]),
        (Phase::Clients, &["node-1", "node-2", "node-3"]),
        (Phase::DropOld, &[]),
    ] {
        let ran = fleet.run(&next);
        assert_eq!((ran.status, fleet.phase()), (0, Some(phase)), "{ran}");
        let applied = document(&fleet.good(&apply).out);
        let changes_roots = matches!(phase, Phase::TrustBoth | Phase::DropOld);
        let delivered = applied["hostsToDeliver"].as_array().map_or(0, Vec::len);
        assert!(delivered == 5 || (!changes_roots && delivered > 1), "{phase:?}: {applied:#}");
        // Nothing is left to be packed, and no key is here.
        let again = document(&fleet.good(&apply).out);
        assert_eq!(again["hostsToDeliver"], json!([]), "{phase:?}: {again:#}");
        assert_eq!(folder_of(&fleet.lab, "pki/nodes/node-3").len(), 2, "{phase:?}");
        deliver(&fleet, |host| host != "node-3");
        assert_eq!(prober.round(), nothing, "{phase:?}");
        if phase != Phase::Canary {
            let ran = fleet.run(&next);
            assert_eq!((ran.status, names(&ran, &fleet.names)), (1, vec!["node-3"]), "{phase:?}: {ran}");
        }
        deliver(&fleet, |host| host == "node-3");
        assert_eq!(prober.round(), nothing, "{phase:?}");
        assert_eq!(rekeyed(&fleet, &mut keys), expected, "{phase:?}");
        let roots = if phase == Phase::DropOld { 1 } else { 2 };
        assert_eq!(roots_in(&installed(&fleet.lab, "node-2"), CA).len(), roots, "{phase:?}");
    }
    let ran = fleet.run(&next);
    assert_eq!((ran.status, fleet.phase()), (0, None), "{ran}");
    assert_eq!(prober.stop().1, nothing);
    fleet.good(&["verify", "--offline"]);
    assert_eq!(document(&fleet.good(&apply).out)["hostsToDeliver"], json!([]));
}

/// A directory whose nodes' keys were deleted, with a recipient.
fn discarded() -> (Lab, String) {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    let recipient = age_key(&lab, IDENTITY);
    lab.good(&["apply", "--encrypt-to", &recipient, "--discard-keys"]);
    (lab, recipient)
}

/// Begins the next phase of the rotation, and packs its bundles.
fn next(lab: &mut Lab, recipient: &str) {
    lab.now = OffsetDateTime::now_utc();
    lab.write("proof.json", &CLUSTER.proof(lab));
    lab.good(&CLUSTER.next());
    lab.good(&["apply", "--encrypt-to", recipient, "--discard-keys"]);
}

#[test]
fn a_bundle_without_keys_is_refused_on_a_host_that_lacks_them() {
    needs!("age-keygen", "dash");
    let (mut lab, recipient) = discarded();
    assert!(install(&lab, "on").status.success());
    lab.good(&["rotate-ca", "start"]);
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    next(&mut lab, &recipient);
    let before = installed(&lab, "on");
    // It has another key, or none at all.
    fs::rename(lab.path(&format!("hosts/on/{}", KEYS[0])), lab.path("kept.key")).expect("moved");
    fs::create_dir_all(lab.path("hosts/worker-b1")).expect("made");
    for host in ["on", "worker-b1"] {
        let ran = install(&lab, host);
        assert!(!ran.status.success(), "{host}: {ran:?}");
    }
    assert!(!Path::new(&lab.path("hosts/worker-b1/etc")).exists());
    assert_eq!(installed(&lab, "on")[CA], before[CA]);
    fs::rename(lab.path("kept.key"), lab.path(&format!("hosts/on/{}", KEYS[0]))).expect("moved");
    assert!(install(&lab, "on").status.success());
    assert_eq!(roots_in(&installed(&lab, "on"), CA).len(), 2);
    // A host that was never installed gets new keys, as the error of the installer says.
    lab.good(&["issue-node", "worker-b1", "--reissue"]);
    lab.good(&["apply", "--encrypt-to", &recipient, "--discard-keys"]);
    assert!(install(&lab, "worker-b1").status.success());
    assert_eq!(roots_in(&installed(&lab, "worker-b1"), CA).len(), 2);
    // The roots of before come back without new keys, too.
    lab.good(&["rotate-ca", "abort"]);
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["apply", "--encrypt-to", &recipient, "--discard-keys"]);
    for host in ["on", "worker-b1"] {
        let keys = installed(&lab, host)[KEYS[0]].clone();
        let ran = install(&lab, host);
        assert!(ran.status.success(), "{host}: {ran:?}");
        let files = installed(&lab, host);
        assert_eq!((roots_in(&files, CA).len(), &files[KEYS[0]]), (1, &keys), "{host}");
    }
}

#[test]
fn an_abort_gives_new_keys_in_place_of_those_that_are_gone() {
    needs!("age-keygen", "dash");
    let (mut lab, recipient) = discarded();
    let hosts = ["on", "worker-b1"];
    lab.good(&["rotate-ca", "start"]);
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    while CLUSTER.phase(&lab) != Some("servers") {
        next(&mut lab, &recipient);
    }
    for host in hosts {
        assert!(install(&lab, host).status.success(), "{host}");
    }
    // The keys of before were deleted, and these are for certificates issued by the new CA.
    lab.good(&["rotate-ca", "abort"]);
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["apply", "--encrypt-to", &recipient, "--discard-keys"]);
    for host in hosts {
        let ran = install(&lab, host);
        assert!(ran.status.success(), "{host}: {ran:?}");
        assert_eq!(roots_in(&installed(&lab, host), CA).len(), 2, "{host}");
    }
    lab.write("proof.json", &CLUSTER.proof(&lab));
    lab.good(&["rotate-ca", "abort", "--report", "proof.json"]);
    lab.good(&["apply", "--encrypt-to", &recipient, "--discard-keys"]);
    for host in hosts {
        let keys = installed(&lab, host)[KEYS[0]].clone();
        let ran = install(&lab, host);
        assert!(ran.status.success(), "{host}: {ran:?}");
        let files = installed(&lab, host);
        assert_eq!((roots_in(&files, CA).len(), &files[KEYS[0]]), (1, &keys), "{host}");
    }
}

#[test]
fn the_only_copy_of_keys_stays_while_trust_files_are_the_same() {
    needs!("age-keygen");
    let (mut lab, recipient) = discarded();
    let bundle = || fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle");
    let before = bundle();
    for step in ["start", "abort"] {
        lab.good(&["rotate-ca", step]);
        lab.good(&["apply", "--encrypt-to", &recipient, "--discard-keys"]);
        assert!(bundle() == before, "{step}");
    }
    lab.good(&["rotate-ca", "start"]);
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    next(&mut lab, &recipient);
    let without = fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle");
    assert!(without != before);
    // New keys are in the bundle until trust files change again.
    lab.good(&["issue-node", "on", "--reissue"]);
    lab.good(&["apply", "--encrypt-to", &recipient, "--discard-keys"]);
    let with = fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle");
    lab.good(&["apply", "--encrypt-to", &recipient, "--discard-keys"]);
    assert!(fs::read(lab.path("bundles/on.tar.gz.age")).expect("a bundle") == with);
    assert!(install_lists_keys(&lab));
}

/// Returns true if the bundle of `on` has both keys.
fn install_lists_keys(lab: &Lab) -> bool {
    let listed = lab.good(&["open", "bundles/on.tar.gz.age", "-i", IDENTITY, "--list"]).out;
    KEYS.iter().all(|key| listed.contains(key))
}
