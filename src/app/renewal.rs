//! The time at which a certificate is renewed, and a CA replaced: one rule for issuing and for reporting.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::trust_bundle::TrustBundle;
use crate::verify::remedy::DirectoryRemedy;

/// A year of 365 days.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

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

/// Returns true if a new certificate would not help: the CA has expired and signs nothing, or the certificate that expires soon,
/// at `expiring`, expires with its CA, as a new one would.
#[must_use]
pub fn is_limited_by_ca(expiring: Option<OffsetDateTime>, trust: &TrustBundle, now: OffsetDateTime) -> bool {
    let ca_not_after = trust.active().not_after();
    ca_not_after <= now || expiring.is_some_and(|not_after| ca_not_after <= not_after)
}

/// Returns the remedy for certificates of a role that are limited by their CA.
#[must_use]
pub fn ca_remedy(trust: &TrustBundle, now: OffsetDateTime) -> DirectoryRemedy {
    if trust.rotation().is_some() {
        return DirectoryRemedy::ContinueRotation;
    }
    match trust.active().not_after() <= now {
        true => DirectoryRemedy::replace_expired_root(trust.role()),
        false => DirectoryRemedy::plan_new_root(trust.role()),
    }
}

/// Returns the remedy for a CA that expires, or has expired.
///
/// A CA that is only trusted is not rotated: it signs nothing, and the active CA signs the certificates that replace its own.
#[must_use]
pub fn remedy_of_ca(ca: &CaCertificate, trust: &TrustBundle, now: OffsetDateTime) -> DirectoryRemedy {
    match trust.is_only_trusted(ca) && ca.not_after() < trust.active().not_after() {
        true => DirectoryRemedy::reissue_of_trusted(trust.role()),
        false => ca_remedy(trust, now),
    }
}

/// The lifetimes on which the time depends at which a CA is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaRule {
    /// The longest lifetime of the certificates that it signs.
    pub certificates: Duration,
    /// The lifetime of a new CA.
    pub new_ca: Duration,
}

impl CaRule {
    /// The rule for CAs whose certificates are not known: most tools issue certificates for a year, and CAs for ten years.
    pub const USUAL: Self = Self { certificates: YEAR, new_ca: YEAR.saturating_mul(10) };

    /// Returns the rule for the CAs of a cluster.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let validity = &cluster.validity;
        Self { certificates: validity.master.max(validity.node).duration(), new_ca: validity.ca.duration() }
    }

    /// Returns how long before its expiry a CA that is valid for `life` is replaced.
    ///
    /// A CA is replaced when a certificate that it signs now would outlive it, because its own expiry shortens the certificate
    /// then. It is replaced at the latest in the last fifth of its life, or in its last year if that begins later, because a
    /// rotation takes time. The time is at most half of the lifetime of a new CA, which would otherwise be due at once.
    #[must_use]
    pub fn replaced_before(&self, life: time::Duration) -> time::Duration {
        let fifth = Duration::try_from(life).unwrap_or_default() / 5;
        let before = self.certificates.min(self.new_ca / 2).max(fifth.min(YEAR));
        time::Duration::try_from(before).unwrap_or(time::Duration::MAX)
    }

    /// Returns the time from which a CA is replaced.
    #[must_use]
    pub fn replaced_from(&self, not_before: OffsetDateTime, not_after: OffsetDateTime) -> OffsetDateTime {
        let life = not_after - not_before;
        not_after - self.replaced_before(life).min(life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_is_replaced_before_it_shortens_certificates_and_while_there_is_time() {
        let days = |days: u64| Duration::from_secs(24 * 3600 * days);
        for (certificates, new_ca, life, before) in [
            (365, 3650, 3650, 365),
            (365, 3650, 20, 365),
            (7, 3650, 3650, 365),
            (7, 90, 90, 18),
            (30, 20, 20, 10),
            (365, 365, 365, 182),
        ] {
            let rule = CaRule { certificates: days(certificates), new_ca: days(new_ca) };
            let found = rule.replaced_before(time::Duration::days(life));
            assert_eq!(found.whole_days(), before, "{certificates} {new_ca} {life}");
        }
    }
}
