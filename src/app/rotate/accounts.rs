//! Administrators, approvers, signers and announcers whose kubeconfigs a rotation has to replace.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::state::ROTATED;
use crate::app::admin::kubeconfig;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::Profile;
use crate::pki::certificate::Certificate;
use crate::pki::reason::Reason;
use crate::pki::rotation::{Phase, Rotation};
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::current::CurrentCertificate;
use crate::store::ledger::revocations::Revocation;

/// What a kubeconfig lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lacks {
    /// One of the roots that hosts trust: the client would reject servers whose certificate is of that root.
    Root,
    /// A certificate of the root that stays: servers will reject the client when they trust only that root.
    Certificate,
}

impl Lacks {
    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Certificate => "certificate",
        }
    }
}

/// An account whose kubeconfig has to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBehind {
    /// The account.
    pub name: String,
    /// Whether it is a break-glass account, whose kubeconfig is issued only on request.
    pub is_break_glass: bool,
    /// What its kubeconfig lacks.
    pub lacks: Lacks,
    /// The kubeconfig, if the directory still has the one with its present certificate.
    pub file: Option<PathBuf>,
    /// The validity of its present certificate.
    pub validity: Lifetime,
    /// When its present certificate expires.
    pub not_after: OffsetDateTime,
}

impl AccountBehind {
    /// Returns true if its kubeconfig can be replaced in the directory.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.file.is_some() && !self.is_break_glass
    }
}

/// Returns the accounts whose kubeconfigs are behind the phase of the rotation, sorted by name.
///
/// From phase 1 on these are the kubeconfigs that lack one of the roots, from phase 4 on those with a certificate of the old
/// root, and while a rotation is being aborted those with a certificate of the new root.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn accounts_behind(
    trust: &TrustBundle,
    ledger: &Ledger,
    layout: &Layout,
    now: OffsetDateTime,
) -> Result<Vec<AccountBehind>, StoreError> {
    let Some(rotation) = trust.rotation().filter(|rotation| rotation.phase.trusts_new()) else {
        return Ok(Vec::new());
    };
    let trusted_since = began(ledger, trust, Phase::TrustBoth)?.unwrap_or(rotation.began);
    let mut behind = Vec::new();
    for profile in [Profile::Admin, Profile::BreakGlass] {
        for current in ledger.current_of_accounts(profile.policy().name)?.all()? {
            if !is_in_use(&current, rotation) || current.issued.not_after <= now {
                continue;
            }
            let path = layout.admins().join(format!("{}.conf", current.issued.account));
            let present = kubeconfig::read(&path).ok();
            let present = present.filter(|(own, _)| own.fingerprint() == current.issued.fingerprint);
            let roots = present.as_ref().map(|(_, roots)| roots.as_slice());
            if let Some(lacks) = lacks(&current, roots, rotation, trust, trusted_since) {
                let life = std::time::Duration::try_from(current.issued.not_after - current.not_before);
                behind.push(AccountBehind {
                    name: current.issued.account.clone(),
                    is_break_glass: profile == Profile::BreakGlass,
                    lacks,
                    file: present.map(|_| path),
                    validity: life.map_or(Lifetime::NINETY_DAYS, Lifetime::nearest),
                    not_after: current.issued.not_after,
                });
            }
        }
    }
    behind.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(behind)
}

/// Returns true if a certificate was not revoked, or only because its CA is being replaced in an emergency.
fn is_in_use(current: &CurrentCertificate, rotation: &Rotation) -> bool {
    let is_replaced = |revocation: &Revocation| {
        rotation.phase == Phase::DropOld
            && current.issued.issuer == rotation.old
            && revocation.reason == Reason::Superseded
            && revocation.at >= rotation.began
    };
    current.issued.revocation.as_ref().is_none_or(is_replaced)
}

fn lacks(
    current: &CurrentCertificate,
    roots: Option<&[Certificate]>,
    rotation: &Rotation,
    trust: &TrustBundle,
    trusted_since: OffsetDateTime,
) -> Option<Lacks> {
    if rotation.phase >= Phase::Clients {
        return (current.issued.issuer != rotation.new).then_some(Lacks::Certificate);
    }
    // The rotation is being aborted: the new CA, which signed it, will be retired.
    if rotation.phase == Phase::TrustBoth && current.issued.issuer == rotation.new {
        return Some(Lacks::Certificate);
    }
    let has_all = match roots {
        Some(roots) => trust.anchors().into_iter().all(|anchor| roots.contains(anchor)),
        // The kubeconfig is elsewhere. It has the roots that were trusted when it was issued.
        None => current.issued_at >= trusted_since,
    };
    (!has_all).then_some(Lacks::Root)
}

/// Returns when a phase of this rotation began, by the ledger.
fn began(ledger: &Ledger, trust: &TrustBundle, phase: Phase) -> Result<Option<OffsetDateTime>, StoreError> {
    let events = ledger.events_about(ROTATED, trust.role().name())?;
    let is_meant = |text: &str| text.split(',').next() == Some(phase.as_str());
    Ok(events.into_iter().rev().find(|(_, text)| is_meant(text)).map(|(at, _)| at))
}
