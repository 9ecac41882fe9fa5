//! Answers in words, and what a server tells the verifier of itself.

use serde_json::Value;

use super::super::finding::{Aspect, Finding, Property, Severity, Status};
use super::super::observation::{Answer, Caller, Dial, Exchange, Outcome, Request};
use super::super::remedy::{ConnectionRemedy, Remedy, VerifierRemedy, VerifierRight};
use super::super::settings::{self, Judgement};
use super::judge::CheckContext;
use super::location::{Location, expectation};

impl CheckContext<'_> {
    /// `master.flags`: one finding, or one for each property that what was read breaks.
    pub(super) fn flags(&mut self, spot: &Location<'_>, exchange: &Exchange, by_restriction: bool) -> Vec<Finding> {
        let judged = match &exchange.outcome {
            Outcome::Answer(answer) if answer.status == 200 && self.proven(exchange).is_ok() => {
                settings::flags(answer, by_restriction)
            }
            _ => Vec::new(),
        };
        if judged.is_empty() {
            return vec![self.told(spot, Aspect::Flags, exchange)];
        }
        let make = |(property, Judgement { status, observed, remedy, .. }): (Option<Property>, Judgement)| {
            let mut finding = spot.finding(Aspect::Flags, status).saw(observed, expectation(spot.place, Aspect::Flags));
            if status == Status::Fail {
                finding.severity = Severity::Error;
            }
            finding.caller = who(&exchange.caller);
            finding.elapsed_ms = exchange.elapsed_ms;
            finding.remedy = remedy;
            finding.only = property;
            finding
        };
        judged.into_iter().map(make).collect()
    }

    /// What a server tells the verifier of itself.
    pub(super) fn told(&mut self, spot: &Location<'_>, aspect: Aspect, exchange: &Exchange) -> Finding {
        let observed = asked_and_said(exchange);
        let mut finding = spot.finding(aspect, Status::NotProven).saw(observed, expectation(spot.place, aspect));
        finding.caller = who(&exchange.caller);
        finding.elapsed_ms = exchange.elapsed_ms;
        let Outcome::Answer(answer) = &exchange.outcome else { return with_more_time(finding, &exchange.outcome) };
        if let Err(reason) = self.proven(exchange) {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), answer.status);
            finding.because_of = Some(spot.cause(Aspect::Chain));
            return finding;
        }
        match answer.status {
            // What flags say is judged above; these are none.
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
            // It may not see it, or there is nothing to see.
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

/// Whether a kubelet refused for want of `nodes/proxy` and of nothing less: without fine-grained authorization it knows no
/// other subresource for most of its paths (`pkg/kubelet/server/auth.go`).
fn wants_nodes_proxy(answer: &Answer) -> bool {
    ["subresource=proxy", "subresource(s)=[proxy]"].iter().any(|wanted| answer.body.contains(wanted))
}

/// The exchanges that asked for this.
pub(super) fn of(dial: &Dial, wanted: Request) -> impl Iterator<Item = &Exchange> {
    dial.exchanges.iter().filter(move |exchange| exchange.request == wanted)
}

pub(super) fn who(caller: &Caller) -> Option<String> {
    match caller {
        Caller::Master(name) | Caller::Node(name) | Caller::OtherNode(name) => Some(name.clone()),
        Caller::Untrusted(kind) => Some(kind.as_str().to_owned()),
        // The verifier is no host: what it is told is told of whoever told it.
        Caller::Anonymous | Caller::Verifier => None,
    }
}

/// What was asked for and what came back; where nobody could ask, why.
pub(super) fn asked_and_said(exchange: &Exchange) -> String {
    match &exchange.outcome {
        Outcome::NoCredential(why) => why.clone(),
        outcome => requested(exchange.request, outcome),
    }
}

/// What one request was and what came back.
pub(super) fn requested(request: Request, outcome: &Outcome) -> String {
    format!("{}: {}", request.as_str(), said(outcome))
}

/// Adds the remedy for a request that was not answered in time, unless there is a better one.
pub(super) fn with_more_time(mut finding: Finding, outcome: &Outcome) -> Finding {
    if matches!(outcome, Outcome::TimedOut(_)) && finding.status != Status::Pass && finding.remedy.is_none() {
        finding.remedy = Some(Remedy::from(ConnectionRemedy::RaiseTimeout));
    }
    finding
}

/// What came back, in words.
pub(super) fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answer(answer) => {
            let words = words(answer);
            if words.is_empty() { answer.status.to_string() } else { format!("{} {words}", answer.status) }
        }
        Outcome::Alert(alert) => format!("refused with the TLS alert {alert}"),
        Outcome::Closed => "the connection was closed before an answer".to_owned(),
        Outcome::Reset => "the connection was reset before an answer".to_owned(),
        Outcome::TimedOut(ms) if *ms > 0 => format!("no answer within {ms} ms"),
        Outcome::TimedOut(_) => "no answer in time".to_owned(),
        Outcome::Failed(reason) => format!("no answer: {reason}"),
        Outcome::NoCredential(why) => why.clone(),
        Outcome::NotTried(why) => format!("not tried: {why}"),
    }
}

/// Whether an answer is a Kubernetes API server's own refusal (`v1` Status), with the very status that HTTP has.
pub(super) fn is_kubernetes_status(answer: &Answer) -> bool {
    serde_json::from_str::<Value>(&answer.body).is_ok_and(|body| {
        body.get("kind").and_then(Value::as_str) == Some("Status")
            && body.get("code").and_then(Value::as_u64) == Some(answer.status.into())
    })
}

/// Whether an answer is said to be JSON, where anything is said of it.
pub(super) fn is_called_json(answer: &Answer) -> bool {
    answer.content_type.as_deref().is_none_or(|kind| kind.to_ascii_lowercase().contains("json"))
}

/// True when a body is, or begins as, a list of this kind as Kubernetes writes it.
pub(super) fn is_list(answer: &Answer, kind: &str) -> bool {
    if !is_called_json(answer) {
        return false;
    }
    if !answer.truncated {
        return serde_json::from_str::<Value>(&answer.body)
            .is_ok_and(|body| body.get("kind").and_then(Value::as_str) == Some(kind));
    }
    let head: String = answer.body.chars().filter(|c| !c.is_whitespace()).take(200).collect();
    let begins = |before: &str| head.starts_with(&format!("{{{before}\"kind\":\"{kind}\""));
    begins("") || begins("\"apiVersion\":\"v1\",")
}

/// The sentence that our policies and authorizers deny with, out of what CEL and Kubernetes put around it.
fn our_sentence(text: &str) -> Option<&str> {
    let sentence = &text[text.rfind("clusterctl: ")?..];
    let end = sentence.find(['"', ']', '\n', '\'']).unwrap_or(sentence.len());
    Some(sentence[..end].trim_end())
}

/// The peer's own words: a Kubernetes Status's message, a page's title, else the body's first line.
fn words(answer: &Answer) -> String {
    let message = serde_json::from_str::<Value>(&answer.body).ok().and_then(|body| {
        let message = body.get("message")?.as_str()?;
        Some(message.to_owned())
    });
    let title = || Some(answer.body.split_once("<title>")?.1.split_once("</title>")?.0.to_owned());
    // The first line of JSON that is written for people is a bracket.
    let first = || answer.body.lines().next().filter(|line| !matches!(line.trim(), "{" | "[")).unwrap_or_default();
    let text = message.or_else(title).unwrap_or_else(|| first().to_owned());
    // A web server's pages begin with the status, which is told already.
    let text = text.trim();
    if let Some(sentence) = our_sentence(text) {
        return sentence.to_owned();
    }
    let text = text.strip_prefix(&answer.status.to_string()).unwrap_or(text);
    text.trim().chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::answer;
    use super::*;

    #[test]
    fn our_own_sentence_is_taken_out_of_what_stands_around_it() {
        let revoked = "clusterctl: this certificate was revoked";
        for text in [
            format!(
                "Internal error occurred: [\"r\": expression 'x' resulted in error: no such key: {revoked}, a: no such key: {revoked}]"
            ),
            format!(
                "nodes \"a\" is forbidden: ValidatingAdmissionPolicy 'clusterctl-kubelets-nodes' denied request: {revoked}"
            ),
        ] {
            assert_eq!(our_sentence(&text), Some(revoked), "{text}");
        }
        assert_eq!(our_sentence("User \"clusterctl:verifier\" cannot list"), None);
    }

    #[test]
    fn kubelets_that_know_no_finer_right_than_nodes_proxy_are_told_apart() {
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
