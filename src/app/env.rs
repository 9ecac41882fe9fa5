//! The environment of every use case.

use time::OffsetDateTime;

use crate::store::layout::Layout;
use crate::store::ledger::AuditContext;

/// The cluster directory, the time and the actor of a use case.
#[derive(Debug, Clone)]
pub struct Env {
    /// The cluster directory.
    pub layout: Layout,
    /// The time at which certificates are issued and checked.
    pub now: OffsetDateTime,
    /// The actor, as the ledger records it: `user@machine`.
    pub actor: String,
}

impl Env {
    /// Returns the time and the actor, which the ledger records with each change.
    #[must_use]
    pub fn audit(&self) -> AuditContext<'_> {
        AuditContext { at: self.now, by: &self.actor }
    }
}
