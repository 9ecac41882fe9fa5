//! Revocation, by CRLs and by the ledger.

use std::collections::BTreeSet;

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::issuer::{Issuer, create_root};
use clusterctl::verify::finding::Status;
use clusterctl::verify::remedy::Remedy;
use time::Duration;

use super::site::Foreign;

use crate::support::outside::needs;
use crate::support::undated;

#[test]
fn a_revoked_certificate_fails_by_list_and_by_ledger_and_a_bad_list_is_no_list() {
    needs!("openssl", "python3", "xmllint");
    use clusterctl::pki::certificate::Serial;
    use clusterctl::pki::untrusted::revocation_list;
    let mut lab = Foreign::new();
    let credential = lab.issue();
    lab.write(&credential);
    let _server = lab.s_server(&["-www"]);
    assert!(!lab.verdicts().contains_key("revoked"), "nothing to judge by, nothing judged");
    let (now, day) = (lab.now, Duration::DAY);
    let serial = credential.certificate.serial.clone();
    let other = Serial(vec![7; 16]);
    let list = |root: &Issuer, serials: &[Serial], from, to| revocation_list(root, serials, from, to).expect("a list");
    let twin = create_root(CaRole::Cluster, &lab.cluster.name, lab.cluster.keys, lab.cluster.validity.ca, now);
    let twin = Issuer::open(CaRole::Cluster, twin.expect("a root").get(), now).expect("a fit root");
    let root = &Issuer::open(CaRole::Cluster, &lab.root, now).expect("a fit root");
    let fresh = list(root, std::slice::from_ref(&other), now - day, now + day);
    let cases = [
        ("good", vec![fresh.clone()], Status::Pass, ""),
        ("revoked", vec![list(root, &[other, serial.clone()], now - day, now + day)], Status::Fail, "reissue"),
        (
            "one of two",
            vec![fresh.clone(), list(root, std::slice::from_ref(&serial), now - day, now + day)],
            Status::Fail,
            "reissue",
        ),
        ("expired", vec![list(root, &[], now - 2 * day, now - day)], Status::Fail, "provide-current-crl"),
        ("early", vec![list(root, &[], now + day, now + 2 * day)], Status::Fail, "provide-current-crl"),
        ("forged", vec![list(&twin, &[], now - day, now + day)], Status::Fail, "provide-current-crl"),
        ("no CRL", vec![b"no list".to_vec()], Status::Fail, "provide-current-crl"),
        ("expired and good", vec![list(root, &[], now - 2 * day, now - day), fresh], Status::Pass, ""),
    ];
    let mut observed = String::new();
    for (what, crls, status, remedy) in cases {
        lab.target.crls = crls;
        let mut found = lab.findings();
        found.retain(|finding| finding.id.to_string() == "node.revoked");
        assert_eq!(found.len(), 1, "{found:#?}");
        let id = found[0].remedy.as_ref().map(Remedy::id).unwrap_or_default();
        assert_eq!((found[0].status, id.as_str()), (status, remedy), "{what}: {found:#?}");
        let told = undated(&found[0].observed).replace(&serial.to_string(), "SERIAL");
        observed.push_str(&format!("{what}: {told}\n"));
    }
    insta::with_settings!({ snapshot_path => "../snapshots" }, { insta::assert_snapshot!("observed_of_crls", observed) });
    lab.target.crls.clear();
    for (known, status) in [(BTreeSet::new(), "pass"), ([credential.certificate.fingerprint()].into(), "fail")] {
        lab.target.revoked = Some(known);
        assert_eq!(lab.verdicts()["revoked"].0, status);
    }
}

#[test]
fn openssls_own_list_is_understood() {
    needs!("openssl", "python3", "xmllint");
    let mut lab = Foreign::new();
    let credential = lab.issue();
    lab.write(&credential);
    for (name, text) in [
        ("index.txt", ""),
        ("number", "01\n"),
        (
            "cnf",
            "[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=2\n",
        ),
    ] {
        std::fs::write(lab.path(name), text).expect("written");
    }
    let ca = ["ca", "-config", "cnf", "-cert", "ca.crt", "-keyfile", "ca.key"];
    let _server = lab.s_server(&["-www"]);
    for (revoke, status) in [(false, "pass"), (true, "fail")] {
        if revoke {
            lab.openssl(&[&ca[..], &["-revoke", "server.crt"]].concat());
        }
        lab.openssl(&[&ca[..], &["-gencrl", "-out", "crl.pem"]].concat());
        let pem = std::fs::read(lab.path("crl.pem")).expect("a list");
        lab.target.crls = clusterctl::pki::crl::read_all(&pem).expect("a list");
        assert_eq!(lab.verdicts()["revoked"].0, status, "{:#?}", lab.verdicts()["revoked"]);
    }
}
