//! Determines which certificates API servers have to deny, from the ledger and the rendered authorization
//! configuration.

use std::cmp::Reverse;
use std::collections::HashSet;

use time::OffsetDateTime;

use super::error::{TargetError, VerifyError};
use crate::app::Error;
use crate::app::revoke::{self, rendered};
use crate::bundle::policy::AUTHORIZATION;
use crate::bundle::verifier;
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::sanitize::sanitized;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::verify::denials::{ExpectedDenials, RevokedCertificate};

/// The name of the rule about nodes, which every file of rules has.
const NODE_RULE: &str = "name: kubelets-lists";

/// The largest list of revoked certificates of a verifier bundle, in bytes.
const MAX_DENIALS: u64 = 64 << 10;

/// Returns the authorization configuration of the directory; empty if there is none.
///
/// # Errors
/// Returns an error if it exists and cannot be read.
pub(crate) fn rules(layout: &Layout) -> Result<String, StoreError> {
    match files::read(&layout.policy().join(AUTHORIZATION), revoke::denials::MAX_RULES) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(StoreError::Missing(_)) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Returns the certificates that API servers have to deny according to a directory without a ledger, such as an
/// unpacked verifier bundle.
///
/// # Errors
/// Returns [`TargetError::Denials`] for a malformed list, or an error if a file cannot be read.
pub(super) fn without_ledger(layout: &Layout, rules: &str) -> Result<ExpectedDenials, Error> {
    match files::read(&layout.dir().join(verifier::DENIALS), MAX_DENIALS) {
        Ok(bytes) => Ok(parse(&bytes).map_err(VerifyError::Target)?),
        Err(StoreError::Missing(_)) => {
            let denied = rendered::denied_in(rules).into_iter();
            Ok(ExpectedDenials::new(denied.map(unknown).collect(), rules.contains(NODE_RULE)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Parses the list of revoked certificates of a verifier bundle.
///
/// # Errors
/// Returns [`TargetError::Denials`].
pub(super) fn parse(bytes: &[u8]) -> Result<ExpectedDenials, TargetError> {
    ExpectedDenials::from_json(bytes).map_err(|reason| TargetError::Denials { reason })
}

/// Returns the certificates that API servers have to deny according to a ledger and an authorization configuration.
///
/// Certificates that only the configuration denies are included, because the ledger may be from a backup. Expired
/// certificates are left out, because no server accepts them.
///
/// # Errors
/// Returns an error if the ledger cannot be used.
pub(crate) fn of_ledger(
    rules: &str,
    ledger: &Ledger,
    root: &TrustBundle,
    now: OffsetDateTime,
) -> Result<ExpectedDenials, StoreError> {
    let revoked = ledger.revoked_expiring_after(now)?.all()?;
    let mut dated: Vec<(OffsetDateTime, RevokedCertificate)> = Vec::new();
    for issued in revoke::denials::denied(&revoked, root) {
        if let Some(revocation) = &issued.revocation {
            dated.push((revocation.at, known(issued)));
        }
    }
    for unrecorded in ledger.unrecorded()? {
        if let Some(sha256) = unrecorded.fingerprint {
            let at = unrecorded.revocation.at;
            dated.push((at, RevokedCertificate { revoked: Some(stamp(at)), ..unknown(sha256) }));
        }
    }
    // The newest first. The sort is stable, so revocations of the same second have to be reversed before it.
    dated.reverse();
    dated.sort_by_key(|(at, _)| Reverse(*at));
    let recorded: HashSet<Fingerprint> = dated.iter().map(|(_, one)| one.sha256).collect();
    let mut all = Vec::new();
    for sha256 in rendered::denied_in(rules).into_iter().filter(|sha256| !recorded.contains(sha256)) {
        match ledger.by_fingerprint(sha256)? {
            Some(issued) if issued.not_after <= now => {}
            Some(issued) => all.push(known(&issued)),
            None => all.push(unknown(sha256)),
        }
    }
    all.extend(dated.into_iter().map(|(_, one)| one));
    Ok(ExpectedDenials::new(all, rules.contains(NODE_RULE)))
}

fn known(issued: &IssuedCertificate) -> RevokedCertificate {
    let holder = issued.host.as_deref().unwrap_or(&issued.account);
    RevokedCertificate {
        sha256: issued.fingerprint,
        whose: Some(sanitized(&format!("{holder} {}", issued.profile))),
        revoked: issued.revocation.as_ref().map(|revocation| stamp(revocation.at)),
    }
}

fn unknown(sha256: Fingerprint) -> RevokedCertificate {
    RevokedCertificate { sha256, whose: None, revoked: None }
}
