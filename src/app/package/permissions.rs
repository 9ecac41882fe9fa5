//! Collects the private keys that other users can read.
//!
//! Bundles are packed nevertheless, but another user may have copied a key and can impersonate its host.

use std::sync::{Mutex, PoisonError};

use super::report::Warning;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::layout::Layout;

/// The keys that were found; shared by all threads.
#[derive(Debug, Default)]
pub(super) struct ExposedKeys(Mutex<Seen>);

/// The first key and the number of keys, because a large cluster may have many.
#[derive(Debug, Default)]
struct Seen {
    count: usize,
    first: Option<CredentialProblem>,
}

impl ExposedKeys {
    /// Adds a [`CredentialProblem::Mode`].
    pub(super) fn add(&self, problem: CredentialProblem) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.count += 1;
        seen.first.get_or_insert(problem);
    }

    /// Returns the warning about the keys; `None` if there are none.
    pub(super) fn warning(self) -> Option<Warning> {
        let Seen { count, first } = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map(|first| Warning::ExposedKeys { first, count })
    }
}

/// Returns a warning if other users can read the key that signs service account tokens.
pub(super) fn service_account_warning(layout: &Layout) -> Option<Warning> {
    let problem = credentials::readable_by_others(&layout.service_account_key())?;
    Some(Warning::ExposedServiceAccountKey(problem))
}
