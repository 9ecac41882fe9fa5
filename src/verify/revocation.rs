//! Determines from a target's CRLs and ledger whether certificates are revoked. Pure: OCSP and distribution points are
//! not used, so a verdict does not depend on external servers.

use time::OffsetDateTime;

use super::target::Target;
use crate::cluster::duration::{in_words, stamp};
use crate::pki::certificate::{Certificate, SignatureKind};
use crate::pki::crl::Crl;

/// The CRLs of a target, parsed once.
pub(super) struct Crls<'a> {
    target: &'a Target,
    parsed: Vec<Result<Crl, String>>,
}

/// The result of checking whether a path is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Revocation {
    /// A certificate of the path is revoked: the certificate and the evidence.
    Revoked(String),
    /// According to this evidence, no certificate is revoked.
    Clear(String),
    /// The CRLs prove nothing, for this reason.
    Unusable(String),
}

impl<'a> Crls<'a> {
    pub(super) fn of(target: &'a Target) -> Self {
        let read = |der: &Vec<u8>| Crl::from_der(der.clone()).map_err(|error| error.to_string());
        Self { target, parsed: target.crls.iter().map(read).collect() }
    }

    /// Checks the revocation of a valid path, leaf first.
    pub(super) fn judge(&self, path: &[&Certificate], now: OffsetDateTime) -> Revocation {
        let mut clear = Vec::new();
        if let Some(revoked) = &self.target.revoked {
            if let Some(known) = path.iter().find(|cert| revoked.contains(&cert.fingerprint())) {
                return Revocation::Revoked(format!("the ledger records {} as revoked", known.fingerprint()));
            }
            clear.push("the ledger knows of no revocation".to_owned());
        }
        if self.parsed.is_empty() && self.target.crl_faults.is_empty() {
            clear.push("no CRL was given".to_owned());
            return Revocation::Clear(clear.join("; "));
        }
        let mut unusable: Vec<String> = self.target.crl_faults.clone();
        for (i, certificate) in path.iter().enumerate() {
            match self.judge_certificate(certificate, path, now) {
                Ok(Revocation::Clear(observed)) => clear.push(observed),
                Ok(revoked) => return revoked,
                Err(reasons) if reasons.is_empty() => {
                    let observed = format!("no CRL of {} was given", certificate.issuer.text);
                    // The ledger is sufficient, and the CRL of an offline root need not be available for its
                    // intermediates.
                    let is_needed = i == 0 && self.target.revoked.is_none();
                    match (is_needed, unusable.is_empty()) {
                        (false, _) => clear.push(observed),
                        (true, true) => unusable.push(observed),
                        (true, false) => {}
                    }
                }
                Err(reasons) => unusable.extend(reasons),
            }
        }
        if unusable.is_empty() {
            clear.dedup();
            return Revocation::Clear(clear.join("; "));
        }
        unusable.dedup();
        Revocation::Unusable(unusable.join("; "))
    }

    /// Checks a certificate of a path against the CRLs of its own issuer (RFC 5280 § 6.3.3).
    ///
    /// # Errors
    /// Returns the reasons why none of the CRLs is usable; none if all of them are from other CAs of the path or the target.
    fn judge_certificate(
        &self,
        certificate: &Certificate,
        path: &[&Certificate],
        now: OffsetDateTime,
    ) -> Result<Revocation, Vec<String>> {
        let cas = || path.iter().copied().skip(1).chain(&self.target.roots);
        let has_issued = |ca: &&Certificate| ca.subject.der == certificate.issuer.der && certificate.is_signed_by(ca);
        let issuers: Vec<&Certificate> = cas().filter(has_issued).collect();
        let (mut good, mut reasons): (Vec<&Crl>, Vec<String>) = (Vec::new(), Vec::new());
        for crl in &self.parsed {
            match crl {
                Ok(crl) => match usable(crl, &issuers, now) {
                    Ok(()) => good.push(crl),
                    Err(_) if !names_one_of(crl, &issuers) && cas().any(|ca| crl.is_signed_by(ca)) => {}
                    Err(reason) => reasons.push(reason),
                },
                Err(reason) => reasons.push(reason.clone()),
            }
        }
        if let Some(crl) = good.iter().find(|crl| crl.serials.contains(&certificate.serial)) {
            let (serial, made) = (&certificate.serial, stamp(crl.this_update));
            return Ok(Revocation::Revoked(format!("serial {serial} is in the CRL of {made}")));
        }
        match good.iter().map(|crl| crl.this_update).max() {
            Some(made) => Ok(Revocation::Clear(format!("not revoked by the CRL of {}", stamp(made)))),
            None => Err(reasons),
        }
    }
}

/// Returns true if a CRL names one of these CAs as its issuer.
fn names_one_of(crl: &Crl, cas: &[&Certificate]) -> bool {
    cas.iter().any(|ca| ca.subject.der == crl.issuer.der)
}

/// Returns an error unless a CRL is current and signed by one of `issuers`.
fn usable(crl: &Crl, issuers: &[&Certificate], now: OffsetDateTime) -> Result<(), String> {
    if !names_one_of(crl, issuers) {
        return Err(format!("the CRL is by {}, which did not issue this certificate", crl.issuer.text));
    }
    let has_signed = |issuer: &&&Certificate| issuer.subject.der == crl.issuer.der && crl.is_signed_by(issuer);
    let Some(signer) = issuers.iter().find(has_signed) else {
        return Err(format!("the CRL names {} as its issuer, whose key did not sign it", crl.issuer.text));
    };
    // RFC 5280 § 6.3.3 (f): the key usage, if present, has to permit this.
    if signer.key_usage.is_some_and(|usage| !usage.crl_sign) {
        return Err(format!("{} may not sign CRLs (no cRLSign)", signer.subject.text));
    }
    if !matches!(crl.signature, SignatureKind::Strong(_)) {
        return Err("the CRL's signature is too weak".to_owned());
    }
    if !crl.critical.is_empty() {
        let oids = crl.critical.join(", ");
        return Err(format!("the CRL is partial, or of an unsupported kind (critical {oids})"));
    }
    if now < crl.this_update {
        return Err(format!("the CRL is of {}, and it is {} here", stamp(crl.this_update), stamp(now)));
    }
    match crl.next_update {
        None => Err("the CRL has no nextUpdate, so that it may be stale".to_owned()),
        Some(next) if now > next => {
            Err(format!("the CRL expired {} ago, on {}; it is {} here", in_words(now - next), stamp(next), stamp(now)))
        }
        Some(_) => Ok(()),
    }
}
