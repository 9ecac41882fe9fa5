//! The library without the program: the example's use cases, from a cluster file to an audit without problems.

use std::path::PathBuf;

use clusterctl::app::ca::KeyStorage;
use clusterctl::app::issue::NextStep;
use clusterctl::cluster::profile::CaRole;
use clusterctl::verify::finding::Status;

#[expect(dead_code, reason = "the test calls `run`, and not `main`")]
#[path = "../examples/issue_and_package.rs"]
mod example;

#[test]
fn the_example_makes_a_valid_cluster_directory() {
    let dir = tempfile::tempdir().expect("a folder");
    let reports = example::run(dir.path()).expect("every step succeeds");
    let roles: Vec<CaRole> = reports.cas.created.iter().map(|ca| ca.role).collect();
    assert_eq!(roles, CaRole::ALL);
    assert!(reports.cas.created.iter().all(|ca| ca.key == KeyStorage::Plaintext));
    assert_eq!(reports.masters.next, NextStep::IssueNodes);
    assert_eq!(reports.nodes.next, NextStep::Package);
    assert!(reports.masters.issued > 0 && reports.nodes.issued > 0);
    let bundles: Vec<PathBuf> = reports.bundles.bundles.iter().map(|bundle| bundle.path.clone()).collect();
    let folder = dir.path().join("bundles");
    assert_eq!(bundles, [folder.join("master-1.tar.gz"), folder.join("node-1.tar.gz")]);
    assert_eq!((reports.bundles.refused.len(), reports.bundles.kept.len()), (0, 0));
    assert_eq!(reports.audit.hosts, 2);
    let problems: Vec<_> = reports.audit.findings.iter().filter(|finding| finding.status > Status::Skipped).collect();
    assert!(problems.is_empty(), "{problems:?}");
}
