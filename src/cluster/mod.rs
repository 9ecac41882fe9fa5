//! The model of a cluster. Its types hold only values that the rules of the cluster file allow, except for the raw types that
//! are checked here.
//!
//! Nothing here reads a file, a certificate or a clock.

pub mod account;
pub mod address;
mod certificates;
pub(crate) mod check;
pub mod config_error;
pub mod duration;
pub mod endpoint;
pub mod enrolment;
pub mod etcd;
pub mod host_pattern;
pub mod inventory;
pub mod key_kind;
pub mod kubelet;
pub mod kubelet_fields;
pub mod kubelet_setting;
pub mod kubelet_trust;
pub mod kubernetes;
pub mod lifetime;
pub mod name;
mod node_index;
pub mod pkcs11_uri;
pub mod profile;
pub mod recipient;
pub mod signer;
pub mod similar;
pub mod spec;
