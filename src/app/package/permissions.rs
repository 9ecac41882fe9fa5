//! Collects private keys that other users can read, for a warning.
//!
//! Their bundles are still packed, but a user who has copied a key can impersonate its host.

use std::sync::{Mutex, PoisonError};

use super::report::Warning;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::layout::Layout;

/// The keys that other users can read. All packing threads share it.
#[derive(Debug, Default)]
pub(super) struct ExposedKeys(Mutex<CountAndFirst>);

/// The number of keys, and the first of them; a list of all could be long.
#[derive(Debug, Default)]
struct CountAndFirst {
    count: usize,
    first: Option<CredentialProblem>,
}

impl ExposedKeys {
    /// Adds a key, as a [`CredentialProblem::Mode`].
    pub(super) fn add(&self, problem: CredentialProblem) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.count += 1;
        keys.first.get_or_insert(problem);
    }

    /// Returns the warning about the keys; `None` if there are none.
    pub(super) fn warning(self) -> Option<Warning> {
        let CountAndFirst { count, first } = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map(|first| Warning::ExposedKeys { first, count })
    }
}

/// Returns a warning if other users can read the key that signs service account tokens.
pub(super) fn service_account_warning(layout: &Layout) -> Option<Warning> {
    let problem = credentials::readable_by_others(&layout.service_account_key())?;
    Some(Warning::ExposedServiceAccountKey(problem))
}
