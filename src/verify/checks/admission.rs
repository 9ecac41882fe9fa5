//! `master.admission`: whether a node's write about another node, or about its own taints, is refused. Access reviews do
//! not ask admission; a dry-run write does, and changes nothing.

use super::super::finding::{Aspect, Finding, Severity, Status};
use super::super::observation::{Answer, Caller, DRY_RUN_DECLINED, Dial, Exchange, Outcome, Request};
use super::super::remedy::AuthorizationRemedy;
use super::answer::{is_kubernetes_status, of, said, who};
use super::judge::{CheckContext, UNSEEN};
use super::location::{Location, expectation};

/// Writes that must be refused, each after one of the same kind that the node may make.
const PAIRS: [(Request, Request, &str); 2] = [
    (Request::DryRunNode, Request::DryRunTaint, "a taint on its own node"),
    (Request::DryRunOwnPod, Request::DryRunOtherPod, "a pod on another node"),
];

/// What became of a write.
enum Written {
    Accepted,
    /// Before admission was asked.
    Unauthorized,
    /// By admission.
    Refused,
    /// What answers here takes no such write from anybody: 404, 405 or 501.
    NotServed(String),
    Unclear(String),
}

impl CheckContext<'_> {
    pub(super) fn admission(&mut self, spot: &Location<'_>, dial: &Dial) -> Finding {
        let expected = expectation(spot.place, Aspect::Admission);
        let mut finding = spot.finding(Aspect::Admission, Status::Skipped);
        finding.severity = Severity::Warning;
        let Some(first) = of(dial, Request::DryRunNode).next() else {
            let why = match dial.exchanges.iter().find(|exchange| is_introduction(exchange)) {
                None => "no node's own certificate is here",
                Some(Exchange { outcome: Outcome::Answer(Answer { status: 200 | 201, .. }), .. }) => UNSEEN,
                Some(_) => "the API server did not say who calls",
            };
            return finding.saw(why, expected);
        };
        finding.caller = who(&first.caller);
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
            finding.because_of = Some(spot.cause(Aspect::Chain));
            return finding.saw(reason, expected);
        }
        let mut worst = Status::Pass;
        let mut words = Vec::new();
        let mut served = false;
        for (lawful, unlawful, what) in PAIRS {
            let mut found =
                |request| of(dial, request).next().map_or(Written::Unclear(UNSEEN.to_owned()), |e| self.written(e));
            let (lawful, tried) = (found(lawful), found(unlawful));
            served |= [&lawful, &tried].iter().any(|written| !matches!(written, Written::NotServed(_)));
            let (status, how) = judged(&lawful, &tried, of(dial, unlawful).next());
            worst = worst.max(status);
            words.push(format!("{what}: {how}"));
        }
        finding.status = worst;
        if !served {
            // A gateway for reading alone, or no API server: nothing reached admission, so nothing is known of it.
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

    fn written(&mut self, exchange: &Exchange) -> Written {
        if let Err(reason) = self.proven(exchange) {
            return Written::Unclear(reason);
        }
        match &exchange.outcome {
            Outcome::Answer(answer) if (200..300).contains(&answer.status) => Written::Accepted,
            // An authorizer's words (RBAC, Node), and what our authorizers deny with.
            Outcome::Answer(answer) if answer.status == 403 && answer.body.contains(" cannot ") => {
                Written::Unauthorized
            }
            Outcome::Answer(answer) if answer.status == 500 && answer.body.contains("clusterctl: ") => {
                Written::Unauthorized
            }
            Outcome::Answer(answer) if answer.status == 403 && is_kubernetes_status(answer) => Written::Refused,
            // A policy without a reason of its own; other 422 are an object that is not valid.
            Outcome::Answer(answer) if answer.status == 422 && answer.body.contains("denied request") => {
                Written::Refused
            }
            Outcome::Answer(answer) if [404, 405, 501].contains(&answer.status) => {
                Written::NotServed(said(&exchange.outcome))
            }
            outcome => Written::Unclear(said(outcome)),
        }
    }
}

fn judged(lawful: &Written, unlawful: &Written, exchange: Option<&Exchange>) -> (Status, String) {
    let words = || exchange.map(|exchange| said(&exchange.outcome)).unwrap_or_default();
    match (unlawful, lawful) {
        (Written::Accepted, _) => (Status::Fail, "it would be admitted".to_owned()),
        (Written::Unauthorized, _) => (Status::Pass, format!("refused by an authorizer: {}", words())),
        (Written::Refused, Written::Accepted) => (Status::Pass, format!("refused by admission: {}", words())),
        (Written::Refused, Written::Unauthorized | Written::Refused) => {
            (Status::NotProven, format!("refused as what it may write is: {}", words()))
        }
        (Written::Refused, Written::Unclear(why) | Written::NotServed(why)) => {
            (Status::NotProven, format!("refused, and what it may write: {why}"))
        }
        (Written::Unclear(why) | Written::NotServed(why), _) => (Status::NotProven, why.clone()),
    }
}

/// The exchanges in which a node asks who it is.
pub(super) fn is_introduction(exchange: &Exchange) -> bool {
    matches!(exchange.caller, Caller::Node(_)) && exchange.request == Request::WhoAmI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_proves_admission_where_the_like_of_it_is_accepted() {
        let unclear = || Written::Unclear("no answer".to_owned());
        let status = |lawful: Written, unlawful: Written| judged(&lawful, &unlawful, None).0;
        assert_eq!(status(Written::Accepted, Written::Refused), Status::Pass);
        assert_eq!(status(Written::Refused, Written::Unauthorized), Status::Pass);
        for lawful in [Written::Accepted, Written::Refused, Written::Unauthorized, unclear()] {
            assert_eq!(status(lawful, Written::Accepted), Status::Fail);
        }
        for lawful in [Written::Refused, Written::Unauthorized, unclear()] {
            assert_eq!(status(lawful, Written::Refused), Status::NotProven);
        }
        assert_eq!(status(Written::Accepted, unclear()), Status::NotProven);
    }
}
