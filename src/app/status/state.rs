//! The state of an item that expires.

/// The state of an item that expires. A later variant is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is valid, and there is nothing to do.
    Valid,
    /// It is in the part of its lifetime in which it is renewed.
    Due,
    /// It is a bundle that is older than its host's certificates, a CRL that lacks a revocation, or a certificate that differs
    /// from the cluster file and whose key only its host has.
    Outdated,
    /// It expires within the warning period.
    Expiring,
    /// It is valid, and its host is no longer in the cluster file.
    Left,
    /// It is not valid yet.
    NotYetValid,
    /// It is required, but does not exist.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// It was revoked and not replaced.
    Revoked,
    /// It has expired.
    Expired,
}

impl State {
    /// All states.
    pub const ALL: [Self; 10] = [
        Self::Valid,
        Self::Due,
        Self::Outdated,
        Self::Expiring,
        Self::Left,
        Self::NotYetValid,
        Self::Missing,
        Self::Unreadable,
        Self::Revoked,
        Self::Expired,
    ];

    /// Returns the name in tables, JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Due => "due",
            Self::Outdated => "outdated",
            Self::Expiring => "expiring",
            Self::Left => "left",
            Self::NotYetValid => "not-yet-valid",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_states_are_listed_in_their_order() {
        for (i, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, i, "{state:?}");
        }
    }
}
