//! Plans of `issue-node` and `issue-master`, through the library, and the issued certificates, by the ledger.

use clusterctl::app::Env;
use clusterctl::app::Silent;
use clusterctl::app::issue::{self, IssueOptions, IssueReason, ServiceAccountStep, Subjects};
use clusterctl::cluster::spec::{Cluster, Host};
use clusterctl::store::credentials::CredentialProblem;
use time::OffsetDateTime;

use super::packages::{cluster, env};
use super::{Lab, Ran};

/// The certificates that would be issued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The certificates, by host and profile, and the reasons for each.
    pub(crate) certificates: Vec<(String, Vec<IssueReason>)>,
    /// The number of valid certificates.
    pub(crate) kept: usize,
    /// The missing step for the key pair of service accounts.
    pub(crate) service_account: Option<ServiceAccountStep>,
}

impl Plan {
    /// Returns the certificates by host and profile.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.certificates.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the only certificate that would be issued, and the only reason.
    #[track_caller]
    pub(crate) fn only(&self) -> (&str, &IssueReason) {
        let [(name, reasons)] = self.certificates.as_slice() else { panic!("not one certificate: {self:?}") };
        let [reason] = reasons.as_slice() else { panic!("not one reason: {self:?}") };
        (name, reason)
    }

    /// Returns the problem of the only certificate that would be issued.
    #[track_caller]
    pub(crate) fn only_problem(&self) -> (&str, &CredentialProblem) {
        match self.only() {
            (name, IssueReason::Problem(problem)) => (name, problem),
            (name, reason) => panic!("{name}: not a problem: {reason:?}"),
        }
    }
}

/// Returns the plan of `issue-node` for these nodes, or for all if none is given.
pub(crate) fn node_plan(lab: &Lab, nodes: &[&str]) -> Plan {
    plan(lab, lab.now, |cluster| {
        let is_named = |host: &&Host| nodes.is_empty() || nodes.contains(&host.name.as_str());
        Subjects::Nodes(cluster.nodes.iter().filter(is_named).collect())
    })
}

/// Returns the plan of `issue-node --all` at the machine's time, for certificates that processes issued: a test that takes
/// minutes would find them not yet valid at the time at which it began.
pub(crate) fn present_node_plan(lab: &Lab) -> Plan {
    plan(lab, OffsetDateTime::now_utc(), |cluster| Subjects::Nodes(cluster.nodes.iter().collect()))
}

/// Returns the plan of `issue-master --all`.
pub(crate) fn master_plan(lab: &Lab) -> Plan {
    plan(lab, lab.now, |cluster| Subjects::Masters(cluster.masters.iter().collect()))
}

fn plan(lab: &Lab, now: OffsetDateTime, subjects: impl for<'c> FnOnce(&'c Cluster) -> Subjects<'c>) -> Plan {
    let cluster = cluster(lab);
    let options =
        IssueOptions { subjects: subjects(&cluster), reissue: false, renew_within: None, skips_unreadable: false };
    let preview = issue::preview(options, &cluster, &Env { now, ..env(lab) }, &mut Silent).expect("a plan");
    let certificates = preview.certificates().map(|planned| (planned.credential.to_string(), planned.reasons));
    Plan { certificates: certificates.collect(), kept: preview.kept(), service_account: preview.service_account() }
}

/// Runs a command that must succeed, and returns the number of certificates that it added to the ledger.
#[track_caller]
pub(crate) fn issued_by(lab: &Lab, args: &[&str]) -> (usize, Ran) {
    let before = issued(lab);
    let ran = lab.good(args);
    (issued(lab) - before, ran)
}

/// Returns the number of certificates in the ledger.
pub(crate) fn issued(lab: &Lab) -> usize {
    let ledger = rusqlite::Connection::open(lab.path("pki/ledger.sqlite3")).expect("a ledger");
    let count: u32 = ledger.query_row("SELECT count(*) FROM certificates", [], |row| row.get(0)).expect("a number");
    count as usize
}
