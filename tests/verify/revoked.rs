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
fn a_certificate_revoked_by_crl_or_ledger_fails_and_invalid_crls_are_rejected() {
    needs!("openssl", "python3", "xmllint");
    use clusterctl::pki::certificate::Serial;
    use clusterctl::pki::untrusted::revocation_list;
    let mut lab = Foreign::new();
    let credential = lab.issue();
    lab.write(&credential);
    let _server = lab.s_server(&["-www"]);
    assert!(!lab.verdicts().contains_key("revoked"), "no CRL and no ledger: no finding");
    let (now, day) = (lab.now, Duration::DAY);
    let serial = credential.certificate.serial.clone();
    let other = Serial(vec![7; 16]);
    let crl = |root: &Issuer, serials: &[Serial], from, to| revocation_list(root, serials, from, to).expect("a CRL");
    let same_name_root =
        create_root(CaRole::Cluster, &lab.cluster.name, lab.cluster.keys, lab.cluster.validity.ca, now);
    let same_name_root =
        Issuer::open(CaRole::Cluster, same_name_root.expect("a root").get(), now).expect("a valid root");
    let root = &Issuer::open(CaRole::Cluster, &lab.root, now).expect("a valid root");
    let fresh = crl(root, std::slice::from_ref(&other), now - day, now + day);
    let cases = [
        ("valid", vec![fresh.clone()], Status::Pass, ""),
        ("revoked", vec![crl(root, &[other, serial.clone()], now - day, now + day)], Status::Fail, "reissue"),
        (
            "one of two",
            vec![fresh.clone(), crl(root, std::slice::from_ref(&serial), now - day, now + day)],
            Status::Fail,
            "reissue",
        ),
        ("expired", vec![crl(root, &[], now - 2 * day, now - day)], Status::Fail, "provide-current-crl"),
        ("early", vec![crl(root, &[], now + day, now + 2 * day)], Status::Fail, "provide-current-crl"),
        ("forged", vec![crl(&same_name_root, &[], now - day, now + day)], Status::Fail, "provide-current-crl"),
        ("no CRL", vec![b"not a CRL".to_vec()], Status::Fail, "provide-current-crl"),
        ("expired and valid", vec![crl(root, &[], now - 2 * day, now - day), fresh], Status::Pass, ""),
    ];
    let mut observed = String::new();
    for (what, crls, status, remedy) in cases {
        lab.target.crls = crls;
        let mut found = lab.findings();
        found.retain(|finding| finding.id.to_string() == "node.revoked");
        assert_eq!(found.len(), 1, "{found:#?}");
        let id = found[0].remedy.as_ref().map(Remedy::id).unwrap_or_default();
        assert_eq!((found[0].status, id.as_str()), (status, remedy), "{what}: {found:#?}");
        let text = undated(&found[0].observed).replace(&serial.to_string(), "SERIAL");
        observed.push_str(&format!("{what}: {text}\n"));
    }
    insta::with_settings!({ snapshot_path => "../snapshots" }, { insta::assert_snapshot!("observed_of_crls", observed) });
    lab.target.crls.clear();
    for (known, status) in [(BTreeSet::new(), "pass"), ([credential.certificate.fingerprint()].into(), "fail")] {
        lab.target.revoked = Some(known);
        assert_eq!(lab.verdicts()["revoked"].0, status);
    }
}

#[test]
fn a_crl_made_by_openssl_is_accepted() {
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
        let pem = std::fs::read(lab.path("crl.pem")).expect("a CRL");
        lab.target.crls = clusterctl::pki::crl::read_all(&pem).expect("a CRL");
        assert_eq!(lab.verdicts()["revoked"].0, status, "{:#?}", lab.verdicts()["revoked"]);
    }
}
