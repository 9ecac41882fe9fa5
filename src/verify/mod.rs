//! The proof on the wire: probe (network → observations), checks (pure: observations → findings), report (findings →
//! text, JSON and JUnit), recording (a run as a file). Probes judge nothing, checks dial nothing, reports print nothing.

pub mod checks;
pub mod finding;
pub mod observation;
pub mod options;
pub mod probe;
pub mod recording;
pub mod report;
pub mod target;
mod wire;
