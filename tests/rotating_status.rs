//! `rotate-ca status`: the present phase with what has to be done for it, and an abort that is under way.

use clusterctl::cluster::profile::CaRole;
use serde_json::Value;
use time::OffsetDateTime;

use crate::support::phases::Rotated;
use crate::support::{Lab, forms};

const CLUSTER: Rotated = Rotated::Ca(CaRole::Cluster);

fn started(rotated: Rotated) -> Lab {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&rotated.args("start", &[]));
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    lab
}

fn go_on(lab: &mut Lab, rotated: Rotated) {
    lab.now = OffsetDateTime::now_utc();
    lab.write("proof.json", &rotated.proof(lab));
    lab.good(&rotated.next());
}

fn shown(lab: &Lab) -> Value {
    let out = lab.good(&["rotate-ca", "status", "--output", "json"]).out;
    forms::conforms("rotation", &out);
    let mut document: Value = serde_json::from_str(&out).expect("JSON");
    document["rotations"][0].take()
}

#[test]
fn the_present_phase_is_planned_as_it_was_announced() {
    for rotated in Rotated::ALL {
        let mut lab = started(rotated);
        let mut announced = Value::Null;
        for phase in rotated.phases() {
            let state = shown(&lab);
            assert_eq!((&state["phase"], &state["present"]["phase"]), (&phase.into(), &phase.into()), "{rotated:?}");
            if !announced.is_null() {
                assert_eq!(state["present"], announced, "{rotated:?}, {phase}");
                go_on_unless_last(&mut lab, rotated, phase);
            } else {
                go_on(&mut lab, rotated);
            }
            announced = state["next"][0].clone();
        }
    }
}

/// Begins the next phase, unless this one is the last.
fn go_on_unless_last(lab: &mut Lab, rotated: Rotated, phase: &str) {
    lab.good(&["apply"]);
    if rotated.phases().last() != Some(&phase) {
        go_on(lab, rotated);
    }
}

#[test]
fn the_restarts_of_an_emergency_are_planned() {
    let lab = started(CLUSTER);
    lab.good(&CLUSTER.args("next", &["--emergency", "--yes"]));
    let state = shown(&lab);
    let restarts = state["present"]["restarts"].as_array().expect("restarts");
    assert!(restarts.iter().all(|one| one["oneByOne"] == false) && !restarts.is_empty(), "{state:#}");
    assert!(restarts.iter().any(|one| one["component"] == "kubelet"), "{state:#}");
}

#[test]
fn an_abort_is_not_left_by_mistake() {
    let mut lab = started(CLUSTER);
    while CLUSTER.phase(&lab) != Some("servers") {
        go_on(&mut lab, CLUSTER);
        lab.good(&["apply"]);
    }
    assert_eq!(shown(&lab)["aborting"], false);
    lab.good(&CLUSTER.args("abort", &[]));
    let state = shown(&lab);
    assert_eq!((&state["phase"], &state["aborting"]), (&"trust-both".into(), &true.into()));
    // It is about certificates, and not about trust files, which do not change.
    let inputs = state["present"]["changes"].as_array().expect("changes").iter().map(|one| one["input"].clone());
    let inputs: Vec<Value> = inputs.collect();
    assert!(inputs.contains(&"serving-certificate".into()) && !inputs.contains(&"client-ca".into()), "{inputs:?}");
    let status = lab.run(&["status", "--output", "json"]).out;
    forms::conforms("status", &status);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["rotations"][0]["aborting"], true);
    lab.good(&["apply"]);
    lab.now = OffsetDateTime::now_utc();
    lab.write("proof.json", &CLUSTER.proof(&lab));
    for more in [&[][..], &["--dry-run"]] {
        let ran = lab.run(&[&CLUSTER.next()[..], more].concat());
        assert_eq!((ran.status, CLUSTER.phase(&lab)), (3, Some("trust-both")), "{ran}");
    }
    lab.good(&[&CLUSTER.next()[..], &["--resume"]].concat());
    assert_eq!((CLUSTER.phase(&lab), &shown(&lab)["aborting"]), (Some("canary"), &false.into()));
    // Twice back.
    lab.good(&CLUSTER.args("abort", &[]));
    lab.good(&["apply"]);
    lab.now = OffsetDateTime::now_utc();
    lab.write("proof.json", &CLUSTER.proof(&lab));
    lab.good(&CLUSTER.args("abort", &["--report", "proof.json"]));
    assert_eq!(CLUSTER.phase(&lab), None);
    // The next rotation is not one that goes back.
    lab.good(&CLUSTER.args("start", &[]));
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["backup", "2.age", "--passphrase-file", "passphrase"]);
    go_on(&mut lab, CLUSTER);
    assert_eq!((CLUSTER.phase(&lab), &shown(&lab)["aborting"]), (Some("trust-both"), &false.into()));
}

#[test]
fn every_format_of_status_has_the_phase_of_every_rotation() {
    for rotated in Rotated::ALL {
        let mut lab = started(rotated);
        go_on(&mut lab, rotated);
        let phase = rotated.phases()[1];
        let status = |format: &str| lab.run(&["status", "--output", format]).out;
        let json = status("json");
        forms::conforms("status", &json);
        let json: Value = serde_json::from_str(&json).expect("JSON");
        let found: Vec<_> = json["rotations"].as_array().expect("a list").iter().map(|one| &one["role"]).collect();
        assert_eq!((found, &json["rotations"][0]["phase"]), (vec![&rotated.name().into()], &phase.into()));
        assert!(status("human").contains(&format!("phase 1 ({phase})")), "{rotated:?}");
        let labels = format!("role=\"{}\"}} 1\n", rotated.name());
        assert!(status("prometheus").contains(&format!("clusterctl_rotation_phase{{cluster=\"prod\",{labels}")));
        // The page numbers the phases as the plan does, and has no others.
        let page = status("html");
        let list =
            page.split_once("<ol class=\"phases\"").and_then(|(_, rest)| rest.split_once("</ol>")).expect("a list").0;
        assert_eq!(list.matches("<li").count(), rotated.phases().len() + 1, "{list}");
        let plan = shown(&lab);
        let all = plan["next"].as_array().expect("plans").iter().chain([&plan["present"]]);
        for one in all {
            let (number, name) = (one["number"].as_u64().expect("a number"), one["phase"].as_str().expect("a name"));
            let item = list.split("<li").find(|item| item.contains(&format!("value=\"{number}\"")));
            assert!(item.is_some_and(|item| item.contains(name)), "{rotated:?}, {name}: {list}");
        }
    }
}
