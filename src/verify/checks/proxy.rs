//! Detects responses that come from a proxy and not from the program.

use super::super::place::Place;
use super::super::remedy::{ConnectionRemedy, Program, Remedy};

/// Returns the remedy for a response that is not the program's own.
pub(super) fn bypass_proxy(place: Place) -> Remedy {
    ConnectionRemedy::BypassProxy { program: Program::at(place) }.into()
}
