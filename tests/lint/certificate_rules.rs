//! Rules for certificates.

use std::fs;

use super::make::{CA, SERVER, ca, crl, leaf, text};
use super::rules::{Case, ROOT, below, config, root, signed};
use crate::support::{Lab, good_tool};

pub(super) const CERTIFICATES: [Case; 20] = [
    (
        "certificate.expired",
        |lab| signed(lab, "host", |plan| plan.days(-9, -1), SERVER),
        |lab| signed(lab, "host", |plan| plan.days(-9, 1), SERVER),
    ),
    (
        "certificate.not-yet-valid",
        |lab| signed(lab, "host", |plan| plan.days(1, 9), SERVER),
        |lab| signed(lab, "host", |plan| plan.days(-1, 9), SERVER),
    ),
    (
        "certificate.signature",
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            root(lab);
        },
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            ca("ca").make(lab, "pki/other.crt");
        },
    ),
    (
        "certificate.weak-hash",
        |lab| signed(lab, "host", |plan| plan.digest("sha1"), SERVER),
        |lab| below(lab, |plan| plan.digest("sha1"), SERVER),
    ),
    (
        "certificate.outlives-ca",
        |lab| below(lab, |plan| plan.days(-1, 300), SERVER),
        |lab| below(lab, |plan| plan.days(-1, 364), SERVER),
    ),
    (
        "certificate.validity",
        |lab| signed(lab, "host", |plan| plan.days(-1, 800), SERVER),
        |lab| signed(lab, "host", |plan| plan.days(-1, 700), SERVER),
    ),
    (
        "certificate.validity-of-person",
        |lab| config(lab, "alice", "https://host:6443", 400),
        |lab| config(lab, "system:kube-scheduler", "https://host:6443", 400),
    ),
    (
        "certificate.self-signed",
        |lab| ca("host").extensions(&format!("basicConstraints=CA:FALSE\n{SERVER}")).make(lab, "pki/kubelet.crt"),
        |lab| signed(lab, "kubelet", |plan| plan, SERVER),
    ),
    (
        "certificate.is-ca",
        |lab| signed(lab, "apiserver", |plan| plan.extensions(&format!("{CA}\n{SERVER}")), ""),
        |lab| signed(lab, "apiserver", |plan| plan, SERVER),
    ),
    (
        "certificate.revoked",
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            crl(lab, ROOT, "pki/host.crt", "pki/crl.pem", 9);
        },
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            leaf(ROOT, "other", SERVER).make(lab, "pki/other.crt");
            crl(lab, ROOT, "pki/other.crt", "pki/crl.pem", 9);
            fs::remove_file(lab.path("pki/other.crt")).expect("removed");
        },
    ),
    (
        "certificate.not-readable",
        |lab| signed(lab, "host", |plan| plan, &format!("{SERVER}\nsubjectKeyIdentifier=critical,hash")),
        |lab| signed(lab, "host", |plan| plan, &format!("{SERVER}\nsubjectKeyIdentifier=hash")),
    ),
    (
        "certificate.unknown-critical",
        |lab| signed(lab, "host", |plan| plan, &format!("{SERVER}\n1.2.3.4=critical,DER:0500")),
        |lab| signed(lab, "host", |plan| plan, &format!("{SERVER}\n1.2.3.4=DER:0500")),
    ),
    (
        "certificate.authority-identifier-missing",
        |lab| signed(lab, "host", |plan| plan.extensions(&format!("{SERVER}\nauthorityKeyIdentifier=none")), ""),
        |lab| {
            ca("ca").extensions(&CA.replace("=hash", "=none")).make(lab, ROOT);
            let extensions = format!("{SERVER}\nauthorityKeyIdentifier=none");
            leaf(ROOT, "host", "").extensions(&extensions).make(lab, "pki/host.crt");
        },
    ),
    (
        "certificate.authority-identifier-mismatch",
        |lab| {
            root(lab);
            let other = CA.replace("=hash", "=0102030405");
            ca("ca").extensions(&other).with_key_of("pki/ca.key").make(lab, "pki/new.crt");
            leaf("pki/new.crt", "host", SERVER).make(lab, "pki/host.crt");
            fs::remove_file(lab.path("pki/new.crt")).expect("removed");
        },
        |lab| signed(lab, "host", |plan| plan, SERVER),
    ),
    ("certificate.serial-negative", |lab| with_serial(lab, "-5"), |lab| with_serial(lab, "5")),
    (
        "certificate.serial-zero",
        |lab| signed(lab, "host", |plan| plan.serial("00"), SERVER),
        |lab| signed(lab, "host", |plan| plan.serial("01"), SERVER),
    ),
    (
        "certificate.serial-long",
        |lab| with_serial(lab, "0x010203040506070809101112131415161718192021"),
        |lab| with_serial(lab, "0x0102030405060708091011121314151617181920"),
    ),
    (
        "certificate.serial-duplicate",
        |lab| {
            signed(lab, "host", |plan| plan.serial("0a"), SERVER);
            leaf(ROOT, "other", SERVER).serial("0a").make(lab, "pki/other.crt");
        },
        |lab| {
            signed(lab, "host", |plan| plan.serial("0a"), SERVER);
            ca("ca 2").make(lab, "pki/ca2.crt");
            leaf("pki/ca2.crt", "other", SERVER).serial("0a").make(lab, "pki/other.crt");
            fs::copy(lab.path("pki/host.crt"), lab.path("pki/copy.crt")).expect("a copy");
        },
    ),
    (
        "crl.expired",
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            crl(lab, ROOT, "pki/host.crt", "pki/crl.pem", -1);
        },
        |lab| {
            signed(lab, "host", |plan| plan, SERVER);
            crl(lab, ROOT, "pki/host.crt", "pki/crl.pem", 1);
        },
    ),
    (
        "file.unreadable",
        |lab| {
            root(lab);
            lab.write("pki/bad.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        },
        |lab| {
            root(lab);
            lab.write("pki/notes.txt", "nothing of interest");
        },
    ),
];

/// A certificate with a serial number that `openssl ca` does not write.
fn with_serial(lab: &Lab, serial: &str) {
    root(lab);
    leaf(ROOT, "host", SERVER).make(lab, "pki/host.crt");
    let (csr, out) = (text(lab, "made/csr"), text(lab, "pki/host.crt"));
    let (ca, key, cnf) = (text(lab, ROOT), text(lab, "pki/ca.key"), text(lab, "made/cnf"));
    let by = ["x509", "-req", "-in", &csr, "-out", &out, "-CA", &ca, "-CAkey", &key, "-days", "300"];
    good_tool("openssl", &[&by[..], &["-set_serial", serial, "-extfile", &cnf, "-extensions", "extensions"]].concat());
}
