//! The whole suite, one binary: a module for each command, and one for each promise that spans several.

mod beginning;
mod bundle;
mod cluster_file;
mod interruption;
mod issuing;
mod roots;
mod shells;
mod structure;
mod support;
mod verify;
