//! Reads YAML values of known types: a text as it is written, a list, a mapping with known keys.
//!
//! A value of the wrong type is recorded as an error and skipped, and the rest is still read.

mod list;
mod mapping;
mod reading;
mod skip;
mod text;

pub(super) use list::{Items, Texts, list, text_or_list};
pub(super) use mapping::{Entries, Mapping, mapping};
pub(super) use reading::{COST_OF_A_VALUE, Position, Reading};
pub(super) use skip::Skip;
pub(super) use text::{Scalar, Text, text};
