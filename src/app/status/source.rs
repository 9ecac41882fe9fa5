//! The sources of the rows of a cluster directory.

use super::expiry::ExpiryRule;
use super::row::StatusRow;
use crate::cluster::spec::Cluster;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;

/// The sources of all rows of a directory.
pub(super) struct Source<'a> {
    pub(super) layout: &'a Layout,
    pub(super) cluster: &'a Cluster,
    pub(super) ledger: &'a Ledger,
    pub(super) rule: ExpiryRule,
}

/// A callback that receives rows, one at a time.
pub(super) type Sink<'s> = &'s mut dyn FnMut(StatusRow);
