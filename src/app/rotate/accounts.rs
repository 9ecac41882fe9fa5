//! Administrators, approvers, signers and announcers whose kubeconfigs a rotation has to replace.

use std::collections::BTreeSet;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::plan::Target;
use super::state::ROTATED;
use crate::app::admin::kubeconfig;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::Profile;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
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
    /// The removal of a root that servers no longer use: who has the key of that root could be an API server to the client.
    Removal,
}

impl Lacks {
    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Certificate => "certificate",
            Self::Removal => "retired-root",
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

/// Returns the accounts whose kubeconfigs are behind, sorted by name.
///
/// In phases 1 to 3 these are the kubeconfigs that lack one of the roots, from phase 4 on those with a certificate of the old
/// root, and while a rotation is being aborted those with a certificate of the new root. From phase 4 on, and after a
/// rotation that ended or was aborted, they are also those that trust a root which servers no longer use.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn accounts_behind(
    trust: &TrustBundle,
    ledger: &Ledger,
    layout: &Layout,
    now: OffsetDateTime,
) -> Result<Vec<AccountBehind>, StoreError> {
    if trust.all().count() < 2 {
        return Ok(Vec::new());
    }
    let roots = Roots::of(trust, ledger)?;
    let mut behind = Vec::new();
    for profile in [Profile::Admin, Profile::BreakGlass] {
        for current in ledger.current_of_accounts(profile.policy().name)?.all()? {
            if !is_in_use(&current, trust.rotation()) || current.issued.not_after <= now {
                continue;
            }
            let path = layout.admins().join(format!("{}.conf", current.issued.account));
            let present = kubeconfig::read(&path).ok();
            let present = present.filter(|(own, _)| own.fingerprint() == current.issued.fingerprint);
            let has = match &present {
                Some((_, roots)) => roots.iter().map(Certificate::fingerprint).collect(),
                None => roots.at(current.issued_at),
            };
            if let Some(lacks) = lacks(&current, &has, &roots) {
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
fn is_in_use(current: &CurrentCertificate, rotation: Option<&Rotation>) -> bool {
    let is_replaced = |revocation: &Revocation| {
        rotation.is_some_and(|rotation| {
            rotation.phase == Phase::DropOld
                && current.issued.issuer == rotation.old
                && revocation.reason == Reason::Superseded
                && revocation.at >= rotation.began
        })
    };
    current.issued.revocation.as_ref().is_none_or(is_replaced)
}

fn lacks(current: &CurrentCertificate, has: &BTreeSet<Fingerprint>, roots: &Roots<'_>) -> Option<Lacks> {
    let issuer = current.issued.issuer;
    let rotation = roots.trust.rotation().filter(|rotation| rotation.phase.trusts_new());
    match rotation {
        Some(rotation) if rotation.phase >= Phase::Clients && issuer != rotation.new => {
            return Some(Lacks::Certificate);
        }
        // The rotation is being aborted: the new CA, which signed it, will be retired.
        Some(rotation) if rotation.phase == Phase::TrustBoth && issuer == rotation.new => {
            return Some(Lacks::Certificate);
        }
        Some(_) if !has.is_superset(&roots.wanted) => return Some(Lacks::Root),
        // A certificate of a retired CA is refused, whatever its kubeconfig trusts.
        None if issuer != roots.trust.active().certificate().fingerprint() => return None,
        _ => {}
    }
    has.iter().any(|root| roots.is_known(*root) && !roots.wanted.contains(root)).then_some(Lacks::Removal)
}

/// The roots of accounts' kubeconfigs, now and earlier.
struct Roots<'a> {
    trust: &'a TrustBundle,
    /// The roots that a kubeconfig gets now.
    wanted: BTreeSet<Fingerprint>,
    /// The steps of all rotations, in their order.
    steps: Vec<(OffsetDateTime, String)>,
}

impl<'a> Roots<'a> {
    fn of(trust: &'a TrustBundle, ledger: &Ledger) -> Result<Self, StoreError> {
        let wanted = trust.anchors_of_accounts().into_iter().map(Certificate::fingerprint).collect();
        Ok(Self { trust, wanted, steps: ledger.events_about(ROTATED, trust.role().name())? })
    }

    fn is_known(&self, root: Fingerprint) -> bool {
        self.trust.all().any(|(ca, _)| ca.root().fingerprint() == root)
    }

    /// Returns the roots of a kubeconfig that was issued at a time, by the ledger.
    fn at(&self, issued_at: OffsetDateTime) -> BTreeSet<Fingerprint> {
        if self.steps.is_empty() {
            // The ledger was made anew.
            let is_later = self.trust.rotation().is_none_or(|rotation| issued_at >= rotation.began);
            return if is_later { self.wanted.clone() } else { BTreeSet::new() };
        }
        let last = self.steps.iter().rev().find(|(at, _)| *at <= issued_at);
        let (step, (old, new)) = match (last, self.steps.first()) {
            (Some((_, text)), _) => (text.split(',').next().unwrap_or_default(), cas_in(text)),
            (None, Some((_, first))) => ("", cas_in(first)),
            (None, None) => return BTreeSet::new(),
        };
        let cas = match step {
            _ if [Phase::TrustBoth, Phase::Canary, Phase::Servers].iter().any(|phase| phase.as_str() == step) => {
                [old, new]
            }
            _ if [Phase::Clients.as_str(), Phase::DropOld.as_str(), Target::Retire.as_str()].contains(&step) => {
                [None, new]
            }
            // Before a rotation, and after one that was aborted.
            _ => [old, None],
        };
        let cas = cas.into_iter().flatten().filter_map(|ca| self.trust.find(ca)).map(|(ca, _)| ca);
        cas.chain(self.others()).map(|ca| ca.root().fingerprint()).collect()
    }

    /// Returns the CAs that are trusted without having signed in a rotation. Nothing says since when they are.
    fn others(&self) -> impl Iterator<Item = &CaCertificate> {
        let named: Vec<Fingerprint> =
            self.steps.iter().flat_map(|(_, text)| <[_; 2]>::from(cas_in(text))).flatten().collect();
        self.trust.accepted().filter(move |ca| !named.contains(&ca.certificate().fingerprint()))
    }
}

/// Returns the old and the new CA of a step.
fn cas_in(text: &str) -> (Option<Fingerprint>, Option<Fingerprint>) {
    let named = |key: &str| {
        let mut parts = text.split(", ").filter_map(|part| part.strip_prefix(key));
        parts.next().and_then(Fingerprint::parse)
    };
    (named("old "), named("new "))
}
