//! Assembles the target of a run: the peers, the CAs to trust, and the credentials of clients.

use std::collections::HashSet;

use super::assembled::AssembledTarget;
use super::error::{TargetError, VerifyError};
use super::options::{TargetOptions, TargetSource};
use super::{bundle, directory, files, revocations};
use crate::app::{Env, Error};
use crate::verify::finding::{Aspect, CheckId, Finding, Severity, Status};
use crate::verify::remedy::VerifierRemedy;
use crate::verify::target::{Place, Target};

/// Assembles the target of a run.
///
/// # Errors
/// Returns [`super::TargetError`] if a file cannot be used or an option is missing, or an error if a file cannot be
/// read.
pub fn assemble(env: &Env, options: &TargetOptions) -> Result<AssembledTarget, Error> {
    let mut assembled = match &options.source {
        TargetSource::Directory => directory::target(&env.layout, options)?.into(),
        _ if options.phase.is_some() => return Err(VerifyError::Target(TargetError::PhaseWithoutDirectory).into()),
        TargetSource::Bundle(path) => bundle::target(path, &options.nodes)?,
        TargetSource::Files(named) => files::target(named, &options.nodes)?,
    };
    if options.masters_only {
        assembled.target.only_masters();
    }
    if let Some(count) = options.sample {
        assembled.findings.extend(sample(&mut assembled.target, count));
    }
    revocations::add(&mut assembled.target, env, options)?;
    Ok(assembled)
}

/// Restricts the run to `count` nodes, and returns a finding about it. Every run with the same target selects the same
/// nodes.
fn sample(target: &mut Target, count: usize) -> Option<Finding> {
    let all = target.nodes.len();
    let left_out = all.checked_sub(count).filter(|left_out| *left_out > 0)?;
    let picked: HashSet<String> = (0..count).map(|i| target.nodes[i * all / count].name.clone()).collect();
    target.only_nodes(|name| picked.contains(name));
    let id = CheckId::at(Place::Node, Aspect::Connect);
    let mut finding = Finding::new(id, Place::Cluster, &target.cluster, Status::Skipped);
    // The user requested it, so it does not fail the run.
    finding.severity = Severity::Warning;
    let observed = format!("{left_out} of {all} nodes were left out: a sample of {count} was requested");
    Some(finding.saw(observed, "every node is verified").remedy(VerifierRemedy::VerifyAllNodes))
}
