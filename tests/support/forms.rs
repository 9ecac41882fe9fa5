//! Whether a report is of the form that programs were promised, decided by programs that nobody here wrote: every report
//! that any test makes comes through here.

use std::io::Write;
use std::process::{Command, Stdio};

/// Holds `out` to its schema where `args` asked for a form that has one.
pub(crate) fn check(args: &[&str], out: &str) {
    match args.windows(2).find(|pair| pair[0] == "--output").map(|pair| pair[1]) {
        Some("json") => {
            json(out);
            helpful(out);
        }
        Some("junit") => junit(out),
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

/// Python's jsonschema, by the committed schema.
pub(crate) fn json(out: &str) {
    let program = "import json, sys, jsonschema\n\
                   schema = json.load(open(sys.argv[1]))\n\
                   jsonschema.Draft202012Validator.check_schema(schema)\n\
                   jsonschema.Draft202012Validator(schema).validate(json.load(sys.stdin))\n";
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/verify-report.schema.json");
    accepted("/usr/bin/python3", &["-c", program, schema], out);
}

/// libxml2, by the XSD.
pub(crate) fn junit(out: &str) {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/junit.xsd");
    accepted("xmllint", &["--noout", "--nonet", "--schema", schema, "-"], out);
}

fn accepted(program: &str, args: &[&str], input: &str) {
    let said = verdict(program, args, input);
    assert_eq!(said, Ok(()), "{input}");
}

/// What a program says of its standard input.
pub(crate) fn verdict(program: &str, args: &[&str], input: &str) -> Result<(), String> {
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
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said) }
}
