//! The audit of a directory: its options, its report, and the order of its findings.

use std::collections::BTreeMap;
use std::thread;

use time::{Duration, OffsetDateTime};

use crate::app::observer::{Observer, Task};
use crate::app::revoke::{self, removed_hosts, superseded};
use crate::app::{Env, Error, directory};
use crate::cluster::duration::{in_words, stamp};
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::trust_bundle::TrustBundle;
use crate::rbac::denials::Denials;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::inventory::Inventory;
use crate::verify::checks::trust_anchor;
use crate::verify::finding::Finding;
use crate::verify::report::Report;
use crate::verify::target::Target;
use crate::verify::verdict::Strictness;

/// Options of an audit.
#[derive(Debug, Clone, Copy)]
pub struct AuditOptions {
    /// Certificates that expire within this time are a warning.
    pub expires_within: Duration,
    /// If true, passed findings keep no observation, to save memory in large clusters.
    pub problems_only: bool,
}

/// The result of an audit.
#[derive(Debug)]
pub struct AuditReport {
    /// The number of hosts that were checked.
    pub hosts: usize,
    /// The findings.
    pub findings: Vec<Finding>,
    /// The cluster file that was read.
    pub cluster: Cluster,
    target: Target,
}

impl AuditReport {
    /// Returns the report of the findings.
    #[must_use]
    pub fn into_report(self, strictness: Strictness, started: OffsetDateTime, finished: OffsetDateTime) -> Report {
        let Self { findings, cluster, target, .. } = self;
        // Not needed while the report of a large cluster is built.
        drop(cluster);
        Report::new(&target, findings, strictness, started, finished)
    }
}

/// Audits the cluster directory.
///
/// # Errors
/// Returns an error if there is no cluster file, no CA or no ledger, or they cannot be used. Everything else is a
/// finding.
pub fn audit(env: &Env, options: &AuditOptions, observer: &dyn Observer) -> Result<AuditReport, Error> {
    let layout = &env.layout;
    let (cluster, recorded) = read(layout);
    let (cluster, root) = (cluster?, ca::trust(layout, CaRole::Cluster)?);
    // A CA that cannot be read is a finding, and everything else is still checked.
    let readable = |role| Some((role, ca::trust(layout, role).ok()?));
    let cas: BTreeMap<CaRole, TrustBundle> = CaRole::ALL.into_iter().filter_map(readable).collect();
    let (known, ledger) = recorded?;
    let denials = revoke::denials::of_ledger(&ledger, &root, env.now)?;
    let hosts = cluster.masters.len() + cluster.nodes.len();
    let progress = observer.progress(Task::Checking, hosts as u64);
    let audit = Audit {
        layout,
        cluster: &cluster,
        root: &root,
        cas: &cas,
        known: &known,
        last_generation: ledger.last_generation()?,
        denials: &denials,
        now: env.now,
        options: *options,
    };
    let roots = root.anchors().into_iter().cloned().collect();
    let target = Target { roots, ..Target::empty(cluster.name.to_string()) };
    let mut findings = audit.findings(&|| progress.add(1));
    // Inserted in place, because the findings of a large cluster do not fit into memory twice.
    findings.splice(0..0, trust_anchor(&target, env.now));
    findings.extend(super::crls::findings(layout, &cas, &ledger, env.now, options.expires_within)?);
    findings.extend(removed_hosts::findings(layout, &cluster, &ledger, env.now)?);
    findings.extend(superseded::finding(&cluster, &ledger, env)?);
    findings.extend(super::denials::findings(&cluster, &denials, &ledger, &root, env)?);
    Ok(AuditReport { hosts, findings, cluster, target })
}

type Recorded = Result<(Inventory, Ledger), StoreError>;

/// Reads the cluster file and the ledger at the same time: both take about the same time for large clusters.
fn read(layout: &Layout) -> (Result<Cluster, Error>, Recorded) {
    let path = layout.ledger();
    let recorded = || Ledger::open_read_only(&path).and_then(|ledger| Ok((ledger.inventory()?, ledger)));
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, recorded) {
        Ok(thread) => {
            (directory::cluster(layout), thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        }
        Err(_) => (directory::cluster(layout), recorded()),
    })
}

/// The state that all checks of an audit share.
pub(super) struct Audit<'a> {
    pub(super) layout: &'a Layout,
    pub(super) cluster: &'a Cluster,
    /// The cluster's CAs.
    pub(super) root: &'a TrustBundle,
    /// The CAs of all roles that can be read, the cluster's among them.
    pub(super) cas: &'a BTreeMap<CaRole, TrustBundle>,
    pub(super) known: &'a Inventory,
    /// The last generation of bundles in the ledger.
    pub(super) last_generation: u64,
    /// The certificates that masters' bundles have to deny.
    pub(super) denials: &'a Denials,
    pub(super) now: OffsetDateTime,
    pub(super) options: AuditOptions,
}

impl Audit<'_> {
    /// Returns the finding `store.credential` of every CA and credential, then `trust.match` of every bundle, in the
    /// order of the cluster file.
    fn findings(&self, progress: &(dyn Fn() + Sync)) -> Vec<Finding> {
        let first: Vec<Finding> = CaRole::ALL
            .into_iter()
            .flat_map(|role| self.cas_of(role))
            .chain(self.open_folders())
            .chain(self.open_files())
            .chain(self.changeable_by_others())
            .chain(self.unfinished_issue())
            .chain(self.unfinished_elsewhere())
            .collect();
        let mut findings = self.credentials(progress);
        // Inserted in place, because the findings of a large cluster do not fit into memory twice.
        findings.splice(0..0, first);
        findings.push(self.service_account());
        findings.extend(self.admins());
        findings.extend(self.bundles());
        findings
    }

    /// Returns how much time is left until `not_after`.
    pub(super) fn time_left(&self, not_after: OffsetDateTime) -> String {
        format!("{} left, until {}", in_words(not_after - self.now), stamp(not_after))
    }

    /// Returns the required remaining validity as text.
    pub(super) fn expected_time(&self) -> String {
        format!("more than {} left", in_words(self.options.expires_within))
    }

    /// Returns true if a certificate expires soon enough for a warning.
    pub(super) fn expires_soon(&self, not_after: OffsetDateTime) -> bool {
        not_after - self.now <= self.options.expires_within
    }
}
