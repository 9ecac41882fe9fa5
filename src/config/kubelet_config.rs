//! Changes, checks and writes a kubelet's configuration (KubeletConfiguration, kubelet.config.k8s.io/v1beta1).
//!
//! The cluster file's settings are merged into it, its trust settings are checked, and it is written so that a YAML 1.1
//! reader also reads every string as a string.

use std::fmt::Write;

use super::write::quoted;
use crate::cluster::kubelet::Setting;
use crate::cluster::kubelet_trust::{ConfigKind, RenderedValues, TrustViolation, trust_violations};

/// Errors of parsing a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeletConfigError {
    /// It is not YAML, or not a mapping.
    #[error("it is not a kubelet configuration: {0}")]
    Shape(String),
    /// It weakens trust.
    #[error("{}", listed(.0))]
    WeakensTrust(Vec<String>),
}

fn listed(violations: &[String]) -> String {
    violations.join("; ")
}

/// Returns a rendered configuration after applying `patches`, if the result does not weaken trust.
///
/// The comments at its beginning are kept. Without changes, it is returned unchanged.
///
/// # Errors
/// Returns an error if it is not such a configuration, or weakens trust.
pub fn finished(
    rendered: &str,
    patches: [&Setting; 2],
    own: &RenderedValues<'_>,
) -> Result<String, KubeletConfigError> {
    let whole = patches.into_iter().fold(read(rendered.as_bytes())?, Setting::merged);
    let broken = trust_violations(&whole, ConfigKind::Rendered(own));
    if !broken.is_empty() {
        return Err(KubeletConfigError::WeakensTrust(broken.iter().map(TrustViolation::to_string).collect()));
    }
    if patches.iter().all(|patch| patch.is_empty()) {
        return Ok(rendered.to_owned());
    }
    let mut text = String::with_capacity(rendered.len() + 1024);
    for comment in rendered.lines().take_while(|line| line.starts_with('#')) {
        text.push_str(comment);
        text.push('\n');
    }
    write_mapping(&whole, 0, &mut text);
    Ok(text)
}

/// Returns descriptions of the fields that weaken a kubelet's trust.
///
/// # Errors
/// Returns an error if it is not such a configuration.
pub fn weaknesses(bytes: &[u8]) -> Result<Vec<String>, String> {
    let whole = read(bytes).map_err(|error| error.to_string())?;
    let line = |violation: TrustViolation| {
        format!("{} ({}, property {})", violation.rule.why, violation.field, violation.rule.property)
    };
    Ok(trust_violations(&whole, ConfigKind::Foreign).into_iter().map(line).collect())
}

fn read(bytes: &[u8]) -> Result<Setting, KubeletConfigError> {
    let value: serde_yaml::Value =
        serde_yaml::from_slice(bytes).map_err(|error| KubeletConfigError::Shape(error.to_string()))?;
    match setting(value).map_err(KubeletConfigError::Shape)? {
        mapping @ Setting::Mapping(_) => Ok(mapping),
        other => Err(KubeletConfigError::Shape(format!("it is {other}"))),
    }
}

fn setting(value: serde_yaml::Value) -> Result<Setting, String> {
    Ok(match value {
        serde_yaml::Value::Null => Setting::Null,
        serde_yaml::Value::Bool(value) => Setting::Bool(value),
        serde_yaml::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Setting::Number(number.to_string()),
            (None, Some(number)) if number.is_finite() => Setting::Number(number.to_string()),
            _ => return Err(format!("{number} is not a JSON number")),
        },
        serde_yaml::Value::String(text) => Setting::Text(text),
        serde_yaml::Value::Sequence(items) => Setting::List(items.into_iter().map(setting).collect::<Result<_, _>>()?),
        serde_yaml::Value::Mapping(entries) => {
            let entry = |(key, value): (serde_yaml::Value, serde_yaml::Value)| match key {
                // Kubernetes's parser would merge its value into the mapping, unchecked.
                serde_yaml::Value::String(key) if key == "<<" => Err("it has a merge key (<<)".to_owned()),
                serde_yaml::Value::String(key) => Ok((key, setting(value)?)),
                _ => Err("one of its keys is not a string".to_owned()),
            };
            Setting::Mapping(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
        }
        serde_yaml::Value::Tagged(_) => return Err("one of its values has a YAML tag".to_owned()),
    })
}

/// Writes a value in block style, two spaces deeper for each mapping in a mapping.
fn write_mapping(mapping: &Setting, depth: usize, out: &mut String) {
    let Setting::Mapping(entries) = mapping else { return };
    for (key, value) in entries {
        let indent = "  ".repeat(depth);
        // Writing to a String does not fail.
        let _ = match value {
            Setting::Mapping(inner) if !inner.is_empty() => {
                let _ = writeln!(out, "{indent}{}:", plain_or_quoted(key));
                write_mapping(value, depth + 1, out);
                Ok(())
            }
            _ => writeln!(out, "{indent}{}: {}", plain_or_quoted(key), flow(value)),
        };
    }
}

/// Writes a value on one line, as JSON.
fn flow(value: &Setting) -> String {
    match value {
        Setting::Null => "null".to_owned(),
        Setting::Bool(value) => value.to_string(),
        Setting::Number(text) => text.clone(),
        Setting::Text(text) => quoted(text),
        Setting::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Setting::Mapping(entries) => {
            let entry = |(key, value): &(String, Setting)| format!("{}: {}", quoted(key), flow(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Returns a key, quoted unless it has three or more letters and digits and no YAML parser reads it as another type.
fn plain_or_quoted(key: &str) -> String {
    const MISREAD: [&str; 5] = ["yes", "off", "true", "false", "null"];
    let plain = key.len() > 2 && key.bytes().all(|b| b.is_ascii_alphabetic() || b.is_ascii_digit());
    let letter = key.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let misread = MISREAD.contains(&key.to_ascii_lowercase().as_str());
    if plain && letter && !misread { key.to_owned() } else { quoted(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: RenderedValues<'_> =
        RenderedValues { port: 10250, client_ca: "/ca.crt", certificate: "/kubelet.crt", key: "/kubelet.key" };

    const RENDERED: &str = "# Rendered.\n# Two lines.\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
        port: 10250\nauthentication:\n  anonymous:\n    enabled: false\n  x509:\n    clientCAFile: \"/ca.crt\"\n\
        tlsCertFile: \"/kubelet.crt\"\ntlsPrivateKeyFile: \"/kubelet.key\"\n";

    fn text(text: &str) -> Setting {
        Setting::Text(text.to_owned())
    }

    fn map(entries: &[(&str, Setting)]) -> Setting {
        Setting::Mapping(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    #[test]
    fn merging_keeps_comments_order_and_string_types() {
        let all = map(&[
            ("maxPods", Setting::Number("250".into())),
            ("clusterDomain", text("on")),
            ("systemReserved", map(&[("cpu", text("2")), ("no", text("1e3")), ("memory.x", text("\u{85}"))])),
            ("registerWithTaints", Setting::List(vec![map(&[("key", text("y"))])])),
            ("featureGates", map(&[("off", Setting::Bool(true))])),
            ("authentication", map(&[("webhook", map(&[("cacheTTL", text("1m"))]))])),
        ]);
        let node = map(&[("maxPods", Setting::Number("30".into())), ("featureGates", Setting::Null)]);
        assert_eq!(
            finished(RENDERED, [&all, &node], &OWN).expect("a valid configuration"),
            "# Rendered.\n# Two lines.\napiVersion: \"kubelet.config.k8s.io/v1beta1\"\nkind: \"KubeletConfiguration\"\n\
             port: 10250\nauthentication:\n  anonymous:\n    enabled: false\n  x509:\n    clientCAFile: \"/ca.crt\"\n  \
             webhook:\n    cacheTTL: \"1m\"\ntlsCertFile: \"/kubelet.crt\"\ntlsPrivateKeyFile: \"/kubelet.key\"\n\
             maxPods: 30\nclusterDomain: \"on\"\nsystemReserved:\n  cpu: \"2\"\n  \"no\": \"1e3\"\n  \"memory.x\": \
             \"\\x85\"\nregisterWithTaints: [{\"key\": \"y\"}]\n"
        );
        let nothing = Setting::default();
        assert_eq!(finished(RENDERED, [&nothing, &nothing], &OWN).as_deref(), Ok(RENDERED));
    }

    #[test]
    fn a_template_that_weakens_trust_is_refused_with_any_settings() {
        let nothing = Setting::default();
        let refused = |from: &str, to: &str| {
            assert!(RENDERED.contains(from), "{from}");
            finished(&RENDERED.replace(from, to), [&nothing, &nothing], &OWN).expect_err("refused").to_string()
        };
        assert_eq!(
            refused("enabled: false", "enabled: true"),
            "authentication.anonymous.enabled is \"true\": it would violate property 1.iii: anonymous clients are accepted; \
             omit it"
        );
        assert!(
            refused("port: 10250", "port: 10251").starts_with("port is \"10251\": it would violate property 1.i: ")
        );
        assert!(refused("/ca.crt", "/other.crt").contains("authentication.x509.clientCAFile is \"/other.crt\""));
        assert!(refused("kind: KubeletConfiguration\n", "").contains("kind is \"nothing\""));
        assert!(refused("enabled: false", "<<: {enabled: true}").contains("a merge key"));
        assert!(refused("enabled: false", "enabled: off").contains("is \"off\""));
        assert!(refused("kind: ", "kind: !x ").contains("a YAML tag"));
        assert!(finished("- 1\n", [&nothing, &nothing], &OWN).is_err());
        assert!(finished("a: b: c\n", [&nothing, &nothing], &OWN).is_err());
    }

    #[test]
    fn settings_that_weaken_a_kubelet_are_named() {
        assert_eq!(weaknesses(RENDERED.as_bytes()), Ok(Vec::new()));
        let open =
            RENDERED.replace("enabled: false", "enabled: true").replace("  x509:", "  webhook: {enabled: false}")
                + "authorization: {mode: AlwaysAllow}\nreadOnlyPort: 10255\n";
        let open = open.replace("    clientCAFile: \"/ca.crt\"\n", "");
        assert_eq!(
            weaknesses(open.as_bytes()).expect("a configuration"),
            [
                "the read-only port is open to everyone (readOnlyPort, property 1.iii)",
                "anonymous clients are accepted (authentication.anonymous.enabled, property 1.iii)",
                "bearer tokens are not reviewed (authentication.webhook.enabled, property 1.iii)",
                "clients with certificates of another CA than this cluster's are accepted (authentication.x509.clientCAFile, property 1.iii)",
                "requests are not authorized by the API server (authorization.mode, property 1.iii)",
            ]
        );
        assert!(weaknesses(b"kind: Pod\n").is_ok_and(|found| !found.is_empty()));
        assert!(weaknesses(b"- 1\n").is_err());
    }
}
