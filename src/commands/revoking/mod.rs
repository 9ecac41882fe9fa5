//! Who is revoked: what the signed lists say of it beside the ledger, and what API servers are told.

pub(crate) mod lists;
pub(crate) mod revocations;
