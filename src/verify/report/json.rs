//! The report as JSON: all findings, in the order of the target's hosts, whether or not the checks passed.

use serde::Serialize;

use super::super::finding::{Cause, Finding};
use super::super::remedy::Remedy;
use super::summary::{Counts, RemedyText, Report, RootLine, RotationLine};
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;

/// The version of the JSON format, which is incremented by incompatible changes.
pub const SCHEMA_VERSION: u32 = 1;

impl Report {
    /// Returns the report as JSON, as defined by `schemas/verify-report.schema.json`.
    #[must_use]
    pub fn to_json(&self, remedy_text: RemedyText<'_>) -> String {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            tool: Tool { name: "clusterctl", version: env!("CARGO_PKG_VERSION") },
            cluster: sanitized(&self.cluster),
            roots: &self.roots,
            started: stamp(self.started),
            finished: stamp(self.finished),
            looked_at: self.looked_at(),
            verdict: self.verdict_word(),
            rotation: self.rotation.as_ref(),
            summary: self.counts(),
            results: self.findings.iter().map(|finding| self.result(finding, remedy_text)).collect(),
        };
        // This cannot fail: the document consists of strings, numbers, lists and objects.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    tool: Tool,
    cluster: String,
    roots: &'a [RootLine],
    started: String,
    finished: String,
    looked_at: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<&'a RotationLine>,
    summary: Counts,
    results: Vec<ResultEntry>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultEntry {
    id: String,
    property: Vec<&'static str>,
    role: &'static str,
    host: String,
    address: Option<String>,
    server_name: Option<String>,
    // The key is older than the word "client", and remains for compatibility.
    #[serde(rename = "caller")]
    client: Option<String>,
    status: &'static str,
    severity: &'static str,
    observed: String,
    expected: String,
    hint: Option<String>,
    remedy: Option<String>,
    because_of: Option<CauseEntry>,
    elapsed_ms: u64,
}

/// Identifies the finding that caused another one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseEntry {
    id: String,
    role: &'static str,
    host: String,
    address: Option<String>,
}

impl CauseEntry {
    fn of(cause: &Cause) -> Self {
        Self {
            id: cause.id.to_string(),
            role: cause.place.as_str(),
            host: sanitized(&cause.host),
            address: cause.address.as_deref().map(sanitized),
        }
    }
}

impl Report {
    fn result(&self, finding: &Finding, remedy_text: RemedyText<'_>) -> ResultEntry {
        let sanitized_option = |text: &Option<String>| text.as_deref().map(sanitized);
        // Without connections a check proves none of the properties that `verify` is about.
        let properties = if self.has_connections() { finding.properties() } else { &[] };
        ResultEntry {
            id: finding.id.to_string(),
            property: properties.iter().map(|property| property.as_str()).collect(),
            role: finding.place.as_str(),
            host: sanitized(&finding.host),
            address: sanitized_option(&finding.address),
            server_name: sanitized_option(&finding.server_name),
            client: sanitized_option(&finding.client),
            status: finding.status.as_str(),
            severity: finding.severity.as_str(),
            observed: sanitized(&finding.observed),
            expected: sanitized(&finding.expected),
            hint: finding.remedy.as_ref().map(|remedy| sanitized(&remedy_text(remedy, self.kind))),
            remedy: finding.remedy.as_ref().map(Remedy::id),
            because_of: finding.because_of.as_deref().map(CauseEntry::of),
            elapsed_ms: finding.elapsed_ms,
        }
    }
}
