//! The proof on the wire: probe (network → observations), checks (pure: observations → findings), report (findings →
//! text, JSON and JUnit), recording (a run as a file). Probes judge nothing, checks dial nothing, reports print nothing.

mod callers;
pub mod checks;
pub mod denials;
mod ending;
mod facts;
pub mod finding;
mod kept;
mod lane;
mod leases;
mod line;
mod nodes;
pub mod observation;
mod old_hello;
pub mod options;
mod pages;
pub mod probe;
pub mod recording;
pub mod remedy;
pub mod report;
mod reviews;
mod revocation;
mod settings;
mod shared;
mod tapped;
pub mod target;
mod wire;
mod witness;
mod writes;
