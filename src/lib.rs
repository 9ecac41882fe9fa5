//! clusterctl

pub mod cluster;
pub mod cluster_file;
pub mod pki;
