//! The first look at all hosts: nothing is packed before each has good credentials.

use rayon::iter::{Either, IntoParallelIterator, ParallelIterator};

use super::lacking::{self, Lacking};
use super::source::Source;
use crate::bundle::format::sealed_name;
use crate::bundle::input::Roles;
use crate::failure::Failure;
use crate::store::files;
use crate::store::traces::Trace;

/// What the first look at all hosts found.
pub(crate) struct Ready<'c> {
    /// All of whose credentials are good.
    pub(crate) hosts: Vec<Roles<'c>>,
    /// Those that, where all are meant, keep the sealed bundle that has their forgotten keys.
    pub(crate) kept: Vec<Roles<'c>>,
    /// What may be remembered.
    pub(crate) found_good: Vec<Trace>,
}

/// Looks at every host before anything is written.
pub(crate) fn all_have_credentials<'c>(
    source: &Source<'_>,
    hosts: Vec<Roles<'c>>,
    all: bool,
) -> Result<Ready<'c>, Failure> {
    let (good, lacking): (Vec<(Roles<'c>, Vec<Trace>)>, Vec<Lacking<'c>>) =
        hosts.into_par_iter().partition_map(|roles| match source.judge(&roles) {
            Ok(traces) => Either::Left((roles, traces)),
            Err(lacking) => Either::Right(lacking),
        });
    let keeps = |l: &Lacking<'_>| {
        all && l.is_only_forgotten() && files::exists(&source.layout.bundles().join(sealed_name(l.host())))
    };
    let (kept, lacking): (Vec<Lacking<'c>>, Vec<Lacking<'c>>) = lacking.into_iter().partition(keeps);
    if lacking.is_empty() {
        let (hosts, traces): (Vec<Roles<'c>>, Vec<Vec<Trace>>) = good.into_iter().unzip();
        let kept = kept.into_iter().map(Lacking::into_roles).collect();
        return Ok(Ready { hosts, kept, found_good: traces.into_iter().flatten().collect() });
    }
    Err(lacking::told(&lacking))
}
