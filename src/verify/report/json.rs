//! The report as JSON: everything, in the order of the inventory, complete also on failure.

use serde::Serialize;

use super::super::finding::{Cause, Finding};
use super::super::remedy::Remedy;
use super::summary::{Counts, RemedyText, Report, RootLine};
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;

/// The version of the JSON format; it changes with incompatible changes.
pub const SCHEMA_VERSION: u32 = 1;

impl Report {
    /// Returns the report as JSON (`schemas/verify-report.schema.json`), complete also on failure.
    #[must_use]
    pub fn to_json(&self, words: RemedyText<'_>) -> String {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            tool: Tool { name: "clusterctl", version: env!("CARGO_PKG_VERSION") },
            cluster: sanitized(&self.cluster),
            roots: &self.roots,
            started: stamp(self.started),
            finished: stamp(self.finished),
            looked_at: if self.has_connections() { "wire" } else { "directory" },
            verdict: self.verdict_word(),
            summary: self.counts(),
            results: self.findings.iter().map(|finding| self.line(finding, words)).collect(),
        };
        // It only has strings, numbers and lists, which JSON can represent.
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
    summary: Counts,
    results: Vec<Line>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    property: Vec<&'static str>,
    role: &'static str,
    host: String,
    address: Option<String>,
    server_name: Option<String>,
    #[serde(rename = "caller")]
    client: Option<String>,
    status: &'static str,
    severity: &'static str,
    observed: String,
    expected: String,
    hint: Option<String>,
    remedy: Option<String>,
    because_of: Option<CauseLine>,
    elapsed_ms: u64,
}

/// The cause of a finding.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseLine {
    id: String,
    role: &'static str,
    host: String,
    address: Option<String>,
}

impl CauseLine {
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
    fn line(&self, finding: &Finding, words: RemedyText<'_>) -> Line {
        let shown = |text: &Option<String>| text.as_deref().map(sanitized);
        let properties = if self.has_connections() { finding.properties() } else { &[] };
        Line {
            id: finding.id.to_string(),
            property: properties.iter().map(|property| property.as_str()).collect(),
            role: finding.place.as_str(),
            host: sanitized(&finding.host),
            address: shown(&finding.address),
            server_name: shown(&finding.server_name),
            client: shown(&finding.client),
            status: finding.status.as_str(),
            severity: finding.severity.as_str(),
            observed: sanitized(&finding.observed),
            expected: sanitized(&finding.expected),
            hint: finding.remedy.as_ref().map(|remedy| sanitized(&words(remedy, self.kind))),
            remedy: finding.remedy.as_ref().map(Remedy::id),
            because_of: finding.because_of.as_deref().map(CauseLine::of),
            elapsed_ms: finding.elapsed_ms,
        }
    }
}
