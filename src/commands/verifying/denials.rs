//! What API servers have to deny, by the ledger and by the file of rules that `policy` and `revoke` write.

use std::cmp::Reverse;
use std::collections::HashSet;

use time::OffsetDateTime;

use crate::app::revoke::{denials, rendered};
use crate::bundle::policy::AUTHORIZATION;
use crate::bundle::verifier;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
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

/// The rule about nodes that every such file has.
const NODE_RULE: &str = "name: kubelets-lists";

/// No such file of a verifier bundle is larger than this, in bytes.
const MAX_DENIALS: u64 = 64 << 10;

/// Returns the directory's file of rules for API servers; empty where there is none.
///
/// # Errors
/// When it is there and cannot be read.
pub(crate) fn rules(layout: &Layout) -> Result<String, StoreError> {
    match files::read(&layout.policy().join(AUTHORIZATION), denials::MAX_RULES) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(StoreError::Missing(_)) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Returns what API servers have to deny by a directory without a ledger: an unpacked verifier bundle, or files that were copied
/// one by one.
///
/// # Errors
/// A usage error for a file that is none of ours; or when one cannot be read.
pub(crate) fn without_a_ledger(layout: &Layout, rules: &str) -> Result<ExpectedDenials> {
    match files::read(&layout.dir().join(verifier::DENIALS), MAX_DENIALS) {
        Ok(bytes) => Ok(of_bundle(&bytes)?),
        Err(StoreError::Missing(_)) => {
            let denied = rendered::denied_in(rules).into_iter();
            Ok(ExpectedDenials::new(denied.map(unknown).collect(), rules.contains(NODE_RULE)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns what API servers have to deny by a verifier bundle's file.
///
/// # Errors
/// A usage error for a file that is none of ours.
pub(crate) fn of_bundle(bytes: &[u8]) -> Result<ExpectedDenials> {
    ExpectedDenials::from_json(bytes).map_err(|why| {
        CliError::new(Exit::Usage, format!("{} of the verifier bundle cannot be used: {why}", verifier::DENIALS))
            .hint("pack it again with this version: clusterctl bundle --verifier")
    })
}

/// Returns what API servers have to deny by a ledger and a file of rules. What the file denies and the ledger does not have as
/// revoked counts, too: the ledger may be from a backup. Expired certificates are left out: no server accepts them.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn of(
    rules: &str,
    ledger: &Ledger,
    root: &TrustBundle,
    now: OffsetDateTime,
) -> Result<ExpectedDenials, StoreError> {
    let revoked = ledger.revoked_expiring_after(now)?.all()?;
    let mut dated: Vec<(OffsetDateTime, RevokedCertificate)> = Vec::new();
    for issued in denials::denied(&revoked, root) {
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
    // In the order of revocation among those of one second.
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
