//! Reports of a host that joined or renewed as text and JSON.

use serde_json::{Value, json};

use crate::app::enrol::join::{JoinReport, JoinedCertificate, RenewReport, TimerReport};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::ui::Screen;

/// Shows the result of joining.
pub(crate) fn show(report: &JoinReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let JoinReport { host, record, certificates, nothing_to_do, is_started } = report;
    if output == OutputFormat::Json {
        let value = json!({
            "schemaVersion": 1,
            "host": host.as_str(),
            "cluster": {"id": record.id.as_pin(), "name": record.name.as_str(), "endpoint": record.endpoint.to_string()},
            "certificates": values(certificates),
            "changed": !nothing_to_do,
            "kubeletStarted": is_started,
        });
        return screen.answer(format_args!("{value:#}"));
    }
    if *nothing_to_do {
        return screen.answer(format_args!("Nothing to do: {host} has joined {}", record.name));
    }
    screen.answer(format_args!("{host} joined {}, whose API servers are at {}", record.name, record.endpoint));
    lines(certificates, screen);
    match is_started {
        true => screen.step("the kubelet was started. Next: clusterctl join --install-timer"),
        false => screen.step(
            "Next: start the kubelet (systemctl daemon-reload && systemctl enable --now kubelet), and clusterctl join \
             --install-timer",
        ),
    }
}

/// Shows the result of renewing.
pub(crate) fn show_renewed(report: &RenewReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let RenewReport { host, certificates, replaced, next } = report;
    if output == OutputFormat::Json {
        let value = json!({
            "schemaVersion": 1,
            "host": host.as_str(),
            "certificates": values(certificates),
            "replaced": replaced,
            "nextRenewal": next.map(stamp),
        });
        return screen.answer(format_args!("{value:#}"));
    }
    if replaced.is_empty() {
        screen.answer(format_args!("Nothing to do: no certificate of {host} is due"));
    } else {
        screen.answer(format_args!("{host} has new certificates. A kubelet of 1.36 or later reads them within five minutes; restart an earlier one"));
        lines(certificates, screen);
    }
    if let Some(next) = next {
        screen.step(format_args!("the next one is due at {}", stamp(*next)));
    }
}

/// Shows the result of installing the timer.
pub(crate) fn show_timer(report: &TimerReport, output: OutputFormat, screen: &mut Screen<'_>) {
    if output == OutputFormat::Json {
        let value = json!({ "schemaVersion": 1, "written": report.written, "started": report.is_started });
        return screen.answer(format_args!("{value:#}"));
    }
    for path in &report.written {
        screen.answer(path.display());
    }
    match (report.written.is_empty(), report.is_started) {
        (true, _) => screen.step("Nothing to do: the timer is in place"),
        (false, true) => screen.step("the timer was started"),
        (false, false) => {
            screen.step("Next: systemctl daemon-reload && systemctl enable --now clusterctl-join-renew.timer");
        }
    }
}

fn values(certificates: &[JoinedCertificate]) -> Vec<Value> {
    let value = |one: &JoinedCertificate| {
        json!({
            "profile": one.profile.policy().name,
            "request": one.request,
            "file": one.path,
            "sha256": one.certificate.to_string(),
            "notAfter": stamp(one.not_after),
        })
    };
    certificates.iter().map(value).collect()
}

fn lines(certificates: &[JoinedCertificate], screen: &mut Screen<'_>) {
    for one in certificates {
        let (name, path) = (one.profile.policy().name, one.path.display());
        screen.step(format_args!("  {name:<15} {path}, valid until {}", stamp(one.not_after)));
    }
}
