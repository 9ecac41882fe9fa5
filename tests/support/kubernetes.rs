//! Kubernetes's documents as others read them: PyYAML, and the types of k8s-openapi.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The documents of a YAML file as PyYAML, a YAML 1.1 reader, sees them.
pub(crate) fn documents(yaml: &str) -> Vec<serde_json::Value> {
    let script = "import json, sys, yaml\n\
                  loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)\n\
                  json.dump(list(yaml.load_all(sys.stdin, Loader=loader)), sys.stdout)";
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 with PyYAML");
    let mut pipe = python.stdin.take().expect("a pipe");
    let text = yaml.to_owned();
    let writer = std::thread::spawn(move || pipe.write_all(text.as_bytes()));
    let output = python.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("written");
    assert!(output.status.success(), "not YAML");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Reads a document into its type and writes it again: a field that the type does not know would be lost on the way.
#[track_caller]
pub(crate) fn strict<T: DeserializeOwned + Serialize>(document: &serde_json::Value) -> T {
    let typed: T = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error}: {document}"));
    assert_eq!(&serde_json::to_value(&typed).expect("JSON"), document, "a field that Kubernetes does not have");
    typed
}
