//! Renders a host's bundle from templates and credentials, and encodes it reproducibly.
//!
//! Nothing here uses files, clocks or terminals.

pub mod archive;
pub mod backup;
pub mod backup_manifest;
mod cloud_init;
pub mod encrypted_stream;
pub mod encryption;
mod escape;
mod flags;
pub mod format;
pub mod host_keys;
mod ignition;
pub mod images;
pub mod input;
pub mod kubeconfig;
pub mod manifest;
pub mod model;
pub mod packer;
pub mod paths;
pub mod policy;
pub mod render;
pub mod restarts;
pub mod signature;
pub mod verifier;
