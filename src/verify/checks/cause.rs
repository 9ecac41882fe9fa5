//! Which finding another one hangs on, where that shows only when several checks have been judged. A check that says so itself
//! sets its cause where it is made.

use super::super::finding::{Aspect, CheckId, Finding, Scope, Status};
use super::super::target::Place;
use super::heartbeat;
use super::location::Location;

/// Says of what is not proven at `spot` that it hangs on the rightful callers, where none of these is let in: a server that answers
/// no one, or with what Kubernetes does not say, has one fault and not one for each question.
pub(super) fn caller(spot: &Location<'_>, findings: &mut [Finding]) {
    let id = CheckId::at(spot.place, Aspect::Caller);
    let is_open = |finding: &Finding| finding.status == Status::NotProven && finding.because_of.is_none();
    let fails = |finding: &Finding| finding.status == Status::Fail && finding.because_of.is_none();
    let let_in = |finding: &Finding| finding.id == id && matches!(finding.status, Status::Pass | Status::Warn);
    if findings.iter().any(let_in) {
        return;
    }
    let Some(first) = findings.iter().position(|finding| finding.id == id && (is_open(finding) || fails(finding)))
    else {
        return;
    };
    let cause = findings[first].as_cause();
    for (at, finding) in findings.iter_mut().enumerate() {
        if is_open(finding) && at != first && (finding.id == id || asks_a_question(finding.id.1)) {
            finding.because_of = Some(cause.clone());
        }
    }
}

/// Whether a check is judged by what a server answers to a request.
fn asks_a_question(aspect: Aspect) -> bool {
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

/// Says of a host that is reached at none of its addresses that it has one fault: at the first of them. A node that is down
/// renews no Lease either.
pub(super) fn silent_host(findings: &mut [Finding]) {
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

/// Says of the lists for which any API server is asked why they are not proven: the API server that was asked, or where none could
/// be, the first that could not.
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
                && stops_a_list(finding.id.1)
                && (address.is_none() || finding.address.as_deref() == address)
        });
        let Some(cause) = cause.map(Finding::as_cause) else { continue };
        if cause.id.1 == Aspect::Backend {
            // More time does not help.
            findings[at].remedy = None;
        }
        findings[at].because_of = Some(cause);
    }
}

/// Whether no list comes from an API server of which this does not hold.
fn stops_a_list(aspect: Aspect) -> bool {
    matches!(aspect, Aspect::Resolve | Aspect::Connect | Aspect::Tls | Aspect::Chain | Aspect::Backend | Aspect::Caller)
}
