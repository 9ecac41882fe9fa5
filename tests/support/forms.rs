//! Validates the machine-readable reports with third-party programs. Every report that a test makes is checked here.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{outside, pages};

/// Validates `out` by its schema, if `args` request a format that has one.
pub(crate) fn check(args: &[&str], status: u8, out: &str) {
    match args.windows(2).find(|pair| pair[0] == "--output").map(|pair| pair[1]) {
        Some("json") => {
            json(out);
            helpful(out);
        }
        Some("junit") => {
            outside::needs!("xmllint", "python3");
            // The file and the exit status agree.
            let counts = junit(out);
            assert_eq!(status == 0, counts.failures + counts.errors == 0, "status {status}: {out}");
        }
        Some("html") => {
            outside::needs!("python3");
            pages::page(out);
        }
        // promtool reads it in a test of its own.
        Some("prometheus") => {}
        _ => text(out),
    }
}

/// Asserts that every finding has an observation and an expectation, and every problem a remedy.
fn helpful(out: &str) {
    let report: serde_json::Value = serde_json::from_str(out).expect("JSON");
    for result in report["results"].as_array().expect("results") {
        let empty = |key: &str| result[key].as_str().is_none_or(str::is_empty);
        assert!(!empty("observed") && !empty("expected"), "{result:#}");
        let wrong = result["status"] == "fail" || result["status"] == "warn";
        assert!(!wrong || !empty("hint"), "{result:#}");
    }
}

/// Asserts that lines fit 80 columns; only names and paths may be longer.
fn text(out: &str) {
    for line in out.lines().filter(|line| line.chars().count() > 80) {
        let behind_the_label: String = line.chars().skip(12).collect();
        assert!(!behind_the_label.trim().contains(' '), "{line:?} is too long in {out}");
    }
}

/// Validates a report by the committed schema, with Python's jsonschema.
pub(crate) fn json(out: &str) {
    conforms("verify-report", out);
}

/// Validates JSON by a committed schema, with Python's jsonschema.
pub(crate) fn conforms(schema: &str, out: &str) {
    outside::needs!("python3-jsonschema");
    let program = "import json, sys, jsonschema\n\
                   schema = json.load(open(sys.argv[1]))\n\
                   jsonschema.Draft202012Validator.check_schema(schema)\n\
                   jsonschema.Draft202012Validator(schema).validate(json.load(sys.stdin))\n";
    let schema = format!("{}/schemas/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
    accepted("/usr/bin/python3", &["-c", program, &schema], out);
}

/// The counts of a JUnit report's cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cases {
    pub(crate) tests: usize,
    pub(crate) failures: usize,
    pub(crate) errors: usize,
    pub(crate) skipped: usize,
}

/// Validates a JUnit report by the XSD with libxml2, and with Python that the counts of each suite and of the whole are
/// right, and that names of cases are unique in a suite.
pub(crate) fn junit(out: &str) -> Cases {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/junit.xsd");
    accepted("xmllint", &["--noout", "--nonet", "--schema", schema, "-"], out);
    let program = "import sys, xml.etree.ElementTree as tree\n\
                   root = tree.parse(sys.stdin).getroot()\n\
                   kinds = [('tests', 'testcase'), ('failures', 'failure'), ('errors', 'error'), ('skipped', 'skipped')]\n\
                   count = lambda of, name: len(of.findall('.//' + name))\n\
                   for suite in root:\n    \
                       cases = [(case.get('classname'), case.get('name')) for case in suite]\n    \
                       assert len(cases) == len(set(cases)), suite.get('name')\n    \
                       assert all(int(suite.get(kind)) == count(suite, name) for kind, name in kinds), suite.get('name')\n\
                   assert all(int(root.get(kind)) == count(root, name) for kind, name in kinds[:3])\n\
                   print(*(count(root, name) for _, name in kinds))\n";
    let said = answer("python3", &["-c", program], out).unwrap_or_else(|said| panic!("{said}{out}"));
    let counts: Vec<usize> = said.split_whitespace().map(|count| count.parse().expect("a number")).collect();
    let [tests, failures, errors, skipped] = counts[..] else { panic!("{said}") };
    Cases { tests, failures, errors, skipped }
}

fn accepted(program: &str, args: &[&str], input: &str) {
    let said = verdict(program, args, input);
    assert_eq!(said, Ok(()), "{input}");
}

/// Runs a program that accepts `input` or rejects it with a reason.
pub(crate) fn verdict(program: &str, args: &[&str], input: &str) -> Result<(), String> {
    answer(program, args, input).map(drop)
}

/// Runs a program on `input`. Returns its standard output, or all of its output if it fails.
fn answer(program: &str, args: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed by this test: {error}"));
    // A program may stop reading early; its output is the answer.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(said + &String::from_utf8_lossy(&output.stderr)) }
}
