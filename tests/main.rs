//! The whole suite, one binary: a module for each command, and one for each promise that spans several.

mod admin;
mod bundle;
mod certificates;
mod cluster_file;
mod control_plane;
mod corpora;
mod delivery;
mod demo;
mod init;
mod interruption;
mod issuing;
mod nginx;
mod policy;
mod readme;
mod replaying;
mod reports;
mod roots;
mod sealing;
mod shells;
mod show;
mod signing;
mod structure;
mod support;
mod targets;
mod verify;
mod verifying;
