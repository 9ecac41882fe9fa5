//! Decides by the report of a run of `verify` whether a phase is proven, and which hosts are behind.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::behind::Behind;
use super::error::RotateError;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::rotation::{Phase, Rotation};
use crate::sanitize::sanitized;

/// A check that proves a phase on each host of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredCheck {
    /// The id of the check.
    pub id: &'static str,
    /// Whether it is one of control-plane nodes.
    pub is_of_masters: bool,
    /// The first phase in which it is required.
    pub from: Phase,
    /// The last phase in which it is required.
    pub until: Phase,
}

const fn required(id: &'static str, is_of_masters: bool, from: Phase, until: Phase) -> RequiredCheck {
    RequiredCheck { id, is_of_masters, from, until }
}

/// The checks that prove the phases, for the cluster's role.
pub const REQUIRED: [RequiredCheck; 10] = [
    required("master.connect", true, Phase::Prepare, Phase::DropOld),
    required("node.connect", false, Phase::Prepare, Phase::DropOld),
    required("master.new-root", true, Phase::TrustBoth, Phase::DropOld),
    required("node.new-root", false, Phase::TrustBoth, Phase::DropOld),
    required("master.old-root", true, Phase::TrustBoth, Phase::DropOld),
    required("node.old-root", false, Phase::TrustBoth, Phase::DropOld),
    required("master.served-root", true, Phase::Canary, Phase::DropOld),
    required("node.served-root", false, Phase::Canary, Phase::DropOld),
    required("master.installed", true, Phase::TrustBoth, Phase::DropOld),
    required("node.installed", false, Phase::TrustBoth, Phase::DropOld),
];

impl RequiredCheck {
    /// Returns true if the check is required in a phase.
    #[must_use]
    pub fn is_required(&self, role: CaRole, phase: Phase) -> bool {
        let is_of_rotation = !self.id.ends_with(".connect");
        (self.from..=self.until).contains(&phase) && (role == CaRole::Cluster || !is_of_rotation)
    }
}

/// The part of a report of `verify` that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateReport {
    /// When the run ended.
    pub finished: OffsetDateTime,
    behind: Vec<Behind>,
    is_proven: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    cluster: String,
    started: String,
    finished: String,
    looked_at: String,
    verdict: String,
    rotation: Option<RotationLine>,
    results: Vec<Line>,
}

#[derive(Deserialize)]
struct RotationLine {
    role: String,
    phase: String,
    new: String,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    host: String,
    status: String,
    severity: String,
    observed: String,
}

/// Reads the report of a run of `verify` (`schemas/verify-report.schema.json`) as evidence for the phase of a rotation.
///
/// # Errors
/// Returns [`RotateError::Report`] if it is not one, is of another cluster, phase or rotation, or is older than the phase.
pub fn parse(
    path: &Path,
    json: &[u8],
    (role, rotation): (CaRole, &Rotation),
    cluster: &Cluster,
    now: OffsetDateTime,
) -> Result<GateReport, RotateError> {
    let refused = |why: String| RotateError::Report { path: path.to_owned(), why };
    let document: Document =
        serde_json::from_slice(json).map_err(|error| refused(format!("it is not a report of verify: {error}")))?;
    if document.schema_version != 1 || document.looked_at != "wire" {
        return Err(refused("it is not a report of a run against a live cluster".to_owned()));
    }
    if document.cluster != cluster.name.as_str() {
        return Err(refused(format!("it is of the cluster {}", sanitized(&document.cluster))));
    }
    match &document.rotation {
        None => return Err(refused("the run had no expectations of a phase".to_owned())),
        Some(line) if line.role != role.name() || line.new != rotation.new.to_string() => {
            return Err(refused("it is of another rotation".to_owned()));
        }
        Some(line) if line.phase != rotation.phase.as_str() => {
            return Err(refused(format!("it is of the phase {}", sanitized(&line.phase))));
        }
        Some(_) => {}
    }
    let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refused("it has no times".to_owned()));
    let (started, finished) = (time(&document.started)?, time(&document.finished)?);
    if started < rotation.began {
        return Err(refused("the run was before the phase began".to_owned()));
    }
    if finished > now + time::Duration::MINUTE {
        return Err(refused("it is from the future".to_owned()));
    }
    let is_proven = document.verdict == "proven";
    Ok(GateReport { finished, behind: behind(role, rotation, cluster, &document), is_proven })
}

impl GateReport {
    /// Returns what is behind: empty if the phase is proven.
    #[must_use]
    pub fn behind(&self) -> &[Behind] {
        &self.behind
    }

    /// Returns true if the phase is proven.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.behind.is_empty() && self.is_proven
    }
}

fn behind(role: CaRole, rotation: &Rotation, cluster: &Cluster, document: &Document) -> Vec<Behind> {
    let mut behind: Vec<Behind> = Vec::new();
    let mut passed: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    let is_proven = document.verdict == "proven";
    for line in &document.results {
        let is_good = line.status == "pass" || (line.status == "warn" && line.severity == "warning");
        let all = passed.entry((line.id.as_str(), line.host.as_str())).or_insert(true);
        *all &= is_good;
        let is_of_gate = REQUIRED.iter().any(|check| check.id == line.id && check.is_required(role, rotation.phase));
        // A run that forgives skipped checks does not forgive those of the phase.
        let is_forgiven = is_proven && line.status == "skipped" && !is_of_gate;
        if !is_good && (is_of_gate || line.severity == "error") && !is_forgiven {
            let (host, check) = (sanitized(&line.host), sanitized(&line.id));
            behind.push(Behind { host, check, observed: sanitized(&line.observed) });
        }
    }
    for check in REQUIRED.iter().filter(|check| check.is_required(role, rotation.phase)) {
        let hosts = if check.is_of_masters { &cluster.masters } else { &cluster.nodes };
        for host in hosts.iter().map(|host| host.name.as_str()) {
            let is_wanted = rotation.phase != Phase::Canary || check.from != Phase::Canary || rotation.is_canary(host);
            if is_wanted && !passed.contains_key(&(check.id, host)) {
                let observed = "the run did not verify it".to_owned();
                behind.push(Behind { host: host.to_owned(), check: check.id.to_owned(), observed });
            }
        }
    }
    if behind.is_empty() && !is_proven {
        let observed = format!("the verdict is {}", sanitized(&document.verdict));
        behind.push(Behind { host: cluster.name.to_string(), check: "verdict".to_owned(), observed });
    }
    behind.sort();
    behind.dedup();
    behind
}
