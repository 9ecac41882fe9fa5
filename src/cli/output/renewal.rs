//! Renewed or due certificates as text and JSON.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{reasons, revocation};
use crate::app::admin::AdminReport;
use crate::app::count::{certificates, counted};
use crate::app::issue::PlannedCertificate;
use crate::app::renew::{DueAdmin, RenewPlan, RenewReport};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::ui::Screen;

/// The maximum number of hosts that a line names.
const NAMED: usize = 20;

/// Shows what would be renewed.
pub(crate) fn show_plan(plan: &RenewPlan<'_>, is_dry_run: bool, output: OutputFormat, screen: &mut Screen<'_>) {
    let planned: Vec<PlannedCertificate> = plan.certificates().collect();
    let to_request: Vec<PlannedCertificate> = plan.to_request().collect();
    if output == OutputFormat::Json {
        let admins =
            plan.admins().iter().map(|due| json!({ "name": due.name.as_str(), "file": null, "expires": null }));
        let crls = plan.renews_crls().then(Vec::new);
        return screen.answer(format_args!("{:#}", json_of(is_dry_run, &planned, &to_request, admins.collect(), crls)));
    }
    for certificate in &planned {
        screen.answer(format_args!("renew {}", line(certificate)));
    }
    for DueAdmin { name, not_after, .. } in plan.admins() {
        screen.answer(format_args!("renew the kubeconfig of {name}: it expires at {}", stamp(*not_after)));
    }
    if plan.renews_crls() {
        screen.answer("renew the CRLs");
    }
    screen.step(match plan.is_empty() {
        true if !to_request.is_empty() => "nothing can be renewed here: hosts have to send new requests".to_owned(),
        true => "nothing is due".to_owned(),
        false => {
            let crls = plan.renews_crls().then(|| "the CRLs".to_owned());
            format!("would renew {}; nothing was changed", renewed(planned.len() + plan.admins().len(), crls))
        }
    });
}

/// Shows what was renewed.
pub(crate) fn show(report: &RenewReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let files = |report: &RenewReport| report.crls.as_ref().map(|crls| crls.written.clone());
    if output == OutputFormat::Json {
        let admin =
            |admin: &AdminReport| json!({ "name": admin.name, "file": admin.path, "expires": stamp(admin.not_after) });
        let admins = report.admins.iter().map(admin).collect();
        return screen.answer(format_args!(
            "{:#}",
            json_of(false, &report.certificates, &report.to_request, admins, files(report))
        ));
    }
    for certificate in &report.certificates {
        screen.answer(format_args!("renewed {}", line(certificate)));
    }
    for admin in &report.admins {
        screen.answer(admin.path.display());
    }
    for path in files(report).unwrap_or_default() {
        screen.answer(path.display());
    }
    let next_update = report.crls.as_ref().and_then(|crls| crls.next_update);
    let crls = next_update.map(|time| format!("the CRLs, which expire at {}", stamp(time)));
    screen.step(format_args!("renewed {}", renewed(report.certificates.len() + report.admins.len(), crls)));
    if let Some(crls) = &report.crls {
        crls.advice.iter().for_each(|advice| revocation::show_advice(*advice, screen));
        revocation::show_learnt(&crls.learnt, screen);
    }
    if !report.admins.is_empty() {
        screen.step(
            "give each kubeconfig only to its administrator; the old one is valid until it expires or is revoked",
        );
    }
    let hosts = report.hosts();
    if !hosts.is_empty() {
        let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
        screen.step(match names.len() {
            0..=NAMED => format!("Next: clusterctl bundle {}   (and deliver)", names.join(" ")),
            count => format!("Next: clusterctl bundle --all   (and deliver to {})", counted(count, "host")),
        });
    }
}

/// Returns what is renewed: certificates, CRLs or both.
fn renewed(count: usize, crls: Option<String>) -> String {
    match crls {
        Some(crls) if count == 0 => crls,
        Some(crls) => format!("{} and {crls}", certificates(count)),
        None => certificates(count),
    }
}

fn line(certificate: &PlannedCertificate) -> String {
    format!("{}: {}", certificate.credential, reasons::of(certificate))
}

fn json_of(
    is_dry_run: bool,
    planned: &[PlannedCertificate],
    to_request: &[PlannedCertificate],
    admins: Vec<Value>,
    crls: Option<Vec<PathBuf>>,
) -> Value {
    let certificate = |one: &PlannedCertificate| {
        json!({
            "host": one.credential.host.as_ref().map(HostName::as_str),
            "profile": one.credential.profile.policy().name,
            "reasons": one.reasons.iter().map(reasons::reason).collect::<Vec<_>>(),
            "reasonIds": reasons::ids(one),
        })
    };
    json!({
        "schemaVersion": 1,
        "dryRun": is_dry_run,
        "certificates": planned.iter().map(certificate).collect::<Vec<_>>(),
        "admins": admins,
        "crls": crls,
        "hostsToDeliver": hosts_of(planned),
        "hostsToRequest": hosts_of(to_request),
    })
}

/// Returns the hosts of certificates, each once, sorted.
fn hosts_of(planned: &[PlannedCertificate]) -> Vec<&str> {
    let mut hosts: Vec<&str> = planned.iter().filter_map(|one| Some(one.credential.host.as_ref()?.as_str())).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}
