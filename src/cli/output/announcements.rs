//! Registered and announced clusters as text and JSON.

use serde_json::json;

use crate::app::enrol::announce::{AnnounceReport, RegisterReport};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::ui::Screen;

/// Shows a registered cluster: what hosts join with.
pub(crate) fn show_registered(report: &RegisterReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let RegisterReport { id, endpoint } = report;
    let cluster = format!("{}@{endpoint}", id.as_pin());
    if output == OutputFormat::Json {
        let value = json!({
            "schemaVersion": 1, "id": id.as_pin(), "endpoint": endpoint.to_string(), "cluster": cluster,
        });
        return screen.answer(format_args!("{value:#}"));
    }
    screen.answer(cluster);
    screen.step("Next, on a master: clusterctl announce. Then, on a node: clusterctl join --cluster with this text");
}

/// Shows an announced record.
pub(crate) fn show(report: &AnnounceReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let record = &report.record;
    let text =
        |all: &[crate::cluster::endpoint::Endpoint]| -> Vec<String> { all.iter().map(ToString::to_string).collect() };
    if output == OutputFormat::Json {
        let value = json!({
            "schemaVersion": 1,
            "id": record.id.as_pin(),
            "name": record.name.as_str(),
            "endpoint": record.endpoint.to_string(),
            "enrolment": text(&record.enrolment),
            "roots": record.roots.iter().map(|root| root.spki_fingerprint().as_pin()).collect::<Vec<_>>(),
            "seq": record.seq,
            "issued": stamp(record.issued),
            "expires": stamp(record.expires),
            "acceptedBy": text(&report.accepted),
        });
        return screen.answer(format_args!("{value:#}"));
    }
    for endpoint in &report.accepted {
        screen.answer(format_args!(
            "{endpoint} has record {} of {}, until {}",
            record.seq,
            record.name,
            stamp(record.expires)
        ));
    }
    screen.step("announce it again before that, or when a root or an address changes");
}
