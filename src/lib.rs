//! clusterctl

pub mod bundle;
pub mod cluster;
pub mod pki;
