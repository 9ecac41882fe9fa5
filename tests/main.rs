//! The whole suite, one binary: a module for each part of the program.
mod verify;
