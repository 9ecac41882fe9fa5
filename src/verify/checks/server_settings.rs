//! Checks the settings that a server reports to the verifier.

use super::super::finding::{Aspect, Finding, Property, Severity, Status};
use super::super::observation::{Answer, Exchange, Outcome};
use super::super::remedy::{VerifierRemedy, VerifierRight};
use super::super::settings::{self, Judgement};
use super::answer::{client_name, describe_exchange, with_more_time};
use super::context::CheckContext;
use super::location::{Location, expectation};

impl CheckContext<'_> {
    /// Returns the findings `master.flags`: one finding, or one for each property that the flags violate.
    pub(super) fn flags(&mut self, location: &Location<'_>, exchange: &Exchange, by_restriction: bool) -> Vec<Finding> {
        let judged = match &exchange.outcome {
            Outcome::Answer(answer) if answer.status == 200 && self.proven(exchange).is_ok() => {
                settings::flags(answer, by_restriction)
            }
            _ => Vec::new(),
        };
        if judged.is_empty() {
            return vec![self.reported_settings(location, Aspect::Flags, exchange)];
        }
        let make = |(property, Judgement { status, observed, remedy, .. }): (Option<Property>, Judgement)| {
            let mut finding =
                location.finding(Aspect::Flags, status).saw(observed, expectation(location.place, Aspect::Flags));
            if status == Status::Fail {
                finding.severity = Severity::Error;
            }
            finding.client = client_name(&exchange.client);
            finding.elapsed_ms = exchange.elapsed_ms;
            finding.remedy = remedy;
            finding.only = property;
            finding
        };
        judged.into_iter().map(make).collect()
    }

    /// Returns a finding about the settings that a server reports to the verifier.
    pub(super) fn reported_settings(
        &mut self,
        location: &Location<'_>,
        aspect: Aspect,
        exchange: &Exchange,
    ) -> Finding {
        let observed = describe_exchange(exchange);
        let mut finding =
            location.finding(aspect, Status::NotProven).saw(observed, expectation(location.place, aspect));
        finding.client = client_name(&exchange.client);
        finding.elapsed_ms = exchange.elapsed_ms;
        let Outcome::Answer(answer) = &exchange.outcome else { return with_more_time(finding, &exchange.outcome) };
        if let Err(reason) = self.proven(exchange) {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), answer.status);
            finding.because_of = Some(location.cause(Aspect::Chain));
            return finding;
        }
        match answer.status {
            // Flags are handled above; this response has none.
            200 if aspect == Aspect::Flags => {
                let asked = exchange.request.as_str();
                finding.observed = format!("{asked}: 200, but that is not what Kubernetes answers");
            }
            200 => match settings::kubelet(answer) {
                Some(Judgement { status, observed, remedy, .. }) => {
                    (finding.status, finding.observed) = (status, observed);
                    finding.remedy = remedy;
                }
                None => {
                    let asked = exchange.request.as_str();
                    finding.observed = format!("{asked}: 200, but that is not what Kubernetes answers");
                }
            },
            // It is forbidden, or does not exist.
            403 | 404 => {
                finding.status = Status::Skipped;
                return finding.remedy(match (aspect, answer.status) {
                    (Aspect::Flags, 404) => VerifierRemedy::EnableFlagz,
                    (_, 404) => VerifierRemedy::EnableConfigz,
                    (Aspect::Config, _) if wants_nodes_proxy(answer) => VerifierRemedy::EnableFineGrainedAuthorization,
                    (Aspect::Config, _) => VerifierRemedy::GrantVerifier { right: VerifierRight::Configz },
                    _ => VerifierRemedy::GrantVerifier { right: VerifierRight::Flagz },
                });
            }
            _ => {}
        }
        finding
    }
}

/// Returns true if a kubelet requires `nodes/proxy`: without fine-grained authorization it has no other subresource for
/// most of its paths (`pkg/kubelet/server/auth.go`).
fn wants_nodes_proxy(answer: &Answer) -> bool {
    ["subresource=proxy", "subresource(s)=[proxy]"].iter().any(|wanted| answer.body.contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::answer;
    use super::*;

    #[test]
    fn kubelets_without_finer_rights_than_nodes_proxy_are_distinguished() {
        let refused = "Forbidden (user=clusterctl:verifier, verb=get, resource=nodes, ";
        for (subresources, wanted) in [
            ("subresource=proxy)", true),
            ("subresource(s)=[proxy])", true),
            ("subresource(s)=[configz proxy])", false),
        ] {
            let Outcome::Answer(answer) = answer(403, &format!("{refused}{subresources}")) else { panic!("an answer") };
            assert_eq!(wants_nodes_proxy(&answer), wanted, "{subresources}");
        }
    }
}
