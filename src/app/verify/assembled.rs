//! A target with the findings of its assembly.

use super::error::TargetError;
use crate::verify::finding::Finding;
use crate::verify::target::Target;

/// The largest bundle, trust file or kubeconfig that is read, in bytes.
pub(super) const LIMIT: u64 = 16 << 20;

/// A target with the findings of its assembly.
#[derive(Debug)]
pub struct AssembledTarget {
    /// The target.
    pub target: Target,
    /// Findings about the files that it was assembled from.
    pub findings: Vec<Finding>,
}

impl From<Target> for AssembledTarget {
    fn from(target: Target) -> Self {
        Self { target, findings: Vec::new() }
    }
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
