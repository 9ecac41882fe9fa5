//! Determines the state of an item from its expiry.

use time::{Duration, OffsetDateTime};

use super::state::State;
use crate::cluster::lifetime::Lifetime;

/// The default warning period: an item that expires within this time is reported.
const EXPIRES_WITHIN: Duration = Duration::days(30);

/// The validity of an item, and the time from which it is renewed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
    /// The time from which it is renewed; `None` if it is never renewed.
    pub(super) renew_from: Option<OffsetDateTime>,
}

/// The rule that determines the state of every row.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpiryRule {
    pub(super) now: OffsetDateTime,
    /// The requested time before expiry, instead of the default.
    pub(super) expires_within: Option<Lifetime>,
}

impl ExpiryRule {
    /// Returns the state of an item that has no other problem.
    pub(super) fn state(&self, validity: &Validity) -> State {
        let Validity { not_before, not_after, renew_from } = *validity;
        if not_after <= self.now {
            State::Expired
        } else if not_before > self.now {
            State::NotYetValid
        } else if not_after - self.now <= self.within(not_after - not_before) {
            State::Expiring
        } else if renew_from.is_some_and(|from| from <= self.now) {
            State::Due
        } else {
            State::Valid
        }
    }

    /// Returns how long before its expiry an item with the validity `life` is reported.
    pub(super) fn within(&self, life: Duration) -> Duration {
        match self.expires_within {
            Some(asked) => Duration::try_from(asked.duration()).unwrap_or(Duration::MAX),
            // Half of the default renewal time, so items that are renewed in time are never reported.
            None => EXPIRES_WITHIN.min(life / 6),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn state(from: i64, until: i64, renew_from: Option<i64>, expires_within: Option<&str>) -> State {
        let day = |days| NOW + Duration::days(days);
        let expires_within = expires_within.map(|text| Lifetime::parse(text).expect("a lifetime"));
        let validity = Validity { not_before: day(from), not_after: day(until), renew_from: renew_from.map(day) };
        ExpiryRule { now: NOW, expires_within }.state(&validity)
    }

    #[test]
    fn the_worst_state_counts() {
        assert_eq!(state(-100, 265, Some(100), None), State::Valid);
        assert_eq!(state(-300, 65, Some(0), None), State::Due);
        assert_eq!(state(-340, 25, Some(-20), None), State::Expiring);
        assert_eq!(state(-365, 0, Some(-100), None), State::Expired);
        assert_eq!(state(1, 100, Some(70), None), State::NotYetValid);
    }

    #[test]
    fn the_warning_period_of_short_lived_certificates_is_shorter_unless_set() {
        assert_eq!(state(-1, 20, None, None), State::Valid);
        assert_eq!(state(-18, 3, None, None), State::Expiring);
        assert_eq!(state(-1, 20, None, Some("30d")), State::Expiring);
        assert_eq!(state(-340, 25, None, Some("7d")), State::Valid);
    }
}
