//! The restarts of a rotation: the plan of each phase names the programs that `install.sh` finds, on each host, and no others.

use std::collections::BTreeSet;
use std::fs;

use clusterctl::fake_cluster::cluster::reserve;
use serde_json::Value;

use super::rotating::Fleet;
use crate::support::rotation::{bundle_files, restarted_by};

/// Returns the programs that a plan restarts on a host.
fn planned(plan: &Value, host: &str) -> BTreeSet<String> {
    let is_of = |hosts: &Value| match hosts["role"].as_str() {
        Some(role) => host.starts_with(role),
        None => hosts["hosts"].as_array().expect("hosts").iter().any(|one| one == host),
    };
    let restarts = plan["restarts"].as_array().expect("restarts").iter().filter(|one| is_of(&one["hosts"]));
    restarts.map(|one| one["component"].as_str().expect("a program").to_owned()).collect()
}

fn restarts_are_those_of_the_plan(role: &str, version: Option<&str>) {
    let mut fleet = Fleet::with(reserve(2, 2).expect("loopback has addresses"), |lab| {
        if let Some(version) = version {
            let text = lab.read("cluster.yaml");
            fs::write(lab.path("cluster.yaml"), format!("{text}kubernetes: {{version: {version}}}\n"))
                .expect("written");
        }
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["apply"]);
    });
    fleet.good(&["rotate-ca", "start", "--role", role]);
    fleet.backup();
    loop {
        let before: Vec<_> = fleet.names.iter().map(|name| bundle_files(&fleet.lab, name)).collect();
        let next = ["rotate-ca", "next", "--role", role, "--no-wait", "--yes", "--output", "json"];
        let next: Value = serde_json::from_str(&fleet.good(&next).out).expect("JSON");
        let (plan, phase) = (&next["plan"], next["plan"]["phase"].as_str().expect("a phase"));
        fleet.good(&["apply"]);
        for (host, before) in fleet.names.iter().zip(&before) {
            let found = restarted_by(&fleet.lab, host, before);
            // The canaries have theirs since the phase before.
            let is_done = phase == "servers" && host.ends_with("-1");
            let expected = if is_done { BTreeSet::new() } else { planned(plan, host) };
            assert_eq!(found, expected, "{host} in {phase} of {role} on {version:?}");
        }
        if phase == "retire" {
            break;
        }
        fleet.install(|_| true);
        if role == "front-proxy" {
            fleet.trust_proxies();
        }
    }
}

#[test]
fn install_sh_restarts_what_the_plan_names_on_the_newest_version() {
    restarts_are_those_of_the_plan("cluster", Some("v1.36.2"));
}

#[test]
fn install_sh_restarts_what_the_plan_names_on_older_versions() {
    restarts_are_those_of_the_plan("cluster", Some("v1.30.0"));
}

#[test]
fn install_sh_restarts_nothing_for_the_front_proxy() {
    restarts_are_those_of_the_plan("front-proxy", None);
}
