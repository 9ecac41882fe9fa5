//! Dates, signatures and form of certificates and CRLs.

use time::{Duration, OffsetDateTime};

use super::finding::Findings;
use super::material::{Entry, Material};
use super::purpose::Purpose;
use super::rules::certificate::{
    CRL_EXPIRED, EXPIRED, IS_CA, NOT_READABLE, NOT_YET_VALID, OUTLIVES_CA, REVOKED, SELF_SIGNED, SIGNATURE,
    UNKNOWN_CRITICAL, VALIDITY, VALIDITY_OF_PERSON, WEAK_HASH,
};
use super::rules::{ca, key};
use crate::cluster::duration::{in_words, stamp};
use crate::pki::certificate::{Certificate, SignatureKind};
use crate::pki::lint::general_violations;
use crate::pki::violation::Violation;

/// The longest validity of a certificate that is no CA.
const LONGEST: Duration = Duration::days(2 * 366);
/// The longest validity of a person's certificate: a day more than a leap year, because tools set notBefore to an
/// earlier time.
const LONGEST_OF_PERSON: Duration = Duration::days(367);
/// The longest validity of a CA.
const LONGEST_OF_CA: Duration = Duration::days(30 * 366);

pub(super) fn check(material: &Material<'_>, now: OffsetDateTime, findings: &mut Findings) {
    for entry in &material.entries {
        violations(entry, now, findings);
        validity(entry, findings);
        signature(material, entry, findings);
        if is_revoked(material, entry) {
            findings.add(&REVOKED, &entry.found.place, entry.found.certificate.subject.text.as_str());
        }
    }
    for one in &material.crls {
        if let Some(next) = one.crl.next_update.filter(|next| *next < now) {
            findings.add(&CRL_EXPIRED, &one.place, format!("expired {} ago on {}", in_words(now - next), stamp(next)));
        }
    }
}

/// Reports what [`general_violations`] finds in any certificate.
fn violations(entry: &Entry<'_>, now: OffsetDateTime, findings: &mut Findings) {
    let certificate = entry.found.certificate;
    for violation in general_violations(certificate, now) {
        let rule = match (&violation, entry.is_ca) {
            (Violation::Expired { .. }, true) => &ca::EXPIRED,
            (Violation::Expired { .. }, false) => &EXPIRED,
            (Violation::NotYetValid { .. }, true) => &ca::NOT_YET_VALID,
            (Violation::NotYetValid { .. }, false) => &NOT_YET_VALID,
            (Violation::WeakKey(_), _) => &key::WEAK,
            (Violation::WeakHash(_), _) if !certificate.is_self_issued() => &WEAK_HASH,
            (Violation::UnknownCritical(_), _) => &UNKNOWN_CRITICAL,
            // Negative serial numbers have a rule of their own.
            (Violation::GoRefuses(_), _) if !certificate.has_negative_serial => &NOT_READABLE,
            _ => continue,
        };
        findings.add(rule, &entry.found.place, format!("{}: {violation}", certificate.subject.text));
    }
}

fn validity(entry: &Entry<'_>, findings: &mut Findings) {
    let Certificate { not_before, not_after, .. } = *entry.found.certificate;
    let account = entry.found.certificate.account();
    let is_person = entry.found.is_of_user
        && !["system:", "kube-", "kubelet:"].iter().any(|prefix| account.user.starts_with(prefix));
    let (rule, longest) = match (entry.is_ca, is_person) {
        (true, _) => (&ca::VALIDITY, LONGEST_OF_CA),
        (false, true) => (&VALIDITY_OF_PERSON, LONGEST_OF_PERSON),
        (false, false) => (&VALIDITY, LONGEST),
    };
    let valid = not_after - not_before;
    if valid > longest {
        let observed = format!("{}: {} days, until {}", account.user, valid.whole_days(), stamp(not_after));
        findings.add(rule, &entry.found.place, observed);
    }
}

fn signature(material: &Material<'_>, entry: &Entry<'_>, findings: &mut Findings) {
    let (certificate, place) = (entry.found.certificate, &entry.found.place);
    if let Some(wrong) = &entry.wrong_issuer {
        let part = wrong.part.as_ref().map(|part| format!(", {part}")).unwrap_or_default();
        let observed =
            format!("it names {}, but the key in {}{part} did not sign it", certificate.issuer.text, wrong.file);
        findings.add(&SIGNATURE, place, observed);
    }
    let is_used = entry.found.is_of_user || entry.purpose.serves();
    let has_ca_bit = certificate.basic_constraints.is_some_and(|constraints| constraints.ca);
    if has_ca_bit && is_used {
        findings.add(&IS_CA, place, certificate.subject.text.as_str());
    } else if !entry.is_ca && certificate.is_self_issued() && certificate.is_signed_by(certificate) {
        // A certificate of version 1 that nothing uses may be an old root, which has no basicConstraints.
        if is_used || entry.purpose == Purpose::Client || certificate.version > 2 {
            findings.add(&SELF_SIGNED, place, certificate.subject.text.as_str());
        }
    }
    if let Some(issuer) = material.issuer_of(entry) {
        let (until, limit) = (certificate.not_after, issuer.found.certificate.not_after);
        if until > limit {
            let observed =
                format!("valid until {}, and {} until {}", stamp(until), certificate.issuer.text, stamp(limit));
            findings.add(&OUTLIVES_CA, place, observed);
        }
    }
}

/// Returns true if a certificate is listed in a CRL that its CA signed.
fn is_revoked(material: &Material<'_>, entry: &Entry<'_>) -> bool {
    let certificate = entry.found.certificate;
    let Some(issuer) = material.issuer_of(entry).map(|issuer| issuer.found.certificate) else { return false };
    material.crls.iter().any(|one| {
        one.crl.issuer.der == issuer.subject.der
            && one.crl.serials.contains(&certificate.serial)
            && !matches!(one.crl.signature, SignatureKind::WeakHash(_))
            && one.crl.is_signed_by(issuer)
    })
}
