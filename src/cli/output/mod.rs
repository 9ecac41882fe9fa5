//! Reports of use cases as text and JSON.

pub(crate) mod bundles;
pub(crate) mod revocation;
