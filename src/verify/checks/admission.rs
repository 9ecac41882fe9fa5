//! `master.admission`: whether a node's write to another node's objects, or to its own taints, is refused. Access
//! reviews do not run admission; a dry-run write does, and changes nothing.

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Answer, Client, DRY_RUN_DECLINED, Dial, Exchange, Outcome, Request};
use super::super::remedy::AuthorizationRemedy;
use super::answer::{client_name, describe_outcome, is_kubernetes_status, of};
use super::context::{CheckContext, NOT_OBSERVED};
use super::location::{Location, expectation};

/// Pairs of a permitted write and a forbidden one of the same kind.
const PAIRS: [(Request, Request, &str); 2] = [
    (Request::DryRunNode, Request::DryRunTaint, "a taint on its own node"),
    (Request::DryRunOwnPod, Request::DryRunOtherPod, "a pod on another node"),
];

/// The result of a write.
enum WriteResult {
    Accepted,
    /// Refused before admission.
    Unauthorized,
    /// Refused by admission.
    Refused,
    /// The server does not serve such a write at all: 404, 405 or 501.
    NotServed(String),
    Unclear(String),
}

impl CheckContext<'_> {
    pub(super) fn admission(&mut self, location: &Location<'_>, dial: &Dial) -> Finding {
        let expected = expectation(location.place, Aspect::Admission);
        let mut finding = location.finding(Aspect::Admission, Status::Skipped);
        finding.severity = Severity::Warning;
        let Some(first) = of(dial, Request::DryRunNode).next() else {
            let why = match dial.exchanges.iter().find(|exchange| is_self_review(exchange)) {
                None => "no node's own certificate is here",
                Some(Exchange { outcome: Outcome::Answer(Answer { status: 200 | 201, .. }), .. }) => NOT_OBSERVED,
                Some(_) => "the API server did not authenticate the client",
            };
            return finding.saw(why, expected);
        };
        finding.client = client_name(&first.client);
        finding.elapsed_ms = dial
            .exchanges
            .iter()
            .filter(|exchange| exchange.request.is_dry_run())
            .map(|exchange| exchange.elapsed_ms)
            .fold(0, u64::saturating_add);
        match &first.outcome {
            Outcome::NoCredential(why) => return finding.saw(why.clone(), expected),
            Outcome::NotTried(why) if why == DRY_RUN_DECLINED => return finding.saw(why.clone(), expected),
            _ => {}
        }
        let mut finding = Finding { severity: Severity::Error, status: Status::NotProven, ..finding };
        if let Err(reason) = self.proven(first) {
            finding.because_of = Some(location.cause(Aspect::Chain));
            return finding.saw(reason, expected);
        }
        let mut worst = Status::Pass;
        let mut words = Vec::new();
        let mut served = false;
        for (permitted, forbidden, what) in PAIRS {
            let mut found = |request| {
                of(dial, request).next().map_or(WriteResult::Unclear(NOT_OBSERVED.to_owned()), |e| self.written(e))
            };
            let (permitted, tried) = (found(permitted), found(forbidden));
            served |= [&permitted, &tried].iter().any(|written| !matches!(written, WriteResult::NotServed(_)));
            let (status, how) = judged(&permitted, &tried, of(dial, forbidden).next());
            worst = worst.max(status);
            words.push(format!("{what}: {how}"));
        }
        finding.status = worst;
        if !served {
            // A read-only gateway, or no API server: no write reached admission.
            (finding.status, finding.severity) = (Status::Skipped, Severity::Warning);
            return finding.saw(format!("no write is served here: {}", words.join("; ")), expected);
        }
        let finding = finding.saw(words.join("; "), expected);
        match worst {
            Status::Fail => finding.remedy(AuthorizationRemedy::RefuseWrites),
            Status::NotProven => finding.remedy(AuthorizationRemedy::AcceptOwnWrites),
            _ => finding,
        }
    }

    fn written(&mut self, exchange: &Exchange) -> WriteResult {
        if let Err(reason) = self.proven(exchange) {
            return WriteResult::Unclear(reason);
        }
        match &exchange.outcome {
            Outcome::Answer(answer) if (200..300).contains(&answer.status) => WriteResult::Accepted,
            // The messages of Kubernetes's authorizers (RBAC, Node) and of clusterctl's.
            Outcome::Answer(answer) if answer.status == 403 && answer.body.contains(" cannot ") => {
                WriteResult::Unauthorized
            }
            Outcome::Answer(answer) if answer.status == 500 && answer.body.contains("clusterctl: ") => {
                WriteResult::Unauthorized
            }
            Outcome::Answer(answer) if answer.status == 403 && is_kubernetes_status(answer) => WriteResult::Refused,
            // A policy without an explicit reason; other 422 responses are about invalid objects.
            Outcome::Answer(answer) if answer.status == 422 && answer.body.contains("denied request") => {
                WriteResult::Refused
            }
            Outcome::Answer(answer) if [404, 405, 501].contains(&answer.status) => {
                WriteResult::NotServed(describe_outcome(&exchange.outcome))
            }
            outcome => WriteResult::Unclear(describe_outcome(outcome)),
        }
    }
}

fn judged(permitted: &WriteResult, forbidden: &WriteResult, exchange: Option<&Exchange>) -> (Status, String) {
    let words = || exchange.map(|exchange| describe_outcome(&exchange.outcome)).unwrap_or_default();
    match (forbidden, permitted) {
        (WriteResult::Accepted, _) => (Status::Fail, "admitted".to_owned()),
        (WriteResult::Unauthorized, _) => (Status::Pass, format!("refused by an authorizer: {}", words())),
        (WriteResult::Refused, WriteResult::Accepted) => (Status::Pass, format!("refused by admission: {}", words())),
        (WriteResult::Refused, WriteResult::Unauthorized | WriteResult::Refused) => {
            (Status::NotProven, format!("refused as permitted writes are: {}", words()))
        }
        (WriteResult::Refused, WriteResult::Unclear(why) | WriteResult::NotServed(why)) => {
            (Status::NotProven, format!("refused, and the permitted write: {why}"))
        }
        (WriteResult::Unclear(why) | WriteResult::NotServed(why), _) => (Status::NotProven, why.clone()),
    }
}

/// Returns true if a node requests its identity in an exchange.
pub(super) fn is_self_review(exchange: &Exchange) -> bool {
    matches!(exchange.client, Client::Node(_)) && exchange.request == Request::WhoAmI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_proves_admission_if_a_similar_request_is_accepted() {
        let unclear = || WriteResult::Unclear("no answer".to_owned());
        let status = |permitted: WriteResult, forbidden: WriteResult| judged(&permitted, &forbidden, None).0;
        assert_eq!(status(WriteResult::Accepted, WriteResult::Refused), Status::Pass);
        assert_eq!(status(WriteResult::Refused, WriteResult::Unauthorized), Status::Pass);
        for permitted in [WriteResult::Accepted, WriteResult::Refused, WriteResult::Unauthorized, unclear()] {
            assert_eq!(status(permitted, WriteResult::Accepted), Status::Fail);
        }
        for permitted in [WriteResult::Refused, WriteResult::Unauthorized, unclear()] {
            assert_eq!(status(permitted, WriteResult::Refused), Status::NotProven);
        }
        assert_eq!(status(WriteResult::Accepted, unclear()), Status::NotProven);
    }
}
