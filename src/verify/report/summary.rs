//! A run's findings, and the verdict.

use serde::Serialize;
use time::OffsetDateTime;

use super::super::finding::{Finding, Scope, Status};
use super::super::remedy::{Remedy, TargetKind};
use super::super::target::Target;
use super::super::token_keys::TOKEN_ROLE;
use super::super::verdict::{Strictness, Verdict, verdict};
use crate::sanitize::sanitized;

/// A run's findings and their context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The cluster's name.
    pub cluster: String,
    /// The tool that created the cluster, which determines the text of remedies.
    pub kind: TargetKind,
    /// The roots that were trusted.
    pub roots: Vec<RootLine>,
    /// When the run began.
    pub started: OffsetDateTime,
    /// The time at which it ended.
    pub finished: OffsetDateTime,
    /// The phase of a rotation that the run proves, if one was asked for.
    pub rotation: Option<RotationLine>,
    /// The findings, in the order of the target's hosts.
    pub findings: Vec<Finding>,
    /// The findings that count against the run.
    pub strictness: Strictness,
}

/// Returns the text of a remedy for a cluster of this kind.
pub type RemedyText<'a> = &'a dyn Fn(&Remedy, TargetKind) -> String;

/// A root in the report's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootLine {
    /// Its subject.
    pub subject: String,
    /// kubeadm's pin: `sha256:` over its SubjectPublicKeyInfo.
    pub pin: String,
    /// SHA-256 of its DER.
    pub sha256: String,
}

/// The phase of a rotation in the report's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationLine {
    /// The role of the CA, as in the cluster file, or `service-account`.
    pub role: String,
    /// The phase.
    pub phase: String,
    /// SHA-256 of the certificate of the CA that is replaced, or of the public key.
    pub old: String,
    /// SHA-256 of the certificate of the CA that replaces it.
    pub new: String,
}

/// The number of findings by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All of them.
    pub total: usize,
    /// Passed.
    pub pass: usize,
    /// Failed.
    pub fail: usize,
    /// With a warning.
    pub warn: usize,
    /// Could not be checked.
    pub skipped: usize,
    /// Checked, but not proven.
    pub not_proven: usize,
}

impl Report {
    /// Returns the report of findings about a target.
    #[must_use]
    pub fn new(
        target: &Target,
        findings: Vec<Finding>,
        strictness: Strictness,
        started: OffsetDateTime,
        finished: OffsetDateTime,
    ) -> Self {
        let roots = target.roots.iter().map(|root| RootLine {
            subject: sanitized(&root.subject.text),
            pin: root.spki_fingerprint().as_pin(),
            sha256: root.fingerprint().to_string(),
        });
        let of_tokens = target.token_keys.as_ref().map(|expected| RotationLine {
            role: TOKEN_ROLE.to_owned(),
            phase: sanitized(&expected.phase),
            old: expected.old.to_string(),
            new: expected.new.to_string(),
        });
        let rotation = target.phase.as_ref().map(|expected| RotationLine {
            role: expected.role.name().to_owned(),
            phase: expected.rotation.phase.as_str().to_owned(),
            old: expected.rotation.old.to_string(),
            new: expected.rotation.new.to_string(),
        });
        Self {
            rotation: rotation.or(of_tokens),
            cluster: target.cluster.clone(),
            kind: target.kind,
            roots: roots.collect(),
            started,
            finished,
            findings,
            strictness,
        }
    }

    /// Returns the verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        verdict(&self.findings, self.strictness)
    }

    /// Returns true if there are findings of connections. A directory alone proves none of the six properties.
    #[must_use]
    pub fn has_connections(&self) -> bool {
        self.findings.iter().any(|finding| matches!(finding.id.0, Scope::Node | Scope::Master))
    }

    /// Returns true if the report is only about an enrolment endpoint.
    #[must_use]
    pub fn is_of_enrolment(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(|finding| finding.id.0 == Scope::Enrolment)
    }

    /// Returns what was looked at: `wire`, `enrolment` or `directory`.
    #[must_use]
    pub fn looked_at(&self) -> &'static str {
        match () {
            () if self.has_connections() => "wire",
            () if self.is_of_enrolment() => "enrolment",
            () => "directory",
        }
    }

    /// Returns the verdict in one word; without connections to hosts it is `sound` or `unsound`.
    #[must_use]
    pub fn verdict_word(&self) -> &'static str {
        match self.verdict() {
            Verdict::Proven if !self.has_connections() => "sound",
            Verdict::Unproven if !self.has_connections() => "unsound",
            verdict => verdict.as_str(),
        }
    }

    /// Returns the number of findings by status.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |status| self.findings.iter().filter(|finding| finding.status == status).count();
        Counts {
            total: self.findings.len(),
            pass: count(Status::Pass),
            fail: count(Status::Fail),
            warn: count(Status::Warn),
            skipped: count(Status::Skipped),
            not_proven: count(Status::NotProven),
        }
    }
}
