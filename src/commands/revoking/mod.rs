//! Who is revoked: what the signed lists say of it beside the ledger, and what API servers are told.

pub(crate) mod departed;
pub(crate) mod forgotten;
pub(crate) mod lists;
pub(crate) mod naming;
pub(crate) mod remembered;
pub(crate) mod revocations;
pub(crate) mod signing;
pub(crate) mod superseded;
