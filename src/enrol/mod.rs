//! Enrolment: the requests of hosts for certificates, from the wire to a decision. The model, without I/O, clocks or the
//! network.

pub mod approval;
pub mod blocks;
pub mod evidence;
pub mod handover;
pub mod policy;
pub mod record;
pub mod record_rotation;
pub mod request;
pub mod token;
