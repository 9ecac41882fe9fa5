//! The number of rows of each state.

use super::row::StatusRow;
use super::state::State;

/// The number of rows of each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    counts: [u64; State::ALL.len()],
}

impl Summary {
    /// Counts a row.
    pub fn add(&mut self, row: &StatusRow) {
        self.counts[row.state as usize] += 1;
    }

    /// Returns the number of rows of a state.
    #[must_use]
    pub fn count(&self, state: State) -> u64 {
        self.counts[state as usize]
    }

    /// Returns the number of all rows.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns true if everything is valid, so that there is nothing to do.
    #[must_use]
    pub fn is_all_valid(&self) -> bool {
        self.total() == self.count(State::Valid)
    }
}
