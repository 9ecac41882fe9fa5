//! Errors of cluster files: all reported together, with path and line, in bounded time and memory.

use super::cluster_file::{error, places};
use crate::support::drafts::{GOOD, with};
use crate::support::ends;
use clusterctl::cluster::config_error::Reason;
use clusterctl::config::{MAX_BYTES, ReadError, read};

// ── errors ──

#[test]
fn all_faults_are_reported_together_in_file_order() {
    let text = "\
apiVersion: clusterctl/v2
name: Prod
colour: blue
serviceCIDRs: 10.96.0.0/16
keys: rsa
keys: ed25519
validity:
  ca: 1d
  nodes: 1y
masters:
- name: m1
  addresses:
  - 10.0.0.1
  - [10.0.0.2]
  - 10.0.0.300
- just-a-name
nodes:
- {name: n1, addresses: [10.0.1.1], kubletPort: 10250}
- name: {first: n, last: '2'}
  addresses: [10.0.1.1]
  kubeletPort: 70000
- addresses: 10.0.1.3
";
    let error = error(text);
    let expected = [
        "kind -",
        "endpoint -",
        "apiVersion 1",
        "name 2",
        "colour 3",
        "serviceCIDRs 4",
        "keys 5",
        "keys 6",
        "validity.master 7",
        "validity.node 7",
        "validity.nodes 9",
        "masters[0].addresses[1] 14",
        "masters[0].addresses[2] 15",
        "masters[1] 16",
        "nodes[0].kubletPort 18",
        "nodes[1].name 19",
        "nodes[1].addresses[0] 20",
        "nodes[1].kubeletPort 21",
        "nodes[2].addresses 22",
        "nodes[2].name 22",
    ];
    assert_eq!(places(&error), expected);
}

#[test]
fn a_duplicate_key_is_reported_at_its_second_line() {
    let text = with("name: c\nmasters: [{name: m, addresses: [10.0.0.1]}]\nx: 1\nname: d\nx: 2\nname: e\n");
    assert_eq!(places(&error(&text)), ["x 5", "name 6", "x 7", "name 8"]);
}

#[test]
fn an_error_in_an_alias_has_the_line_of_the_anchor() {
    let text = with("name: c\nmasters:\n- &m\n  name: M\n  addresses: [10.0.0.1]\nnodes:\n- *m\n- {name: n}\n");
    assert_eq!(places(&error(&text)), ["masters[0].name 6", "nodes[0].name 6", "nodes[1].addresses 10"]);
}

#[test]
fn a_fault_names_the_allowed_values() {
    let text = with("name: c\nmasters: [{name: m, adresses: [10.0.0.1]}]\n");
    let error = error(&text);
    assert_eq!(places(&error), ["masters[0].addresses 4", "masters[0].adresses 4"]);
    let [missing, unknown] = error.errors() else { panic!("{error}") };
    assert_eq!(missing.reason, Reason::NoAddresses { host: "m".into() });
    assert_eq!(unknown.reason, Reason::UnknownKey { allowed: &["name", "addresses", "apiServerPort", "sealTo"] });
}

#[test]
fn terminal_escapes_in_a_key_are_not_printed() {
    let error = error(&with("\"\\e[2Jnodes\": []\nname: c\nmasters: [{name: m, addresses: [10.0.0.1]}]\n"));
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}

#[test]
fn a_tag_is_refused_and_reading_continues() {
    let text = with(
        "name: !env CLUSTER\nkeys: !x [a]\nmasters: !hosts [{name: m, addresses: [10.0.0.1]}]\nnodes: [!x on]\nc: 1\n",
    );
    assert_eq!(places(&error(&text)), ["name 3", "keys 4", "masters 5", "nodes[0] 6", "c 7"]);
}

#[test]
fn merge_keys_are_refused() {
    let text = with("name: c\nmasters:\n- &m {name: m, addresses: [10.0.0.1]}\nnodes:\n- {<<: *m, name: n}\n");
    let error = error(&text);
    assert_eq!(places(&error), ["nodes[0].addresses 7", "nodes[0].\"<<\" 7"]);
}

#[test]
fn an_alias_to_a_list_in_place_of_a_text_is_an_error() {
    for lines in [
        "serviceCIDRs: &c [10.96.0.0/16]\nname: *c\nkeys: x\n",
        "serviceCIDRs: &c [10.96.0.0/16]\nname: *c\n",
        "serviceCIDRs: [&c [10.96.0.0/16], *c]\n",
        "serviceCIDRs: [&c [10.96.0.0/16], *c, a]\n",
        "serviceCIDRs: &c [*c]\n",
        "name: &c {a: *c}\n",
        "validity: &c {ca: *c}\n",
        "masters: &c [*c, {name: *c, addresses: *c}]\n",
        "*c : x\n",
    ] {
        let error = error(&with(lines));
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn faults_before_a_syntax_error_are_reported_with_it() {
    let text = with("name: [c]\ncolour: blue\nmasters:\n- name: m\n  addresses: [10.0.0.1\nnodes: []\n");
    let error = error(&text);
    assert_eq!(places(&error), ["name 3", "colour 4"]);
    assert!(matches!(error, ReadError::Stopped { line: Some(8), .. }), "{error:?}");
    insta::assert_snapshot!("faults_before_a_syntax_error", error.to_string());
}

#[test]
fn a_tab_has_its_own_hint() {
    let error = error(&with("name: c\nmasters:\n\t- name: m\n"));
    assert!(matches!(error, ReadError::Stopped { line: Some(5), .. }), "{error:?}");
    assert!(error.hint().contains("tabs"));
}

#[test]
fn files_that_are_not_a_cluster_file_have_typed_errors() {
    for empty in ["", "\n", "# a comment\n", "---\n", "--- # nothing\n...\n", "\u{feff}", "~", "null"] {
        assert_eq!(error(empty), ReadError::Empty, "{empty:?}");
    }
    assert_eq!(error("- a\n- b\n"), ReadError::NotAMapping { found: "a list" });
    assert_eq!(error("just a text"), ReadError::NotAMapping { found: "a string" });
    assert_eq!(error("!tagged {a: b}"), ReadError::NotAMapping { found: "a value with a YAML tag" });
    assert_eq!(error(&format!("{GOOD}---\n{GOOD}")), ReadError::SeveralDocuments { line: Some(17) });
    assert_eq!(read(b"name: c\nkind: \xff\n"), Err(ReadError::NotUtf8 { line: 2 }));
    assert_eq!(read(b"\xff\xfen\0a\0"), Err(ReadError::NotUtf8 { line: 1 }));
    assert!(matches!(error("name: a\0b"), ReadError::Stopped { .. }));
    assert!(matches!(
        error("-----BEGIN CERTIFICATE-----\nMIIB\n"),
        ReadError::NotAMapping { .. } | ReadError::Stopped { .. }
    ));
    for all in [ReadError::Empty, ReadError::TooLarge { size: 2, limit: 1 }, error("- a"), error("name: [")] {
        assert!(!all.hint().is_empty());
    }
}

// ── malicious files ──

fn refused(what: &str, bytes: &[u8]) -> ReadError {
    let bytes = bytes.to_vec();
    ends(move || read(&bytes)).expect_err(what)
}

#[test]
fn a_file_of_50_mb_is_refused_without_parsing() {
    let mut bytes = GOOD.as_bytes().to_vec();
    bytes.resize(50_000_000, b'#');
    let error = refused("50 MB", &bytes);
    assert_eq!(error, ReadError::TooLarge { size: 50_000_000, limit: MAX_BYTES });
}

#[test]
fn deep_nesting_is_refused_in_a_bounded_time() {
    for (open, size) in [
        ("[", 8_000_000),
        ("{a: ", 8_000_000),
        ("- ", 2_000_000),
        ("? ", 2_000_000),
        ("[[],", 400_000),
        ("- ? ", 400_000),
    ] {
        for head in ["", "apiVersion: clusterctl/v1\nnodes:\n  ", "nodes: [{name: "] {
            let text = format!("{head}{}", open.repeat(size / open.len()));
            let error = refused(open, text.as_bytes());
            assert!(matches!(error, ReadError::TooDeep { .. } | ReadError::Stopped { .. }), "{open} {error:.200}");
        }
    }
    // Deep, but below the limit of brackets, and balanced: the parser's own limit applies.
    let text = format!("nodes: {}{}", "[".repeat(150), "]".repeat(150));
    assert!(matches!(error(&text), ReadError::Stopped { .. }));
}

#[test]
fn alias_bombs_are_refused_in_a_bounded_time() {
    let laughs: String = (1..30).map(|i| format!("  - &l{i} [{}]\n", format!("*l{}, ", i - 1).repeat(10))).collect();
    let laughs = with(&format!("nodes:\n  - &l0 [lol]\n{laughs}"));
    let wide = with(&format!(
        "serviceCIDRs: &a [{}]\nnodes: [{}]\n",
        "10.96.0.0/16, ".repeat(20_000),
        "{name: n, addresses: *a}, ".repeat(20_000)
    ));
    let hidden = with(&format!("x: &x [[{}]]\nnodes: [{}]\n", "1, ".repeat(100_000), "*x, ".repeat(100_000)));
    let long = with(&format!("name: &n {}\nserviceCIDRs: [{}]\n", "a".repeat(1_000_000), "*n, ".repeat(100_000)));
    for (what, text) in [("laughs", laughs), ("wide", wide), ("hidden", hidden), ("long", long)] {
        let error = refused(what, text.as_bytes());
        assert!(matches!(error, ReadError::Stopped { .. }), "{what}: {:.300}", error.to_string());
    }
}

#[test]
fn too_many_values_are_refused_without_parsing() {
    for rubbish in ["a,", "a:\n", "\n"] {
        let text = with(&format!("nodes: [{}]\n", rubbish.repeat(9_000_000)));
        let error = refused(rubbish, text.as_bytes());
        assert_eq!(error, ReadError::TooManyValues { limit: 8_000_000 });
    }
}

#[test]
fn a_list_of_invalid_items_stops_at_10000_faults() {
    let text = with(&format!("nodes: [{}]\n", "a, ".repeat(1_000_000)));
    let error = refused("rubbish", text.as_bytes());
    assert!(matches!(error, ReadError::Stopped { line: Some(3), ref errors, .. } if errors.len() == 10_000));
    assert_eq!(error.to_string().lines().count(), 103, "the reason, the number, 100 of them, and how many more");
}
