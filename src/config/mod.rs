//! Reads and writes cluster files and kubelet configurations, and reads kubeconfigs and the output of `kubectl`.
//!
//! This module opens no files. No other module uses `serde_yaml`.

mod csr_list;
mod de;
pub mod key_docs;
pub mod keys;
pub mod kubeconfig;
mod kubectl;
pub mod kubelet_config;
mod path;
mod raw;
mod read;
mod span;
mod value;
mod write;

pub use csr_list::{CsrListError, ListedRequest, may_be_csr_list, requests_from_kubectl};
pub use kubectl::{KubectlError, MASTER_KEYS, MASTER_LABELS, from_kubectl};
pub use read::{MAX_BYTES, ReadError, read};
pub use write::{write, write_noting};
