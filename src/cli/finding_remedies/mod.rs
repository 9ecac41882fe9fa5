//! The texts of remedies for findings, by the tool that made the cluster.

mod access;
mod certificate;
mod cluster;
mod connection;
mod directory;
mod enrolment;
mod phrases;
mod recording;
mod trust;
mod words;

pub use recording::of_recording;
pub use words::words;
