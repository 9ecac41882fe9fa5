//! The JSON Schema of the cluster file, generated from the table of keys, and a comparison with the reader.

use std::path::Path;

use clusterctl::cluster::config_error::Reason;
use clusterctl::cluster::kubelet_fields::{FIELDS, Field, Kind};
use clusterctl::config::keys::{Absent, FILE, Key, MASTER, NODE, Value};
use clusterctl::config::read;
use serde_json::{Map, Value as Json, json};

use super::documents;
use crate::support::drafts::GOOD;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, python};

/// Returns the schema.
pub(crate) fn text() -> String {
    let mut schema = mapping(&FILE, false);
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:clusterctl:cluster-file:1",
        "title": "clusterctl cluster file",
        "description": "cluster.yaml, apiVersion clusterctl/v1. The program also checks rules between keys.",
        "$defs": {"kubelet": fields(FIELDS)},
    });
    if let (Json::Object(schema), Json::Object(head)) = (&mut schema, head) {
        schema.extend(head);
    }
    format!("{schema:#}\n")
}

fn mapping(keys: &[Key], or_null: bool) -> Json {
    let properties: Map<String, Json> = keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.absent == Absent::Refused).map(|key| key.name).collect();
    let kind = if or_null { json!(["object", "null"]) } else { json!("object") };
    let mut schema = json!({"type": kind, "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(key: &Key) -> Json {
    let mut schema = value(key.value, key.absent != Absent::Refused);
    schema["description"] = json!(key.description);
    match (key.absent, key.value) {
        (Absent::Default(text), Value::Text(_) | Value::Choice(_)) => schema["default"] = json!(text),
        (Absent::Default(text), Value::Switch | Value::Port) => {
            schema["default"] = serde_json::from_str(text).expect("JSON");
        }
        _ => {}
    }
    if matches!(key.value, Value::Text(_)) {
        schema["examples"] = json!([key.example]);
    }
    schema
}

fn value(kind: Value, or_null: bool) -> Json {
    match kind {
        Value::Constant(text) => json!({"const": text}),
        Value::Text(format) => json!({"type": "string", "pattern": format.pattern}),
        Value::Choice(all) => json!({"enum": all()}),
        Value::Switch => json!({"enum": [true, false, "true", "false"]}),
        Value::Port => {
            json!({"type": ["integer", "string"], "minimum": 1, "maximum": 65535, "pattern": "^[1-9][0-9]{0,4}$"})
        }
        Value::List { item, min } => {
            let kind = if or_null { json!(["array", "null"]) } else { json!("array") };
            json!({"type": kind, "items": value(*item, false), "minItems": min})
        }
        Value::Digit => json!({"type": ["integer", "string"], "minimum": 1, "maximum": 9, "pattern": "^[1-9]$"}),
        Value::WordOr { words, other } => json!({"anyOf": [{"enum": words}, value(*other, or_null)]}),
        Value::OneOrList(item) => {
            let item = value(*item, false);
            json!({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})
        }
        Value::Mapping(keys) => mapping(keys, or_null),
        Value::Kubelet => json!({"$ref": "#/$defs/kubelet"}),
    }
}

fn fields(fields: &[Field]) -> Json {
    let properties: Map<String, Json> = fields.iter().map(|(name, kind)| ((*name).to_owned(), field(*kind))).collect();
    json!({"type": ["object", "null"], "additionalProperties": false, "properties": properties})
}

/// The schema of a kubelet's field; null removes it.
fn field(kind: Kind) -> Json {
    match kind {
        Kind::Bool => json!({"enum": [true, false, "true", "false", null]}),
        Kind::Int32 | Kind::Int64 => json!({"type": ["integer", "string", "null"], "pattern": "^[-+]?[0-9]+$"}),
        Kind::Float => json!({"type": ["number", "string", "null"]}),
        Kind::Duration => json!({"type": ["string", "integer", "null"]}),
        Kind::Text => json!({"type": ["string", "number", "boolean", "null"]}),
        Kind::List(kind) => json!({"type": ["array", "null"], "items": field(*kind)}),
        Kind::Map(kind) => json!({"type": ["object", "null"], "additionalProperties": field(*kind)}),
        Kind::Struct(nested) => fields(nested),
    }
}

// ── agreement with the reader ──

/// Reads each YAML text as the reader does, with every scalar as text and absent values as null, and validates it
/// against the schema. Prints one boolean per text.
const VALIDATE: &str = r#"
import json, sys, yaml, jsonschema
def plain(node, kubelet=False):
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value, kubelet or key.value == "kubelet") for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item, kubelet) for item in node.value]
    nothing = ("", "null", "~") if kubelet else ("",)
    return None if node.style is None and node.value in nothing else node.value
schema, texts = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
json.dump([validator.is_valid(plain(yaml.compose(text, Loader=yaml.BaseLoader))) for text in texts], sys.stdout)
"#;

fn validated(texts: &[String]) -> Vec<bool> {
    let schema: Json = serde_json::from_str(&text()).expect("JSON");
    let input = serde_json::to_vec(&json!([schema, texts])).expect("JSON");
    let answers = python(VALIDATE, &input);
    let answers: Vec<bool> =
        answers.as_array().expect("a list").iter().map(|answer| answer.as_bool().expect("a boolean")).collect();
    assert_eq!(answers.len(), texts.len());
    answers
}

/// A file with every key of the table, each with its example.
fn all_examples() -> String {
    let host = |keys: &[Key]| {
        let lines: Vec<String> = keys.iter().map(|key| format!("{}: {}", key.name, key.example)).collect();
        format!("- {}\n", lines.join("\n  "))
    };
    let top = FILE.iter().filter(|key| !["masters", "nodes"].contains(&key.name));
    let top: String = top.map(|key| format!("{}: {}\n", key.name, key.example)).collect();
    format!("{top}masters:\n{}nodes:\n{}", host(&MASTER), host(&NODE))
}

/// Returns the YAML blocks of the documents whose top-level keys are all keys of the cluster file. Missing required
/// keys are added.
fn fragments() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, text) in documents() {
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("\n```")).map(|(block, _)| block)
        {
            let keys: Vec<&str> = block
                .lines()
                .filter(|line| !line.starts_with([' ', '#', '-']) && !line.is_empty())
                .filter_map(|line| line.split_once(':').map(|(key, _)| key))
                .collect();
            if keys.is_empty() || !keys.iter().all(|key| FILE.iter().any(|known| known.name == *key)) {
                continue;
            }
            let missing = FILE.iter().filter(|key| key.absent == Absent::Refused && !keys.contains(&key.name));
            let missing: String = missing.map(|key| format!("{}: {}\n", key.name, key.example)).collect();
            found.push((path.clone(), format!("{missing}{block}\n")));
        }
    }
    found
}

#[test]
fn schema_accepts_what_the_reader_accepts() {
    needs!("python3-yaml");
    let lab = Lab::empty();
    lab.good(&["init", "--name", "prod", "--master", "m1=10.0.0.1", "--node", "on=10.0.1.1"]);
    let mut texts = vec![
        ("CLUSTER".to_owned(), CLUSTER.to_owned()),
        ("GOOD".to_owned(), GOOD.to_owned()),
        ("all examples".to_owned(), all_examples()),
        ("init".to_owned(), lab.read("cluster.yaml")),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["examples/ha-dual-stack.yaml", "examples/homelab.yaml", "examples/single-machine.yaml"] {
        texts.push((file.to_owned(), std::fs::read_to_string(root.join(file)).expect(file)));
    }
    texts.push((
        "fuzz".to_owned(),
        std::fs::read_to_string(root.join("fuzz/corpus/cluster_files/small.yaml")).expect("a file"),
    ));
    let fragments = fragments();
    assert!(fragments.len() >= 4, "only {} blocks of the documents are cluster files", fragments.len());
    texts.extend(fragments);
    let answers = validated(&texts.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>());
    for ((name, text), valid) in texts.iter().zip(answers) {
        let errors = read(text.as_bytes()).err().map(|error| error.to_string());
        assert_eq!(errors, None, "{name}: the reader refuses\n{text}");
        assert!(valid, "{name}: the schema refuses\n{text}");
    }
}

#[test]
fn schema_refuses_keys_unknown_to_the_reader() {
    needs!("python3-yaml");
    let good = all_examples();
    let places = [
        ("kind: Cluster\n", "kind: Cluster\nunknown: x\n"),
        ("validity: {", "validity: {unknown: x, "),
        ("kubernetes: {", "kubernetes: {unknown: x, "),
        ("\nenrolment: {", "\nenrolment: {unknown: x, "),
        ("policy: queue}", "policy: [{name: a, unknown: x, then: queue}]}"),
        ("\nkubelet: {", "\nkubelet: {unknown: x, "),
        ("\nkubelet: {", "\nkubelet: {authentication: {unknown: x}, "),
        ("\n  kubelet: {", "\n  kubelet: {unknown: x, "),
        ("- name: master-1\n", "- name: master-1\n  unknown: x\n"),
        ("- name: worker-1\n", "- name: worker-1\n  unknown: x\n"),
        ("apiServerPort", "kubeletPort"),
    ];
    let texts: Vec<String> = places.iter().map(|(place, changed)| good.replacen(place, changed, 1)).collect();
    for ((text, valid), (_, changed)) in texts.iter().zip(validated(&texts)).zip(places) {
        assert_ne!(*text, good, "{changed}");
        let error = read(text.as_bytes()).expect_err(changed);
        let unknown = |reason: &Reason| matches!(reason, Reason::UnknownKey { .. } | Reason::UnknownField { .. });
        assert!(error.errors().iter().all(|error| unknown(&error.reason)), "{changed}: {error}");
        assert!(!valid, "the schema accepts\n{text}");
    }
}

#[test]
fn schema_refuses_values_refused_by_the_reader() {
    needs!("python3-yaml");
    let good = all_examples();
    let wrong = [
        ("name: prod", "name: Prod"),
        ("accounts: kubelet", "accounts: nodes"),
        ("keys: ecdsa-p256", "keys: rsa"),
        ("https://api", "http://api"),
        ("ca: 10y", "ca: 10w"),
        ("version: v1.36.2", "version: v1.27.0"),
        ("apiServerPort: 6443", "apiServerPort: 0"),
        ("withUnits: true", "withUnits: yes"),
        ("[10.20.0.11, master-1.example.net]", "[]"),
        ("apiVersion: clusterctl/v1", "apiVersion: clusterctl/v2"),
        ("name: prod\n", ""),
        ("kind: Cluster\n", ""),
    ];
    let texts: Vec<String> = wrong.iter().map(|(right, wrong)| good.replacen(right, wrong, 1)).collect();
    for ((text, valid), (_, wrong)) in texts.iter().zip(validated(&texts)).zip(wrong) {
        assert_ne!(*text, good, "{wrong}");
        assert!(read(text.as_bytes()).is_err() && !valid, "{wrong}: accepted\n{text}");
    }
}
