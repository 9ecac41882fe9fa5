//! The revocation lists that lie in the directory, beside what the ledger knows: a list that was signed is a promise, and a
//! ledger from a backup may have forgotten it.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use super::remembered;
use super::revocations::GRACE;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::duration::{in_words, stamp};
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::{Certificate, Serial};
use crate::pki::crl::{self, Crl, CrlError};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::store::ledger::unrecorded::UnrecordedRevocation;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::{CertificateRemedy, FileRemedy, Remedy};
use crate::verify::target::Place;

/// No list is longer than this, in bytes; half a million serial numbers would fit.
pub(crate) const MAX_LIST: u64 = 32 << 20;

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is damaged, or another root's.
    #[error("{0}")]
    Unusable(String),
}

/// The list of a root as it lies there, signed by this root; `None` where there is none.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn present(layout: &Layout, kind: CaRole, root: &Certificate) -> Result<Option<Crl>, ListError> {
    let bytes = match files::read(&layout.revocation_list(kind), MAX_LIST) {
        Err(StoreError::Missing(_)) => return Ok(None),
        other => other?,
    };
    let unusable = |error: CrlError| ListError::Unusable(error.to_string());
    let der = crl::lists(&bytes).map_err(unusable)?.swap_remove(0);
    let list = Crl::from_der(der).map_err(unusable)?;
    if !list.is_signed_by(root) {
        return Err(ListError::Unusable(format!("the {} did not sign it", kind.as_str())));
    }
    Ok(Some(list))
}

/// What lists say is revoked, and the ledger does not.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// What the ledger issued, each with the revocation that the list has.
    pub(crate) known: Vec<IssuedCertificate>,
    /// What the ledger does not have: that root's list alone can go on naming it.
    pub(crate) strangers: Vec<UnrecordedRevocation>,
    /// Lists that are damaged, or another root's.
    pub(crate) unusable: Vec<(CaRole, String)>,
}

/// What the lists of all roots say is revoked, and the ledger does not. What ended long ago is no loss, and a list that is not
/// its root's says nothing.
///
/// # Errors
/// When a list cannot be read, or the ledger cannot be used.
pub(crate) fn lost(layout: &Layout, roots: &CaSet, ledger: &Ledger, now: OffsetDateTime) -> Result<Lost, StoreError> {
    let mut lost = Lost::default();
    let unrecorded = ledger.unrecorded()?;
    for kind in CaRole::ALL {
        let root = roots.of(kind);
        let list = match present(layout, kind, root) {
            Ok(Some(list)) => list,
            Ok(None) => continue,
            Err(ListError::Store(error)) => return Err(error),
            Err(ListError::Unusable(why)) => {
                lost.unusable.push((kind, why));
                continue;
            }
        };
        for entry in list.entries() {
            let revocation = Revocation { reason: entry.reason, at: entry.at };
            match ledger.by_issuer_and_serial(root.fingerprint(), &entry.serial)? {
                Some(issued) if issued.revocation.is_some() || issued.not_after <= now - GRACE => {}
                Some(issued) if !issued.is_root() => {
                    lost.known.push(IssuedCertificate { revocation: Some(revocation), ..issued });
                }
                _ => {
                    let serial = Some((root.fingerprint(), entry.serial));
                    if unrecorded.iter().all(|one| one.serial != serial) {
                        lost.strangers.push(UnrecordedRevocation { fingerprint: None, serial, revocation });
                    }
                }
            }
        }
    }
    Ok(lost)
}

/// Refuses to go on where a ledger has forgotten what the lists, or the files that were rendered from it, say is revoked: what
/// it calls good may be revoked.
///
/// # Errors
/// Refused, with what mends it; or when the ledger cannot be used.
pub(crate) fn nothing_is_forgotten(layout: &Layout, roots: &CaSet, ledger: &Ledger, now: OffsetDateTime) -> Result<()> {
    let lost = lost(layout, roots, ledger, now)?;
    if let Some((kind, why)) = lost.unusable.first() {
        let path = layout.revocation_list(*kind);
        let what = format!("{} cannot be used, so nobody can tell what was revoked: {why}", path.display());
        return Err(CliError::new(Exit::Refused, what)
            .hint(format!("restore it from a backup, or sign it again from what the ledger knows: {RENEW}")));
    }
    let lost = lost.known.len();
    if lost == 0 {
        return remembered::refuse_older(&remembered::of_directory(layout, &roots.cluster)?, ledger, now);
    }
    let what = format!(
        "the ledger has forgotten that {} {} revoked, which the lists name",
        count(lost),
        if lost == 1 { "was" } else { "were" }
    );
    Err(CliError::new(Exit::Refused, what)
        .hint("the ledger is from a backup; it learns it again from the lists with: clusterctl revoke --renew"))
}

/// `store.credential` for every list: whether it says what the ledger says. Nothing is said where there is no list, and none
/// is needed.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn findings(
    layout: &Layout,
    roots: &BTreeMap<CaRole, Certificate>,
    ledger: &Ledger,
    now: OffsetDateTime,
    expires_within: Duration,
) -> Result<Vec<Finding>, StoreError> {
    let (revoked, unrecorded) = (ledger.revoked_expiring_after(now)?.all()?, ledger.unrecorded()?);
    let mut findings = Vec::new();
    for (kind, root) in roots {
        let of_root = revoked.iter().filter(|issued| issued.issuer == root.fingerprint());
        let serials = unrecorded.iter().filter_map(|one| one.serial.as_ref());
        let of_others = serials.filter(|(issuer, _)| *issuer == root.fingerprint()).map(|(_, serial)| serial);
        let wanted: BTreeSet<&Serial> = of_root.map(|issued| &issued.serial).chain(of_others).collect();
        let (status, saw, remedy) = match present(layout, *kind, root) {
            Ok(None) if wanted.is_empty() => continue,
            Ok(None) => {
                let saw = format!("it is missing, and the ledger has {} that were revoked", count(wanted.len()));
                (Status::Fail, saw, Some(FileRemedy::RenewCrl.into()))
            }
            Err(why) => (Status::Fail, why.to_string(), Some(FileRemedy::RenewCrl.into())),
            Ok(Some(list)) => judge(&list, root, &wanted, ledger, now, expires_within)?,
        };
        let host = format!("revoked by the {}", kind.as_str());
        let expected = "a list that its root signed, that is not overdue, and that says what the ledger says";
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, &host, status)
            .address(layout.revocation_list(*kind).display().to_string())
            .saw(saw, expected);
        findings.push(match remedy {
            Some(remedy) => finding.remedy(remedy),
            None => finding,
        });
    }
    Ok(findings)
}

/// What heals a list.
const RENEW: &str = "clusterctl revoke --renew";

/// How a list stands to what the ledger has as revoked and not ended: the status, what was seen, and what helps.
fn judge(
    list: &Crl,
    root: &Certificate,
    wanted: &BTreeSet<&Serial>,
    ledger: &Ledger,
    now: OffsetDateTime,
    expires_within: Duration,
) -> Result<(Status, String, Option<Remedy>), StoreError> {
    let mut wrong = Vec::new();
    if list.this_update > now {
        wrong.push(format!("it was signed at {}, and it is {} here", stamp(list.this_update), stamp(now)));
        if wanted.iter().all(|serial| list.serials.contains(*serial)) {
            return Ok((Status::Fail, wrong.join("; "), Some(CertificateRemedy::CompareClocks.into())));
        }
    }
    match list.next_update {
        Some(next) if next > now => {}
        Some(next) => wrong.push(format!("it is overdue since {}", stamp(next))),
        None => wrong.push("it does not say when the next one is due".to_owned()),
    }
    let missed = wanted.iter().filter(|serial| !list.serials.contains(**serial)).count();
    if missed > 0 {
        wrong.push(format!("it lacks {} that were revoked", count(missed)));
    }
    let (mut forgotten, mut strangers) = (0, 0);
    for serial in list.serials.iter().filter(|serial| !wanted.contains(serial)) {
        match ledger.by_issuer_and_serial(root.fingerprint(), serial)? {
            Some(issued) => forgotten += usize::from(issued.revocation.is_none()),
            None => strangers += 1,
        }
    }
    if forgotten > 0 {
        wrong.push(format!("it names {} that the ledger takes for good", count(forgotten)));
    }
    if !wrong.is_empty() {
        return Ok((Status::Fail, wrong.join("; "), Some(FileRemedy::RenewCrl.into())));
    }
    if strangers > 0 {
        let saw = format!("it names {} that the ledger never heard of", count(strangers));
        return Ok((Status::Warn, saw, Some(FileRemedy::RestoreLedger.into())));
    }
    let next = list.next_update.map(stamp).unwrap_or_default();
    if let Some(due) = list.next_update {
        let span = due - list.this_update;
        // A list that was made for a short time is not warned of all of that time.
        if due - now <= expires_within.min(span / 3) {
            let saw = format!("due again in {}, at {next}", in_words(due - now));
            return Ok((Status::Warn, saw, Some(FileRemedy::RenewCrl.into())));
        }
    }
    Ok((Status::Pass, format!("{} revoked, due again at {next}", list.serials.len()), None))
}

/// So many certificates, in words.
pub(crate) fn count(count: usize) -> String {
    if count == 1 { "1 certificate".to_owned() } else { format!("{count} certificates") }
}
