//! Which generation the bundle of a host is of: what it was of where it has the same in it, else a later one than any before.

use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;

use super::source::Source;
use crate::bundle::input::{BundleInput, Roles};
use crate::bundle::model::Bundle;
use crate::bundle::render::Templates;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::name::HostName;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::ledger::generations::{Generations, Packed};

/// The generations of one run.
pub(crate) struct Numbering {
    generations: Generations,
    /// What is new, filled by all threads.
    packed: Mutex<Vec<(HostName, Packed)>>,
}

impl Numbering {
    /// Takes a generation for all that will be new.
    ///
    /// # Errors
    /// What the ledger says.
    pub(crate) fn begin(ledger: &mut Ledger, now: OffsetDateTime) -> Result<Self, StoreError> {
        Ok(Self { generations: ledger.next_generation(now)?, packed: Mutex::default() })
    }

    /// Remembers what was new, whether it reached its place or not: its generation is nothing else's.
    ///
    /// # Errors
    /// What the ledger says.
    pub(crate) fn end(self, ledger: &mut Ledger) -> Result<(), StoreError> {
        let mut packed = self.packed.into_inner().unwrap_or_else(PoisonError::into_inner);
        // In the table's own order it grows at its end.
        packed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        ledger.record_packed(&packed)
    }

    /// Renders a host's bundle.
    ///
    /// # Errors
    /// When its credentials are not good any more, or a template fails.
    pub(crate) fn bundle(&self, source: &Source<'_>, roles: Roles<'_>, templates: &Templates) -> Result<Bundle> {
        let credentials = source.credentials(&roles)?;
        let render = |generation| {
            let input = BundleInput {
                cluster: source.cluster,
                roles,
                roots: source.roots,
                service_account: source.service_account.filter(|_| roles.master().is_some()),
                settings: source.settings,
                denials: source.denials,
                credentials: &credentials,
                generation,
            };
            templates.render(&input).map_err(|error| {
                CliError::new(Exit::Usage, format!("the bundle of {} cannot be rendered", roles.host()))
                    .hint("look at the template that is named; clusterctl bundle --eject-templates DIR writes those that work")
                    .because(error)
            })
        };
        let (last, next) = (self.generations.last(roles.host()), self.generations.next());
        let bundle = render(last.map_or(next, |last| last.generation))?;
        if last.is_some_and(|last| last.content == bundle.content()) {
            return Ok(bundle);
        }
        // A template can print the generation, so that it is not enough to change it in the manifest.
        let bundle = if bundle.manifest.generation == next { bundle } else { render(next)? };
        let packed = Packed { generation: next, content: bundle.content() };
        self.packed.lock().unwrap_or_else(PoisonError::into_inner).push((roles.host().clone(), packed));
        Ok(bundle)
    }
}
