//! The nodes' leases as an API server tells them: a kubelet renews its own every ten seconds, which nobody else does.

use std::collections::BTreeMap;
use std::time::Duration;

use rustls::ClientConfig;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::dialer::Socket;
use super::observation::{Lease, Leases};
use super::pages::{self, Wanted, Whole};

/// A lease's object is less than 2 KiB.
const LEASES: Wanted =
    Wanted { path: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", kind: "LeaseList", page: 500 };
/// How long a lease lasts (`nodeLeaseDurationSeconds`): one that is older was not renewed when it should have been.
pub(super) const LASTS: time::Duration = time::Duration::seconds(40);
/// A kubelet renews its lease after a quarter of that; a little more is allowed for the way.
pub(super) const RENEWED_WITHIN: Duration = Duration::from_secs(12);

/// Every lease, over one connection that `config` secures, until `deadline`.
pub(super) async fn list(config: ClientConfig, socket: &Socket, deadline: Instant) -> Leases {
    match pages::list::<LeaseItem>(config, socket, &LEASES, deadline).await {
        Ok(Whole { items, served }) => {
            let served = served.and_then(|time| time.format(&Rfc3339).ok());
            Leases::Held { served, leases: items.into_iter().map(Lease::from).collect(), again: BTreeMap::new() }
        }
        Err(outcome) => Leases::Failed(outcome),
    }
}

/// How far a lease's time of renewal is from the API server's own time; `None` where either is not there.
pub(super) fn age(lease: &Lease, served: Option<&str>) -> Option<time::Duration> {
    since(lease.renewed.as_deref()?, served)
}

/// How far a time is from the API server's own; `None` where one of them is no time.
pub(super) fn since(time: &str, served: Option<&str>) -> Option<time::Duration> {
    let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    Some(read(served?)? - read(time)?)
}

/// Whether a lease has to be looked at again: by its age its node is gone, or the clocks differ, as a lease has the time
/// of its node's clock.
pub(super) fn is_odd(lease: &Lease, served: Option<&str>) -> bool {
    age(lease, served).is_none_or(|age| age.abs() > LASTS)
}

/// What is wanted of a Lease (Kubernetes `coordination.k8s.io/v1`).
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
