//! `master.backend`: whether an API server that answers has its store behind it. Without etcd it still says who calls, and
//! every read hangs. `/livez` asks etcd everywhere; OpenShift's `/readyz` leaves it out (OCPBUGS-48177).

use super::super::finding::{Aspect, CheckId, Finding, Severity, Status};
use super::super::observation::{Answer, Dial, Outcome, Request};
use super::super::remedy::{HealthRemedy, VerifierRemedy};
use super::answer::{asked_and_said, of, who};
use super::judge::CheckContext;
use super::location::{Location, expectation};

/// The line for the store, when it fails.
const ETCD: &str = "[-]etcd";

impl CheckContext<'_> {
    /// `None` where nobody asked: there is no verifier, or the recording is older.
    pub(super) fn backend(&mut self, spot: &Location<'_>, dial: &Dial) -> Option<Finding> {
        let exchange = of(dial, Request::Livez).next()?;
        let expected = expectation(spot.place, Aspect::Backend);
        let mut finding = spot.finding(Aspect::Backend, Status::NotProven).saw(asked_and_said(exchange), expected);
        finding.caller = who(&exchange.caller);
        finding.elapsed_ms = exchange.elapsed_ms;
        let Outcome::Answer(alive) = &exchange.outcome else { return Some(finding) };
        if let Err(reason) = self.proven(exchange) {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), alive.status);
            finding.because_of = Some(spot.cause(Aspect::Chain));
            return Some(finding);
        }
        let ready = exchange.more.iter().find(|further| further.request == Request::Readyz && further.shown.is_empty());
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
                finding.observed = format!("the API server answers, and etcd does not answer it: {list}");
                finding.remedy(HealthRemedy::CheckEtcd)
            }
            _ if !failing.is_empty() => {
                (finding.status, finding.severity) = (Status::Warn, Severity::Warning);
                finding.observed = format!("its store answers, and it is not ready: {list}");
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

/// Says of everything that is not proven at `spot` that it follows from the store that does not answer, if it does not:
/// their own words would be of deadlines.
pub(super) fn is_the_cause(spot: &Location<'_>, findings: &mut [Finding]) {
    let id = CheckId::at(spot.place, Aspect::Backend);
    if !findings.iter().any(|finding| finding.id == id && finding.status == Status::Fail) {
        return;
    }
    let cause = spot.cause(Aspect::Backend);
    for finding in findings.iter_mut().filter(|f| f.status == Status::NotProven && f.because_of.is_none()) {
        (finding.because_of, finding.remedy) = (Some(cause.clone()), None);
    }
}
