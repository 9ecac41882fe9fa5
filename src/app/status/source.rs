//! What the rows of a cluster directory are made from.

use super::expiry::ExpiryRule;
use super::row::StatusRow;
use crate::cluster::spec::Cluster;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;

/// What all rows of a directory are made from.
pub(super) struct Source<'a> {
    pub(super) layout: &'a Layout,
    pub(super) cluster: &'a Cluster,
    pub(super) ledger: &'a Ledger,
    pub(super) rule: ExpiryRule,
}

/// Takes rows, one at a time.
pub(super) type Sink<'s> = &'s mut dyn FnMut(StatusRow);
