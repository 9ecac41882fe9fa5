//! A rotation of the cluster's CA, as hosts that joined follow it: by the cluster's record, without `--force`.

use std::fs;

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::pki::pem;
use clusterctl::pki::rotation::{Phase, Rotation};
use clusterctl::pki::trust_bundle::{CaState, TrustBundle};
use clusterctl::store::layout::Layout;
use clusterctl::store::ledger::Ledger;
use clusterctl::store::{ca, rotation};
use serde_json::Value;
use time::Duration;

use super::{CLIENT, SERVER, joined};
use crate::support::Ran;
use crate::support::encryption::ssh_key;
use crate::support::joining::Joinable;
use crate::support::outside::needs;

const ROOTS: &str = "hosts/on/etc/kubernetes/pki/ca.crt";
const STATE: &str = "hosts/on/etc/kubernetes/clusterctl/join.json";

fn trust(on: &Joinable) -> TrustBundle {
    ca::trust(&Layout::new(on.lab.dir().to_owned()), CaRole::Cluster).expect("the CAs")
}

/// Moves the directory to a phase, as a proven gate does.
fn begin(on: &mut Joinable, phase: Phase) {
    on.lab.now += Duration::HOUR;
    let layout = Layout::new(on.lab.dir().to_owned());
    let trust = trust(on);
    let present = trust.rotation().expect("a rotation").clone();
    let since = Ledger::open(&layout.ledger()).expect("a ledger").last_sequence().expect("a number");
    let next = Rotation { phase, began: on.lab.now, since, ..present.clone() };
    let moved = trust.with_states((present.old, present.new), CaState::in_phase(phase));
    ca::write_trust(&layout, &moved.and_then(|trust| trust.rotating(next)).expect("a phase")).expect("written");
}

/// Ends the rotation, as its last step does.
fn retire(on: &mut Joinable) {
    on.lab.now += Duration::HOUR;
    let layout = Layout::new(on.lab.dir().to_owned());
    let trust = trust(on);
    let present = trust.rotation().expect("a rotation").clone();
    rotation::adopt_key(&layout, CaRole::Cluster, None).expect("the key");
    let over = trust.with_states((present.old, present.new), (CaState::Retired, CaState::Active)).expect("over");
    ca::write_trust(&layout, &over).expect("written");
    rotation::remove(&layout, CaRole::Cluster).expect("removed");
}

fn certificates(on: &Joinable, path: &str) -> Vec<Certificate> {
    let text = fs::read(on.lab.path(path)).expect("there");
    let ders = pem::certificates(&text).expect("PEM");
    ders.into_iter().map(|der| Certificate::from_der(der).expect("a certificate")).collect()
}

/// Returns the pins of the roots that the host trusts, sorted.
fn installed(on: &Joinable) -> Vec<Fingerprint> {
    let mut pins: Vec<_> = certificates(on, ROOTS).iter().map(Certificate::spki_fingerprint).collect();
    pins.sort_unstable();
    pins
}

fn sorted(mut pins: Vec<Fingerprint>) -> Vec<Fingerprint> {
    pins.sort_unstable();
    pins
}

fn renew(on: &Joinable, args: &[&str]) -> Ran {
    on.lab.run(&[&["join", "--renew", "--root", "hosts/on", "--wait", "2s", "-o", "json"], args].concat())
}

fn root_of_new(on: &Joinable) -> Certificate {
    let trust = trust(on);
    let new = trust.rotation().expect("a rotation").new;
    trust.find(new).expect("the new CA").0.root().clone()
}

/// Returns the names of the files that a renewal replaced.
fn replaced(ran: &Ran) -> Vec<String> {
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"));
    let paths = report["replaced"].as_array().expect("paths").iter().map(|path| path.as_str().expect("a path"));
    paths.map(|path| path.rsplit('/').next().expect("a name").to_owned()).collect()
}

/// Renews: sends what the phase requires, lets it be signed, and fetches it. Only roots are replaced at once.
fn renewed(on: &Joinable, expected: &[&str], args: &[&str]) {
    let mut ran = renew(on, args);
    if expected.iter().any(|name| *name != "ca.crt") {
        assert_eq!(ran.status, 5, "nothing is decided yet: {ran}");
        on.approve();
        ran = renew(on, args);
    }
    assert_eq!((ran.status, replaced(&ran)), (0, expected.iter().map(ToString::to_string).collect()), "{ran}");
}

#[test]
fn a_host_follows_every_phase_by_the_record() {
    needs!("python3", "dash");
    let (mut on, _) = joined(&[]);
    let old = trust(&on).pin();
    on.lab.good(&["rotate-ca", "start", "--canary", "master-1"]);
    let root = root_of_new(&on);
    let new = root.spki_fingerprint();
    let is_new = |on: &Joinable, base: &str| certificates(on, &format!("{base}.crt"))[0].is_signed_by(&root);
    // Nothing is shipped in phase 0.
    on.announce();
    renewed(&on, &[], &[]);
    assert_eq!(installed(&on), [old]);

    begin(&mut on, Phase::TrustBoth);
    on.announce();
    renewed(&on, &["ca.crt"], &[]);
    assert_eq!(installed(&on), sorted(vec![old, new]));
    renewed(&on, &[], &[]);

    begin(&mut on, Phase::Canary);
    on.announce();
    renewed(&on, &[], &[]);

    begin(&mut on, Phase::Servers);
    on.announce();
    renewed(&on, &["kubelet-server.crt"], &[]);
    assert_eq!((is_new(&on, SERVER), is_new(&on, CLIENT)), (true, false));
    renewed(&on, &[], &[]);

    // The announcer has a certificate of the new root now, as all clients.
    begin(&mut on, Phase::Clients);
    on.renew_masters();
    let before = certificates(&on, &format!("{SERVER}.crt"));
    renewed(&on, &["kubelet-client.crt", "kubelet-server.crt"], &[]);
    assert!(is_new(&on, SERVER) && is_new(&on, CLIENT));
    assert_ne!(certificates(&on, &format!("{SERVER}.crt")), before, "by it others see the phase");
    renewed(&on, &[], &[]);

    begin(&mut on, Phase::DropOld);
    on.announce();
    renewed(&on, &["ca.crt"], &[]);
    assert_eq!(installed(&on), [new]);
    let state: Value = serde_json::from_str(&on.lab.read(STATE)).expect("JSON");
    assert_eq!((state["cluster"].as_str(), state["root"].as_str()), (Some(&*old.as_pin()), Some(&*new.as_pin())));
    renewed(&on, &[], &[]);
}

#[test]
fn a_host_that_was_off_during_the_rotation_follows_by_the_handover() {
    needs!("python3", "dash", "ssh-keygen");
    let (mut on, _) = joined(&[]);
    ssh_key(&on.lab, "host_key", "ed25519", "");
    let url = on.cluster.split_once('@').expect("a URL").1.to_owned();
    on.lab.good(&["rotate-ca", "start", "--canary", "master-1"]);
    let new = root_of_new(&on).spki_fingerprint();
    for phase in [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld] {
        begin(&mut on, phase);
    }
    retire(&mut on);
    on.renew_masters();
    // The record by the old id: without its handover nothing leads to the new root.
    let id = on.cluster.split('@').next().and_then(|pin| pin.strip_prefix("sha256:")).expect("an id").to_owned();
    let file = format!("boot/clusters/{id}.json");
    let good = on.lab.read(&file);
    let mut record: Value = serde_json::from_str(&good).expect("JSON");
    record["handovers"] = Value::Array(Vec::new());
    on.lab.write(&file, &record.to_string());
    assert_eq!(renew(&on, &["--force"]).status, 4, "the host trusts no server of the new root");
    on.lab.write(&file, &good);
    assert_eq!(renew(&on, &[]).status, 3, "its certificates are of a root that is not trusted");
    renewed(&on, &["ca.crt", "kubelet-client.crt", "kubelet-server.crt"], &["--ssh-host-key", "host_key"]);
    assert_eq!(installed(&on), [new]);

    // From now on the old root says nothing to it: the cluster is registered anew, and the old registration is gone.
    let token = on.lab.good(&["serve", "bootstrap", "--state", "boot", "--create-token"]).out;
    on.lab.write("registration", &token);
    let registered = on.lab.good(&["register", &url, "--token-file", "registration"]).out;
    assert!(registered.starts_with(&new.as_pin()), "{registered}");
    on.announce();
    fs::remove_file(on.lab.path(&file)).expect("removed");
    renewed(&on, &[], &[]);
    // A host that joins with either id gets the same.
    on.lab.write(&file, &good);
    assert_eq!(on.join(&[]).status, 0);
    on.cluster = registered.trim().to_owned();
    assert_eq!(on.join(&[]).status, 0);
}

#[test]
fn the_id_stays_until_the_end_and_a_given_up_root_has_no_handover() {
    needs!("python3", "dash");
    let mut on = Joinable::start();
    let (id, url) = on.cluster.split_once('@').map(|(id, url)| (id.to_owned(), url.to_owned())).expect("both");
    on.lab.good(&["rotate-ca", "start"]);
    assert!(on.lab.path("pki/handovers.json").exists());
    begin(&mut on, Phase::TrustBoth);
    begin(&mut on, Phase::Canary);
    on.announce();
    let token = on.lab.good(&["serve", "bootstrap", "--state", "boot", "--create-token"]).out;
    on.lab.write("registration", &token);
    let registered = on.lab.good(&["register", &url, "--token-file", "registration"]).out;
    assert!(registered.starts_with(&id), "{registered}");
    begin(&mut on, Phase::TrustBoth);
    on.lab.good(&["rotate-ca", "abort"]);
    assert!(!on.lab.path("pki/handovers.json").exists());
    on.announce();
    let record: Value = serde_json::from_str(&on.lab.read(&format!("boot/clusters/{}.json", &id[7..]))).expect("JSON");
    assert_eq!(record["handovers"], Value::Null);
}
