//! The nodes' Leases as an API server lists them: only a kubelet renews its own, every ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use rustls::ClientConfig;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::dialer::Socket;
use super::observation::{Lease, LeaseListOutcome};
use super::pages::{self, CompleteList, Wanted};

/// A Lease is smaller than 2 KiB.
const LEASES: Wanted =
    Wanted { path: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", kind: "LeaseList", page: 500 };
/// The duration of a Lease (`nodeLeaseDurationSeconds`): an older one was not renewed in time.
pub(super) const LEASE_DURATION: time::Duration = time::Duration::seconds(40);
/// A kubelet renews its Lease after a quarter of that; a little more is allowed for the network.
pub(super) const RENEWED_WITHIN: Duration = Duration::from_secs(12);

/// Lists every Lease over one connection, until `deadline`.
pub(super) async fn list(config: ClientConfig, socket: &Socket, deadline: Instant) -> LeaseListOutcome {
    match pages::list::<LeaseItem>(config, socket, &LEASES, deadline).await {
        Ok(CompleteList { items, served }) => {
            let served = served.and_then(|time| time.format(&Rfc3339).ok());
            LeaseListOutcome::Complete {
                served,
                leases: items.into_iter().map(Lease::from).collect(),
                again: BTreeMap::new(),
            }
        }
        Err(outcome) => LeaseListOutcome::Failed(outcome),
    }
}

/// Returns the age of a Lease by the API server's time; `None` if either time is missing.
pub(super) fn age(lease: &Lease, served: Option<&str>) -> Option<time::Duration> {
    since(lease.renewed.as_deref()?, served)
}

/// Returns the age of a time by the API server's clock; `None` if one of them cannot be parsed.
pub(super) fn since(time: &str, served: Option<&str>) -> Option<time::Duration> {
    let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    Some(read(served?)? - read(time)?)
}

/// Returns true if a Lease has to be read again: it was not renewed in time, or the node's clock differs.
pub(super) fn looks_stale(lease: &Lease, served: Option<&str>) -> bool {
    age(lease, served).is_none_or(|age| age.abs() > LEASE_DURATION)
}

/// The fields of a Lease (Kubernetes `coordination.k8s.io/v1`) that are read.
#[derive(Deserialize)]
struct LeaseItem {
    metadata: LeaseMeta,
    #[serde(default)]
    spec: LeaseSpec,
}

#[derive(Deserialize)]
struct LeaseMeta {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct LeaseSpec {
    holder_identity: Option<String>,
    renew_time: Option<String>,
}

impl From<LeaseItem> for Lease {
    fn from(item: LeaseItem) -> Self {
        Self { name: item.metadata.name, holder: item.spec.holder_identity, renewed: item.spec.renew_time }
    }
}
