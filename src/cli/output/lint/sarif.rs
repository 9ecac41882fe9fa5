//! Findings as SARIF 2.1.0 (OASIS Static Analysis Results Interchange Format).

use serde_json::{Value, json};

use crate::app::lint::{LintFinding, LintReport, RULES, Rule};
use crate::cli::remedies;
use crate::sanitize::sanitized;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn of(report: &LintReport) -> Value {
    let rules: Vec<Value> = RULES.into_iter().map(rule).collect();
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": { "name": "clusterctl", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules },
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": format!("{}.", rule.title) },
        "fullDescription": { "text": rule.reason },
        "help": { "text": format!("{}.", remedies::of_lint(rule.remedy)) },
        "defaultConfiguration": { "level": rule.severity.as_str() },
    })
}

fn result(LintFinding { rule, place, observed }: &LintFinding) -> Value {
    let index = RULES.iter().position(|known| known.id == rule.id);
    let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri(&place.file) } } });
    if let Some(part) = &place.part {
        location["logicalLocations"] = json!([{ "name": sanitized(part) }]);
    }
    json!({
        "ruleId": rule.id,
        "ruleIndex": index,
        "level": rule.severity.as_str(),
        "message": { "text": format!("{}: {}", rule.title, sanitized(observed)) },
        "locations": [location],
    })
}

/// Returns a path as a URI reference (RFC 3986 § 4.2): relative paths stay relative to where the program ran.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let encoded: String = path
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    if path.starts_with('/') { format!("file://{encoded}") } else { encoded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri_reference() {
        assert_eq!(uri("./pki/ca.crt"), "pki/ca.crt");
        assert_eq!(uri("/etc/kubernetes/a b#1.crt"), "file:///etc/kubernetes/a%20b%231.crt");
        assert_eq!(uri("a:b/ü"), "a%3Ab/%C3%BC");
    }
}
