//! The environment of every use case.

use time::OffsetDateTime;

use crate::store::layout::Layout;
use crate::store::ledger::AuditContext;

/// The cluster directory, the time and the actor of a use case.
#[derive(Debug, Clone)]
pub struct Env {
    /// The cluster directory.
    pub layout: Layout,
    /// The time that certificates are issued and judged at.
    pub now: OffsetDateTime,
    /// The actor, as the ledger records it: `user@machine`.
    pub actor: String,
}

impl Env {
    /// Returns what the ledger records beside each change: the time and the actor.
    #[must_use]
    pub fn audit(&self) -> AuditContext<'_> {
        AuditContext { at: self.now, by: &self.actor }
    }
}
