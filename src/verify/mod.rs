//! The proof on the wire: probe (network → observations), checks (pure: observations → findings), report (findings →
//! text, JSON and JUnit), recording (a run as a file). Probes judge nothing, checks dial nothing, reports print nothing.

pub mod checks;
pub mod finding;
mod line;
mod nodes;
pub mod observation;
mod old_hello;
pub mod options;
pub mod probe;
pub mod recording;
pub mod report;
mod revocation;
mod settings;
pub mod target;
mod wire;
