//! All nodes at once: where nothing was touched since they were good, not one is looked at.

use std::collections::HashMap;

use super::minting::Left;
use super::plan::Plan;
use super::request::{Fleet, IssueArgs, Request};
use super::telling::{tell_of_no_memory, tell_of_nothing};
use crate::app::directory;
use crate::cli::context::Context;
use crate::commands::revoking::lists;
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::fleet_trace::{self, FleetTrace};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::verification_cache::{Good, Trace};

/// Says that there is nothing to do, where the ledger remembers that all nodes were good and nothing was touched since, the
/// cluster file with that digest neither. False where a closer look is needed, or anything is amiss: that look says what.
pub(crate) fn all_are_untouched(file: Fingerprint, how: &IssueArgs, context: &mut Context<'_>) -> bool {
    let look = || {
        let (ledger, roots) = directory::cas_of_any_cluster(&context.env.layout).ok()?;
        let trace = ledger.fleet_trace().ok()??;
        lists::nothing_is_forgotten(&context.env.layout, &roots, &ledger, context.env.now).ok()?;
        let asked = fleet_trace::asked(file, &roots, ledger.count_of_revocations().ok()?);
        trace
            .vouches(&context.env.layout, asked, context.env.now, how.end(context.env.now))
            .then_some(trace.certificates)
    };
    let untouched = if how.reissue { None } else { look() };
    if let Some(certificates) = untouched {
        tell_of_nothing(certificates, how, context);
    }
    untouched.is_some()
}

/// Remembers what was found good, and, where all nodes are by now, that they all are: by their plans, and by what was left by
/// what was issued. Where the ledger cannot, the next look takes longer, and that is all.
pub(super) fn remember(
    request: &Request<'_>,
    plans: &[Plan],
    left: &Left,
    whole_fleet: bool,
    roots: &CaSet,
    ledger: &mut Ledger,
    context: &mut Context<'_>,
) {
    let remembered = ledger.remember(left.not_given()).and_then(|()| match whole_fleet {
        true => remember_fleet(request, plans, &left.all, roots, ledger, &context.env.layout),
        false => Ok(()),
    });
    if let Err(error) = remembered {
        tell_of_no_memory(&error, context);
    }
}

fn remember_fleet(
    request: &Request<'_>,
    plans: &[Plan],
    issued: &[Trace],
    roots: &CaSet,
    ledger: &mut Ledger,
    layout: &Layout,
) -> Result<(), StoreError> {
    let Some(Fleet { file, nodes, renewed_before }) = &request.fleet else { return Ok(()) };
    let kept = plans.iter().filter_map(|plan| Some((nodes[plan.holder].name.as_str(), plan.good?)));
    let issued = issued.iter().filter_map(|trace| Some((trace.node()?, trace.good)));
    let good: HashMap<&str, Good> = kept.chain(issued).collect();
    let asked = fleet_trace::asked(*file, roots, ledger.count_of_revocations()?);
    if good.len() == nodes.len()
        && let Some(trace) = FleetTrace::of(layout, asked, &good)
    {
        ledger.remember_fleet(&trace.until(*renewed_before))?;
    }
    Ok(())
}
