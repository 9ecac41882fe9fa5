//! Revocation, by CRLs and by the ledger.

use std::collections::BTreeSet;

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::issuer::{Issuer, create_root};
use time::Duration;

use super::site::Foreign;

use crate::support::outside::needs;

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
        (vec![fresh.clone()], "pass", ""),
        (vec![list(root, &[other, serial.clone()], now - day, now + day)], "fail", "reissue"),
        (vec![fresh.clone(), list(root, &[serial], now - day, now + day)], "fail", "reissue"),
        (vec![list(root, &[], now - 2 * day, now - day)], "fail", "provide-current-crl"),
        (vec![list(root, &[], now + day, now + 2 * day)], "fail", "provide-current-crl"),
        (vec![list(&twin, &[], now - day, now + day)], "fail", "provide-current-crl"),
        (vec![b"no list".to_vec()], "fail", "provide-current-crl"),
        (vec![list(root, &[], now - 2 * day, now - day), fresh], "pass", ""),
    ];
    for (crls, status, remedy) in cases {
        lab.target.crls = crls;
        let found = lab.verdicts().remove("revoked").expect("judged");
        assert_eq!((found.0, found.1.as_str()), (status, remedy));
    }
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
        lab.target.crls = clusterctl::pki::crl::lists(&pem).expect("a list");
        assert_eq!(lab.verdicts()["revoked"].0, status, "{:#?}", lab.verdicts()["revoked"]);
    }
}
