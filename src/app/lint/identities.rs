//! Key identifiers and serial numbers.

use std::collections::HashMap;

use super::finding::Findings;
use super::material::{Entry, Material};
use super::rules::certificate::{
    IDENTIFIER_MISMATCH, IDENTIFIER_MISSING, SERIAL_DUPLICATE, SERIAL_LONG, SERIAL_NEGATIVE, SERIAL_ZERO,
};
use crate::pki::certificate::Serial;

/// The greatest length of a serial number, in octets (RFC 5280 § 4.1.2.2).
const LONGEST_SERIAL: usize = 20;

pub(super) fn check(material: &Material<'_>, findings: &mut Findings) {
    for entry in &material.entries {
        identifiers(material, entry, findings);
        serial(entry, findings);
    }
    duplicates(material, findings);
}

fn identifiers(material: &Material<'_>, entry: &Entry<'_>, findings: &mut Findings) {
    let Some(issuer) = material.issuer_of(entry).map(|issuer| issuer.found.certificate) else { return };
    let Some(wanted) = &issuer.subject_key_id else { return };
    let (certificate, place) = (entry.found.certificate, &entry.found.place);
    match &certificate.authority_key_id {
        None => findings.add(&IDENTIFIER_MISSING, place, certificate.subject.text.as_str()),
        Some(found) if found != wanted => findings.add(&IDENTIFIER_MISMATCH, place, certificate.subject.text.as_str()),
        Some(_) => {}
    }
}

fn serial(entry: &Entry<'_>, findings: &mut Findings) {
    let (certificate, place) = (entry.found.certificate, &entry.found.place);
    let name = certificate.subject.text.as_str();
    let octets = &certificate.serial.0;
    if certificate.has_negative_serial {
        findings.add(&SERIAL_NEGATIVE, place, name);
    } else if octets.iter().all(|octet| *octet == 0) {
        findings.add(&SERIAL_ZERO, place, name);
    } else if octets.len() > LONGEST_SERIAL {
        findings.add(&SERIAL_LONG, place, format!("{name}: {} octets", octets.len()));
    }
}

/// Reports certificates with the issuer and the serial number of another one.
fn duplicates(material: &Material<'_>, findings: &mut Findings) {
    let mut seen: HashMap<(&[u8], &Serial), Vec<&Entry<'_>>> = HashMap::new();
    for entry in &material.entries {
        let certificate = entry.found.certificate;
        let others = seen.entry((certificate.issuer.der.as_slice(), &certificate.serial)).or_default();
        if let Some(first) = others.iter().find(|other| has_issuer_of(entry, other)) {
            let (serial, file) = (&certificate.serial, &first.found.place.file);
            let observed = format!("{serial} is the serial number of the certificate in {file}, too");
            findings.add(&SERIAL_DUPLICATE, &entry.found.place, observed);
        }
        others.push(entry);
    }
}

/// Returns true if one CA signed both. Equal names of issuers do not prove it: two CAs may have the same name.
fn has_issuer_of(one: &Entry<'_>, other: &Entry<'_>) -> bool {
    let (first, second) = (one.found.certificate, other.found.certificate);
    match (one.issuer, other.issuer) {
        (Some(one), Some(other)) => one == other,
        (None, None) if first.is_self_issued() && second.is_self_issued() => first.spki == second.spki,
        (None, None) => first.authority_key_id == second.authority_key_id,
        _ => false,
    }
}
