//! Explains certificates, keys, requests, CRLs, kubeconfigs and bundles: pure functions from what was read to [`card::Card`]s.
//! Nothing here reads a file or prints.

pub mod bundle;
pub mod card;
pub mod certificate;
pub mod context;
pub mod kubeconfig;
pub mod piece;
