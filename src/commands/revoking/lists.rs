//! The revocation lists that lie in the directory, beside what the ledger knows: a list that was signed is a promise, and a
//! ledger from a backup may have forgotten it.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::revocations::GRACE;
use crate::cluster::profile::RootKind;
use crate::failure::{Exit, Failure};
use crate::pki::certificate::{Certificate, Serial};
use crate::pki::crl::{self, Crl, Revoked};
use crate::pki::inspect::stamp;
use crate::pki::roots::Roots;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::revocations::{Issued, Revocation};
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::target::Place;

/// No list is longer than this, in bytes.
const MAX_LIST: u64 = 16 << 20;

/// The list of a root as it lies there, signed by this root; `None` where there is none.
///
/// # Errors
/// Why it cannot be used, in words.
pub(crate) fn present(layout: &Layout, kind: RootKind, root: &Certificate) -> Result<Option<Crl>, String> {
    let bytes = match files::read(&layout.revocation_list(kind), MAX_LIST) {
        Err(StoreError::Missing(_)) => return Ok(None),
        other => other.map_err(|error| error.to_string())?,
    };
    let der = crl::lists(&bytes).map_err(|error| error.to_string())?.swap_remove(0);
    let list = Crl::from_der(der).map_err(|error| error.to_string())?;
    if !list.is_signed_by(root) {
        return Err(format!("the {} did not sign it", kind.as_str()));
    }
    Ok(Some(list))
}

/// What lists say is revoked, and the ledger does not.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// What the ledger issued, each with the revocation that the list has.
    pub(crate) known: Vec<Issued>,
    /// What the ledger never heard of: that root's list alone can go on naming it.
    pub(crate) strangers: Vec<(RootKind, Revoked)>,
}

/// What the lists of all roots say is revoked, and the ledger does not. What ended long ago is no loss, and a list that is not
/// its root's says nothing.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn lost(layout: &Layout, roots: &Roots, ledger: &Ledger, now: OffsetDateTime) -> Result<Lost, StoreError> {
    let mut lost = Lost::default();
    for kind in RootKind::ALL {
        let root = roots.of(kind);
        let Ok(Some(list)) = present(layout, kind, root) else { continue };
        for entry in list.entries() {
            match ledger.issued_by(root.fingerprint(), &entry.serial)? {
                Some(issued) if issued.revocation.is_some() || issued.not_after <= now - GRACE => {}
                Some(issued) if !issued.is_root() => {
                    let revocation = Some(Revocation { reason: entry.reason, at: entry.at });
                    lost.known.push(Issued { revocation, ..issued });
                }
                _ => lost.strangers.push((kind, entry)),
            }
        }
    }
    Ok(lost)
}

/// Refuses to go on where a ledger has forgotten what the lists say is revoked: what it calls good may be revoked.
///
/// # Errors
/// Refused, with what mends it; or when the ledger cannot be used.
pub(crate) fn nothing_is_forgotten(
    layout: &Layout,
    roots: &Roots,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> anyhow::Result<()> {
    let lost = lost(layout, roots, ledger, now)?.known.len();
    if lost == 0 {
        return Ok(());
    }
    let what = format!(
        "the ledger has forgotten that {} {} revoked, which the lists name",
        count(lost),
        if lost == 1 { "was" } else { "were" }
    );
    Err(Failure::new(Exit::Refused, what)
        .hint("the ledger is from a backup; it learns it again from the lists with: clusterctl revoke --renew")
        .into())
}

/// `store.credential` for every list: whether it says what the ledger says. Nothing is said where there is no list, and none
/// is needed.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn findings(
    layout: &Layout,
    roots: &BTreeMap<RootKind, Certificate>,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Vec<Finding>, StoreError> {
    let revoked = ledger.revoked_until(now)?;
    let mut findings = Vec::new();
    for (kind, root) in roots {
        let of_root = revoked.iter().filter(|issued| issued.issuer == root.fingerprint());
        let wanted: BTreeSet<&Serial> = of_root.map(|issued| &issued.serial).collect();
        let (status, saw, hint) = match present(layout, *kind, root) {
            Ok(None) if wanted.is_empty() => continue,
            Ok(None) => {
                let saw = format!("it is missing, and the ledger has {} that were revoked", count(wanted.len()));
                (Status::Fail, saw, Some(RENEW))
            }
            Err(why) => (Status::Fail, why, Some(RENEW)),
            Ok(Some(list)) => judge(&list, root, &wanted, ledger, now)?,
        };
        let host = format!("revoked by the {}", kind.as_str());
        let expected = "a list that its root signed, that is not overdue, and that says what the ledger says";
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, &host, status)
            .address(layout.revocation_list(*kind).display().to_string())
            .saw(saw, expected);
        findings.push(match hint {
            Some(hint) => finding.hint(hint),
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
) -> Result<(Status, String, Option<&'static str>), StoreError> {
    let mut wrong = Vec::new();
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
        match ledger.issued_by(root.fingerprint(), serial)? {
            Some(issued) => forgotten += usize::from(issued.revocation.is_none()),
            None => strangers += 1,
        }
    }
    if forgotten > 0 {
        wrong.push(format!("it names {} that the ledger takes for good", count(forgotten)));
    }
    if !wrong.is_empty() {
        return Ok((Status::Fail, wrong.join("; "), Some(RENEW)));
    }
    if strangers > 0 {
        let saw = format!("it names {} that the ledger never heard of", count(strangers));
        return Ok((
            Status::Warn,
            saw,
            Some("restore the newest ledger that there is: this one is older than the list"),
        ));
    }
    let next = list.next_update.map(stamp).unwrap_or_default();
    Ok((Status::Pass, format!("{} revoked, due again at {next}", list.serials.len()), None))
}

/// So many certificates, in words.
pub(crate) fn count(count: usize) -> String {
    if count == 1 { "1 certificate".to_owned() } else { format!("{count} certificates") }
}
