//! Certificates in the last third of their validity are renewed by the issuing commands, with warnings in time.

use time::Duration;

use super::support::offline::offline;
use super::support::plans::{issued_by, master_plan, node_plan};
use super::support::{CLUSTER, Lab, NOW};

/// Returns the number of certificates that `issue-node --all` would issue, and `issue-master --all`.
fn planned(lab: &Lab) -> (usize, usize) {
    (node_plan(lab, &[]).certificates.len(), master_plan(lab).certificates.len())
}

#[test]
fn certificates_in_the_last_third_of_their_validity_are_renewed() {
    let mut lab = Lab::issued();
    for (days, nodes, masters) in [(0, 0, 0), (242, 0, 0), (245, 6, 19), (364, 6, 19)] {
        lab.now = NOW + Duration::days(days);
        assert_eq!(planned(&lab), (nodes, masters), "after {days} days");
    }
    lab.good(&["issue-node", "--all"]);
    lab.good(&["issue-master", "--all"]);
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
    lab.now += Duration::days(242);
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
    // The verification cache has entries for all.
    lab.now += Duration::days(3);
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 6);
}

#[test]
fn renew_before_in_the_cluster_file_is_honoured() {
    let mut lab = Lab::issued();
    let file = |before: &str| CLUSTER.replace("serviceCIDRs", &format!("renewBefore: {before}\nserviceCIDRs"));
    lab.write("cluster.yaml", &file("30d"));
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
    lab.now = NOW + Duration::days(334);
    assert_eq!(planned(&lab).0, 0);
    lab.now = NOW + Duration::days(336);
    assert_eq!(planned(&lab).0, 6);
    for (wrong, status) in [("1y", 2), ("soon", 2), ("30d", 0)] {
        lab.write("cluster.yaml", &file(wrong));
        assert_eq!(lab.run(&["issue-node", "--all", "--dry-run"]).status, status, "{wrong}");
    }
}

#[test]
fn certificates_shortened_by_their_ca_are_not_renewed_repeatedly() {
    let mut lab = Lab::issued();
    lab.now = NOW + Duration::days(3650 - 100);
    lab.good(&["issue-node", "--all"]);
    lab.now += Duration::days(90);
    assert_eq!(planned(&lab).0, 0, "a new certificate would expire when this one does");
}

#[test]
fn crls_and_admin_kubeconfigs_give_warnings_before_they_expire() {
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["issue-admin", "bob", "--validity", "24h"]);
    lab.good(&["revoke", "--renew"]);
    lab.good(&["verify", "--offline", "--fail-on", "warn"]);
    lab.now = NOW + Duration::hours(23);
    assert_eq!(lab.run(&["verify", "--offline", "--fail-on", "warn"]).status, 1);
    std::fs::remove_file(lab.path("pki/admins/bob.conf")).expect("removed");
    lab.now = NOW + Duration::days(89);
    let found = offline(&lab, &["--fail-on", "warn"]);
    assert_eq!(found.status, 1, "{found:?}");
    let remedies: Vec<&str> = found.ids().iter().filter_map(|ids| ids.rsplit(' ').next()).collect();
    assert_eq!(remedies, ["reissue-admin", "renew-crl", "renew-crl", "renew-crl"]);
}

#[test]
fn a_crl_from_the_future_fails() {
    let mut lab = Lab::issued();
    lab.now = NOW + Duration::days(2);
    lab.good(&["revoke", "--renew"]);
    lab.good(&["verify", "--offline"]);
    lab.now = NOW;
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1);
}

#[test]
fn an_unreadable_crl_is_an_error() {
    let lab = Lab::issued();
    lab.good(&["revoke", "--renew"]);
    let list = lab.read("pki/crl.pem");
    for (size, status) in [(31 << 20, 0), (33 << 20, 4)] {
        lab.write("pki/crl.pem", &format!("{list}{}", "\n".repeat(size)));
        for command in [&["policy"][..], &["bundle", "--all"]] {
            assert_eq!(lab.run(command).status, status, "{size} {command:?}");
        }
        assert_eq!(lab.run(&["verify", "--offline"]).status == 0, status == 0, "{size}");
    }
    lab.write("pki/crl.pem", "junk");
    for command in [&["policy"][..], &["bundle", "--all"], &["issue-node", "--all"]] {
        assert_eq!(lab.run(command).status, 3, "{command:?}");
    }
    lab.good(&["revoke", "--renew"]);
    lab.good(&["policy"]);
}
