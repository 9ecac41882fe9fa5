//! What of the revoked is told to whom, and what is remembered of it.

pub(crate) mod lists;
pub(crate) mod revocations;
