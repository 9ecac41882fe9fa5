//! The server's metrics, in Prometheus's text format.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::api::status::Failed;
use super::figures::{BUCKETS, Figures};
use super::state::State;
use crate::metrics::{head, labels};

/// Returns all metrics as text.
pub(super) fn text(state: &State) -> Result<String, Failed> {
    let (counts, version, oldest) =
        state.read(|queue| Ok((queue.counts()?, queue.version()?, queue.oldest_open()?)))?;
    let (figures, writer) = (&state.figures, &state.writer.figures);
    let mut out = String::new();
    head(&mut out, "clusterctl_enrolment_requests", "gauge", "Requests in the queue, by state.");
    for (state, count) in counts {
        let _ = writeln!(out, "clusterctl_enrolment_requests{{{}}} {count}", labels(&[("state", state.as_str())]));
    }
    let name = "clusterctl_enrolment_decisions_total";
    head(&mut out, name, "counter", "Decisions and certificates, by the new state of the request and the user.");
    for ((decision, by), count) in figures.decisions() {
        let _ = writeln!(out, "{name}{{{}}} {count}", labels(&[("state", decision.as_str()), ("by", &by)]));
    }
    let gauge = |out: &mut String, name: &str, help: &str, value: i64| {
        head(out, name, "gauge", help);
        let _ = writeln!(out, "{name} {value}");
    };
    let counter = |out: &mut String, name: &str, help: &str, value: &AtomicU64| {
        head(out, name, "counter", help);
        let _ = writeln!(out, "{name} {}", value.load(Ordering::Relaxed));
    };
    gauge(&mut out, "clusterctl_enrolment_resource_version", "The last resource version.", version);
    let age = oldest.map_or(0, |created| (state.now() - created).whole_seconds());
    let help = "Age of the oldest request that is not decided or not signed; 0 if there is none.";
    gauge(&mut out, "clusterctl_enrolment_oldest_request_seconds", help, age);
    let help = "Whether files of the cluster directory changed and cannot be read.";
    gauge(&mut out, "clusterctl_enrolment_directory_unreadable", help, state.notices.has_problem().into());
    let expiry = state.site.credential().not_after().unix_timestamp();
    let help = "Unix time at which the serving certificate expires.";
    gauge(&mut out, "clusterctl_enrolment_serving_certificate_expiry_seconds", help, expiry);
    let open = figures.connections.load(Ordering::Relaxed);
    gauge(&mut out, "clusterctl_enrolment_connections", "Open connections.", open);
    gauge(&mut out, "clusterctl_enrolment_watches", "Open watches.", figures.watches.load(Ordering::Relaxed));
    let names = [
        ("connections_accepted_total", "Accepted connections.", &figures.accepted),
        ("connections_refused_total", "Connections refused by the limit of all.", &figures.refused_connections),
        (
            "connections_refused_by_address_total",
            "Connections refused by the limit of one address.",
            &figures.refused_by_address,
        ),
        ("handshakes_failed_total", "TLS handshakes that failed.", &figures.failed_handshakes),
        ("clients_rejected_total", "Client certificates and tokens that were rejected.", &figures.rejected),
        ("requests_limited_total", "HTTP requests that were answered with 429.", &figures.limited),
        ("commits_total", "Transactions of the queue.", &writer.commits),
        ("changes_total", "Changes of the queue.", &writer.changes),
        ("changes_failed_total", "Changes that the database could not make.", &writer.failures),
    ];
    for (name, help, value) in names {
        counter(&mut out, &format!("clusterctl_enrolment_{name}"), help, value);
    }
    let name = "clusterctl_enrolment_http_requests_total";
    head(&mut out, name, "counter", "HTTP requests, by class of the answer's status.");
    for (class, count) in (1..).zip(&figures.answers) {
        let _ = writeln!(out, "{name}{{code=\"{class}xx\"}} {}", count.load(Ordering::Relaxed));
    }
    durations(&mut out, figures);
    Ok(out)
}

fn durations(out: &mut String, figures: &Figures) {
    let name = "clusterctl_enrolment_http_request_duration_seconds";
    head(out, name, "histogram", "Duration of HTTP requests until the head of the answer.");
    let mut sum = 0;
    for (count, limit) in figures.durations.iter().zip(BUCKETS.iter().map(Some).chain([None])) {
        sum += count.load(Ordering::Relaxed);
        let limit = limit.map_or_else(|| "+Inf".to_owned(), f64::to_string);
        let _ = writeln!(out, "{name}_bucket{{le=\"{limit}\"}} {sum}");
    }
    let seconds = figures.duration_micros.load(Ordering::Relaxed) as f64 / 1e6;
    let _ = writeln!(out, "{name}_sum {seconds}\n{name}_count {sum}");
}
