//! clusterctl

pub mod cluster;
