//! What one host receives: from templates and credentials to files, and from files to an archive that is the same bytes
//! every time. Nothing here touches a file, a clock or a terminal: what has to be read, the store has read.

pub mod archive;
mod cloud_init;
mod escape;
mod flags;
pub mod format;
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
pub mod seal;
pub mod signature;
pub mod verifier;
