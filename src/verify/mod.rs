//! Verification: probe (network → observations), checks (pure: observations → findings), report (findings → text, JSON,
//! JUnit and HTML), recording (a run as a file). Probes evaluate nothing, checks make no connections, and reports print
//! nothing.

mod capturing_verifier;
pub mod certificate_map;
mod check_id;
pub mod checks;
pub mod denials;
mod dialer;
mod error;
mod facts;
pub mod finding;
mod http;
mod identities;
mod identity;
mod leases;
mod limiter;
mod nodes;
pub mod observation;
mod old_hello;
pub mod options;
mod pages;
pub mod phase;
mod place;
pub mod probe;
mod property;
pub mod recording;
mod recording_error;
mod redact;
pub mod remedy;
pub mod report;
mod reviews;
mod revocation;
mod settings;
mod shared;
mod sniffing_stream;
pub mod target;
pub mod token_keys;
pub mod verdict;
mod writes;
