//! The verdict of a run as metrics in Prometheus's text format.

use std::fmt::Write;

use super::super::verdict::Verdict;
use super::summary::Report;
use crate::metrics::{head, labels};

impl Report {
    /// Returns the verdict, and the number of findings, in Prometheus's text format.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let common = labels(&[("cluster", &self.cluster), ("looked_at", self.looked_at())]);
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, series: &[(String, String)]| {
            head(&mut text, name, "gauge", help);
            for (labels, value) in series {
                let _ = writeln!(text, "{name}{{{common}{labels}}} {value}");
            }
        };
        let proven = u8::from(self.verdict() == Verdict::Proven);
        let one = |value: String| [(String::new(), value)];
        gauge("clusterctl_verify_success", "Whether the last verification exited with 0.", &one(proven.to_string()));
        let counts = self.counts();
        let counts = [
            ("pass", counts.pass),
            ("fail", counts.fail),
            ("warn", counts.warn),
            ("skipped", counts.skipped),
            ("not-proven", counts.not_proven),
        ];
        let counts = counts.map(|(status, count)| (format!(",status=\"{status}\""), count.to_string()));
        gauge("clusterctl_verify_findings", "The findings of the last verification.", &counts);
        let finished = one(self.finished.unix_timestamp().to_string());
        gauge("clusterctl_verify_time_seconds", "Unix time at which the last verification ended.", &finished);
        text
    }
}
