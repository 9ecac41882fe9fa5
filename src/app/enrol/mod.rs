//! Enrolment: hosts ask for certificates over the network.

#[cfg(feature = "server")]
pub mod serve;
