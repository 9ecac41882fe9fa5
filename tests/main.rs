//! The whole suite, one binary: a module for each command, and one for each promise that spans several.

mod bundle;
mod issuing;
mod roots;
mod support;
