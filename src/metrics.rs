//! Prometheus's text format, for node_exporter's textfile collector.

use std::fmt::Write;

use crate::sanitize::sanitized;

/// Writes what stands before a metric's series: a text of one line, and its type.
pub(crate) fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Returns labels as they are between braces. Control characters in a value are escaped as for a terminal.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |value: &str| sanitized(value).replace('\\', "\\\\").replace('"', "\\\"");
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let pairs = [("host", "a\"b\\c\nd\u{1b}[2J\u{202e}"), ("state", "due")];
        assert_eq!(labels(&pairs), r#"host="a\"b\\c\\u{a}d\\u{1b}[2J\\u{202e}",state="due""#);
    }
}
