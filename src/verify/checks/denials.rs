//! `master.denials`: whether an API server denies revoked certificates. Its rules may never have been installed or
//! reloaded, and no other check detects that before a revoked certificate is used.

use super::super::denials::{Decision, ExpectedDenials, RevokedCertificate, Subject};
use super::super::finding::{Aspect, Finding, Status};
use super::super::observation::{Dial, Exchange, Outcome, Request};
use super::super::remedy::{AuthorizationRemedy, VerifierRemedy};
use super::answer::{client_name, describe_exchange, describe_outcome, of, with_more_time};
use super::context::{CheckContext, NOT_OBSERVED};
use super::location::{Location, expectation};

/// The maximum number of certificates that a finding names.
const NAMED: usize = 3;

impl CheckContext<'_> {
    /// Returns the finding `master.denials`; `None` if nothing has to be denied.
    pub(super) fn denials(&mut self, location: &Location<'_>, dial: &Dial) -> Option<Finding> {
        let expected = expectation(location.place, Aspect::Denials);
        let finding = |status| location.finding(Aspect::Denials, status);
        let Some(denials) = &self.target.denials else {
            // A recording of an earlier version does not contain what has to be denied.
            let revoked = self.target.revoked.as_ref().is_some_and(|revoked| !revoked.is_empty());
            return revoked.then(|| finding(Status::Skipped).saw(NOT_OBSERVED, expected));
        };
        if denials.is_empty() {
            return None;
        }
        // If the verifier is not permitted to send the review, a node sent it.
        let asked = || of(dial, Request::DenialReview);
        let answered = asked().find(|exchange| answer_to(exchange).is_some());
        let Some(exchange) = answered.or_else(|| asked().next()) else {
            return Some(finding(Status::Skipped).saw(NOT_OBSERVED, expected));
        };
        let mut finding = finding(Status::NotProven).saw(describe_exchange(exchange), expected);
        finding.client = client_name(&exchange.client);
        finding.elapsed_ms = exchange.elapsed_ms;
        let answer = match &exchange.outcome {
            Outcome::Answer(answer) => answer,
            Outcome::NoCredential(_) => return Some(Finding { status: Status::Skipped, ..finding }),
            outcome => return Some(with_more_time(finding, outcome)),
        };
        if let Err(reason) = self.proven(exchange) {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), answer.status);
            finding.because_of = Some(location.cause(Aspect::Chain));
            return Some(finding);
        }
        Some(match answer_to(exchange) {
            Some(Decision::NotDenied) => compared(finding, location, denials, exchange),
            Some(Decision::Denied) => {
                finding.observed =
                    "it denies a certificate that was never revoked, so that a denial proves nothing".to_owned();
                finding.remedy(AuthorizationRemedy::FindDenyingAuthorizer)
            }
            None if answer.status == 403 => {
                finding.status = Status::Skipped;
                finding.remedy(VerifierRemedy::AllowAccessReviews)
            }
            None => finding,
        })
    }
}

/// Returns the decision about the first subject.
fn answer_to(exchange: &Exchange) -> Option<Decision> {
    match &exchange.outcome {
        Outcome::Answer(answer) => Subject::Unissued.decision(answer),
        _ => None,
    }
}

/// Compares the certificates that an API server denies with those that it has to deny.
fn compared(mut finding: Finding, location: &Location<'_>, denials: &ExpectedDenials, exchange: &Exchange) -> Finding {
    // Another server at this address may deny something else.
    let own = || exchange.more.iter().filter(|further| further.server_chain.is_empty());
    let decided = |subject: Subject| {
        own().find_map(|further| match &further.outcome {
            Outcome::Answer(answer) => subject.decision(answer),
            _ => None,
        })
    };
    let of_certificates = |wanted: Option<Decision>| -> Vec<&RevokedCertificate> {
        let certificates = denials.certificates.iter();
        certificates.filter(|certificate| decided(Subject::Certificate(certificate.sha256)) == wanted).collect()
    };
    let (missed, unanswered) = (of_certificates(Some(Decision::NotDenied)), of_certificates(None));
    let rules = denials.node_rules.then(|| decided(Subject::ListOfSecrets));
    let asked = denials.certificates.len();
    let mut said_of_it = Vec::new();
    if !missed.is_empty() {
        let count = match missed.len() {
            all if all == asked => "it denies nothing that was revoked".to_owned(),
            some => format!("of {asked} revoked certificates it does not deny {some}"),
        };
        said_of_it.push(format!("{count}: {}", named(&missed)));
    }
    if rules == Some(Some(Decision::NotDenied)) {
        said_of_it.push("it does not deny a list of all secrets to accounts kubelet:HOST".to_owned());
    }
    if !said_of_it.is_empty() {
        finding.status = Status::Warn;
        finding.observed = said_of_it.join("; ");
        let no_rule = missed.len() == asked && rules.is_none_or(|rule| rule == Some(Decision::NotDenied));
        return finding.remedy(AuthorizationRemedy::UpdateDenials { server: location.server(), no_rule });
    }
    if !unanswered.is_empty() || rules == Some(None) {
        let late = exchange.more.iter().map(|further| &further.outcome).find(|o| !matches!(o, Outcome::Answer(_)));
        finding.observed = match late {
            Some(outcome) => format!("which certificates it denies is not known: {}", describe_outcome(outcome)),
            None => "which certificates it denies is not known: some reviews are missing".to_owned(),
        };
        return match late {
            Some(outcome) => with_more_time(finding, outcome),
            None => finding,
        };
    }
    finding.status = Status::Pass;
    finding.observed = match (asked, denials.left_out) {
        (0, _) => "nothing is revoked; its rules about nodes are in force".to_owned(),
        (1, 0) => "it denies the certificate that was revoked".to_owned(),
        (asked, 0) => format!("it denies all {asked} certificates that were revoked"),
        (asked, more) => {
            format!("it denies the {asked} certificates that were revoked last; {more} more were not checked")
        }
    };
    finding
}

fn named(missed: &[&RevokedCertificate]) -> String {
    let name = |certificate: &&RevokedCertificate| {
        let whose = certificate.whose.clone().unwrap_or_else(|| format!("X509SHA256={}", certificate.sha256));
        match &certificate.revoked {
            Some(on) => format!("{whose}, revoked on {on}"),
            None => whose,
        }
    };
    let mut names: Vec<String> = missed.iter().take(NAMED).map(name).collect();
    if let Some(more) = missed.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names.push(format!("and {more} more"));
    }
    names.join("; ")
}
