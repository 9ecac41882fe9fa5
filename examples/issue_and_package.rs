//! Creates a cluster's CAs, issues its certificates, packs its bundles and audits them, through the library alone.
//!
//! Run it with `cargo run --example issue_and_package`.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clusterctl::app::audit::{self, AuditOptions, AuditReport};
use clusterctl::app::ca::{self, CaReport, CreateOptions};
use clusterctl::app::issue::{self, IssueOptions, IssueReport, Subjects};
use clusterctl::app::package::encryption::{Encryption, Recipients};
use clusterctl::app::package::{PackageOptions, PackageReport, Packager, Selection, versions};
use clusterctl::app::{Env, Silent, directory};
use clusterctl::bundle::format::Format;
use clusterctl::cluster::spec::Cluster;
use clusterctl::store;
use clusterctl::store::layout::Layout;
use time::{Duration, OffsetDateTime};

const CLUSTER: &str = "\
apiVersion: clusterctl/v1
kind: Cluster
name: example
masters:
- name: master-1
  addresses: [192.0.2.10]
nodes:
- name: node-1
  addresses: [192.0.2.11]
";

/// The reports of all steps.
pub(crate) struct Reports {
    pub(crate) cas: CaReport,
    pub(crate) masters: IssueReport,
    pub(crate) nodes: IssueReport,
    pub(crate) bundles: PackageReport,
    pub(crate) audit: AuditReport,
}

/// Writes the cluster file into the folder `dir`, which becomes the cluster directory, and runs every step.
pub(crate) fn run(dir: &Path) -> Result<Reports, Box<dyn Error>> {
    let layout = Layout::new(dir.to_owned());
    fs::write(layout.cluster_file(), CLUSTER)?;
    let env = Env { layout, now: OffsetDateTime::now_utc(), actor: "example".to_owned() };
    let cluster = directory::cluster(&env.layout)?;
    let cas = {
        let _lock = directory::lock(&env, "create CAs", &mut Silent)?;
        // A real cluster's keys are protected by a passphrase: `CreateOptions::protection`.
        ca::create(&env, &cluster, &CreateOptions::default())?
    };
    let masters = issue(Subjects::Masters(cluster.masters.iter().collect()), &cluster, &env)?;
    let nodes = issue(Subjects::Nodes(cluster.nodes.iter().collect()), &cluster, &env)?;
    let bundles = package(&cluster, &env)?;
    let options = AuditOptions { expires_within: Duration::days(30), problems_only: false };
    let audit = audit::audit(&env, &options, &Silent)?;
    Ok(Reports { cas, masters, nodes, bundles, audit })
}

fn issue(subjects: Subjects<'_>, cluster: &Cluster, env: &Env) -> Result<IssueReport, Box<dyn Error>> {
    let options = IssueOptions { subjects, reissue: false, renew_within: None, skips_unreadable: false };
    let plan = issue::plan(options, "issue", cluster, env, &mut Silent)?;
    let mut issuers = Vec::new();
    for role in plan.signers() {
        issuers.push(store::ca::open(&env.layout, role, None)?.into_issuer(env.now)?);
    }
    Ok(plan.apply(&issuers, &mut Silent)?)
}

fn package(cluster: &Cluster, env: &Env) -> Result<PackageReport, Box<dyn Error>> {
    let hosts = Selection::all(cluster);
    let options = PackageOptions {
        format: Format::TarGz,
        templates: None,
        settings: versions::settings(cluster, &[], false)?,
        overrides_versions: false,
        encryption: Encryption::plan(&hosts, cluster, Format::TarGz, &Recipients::OfClusterFile)?,
        signing_key: None,
        discard_keys: false,
        hosts,
    };
    let packager = Packager { env: env.clone(), cluster: cluster.clone() };
    Ok(packager.plan(options, &mut Silent)?.apply(&mut Silent)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let reports = run(dir.path())?;
    show(&reports, &mut io::stdout().lock())?;
    Ok(())
}

fn show(reports: &Reports, out: &mut impl Write) -> io::Result<()> {
    for ca in &reports.cas.created {
        writeln!(out, "created {}, valid until {}", ca.name, ca.not_after)?;
    }
    writeln!(out, "issued {} certificates", reports.masters.issued + reports.nodes.issued)?;
    for bundle in &reports.bundles.bundles {
        writeln!(out, "packed {}", bundle.path.display())?;
    }
    for finding in &reports.audit.findings {
        writeln!(out, "{} {} {}", finding.status.as_str(), finding.id, finding.host)?;
    }
    Ok(())
}
