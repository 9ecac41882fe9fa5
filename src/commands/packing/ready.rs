//! The first look at all hosts: those that have good credentials are packed, the others are refused.

use rayon::iter::{Either, IntoParallelIterator, ParallelIterator};

use super::lacking::{self, Lacking};
use super::source::Source;
use crate::bundle::format::sealed_name;
use crate::bundle::input::Roles;
use crate::cli::error::{CliError, Result};
use crate::store::files;
use crate::store::verification_cache::CacheEntry;

/// What the first look at all hosts found.
pub(crate) struct Ready<'c> {
    /// All of whose credentials are good.
    pub(crate) hosts: Vec<Roles<'c>>,
    /// Those that, where all are meant, keep the sealed bundle that has their forgotten keys.
    pub(crate) kept: Vec<Roles<'c>>,
    /// The verification cache's entries for the credentials that were read.
    pub(crate) found_good: Vec<CacheEntry>,
    /// Those that have no good credentials, in order, and the error that names them.
    pub(crate) refused: Option<(Vec<String>, CliError)>,
}

/// Looks at every host before anything is written.
///
/// # Errors
/// When no host has good credentials.
pub(crate) fn who_has_credentials<'c>(source: &Source<'_>, hosts: Vec<Roles<'c>>, all: bool) -> Result<Ready<'c>> {
    let (good, lacking): (Vec<(Roles<'c>, Vec<CacheEntry>)>, Vec<Lacking<'c>>) =
        hosts.into_par_iter().partition_map(|roles| match source.judge(&roles) {
            Ok(entries) => Either::Left((roles, entries)),
            Err(lacking) => Either::Right(lacking),
        });
    let keeps = |l: &Lacking<'_>| {
        all && l.is_only_forgotten() && files::exists(&source.layout.bundles().join(sealed_name(l.host())))
    };
    let (kept, lacking): (Vec<Lacking<'c>>, Vec<Lacking<'c>>) = lacking.into_iter().partition(keeps);
    if good.is_empty() && !lacking.is_empty() {
        return Err(lacking::told(&lacking, &[]));
    }
    let (hosts, entries): (Vec<Roles<'c>>, Vec<Vec<CacheEntry>>) = good.into_iter().unzip();
    let packed: Vec<&str> = hosts.iter().map(|roles| roles.host().as_str()).collect();
    let refused = (!lacking.is_empty()).then(|| {
        let names = lacking.iter().map(|l| l.host().to_string()).collect();
        (names, lacking::told(&lacking, &packed))
    });
    let kept = kept.into_iter().map(Lacking::into_roles).collect();
    Ok(Ready { hosts, kept, found_good: entries.into_iter().flatten().collect(), refused })
}
