//! Decides, from the report of a run of `verify --phase`, whether a phase is proven, and which hosts are behind.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::behind::Behind;
use super::error::RotateError;
use super::notice::Notice;
use super::sockets::{Required, Socket, Sockets};
use crate::app::observer::Observer;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::rotation::{Phase, Rotation};
use crate::sanitize::sanitized;
use crate::verify::remedy::{AuthenticationRemedy, Remedy};

/// A check that proves a phase on each host of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredCheck {
    /// The id of the check.
    pub id: &'static str,
    /// Whether it is a check of control-plane nodes, and not of nodes.
    pub is_of_masters: bool,
    /// The roles whose rotations require it.
    pub roles: &'static [CaRole],
    /// The first phase in which it is required.
    pub from: Phase,
    /// The last phase in which it is required.
    pub until: Phase,
}

const fn of_masters(id: &'static str, roles: &'static [CaRole], from: Phase, until: Phase) -> RequiredCheck {
    RequiredCheck { id, is_of_masters: true, roles, from, until }
}

const fn of_nodes(id: &'static str, from: Phase, until: Phase) -> RequiredCheck {
    RequiredCheck { id, is_of_masters: false, roles: CLUSTER, from, until }
}

const CLUSTER: &[CaRole] = &[CaRole::Cluster];
const ETCD: &[CaRole] = &[CaRole::Etcd];
const FRONT_PROXY: &[CaRole] = &[CaRole::FrontProxy];
/// The roles whose clients connect to API servers.
const OF_API_SERVERS: &[CaRole] = &[CaRole::Cluster, CaRole::FrontProxy];

/// The checks that prove the phases. Nodes have no certificates of etcd's or the front proxy's CA.
pub const REQUIRED: [RequiredCheck; 19] = [
    of_masters("master.connect", &CaRole::ALL, Phase::Prepare, Phase::DropOld),
    of_nodes("node.connect", Phase::Prepare, Phase::DropOld),
    of_masters("master.backend", ETCD, Phase::Prepare, Phase::DropOld),
    of_masters("etcd.connect", ETCD, Phase::Prepare, Phase::DropOld),
    of_masters("etcd.chain", ETCD, Phase::Prepare, Phase::DropOld),
    of_masters("etcd.health", ETCD, Phase::Prepare, Phase::DropOld),
    of_masters("master.new-root", OF_API_SERVERS, Phase::TrustBoth, Phase::DropOld),
    of_nodes("node.new-root", Phase::TrustBoth, Phase::DropOld),
    of_masters("master.old-root", OF_API_SERVERS, Phase::TrustBoth, Phase::DropOld),
    of_nodes("node.old-root", Phase::TrustBoth, Phase::DropOld),
    of_masters("etcd.new-root", ETCD, Phase::TrustBoth, Phase::DropOld),
    of_masters("etcd.old-root", ETCD, Phase::TrustBoth, Phase::DropOld),
    of_masters("master.served-root", CLUSTER, Phase::Canary, Phase::DropOld),
    of_nodes("node.served-root", Phase::Canary, Phase::DropOld),
    of_masters("etcd.served-root", ETCD, Phase::Canary, Phase::DropOld),
    of_masters("master.installed", CLUSTER, Phase::TrustBoth, Phase::DropOld),
    of_masters("master.installed", FRONT_PROXY, Phase::Clients, Phase::DropOld),
    of_nodes("node.installed", Phase::TrustBoth, Phase::DropOld),
    of_masters("etcd.installed", ETCD, Phase::TrustBoth, Phase::DropOld),
];

/// The time after the end of a run within which its report proves a phase: what it saw may have changed since.
const LATEST: time::Duration = time::Duration::DAY;

impl RequiredCheck {
    /// Returns true if the check is required in a phase.
    #[must_use]
    pub fn is_required(&self, role: CaRole, phase: Phase) -> bool {
        (self.from..=self.until).contains(&phase) && self.roles.contains(&role)
    }
}

/// The part of a report of `verify` that decides whether a phase is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateReport {
    /// When the run ended.
    pub finished: OffsetDateTime,
    behind: Vec<Behind>,
    is_proven: bool,
    /// The number of calls of which the API server, by its version, does not report the certificate that it saw.
    without_credential_id: usize,
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
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    host: String,
    status: String,
    severity: String,
    observed: String,
    address: Option<String>,
    server_name: Option<String>,
    remedy: Option<String>,
}

impl Line {
    /// Returns the check, and the address of the cluster file at which it was made; `None` if it is not of a server.
    fn made(&self) -> Option<Required> {
        let port = self.address.as_deref()?.rsplit(':').next()?.parse().ok()?;
        let socket = Socket { host: self.host.clone(), address: self.server_name.clone()?, port };
        Some(socket.requires(&self.id))
    }
}

/// The minor version of Kubernetes since which API servers report the certificate that they saw.
const CREDENTIAL_ID: u32 = 32;

/// Returns true for an answer that names the right account, but not the certificate, by an API server whose version cannot name
/// it. That the API server trusts certificates of the new CA is proven by `master.new-root`, on each version.
fn lacks_credential_id(line: &Line, cluster: &Cluster) -> bool {
    let is_old = cluster.kubernetes.version.as_ref().is_some_and(|version| version.minor() < CREDENTIAL_ID);
    let missing = Remedy::from(AuthenticationRemedy::UpgradeForCredentialId).id();
    is_old && line.id == "master.whoami" && line.status == "not-proven" && line.remedy == Some(missing)
}

/// What a report has to prove.
pub(super) struct Expectation<'a> {
    /// The role, as reports name it.
    pub(super) role: &'a str,
    /// The phase.
    pub(super) phase: &'a str,
    /// When it began.
    pub(super) began: OffsetDateTime,
    /// The SHA-256 of the CA or key that replaces the old one.
    pub(super) new: Fingerprint,
    /// The checks of the phase, at each address at which they are required.
    pub(super) required: Vec<Required>,
    /// The ordinary checks, at each address.
    pub(super) ordinary: Vec<Required>,
}

impl<'a> Expectation<'a> {
    fn of(role: CaRole, rotation: &'a Rotation, cluster: &'a Cluster) -> Self {
        let sockets = Sockets::of(cluster);
        let mut required = Vec::new();
        for check in REQUIRED.iter().filter(|check| check.is_required(role, rotation.phase)) {
            let is_wanted = |socket: &&Socket| {
                rotation.phase != Phase::Canary || check.from != Phase::Canary || rotation.is_canary(&socket.host)
            };
            required.extend(sockets.of_check(check.id).filter(is_wanted).map(|socket| socket.requires(check.id)));
        }
        // Nodes have no certificates of other CAs, and are not verified for their rotations.
        let ordinary = sockets.ordinary(role == CaRole::Cluster);
        let (phase, began, new) = (rotation.phase.as_str(), rotation.began, rotation.new);
        Self { role: role.name(), phase, began, new, required, ordinary }
    }
}

/// Reads the report of a run of `verify` (`schemas/verify-report.schema.json`) as evidence for the phase of a rotation.
///
/// # Errors
/// Returns [`RotateError::Report`] if it is not a report, is about another cluster, phase or rotation, or is older than the
/// phase.
pub fn parse(
    path: &Path,
    json: &[u8],
    (role, rotation): (CaRole, &Rotation),
    cluster: &Cluster,
    now: OffsetDateTime,
) -> Result<GateReport, RotateError> {
    parse_for(path, json, &Expectation::of(role, rotation, cluster), cluster, now)
}

/// Like [`parse`], for any expectation.
///
/// # Errors
/// Returns the errors of [`parse`].
pub(super) fn parse_for(
    path: &Path,
    json: &[u8],
    expectation: &Expectation<'_>,
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
        Some(line) if line.role != expectation.role || line.new != expectation.new.to_string() => {
            return Err(refused("it is of another rotation".to_owned()));
        }
        Some(line) if line.phase != expectation.phase => {
            return Err(refused(format!("it is of the phase {}", sanitized(&line.phase))));
        }
        Some(_) => {}
    }
    let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refused("it has no times".to_owned()));
    let (started, finished) = (time(&document.started)?, time(&document.finished)?);
    if started < expectation.began {
        return Err(refused("the run was before the phase began".to_owned()));
    }
    if finished > now + time::Duration::MINUTE {
        return Err(refused("it is from the future".to_owned()));
    }
    if finished + LATEST < now {
        return Err(refused(format!("the run ended more than {} hours ago", LATEST.whole_hours())));
    }
    let without_credential_id = document.results.iter().filter(|line| lacks_credential_id(line, cluster)).count();
    let is_proven = is_proven(&document, without_credential_id);
    Ok(GateReport {
        finished,
        behind: behind(expectation, cluster, &document, is_proven),
        is_proven,
        without_credential_id,
    })
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

    /// Reports if the proof lacks what API servers of the stated version cannot report.
    pub(super) fn report_limits(&self, observer: &mut dyn Observer) {
        if self.without_credential_id > 0 {
            observer.notice(Notice::WithoutCredentialId(self.without_credential_id).into());
        }
    }
}

/// Returns true if the run proved everything, or all but the certificates that API servers before 1.32 do not name.
fn is_proven(document: &Document, without_credential_id: usize) -> bool {
    let counts = |line: &&Line| line.severity == "error" && matches!(line.status.as_str(), "fail" | "not-proven");
    let is_explained = || document.results.iter().filter(counts).count() == without_credential_id;
    document.verdict == "proven" || (document.verdict == "unproven" && without_credential_id > 0 && is_explained())
}

fn behind(expectation: &Expectation<'_>, cluster: &Cluster, document: &Document, is_proven: bool) -> Vec<Behind> {
    let (mut behind, mut skipped) = (Vec::new(), Vec::new());
    let mut made: BTreeSet<Required> = BTreeSet::new();
    let names: BTreeSet<&str> = cluster.host_names().into_iter().map(HostName::as_str).collect();
    let is_host = |host: &str| names.contains(host);
    for line in &document.results {
        let is_good = line.status == "pass"
            || (line.status == "warn" && line.severity == "warning")
            || lacks_credential_id(line, cluster);
        made.extend(line.made());
        let is_of_gate = expectation.required.iter().any(|one| one.id == line.id);
        // A run that forgives skipped checks does not forgive those of the phase.
        let is_forgiven = document.verdict == "proven" && line.status == "skipped" && !is_of_gate;
        if !is_good && (is_of_gate || line.severity == "error") && !is_forgiven {
            let (host, check) = (sanitized(&line.host), sanitized(&line.id));
            let one = Behind { is_host: is_host(&host), host, check, observed: sanitized(&line.observed) };
            if line.status == "skipped" { skipped.push((one, is_of_gate)) } else { behind.push(one) }
        }
    }
    // What failed on a host is the reason for which other checks could not be made there. What does not belong to the phase is
    // named only if nothing failed.
    let failed: BTreeSet<String> = behind.iter().map(|one: &Behind| one.host.clone()).collect();
    let is_named =
        |(one, is_of_gate): &(Behind, bool)| !failed.contains(&one.host) && (*is_of_gate || failed.is_empty());
    behind.extend(skipped.into_iter().filter(is_named).map(|(one, _)| one));
    // Where the connection failed, no other check was made.
    let missing = expectation.required.iter().chain(&expectation.ordinary);
    for one in missing.filter(|one| !failed.contains(&one.socket.host) && !made.contains(one)) {
        let observed = format!("the run did not verify it at {}, port {}", one.socket.address, one.socket.port);
        let host = one.socket.host.clone();
        behind.push(Behind { is_host: is_host(&host), host, check: one.id.clone(), observed });
    }
    if behind.is_empty() && !is_proven {
        let observed = format!("the verdict is {}", sanitized(&document.verdict));
        behind.push(Behind { host: cluster.name.to_string(), is_host: false, check: "verdict".to_owned(), observed });
    }
    behind.sort();
    behind.dedup();
    behind
}
