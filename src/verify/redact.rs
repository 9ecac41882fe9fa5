//! Of what servers tell of themselves, that which checks look at: no more than that gets into a recording.

use serde_json::{Value, json};

/// Where in a kubelet's `/configz` the values are that checks look at.
const CONFIGURATION: [&str; 5] = [
    "/kubeletconfig/authentication/anonymous/enabled",
    "/kubeletconfig/authentication/webhook/enabled",
    "/kubeletconfig/authentication/x509/clientCAFile",
    "/kubeletconfig/authorization/mode",
    "/kubeletconfig/readOnlyPort",
];

/// The API server's flags that checks look at.
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

/// The values at [`CONFIGURATION`], as a flat object; `None` when it is no kubelet's configuration.
pub(super) fn configuration(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    body.get("kubeletconfig")?.as_object()?;
    let found = CONFIGURATION.iter().filter_map(|path| Some(((*path).to_owned(), body.pointer(path)?.clone())));
    Some(Value::Object(found.collect()).to_string())
}

/// The lines of [`FLAGS`]; `None` when it is no list of flags.
pub(super) fn flags(body: &str) -> Option<String> {
    let wanted = |line: &&str| FLAGS.iter().any(|flag| flag_value(line, flag).is_some());
    let lines: Vec<&str> = body.lines().filter(wanted).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Of `/livez?verbose` and `/readyz?verbose` what fails, and whether all is well.
pub(super) fn readiness(body: &str) -> String {
    let wanted =
        |line: &&str| line.starts_with("[-]") || line.contains("check passed") || line.contains("check failed");
    let lines: Vec<String> = body.lines().filter(wanted).map(|line| line.chars().take(200).collect()).collect();
    if lines.is_empty() { body.chars().take(1024).collect() } else { lines.join("\n") }
}

/// How many characters of a refusal are kept.
const MESSAGE: usize = 1000;

/// Of what a dry-run write was answered: a refusal's words, else the object's name and number.
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

/// The value of `flag` in a line of `/flagz`. What stands between them is one of four separators: Kubernetes takes one at
/// random when it starts (k8s.io/component-base/zpages/flagz).
pub(super) fn flag_value<'a>(line: &'a str, flag: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(flag)?;
    let value = rest.strip_prefix([':', '=', ' ', '\t'])?;
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::observation::Request;

    #[test]
    fn of_flags_and_configurations_only_what_is_judged_is_kept() {
        let text = "apiserver flagz\nWarning\n\nallow-privileged: true\nanonymous-auth: false\nauthorization-mode=[Node,RBAC]\n\
                    client-ca-file ca.crt\nclient-ca-file-of-mine: x\netcd-servers: [https://10.0.0.1:2379]\n";
        assert_eq!(
            Request::Flagz.kept(200, text),
            "anonymous-auth: false\nauthorization-mode=[Node,RBAC]\nclient-ca-file ca.crt"
        );
        assert_eq!(Request::Flagz.kept(200, "<html>"), "<html>");
        let config = r#"{"kubeletconfig":{"staticPodURLHeader":{"Authorization":["secret"]},"authorization":{"mode":"Webhook"}}}"#;
        assert_eq!(Request::Configz.kept(200, config), r#"{"/kubeletconfig/authorization/mode":"Webhook"}"#);
        let deep = "[".repeat(60_000);
        assert_eq!(Request::Configz.kept(200, &deep).len(), 1024);
        assert_eq!(Request::WhoAmI.kept(200, config), config);
    }

    #[test]
    fn a_flag_is_read_whatever_stands_before_its_value() {
        for line in ["a-b: c", "a-b:c", "a-b=c", "a-b c", "a-b:   c  "] {
            assert_eq!(flag_value(line, "a-b"), Some("c"), "{line}");
        }
        for line in ["a-b: ", "a-b:", "a-b=", "a-b "] {
            assert_eq!(flag_value(line, "a-b"), Some(""), "{line}");
            assert_eq!(Request::Flagz.kept(200, &line.replace("a-b", "client-ca-file")).len(), line.len() + 11);
        }
        assert_eq!(flag_value("a-bc: d", "a-b"), None);
    }
}
