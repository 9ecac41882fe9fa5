//! Assembles the target of a run: the peers, the CAs to trust, and the credentials of clients.

use std::collections::HashSet;
use std::path::PathBuf;

use super::error::{TargetError, VerifyError};
use super::files::{self, TargetFiles};
use super::{bundle, directory, revocations};
use crate::app::{Env, Error};
use crate::cluster::spec::Cluster;
use crate::verify::finding::{Aspect, CheckId, Finding, Severity, Status};
use crate::verify::remedy::VerifierRemedy;
use crate::verify::target::{Place, Target};

/// Where the target is described.
#[derive(Debug)]
pub enum TargetSource {
    /// In the cluster directory, whose cluster file this is.
    Directory(Box<Cluster>),
    /// In a verifier bundle or a node's bundle.
    Bundle(PathBuf),
    /// In single files.
    Files(Box<TargetFiles>),
}

/// What is verified.
#[derive(Debug)]
pub struct TargetOptions {
    /// Where the target is described.
    pub source: TargetSource,
    /// The only nodes to verify: names, or `NAME=HOST[:PORT]` where the source has no addresses. All nodes where empty.
    pub nodes: Vec<String>,
    /// Whether nodes are left out.
    pub masters_only: bool,
    /// How many nodes to verify, spread evenly; all where `None`.
    pub sample: Option<usize>,
    /// Files of CRLs that revocation is judged by, besides the directory's own.
    pub crls: Vec<PathBuf>,
}

/// A target, and what was found when it was assembled.
#[derive(Debug)]
pub struct AssembledTarget {
    /// The target.
    pub target: Target,
    /// Findings of the files that it was assembled from.
    pub findings: Vec<Finding>,
}

impl From<Target> for AssembledTarget {
    fn from(target: Target) -> Self {
        Self { target, findings: Vec::new() }
    }
}

/// Assembles the target of a run.
///
/// # Errors
/// [`TargetError`] when a file cannot be used or an option is missing; when a file cannot be read.
pub fn assemble(env: &Env, options: &TargetOptions) -> Result<AssembledTarget, Error> {
    let mut assembled = match &options.source {
        TargetSource::Directory(cluster) => {
            let mut target = directory::target(cluster, &env.layout)?;
            narrow(&mut target, &options.nodes).map_err(VerifyError::Target)?;
            target.into()
        }
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

/// Restricts a run to the nodes called `names`.
pub(super) fn narrow(target: &mut Target, names: &[String]) -> Result<(), TargetError> {
    if names.is_empty() {
        return Ok(());
    }
    let known: Vec<&str> = target.nodes.iter().map(|node| node.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(TargetError::unknown_node(unknown, known));
    }
    target.only_nodes(|name| names.iter().any(|wanted| wanted == name));
    Ok(())
}

/// Leaves all nodes but `count` out of the run, and returns a finding that says so. Two runs leave out the same.
fn sample(target: &mut Target, count: usize) -> Option<Finding> {
    let all = target.nodes.len();
    let left_out = all.checked_sub(count).filter(|left_out| *left_out > 0)?;
    let picked: HashSet<String> = (0..count).map(|i| target.nodes[i * all / count].name.clone()).collect();
    target.only_nodes(|name| picked.contains(name));
    let id = CheckId::at(Place::Node, Aspect::Connect);
    let mut finding = Finding::new(id, Place::Cluster, &target.cluster, Status::Skipped);
    // It was requested, so that it does not fail the run.
    finding.severity = Severity::Warning;
    let observed = format!("{left_out} of {all} nodes were left out: a sample of {count} was requested");
    Some(finding.saw(observed, "every node is verified").remedy(VerifierRemedy::VerifyAllNodes))
}
