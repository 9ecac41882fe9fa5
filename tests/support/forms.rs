//! Whether a report is of the form that programs were promised, decided by programs that nobody here wrote: every report
//! that any test makes comes through here.

use std::io::Write;
use std::process::{Command, Stdio};

use super::outside;

/// Holds `out` to its schema where `args` asked for a form that has one.
pub(crate) fn check(args: &[&str], status: u8, out: &str) {
    match args.windows(2).find(|pair| pair[0] == "--output").map(|pair| pair[1]) {
        Some("json") => {
            json(out);
            helpful(out);
        }
        Some("junit") => {
            outside::needs!("xmllint", "python3");
            // What CI reads in the file and what it is told by the exit status is the same.
            let counts = junit(out);
            assert_eq!(status == 0, counts.failures + counts.errors == 0, "status {status}: {out}");
        }
        _ => text(out),
    }
}

/// Whatever is found says what was seen and what should have been, and what is wrong says what mends it.
fn helpful(out: &str) {
    let report: serde_json::Value = serde_json::from_str(out).expect("JSON");
    for result in report["results"].as_array().expect("results") {
        let empty = |key: &str| result[key].as_str().is_none_or(str::is_empty);
        assert!(!empty("observed") && !empty("expected"), "{result:#}");
        let wrong = result["status"] == "fail" || result["status"] == "warn";
        assert!(!wrong || !empty("hint"), "{result:#}");
    }
}

/// Fit for a terminal of 80 columns: only what must not be broken, a name or a path, is longer.
fn text(out: &str) {
    for line in out.lines().filter(|line| line.chars().count() > 80) {
        let behind_the_label: String = line.chars().skip(12).collect();
        assert!(!behind_the_label.trim().contains(' '), "{line:?} is too long in {out}");
    }
}

/// Python's jsonschema, by the committed schema of reports.
pub(crate) fn json(out: &str) {
    conforms("verify-report", out);
}

/// Python's jsonschema, by a committed schema.
pub(crate) fn conforms(schema: &str, out: &str) {
    outside::needs!("python3-jsonschema");
    let program = "import json, sys, jsonschema\n\
                   schema = json.load(open(sys.argv[1]))\n\
                   jsonschema.Draft202012Validator.check_schema(schema)\n\
                   jsonschema.Draft202012Validator(schema).validate(json.load(sys.stdin))\n";
    let schema = format!("{}/schemas/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
    accepted("/usr/bin/python3", &["-c", program, &schema], out);
}

/// What the cases of a JUnit report come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cases {
    pub(crate) tests: usize,
    pub(crate) failures: usize,
    pub(crate) errors: usize,
    pub(crate) skipped: usize,
}

/// libxml2, by the XSD; and Python's reader counts: each suite, and the whole, say of themselves what is in them, and no two
/// cases of a suite have one name.
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

/// What a program says of its standard input.
pub(crate) fn verdict(program: &str, args: &[&str], input: &str) -> Result<(), String> {
    answer(program, args, input).map(drop)
}

/// What a program writes about its standard input; all that it says where it does not accept it.
fn answer(program: &str, args: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed by this test: {error}"));
    // A program that has seen enough stops reading; what it says then is its answer.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(said + &String::from_utf8_lossy(&output.stderr)) }
}
