//! clusterctl

pub mod cluster;
pub mod pki;
pub mod standin;
pub mod verify;
