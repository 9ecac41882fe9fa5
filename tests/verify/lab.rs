//! A simulated cluster and the target that describes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use clusterctl::cli::finding_remedies::words;
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
use clusterctl::verify::probe::run;
use clusterctl::verify::report::{Report, TextStyle};
use clusterctl::verify::target::{Identity, KnownCredential, Target};
use clusterctl::verify::verdict::{Strictness, Verdict, verdict};
use time::{Duration, OffsetDateTime};

/// A simulated cluster and the target that describes it.
pub(super) struct Lab {
    pub(super) cluster: Cluster,
    pub(super) target: Arc<Target>,
    pub(super) now: OffsetDateTime,
    pub(super) running: FakeCluster,
    /// The first node's client credential.
    pub(super) client: Credential,
}

/// A certificate that the API servers have to deny.
pub(super) fn revoked() -> Fingerprint {
    Fingerprint::of(b"a certificate that was revoked")
}

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

pub(super) fn lab(masters: usize, nodes: usize, fault: Option<InjectedFault>) -> Lab {
    made(masters, nodes, fault, std::time::Duration::ZERO)
}

/// A valid cluster whose API servers take `answer_after` for each answer.
pub(super) fn slow_lab(masters: usize, nodes: usize, answer_after: std::time::Duration) -> Lab {
    made(masters, nodes, None, answer_after)
}

fn made(masters: usize, nodes: usize, fault: Option<InjectedFault>, answer_after: std::time::Duration) -> Lab {
    let now = now();
    // The expired root was made two years ago with a validity of one year; its certificates expire with it.
    let issued_at = if fault == Some(InjectedFault::ExpiredRoot) { now - Duration::days(366) } else { now };
    let reserved = reserve(masters, nodes).expect("loopback has addresses");
    let mut draft = reserved.addresses().draft("lab");
    if fault == Some(InjectedFault::ExpiredRoot) {
        draft.validity_ca = Some("1y".into());
    }
    let cluster = draft.check().expect("a good draft");
    let root = create_root(CaRole::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, issued_at);
    let root = root.expect("a root").into_inner();
    let mut made: HashMap<(Option<HostName>, Profile), Credential> = HashMap::new();
    let leaves = cluster.masters.iter().flat_map(|host| cluster.master_specs(host));
    let leaves = leaves.chain(cluster.nodes.iter().flat_map(|host| cluster.node_specs(host)));
    for leaf in leaves.chain([cluster.verifier_spec()]) {
        let issuer = Issuer::open(leaf.policy().signed_by, &root, issued_at).expect("a valid root");
        let credential = issuer.issue_credential(&leaf, cluster.keys, issued_at).expect("a credential").into_inner();
        made.insert((leaf.host, leaf.profile), credential);
    }
    let held = |leaf: &CertificateSpec| {
        let credential = &made[&(leaf.host.clone(), leaf.profile)];
        let identity = Identity::of(credential).expect("an identity");
        KnownCredential { issued: Some(credential.certificate.fingerprint()), identity: Some(identity), missing: None }
    };
    let mut target = Target::of(&cluster, vec![root.certificate.clone()], held);
    let revoked = RevokedCertificate { sha256: revoked(), whose: None, revoked: None };
    target.denials = Some(ExpectedDenials::new(vec![revoked], true));
    let target = Arc::new(target);
    let client = made.remove(&(Some(cluster.nodes[0].name.clone()), Profile::KubeletClient)).expect("issued");
    let trust = TrustBundle::single(CaCertificate::own_root(CaRole::Cluster, root.certificate.clone()));
    let issuer = Issuer::open(CaRole::Cluster, &root, issued_at).expect("a valid root");
    let shown = |leaf: &CertificateSpec| -> Result<Credential, IssueError> {
        Ok(made.remove(&(leaf.host.clone(), leaf.profile)).expect("issued"))
    };
    let config = Config::assemble(cluster.clone(), &trust, Some(&issuer), fault, now, shown).expect("what it serves");
    let config = Config { answer_after, ..config };
    let running = reserved.start(config).expect("a running cluster");
    running.deny([self::revoked()]);
    Lab { cluster, target, now, running, client }
}

impl Lab {
    pub(super) fn observe(&self) -> Observations {
        // A stale lease is read again; not after the interval of a real kubelet.
        let options = Options { lease_pause: std::time::Duration::from_millis(50), ..Options::default() };
        run(&self.target, &options, self.now, &|_, _| {}).expect("a network")
    }

    pub(super) fn judge(&self, seen: &Observations) -> Vec<Finding> {
        judge(&self.target, seen, Clock { now: self.now, expires_within: Duration::days(30) })
    }

    pub(super) fn text(&self, findings: &[Finding]) -> String {
        let strictness = Strictness::default();
        Report::new(&self.target, findings.to_vec(), strictness, self.now, self.now)
            .to_text(TextStyle::default(), &words)
    }
}

/// Returns `check at host` of every finding that is not a pass, by status.
pub(super) fn faults(findings: &[Finding]) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.status != Status::Pass) {
        let client = finding.client.as_ref().filter(|_| finding.id.to_string().starts_with("master."));
        let client = client.map(|client| format!(" by {client}")).unwrap_or_default();
        let host = if finding.host.starts_with("127.") { "endpoint" } else { &finding.host };
        found.entry(finding.status.as_str()).or_default().insert(format!("{} at {host}{client}", finding.id));
    }
    found
}

pub(super) fn expect(fault: InjectedFault, expected: &[(&'static str, &[&str])]) {
    let lab = lab(2, 3, Some(fault));
    let findings = lab.judge(&lab.observe());
    let expected: BTreeMap<&'static str, BTreeSet<String>> =
        expected.iter().map(|(status, list)| (*status, list.iter().map(ToString::to_string).collect())).collect();
    assert_eq!(faults(&findings), expected, "{}", lab.text(&findings));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}
