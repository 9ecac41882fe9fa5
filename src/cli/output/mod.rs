//! Reports of use cases as text and JSON.

pub(crate) mod adopted;
pub(crate) mod announcements;
pub(crate) mod backups;
pub(crate) mod bundles;
pub(crate) mod certificates;
pub(crate) mod changes;
pub(crate) mod crls;
#[cfg(feature = "server")]
pub(crate) mod enrolment;
pub(crate) mod history;
pub(crate) mod imported;
pub(crate) mod issued;
pub(crate) mod joining;
pub(crate) mod ledger;
pub(crate) mod lint;
mod phase_plan;
pub(crate) mod reasons;
pub(crate) mod removal;
pub(crate) mod renewal;
pub(crate) mod requests;
pub(crate) mod revocation;
pub(crate) mod rotation;
pub(crate) mod rotation_emergency;
pub(crate) mod rules;
pub(crate) mod signers;
pub(crate) mod status;
pub(crate) mod token_rotation;
pub(crate) mod tokens;
