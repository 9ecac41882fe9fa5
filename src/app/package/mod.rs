//! Packs what a host needs into its bundle, and reads bundles back.

pub mod reader;
pub mod templates;
