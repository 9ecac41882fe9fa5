//! The state of reading a cluster file: the current path, the errors so far, and the budget for aliases.

use serde::de::Error;

use crate::cluster::config_error::{ConfigError, Reason};
use crate::config::path::{self, Step};

/// The number of errors after which reading stops.
const MAX_ERRORS: usize = 10_000;
/// The cost of a value in addition to its characters. See [`Reading::charge`].
pub(in crate::config) const COST_OF_A_VALUE: usize = 1;

/// The state of reading: the current path, and the errors so far.
pub(in crate::config) struct Reading {
    /// The errors so far, with their paths.
    pub(in crate::config) errors: Vec<(ConfigError, Vec<Step>)>,
    /// The type of the top-level value, if it is not a mapping.
    pub(in crate::config) top_shape: Option<&'static str>,
    /// True if reading stopped because of too many errors.
    pub(in crate::config) is_full: bool,
    pub(in crate::config) path: Vec<Position>,
    budget: usize,
}

/// A step of the current path; known keys need no allocation.
pub(in crate::config) enum Position {
    /// A known key, with the number of earlier occurrences.
    Key(&'static str, u32),
    /// A key of a mapping whose keys are not known.
    Free(String),
    /// An item of a list, from 0.
    Item(usize),
}

impl Reading {
    /// Returns the state at the beginning of a file of `size` bytes.
    pub(in crate::config) fn new(size: usize) -> Self {
        Self { errors: Vec::new(), top_shape: None, is_full: false, path: Vec::new(), budget: size * 2 + 4096 }
    }

    /// Charges the cost of a value.
    ///
    /// Without aliases, the values are not larger than the file. Aliases can multiply them, but the values of a real
    /// cluster file never exceed twice its size.
    pub(in crate::config) fn charge<E: Error>(&mut self, cost: usize) -> Result<(), E> {
        self.budget = self.budget.checked_sub(cost).ok_or_else(|| {
            E::custom("aliases (*name) make this file more than twice as large as it is; write the values out")
        })?;
        Ok(())
    }

    /// Records an error at the current path.
    pub(in crate::config) fn error<E: Error>(&mut self, seen: Option<String>, reason: Reason) -> Result<(), E> {
        let steps: Vec<Step> = self.path.iter().map(Position::step).collect();
        self.push(seen, reason, steps)
    }

    /// Records that `key` is missing at the current path.
    pub(in crate::config) fn missing<E: Error>(&mut self, key: &'static str, wanted: &'static str) -> Result<(), E> {
        self.error_at_key(key, 0, Reason::Missing { wanted })
    }

    pub(in crate::config) fn error_at_key<E: Error>(&mut self, key: &str, nth: u32, reason: Reason) -> Result<(), E> {
        let mut steps: Vec<Step> = self.path.iter().map(Position::step).collect();
        steps.push(Step::Key(key.to_owned(), nth));
        self.push(None, reason, steps)
    }

    fn push<E: Error>(&mut self, seen: Option<String>, reason: Reason, steps: Vec<Step>) -> Result<(), E> {
        if self.errors.len() >= MAX_ERRORS {
            self.is_full = true;
            return Err(E::custom(format_args!("it has over {MAX_ERRORS} errors")));
        }
        self.errors.push((ConfigError { path: path::path_of(&steps), line: None, seen, reason }, steps));
        Ok(())
    }

    pub(super) fn wrong_shape<E: Error>(
        &mut self,
        found: &'static str,
        seen: Option<String>,
        wanted: &'static str,
    ) -> Result<(), E> {
        if self.path.is_empty() {
            self.top_shape = Some(found);
            return Ok(());
        }
        self.error(seen, Reason::Shape { wanted })
    }
}

impl Position {
    fn step(&self) -> Step {
        match self {
            Self::Key(key, nth) => Step::Key((*key).to_owned(), *nth),
            Self::Free(key) => Step::Key(key.clone(), 0),
            Self::Item(i) => Step::Item(*i),
        }
    }
}
