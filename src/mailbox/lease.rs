//! The Lease that exactly one of several signers holds.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

/// The Lease, and this process as its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The identity of this process.
    pub holder: String,
    /// Its duration without a renewal, in seconds.
    pub seconds: u16,
}

/// The last version of the Lease that this process saw, and when. As in client-go (`tools/leaderelection`), another holder's Lease
/// expires its duration after this process saw the last change, so that clocks need not agree.
#[derive(Debug, Default)]
pub(super) struct Observed(Mutex<Option<(String, Instant)>>);

impl Observed {
    /// Returns true if another process holds the Lease and renewed it in time.
    pub(super) fn is_held_by_another(&self, lease: &Lease, terms: &LeaseTerms) -> bool {
        let Some(spec) = &lease.spec else { return false };
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == terms.holder {
            return false;
        }
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.unwrap_or_default().max(1);
        let life = Duration::from_secs(u64::try_from(seconds).unwrap_or(1));
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*seen {
            Some((known, at)) if *known == version => at.elapsed() < life,
            _ => {
                *seen = Some((version, Instant::now()));
                true
            }
        }
    }
}

/// Returns the Lease as this process writes it to hold it; `found` is the existing one.
pub(super) fn taken(found: Option<&Lease>, terms: &LeaseTerms, now: MicroTime) -> Lease {
    let old = found.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let is_own = old.holder_identity.as_deref() == Some(terms.holder.as_str());
    let spec = LeaseSpec {
        holder_identity: Some(terms.holder.clone()),
        lease_duration_seconds: Some(i32::from(terms.seconds)),
        acquire_time: if is_own { old.acquire_time.clone() } else { Some(now.clone()) },
        renew_time: Some(now),
        lease_transitions: Some(old.lease_transitions.unwrap_or_default() + i32::from(!is_own && found.is_some())),
        ..old
    };
    let metadata = match found {
        Some(lease) => lease.metadata.clone(),
        None => ObjectMeta {
            name: Some(terms.name.clone()),
            namespace: Some(terms.namespace.clone()),
            ..ObjectMeta::default()
        },
    };
    Lease { metadata, spec: Some(spec) }
}

/// Returns the Lease without a holder.
pub(super) fn released(found: &Lease) -> Lease {
    let spec =
        found.spec.clone().map(|spec| LeaseSpec { holder_identity: None, lease_duration_seconds: Some(1), ..spec });
    Lease { metadata: found.metadata.clone(), spec }
}
