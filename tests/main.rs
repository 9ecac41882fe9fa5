//! The whole suite, one binary: a module for each command, and one for each promise that spans several.

mod bundle;
mod certificates;
mod cluster_file;
mod corpora;
mod demo;
mod init;
mod interruption;
mod issuing;
mod nginx;
mod readme;
mod replaying;
mod reports;
mod revocation;
mod roots;
mod shells;
mod show;
mod structure;
mod support;
mod targets;
mod verify;
mod verifying;
