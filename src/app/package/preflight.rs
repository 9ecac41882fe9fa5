//! Checks the credentials of all hosts before anything is written.

use rayon::iter::{Either, IntoParallelRefIterator, ParallelIterator};

use super::error::PackageError;
use super::inputs::Inputs;
use super::preflight_error::{CredentialRemedy, Refusal, RefusedHost};
use super::selection::Selection;
use crate::bundle::format::encrypted_name;
use crate::bundle::input::Roles;
use crate::store::files;
use crate::store::verification_cache::CacheEntry;

/// The result of the check.
#[derive(Debug)]
pub(super) struct Preflight<'c> {
    /// The hosts whose credentials can all be used.
    pub(super) hosts: Vec<Roles<'c>>,
    /// The hosts that keep their encrypted bundle because their keys were discarded; only if all hosts are selected.
    pub(super) kept: Vec<Roles<'c>>,
    /// Entries for the verification cache.
    pub(super) verified: Vec<CacheEntry>,
    /// The hosts that cannot be packed, in order.
    pub(super) refused: Vec<RefusedHost>,
}

/// A host and the result of its check.
type Checked<'c, T> = (Roles<'c>, T);

impl Preflight<'_> {
    /// Refuses to continue if no host can be packed.
    ///
    /// # Errors
    /// Returns [`PackageError::Refused`] if no host can be packed and some hosts are refused.
    pub(super) fn check_some_can_be_packed(&self) -> Result<(), PackageError> {
        match self.hosts.is_empty() && !self.refused.is_empty() {
            true => Err(PackageError::Refused(Refusal { refused: self.refused.clone(), is_partial: false })),
            false => Ok(()),
        }
    }
}

/// Checks every selected host.
pub(super) fn check<'c>(inputs: &Inputs<'c>, selection: &Selection<'c>) -> Preflight<'c> {
    let (good, refused): (Vec<Checked<'c, Vec<CacheEntry>>>, Vec<Checked<'c, RefusedHost>>) =
        selection.hosts().par_iter().partition_map(|roles| match inputs.check(roles) {
            Ok(entries) => Either::Left((*roles, entries)),
            Err(refused) => Either::Right((*roles, refused)),
        });
    let bundles = inputs.env.layout.bundles();
    let is_kept = |(_, refused): &(Roles<'_>, RefusedHost)| {
        selection.is_all()
            && refused.remedy() == CredentialRemedy::Reissue
            && files::exists(&bundles.join(encrypted_name(&refused.host)))
    };
    let (kept, refused): (Vec<_>, Vec<_>) = refused.into_iter().partition(is_kept);
    let refused: Vec<RefusedHost> = refused.into_iter().map(|(_, refused)| refused).collect();
    let (hosts, entries): (Vec<_>, Vec<_>) = good.into_iter().unzip();
    Preflight {
        hosts,
        kept: kept.into_iter().map(|(roles, _)| roles).collect(),
        verified: entries.into_iter().flatten().collect(),
        refused,
    }
}
