//! The revoked certificates that API servers deny, and the authorization configuration that denies them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use time::{Duration, OffsetDateTime};

use super::error::RevokeError;
use crate::app::error::Error;
use crate::app::package::TemplatesError;
use crate::bundle::policy;
use crate::bundle::render::Templates;
use crate::cluster::profile::{TABLE, Usage};
use crate::cluster::spec::Cluster;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::rbac::denials::Denials;
use crate::rbac::mark::LedgerMark;
use crate::store::error::StoreError;
use crate::store::files::{self, PUBLIC};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;

/// How long an expired certificate is still listed, because clocks differ.
pub(crate) const GRACE: Duration = Duration::DAY;
/// The largest authorization configuration that is read, in bytes.
pub(crate) const MAX_RULES: u64 = 16 << 20;

/// Returns the revoked certificates that have not expired, or expired less than [`GRACE`] ago.
///
/// # Errors
/// Returns an error if the ledger cannot be used.
pub(super) fn listed(ledger: &Ledger, now: OffsetDateTime) -> Result<Vec<IssuedCertificate>, StoreError> {
    ledger.revoked_expiring_after(now - GRACE)?.all()
}

/// Returns the certificates that API servers deny: the revoked client certificates of the cluster's CA.
///
/// # Errors
/// Returns [`RevokeError::TooManyDenials`], or an error if the ledger cannot be used.
pub fn of_ledger(ledger: &Ledger, root: &TrustBundle, now: OffsetDateTime) -> Result<Denials, Error> {
    let (listed, unrecorded) = (listed(ledger, now)?, ledger.unrecorded()?);
    let recorded: BTreeSet<Fingerprint> = denied(&listed, root).map(|issued| issued.fingerprint).collect();
    let others = listed.iter().map(|issued| issued.fingerprint).filter(|sha256| !recorded.contains(sha256));
    let others: Vec<Fingerprint> = others.collect();
    let all = recorded.into_iter().chain(unrecorded.iter().filter_map(|one| one.fingerprint));
    let mark = LedgerMark { sequence: ledger.sequence()?, root: root.active().certificate().fingerprint() };
    let denials = Denials::of(all).map_err(RevokeError::TooManyDenials)?;
    Ok(denials.beside(others).as_of(mark))
}

/// Returns the client certificates among `revoked` that a CA of `root` signed.
pub(crate) fn denied<'i>(
    revoked: &'i [IssuedCertificate],
    root: &'i TrustBundle,
) -> impl Iterator<Item = &'i IssuedCertificate> {
    revoked.iter().filter(move |issued| is_denied(issued, root))
}

/// Returns true if a revoked certificate is a client certificate that a CA of `root` signed.
fn is_denied(issued: &IssuedCertificate, root: &TrustBundle) -> bool {
    let row = TABLE.iter().find(|row| row.name == issued.profile);
    root.has(issued.issuer) && row.is_none_or(|row| row.usage != Usage::Server)
}

/// Returns the last certificates that API servers have to deny, each with the time of its revocation: at most one that the
/// ledger has, and one that it does not have.
///
/// # Errors
/// Returns an error if the ledger cannot be used.
pub(crate) fn last_denied(
    ledger: &Ledger,
    root: &TrustBundle,
    now: OffsetDateTime,
) -> Result<Vec<(Fingerprint, OffsetDateTime)>, StoreError> {
    let mut last: Option<(Fingerprint, OffsetDateTime)> = None;
    let mut keep_later = |fingerprint, at| {
        // They come in the order in which they were recorded.
        if last.is_none_or(|(_, before)| before <= at) {
            last = Some((fingerprint, at));
        }
    };
    for issued in ledger.revoked_expiring_after(now - GRACE)?.rows() {
        let issued = issued?;
        if let Some(revocation) = issued.revocation.as_ref().filter(|_| is_denied(&issued, root)) {
            keep_later(issued.fingerprint, revocation.at);
        }
    }
    let unrecorded = ledger.unrecorded()?.into_iter().filter_map(|one| Some((one.fingerprint?, one.revocation.at)));
    Ok(last.into_iter().chain(unrecorded.max_by_key(|(_, at)| *at)).collect())
}

/// Writes the authorization configuration into the policy folder, and returns its path.
///
/// # Errors
/// Returns [`TemplatesError::Render`], or an error if a file cannot be written.
pub(crate) fn write_authorization(
    cluster: &Cluster,
    denials: &Denials,
    templates: &Templates,
    layout: &Layout,
) -> Result<PathBuf, Error> {
    let text = authorization(cluster, denials, templates)?;
    let (path, folder) = (layout.policy().join(policy::AUTHORIZATION), layout.policy().join(policy::MASTERS));
    files::create_folder(&folder)?;
    files::sweep(&folder)?;
    if !files::holds(&path, text.as_bytes()) {
        files::replace(&path, text.as_bytes(), PUBLIC)?;
    }
    Ok(path)
}

/// Returns the text of the authorization configuration.
///
/// # Errors
/// Returns [`TemplatesError::Render`].
pub(crate) fn authorization(
    cluster: &Cluster,
    denials: &Denials,
    templates: &Templates,
) -> Result<String, TemplatesError> {
    templates
        .authorization(cluster, denials)
        .map_err(|source| TemplatesError::Render { output: "the API servers' authorization configuration", source })
}
