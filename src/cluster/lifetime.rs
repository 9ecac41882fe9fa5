//! The lifetime of a certificate.

use std::fmt;
use std::time::Duration;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;
/// A hundred years, far from the end of X.509 dates in the year 9999 (RFC 5280 § 4.1.2.5).
const LONGEST: u64 = 100 * YEAR;

/// A certificate's lifetime: a whole number of hours, one hour to a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u64);

/// Errors of parsing a lifetime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    /// Not a number with a unit.
    #[error("it must be a number with a unit: h (hours), d (days) or y (years of 365 days), for example 1y or 90d")]
    Form,
    /// Out of range.
    #[error("it must be between 1h and 100y")]
    Range,
}

impl Lifetime {
    /// Ten years.
    pub const TEN_YEARS: Self = Self(10 * YEAR);
    /// One day.
    pub const ONE_DAY: Self = Self(DAY);
    /// Ninety days.
    pub const NINETY_DAYS: Self = Self(90 * DAY);
    /// Seven days.
    pub const ONE_WEEK: Self = Self(7 * DAY);
    /// One year.
    pub const ONE_YEAR: Self = Self(YEAR);

    /// Parses `90d`, `12h` or `10y` (a year is 365 days).
    ///
    /// # Errors
    /// Returns an error if it has no known unit or is out of range.
    pub fn parse(text: &str) -> Result<Self, LifetimeError> {
        let unit = match text.chars().last() {
            Some('h') => HOUR,
            Some('d') => DAY,
            Some('y') => YEAR,
            _ => return Err(LifetimeError::Form),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(LifetimeError::Form);
        }
        let seconds = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or(LifetimeError::Range)?;
        if !(HOUR..=LONGEST).contains(&seconds) {
            return Err(LifetimeError::Range);
        }
        Ok(Self(seconds))
    }

    /// Returns the lifetime that is nearest to a duration.
    #[must_use]
    pub fn nearest(duration: Duration) -> Self {
        let hours = (duration.as_secs() + HOUR / 2) / HOUR;
        Self((hours * HOUR).clamp(HOUR, LONGEST))
    }

    /// Returns the lifetime as a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s if s % YEAR == 0 => write!(f, "{}y", s / YEAR),
            s if s % DAY == 0 => write!(f, "{}d", s / DAY),
            s => write!(f, "{}h", s / HOUR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_rounded_to_whole_hours() {
        let nearest = |seconds| Lifetime::nearest(Duration::from_secs(seconds)).to_string();
        assert_eq!(nearest(90 * DAY + 60), "90d");
        assert_eq!(nearest(DAY - 1), "1d");
        assert_eq!((nearest(0), nearest(u64::MAX / 2)), ("1h".to_owned(), "100y".to_owned()));
    }

    #[test]
    fn lifetimes_have_a_unit_and_a_range() {
        let shown = |text| Lifetime::parse(text).map(|l| l.to_string());
        assert_eq!(shown("10y"), Ok("10y".into()));
        assert_eq!(shown("365d"), Ok("1y".into()));
        assert_eq!(shown("36h"), Ok("36h".into()));
        assert_eq!(shown("0d"), Err(LifetimeError::Range));
        assert_eq!(shown("101y"), Err(LifetimeError::Range));
        assert_eq!(shown("99999999999999999999y"), Err(LifetimeError::Range));
        for wrong in ["", "y", "1", "-1d", "1.5d", "1 y", "1w", "1é"] {
            assert_eq!(shown(wrong), Err(LifetimeError::Form), "{wrong:?}");
        }
    }
}
