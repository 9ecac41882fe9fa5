//! What a person is told of an issue, before and after it.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::plan::Plan;
use super::request::{IssueArgs, Request};
use crate::app::revoke::superseded::SupersededReport;
use crate::cli::context::Context;
use crate::cluster::account::AccountScheme;
use crate::cluster::duration::stamp;
use crate::cluster::profile::CertificateSpec;
use crate::pki::ca_set::CaSet;
use crate::store::error::StoreError;
use crate::store::service_account::Found;

pub(super) fn tell_plan(request: &Request<'_>, plans: &[Plan], pair: Option<&Found>, context: &mut Context<'_>) {
    match pair {
        Some(Found::Nothing) => context.screen.answer("make service-account key pair: not made yet"),
        Some(_) => context.screen.answer("write service-account public key: sa.pub is missing"),
        None => {}
    }
    let mut issued = 0;
    for plan in plans.iter().filter(|plan| !plan.issue.is_empty()) {
        let leaves = (request.leaves)(plan.holder);
        for (i, reasons) in &plan.issue {
            issued += 1;
            context.screen.answer(format_args!("issue {}: {}", holder(&leaves[*i]), reasons.join("; ")));
        }
    }
    tell_count(issued, plans.iter().map(|plan| plan.kept).sum(), context);
}

pub(super) fn tell_of_nothing(kept: usize, how: &IssueArgs, context: &mut Context<'_>) {
    match how.dry_run {
        true => tell_count(0, kept, context),
        false => context.screen.step(format_args!("nothing to do: {} good", certificates(kept))),
    }
}

/// Without it the next look takes longer, and that is all.
pub(super) fn tell_of_no_memory(error: &StoreError, context: &mut Context<'_>) {
    context
        .screen
        .warn(format_args!("the ledger cannot remember what is good, and the next look will take longer: {error}"));
}

pub(super) fn tell_count(issued: usize, kept: usize, context: &mut Context<'_>) {
    context.screen.step(format_args!("would issue {} and keep {kept}; nothing was changed", certificates(issued)));
}

pub(super) fn certificates(count: usize) -> String {
    format!("{count} certificate{}", if count == 1 { "" } else { "s" })
}

pub(super) fn warn_of_short_lives(request: &Request<'_>, work: &[&Plan], roots: &CaSet, context: &mut Context<'_>) {
    let now = context.env.now;
    let shortened = |plan: &&Plan| {
        let leaves = (request.leaves)(plan.holder);
        let outlives =
            |leaf: &CertificateSpec| now + leaf.lifetime.duration() > roots.issuer_of(leaf).active().not_after();
        plan.issue.iter().filter(|(i, _)| outlives(&leaves[*i])).count()
    };
    let count: usize = work.par_iter().map(shortened).sum();
    if count > 0 {
        let end = stamp(roots.cluster.active().not_after());
        context
            .screen
            .warn(format_args!("the root ends on {end}, and {} with it, earlier than asked for", certificates(count)));
    }
}

pub(super) fn holder(leaf: &CertificateSpec) -> String {
    let name = leaf.policy().name;
    leaf.host.as_ref().map_or_else(|| name.to_owned(), |host| format!("{host} {name}"))
}

pub(super) fn tell_of_superseded(report: &SupersededReport, scheme: AccountScheme, context: &mut Context<'_>) {
    let old = scheme.other().prefix();
    match report {
        SupersededReport::Kept { count, error } => context.screen.warn(format_args!(
            "{} of accounts {old}HOST stay valid, because the API servers' rules cannot hold them: {error}. Delete what gives \
             them rights: clusterctl policy names it",
            certificates(*count),
        )),
        SupersededReport::Revoked { count, written } => {
            for path in written {
                context.screen.answer(path.display());
            }
            context.screen.warn(format_args!(
                "revoked {} of accounts {old}HOST, which accounts: {scheme} replaces. Apply the policy and install the nodes' bundles \
                 before the masters', which deny them: clusterctl policy",
                certificates(*count),
            ));
        }
    }
}
