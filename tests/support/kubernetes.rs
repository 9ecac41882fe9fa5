//! Kubernetes's documents as third parties read them: PyYAML, and the types of k8s-openapi.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Returns the documents of a YAML file as PyYAML, a YAML 1.1 reader, reads them.
pub(crate) fn documents(yaml: &str) -> Vec<serde_json::Value> {
    let script = "import json, sys, yaml\n\
                  loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)\n\
                  json.dump(list(yaml.load_all(sys.stdin, Loader=loader)), sys.stdout)";
    super::python(script, yaml.as_bytes()).as_array().expect("a list").clone()
}

/// Reads a document into its type and writes it again: a field that the type does not have would be lost.
#[track_caller]
pub(crate) fn strict<T: DeserializeOwned + Serialize>(document: &serde_json::Value) -> T {
    let typed: T = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error}: {document}"));
    assert_eq!(&serde_json::to_value(&typed).expect("JSON"), document, "a field that Kubernetes does not have");
    typed
}
