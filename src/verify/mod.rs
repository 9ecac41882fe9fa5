//! The proof on the wire: probe (network → observations), checks (pure: observations → findings), report (findings →
//! text and JSON). Probes judge nothing, checks dial nothing, reports print nothing.

pub mod checks;
pub mod finding;
mod line;
pub mod observation;
mod old_hello;
pub mod options;
pub mod probe;
pub mod report;
mod revocation;
mod settings;
pub mod target;
mod wire;
