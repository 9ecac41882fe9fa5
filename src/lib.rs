//! clusterctl

pub mod cluster;
pub mod pki;
