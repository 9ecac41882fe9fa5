//! The rights of accounts in the cluster, and the revoked certificates that are denied before rights are evaluated.
//!
//! This module writes neither YAML nor files; the `bundle` module renders the templates.

pub mod denials;
pub mod enrolment;
pub mod explain;
pub mod mark;
pub mod rights;
