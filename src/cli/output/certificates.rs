//! Planned and revoked certificates as JSON.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::reasons;
use crate::app::issue::{PlannedCertificate, ServiceAccountStep};
use crate::cluster::name::HostName;
use crate::store::ledger::certificates::IssuedCertificate;

/// Returns a planned certificate as JSON, with the ids of the reasons to issue it.
pub(crate) fn json(one: &PlannedCertificate) -> Value {
    let reasons = reasons::ids(one);
    json!({
        "host": one.credential.host.as_ref().map(HostName::as_str),
        "profile": one.credential.profile.policy().name,
        "reasons": reasons,
    })
}

/// Returns the id of the step for the key pair that signs service account tokens.
pub(crate) fn service_account(step: Option<ServiceAccountStep>) -> Option<&'static str> {
    step.map(|step| match step {
        ServiceAccountStep::Create => "create",
        ServiceAccountStep::WritePublicKey => "write-public-key",
    })
}

/// Returns revoked certificates as JSON.
pub(crate) fn revoked(certificates: &[IssuedCertificate]) -> Vec<Value> {
    let one = |one: &IssuedCertificate| json!({ "account": one.account, "serial": one.serial.to_string() });
    certificates.iter().map(one).collect()
}

/// Returns the hosts of certificates, each once, sorted.
pub(crate) fn hosts(certificates: &[PlannedCertificate]) -> BTreeSet<&str> {
    certificates.iter().filter_map(|one| one.credential.host.as_ref()).map(HostName::as_str).collect()
}
