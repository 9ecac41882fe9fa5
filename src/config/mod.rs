//! The cluster file as bytes: read into a `Cluster`, written from a `RawCluster`, begun from what `kubectl` says; and kubeconfigs.
//! Nothing here opens a file, and no other room names `serde_yaml`.

mod de;
pub mod kubeconfig;
mod kubectl;
pub mod kubelet_config;
mod raw;
mod read;
mod span;
mod value;
mod write;

pub use kubectl::{KubectlError, MASTER_KEYS, MASTER_LABELS, from_kubectl};
pub use read::{MAX_BYTES, ReadError, read};
pub use write::write;
