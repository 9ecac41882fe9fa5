//! A kubelet's configuration (KubeletConfiguration, kubelet.config.k8s.io/v1beta1), as far as trust goes.

use serde::Deserialize;

/// What weakens a kubelet's trust, in words; empty when it lets in whom the API server lets in, and nobody else.
///
/// # Errors
/// When it is no such configuration.
pub fn weaknesses(bytes: &[u8]) -> Result<Vec<String>, String> {
    let raw: Raw = serde_yaml::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    if raw.kind != "KubeletConfiguration" {
        return Err(format!("it is of kind {:?}, not KubeletConfiguration", raw.kind));
    }
    // Kubernetes's defaults for what is left out: anonymous off, webhooks on, no client CA, mode Webhook, port closed.
    if raw.authentication.anonymous.enabled == Some(true) {
        found.push("anonymous callers are let in (authentication.anonymous)".to_owned());
    }
    if raw.authentication.webhook.enabled == Some(false) {
        found.push("tokens are not reviewed (authentication.webhook)".to_owned());
    }
    if raw.authentication.x509.client_ca_file.as_deref().unwrap_or_default().is_empty() {
        found.push("no client certificate is believed (authentication.x509.clientCAFile)".to_owned());
    }
    if raw.authorization.mode.as_deref().is_some_and(|mode| mode != "Webhook") {
        found.push("the API server is not asked who may do what (authorization.mode)".to_owned());
    }
    if raw.read_only_port.is_some_and(|port| port != 0) {
        found.push("the read-only port is open (readOnlyPort)".to_owned());
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    kind: String,
    #[serde(default)]
    authentication: Authentication,
    #[serde(default)]
    authorization: Authorization,
    read_only_port: Option<i64>,
}

#[derive(Default, Deserialize)]
struct Authentication {
    #[serde(default)]
    anonymous: Switch,
    #[serde(default)]
    webhook: Switch,
    #[serde(default)]
    x509: X509,
}

#[derive(Default, Deserialize)]
struct Switch {
    enabled: Option<bool>,
}

#[derive(Default, Deserialize)]
struct X509 {
    #[serde(rename = "clientCAFile")]
    client_ca_file: Option<String>,
}

#[derive(Default, Deserialize)]
struct Authorization {
    mode: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_a_kubelet_is_named() {
        let good = b"kind: KubeletConfiguration\nauthentication: {x509: {clientCAFile: /ca.crt}}\n";
        assert_eq!(weaknesses(good), Ok(Vec::new()));
        let open =
            b"kind: KubeletConfiguration\nauthentication: {anonymous: {enabled: true}, webhook: {enabled: false}}\n\
                     authorization: {mode: AlwaysAllow}\nreadOnlyPort: 10255\n";
        assert_eq!(weaknesses(open).map(|found| found.len()), Ok(5));
        assert!(weaknesses(b"kind: Pod\n").is_err());
        assert!(weaknesses(b"- 1\n").is_err());
    }
}
