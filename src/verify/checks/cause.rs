//! Sets the causes of findings that are known only after several checks. A check that knows its cause sets it directly.

use super::super::finding::{Aspect, CheckId, Finding, Scope, Status};
use super::super::target::Place;
use super::heartbeat;
use super::location::Location;

/// Sets the permitted clients as the cause of everything that is not proven at `location`, if none of them is accepted,
/// because a server that accepts no client has one fault.
pub(super) fn client(location: &Location<'_>, findings: &mut [Finding]) {
    let id = CheckId::at(location.place, Aspect::Caller);
    let is_open = |finding: &Finding| finding.status == Status::NotProven && finding.because_of.is_none();
    let fails = |finding: &Finding| finding.status == Status::Fail && finding.because_of.is_none();
    let is_accepted = |finding: &Finding| finding.id == id && matches!(finding.status, Status::Pass | Status::Warn);
    if findings.iter().any(is_accepted) {
        return;
    }
    let Some(first) = findings.iter().position(|finding| finding.id == id && (is_open(finding) || fails(finding)))
    else {
        return;
    };
    let cause = findings[first].as_cause();
    for (at, finding) in findings.iter_mut().enumerate() {
        if is_open(finding) && at != first && (finding.id == id || needs_a_response(finding.id.1)) {
            finding.because_of = Some(cause.clone());
        }
    }
}

/// Returns true if a check depends on the response to a request.
fn needs_a_response(aspect: Aspect) -> bool {
    matches!(
        aspect,
        Aspect::Whoami
            | Aspect::Anonymous
            | Aspect::Untrusted
            | Aspect::OtherNode
            | Aspect::Scope
            | Aspect::Config
            | Aspect::Flags
            | Aspect::Admission
            | Aspect::Backend
    )
}

/// Sets one cause for a host that is unreachable at all of its addresses: its first address. A node that is down does
/// not renew its Lease either.
pub(super) fn unreachable_host(findings: &mut [Finding]) {
    let connects = || findings.iter().filter(|finding| finding.id.1 == Aspect::Connect);
    if !connects().all(|finding| finding.status == Status::Fail) {
        return;
    }
    let Some(cause) = connects().next().map(Finding::as_cause) else { return };
    let others = findings.iter_mut().filter(|finding| {
        let elsewhere = finding.id.1 == Aspect::Connect && finding.address != cause.address;
        elsewhere || heartbeat::is_stale(finding)
    });
    for finding in others {
        finding.because_of = Some(cause.clone());
    }
}

/// Sets the queried API server as the cause of lists that are not proven, or the first failed API server if none could
/// be queried.
pub(super) fn lists(findings: &mut [Finding]) {
    let is_open = |finding: &Finding| {
        finding.place == Place::Cluster
            && finding.id.0 == Scope::Node
            && matches!(finding.id.1, Aspect::Listed | Aspect::Heartbeat)
            && finding.status == Status::NotProven
            && finding.because_of.is_none()
    };
    for at in 0..findings.len() {
        if !is_open(&findings[at]) {
            continue;
        }
        let address = findings[at].address.as_deref();
        let cause = findings.iter().find(|finding| {
            matches!(finding.place, Place::Endpoint | Place::Master)
                && matches!(finding.status, Status::Fail | Status::NotProven)
                && finding.because_of.is_none()
                && prevents_lists(finding.id.1)
                && (address.is_none() || finding.address.as_deref() == address)
        });
        let Some(cause) = cause.map(Finding::as_cause) else { continue };
        if cause.id.1 == Aspect::Backend {
            // A longer timeout does not help.
            findings[at].remedy = None;
        }
        findings[at].because_of = Some(cause);
    }
}

/// Returns true if an API server that fails this check cannot return lists.
fn prevents_lists(aspect: Aspect) -> bool {
    matches!(aspect, Aspect::Resolve | Aspect::Connect | Aspect::Tls | Aspect::Chain | Aspect::Backend | Aspect::Caller)
}
