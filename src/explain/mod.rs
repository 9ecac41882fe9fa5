//! Describes certificates, keys, requests, CRLs, kubeconfigs and bundles as [`card::Card`]s.
//!
//! The functions are pure: they read no file and print nothing.

pub mod bundle;
pub mod card;
pub mod certificate;
pub mod context;
pub mod file_item;
mod file_item_card;
pub mod kubeconfig;
