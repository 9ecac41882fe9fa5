//! Findings: the result of one check at one place, with what was observed and the remedy.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

pub use super::check_id::{Aspect, CheckId, Scope, Severity};
use super::place::Place;
pub use super::property::Property;
use super::remedy::{Remedy, VerifierRemedy};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The property holds.
    Pass,
    /// The check could not be made here.
    Skipped,
    /// The property holds, but needs attention.
    Warn,
    /// The check was made, but the observation proves nothing. This is never a pass.
    NotProven,
    /// The property does not hold.
    Fail,
}

impl Status {
    /// `pass`, `skipped`, `warn`, `not-proven` or `fail`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::NotProven => "not-proven",
            Self::Fail => "fail",
        }
    }
}

/// Identifies the finding that caused others: a check and its location.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cause {
    /// The check.
    pub id: CheckId,
    /// The role of the host.
    pub place: Place,
    /// The host; the cluster's name if it is about the cluster.
    pub host: String,
    /// The socket dialled, or the file read.
    pub address: Option<String>,
}

/// One check at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check.
    pub id: CheckId,
    /// The role of the host.
    pub place: Place,
    /// The host; the cluster's name if it is about the cluster.
    pub host: String,
    /// The socket dialled, or the file read.
    pub address: Option<String>,
    /// The name or address that the certificate has to carry.
    pub server_name: Option<String>,
    /// The client whose credential was presented, if that is relevant.
    #[serde(rename = "caller")]
    pub client: Option<String>,
    /// The result.
    pub status: Status,
    /// The severity of a failure.
    pub severity: Severity,
    /// The observation. It may contain a peer's text: sanitize it before it is displayed.
    pub observed: String,
    /// The expectation.
    pub expected: String,
    /// The remedy. Recordings of earlier versions contain it as text.
    #[serde(rename = "hint", deserialize_with = "recorded_remedy")]
    pub remedy: Option<Remedy>,
    /// The single property that it concerns, if not all properties of its check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Property>,
    /// The finding that caused this one. Recordings hold only findings from before any connection, which have no cause.
    #[serde(skip)]
    pub because_of: Option<Arc<Cause>>,
    /// The duration in milliseconds; 0 without a separate connection.
    pub elapsed_ms: u64,
}

impl Finding {
    /// Drops everything except the check, its host, its client and its result.
    pub(super) fn drop_text(&mut self) {
        let (host, client) = (std::mem::take(&mut self.host), self.client.take());
        *self = Self { host, client, severity: self.severity, ..Self::new(self.id, self.place, "", self.status) };
    }

    /// Creates a finding with the catalogue's severity.
    #[must_use]
    pub fn new(id: CheckId, place: Place, host: &str, status: Status) -> Self {
        Self {
            id,
            place,
            host: host.to_owned(),
            address: None,
            server_name: None,
            client: None,
            status,
            severity: id.severity(),
            observed: String::new(),
            expected: String::new(),
            remedy: None,
            only: None,
            because_of: None,
            elapsed_ms: 0,
        }
    }

    /// Returns this finding as the cause of others.
    #[must_use]
    pub fn as_cause(&self) -> Arc<Cause> {
        Arc::new(Cause { id: self.id, place: self.place, host: self.host.clone(), address: self.address.clone() })
    }

    /// Returns the properties that this concerns.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        match &self.only {
            Some(property) => std::slice::from_ref(property),
            None => self.id.properties(),
        }
    }

    /// Sets the observation and the expectation.
    #[must_use]
    pub fn saw(mut self, observed: impl Into<String>, expected: impl Into<String>) -> Self {
        self.observed = observed.into();
        self.expected = expected.into();
        self
    }

    /// Sets the remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<Remedy>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Sets the socket dialled, or the file read.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }
}

/// Reads a remedy. The two texts that recordings of earlier versions contain are converted to data; any other text is
/// not a remedy.
fn recorded_remedy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Remedy>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Recorded {
        Remedy(Remedy),
        Text(String),
    }
    Ok(match Option::<Recorded>::deserialize(deserializer)? {
        None => None,
        Some(Recorded::Remedy(remedy)) => Some(remedy),
        Some(Recorded::Text(text)) if text.contains("--node-key") => {
            Some(VerifierRemedy::NameKubeletCredentials.into())
        }
        Some(Recorded::Text(text)) if text.contains("--sample") => Some(VerifierRemedy::VerifyAllNodes.into()),
        Some(Recorded::Text(_)) => None,
    })
}
