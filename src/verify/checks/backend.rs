//! `master.backend`: whether an API server reaches etcd. Without etcd it still authenticates clients, and every read
//! hangs. `/livez` checks etcd everywhere; OpenShift's `/readyz` does not check it (OCPBUGS-48177).

use super::super::finding::{Aspect, CheckId, Finding, Severity, Status};
use super::super::observation::{Answer, Dial, Outcome, Request};
use super::super::remedy::{HealthRemedy, VerifierRemedy};
use super::answer::{client_name, describe_exchange, of};
use super::context::CheckContext;
use super::location::{Location, expectation};

/// The line of a failed etcd check.
const ETCD: &str = "[-]etcd";

impl CheckContext<'_> {
    /// Returns the finding `master.backend`; `None` without a verifier, or for a recording of an earlier version.
    pub(super) fn backend(&mut self, location: &Location<'_>, dial: &Dial) -> Option<Finding> {
        let exchange = of(dial, Request::Livez).next()?;
        let expected = expectation(location.place, Aspect::Backend);
        let mut finding =
            location.finding(Aspect::Backend, Status::NotProven).saw(describe_exchange(exchange), expected);
        finding.client = client_name(&exchange.client);
        finding.elapsed_ms = exchange.elapsed_ms;
        let Outcome::Answer(alive) = &exchange.outcome else { return Some(finding) };
        if let Err(reason) = self.proven(exchange) {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), alive.status);
            finding.because_of = Some(location.cause(Aspect::Chain));
            return Some(finding);
        }
        let ready =
            exchange.more.iter().find(|further| further.request == Request::Readyz && further.server_chain.is_empty());
        let answer = match ready.map(|further| &further.outcome) {
            Some(Outcome::Answer(ready)) if failing(alive).is_empty() && alive.status == 200 => ready,
            _ => alive,
        };
        let failing = failing(answer);
        let list = failing.join("; ");
        Some(match answer.status {
            200 if failing.is_empty() => {
                Finding { status: Status::Pass, observed: "it is ready".to_owned(), ..finding }
            }
            _ if failing.iter().any(|line| line.starts_with(ETCD)) => {
                finding.status = Status::Fail;
                finding.observed = format!("the API server responds, and etcd does not: {list}");
                finding.remedy(HealthRemedy::CheckEtcd)
            }
            _ if !failing.is_empty() => {
                (finding.status, finding.severity) = (Status::Warn, Severity::Warning);
                finding.observed = format!("etcd responds, and the API server is not ready: {list}");
                finding.remedy(HealthRemedy::ReadApiServerLog)
            }
            401 => Finding { status: Status::Skipped, severity: Severity::Warning, ..finding },
            403 | 404 => {
                (finding.status, finding.severity) = (Status::Skipped, Severity::Warning);
                finding.remedy(VerifierRemedy::BindPublicInfoViewer)
            }
            _ => finding,
        })
    }
}

/// The checks that an API server names as failed.
fn failing(answer: &Answer) -> Vec<&str> {
    answer.body.lines().filter(|line| line.starts_with("[-]")).collect()
}

/// Sets etcd as the cause of everything that is not proven at `location`, if etcd does not respond, because the other
/// reasons would be timeouts.
pub(super) fn is_the_cause(location: &Location<'_>, findings: &mut [Finding]) {
    let id = CheckId::at(location.place, Aspect::Backend);
    if !findings.iter().any(|finding| finding.id == id && finding.status == Status::Fail) {
        return;
    }
    let cause = location.cause(Aspect::Backend);
    for finding in findings.iter_mut().filter(|f| f.status == Status::NotProven && f.because_of.is_none()) {
        (finding.because_of, finding.remedy) = (Some(cause.clone()), None);
    }
}
