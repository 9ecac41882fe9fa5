//! CA sets and trust files of other tools: files that Kubernetes accepts are accepted, with a warning if they are unusual.

use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::chain::{ChainError, Purpose, ViolationKind, best_path};
use clusterctl::pki::pem::{self, PemError};
use clusterctl::verify::checks::trust_anchor;
use clusterctl::verify::finding::{Severity, Status};
use clusterctl::verify::target::Target;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::support::Lab;

const NOW: OffsetDateTime = datetime!(2026-11-28 12:00 UTC);

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/trust/{name}", env!("CARGO_MANIFEST_DIR"))).expect(name)
}

fn certificates(name: &str) -> Vec<Certificate> {
    let ders = pem::certificates(&bytes(name)).expect(name);
    ders.into_iter().map(|der| Certificate::from_der(der).expect(name)).collect()
}

/// Returns the status of `trust.anchor` for each root of a file.
fn anchors(name: &str) -> Vec<Status> {
    let mut target = Target::empty("cluster".to_owned());
    target.roots = certificates(name);
    let findings = trust_anchor(&target, NOW);
    assert!(findings.iter().all(|f| (f.status == Status::Warn) == (f.severity == Severity::Warning)), "{name}");
    findings.iter().map(|finding| finding.status).collect()
}

/// Returns why the path from the serving certificate to a file's roots is not valid.
fn refused(name: &str) -> Result<Vec<ViolationKind>, ChainError> {
    let (leaf, roots) = (certificates("api.crt").remove(0), certificates(name));
    let path = best_path(&leaf, &[], &roots, Purpose::Server, NOW)?;
    Ok(path.violations.iter().map(|violation| violation.kind).collect())
}

#[test]
fn unusual_cas_that_kubernetes_accepts_give_warnings() {
    let files: [(&str, &[Status]); 8] = [
        ("good.crt", &[Status::Pass]),
        ("serial-zero.crt", &[Status::Warn]),
        ("not-critical.crt", &[Status::Warn]),
        ("no-key-usage.crt", &[Status::Warn]),
        ("version-1.crt", &[Status::Warn]),
        ("intermediate.crt", &[Status::Warn]),
        ("intermediate-and-root.crt", &[Status::Warn, Status::Pass]),
        ("expired-beside-good.crt", &[Status::Warn, Status::Pass]),
    ];
    for (name, statuses) in files {
        assert_eq!(anchors(name), statuses, "{name}");
        assert_eq!(refused(name), Ok(Vec::new()), "{name}");
    }
}

#[test]
fn a_negative_serial_number_is_refused() {
    assert_eq!(anchors("negative-serial.crt"), [Status::Fail]);
    assert_eq!(refused("negative-serial.crt"), Ok(vec![ViolationKind::Chain]));
    let mut der = pem::certificates(&bytes("serial-zero.crt")).expect("PEM").remove(0);
    let serial = der.windows(3).position(|window| window == [0x02, 0x01, 0x00]).expect("serial 0");
    der[serial + 2] = 0x80;
    assert!(Certificate::from_der(der.clone()).expect("a certificate").has_negative_serial);
    // The same octet after a zero is a positive number.
    der.splice(serial..serial + 3, [0x02, 0x02, 0x00, 0x80]);
    for length in [2, 6] {
        let octets = u16::from_be_bytes([der[length], der[length + 1]]) + 1;
        der[length..length + 2].copy_from_slice(&octets.to_be_bytes());
    }
    let positive = Certificate::from_der(der).expect("a certificate");
    assert!(!positive.has_negative_serial && positive.go_refuses.is_none());
}

#[test]
fn pem_sections_without_a_newline_between_are_an_error_with_line() {
    let Err(PemError::Damaged(reason)) = pem::read_all(&bytes("glued.crt")) else { panic!("it is read") };
    let text = String::from_utf8(bytes("glued.crt")).expect("text");
    let line =
        text.lines().position(|line| line.contains("-----END") && line.contains("-----BEGIN")).expect("a joined line");
    assert!(reason.contains(&format!("line {}", line + 1)), "{reason}");
    let lab = Lab::empty();
    lab.write("both.crt", &text);
    assert_eq!(lab.run(&["show", "both.crt"]).status, 2);
    let run = lab.run(&["verify", "--ca", "both.crt", "--endpoint", "https://127.0.0.9:1", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&run.out).expect("JSON");
    let results = report["results"].as_array().expect("results");
    assert!(results.iter().any(|result| result["id"] == "trust.anchor" && result["status"] == "fail"), "{}", run.out);
}

#[test]
fn an_address_as_dns_name_is_reported_with_its_kind() {
    let lab = Lab::empty();
    lab.write("api.crt", std::str::from_utf8(&bytes("address-as-name.crt")).expect("text"));
    let run = lab.run(&["show", "api.crt"]);
    assert!(run.out.contains("DNS 127.0.0.1") && run.out.contains("problem"), "{}", run.out);
}
