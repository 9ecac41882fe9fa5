//! The report in every format, read by other programs: JSON's schema, Python's CSV reader, and a strict reader of
//! Prometheus's text format.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use time::Duration;

use super::answer;
use crate::support::outside::needs;
use crate::support::{Lab, NOW, python};

/// A directory in which something is due, with a CRL and administrators.
fn lab() -> Lab {
    let mut lab = Lab::issued();
    lab.good(&["revoke", "--yes", "worker-b1"]);
    lab.good(&["issue-admin", "alice", "--validity", "30d"]);
    lab.now = NOW + Duration::days(25);
    lab
}

#[test]
fn a_row_has_the_fields_of_the_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../schemas/status.schema.json")).expect("JSON");
    let keys = |value: &Value| -> BTreeSet<String> { value.as_object().expect("a mapping").keys().cloned().collect() };
    let required = |value: &Value| -> BTreeSet<String> {
        let required = value["required"].as_array().expect("a list").iter();
        required.map(|key| key.as_str().expect("a text").to_owned()).collect()
    };
    let (_, answer) = answer(&lab(), &[]);
    assert_eq!(keys(&answer), keys(&schema["properties"]));
    assert_eq!(required(&schema), keys(&schema["properties"]));
    let row = &schema["$defs"]["row"];
    assert_eq!(required(row), keys(&row["properties"]));
    for one in answer["rows"].as_array().expect("rows") {
        assert_eq!(keys(one), keys(&row["properties"]));
    }
    let summed: u64 = answer["summary"].as_object().expect("a mapping").values().filter_map(Value::as_u64).sum();
    assert_eq!(Some(summed), answer["summary"]["total"].as_u64().map(|total| 2 * total));
}

#[test]
fn csv_has_the_data_of_json() {
    needs!("python3");
    let lab = lab();
    let (_, answer) = answer(&lab, &[]);
    let csv = lab.run(&["status", "--output", "csv"]);
    let script = "import csv, io, json, sys\n\
                  text = io.TextIOWrapper(sys.stdin.buffer, newline='').read()\n\
                  json.dump(list(csv.DictReader(io.StringIO(text, newline=''), strict=True)), sys.stdout)";
    let read = python(script, csv.out.as_bytes());
    let as_text = |value: &Value| match value {
        Value::Null => json!(""),
        Value::String(text) => json!(text),
        other => json!(other.to_string()),
    };
    let expected: Vec<Value> = answer["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row.as_object().expect("a row").iter().map(|(key, value)| (key.clone(), as_text(value))).collect())
        .collect();
    assert_eq!(read, json!(expected));
    assert!(
        csv.out.lines().all(|line| line.ends_with('\r'))
            || csv.out.split('\n').all(|l| l.is_empty() || l.ends_with('\r'))
    );
}

/// A metric: its type, and each series by its labels.
struct Metric {
    kind: String,
    series: BTreeMap<String, f64>,
}

/// Reads Prometheus's text format as strictly as its documentation requires: a header before each metric, its series
/// together, every name, label and number well-formed, and no duplicate series.
fn metrics(text: &str) -> BTreeMap<String, Metric> {
    assert!(text.ends_with('\n'), "the last line has an end");
    let is_name = |name: &str| {
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut found: BTreeMap<String, Metric> = BTreeMap::new();
    let (mut current, mut helped) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a name and a text");
            assert!(is_name(name) && !help.is_empty() && !help.contains('\\'), "{line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(["gauge", "histogram"].contains(&kind) && name == helped, "{line}");
            let metric = Metric { kind: kind.to_owned(), series: BTreeMap::new() };
            assert!(found.insert(name.to_owned(), metric).is_none(), "{name} is not in one piece");
            current = name.to_owned();
        } else {
            let (name, rest) = line.split_once('{').unwrap_or_else(|| panic!("{line}"));
            let (labels, value) = rest.rsplit_once("} ").unwrap_or_else(|| panic!("{line}"));
            let metric = found.get_mut(&current).expect("a head");
            let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} is not of {current}"));
            let suffixes: &[&str] = if metric.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(is_name(name) && suffixes.contains(&suffix), "{line}");
            check_labels(labels, &is_name);
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(metric.series.insert(format!("{suffix}{labels}"), value).is_none(), "{line} is duplicated");
        }
    }
    found
}

fn check_labels(labels: &str, is_name: &dyn Fn(&str) -> bool) {
    let (mut rest, mut seen) = (labels, BTreeSet::new());
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{labels}"));
        assert!(is_name(name) && seen.insert(name), "{labels}");
        let (mut end, mut escaped) = (None, false);
        for (at, c) in after.char_indices() {
            match (escaped, c) {
                (true, '\\' | '"' | 'n') => escaped = false,
                (true, _) => panic!("{labels}: an unknown escape"),
                (false, '\\') => escaped = true,
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (false, _) => {}
            }
        }
        rest = &after[end.unwrap_or_else(|| panic!("{labels}: no end")) + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => assert!(rest.is_empty(), "{labels}"),
        }
    }
}

#[test]
fn metrics_are_valid_for_prometheus_and_have_the_data_of_json() {
    let lab = lab();
    let (_, answer) = answer(&lab, &[]);
    let ran = lab.run(&["status", "--output", "prometheus"]);
    assert_eq!(ran.status, 1, "{ran}");
    let metrics = metrics(&ran.out);
    let rows = answer["rows"].as_array().expect("rows");
    let unix = |row: &Value| {
        let text = row["expires"].as_str().expect("a time");
        let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
        time.expect("RFC 3339").unix_timestamp() as f64
    };
    let of = |kinds: &[&str]| {
        rows.iter().filter(move |row| kinds.contains(&row["kind"].as_str().expect("a kind"))).collect::<Vec<_>>()
    };
    for (name, kinds) in [
        ("clusterctl_ca_expiry_seconds", &["root", "intermediate"][..]),
        ("clusterctl_crl_next_update_seconds", &["crl"]),
        ("clusterctl_certificate_expiry_seconds", &["certificate", "kubeconfig"]),
    ] {
        let (metric, rows) = (&metrics[name], of(kinds));
        assert_eq!((metric.kind.as_str(), metric.series.len()), ("gauge", rows.len()), "{name}");
        for row in rows {
            let has = |labels: &str, key: &str| {
                let name = if key == "sha256" { return true } else { key };
                row[key].as_str().is_none_or(|value| labels.contains(&format!("{name}=\"{value}\"")))
            };
            let found = metric
                .series
                .iter()
                .find(|(labels, _)| ["host", "credential", "serial"].iter().all(|key| has(labels, key)));
            assert_eq!(found.map(|(_, value)| *value), Some(unix(row)), "{row}");
        }
    }
    for (labels, value) in &metrics["clusterctl_status_rows"].series {
        let state = labels.split("state=\"").nth(1).expect("a state").trim_end_matches('"');
        assert_eq!(answer["summary"][state].as_f64(), Some(*value), "{labels}");
    }
    assert_eq!(
        metrics["clusterctl_status_time_seconds"].series.values().copied().collect::<Vec<_>>(),
        [lab.now.unix_timestamp() as f64]
    );
}
