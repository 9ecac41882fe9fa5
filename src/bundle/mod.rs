//! What one host receives: from templates and credentials to files, and from files to an archive that is the same bytes
//! every time. Nothing here touches a file, a clock or a terminal: what has to be read, the store has read.

pub mod archive;
mod cloud_init;
pub mod contents;
mod flags;
pub mod format;
mod ignition;
pub mod input;
pub mod kubeconfig;
pub mod manifest;
pub mod packer;
pub mod places;
pub mod policy;
mod quoting;
pub mod render;
pub mod seal;
pub mod settings;
pub mod signature;
pub mod verifier;
