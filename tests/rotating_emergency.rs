//! A stolen key of the cluster's CA: `rotate-ca --emergency`.

use clusterctl::app::admin::kubeconfig;
use clusterctl::cluster::lifetime::Lifetime;
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::CaRole;
use clusterctl::config;
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::issuer::{Credential, Issuer};
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::pem;
use clusterctl::pki::rotation::Phase;
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use serde_json::Value;
use time::OffsetDateTime;

use crate::rotating::Fleet;
use crate::support::outside::needs;
use crate::support::phases::killed;
use crate::support::rotation::Outsider;
use crate::support::{Lab, forms, good_tool};

/// Returns a credential of `system:masters` that a thief makes of the stolen key: the ledger does not know it.
fn stolen(lab: &Lab) -> Credential {
    let pem = pem::certificates(lab.read("pki/ca.crt").as_bytes()).expect("a root");
    let certificate = Certificate::from_der(pem[0].clone()).expect("a root");
    let key = PrivateKey::from_pem(lab.read("pki/ca.key").as_bytes()).expect("a key");
    let root = Credential { certificate, chain: Vec::new(), key };
    let issuer = Issuer::open(CaRole::Cluster, &root, OffsetDateTime::now_utc()).expect("a CA");
    let cluster = config::read(lab.read("cluster.yaml").as_bytes()).expect("a cluster");
    let name = HostName::parse("thief").expect("a name");
    let spec = cluster.break_glass_spec(&name, Lifetime::parse("7d").expect("a lifetime"));
    issuer.issue_credential(&spec, cluster.keys, OffsetDateTime::now_utc()).expect("issued").into_inner()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_thief_is_refused_at_every_api_server_when_the_masters_are_installed() {
    let mut fleet = Fleet::start(3, 5);
    fleet.good(&["issue-admin", "alice"]);
    let old = fleet.trust().into_active();
    let thief = Outsider::new(&stolen(&fleet.lab));
    let answers = |fleet: &Fleet| thief.answers(&fleet.hosts);
    assert_eq!(answers(&fleet), (vec![Some(201); 3], vec![Some(200); 5]));

    // It does not start by mistake.
    let refused = fleet.run(&["rotate-ca", "start", "--emergency"]);
    assert_eq!((refused.status, fleet.phase()), (3, None), "{refused}");
    let started = fleet.good(&["rotate-ca", "start", "--emergency", "--yes", "--output", "json"]);
    forms::conforms("rotation", &started.out);
    let started = json(&started.out);
    assert_eq!((fleet.phase(), &started["from"]), (Some(Phase::DropOld), &"prepare".into()));
    // Ten certificates of each master and two of each node are of other roots, too: those of this one are revoked.
    assert!(started["revoked"].as_u64().is_some_and(|count| count > 10), "{started:#}");
    assert_eq!(started["accounts"], serde_json::json!(["alice"]));
    // One command issues and packs for all hosts, whose certificates are revoked.
    let status = json(&fleet.run(&["status", "--output", "json"]).out);
    let rows = status["rows"].as_array().expect("rows");
    let of_hosts: Vec<&Value> =
        rows.iter().filter(|row| row["host"].is_string() && row["state"] == "revoked").collect();
    assert!(of_hosts.len() >= 16 && of_hosts.iter().all(|row| row["remedy"] == "apply"), "{of_hosts:#?}");
    let shown = fleet.run(&["status"]);
    let shown = [shown.out, shown.err].concat();
    let advises = |command: &str| shown.contains(&format!("clusterctl {command}"));
    assert!(advises("apply") && !advises("issue-master") && !advises("issue-node"), "{shown}");
    let applied = json(&fleet.good(&["apply", "--output", "json"]).out);
    assert_eq!(applied["kubeconfigs"][0]["name"], "alice", "{applied:#}");

    // The masters lock the thief out, while kubelets are still open to it.
    fleet.install(|name| name.starts_with("master"));
    assert_eq!(answers(&fleet), (vec![Some(401); 3], vec![Some(200); 5]));
    let masters = fleet.run(&["verify", "--phase", "--masters-only"]);
    assert_eq!(masters.status, 0, "{masters}");
    let ran = fleet.next();
    assert_eq!((ran.status, fleet.phase()), (1, Some(Phase::DropOld)), "{ran}");
    let status = json(&fleet.run(&["status", "--output", "json"]).out);
    let behind = status["rotations"][0]["behind"]["hosts"].as_array().expect("hosts");
    assert_eq!(behind.len(), 5, "{status:#}");
    forms::conforms("status", &status.to_string());
    forms::conforms("rotation", &fleet.good(&["rotate-ca", "status", "--output", "json"]).out);
    let metrics = fleet.run(&["status", "--output", "prometheus"]).out;
    for line in ["rotation_phase", "rotation_hosts_behind"] {
        let line = format!("clusterctl_{line}{{cluster=\"live\",role=\"cluster\"}} 5");
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
    let page = fleet.run(&["status", "--output", "html"]).out;
    let present =
        page.split("aria-current=\"step\"").nth(1).and_then(|rest| rest.split("</li>").next()).expect("a phase");
    assert!(present.contains("drop-old") && present.contains("node-5"), "{present}");
    let shown = fleet.run(&["status"]).out;
    assert!(shown.lines().any(|line| line.contains("drop-old") && line.contains("node-5")), "{shown}");

    fleet.install(|name| name.starts_with("node"));
    assert_eq!(answers(&fleet), (vec![Some(401); 3], vec![Some(401); 5]));
    let prober = fleet.hosts.probe(old.root());
    assert_eq!(prober.round(), Vec::<String>::new());
    let ran = fleet.next();
    assert_eq!((ran.status, fleet.phase()), (0, None), "{ran}");
    assert_eq!(prober.stop().1, Vec::<String>::new());
    assert_eq!(fleet.run(&["plan", "--exit-code"]).status, 0, "a retired CA changes nothing on hosts");
    fleet.good(&["verify"]);

    // The last CRL of the old root lists what it signed, for as long as it is valid.
    let (crls, present) = (json(&fleet.good(&["crl", "show", "--output", "json"]).out), fleet.trust());
    let is_of_old = |crl: &&Value| crl["crl"]["issuer"] == old.certificate().subject.text.as_str();
    let of_old = crls["crls"].as_array().expect("CRLs").iter().find(is_of_old).expect("the last CRL");
    let listed = of_old["crl"]["revoked"].as_array().map_or(0, Vec::len);
    assert_eq!(Some(listed as u64), started["revoked"].as_u64());
    let days = of_old["crl"]["daysLeft"].as_i64().expect("days");
    assert!(days >= (old.not_after() - OffsetDateTime::now_utc()).whole_days() - 31, "{days}");
    let alice = kubeconfig::read(&fleet.lab.path("pki/admins/alice.conf")).expect("a kubeconfig");
    assert!(alice.0.is_signed_by(present.active().certificate()));
    assert_eq!(alice.1, [present.active().root().clone()]);
}

#[test]
fn a_rotation_that_is_under_way_is_cut_short() {
    let mut fleet = Fleet::start(1, 2);
    fleet.good(&["rotate-ca", "start"]);
    let dry = fleet.good(&["rotate-ca", "next", "--emergency", "--dry-run", "--output", "json"]);
    forms::conforms("rotation", &dry.out);
    assert_eq!(fleet.phase(), Some(Phase::Prepare));
    let components: Vec<String> = json(&dry.out)["plan"]["restarts"]
        .as_array()
        .expect("restarts")
        .iter()
        .map(|restart| restart["component"].as_str().expect("a component").to_owned())
        .collect();
    assert!(components.contains(&"kubelet".to_owned()), "{components:?}");
    assert_eq!(fleet.run(&["rotate-ca", "next", "--emergency"]).status, 3, "it is not confirmed");
    // Neither a backup nor a proof is waited for.
    fleet.good(&["rotate-ca", "next", "--emergency", "--yes"]);
    assert_eq!(fleet.phase(), Some(Phase::DropOld));
    assert_eq!(fleet.run(&["rotate-ca", "abort"]).status, 3);
    fleet.good(&["apply"]);
    fleet.install(|_| true);
    assert_eq!(fleet.next().status, 0);
    assert_eq!(fleet.phase(), None);
}

#[test]
fn an_emergency_that_was_killed_at_any_write_is_continued() {
    needs!("strace");
    const STEP: usize = 5;
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    let saved = tempfile::tempdir().expect("a folder");
    let folders = ["pki", "policy"].map(|name| (lab.path(name), saved.path().join(name)));
    for (from, to) in folders.iter().filter(|(from, _)| from.exists()) {
        good_tool("cp", &["-a", &from.display().to_string(), &to.display().to_string()]);
    }
    let args = ["rotate-ca", "start", "--emergency", "--yes"];
    let mut kills = 0;
    for nth in (1..).step_by(STEP) {
        for (place, copy) in &folders {
            let _ = std::fs::remove_dir_all(place);
            if copy.exists() {
                good_tool("cp", &["-a", &copy.display().to_string(), &place.display().to_string()]);
            }
        }
        lab.now = OffsetDateTime::now_utc();
        let was_killed = killed(&lab, &args, nth);
        kills += usize::from(was_killed);
        if was_killed {
            lab.good(&args);
        }
        let trust = ca::trust(&Layout::new(lab.dir().to_owned()), CaRole::Cluster).expect("the CAs");
        let rotation = trust.rotation().expect("a rotation");
        assert_eq!(rotation.phase, Phase::DropOld, "{nth}");
        let again = json(&lab.good(&["rotate-ca", "next", "--emergency", "--yes", "--output", "json"]).out);
        assert_eq!(again["revoked"], 0, "all are revoked: {nth}");
        assert_eq!(lab.run(&["crl", "show"]).status, 0, "{nth}");
        lab.good(&["ledger", "check"]);
        if !was_killed {
            break;
        }
    }
    assert!(kills > 5, "{kills}");
    lab.good(&["apply"]);
    lab.good(&["verify", "--offline"]);
}
