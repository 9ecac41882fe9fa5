//! The generation of each host's bundle: unchanged for the same contents, otherwise greater than all earlier
//! generations.

use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;

use super::error::PackageError;
use super::inputs::Inputs;
use crate::bundle::input::{BundleInput, Roles};
use crate::bundle::model::Bundle;
use crate::bundle::render::Templates;
use crate::cluster::name::HostName;
use crate::store::error::StoreError;
use crate::store::ledger::generations::{Generations, Packed};
use crate::store::ledger::{AuditContext, Ledger};

/// The generations of one run.
pub(super) struct GenerationTracker {
    generations: Generations,
    /// The bundles with new contents, filled by all threads.
    packed: Mutex<Vec<(HostName, Packed)>>,
}

impl GenerationTracker {
    /// Reserves a generation for all bundles with new contents.
    pub(super) fn begin(ledger: &mut Ledger, now: OffsetDateTime) -> Result<Self, StoreError> {
        Ok(Self { generations: ledger.next_generation(now)?, packed: Mutex::default() })
    }

    /// Reserves no generation: bundles are rendered as the next run would render them, and nothing is recorded.
    pub(super) fn preview(ledger: &Ledger, now: OffsetDateTime) -> Result<Self, StoreError> {
        Ok(Self { generations: ledger.generations(now)?, packed: Mutex::default() })
    }

    /// Records the new contents, whether they were written or not, because a generation is never reused.
    pub(super) fn end(self, ledger: &mut Ledger, audit: &AuditContext<'_>) -> Result<(), StoreError> {
        let mut packed = self.packed.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Sorted by primary key, so that SQLite appends and does not split pages.
        packed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        ledger.record_packed(&packed, audit)
    }

    /// Renders a host's bundle with its generation, and returns whether its contents are new.
    ///
    /// # Errors
    /// Returns an error if its credentials can no longer be used, or a template fails.
    pub(super) fn render(
        &self,
        inputs: &Inputs<'_>,
        roles: Roles<'_>,
        templates: &Templates,
    ) -> Result<(Bundle, bool), PackageError> {
        let credentials = inputs.credentials(&roles)?;
        let mark = inputs.marks.first().cloned().flatten();
        let render = |generation| {
            let input = BundleInput {
                cluster: inputs.cluster,
                roles,
                cas: &inputs.cas,
                service_account: inputs.service_account.as_ref().filter(|_| roles.master().is_some()),
                other_token_keys: &inputs.other_token_keys,
                settings: &inputs.settings,
                denials: &inputs.denials,
                credentials: &credentials,
                generation,
                rotation: mark.as_ref(),
                read_at_start: &inputs.read_at_start,
            };
            templates.render(&input).map_err(|source| PackageError::Render { host: roles.host().clone(), source })
        };
        let (last, next) = (self.generations.last(roles.host()), self.generations.next());
        let mut bundle = render(last.map_or(next, |last| last.generation))?;
        // A bundle keeps the phase for which it was packed while its other contents are the same.
        for mark in &inputs.marks {
            if bundle.manifest.rotation != *mark {
                bundle = bundle.marked(mark.clone());
            }
            if last.is_some_and(|last| last.content == bundle.content()) {
                return Ok((bundle, false));
            }
        }
        let bundle = bundle.marked(mark.clone());
        // A template can print the generation, so changing it in the manifest is not enough.
        let bundle = if bundle.manifest.generation == next { bundle } else { render(next)? };
        let packed = Packed { generation: next, content: bundle.content() };
        self.packed.lock().unwrap_or_else(PoisonError::into_inner).push((roles.host().clone(), packed));
        Ok((bundle, true))
    }
}
