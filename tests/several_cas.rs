//! Cluster directories with CAs that `init-ca` did not make: an imported RSA root, an intermediate, and two roots of one role.

use std::os::unix::fs::PermissionsExt;

use base64ct::{Base64, Encoding};
use clusterctl::bundle::archive;
use clusterctl::bundle::model::Bundle;
use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::ca_certificate::{CaCertificate, Origin};
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::crl::{self, Crl};
use clusterctl::pki::pem;
use clusterctl::pki::trust_bundle::{CaState, TrustBundle};
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use clusterctl::store::ledger::certificates::Entry;
use clusterctl::store::ledger::{AuditContext, Ledger};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use serde_json::Value;
use time::Duration;

use crate::support::Lab;
use crate::support::live::Live;
use crate::support::offline::offline;
use crate::support::outside::needs;

/// An RSA key of 2048 bits; it is public.
const RSA_KEY: &str = include_str!("../src/pki/untrusted_keys/ca.pem");

type Foreign = CertifiedIssuer<'static, KeyPair>;

/// The parameters of a CA as kubeadm and others make it.
fn params(lab: &Lab, name: &str, path_len: BasicConstraints) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (lab.now - Duration::DAY, lab.now + Duration::days(3650));
    params.is_ca = IsCa::Ca(path_len);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn root(lab: &Lab, name: &str, key: KeyPair) -> Foreign {
    CertifiedIssuer::self_signed(params(lab, name, BasicConstraints::Unconstrained), key).expect("a root")
}

/// A CA that another one signed.
fn intermediate(lab: &Lab, name: &str, above: &Foreign) -> Foreign {
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::signed_by(params(lab, name, BasicConstraints::Constrained(0)), key, above)
        .expect("an intermediate")
}

fn read(der: &[u8]) -> Certificate {
    Certificate::from_der(der.to_vec()).expect("a certificate")
}

fn imported(certificate: &Foreign, others: &[Certificate]) -> CaCertificate {
    CaCertificate::new(CaRole::Cluster, Origin::Imported, read(certificate.der()), others).expect("a CA")
}

fn layout(lab: &Lab) -> Layout {
    Layout::new(lab.dir().to_owned())
}

/// Writes these CAs for the cluster role, and the key of the active one.
fn install(lab: &Lab, cas: Vec<(CaCertificate, CaState)>, key: &KeyPair) {
    let layout = layout(lab);
    let mut ledger = Ledger::open(&layout.ledger()).expect("a ledger");
    let audit = AuditContext { at: lab.now, by: "admin@laptop" };
    for (ca, _) in &cas {
        let certificate = ca.certificate();
        if !ledger.has_ca(certificate.fingerprint(), CaRole::Cluster).expect("the ledger") {
            let entry = Entry { certificate, profile: CaRole::Cluster.as_str(), host: None, issuer: certificate };
            ledger.record(&[entry], &audit).expect("recorded");
        }
    }
    ca::write_trust(&layout, &TrustBundle::new(CaRole::Cluster, cas).expect("a trust bundle")).expect("written");
    let path = layout.root_key(CaRole::Cluster);
    std::fs::write(&path, key.serialize_pem()).expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("chmod");
}

fn certificates(lab: &Lab, path: &str) -> Vec<Certificate> {
    let ders = pem::certificates(lab.read(path).as_bytes()).expect("PEM");
    ders.iter().map(|der| read(der)).collect()
}

/// Returns a host's bundle.
fn bundle(lab: &Lab, host: &str) -> Bundle {
    let bytes = std::fs::read(lab.path(&format!("bundles/{host}.tar.gz"))).expect("a bundle");
    archive::read(&bytes).expect("a bundle")
}

/// Returns the certificates of a file in a bundle.
fn packed(bundle: &Bundle, path: &str) -> Vec<Certificate> {
    let file = bundle.file(path).unwrap_or_else(|| panic!("{path}"));
    pem::certificates(&file.bytes).expect("PEM").iter().map(|der| read(der)).collect()
}

/// Returns the trust file in a host's bundle, and the pins of its manifest.
fn bundled(lab: &Lab, host: &str) -> (Vec<Certificate>, usize) {
    let bundle = bundle(lab, host);
    let roots = packed(&bundle, "etc/kubernetes/pki/ca.crt");
    let pins: Vec<_> = roots.iter().map(Certificate::spki_fingerprint).collect();
    assert_eq!(bundle.manifest.pins().collect::<Vec<_>>(), pins);
    (roots, bundle.manifest.pins().count())
}

/// Verifies a live cluster that serves the directory's certificates.
fn verify_live(prepare: impl FnOnce(&Lab)) -> Live {
    let live = Live::with_cas(2, 3, prepare);
    let ran = live.lab.run(&["verify", "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    // A check that is skipped counts, too.
    let failed = |result: &&Value| result["status"] != "pass" && result["status"] != "warn";
    let failed: Vec<&Value> = report["results"].as_array().expect("results").iter().filter(failed).collect();
    assert!(ran.status == 0 && failed.is_empty(), "{failed:#?}\n{}", ran.err);
    live.lab.good(&["bundle", "--all"]);
    live.lab.good(&["verify", "--offline"]);
    live
}

/// Returns the check, the host and the status of each finding of revocation.
fn revocation(lab: &Lab, args: &[&str]) -> Vec<String> {
    let ran = lab.run(&[&["verify", "--output", "json"], args].concat());
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"));
    let results = report["results"].as_array().expect("results").iter();
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    // An endpoint is named by its address.
    let is_revocation =
        |result: &&Value| text(result, "id").ends_with(".revoked") && !text(result, "host").contains(':');
    let mut found: Vec<String> = results
        .filter(is_revocation)
        .map(|result| ["id", "host", "status"].map(|key| text(result, key)).join(" "))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Revokes the certificates of node-3, and asserts that the CA's CRL lists both and that every reader uses it.
fn revoke_node_3(lab: &Lab, ca: &Certificate) {
    lab.good(&["revoke", "node-3", "--yes"]);
    let ders = crl::read_all(lab.read("pki/crl.pem").as_bytes()).expect("PEM");
    let crls: Vec<Crl> = ders.into_iter().map(|der| Crl::from_der(der).expect("a CRL")).collect();
    assert!(crls[0].is_signed_by(ca) && crls[0].issuer.der == ca.subject.der && crls[0].serials.len() == 2);
    lab.good(&["crl", "show"]);
    let expected = [
        "master.revoked master-1 pass",
        "master.revoked master-2 pass",
        "node.revoked node-1 pass",
        "node.revoked node-2 pass",
        "node.revoked node-3 fail",
    ];
    assert_eq!(revocation(lab, &[]), expected, "by the ledger and the CRL");
    lab.good(&["bundle", "--verifier"]);
    let by_crl = ["--from", "verifier.tar.gz", "--crl", "pki/crl.pem"];
    assert_eq!(revocation(lab, &by_crl), expected, "by the CRL alone");
    // The audit finds the revoked certificates, and no problem with the CRL.
    let offline = lab.run(&["verify", "--offline", "--output", "json"]);
    let report: Value = serde_json::from_str(&offline.out).expect("JSON");
    let results = report["results"].as_array().expect("results").iter();
    let wrong: Vec<&Value> =
        results.filter(|result| result["status"] != "pass").map(|result| &result["host"]).collect();
    assert!(
        !wrong.is_empty() && wrong.iter().all(|host| !host.as_str().unwrap_or_default().contains("CRL")),
        "{wrong:?}"
    );
    lab.good(&["issue-node", "node-3"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn an_imported_rsa_root_signs_for_the_cluster() {
    needs!("xmllint");
    let live = verify_live(|lab| {
        let root = root(lab, "kubernetes", KeyPair::from_pem(RSA_KEY).expect("a key"));
        install(lab, vec![(imported(&root, &[]), CaState::Active)], root.key());
    });
    let leaf = certificates(&live.lab, "pki/nodes/node-1/kubelet-server.crt");
    let (roots, _) = bundled(&live.lab, "node-1");
    assert_eq!((leaf.len(), roots.len()), (1, 1));
    assert!(leaf[0].is_signed_by(&roots[0]) && roots[0].key.to_string() == "RSA 2048");
    revoke_node_3(&live.lab, &roots[0]);
}

#[test]
fn an_intermediate_signs_for_the_cluster_and_is_presented() {
    needs!("xmllint");
    let mut made = None;
    let live = verify_live(|lab| {
        let root = root(lab, "offline root", KeyPair::generate().expect("a key"));
        let below = intermediate(lab, "prod intermediate", &root);
        let ca = imported(&below, &[read(root.der())]);
        install(lab, vec![(ca.clone(), CaState::Active)], below.key());
        made = Some(ca);
    });
    let ca = made.expect("a CA");
    let lab = &live.lab;
    assert_eq!((ca.chain().len(), certificates(lab, "pki/ca.crt")), (1, vec![ca.root().clone()]));
    let (node, master) = (bundle(lab, "node-1"), bundle(lab, "master-1"));
    for (bundle, path) in [
        (&node, "var/lib/kubelet/pki/kubelet-client.crt"),
        (&node, "var/lib/kubelet/pki/kubelet-server.crt"),
        (&master, "etc/kubernetes/pki/apiserver.crt"),
        (&master, "etc/kubernetes/pki/apiserver-kubelet-client.crt"),
    ] {
        let sent = packed(bundle, path);
        assert!(sent[0].is_signed_by(ca.certificate()), "{path}");
        assert_eq!(sent[1..], *ca.chain(), "{path}");
    }
    for host in ["node-1", "master-1"] {
        assert_eq!(bundled(lab, host), (vec![ca.root().clone()], 1), "{host}");
    }
    // An administrator's kubeconfig trusts the root.
    lab.good(&["issue-admin", "alice"]);
    let trusted = Base64::encode_string(ca.root().to_pem().as_bytes());
    assert!(lab.read("pki/admins/alice.conf").contains(&trusted));
    revoke_node_3(lab, ca.certificate());
    // A leaf without the intermediate is no longer a valid credential.
    let path = "pki/nodes/node-1/kubelet-server.crt";
    lab.write(path, &certificates(lab, path)[0].to_pem());
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1);
    lab.good(&["issue-node", "node-1"]);
    assert_eq!(certificates(lab, path)[1..], *ca.chain());
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn trusted_cas_of_a_role_are_accepted_and_retired_ones_are_not() {
    let lab = Lab::issued();
    let (old, others) = (layout(&lab), |name: &str| certificates(&lab, name));
    let old = ca::trust(&old, CaRole::Cluster).expect("the CAs").into_active();
    let before = others("pki/nodes/on/kubelet-client.crt");
    let new = root(&lab, "prod root 2", KeyPair::generate().expect("a key"));
    let new_ca = imported(&new, &[]);
    install(&lab, vec![(new_ca.clone(), CaState::Active), (old.clone(), CaState::Trusted)], new.key());
    assert_eq!(others("pki/ca.crt"), [new_ca.root().clone(), old.root().clone()]);
    // Certificates of the old root are kept, and the new root signs from now on.
    lab.good(&["issue-node", "--all"]);
    assert_eq!(others("pki/nodes/on/kubelet-client.crt"), before);
    lab.good(&["issue-node", "on", "--reissue"]);
    assert!(others("pki/nodes/on/kubelet-client.crt")[0].is_signed_by(new_ca.root()));
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    let (roots, pins) = bundled(&lab, "on");
    assert_eq!((roots, pins), (vec![new_ca.root().clone(), old.root().clone()], 2));
    // Retired: certificates that it signed are rejected, and issued again.
    install(&lab, vec![(new_ca.clone(), CaState::Active), (old, CaState::Retired)], new.key());
    assert_eq!(others("pki/ca.crt"), [new_ca.root().clone()]);
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    assert!(others("pki/masters/master-1/apiserver.crt")[0].is_signed_by(new_ca.root()));
    assert_eq!(bundled(&lab, "on"), (vec![new_ca.root().clone()], 1));
}

#[test]
fn a_live_cluster_of_two_cas_passes() {
    let mut active = None;
    let live = verify_live(|lab| {
        let old = ca::trust(&layout(lab), CaRole::Cluster).expect("the CAs").into_active();
        lab.good(&["issue-master", "--all"]);
        let new = root(lab, "live root 2", KeyPair::generate().expect("a key"));
        let ca = imported(&new, &[]);
        install(lab, vec![(ca.clone(), CaState::Active), (old, CaState::Trusted)], new.key());
        active = Some(ca);
    });
    let lab = &live.lab;
    assert!(certificates(lab, "pki/nodes/node-3/kubelet-server.crt")[0].is_signed_by(active.expect("a CA").root()));
    // The old root, which signed the masters' certificates, has no CRL: the ledger is enough.
    lab.good(&["crl", "renew"]);
    let found = revocation(lab, &[]);
    assert!(found.len() == 5 && found.iter().all(|one| one.ends_with(" pass")), "{found:?}");
    lab.good(&["revoke", "node-3", "--yes"]);
    let found = revocation(lab, &[]);
    assert_eq!(found.iter().filter(|one| one.ends_with(" pass")).count(), 4, "{found:?}");
    assert!(found.contains(&"node.revoked node-3 fail".to_owned()), "{found:?}");
}

#[test]
fn the_crl_of_a_ca_that_signs_no_more_is_kept_beside_the_one_of_the_ca_that_signs() {
    let lab = Lab::issued();
    let old = ca::trust(&layout(&lab), CaRole::Cluster).expect("the CAs").into_active();
    lab.good(&["revoke", "on", "--yes"]);
    let new = root(&lab, "prod root 2", KeyPair::generate().expect("a key"));
    let new_ca = imported(&new, &[]);
    install(&lab, vec![(new_ca.clone(), CaState::Active), (old.clone(), CaState::Trusted)], new.key());
    lab.good(&["crl", "renew"]);
    let signers = |lab: &Lab| {
        let ders = crl::read_all(lab.read("pki/crl.pem").as_bytes()).expect("PEM");
        let crls = ders.into_iter().map(|der| Crl::from_der(der).expect("a CRL"));
        crls.map(|crl| (crl.is_signed_by(new_ca.root()), crl.serials.len())).collect::<Vec<_>>()
    };
    assert_eq!(signers(&lab), [(true, 0), (false, 2)]);
    // Each CRL and each CA has a series of its own.
    let metrics = lab.run(&["status", "--output", "prometheus"]).out;
    let series = |name: &str, label: &str, ca: &CaCertificate| {
        let label = format!("credential=\"{label}\"");
        let of_ca = ca.certificate().fingerprint().to_string();
        let lines = metrics.lines().filter(|line| line.starts_with(name) && line.contains(&label));
        lines.filter(|line| line.contains(&of_ca)).count()
    };
    for ca in [&new_ca, &old] {
        assert_eq!(series("clusterctl_crl_next_update_seconds{", "crl", ca), 1, "{metrics}");
        assert_eq!(series("clusterctl_ca_expiry_seconds{", "ca", ca), 1, "{metrics}");
    }
    lab.good(&["crl", "show"]);
    lab.good(&["issue-node", "on"]);
    lab.good(&["verify", "--offline"]);
    // API servers deny the old CA's certificates, and the report shows that its CRL cannot be signed again.
    let ran = lab.good(&["revoke", "worker-b1", "--yes"]);
    assert!(ran.err.contains("warning: "), "{ran}");
    assert_eq!(signers(&lab), [(true, 0), (false, 2)]);
    assert_eq!(lab.run(&["crl", "show"]).status, 1);
    lab.good(&["issue-node", "worker-b1"]);
    lab.good(&["verify", "--offline"]);
    assert_eq!(lab.run(&["verify", "--offline", "--fail-on", "warn"]).status, 1);
    // A retired CA needs no CRL.
    install(&lab, vec![(new_ca.clone(), CaState::Active), (old, CaState::Retired)], new.key());
    lab.good(&["crl", "renew"]);
    assert_eq!(signers(&lab), [(true, 0)]);
    lab.good(&["crl", "show"]);
}

#[test]
fn a_ca_that_signs_no_more_has_no_crl_that_is_due() {
    let mut lab = Lab::issued();
    let old = ca::trust(&layout(&lab), CaRole::Cluster).expect("the CAs").into_active();
    lab.good(&["revoke", "on", "--yes"]);
    let new = root(&lab, "prod root 2", KeyPair::generate().expect("a key"));
    install(&lab, vec![(imported(&new, &[]), CaState::Active), (old.clone(), CaState::Trusted)], new.key());
    lab.good(&["apply"]);
    let states = |lab: &Lab| {
        let report: Value = serde_json::from_str(&lab.run(&["status", "-o", "json"]).out).expect("JSON");
        let is_old = |row: &&Value| row["issuerSha256"] == old.certificate().fingerprint().to_string();
        let rows = report["rows"].as_array().expect("rows").iter();
        let crls = rows.filter(|row| row["kind"] == "crl");
        crls.filter(is_old).map(|row| row["state"].as_str().expect("a state").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(&lab), ["valid"]);
    // Past the time of its renewal, and past its end: no run of apply can do anything about it.
    for days in [70, 40] {
        lab.now += Duration::days(days);
        lab.good(&["apply"]);
        let plan: Value = serde_json::from_str(&lab.good(&["plan", "-o", "json"]).out).expect("JSON");
        assert_eq!(plan["crls"], serde_json::json!([]), "after {days} days more");
    }
    assert_eq!(states(&lab), [""; 0]);
    // Without any CRL of it, either.
    std::fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    lab.good(&["crl", "renew"]);
    let plan: Value = serde_json::from_str(&lab.good(&["plan", "-o", "json"]).out).expect("JSON");
    assert_eq!(plan["crls"], serde_json::json!([]));
}

/// `rotate-ca` replaces the CA that signs. What the remedy says instead is tried here.
#[test]
fn a_ca_that_signs_no_more_is_not_rotated_before_it_expires() {
    let mut lab = Lab::with_roots();
    let mut short = params(&lab, "old root", BasicConstraints::Unconstrained);
    short.not_after = lab.now + Duration::days(40);
    let old = CertifiedIssuer::self_signed(short, KeyPair::generate().expect("a key")).expect("a root");
    install(&lab, vec![(imported(&old, &[]), CaState::Active)], old.key());
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    let new = root(&lab, "prod root 2", KeyPair::generate().expect("a key"));
    install(&lab, vec![(imported(&new, &[]), CaState::Active), (imported(&old, &[]), CaState::Trusted)], new.key());
    let roots = |lab: &Lab| -> Vec<String> {
        let report: Value = serde_json::from_str(&lab.run(&["status", "-o", "json"]).out).expect("JSON");
        let rows = report["rows"].as_array().expect("rows").iter().filter(|row| row["credential"] == "ca");
        rows.map(|row| format!("{} {}", row["state"], row["remedy"]).replace('"', "")).collect()
    };
    // A CA that signs would be due already.
    assert_eq!(roots(&lab), ["valid null", "valid null"]);
    lab.now += Duration::days(38);
    assert_eq!(roots(&lab), ["valid null", "expiring reissue-of-trusted"]);
    assert!(offline(&lab, &[]).has("warn store.credential root reissue-of-trusted"));
    for command in ["issue-master", "issue-node"] {
        lab.good(&[command, "--all", "--reissue"]);
    }
    lab.good(&["bundle", "--all"]);
    lab.now += Duration::days(3);
    assert_eq!(roots(&lab), ["valid null"]);
    assert_eq!(lab.good(&["status"]).status, 0, "nothing is left to do");
    // The expired root is only in the trust files, and the remedy takes it out of them.
    assert_eq!(offline(&lab, &["--fail-on", "warn"]).ids(), ["warn trust.anchor prod remove-unused-root"]);
    lab.write("pki/trust.json", &lab.read("pki/trust.json").replace("\"trusted\"", "\"retired\""));
    lab.write("pki/ca.crt", &read(new.der()).to_pem());
    lab.good(&["apply"]);
    lab.good(&["verify", "--offline", "--fail-on", "warn"]);
    assert_eq!(bundled(&lab, "on").1, 1);
}

#[test]
fn a_revocation_of_a_ca_that_signs_no_more_signs_no_crl() {
    let lab = Lab::issued();
    let old = ca::trust(&layout(&lab), CaRole::Cluster).expect("the CAs").into_active();
    let new = root(&lab, "prod root 2", KeyPair::generate().expect("a key"));
    install(&lab, vec![(imported(&new, &[]), CaState::Active), (old, CaState::Retired)], new.key());
    lab.good(&["crl", "renew"]);
    let before = lab.read("pki/crl.pem");
    let ran = lab.good(&["revoke", "on", "--yes"]);
    assert!(ran.err.contains("warning: "), "{ran}");
    let again = lab.run(&["revoke", "on", "--yes"]);
    assert_eq!(again.status, 3, "{again}");
    assert_eq!(lab.read("pki/crl.pem"), before);
}

#[test]
fn damaged_and_mismatched_trust_files_are_refused() {
    let lab = Lab::with_roots();
    let old = ca::trust(&layout(&lab), CaRole::Cluster).expect("the CAs").into_active();
    let new = root(&lab, "prod root 2", KeyPair::generate().expect("a key"));
    install(&lab, vec![(imported(&new, &[]), CaState::Active), (old, CaState::Trusted)], new.key());
    let (good, roots) = (lab.read("pki/trust.json"), lab.read("pki/ca.crt"));
    for (from, to) in
        [("\"active\"", "\"trusted\""), ("\"trusted\"", "\"believed\""), ("imported", "found"), ("{", "[")]
    {
        lab.write("pki/trust.json", &good.replacen(from, to, 1));
        assert!(ca::trust(&layout(&lab), CaRole::Cluster).is_err(), "{from}");
    }
    lab.write("pki/trust.json", &good);
    lab.write("pki/ca.crt", &roots[..roots.len() / 2]);
    assert!(ca::trust(&layout(&lab), CaRole::Cluster).is_err());
    lab.write("pki/ca.crt", &roots);
    assert!(ca::trust(&layout(&lab), CaRole::Cluster).is_ok());
}

#[test]
fn a_request_is_signed_by_an_intermediate_and_its_chain_is_stored_and_packed() {
    let lab = Lab::with_roots();
    let root = root(&lab, "company root", KeyPair::generate().expect("a key"));
    let middle = intermediate(&lab, "company kubernetes", &root);
    install(&lab, vec![(imported(&middle, &[read(root.der())]), CaState::Active)], middle.key());
    lab.good(&["issue-master", "--all"]);
    std::fs::create_dir(lab.path("root")).expect("made");
    lab.good(&["request", "on", "--root", "root"]);
    lab.good(&["sign", "on.request"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    for path in ["pki/nodes/on/kubelet-client.crt", "pki/nodes/on/kubelet-server.crt"] {
        let stored = certificates(&lab, path);
        assert_eq!((stored.len(), &stored[1]), (2, &read(middle.der())), "{path}");
    }
    assert_eq!(packed(&bundle(&lab, "on"), "var/lib/kubelet/pki/kubelet-client.crt").len(), 2);
    // The chain is the issuer's, and nothing else.
    let path = "pki/nodes/on/kubelet-client.crt";
    lab.write(path, &certificates(&lab, path)[0].to_pem());
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1);
    assert_eq!(lab.run(&["bundle", "on"]).status, 3);
}
