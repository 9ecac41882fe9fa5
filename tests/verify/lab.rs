//! Fixtures for the tests of `verify`: a simulated cluster with a target, and assertions on its findings.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use clusterctl::cli::finding_remedies;
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::{CaRole, CertificateSpec, Profile};
use clusterctl::cluster::spec::Cluster;
use clusterctl::fake_cluster::cluster::{Config, FakeCluster, reserve};
use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::pki::ca_certificate::CaCertificate;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::pki::issuer::{Credential, IssueError, Issuer, create_root};
use clusterctl::pki::trust_bundle::TrustBundle;
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::denials::{ExpectedDenials, RevokedCertificate};
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::observation::Observations;
use clusterctl::verify::options::Options;
use clusterctl::verify::probe;
use clusterctl::verify::report::{Report, TextStyle};
use clusterctl::verify::target::{Identity, KnownCredential, Target};
use clusterctl::verify::verdict::{Strictness, Verdict, verdict};
use time::{Duration, OffsetDateTime};

/// A simulated cluster and the target that describes it.
pub(super) struct Lab {
    /// The contents of the cluster file.
    pub(super) cluster: Cluster,
    /// The input of `verify`.
    pub(super) target: Arc<Target>,
    /// The time at which the findings are judged.
    pub(super) now: OffsetDateTime,
    /// The servers, on loopback addresses.
    pub(super) running: FakeCluster,
    /// The first node's client credential.
    pub(super) client: Credential,
}

/// Returns the fingerprint of a certificate that the API servers have to deny.
pub(super) fn revoked_fingerprint() -> Fingerprint {
    Fingerprint::of(b"a certificate that was revoked")
}

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Starts a cluster, with a fault or without one.
pub(super) fn lab(masters: usize, nodes: usize, fault: Option<InjectedFault>) -> Lab {
    start_lab(masters, nodes, fault, std::time::Duration::ZERO)
}

/// Starts a cluster without faults whose API servers delay each answer by `answer_after`.
pub(super) fn slow_lab(masters: usize, nodes: usize, answer_after: std::time::Duration) -> Lab {
    start_lab(masters, nodes, None, answer_after)
}

fn start_lab(masters: usize, nodes: usize, fault: Option<InjectedFault>, answer_after: std::time::Duration) -> Lab {
    let now = now();
    // The expired root was created 366 days ago and was valid for one year. No certificate outlives its issuer.
    let issued_at = if fault == Some(InjectedFault::ExpiredRoot) { now - Duration::days(366) } else { now };
    let reserved = reserve(masters, nodes).expect("loopback has addresses");
    let mut draft = reserved.addresses().draft("lab");
    if fault == Some(InjectedFault::ExpiredRoot) {
        draft.validity_ca = Some("1y".into());
    }
    let cluster = draft.check().expect("a valid cluster file");
    let root = create_root(CaRole::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, issued_at);
    let root = root.expect("a root").into_inner();
    let mut credentials: HashMap<(Option<HostName>, Profile), Credential> = HashMap::new();
    let specs = cluster.masters.iter().flat_map(|host| cluster.master_specs(host));
    let specs = specs.chain(cluster.nodes.iter().flat_map(|host| cluster.node_specs(host)));
    for spec in specs.chain([cluster.verifier_spec()]) {
        let issuer = Issuer::open(spec.policy().signed_by, &root, issued_at).expect("a valid root");
        let credential = issuer.issue_credential(&spec, cluster.keys, issued_at).expect("a credential").into_inner();
        credentials.insert((spec.host, spec.profile), credential);
    }
    let known = |spec: &CertificateSpec| {
        let credential = &credentials[&(spec.host.clone(), spec.profile)];
        let identity = Identity::of(credential).expect("an identity");
        KnownCredential { issued: Some(credential.certificate.fingerprint()), identity: Some(identity), missing: None }
    };
    let mut target = Target::of(&cluster, vec![root.certificate.clone()], known);
    let revoked = RevokedCertificate { sha256: revoked_fingerprint(), whose: None, revoked: None };
    target.denials = Some(ExpectedDenials::new(vec![revoked], true));
    let target = Arc::new(target);
    let client = credentials.remove(&(Some(cluster.nodes[0].name.clone()), Profile::KubeletClient)).expect("issued");
    let trust = TrustBundle::single(CaCertificate::own_root(CaRole::Cluster, root.certificate.clone()));
    let issuer = Issuer::open(CaRole::Cluster, &root, issued_at).expect("a valid root");
    let presented = |spec: &CertificateSpec| -> Result<Credential, IssueError> {
        Ok(credentials.remove(&(spec.host.clone(), spec.profile)).expect("issued"))
    };
    let config =
        Config::assemble(cluster.clone(), &trust, Some(&issuer), fault, now, presented).expect("a configuration");
    let config = Config { answer_after, ..config };
    let running = reserved.start(config).expect("a running cluster");
    running.deny([revoked_fingerprint()]);
    Lab { cluster, target, now, running, client }
}

impl Lab {
    pub(super) fn observe(&self) -> Observations {
        // `verify` reads a stale Lease again after a pause; a real kubelet's renewal interval would delay the tests.
        let options = Options { lease_pause: std::time::Duration::from_millis(50), ..Options::default() };
        probe::run(&self.target, &options, self.now, &|_, _| {}).expect("a network")
    }

    pub(super) fn judge(&self, seen: &Observations) -> Vec<Finding> {
        judge(&self.target, seen, Clock { now: self.now, expires_within: Duration::days(30) })
    }

    pub(super) fn text(&self, findings: &[Finding]) -> String {
        let strictness = Strictness::default();
        Report::new(&self.target, findings.to_vec(), strictness, self.now, self.now)
            .to_text(TextStyle::default(), &finding_remedies::words)
    }
}

/// Returns all findings that are not a pass, by status, as texts like `node.name at node-2`.
pub(super) fn not_passed(findings: &[Finding]) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.status != Status::Pass) {
        // Only findings about masters are distinguished by client.
        let client = finding.client.as_ref().filter(|_| finding.id.to_string().starts_with("master."));
        let client = client.map(|client| format!(" by {client}")).unwrap_or_default();
        // The host of the endpoint's findings is its address, which differs between runs.
        let host = if finding.host.starts_with("127.") { "endpoint" } else { &finding.host };
        found.entry(finding.status.as_str()).or_default().insert(format!("{} at {host}{client}", finding.id));
    }
    found
}

/// Asserts that exactly these findings are not a pass when `fault` is injected.
pub(super) fn assert_not_passed(fault: InjectedFault, expected: &[(&'static str, &[&str])]) {
    let lab = lab(2, 3, Some(fault));
    let findings = lab.judge(&lab.observe());
    let expected: BTreeMap<&'static str, BTreeSet<String>> =
        expected.iter().map(|(status, list)| (*status, list.iter().map(ToString::to_string).collect())).collect();
    assert_eq!(not_passed(&findings), expected, "{}", lab.text(&findings));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}
