//! Reduces responses to the parts that checks read, so that recordings contain nothing else.

use serde_json::{Value, json};

use super::denials;
use super::observation::Request;

/// The paths in a kubelet's `/configz` that checks read.
const CONFIGURATION: [&str; 5] = [
    "/kubeletconfig/authentication/anonymous/enabled",
    "/kubeletconfig/authentication/webhook/enabled",
    "/kubeletconfig/authentication/x509/clientCAFile",
    "/kubeletconfig/authorization/mode",
    "/kubeletconfig/readOnlyPort",
];

/// The API server's flags that checks read.
const FLAGS: [&str; 8] = [
    "admission-control",
    "anonymous-auth",
    "authentication-config",
    "authorization-config",
    "authorization-mode",
    "client-ca-file",
    "enable-admission-plugins",
    "kubelet-certificate-authority",
];

/// Returns the values at [`CONFIGURATION`], as a flat object; `None` if it is not a kubelet's configuration.
pub(super) fn configuration(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    body.get("kubeletconfig")?.as_object()?;
    let found = CONFIGURATION.iter().filter_map(|path| Some(((*path).to_owned(), body.pointer(path)?.clone())));
    Some(Value::Object(found.collect()).to_string())
}

/// Returns a key set with only the ids of its keys; `None` if it is not a key set.
pub(super) fn token_keys(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let ids = body.get("keys")?.as_array()?.iter().map(|key| json!({"kid": key.get("kid")}));
    Some(json!({"keys": ids.collect::<Vec<Value>>()}).to_string())
}

/// Returns the lines of [`FLAGS`]; `None` if it is not a list of flags.
pub(super) fn flags(body: &str) -> Option<String> {
    let wanted = |line: &&str| FLAGS.iter().any(|flag| flag_value(line, flag).is_some());
    let lines: Vec<&str> = body.lines().filter(wanted).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Returns the failed checks of `/livez?verbose` and `/readyz?verbose`, and the result.
pub(super) fn readiness(body: &str) -> String {
    let wanted =
        |line: &&str| line.starts_with("[-]") || line.contains("check passed") || line.contains("check failed");
    let lines: Vec<String> = body.lines().filter(wanted).map(|line| line.chars().take(200).collect()).collect();
    if lines.is_empty() { body.chars().take(1024).collect() } else { lines.join("\n") }
}

/// Returns the excerpt of a body that is recorded: configuration and flags are reduced to the fields that checks read.
pub(super) fn kept(request: Request, status: u16, body: &str) -> String {
    let excerpt = match request {
        // Only the status is judged.
        Request::RunningPods | Request::StatsSummary | Request::Metrics | Request::Secrets | Request::AllPods
            if (200..300).contains(&status) =>
        {
            return String::new();
        }
        Request::Pods
        | Request::Nodes
        | Request::WhoAmI
        | Request::WhoAmIByHeader
        | Request::RunningPods
        | Request::StatsSummary
        | Request::Metrics
        | Request::Secrets
        | Request::AllPods
        | Request::EtcdHealth
        | Request::EtcdVersion => return body.to_owned(),
        Request::Configz => configuration(body),
        Request::TokenKeys => token_keys(body),
        Request::Flagz => flags(body),
        Request::Livez | Request::Readyz => return readiness(body),
        Request::DenialReview => denials::kept(body),
        Request::DryRunNode | Request::DryRunTaint | Request::DryRunOwnPod | Request::DryRunOtherPod => written(body),
    };
    excerpt.unwrap_or_else(|| body.chars().take(1024).collect())
}

/// The number of characters that are kept of a refusal.
const MESSAGE: usize = 1000;

/// Returns the excerpt of a dry-run write's response: a refusal's message, or the object's name and uid.
pub(super) fn written(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let kind = body.get("kind")?.as_str()?;
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kept = if kind == "Status" {
        let message: String = text("/message").chars().take(MESSAGE).collect();
        json!({"kind": kind, "code": body.get("code"), "reason": text("/reason"), "message": message})
    } else {
        json!({"kind": kind, "metadata": {"name": text("/metadata/name"), "uid": text("/metadata/uid")}})
    };
    Some(kept.to_string())
}

/// Returns the value of `flag` in a line of `/flagz`. Kubernetes picks one of four separators at random when it starts
/// (k8s.io/component-base/zpages/flagz).
pub(super) fn flag_value<'a>(line: &'a str, flag: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(flag)?;
    let value = rest.strip_prefix([':', '=', ' ', '\t'])?;
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_judged_flags_and_fields_are_kept() {
        let text = "apiserver flagz\nWarning\n\nallow-privileged: true\nanonymous-auth: false\nauthorization-mode=[Node,RBAC]\n\
                    client-ca-file ca.crt\nclient-ca-file-of-mine: x\netcd-servers: [https://10.0.0.1:2379]\n";
        assert_eq!(
            kept(Request::Flagz, 200, text),
            "anonymous-auth: false\nauthorization-mode=[Node,RBAC]\nclient-ca-file ca.crt"
        );
        assert_eq!(kept(Request::Flagz, 200, "<html>"), "<html>");
        let config = r#"{"kubeletconfig":{"staticPodURLHeader":{"Authorization":["secret"]},"authorization":{"mode":"Webhook"}}}"#;
        assert_eq!(kept(Request::Configz, 200, config), r#"{"/kubeletconfig/authorization/mode":"Webhook"}"#);
        let deep = "[".repeat(60_000);
        assert_eq!(kept(Request::Configz, 200, &deep).len(), 1024);
        assert_eq!(kept(Request::WhoAmI, 200, config), config);
    }

    #[test]
    fn a_flag_is_read_in_every_form() {
        for line in ["a-b: c", "a-b:c", "a-b=c", "a-b c", "a-b:   c  "] {
            assert_eq!(flag_value(line, "a-b"), Some("c"), "{line}");
        }
        for line in ["a-b: ", "a-b:", "a-b=", "a-b "] {
            assert_eq!(flag_value(line, "a-b"), Some(""), "{line}");
            assert_eq!(kept(Request::Flagz, 200, &line.replace("a-b", "client-ca-file")).len(), line.len() + 11);
        }
        assert_eq!(flag_value("a-bc: d", "a-b"), None);
    }
}
