//! Rows as Prometheus's text format, for node_exporter's textfile collector.

use std::collections::HashSet;
use std::fmt::Write;

use super::head::Head;
use crate::app::status::{Credential, EnrolmentReport, FileKind, RotationSummary, State, StatusReport, StatusRow};
use crate::metrics::{head, labels};
use crate::ui::Screen;

/// The maximum number of certificates that each get a series; for more there is a histogram.
const MAX_SERIES: usize = 10_000;

const DAY: i64 = 86_400;
/// The upper bounds of the histogram's buckets, in seconds until the expiry.
const BUCKETS: [i64; 9] = [0, DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY, 90 * DAY, 180 * DAY, 365 * DAY];

/// Writes metrics.
pub(super) struct PrometheusWriter {
    head: Head,
    cas: Series,
    crls: Series,
    certificates: Series,
    remaining: Histogram,
}

impl PrometheusWriter {
    pub(super) fn new(head: Head) -> Self {
        let series = |name, help| Series { name, help, labels: HashSet::new(), text: String::new() };
        Self {
            head,
            cas: series("clusterctl_ca_expiry_seconds", "Unix time at which the certificate of a CA expires."),
            crls: series("clusterctl_crl_next_update_seconds", "Unix time by which the next CRL of a CA is due."),
            certificates: series("clusterctl_certificate_expiry_seconds", "Unix time at which a certificate expires."),
            remaining: Histogram::default(),
        }
    }

    pub(super) fn row(&mut self, row: &StatusRow) {
        let Some(not_after) = row.not_after else { return };
        let mut labels = vec![("cluster", self.head.cluster.as_str())];
        let credential = row.credential.name();
        let serial = row.certificate.as_ref().map(|one| one.serial.to_string());
        // A role may have several CAs, whose serial numbers may be equal, with a CRL each.
        let (mut sha256, mut issuer) = (None, None);
        let account = row.certificate.as_ref().map(|one| one.account.as_str());
        let series = match row.credential {
            Credential::Root(_)
            | Credential::Intermediate(_)
            | Credential::File { kind: FileKind::Root | FileKind::Intermediate, .. } => {
                sha256 = row.certificate.as_ref().map(|one| one.fingerprint.to_string());
                &mut self.cas
            }
            Credential::Crl(_) | Credential::File { kind: FileKind::Crl, .. } => {
                issuer = row.crl_issuer.map(|issuer| issuer.to_string());
                &mut self.crls
            }
            // A CA that is being replaced already has a series; requests have metrics of their own.
            Credential::Rotation(_) | Credential::TokenRotation | Credential::Request { .. } | Credential::Queue => {
                return;
            }
            Credential::Leaf(_)
            | Credential::Bundle
            | Credential::File { kind: FileKind::Certificate | FileKind::Kubeconfig, .. } => {
                self.remaining.add((not_after - self.head.now).whole_seconds());
                labels.extend([
                    ("host", row.subject.host().unwrap_or_default()),
                    ("account", account.unwrap_or_default()),
                ]);
                &mut self.certificates
            }
        };
        labels.push(("credential", &credential));
        let optional = [("serial", &serial), ("sha256", &sha256), ("issuer_sha256", &issuer)];
        labels.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
        series.add(&labels, not_after.unix_timestamp());
    }

    pub(super) fn end(self, report: &StatusReport, screen: &mut Screen<'_>) {
        let mut text = self.text(report);
        rotations(&report.rotations, &self.head.cluster, &mut text);
        screen.answer(text);
    }

    fn text(&self, report: &StatusReport) -> String {
        let StatusReport { summary, skipped, last_backup, enrolment, .. } = report;
        let cluster = labels(&[("cluster", &self.head.cluster)]);
        let mut text = String::new();
        for series in [&self.cas, &self.crls] {
            series.write(&mut text);
        }
        match self.remaining.count > MAX_SERIES as u64 {
            true => self.remaining.write(&cluster, &mut text),
            false => self.certificates.write(&mut text),
        }
        head(
            &mut text,
            "clusterctl_status_rows",
            "gauge",
            "How many certificates, CRLs and bundles are in each state.",
        );
        for state in State::ALL {
            let _ = writeln!(
                text,
                "clusterctl_status_rows{{{cluster},state=\"{}\"}} {}",
                state.as_str(),
                summary.count(state)
            );
        }
        head(&mut text, "clusterctl_status_skipped_files", "gauge", "How many files could not be read.");
        let _ = writeln!(text, "clusterctl_status_skipped_files{{{cluster}}} {}", skipped.len());
        if let Some(at) = last_backup {
            let name = "clusterctl_last_backup_time_seconds";
            head(&mut text, name, "gauge", "Unix time of the last backup of the cluster directory.");
            let _ = writeln!(text, "{name}{{{cluster}}} {}", at.unix_timestamp());
        }
        if let Some(requests) = enrolment {
            self.requests(requests, &mut text);
        }
        head(&mut text, "clusterctl_status_time_seconds", "gauge", "Unix time of these metrics.");
        let _ = writeln!(text, "clusterctl_status_time_seconds{{{cluster}}} {}", self.head.now.unix_timestamp());
        text
    }
}

impl PrometheusWriter {
    /// Writes how many requests of hosts are in each state, and how old the oldest open one is.
    fn requests(&self, requests: &EnrolmentReport, text: &mut String) {
        let name = "clusterctl_status_requests";
        head(text, name, "gauge", "Requests of hosts in the queue, by state; finished ones are counted for an hour.");
        for (state, count) in &requests.counts {
            let labels = labels(&[("cluster", &self.head.cluster), ("state", state.as_str())]);
            let _ = writeln!(text, "{name}{{{labels}}} {count}");
        }
        let name = "clusterctl_status_oldest_request_seconds";
        head(text, name, "gauge", "Age of the oldest request that is not decided or not signed; 0 if there is none.");
        let (cluster, age) = (labels(&[("cluster", &self.head.cluster)]), requests.oldest.unwrap_or_default());
        let _ = writeln!(text, "{name}{{{cluster}}} {}", age.whole_seconds());
    }
}

/// Writes the phases of rotations.
fn rotations(states: &[RotationSummary], cluster: &str, text: &mut String) {
    type Value = fn(&RotationSummary) -> i64;
    let behind: Value = |state| {
        let count = state.failed.as_ref().map_or(0, |failed| failed.behind.len() + failed.more);
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    let metrics: [(&str, &str, Value); 4] = [
        ("clusterctl_rotation_phase", "Number of the phase of the rotation of a CA or key.", |state| {
            state.phase.0.into()
        }),
        (
            "clusterctl_rotation_phase_began_seconds",
            "Unix time at which the phase of the rotation of a CA or key began.",
            |state| state.began.unix_timestamp(),
        ),
        ("clusterctl_rotation_phase_proven", "Whether the phase of the rotation of a CA or key is proven.", |state| {
            state.proven_since.is_some().into()
        }),
        ("clusterctl_rotation_hosts_behind", "How many hosts the last proof of the phase found to be behind.", behind),
    ];
    for (name, help, value) in metrics.into_iter().filter(|_| !states.is_empty()) {
        head(text, name, "gauge", help);
        for state in states {
            let labels = labels(&[("cluster", cluster), ("role", state.role)]);
            let _ = writeln!(text, "{name}{{{labels}}} {}", value(state));
        }
    }
}

/// The series of one metric.
struct Series {
    name: &'static str,
    help: &'static str,
    /// The labels written so far: a collector refuses a file with a duplicate series.
    labels: HashSet<String>,
    text: String,
}

impl Series {
    fn add(&mut self, pairs: &[(&str, &str)], value: i64) {
        if self.labels.len() >= MAX_SERIES {
            return;
        }
        let labels = labels(pairs);
        if !self.labels.contains(&labels) {
            let _ = writeln!(self.text, "{}{{{labels}}} {value}", self.name);
            self.labels.insert(labels);
        }
    }

    fn write(&self, out: &mut String) {
        if !self.text.is_empty() {
            head(out, self.name, "gauge", self.help);
            out.push_str(&self.text);
        }
    }
}

/// The number of certificates that expire within each of [`BUCKETS`].
#[derive(Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: i64,
}

impl Histogram {
    fn add(&mut self, seconds: i64) {
        for (bucket, bound) in self.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(seconds);
    }

    fn write(&self, cluster: &str, out: &mut String) {
        const NAME: &str = "clusterctl_certificate_remaining_seconds";
        head(out, NAME, "histogram", "Seconds until certificates expire; negative where they have expired.");
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS) {
            let _ = writeln!(out, "{NAME}_bucket{{{cluster},le=\"{bound}\"}} {bucket}");
        }
        let _ = writeln!(out, "{NAME}_bucket{{{cluster},le=\"+Inf\"}} {}", self.count);
        let _ = writeln!(out, "{NAME}_sum{{{cluster}}} {}", self.sum);
        let _ = writeln!(out, "{NAME}_count{{{cluster}}} {}", self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::status::{Subject, Summary};
    use crate::cluster::profile::Profile;

    /// Returns the metrics of `count` certificates that expire one after the other.
    fn text_of(count: u32) -> String {
        let now = time::macros::datetime!(2026-11-23 12:00 UTC);
        let mut writer = PrometheusWriter::new(Head { cluster: "prod".to_owned(), now });
        for i in 0..count {
            writer.row(&StatusRow {
                subject: Subject::Host(format!("node-{i}")),
                credential: Credential::Leaf(Profile::KubeletClient),
                certificate: None,
                crl_issuer: None,
                not_before: None,
                not_after: Some(now + time::Duration::minutes(i.into())),
                renew_from: None,
                state: State::Valid,
                is_key_discarded: false,
                file: None,
                problem: None,
                remedy: None,
            });
        }
        let (summary, skipped) = (Summary::default(), Vec::new());
        writer.text(&StatusReport { summary, skipped, rotations: Vec::new(), last_backup: None, enrolment: None })
    }

    #[test]
    fn more_certificates_than_a_collector_should_take_are_a_histogram() {
        let limit = u32::try_from(MAX_SERIES).expect("a number");
        let series = |text: &str| text.lines().filter(|line| line.starts_with("clusterctl_certificate_expiry")).count();
        assert_eq!(series(&text_of(limit)), MAX_SERIES);
        let text = text_of(limit + 1);
        assert_eq!(series(&text), 0);
        assert!(text.lines().count() < 50, "{text}");
        assert!(text.contains("clusterctl_certificate_remaining_seconds_bucket{cluster=\"prod\",le=\"86400\"} 1441\n"));
        assert!(text.contains("clusterctl_certificate_remaining_seconds_count{cluster=\"prod\"} 10001\n"));
    }

    #[test]
    fn a_bucket_counts_all_certificates_that_expire_before_its_bound() {
        let mut histogram = Histogram::default();
        for seconds in [-5, 0, 1, 40 * DAY, 1000 * DAY] {
            histogram.add(seconds);
        }
        assert_eq!(histogram.buckets, [2, 3, 3, 3, 3, 4, 4, 4, 4]);
        assert_eq!(histogram.count, 5);
    }
}
