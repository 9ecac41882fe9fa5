//! Accounts whose kubeconfigs a rotation has to replace.
//!
//! These are the persons and services with a client certificate of the profile `admin` or `break-glass`: administrators,
//! approvers of requests, processes that sign approved requests at the enrolment CA, and hosts or persons that announce the cluster at
//! a bootstrap endpoint.

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

/// Reasons why a kubeconfig has to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutdatedReason {
    /// It lacks one of the roots that hosts trust: the client would reject servers whose certificates chain to that root.
    MissingRoot,
    /// Its client certificate was not issued by the CA that remains after the rotation or its abort: servers will reject the
    /// client when they trust only that CA.
    OtherIssuer,
    /// It trusts a root that servers no longer use: an attacker with the key of that root could impersonate an API server to
    /// the client.
    RetiredRoot,
}

impl OutdatedReason {
    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::MissingRoot => "root",
            Self::OtherIssuer => "certificate",
            Self::RetiredRoot => "retired-root",
        }
    }
}

/// An account whose kubeconfig has to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutdatedAccount {
    /// The account.
    pub name: String,
    /// Whether it is a break-glass account, whose kubeconfig is issued only on request.
    pub is_break_glass: bool,
    /// Why its kubeconfig has to be replaced.
    pub reason: OutdatedReason,
    /// The kubeconfig, if the directory has one that contains the current certificate.
    pub file: Option<PathBuf>,
    /// The validity of its current certificate.
    pub validity: Lifetime,
    /// When its current certificate expires.
    pub not_after: OffsetDateTime,
}

impl OutdatedAccount {
    /// Returns true if `apply` replaces its kubeconfig: it is in the directory, and not a break-glass one.
    #[must_use]
    pub fn is_replaced_by_apply(&self) -> bool {
        self.file.is_some() && !self.is_break_glass
    }
}

/// Returns the accounts whose kubeconfigs do not match the state of the CAs, sorted by name.
///
/// From phase 1 on, a kubeconfig has to be replaced if it lacks a root that new kubeconfigs get, and from phase 4 on if its
/// certificate was not issued by the new CA. In phase 1, to which an abort goes back, it has to be replaced if its certificate was
/// issued by the new CA. At any time, it has to be replaced if it trusts a root that new kubeconfigs no longer get, unless, outside of
/// a rotation and in phase 0, a retired CA issued its certificate, because servers refuse that certificate anyway.
///
/// Certificates that have expired do not count, nor do revoked ones, except for those that an emergency rotation revoked.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn outdated_accounts(
    trust: &TrustBundle,
    ledger: &Ledger,
    layout: &Layout,
    now: OffsetDateTime,
) -> Result<Vec<OutdatedAccount>, StoreError> {
    if trust.all().count() < 2 {
        return Ok(Vec::new());
    }
    let roots = Roots::of(trust, ledger)?;
    let mut outdated = Vec::new();
    for profile in [Profile::Admin, Profile::BreakGlass] {
        for current in ledger.current_of_accounts(profile.policy().name)?.all()? {
            if !is_valid_or_superseded(&current, trust.rotation()) || current.issued.not_after <= now {
                continue;
            }
            let path = layout.admins().join(format!("{}.conf", current.issued.account));
            let stored = kubeconfig::read(&path).ok();
            let stored = stored.filter(|(certificate, _)| certificate.fingerprint() == current.issued.fingerprint);
            let has = match &stored {
                Some((_, roots)) => roots.iter().map(Certificate::fingerprint).collect(),
                None => roots.at(current.issued_at),
            };
            if let Some(reason) = outdated_reason(&current, &has, &roots) {
                let life = std::time::Duration::try_from(current.issued.not_after - current.not_before);
                outdated.push(OutdatedAccount {
                    name: current.issued.account.clone(),
                    is_break_glass: profile == Profile::BreakGlass,
                    reason,
                    file: stored.map(|_| path),
                    validity: life.map_or(Lifetime::NINETY_DAYS, Lifetime::nearest),
                    not_after: current.issued.not_after,
                });
            }
        }
    }
    outdated.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(outdated)
}

/// Returns true if a certificate is not revoked, or was revoked only because its CA is being replaced.
///
/// An emergency rotation revokes all that the old CA issued. Such an account was not cut off on purpose, so its kubeconfig has to
/// be replaced.
fn is_valid_or_superseded(current: &CurrentCertificate, rotation: Option<&Rotation>) -> bool {
    let is_superseded_by_emergency = |revocation: &Revocation| {
        rotation.is_some_and(|rotation| {
            rotation.phase == Phase::DropOld
                && current.issued.issuer == rotation.old
                && revocation.reason == Reason::Superseded
                && revocation.at >= rotation.began
        })
    };
    current.issued.revocation.as_ref().is_none_or(is_superseded_by_emergency)
}

fn outdated_reason(
    current: &CurrentCertificate,
    has: &BTreeSet<Fingerprint>,
    roots: &Roots<'_>,
) -> Option<OutdatedReason> {
    let issuer = current.issued.issuer;
    let rotation = roots.trust.rotation().filter(|rotation| rotation.phase.trusts_new());
    match rotation {
        Some(rotation) if rotation.phase >= Phase::Clients && issuer != rotation.new => {
            return Some(OutdatedReason::OtherIssuer);
        }
        // The rotation is being aborted: the new CA, which signed it, will be retired.
        Some(rotation) if rotation.phase == Phase::TrustBoth && issuer == rotation.new => {
            return Some(OutdatedReason::OtherIssuer);
        }
        Some(_) if !has.is_superset(&roots.wanted) => return Some(OutdatedReason::MissingRoot),
        // A certificate of a retired CA is refused, whatever its kubeconfig trusts.
        None if !roots.trust.accepted().any(|ca| ca.certificate().fingerprint() == issuer) => return None,
        _ => {}
    }
    has.iter().any(|root| roots.is_known(*root) && !roots.wanted.contains(root)).then_some(OutdatedReason::RetiredRoot)
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

    /// Returns the roots that a kubeconfig issued at `issued_at` got, according to the rotations in the ledger.
    fn at(&self, issued_at: OffsetDateTime) -> BTreeSet<Fingerprint> {
        if self.steps.is_empty() {
            // There was no rotation, or the ledger was rebuilt, which loses these events.
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
            // Before a rotation, in phase 0, and after a rotation that was aborted.
            _ => [old, None],
        };
        let cas = cas.into_iter().flatten().filter_map(|ca| self.trust.find(ca)).map(|(ca, _)| ca);
        cas.chain(self.others()).map(|ca| ca.root().fingerprint()).collect()
    }

    /// Returns the trusted CAs that no recorded rotation names. It is not recorded since when they are trusted, so every kubeconfig
    /// is assumed to have their roots.
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
