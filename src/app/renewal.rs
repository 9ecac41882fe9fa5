//! The time at which a certificate is renewed: one rule for issuing and for reporting.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cluster::spec::Cluster;

/// Returns the time from which a certificate is renewed, according to `renewBefore` in the cluster file.
///
/// `lifetime` is the lifetime in the cluster file. If the certificate has a longer one, `lifetime` is used, so that the
/// time is the same for all certificates of a host.
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
/// A CA that expires soon shortens the certificates that it signs: a new one would expire at the same time as the
/// present one.
#[must_use]
pub fn lasts_longer(
    lifetime: Duration,
    not_after: OffsetDateTime,
    ca_not_after: OffsetDateTime,
    now: OffsetDateTime,
) -> bool {
    (now + lifetime).min(ca_not_after) > not_after
}
