//! Describes responses as text.

use serde_json::Value;

use super::super::finding::{Finding, Status};
use super::super::observation::{Answer, Client, Dial, Exchange, Outcome, Request};
use super::super::remedy::{ConnectionRemedy, Remedy};

/// Returns the exchanges of this request.
pub(super) fn of(dial: &Dial, wanted: Request) -> impl Iterator<Item = &Exchange> {
    dial.exchanges.iter().filter(move |exchange| exchange.request == wanted)
}

pub(super) fn client_name(client: &Client) -> Option<String> {
    match client {
        Client::Master(name) | Client::Node(name) | Client::OtherNode(name) => Some(name.clone()),
        Client::Untrusted(kind) => Some(kind.as_str().to_owned()),
        // The verifier is not a host, so its findings are about the server.
        Client::Anonymous | Client::Verifier | Client::NewRoot | Client::OldRoot => None,
    }
}

/// Describes a request and its response; without a credential, the reason.
pub(super) fn describe_exchange(exchange: &Exchange) -> String {
    match &exchange.outcome {
        Outcome::NoCredential(why) => why.clone(),
        outcome => describe_request(exchange.request, outcome),
    }
}

/// Describes a request and its response.
pub(super) fn describe_request(request: Request, outcome: &Outcome) -> String {
    format!("{}: {}", request.as_str(), describe_outcome(outcome))
}

/// Adds the remedy for a request that was not answered in time, unless there is a better one.
pub(super) fn with_more_time(mut finding: Finding, outcome: &Outcome) -> Finding {
    if matches!(outcome, Outcome::TimedOut(_)) && finding.status != Status::Pass && finding.remedy.is_none() {
        finding.remedy = Some(Remedy::from(ConnectionRemedy::RaiseTimeout));
    }
    finding
}

/// Describes a response.
pub(super) fn describe_outcome(outcome: &Outcome) -> String {
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

/// Returns true if a response is an API server's own refusal: a `v1` Status with HTTP's status code.
pub(super) fn is_kubernetes_status(answer: &Answer) -> bool {
    serde_json::from_str::<Value>(&answer.body).is_ok_and(|body| {
        body.get("kind").and_then(Value::as_str) == Some("Status")
            && body.get("code").and_then(Value::as_u64) == Some(answer.status.into())
    })
}

/// Returns true if a response has a Content-Type of JSON, or none.
pub(super) fn is_called_json(answer: &Answer) -> bool {
    answer.content_type.as_deref().is_none_or(|kind| kind.to_ascii_lowercase().contains("json"))
}

/// Returns true if a body is, or begins like, a list of this kind as Kubernetes writes it.
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

/// Returns the message of clusterctl's policies and authorizers without what CEL and Kubernetes add.
fn clusterctl_message(text: &str) -> Option<&str> {
    let sentence = &text[text.rfind("clusterctl: ")?..];
    let end = sentence.find(['"', ']', '\n', '\'']).unwrap_or(sentence.len());
    Some(sentence[..end].trim_end())
}

/// Returns the response's message: a Status's message, a page's title, or the body's first line.
fn words(answer: &Answer) -> String {
    let message = serde_json::from_str::<Value>(&answer.body).ok().and_then(|body| {
        let message = body.get("message")?.as_str()?;
        Some(message.to_owned())
    });
    let title = || Some(answer.body.split_once("<title>")?.1.split_once("</title>")?.0.to_owned());
    // The first line of pretty-printed JSON is a bracket.
    let first = || answer.body.lines().next().filter(|line| !matches!(line.trim(), "{" | "[")).unwrap_or_default();
    let text = message.or_else(title).unwrap_or_else(|| first().to_owned());
    // Error pages of web servers begin with the status, which is already in the report.
    let text = text.trim();
    if let Some(sentence) = clusterctl_message(text) {
        return sentence.to_owned();
    }
    let text = text.strip_prefix(&answer.status.to_string()).unwrap_or(text);
    text.trim().chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_denial_message_is_extracted_from_the_answer() {
        let revoked = "clusterctl: this certificate was revoked";
        for text in [
            format!(
                "Internal error occurred: [\"r\": expression 'x' resulted in error: no such key: {revoked}, a: no such key: {revoked}]"
            ),
            format!(
                "nodes \"a\" is forbidden: ValidatingAdmissionPolicy 'clusterctl-kubelets-nodes' denied request: {revoked}"
            ),
        ] {
            assert_eq!(clusterctl_message(&text), Some(revoked), "{text}");
        }
        assert_eq!(clusterctl_message("User \"clusterctl:verifier\" cannot list"), None);
    }
}
