//! Rows as JSON (`schemas/status.schema.json`), one row per line.

use serde::Serialize;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use super::head::Head;
use super::lines::Lines;
use crate::app::status::{Credential, EnrolmentReport, Remedy, State, StatusReport, StatusRow, Subject};
use crate::cli::output::rotation;
use crate::cli::remedies;
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// The version of the format; it changes with incompatible changes.
const SCHEMA_VERSION: u32 = 1;

/// The fields of a row, in JSON and CSV.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fields {
    pub(super) host: Option<String>,
    pub(super) person: Option<String>,
    pub(super) kind: &'static str,
    pub(super) credential: String,
    pub(super) serial: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) issuer_sha256: Option<String>,
    pub(super) account: Option<String>,
    pub(super) not_before: Option<String>,
    pub(super) expires: Option<String>,
    pub(super) renew_from: Option<String>,
    pub(super) days: Option<i64>,
    pub(super) state: &'static str,
    pub(super) key_discarded: bool,
    pub(super) file: Option<String>,
    pub(super) problem: Option<String>,
    pub(super) remedy: Option<String>,
    pub(super) hint: Option<String>,
}

impl Fields {
    /// Returns a row's fields. Untrusted text is escaped as for a terminal.
    pub(super) fn of(row: &StatusRow, now: OffsetDateTime) -> Self {
        let certificate = row.certificate.as_ref();
        let (host, person) = match &row.subject {
            Subject::Cluster => (None, None),
            Subject::Host(name) => (Some(sanitized(name)), None),
            Subject::Person(name) => (None, Some(sanitized(name))),
        };
        Self {
            host,
            person,
            kind: row.credential.kind(),
            credential: sanitized(&row.credential.name()),
            serial: certificate.map(|one| one.serial.to_string()),
            sha256: certificate.map(|one| one.fingerprint.to_string()),
            issuer_sha256: certificate.and_then(|one| one.issuer).or(row.crl_issuer).map(|issuer| issuer.to_string()),
            account: certificate.map(|one| sanitized(&one.account)).or_else(|| requester(row)),
            not_before: row.not_before.map(stamp),
            expires: row.not_after.map(stamp),
            renew_from: row.renew_from.map(stamp),
            days: row.days(now),
            state: row.state.as_str(),
            key_discarded: row.is_key_discarded,
            file: row.file.as_ref().map(|path| sanitized(&path.display().to_string())),
            problem: row.problem.as_ref().map(|problem| sanitized(&problem.to_string())),
            remedy: row.remedy.as_ref().map(Remedy::id),
            hint: row.remedy.as_ref().map(|remedy| sanitized(&remedies::of_status(remedy))),
        }
    }
}

/// Returns the client that sent a request.
fn requester(row: &StatusRow) -> Option<String> {
    match &row.credential {
        Credential::Request { requester, .. } => Some(sanitized(requester)),
        _ => None,
    }
}

/// Returns the requests in the queue as JSON.
fn enrolment(report: &EnrolmentReport) -> Value {
    let counts = report.counts.iter().map(|(state, count)| (state.as_str().to_owned(), Value::from(*count)));
    json!({ "requests": counts.collect::<Map<_, _>>(), "oldestSeconds": report.oldest.map(Duration::whole_seconds) })
}

/// Writes JSON.
pub(super) struct JsonWriter {
    head: Head,
    lines: Lines,
    /// The last row, not written yet because it is unknown whether a comma follows it.
    last: Option<String>,
    has_begun: bool,
}

impl JsonWriter {
    pub(super) fn new(head: Head) -> Self {
        Self { head, lines: Lines::default(), last: None, has_begun: false }
    }

    pub(super) fn row(&mut self, row: &StatusRow, screen: &mut Screen<'_>) {
        self.begin(screen);
        // Strings, numbers and booleans can be written as JSON.
        let row = serde_json::to_string(&Fields::of(row, self.head.now)).unwrap_or_default();
        if let Some(last) = self.last.replace(row) {
            self.lines.add(&format!("    {last},"), screen);
        }
    }

    fn begin(&mut self, screen: &mut Screen<'_>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        self.lines.add("{", screen);
        self.lines.add(&format!("  \"schemaVersion\": {SCHEMA_VERSION},"), screen);
        let cluster = Some(&self.head.cluster).filter(|name| !name.is_empty());
        self.lines.add(&format!("  \"cluster\": {},", json!(cluster)), screen);
        self.lines.add(&format!("  \"time\": {},", json!(stamp(self.head.now))), screen);
        self.lines.add("  \"rows\": [", screen);
    }

    pub(super) fn end(mut self, report: &StatusReport, screen: &mut Screen<'_>) {
        let StatusReport { summary, skipped, rotations, last_backup, enrolment: requests } = report;
        self.begin(screen);
        if let Some(last) = self.last.take() {
            self.lines.add(&format!("    {last}"), screen);
        }
        self.lines.add("  ],", screen);
        let skipped: Vec<_> = skipped
            .iter()
            .map(|one| json!({ "file": sanitized(&one.label), "reason": sanitized(&one.reason.to_string()) }))
            .collect();
        self.lines.add(&format!("  \"skipped\": {},", json!(skipped)), screen);
        let rotations: Vec<_> = rotations.iter().map(rotation::phase_json).collect();
        self.lines.add(&format!("  \"rotations\": {},", json!(rotations)), screen);
        self.lines.add(&format!("  \"lastBackup\": {},", json!(last_backup.map(stamp))), screen);
        self.lines.add(&format!("  \"enrolment\": {},", json!(requests.as_ref().map(enrolment))), screen);
        let counts = State::ALL.map(|state| format!("{}: {}", json!(state.as_str()), summary.count(state)));
        self.lines.add(&format!("  \"summary\": {{\"total\": {}, {}}}", summary.total(), counts.join(", ")), screen);
        self.lines.add("}", screen);
        self.lines.print(screen);
    }
}
