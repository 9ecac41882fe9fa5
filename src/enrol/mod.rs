//! The model of enrolment: requests, evidence, tokens, policies, approvals and cluster records, without I/O or clocks.

pub mod approval;
pub mod blocks;
pub mod evidence;
pub mod handover;
pub mod policy;
pub mod record;
pub mod record_rotation;
pub mod request;
pub mod token;
