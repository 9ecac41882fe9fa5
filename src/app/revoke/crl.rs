//! The CRLs in the cluster directory, compared with the ledger.
//!
//! A CRL that was signed is a promise: a ledger that was restored from a backup may lack revocations that it lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use time::{Duration, OffsetDateTime};

use super::crl_file::{CrlFileError, read};
use super::denials::{GRACE, listed};
use super::error::RevokeError;
use super::notice::Notice;
use crate::app::count::certificates as count;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::duration::{in_words, stamp};
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::{Certificate, Serial};
use crate::pki::crl::{Crl, Revoked};
use crate::pki::issuer::Issuer;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::files::{self, PUBLIC};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::store::ledger::unrecorded::UnrecordedRevocation;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::{CertificateRemedy, FileRemedy, Remedy};
use crate::verify::target::Place;

/// The validity of a CRL where no other is asked for.
pub const DEFAULT_VALIDITY: Lifetime = Lifetime::NINETY_DAYS;

/// Revocations that the CRLs have and the ledger does not.
#[derive(Debug, Default)]
pub(super) struct MissingRevocations {
    /// Certificates that the ledger has, each with the revocation of the CRL.
    pub(super) recorded: Vec<IssuedCertificate>,
    /// Serial numbers whose certificates the ledger does not have.
    pub(super) serials: Vec<UnrecordedRevocation>,
    /// CRLs that are damaged, or that another CA signed.
    pub(super) unusable: Vec<(CaRole, CrlFileError)>,
}

/// Finds the revocations that the CRLs have and the ledger does not.
///
/// A certificate that expired long ago is left out, and so is a CRL that its CA did not sign.
///
/// # Errors
/// When a CRL cannot be read, or the ledger cannot be used.
pub(super) fn missing_revocations(
    layout: &Layout,
    cas: &CaSet,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<MissingRevocations, StoreError> {
    let mut missing = MissingRevocations::default();
    let unrecorded = ledger.unrecorded()?;
    for role in CaRole::ALL {
        let ca = cas.of(role).active().certificate();
        let crl = match read(layout, role, ca) {
            Ok(Some(crl)) => crl,
            Ok(None) => continue,
            Err(CrlFileError::Store(error)) => return Err(error),
            Err(why @ (CrlFileError::Malformed(_) | CrlFileError::OtherIssuer(_))) => {
                missing.unusable.push((role, why));
                continue;
            }
        };
        for entry in crl.entries() {
            let revocation = Revocation { reason: entry.reason, at: entry.at };
            match ledger.by_issuer_and_serial(ca.fingerprint(), &entry.serial)? {
                Some(issued) if issued.revocation.is_some() || issued.not_after <= now - GRACE => {}
                Some(issued) if !issued.is_root() => {
                    missing.recorded.push(IssuedCertificate { revocation: Some(revocation), ..issued });
                }
                _ => {
                    let serial = Some((ca.fingerprint(), entry.serial));
                    if unrecorded.iter().all(|one| one.serial != serial) {
                        missing.serials.push(UnrecordedRevocation { fingerprint: None, serial, revocation });
                    }
                }
            }
        }
    }
    Ok(missing)
}

/// Signs the CRL of one CA from what the ledger knows, writes it, and returns its file.
///
/// # Errors
/// When the CRL cannot be made, or the ledger or the disk cannot be used.
pub(crate) fn sign(
    issuer: &Issuer,
    validity: Lifetime,
    ledger: &mut Ledger,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<PathBuf, Error> {
    let (role, ca) = (issuer.ca().role(), issuer.ca().certificate());
    let next_update = env.now + validity.duration();
    let entries = entries(ca, ledger, env.now)?;
    let path = env.layout.revocation_list(role);
    let present = read(&env.layout, role, ca).unwrap_or_else(|why| {
        observer.notice(Notice::CrlReplaced { path: path.clone(), why }.into());
        None
    });
    // A ledger from a backup may lack the last numbers. The CRL in the directory has them unless it is from that backup, too; and
    // the time in seconds is greater in any case.
    let at_least = present.and_then(|crl| crl.number).map_or(1, |number| number.saturating_add(1));
    let at_least = at_least.max(u64::try_from(env.now.unix_timestamp()).unwrap_or(1));
    let number = ledger.next_crl_number(ca.fingerprint(), at_least, env.now, next_update)?;
    let crl = issuer
        .revocation_list(&entries, number, env.now, next_update)
        .map_err(|source| RevokeError::Crl { role, source })?;
    files::replace(&path, crl.to_pem().as_bytes(), PUBLIC)?;
    Ok(path)
}

/// Returns what the CRL of a CA has to list.
fn entries(ca: &Certificate, ledger: &Ledger, now: OffsetDateTime) -> Result<Vec<Revoked>, StoreError> {
    let ca = ca.fingerprint();
    let recorded = listed(ledger, now)?.into_iter().filter(|issued| issued.issuer == ca).filter_map(|issued| {
        let Revocation { reason, at } = issued.revocation?;
        Some(Revoked { serial: issued.serial, at, reason })
    });
    let unrecorded = ledger.unrecorded()?.into_iter().filter_map(|one| {
        let (issuer, serial) = one.serial?;
        let Revocation { reason, at } = one.revocation;
        (issuer == ca).then_some(Revoked { serial, at, reason })
    });
    Ok(recorded.chain(unrecorded).collect())
}

/// `store.credential` for every list: whether it says what the ledger says. Nothing is said where there is no list, and none
/// is needed.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn findings(
    layout: &Layout,
    roots: &BTreeMap<CaRole, TrustBundle>,
    ledger: &Ledger,
    now: OffsetDateTime,
    expires_within: Duration,
) -> Result<Vec<Finding>, StoreError> {
    let (revoked, unrecorded) = (ledger.revoked_expiring_after(now)?.all()?, ledger.unrecorded()?);
    let mut findings = Vec::new();
    for (kind, trust) in roots {
        let root = trust.active().certificate();
        let of_root = revoked.iter().filter(|issued| issued.issuer == root.fingerprint());
        let serials = unrecorded.iter().filter_map(|one| one.serial.as_ref());
        let of_others = serials.filter(|(issuer, _)| *issuer == root.fingerprint()).map(|(_, serial)| serial);
        let wanted: BTreeSet<&Serial> = of_root.map(|issued| &issued.serial).chain(of_others).collect();
        let (status, saw, remedy) = match read(layout, *kind, root) {
            Ok(None) if wanted.is_empty() => continue,
            Ok(None) => {
                let saw = format!("it is missing, and the ledger has {} as revoked", count(wanted.len()));
                (Status::Fail, saw, Some(FileRemedy::RenewCrl.into()))
            }
            Err(why) => (Status::Fail, why.to_string(), Some(FileRemedy::RenewCrl.into())),
            Ok(Some(list)) => judge(&list, root, &wanted, ledger, now, expires_within)?,
        };
        let host = format!("CRL of the {}", kind.as_str());
        let expected = "a current CRL of its CA that lists what the ledger has as revoked";
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
        wrong.push(format!("its thisUpdate is {}, and the time here is {}", stamp(list.this_update), stamp(now)));
        if wanted.iter().all(|serial| list.serials.contains(*serial)) {
            return Ok((Status::Fail, wrong.join("; "), Some(CertificateRemedy::CompareClocks.into())));
        }
    }
    match list.next_update {
        Some(next) if next > now => {}
        Some(next) => wrong.push(format!("it expired at {}", stamp(next))),
        None => wrong.push("it has no nextUpdate".to_owned()),
    }
    let missed = wanted.iter().filter(|serial| !list.serials.contains(**serial)).count();
    if missed > 0 {
        wrong.push(format!("it does not list {} that the ledger has as revoked", count(missed)));
    }
    let (mut forgotten, mut unknown) = (0, 0);
    for serial in list.serials.iter().filter(|serial| !wanted.contains(serial)) {
        match ledger.by_issuer_and_serial(root.fingerprint(), serial)? {
            Some(issued) => forgotten += usize::from(issued.revocation.is_none()),
            None => unknown += 1,
        }
    }
    if forgotten > 0 {
        wrong.push(format!("it lists {} that the ledger does not have as revoked", count(forgotten)));
    }
    if !wrong.is_empty() {
        return Ok((Status::Fail, wrong.join("; "), Some(FileRemedy::RenewCrl.into())));
    }
    if unknown > 0 {
        let saw = format!("it lists {} that the ledger does not have", count(unknown));
        return Ok((Status::Warn, saw, Some(FileRemedy::RestoreLedger.into())));
    }
    let next = list.next_update.map(stamp).unwrap_or_default();
    if let Some(due) = list.next_update {
        let span = due - list.this_update;
        // A list that was made for a short time is not warned of all of that time.
        if due - now <= expires_within.min(span / 3) {
            let saw = format!("it expires in {}, at {next}", in_words(due - now));
            return Ok((Status::Warn, saw, Some(FileRemedy::RenewCrl.into())));
        }
    }
    Ok((Status::Pass, format!("{} revoked, expires at {next}", list.serials.len()), None))
}
