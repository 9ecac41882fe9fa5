//! Checks `enrolment`.

mod policy;
mod values;

use std::net::SocketAddr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::errors::Errors;
use crate::cluster::config_error::Reason;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::enrolment::{Enrolment, EnrolmentError, KEYS, Policy, Then};
use crate::cluster::kubelet::RawValue;
use values::{entries, list, text, texts};

/// Returns the checked value; `None` if it is absent or has errors.
pub(super) fn parse(raw: &RawValue, errors: &mut Errors) -> Option<Enrolment> {
    if *raw == RawValue::Null {
        return None;
    }
    let before = errors.0.len();
    let path = "enrolment";
    let wanted = "a mapping, as in {listen: 10.20.0.11:6444, policy: queue},";
    let [listen, endpoint, bootstrap, allowed_signers, approvers, policy, until] =
        entries(raw, path, wanted, KEYS, errors)?;
    let listen = text(listen, "enrolment.listen", errors).and_then(|text| {
        let parsed = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        errors.parsed("enrolment.listen", text, parsed.ok_or(Reason::Enrolment(EnrolmentError::InvalidListen)))
    });
    let location = |path: &str, text: &str, errors: &mut Errors| {
        errors.parsed(path, text, Endpoint::parse(text).map_err(Reason::Endpoint))
    };
    let endpoint =
        text(endpoint, "enrolment.endpoint", errors).and_then(|text| location("enrolment.endpoint", text, errors));
    let bootstrap = texts(bootstrap, "enrolment.bootstrap", errors);
    let bootstrap = bootstrap.iter().filter_map(|(path, text)| location(path, text, errors)).collect();
    let allowed_signers = text(allowed_signers, "enrolment.allowedSigners", errors);
    if allowed_signers.is_some_and(|path| path.trim().is_empty()) {
        let reason = Reason::Enrolment(EnrolmentError::InvalidPath);
        errors.add("enrolment.allowedSigners", allowed_signers.map(str::to_owned), reason);
    }
    let approvers: Vec<String> =
        list(approvers, "enrolment.approvers", errors).into_iter().map(|(_, text)| text.to_owned()).collect();
    let until = until.filter(|until| **until != RawValue::Null);
    let end = text(until, "enrolment.until", errors).and_then(|text| {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Reason::Enrolment(EnrolmentError::InvalidUntil));
        errors.parsed("enrolment.until", text, parsed)
    });
    let policy = policy::parse(policy, end, until.is_some(), errors)?;
    check_approvals(&policy, allowed_signers, approvers.len(), errors);
    let allowed_signers = allowed_signers.map(str::to_owned);
    let enrolment = Enrolment { listen, endpoint, bootstrap, allowed_signers, approvers, policy };
    (errors.0.len() == before).then_some(enrolment)
}

fn check_approvals(policy: &Policy, allowed_signers: Option<&str>, approvers: usize, errors: &mut Errors) {
    let Policy::Rules(rules) = policy else { return };
    for (i, rule) in rules.iter().enumerate() {
        let Then::Queue { approvals: Some(approvals) } = rule.then else { continue };
        let path = format!("enrolment.policy[{i}].approvals");
        if allowed_signers.is_none() {
            let reason = Reason::Enrolment(EnrolmentError::NoAllowedSigners);
            errors.add(&path, Some(approvals.to_string()), reason);
        } else if approvers > 0 && usize::from(approvals.get()) > approvers {
            let reason = Reason::Enrolment(EnrolmentError::MoreThanApprovers { approvers });
            errors.add(&path, Some(approvals.to_string()), reason);
        }
    }
}
