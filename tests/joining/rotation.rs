//! A rotation of the cluster's CA, as hosts that joined follow it: by the cluster's record, without `--force`.

use std::fs;
use std::process::Command;

use base64ct::{Base64, Encoding};
use clusterctl::app::Env;
use clusterctl::app::verify::{self, ProvenRotation, TargetOptions, TargetSource};
use clusterctl::bundle::manifest::{Manifest, MarkedPhase};
use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::lifetime::Lifetime;
use clusterctl::cluster::name::ClusterName;
use clusterctl::cluster::profile::CaRole;
use clusterctl::config;
use clusterctl::enrol::handover::{HandedOver, Handover};
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::pki::issuer::{Issuer, create_root};
use clusterctl::pki::local_key::LocalKey;
use clusterctl::pki::pem;
use clusterctl::pki::rotation::{Phase, Rotation};
use clusterctl::pki::trust_bundle::{CaState, TrustBundle};
use clusterctl::store::layout::Layout;
use clusterctl::store::ledger::Ledger;
use clusterctl::store::{ca, rotation};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{CLIENT, SERVER, joined};
use crate::support::encryption::ssh_key;
use crate::support::joining::Joinable;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Ran};

const ROOTS: &str = "hosts/on/etc/kubernetes/pki/ca.crt";
const STATE: &str = "hosts/on/etc/kubernetes/clusterctl/join.json";
const MANIFEST: &str = "hosts/on/etc/kubernetes/clusterctl/manifest.json";

fn trust(on: &Joinable) -> TrustBundle {
    ca::trust(&Layout::new(on.lab.dir().to_owned()), CaRole::Cluster).expect("the CAs")
}

/// Moves the directory to a phase, as a proven gate does.
fn begin(on: &mut Joinable, phase: Phase) {
    on.lab.now += Duration::HOUR;
    let layout = Layout::new(on.lab.dir().to_owned());
    let trust = trust(on);
    let present = trust.rotation().expect("a rotation").clone();
    let after_sequence = Ledger::open(&layout.ledger()).expect("a ledger").last_sequence().expect("a number");
    let next = Rotation { phase, began: on.lab.now, after_sequence, ..present.clone() };
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

/// Asserts that the host's manifest has the roots and files that are installed.
fn assert_manifest(on: &Joinable) {
    let manifest = Manifest::parse(on.lab.read(MANIFEST).as_bytes()).expect("a manifest");
    assert_eq!(sorted(manifest.pins().collect()), installed(on));
    let listed = |path: &str| {
        let file = manifest.files.iter().find(|file| format!("hosts/on/{}", file.path) == path).expect("listed");
        (file.sha256, Fingerprint::of(&fs::read(on.lab.path(path)).expect("there")))
    };
    for path in [ROOTS, &format!("{CLIENT}.crt"), &format!("{SERVER}.crt")] {
        let (sha256, present) = listed(path);
        assert_eq!(sha256, present, "{path}");
    }
    let leaf = certificates(on, &format!("{CLIENT}.crt")).remove(0);
    assert!(manifest.not_after <= leaf.not_after && manifest.not_before >= leaf.not_before);
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
    assert_manifest(on);
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

    // The announcer has a certificate issued by the new CA now, as all clients.
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
    // A bundle of the new root is one of this cluster for the installer.
    let manifest = Manifest::parse(on.lab.read(MANIFEST).as_bytes()).expect("a manifest");
    let mark = manifest.rotation.map(|mark| mark.phase);
    assert_eq!((manifest.root_pin, mark), (new, Some(MarkedPhase::Ca(Phase::DropOld))));
    on.lab.now += Duration::HOUR;
    on.lab.good(&["bundle", "on", "--format", "dir"]);
    let mut installer = Command::new("dash");
    installer.arg(on.lab.path("bundles/on/install.sh")).arg("--force-host").env("DESTDIR", on.lab.path("hosts/on"));
    let ran = installer.current_dir("/").output().expect("dash");
    assert!(ran.status.success(), "{ran:?}");
    assert_manifest(&on);
}

#[test]
fn a_host_follows_an_abort_by_the_record() {
    needs!("python3");
    let (mut on, _) = joined(&[]);
    let old = trust(&on).pin();
    let stored = "pki/nodes/on/kubelet-server.crt";
    let before = on.lab.read(stored);
    on.lab.good(&["rotate-ca", "start", "--canary", "master-1"]);
    let root = root_of_new(&on);
    for (phase, expected) in [(Phase::TrustBoth, "ca.crt"), (Phase::Servers, "kubelet-server.crt")] {
        begin(&mut on, phase);
        on.announce();
        renewed(&on, &[expected], &[]);
    }
    let serving = |on: &Joinable| certificates(on, &format!("{SERVER}.crt")).remove(0);
    assert!(serving(&on).is_signed_by(&root));
    // The first abort leads back to certificates issued by the old CA, and the second one to the old root alone.
    begin(&mut on, Phase::TrustBoth);
    on.announce();
    renewed(&on, &["kubelet-server.crt"], &[]);
    assert!(!serving(&on).is_signed_by(&root));
    renewed(&on, &[], &[]);
    // What verify expects of the host is what it has, even if the file here is that of before the rotation.
    on.lab.write(stored, &before);
    let env = Env { layout: Layout::new(on.lab.dir().to_owned()), now: on.lab.now, actor: "test".to_owned() };
    let options = TargetOptions {
        source: TargetSource::Directory,
        nodes: Vec::new(),
        masters_only: false,
        sample: None,
        phase: Some(ProvenRotation::Ca(CaRole::Cluster)),
        crls: Vec::new(),
    };
    let target = verify::assemble(&env, &options).expect("a target").target;
    let expected = target.nodes.iter().find(|node| node.name == "on").expect("the host").issued;
    assert_eq!(expected, Some(serving(&on).fingerprint()));
    on.lab.good(&["rotate-ca", "abort"]);
    on.announce();
    renewed(&on, &["ca.crt"], &[]);
    assert_eq!(installed(&on), [old]);
}

/// Returns lists of handovers that a host must not follow, each with what it is.
fn forgeries(good: &Value, old: &Certificate, now: OffsetDateTime) -> Vec<(&'static str, Value)> {
    let changed = |field: &str, value: Value| {
        let mut handovers = good.clone();
        handovers[0][field] = value;
        handovers
    };
    let signature = good[0]["signature"].as_str().expect("base64");
    let mut octets = Base64::decode_vec(signature).expect("base64");
    *octets.last_mut().expect("octets") ^= 1;
    // A thief's own CA with the name of the old one, and a certificate of the account that signs handovers.
    let cluster = ClusterName::parse("prod").expect("a name");
    let root = create_root(CaRole::Cluster, &cluster, KeyKind::default(), Lifetime::NINETY_DAYS, now).expect("a root");
    let issuer = Issuer::open(CaRole::Cluster, root.get(), now).expect("a CA");
    let spec = config::read(CLUSTER.as_bytes()).expect("a cluster").canary_spec(CaRole::Cluster);
    let canary = issuer.issue_credential(&spec, KeyKind::default(), now).expect("issued").into_inner();
    let key = LocalKey::open(&canary.key).expect("a key");
    let thiefs = root.get().certificate.clone();
    let signed = |old: &Certificate| {
        let roots = HandedOver { old: old.clone(), new: thiefs.clone() };
        let handover = Handover::sign(&roots, &key, &[&canary.certificate]).expect("signed");
        serde_json::json!([serde_json::to_value(handover).expect("JSON")])
    };
    let by_thief = signed(old);
    vec![
        ("none", Value::Array(Vec::new())),
        ("another signature", changed("signature", Base64::encode_string(&octets).into())),
        ("another statement", changed("statement", by_thief[0]["statement"].clone())),
        ("another signer", changed("chain", by_thief[0]["chain"].clone())),
        ("a thief's handover of the old root", by_thief),
        ("a thief's handover of a root of its own", signed(&thiefs)),
    ]
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
    // The record by the old id: without its handover nothing leads to the new root, and a forged one leads nowhere.
    let id = on.cluster.split('@').next().and_then(|pin| pin.strip_prefix("sha256:")).expect("an id").to_owned();
    let file = format!("boot/clusters/{id}.json");
    let good = on.lab.read(&file);
    let record: Value = serde_json::from_str(&good).expect("JSON");
    let old = certificates(&on, ROOTS).remove(0);
    for (what, handovers) in forgeries(&record["handovers"], &old, on.lab.now) {
        let mut record = record.clone();
        record["handovers"] = handovers;
        on.lab.write(&file, &record.to_string());
        let ran = renew(&on, &["--force"]);
        assert_eq!(ran.status, 4, "the host trusts no server of the new root: {what}: {ran}");
        assert_eq!(certificates(&on, ROOTS), std::slice::from_ref(&old), "{what}");
    }
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
