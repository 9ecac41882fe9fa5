//! What is in the last third of its life is renewed by the commands that issue, and warned of in time.

use time::Duration;

use super::support::{CLUSTER, Lab, NOW};

fn planned(lab: &Lab, command: &str) -> usize {
    lab.good(&[command, "--all", "--dry-run"]).out.lines().filter(|line| line.starts_with("issue ")).count()
}

#[test]
fn what_is_in_the_last_third_of_its_life_is_renewed() {
    let mut lab = Lab::issued();
    for (days, nodes, masters) in [(0, 0, 0), (242, 0, 0), (245, 6, 19), (364, 6, 19)] {
        lab.now = NOW + Duration::days(days);
        assert_eq!((planned(&lab, "issue-node"), planned(&lab, "issue-master")), (nodes, masters), "after {days} days");
    }
    lab.good(&["issue-node", "--all"]);
    lab.good(&["issue-master", "--all"]);
    assert!(lab.good(&["issue-node", "--all"]).err.contains("nothing to do"));
    lab.now += Duration::days(242);
    assert!(lab.good(&["issue-node", "--all"]).err.contains("nothing to do"));
    lab.now += Duration::days(3);
    assert!(
        lab.good(&["issue-node", "--all"]).err.contains("issued 6 certificates"),
        "what all were remembered by is no excuse"
    );
}

#[test]
fn the_cluster_file_says_how_long_before_the_end() {
    let mut lab = Lab::issued();
    let file = |before: &str| CLUSTER.replace("serviceCIDRs", &format!("renewBefore: {before}\nserviceCIDRs"));
    lab.write("cluster.yaml", &file("30d"));
    assert!(lab.good(&["issue-node", "--all"]).err.contains("nothing to do"));
    lab.now = NOW + Duration::days(334);
    assert_eq!(planned(&lab, "issue-node"), 0);
    lab.now = NOW + Duration::days(336);
    assert_eq!(planned(&lab, "issue-node"), 6);
    for (wrong, status) in [("1y", 2), ("soon", 2), ("30d", 0)] {
        lab.write("cluster.yaml", &file(wrong));
        assert_eq!(lab.run(&["issue-node", "--all", "--dry-run"]).status, status, "{wrong}");
    }
}

#[test]
fn what_a_root_that_ends_soon_shortens_is_not_renewed_again_and_again() {
    let mut lab = Lab::issued();
    lab.now = NOW + Duration::days(3650 - 100);
    lab.good(&["issue-node", "--all"]);
    lab.now += Duration::days(90);
    assert_eq!(planned(&lab, "issue-node"), 0, "a new one would end when this one does");
}

#[test]
fn lists_and_admins_kubeconfigs_are_warned_of_before_they_end() {
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["issue-admin", "bob", "--validity", "24h"]);
    lab.good(&["revoke", "--renew"]);
    lab.good(&["verify", "--offline", "--fail-on", "warn"]);
    lab.now = NOW + Duration::hours(23);
    assert_eq!(lab.run(&["verify", "--offline", "--fail-on", "warn"]).status, 1);
    std::fs::remove_file(lab.path("pki/admins/bob.conf")).expect("removed");
    lab.now = NOW + Duration::days(89);
    let ran = lab.run(&["verify", "--offline", "--fail-on", "warn"]);
    assert_eq!(ran.status, 1, "{ran}");
    let report = lab.good(&["verify", "--offline", "--output", "json"]).out;
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let results = report["results"].as_array().expect("results").iter();
    let remedies: Vec<&str> = results.filter_map(|result| result["remedy"].as_str()).collect();
    assert_eq!(remedies, ["reissue-admin", "renew-crl", "renew-crl", "renew-crl"]);
}

#[test]
fn a_list_from_the_future_is_refused_as_it_is_online() {
    let mut lab = Lab::issued();
    lab.now = NOW + Duration::days(2);
    lab.good(&["revoke", "--renew"]);
    lab.good(&["verify", "--offline"]);
    lab.now = NOW;
    assert_eq!(lab.run(&["verify", "--offline"]).status, 1);
}

#[test]
fn a_list_that_cannot_be_read_is_no_empty_one() {
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
