//! The test suite: one program, a module for each part.

mod cluster_file;
