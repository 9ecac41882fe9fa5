//! When a certificate is renewed: one rule for what is issued and for what is reported as due.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cluster::spec::Cluster;

/// Returns the time from which a certificate is renewed, by `renewBefore` of the cluster file.
///
/// `lifetime` is the lifetime that the cluster file asks for. Where the certificate has a longer one, that of the cluster file counts,
/// so that the time is the same for all certificates of a host.
#[must_use]
pub fn starts(
    cluster: &Cluster,
    lifetime: Duration,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> OffsetDateTime {
    let life = Duration::try_from(not_after - not_before).unwrap_or_default().min(lifetime);
    not_after - cluster.renewed_before(life)
}

/// Returns true if a certificate that is issued now expires later than the present one.
///
/// A CA that expires soon shortens what it signs: a new certificate would expire when the present one does.
#[must_use]
pub fn lasts_longer(
    lifetime: Duration,
    not_after: OffsetDateTime,
    ca_not_after: OffsetDateTime,
    now: OffsetDateTime,
) -> bool {
    (now + lifetime).min(ca_not_after) > not_after
}
