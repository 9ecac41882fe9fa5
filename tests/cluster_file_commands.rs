//! `validate` and `explain`: the cluster file alone.

use serde_json::Value;

use crate::support::{CLUSTER, Lab};

fn json(lab: &Lab, args: &[&str], status: u8) -> Value {
    let args = [&["validate", "--output", "json"], args].concat();
    let ran = lab.run(&args);
    assert_eq!(ran.status, status, "{ran}");
    crate::support::forms::conforms("validate", &ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

#[test]
fn a_valid_cluster_file_needs_no_ca() {
    let lab = Lab::with(CLUSTER);
    let ran = lab.good(&["validate"]);
    assert_eq!(ran.out, "");
    let report = json(&lab, &[], 0);
    assert_eq!((&report["valid"], &report["cluster"]["nodes"]), (&Value::Bool(true), &3.into()));
}

#[test]
fn all_errors_have_their_path_and_line() {
    let lab = Lab::empty();
    let broken = CLUSTER.replace("10.20.0.12", "10.20.0.11").replace("name: on,", "name: O N, adress: x,");
    lab.write("other.yaml", &broken);
    let report = json(&lab, &["other.yaml"], 2);
    let errors: Vec<(&str, u64)> = report["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| (error["path"].as_str().expect("a path"), error["line"].as_u64().expect("a line")))
        .collect();
    assert_eq!(errors, [("masters[1].addresses[0]", 8), ("nodes[1].name", 12), ("nodes[1].adress", 12)]);
    let ran = lab.run(&["validate", "other.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
}

#[test]
fn a_file_that_is_not_yaml_or_missing_is_a_usage_error() {
    let lab = Lab::empty();
    lab.write("other.yaml", "a: [");
    let report = json(&lab, &["other.yaml"], 2);
    assert_eq!(report["valid"], Value::Bool(false));
    for args in [&["validate"][..], &["validate", "none.yaml"], &["validate", "none.yaml", "--output", "json"]] {
        let ran = lab.run(args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran}");
    }
}

#[test]
fn a_key_is_explained_with_the_keys_below_it() {
    let lab = Lab::empty();
    insta::assert_snapshot!("explain_a_key", lab.good(&["explain", "validity"]).out);
    insta::assert_snapshot!("explain_the_file", lab.good(&["explain"]).out);
    assert_eq!(lab.good(&["explain", "nodes[3].addresses[0]"]).out, lab.good(&["explain", "nodes.addresses"]).out);
    let ran = lab.run(&["explain", "endpont"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("endpoint"), "{ran}");
}

#[test]
fn the_schema_that_is_printed_is_the_published_one() {
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/cluster.schema.json");
    let printed = Lab::empty().good(&["explain", "--schema"]).out;
    assert_eq!(printed, std::fs::read_to_string(published).expect("the schema"));
}
