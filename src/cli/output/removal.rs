//! Hosts that were removed, or would be removed, as text and JSON.

use serde_json::{Value, json};

use super::revocation;
use crate::app::count::{certificates, counted};
use crate::app::remove::{HostRemoval, NextStep, Removal, RemoveReport};
use crate::app::revoke::{Advice, RevokeReport};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::{Cluster, Role};
use crate::store::layout::Layout;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::ui::Screen;

/// The flags with which etcdctl connects to etcd on a master, by the paths of bundles and of kubeadm.
const ETCDCTL: &str = "etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/healthcheck-client.crt \
                       --key /etc/kubernetes/pki/etcd/healthcheck-client.key";

/// Shows what would be removed, or that there is nothing.
pub(crate) fn show_preview(
    removal: &Removal,
    is_dry_run: bool,
    cluster: &Cluster,
    layout: &Layout,
    output: OutputFormat,
    screen: &mut Screen<'_>,
) {
    if output == OutputFormat::Json {
        return screen.answer(format_args!("{:#}", json_of(removal, is_dry_run, None, cluster, layout)));
    }
    for line in lines(removal) {
        screen.answer(line);
    }
    screen.step(match removal.is_empty() {
        true => nothing_left(removal),
        false => format!("would {}; nothing was changed", in_short(removal)),
    });
    show_next(removal, &[], cluster, layout, screen);
}

/// Shows what was removed.
pub(crate) fn show(
    report: &RemoveReport,
    cluster: &Cluster,
    layout: &Layout,
    output: OutputFormat,
    screen: &mut Screen<'_>,
) {
    let RemoveReport { removal, revocation } = report;
    if output == OutputFormat::Json {
        return screen.answer(format_args!("{:#}", json_of(removal, false, Some(revocation), cluster, layout)));
    }
    for path in &revocation.written {
        screen.answer(path.display());
    }
    let hosts = counted(removal.hosts.len(), "host");
    screen.step(format_args!("removed {hosts}; revoked {}", certificates(removal.certificates())));
    if let Some(next_update) = revocation.next_update.map(stamp) {
        screen.step(format_args!("the CRLs expire at {next_update}, renew them with: clusterctl crl renew"));
    }
    revocation::show_learnt(&revocation.learnt, screen);
    show_next(removal, &revocation.advice, cluster, layout, screen);
}

fn nothing_left(removal: &Removal) -> String {
    let hosts: Vec<&str> = removal.hosts.iter().map(|one| one.host.as_str()).collect();
    format!("this directory has nothing of {}", hosts.join(", "))
}

/// Returns what is revoked and deleted, a line for each certificate and path.
pub(crate) fn lines(removal: &Removal) -> Vec<String> {
    let of_host = |one: &HostRemoval| {
        let host = one.host.to_string();
        let revoked = one.certificates.iter().map(move |certificate| {
            let IssuedCertificate { profile, serial, not_after, .. } = certificate;
            format!("revoke {host} {profile} (serial {serial}, until {})", stamp(*not_after))
        });
        revoked.chain(one.paths.iter().map(|path| format!("delete {}", path.display()))).collect::<Vec<_>>()
    };
    removal.hosts.iter().flat_map(of_host).collect()
}

/// Returns the question that asks for confirmation.
pub(crate) fn question(removal: &Removal) -> String {
    format!("Do you want to {}? It cannot be undone", in_short(removal))
}

fn in_short(removal: &Removal) -> String {
    let (revoked, deleted) = (certificates(removal.certificates()), counted(removal.paths().count(), "path"));
    format!("revoke {revoked} and delete {deleted} of {}", counted(removal.hosts.len(), "host"))
}

/// Shows what is left to do in the cluster.
fn show_next(removal: &Removal, advice: &[Advice], cluster: &Cluster, layout: &Layout, screen: &mut Screen<'_>) {
    for one in advice {
        revocation::show_advice(*one, screen);
    }
    let lines = next_lines(removal, cluster, layout);
    if !lines.is_empty() {
        screen.step("Next, in the cluster:");
    }
    for line in lines {
        screen.step(format_args!("  {line}"));
    }
}

fn next_lines(removal: &Removal, cluster: &Cluster, layout: &Layout) -> Vec<String> {
    let nodes: Vec<&str> = removal.next.iter().filter_map(node).collect();
    let mut lines = Vec::new();
    for step in &removal.next {
        match step {
            NextStep::RemoveEtcdMember { host, on } => {
                lines.push(format!("on {on}, with the ID of the member {host}:"));
                lines.extend(commands(step, cluster, layout));
            }
            // One command deletes all of them.
            NextStep::DeleteNode { host } if nodes.first() == Some(&host.as_str()) => lines.push(delete_nodes(&nodes)),
            NextStep::DeleteNode { .. } => {}
            NextStep::ApplyPolicy => lines.extend(commands(step, cluster, layout)),
            NextStep::PackMasters => {
                lines
                    .extend(commands(step, cluster, layout).iter().map(|command| format!("{command}   (and deliver)")));
            }
        }
    }
    lines
}

fn node(step: &NextStep) -> Option<&str> {
    match step {
        NextStep::DeleteNode { host } => Some(host.as_str()),
        _ => None,
    }
}

fn delete_nodes(hosts: &[&str]) -> String {
    format!("kubectl delete node --ignore-not-found {}", hosts.join(" "))
}

/// Returns the commands of a step.
fn commands(step: &NextStep, cluster: &Cluster, layout: &Layout) -> Vec<String> {
    match step {
        NextStep::RemoveEtcdMember { .. } => {
            vec![format!("{ETCDCTL} member list"), format!("{ETCDCTL} member remove ID")]
        }
        NextStep::DeleteNode { host } => vec![delete_nodes(&[host.as_str()])],
        NextStep::ApplyPolicy => {
            let folder = layout.policy();
            vec![
                "clusterctl policy".to_owned(),
                format!("kubectl apply -f {}", folder.display()),
                format!("kubectl delete --ignore-not-found -f {}", folder.join("delete").display()),
            ]
        }
        NextStep::PackMasters => {
            let masters: Vec<&str> = cluster.masters.iter().map(|host| host.name.as_str()).collect();
            vec![format!("clusterctl bundle {}", masters.join(" "))]
        }
    }
}

fn json_of(
    removal: &Removal,
    is_dry_run: bool,
    done: Option<&RevokeReport>,
    cluster: &Cluster,
    layout: &Layout,
) -> Value {
    let crl = |role: &CaRole, is_signed: bool| json!({ "ca": role.name(), "signed": is_signed });
    let signed = removal.crls.iter().map(|role| crl(role, true));
    let crls: Vec<Value> = signed.chain(removal.without_crl.iter().map(|role| crl(role, false))).collect();
    let next = removal.next.iter().map(|step| {
        json!({
            "step": step.id(),
            "host": step.host().map(HostName::as_str),
            "on": match step { NextStep::RemoveEtcdMember { on, .. } => Some(on.as_str()), _ => None },
            "commands": commands(step, cluster, layout),
        })
    });
    json!({
        "schemaVersion": 1,
        "dryRun": is_dry_run,
        "hosts": removal.hosts.iter().map(host_json).collect::<Vec<_>>(),
        "crls": crls,
        "nextUpdate": done.and_then(|done| done.next_update).map(stamp),
        "written": done.map(|done| done.written.clone()).unwrap_or_default(),
        "advice": done.map(|done| done.advice.iter().map(|one| one.id()).collect::<Vec<_>>()).unwrap_or_default(),
        "next": next.collect::<Vec<_>>(),
    })
}

fn host_json(one: &HostRemoval) -> Value {
    let certificate = |issued: &IssuedCertificate| {
        json!({
            "profile": issued.profile,
            "account": issued.account,
            "serial": issued.serial.to_string(),
            "sha256": issued.fingerprint.to_string(),
            "expires": stamp(issued.not_after),
        })
    };
    json!({
        "host": one.host.as_str(),
        "roles": one.roles.iter().map(|role| Role::as_str(*role)).collect::<Vec<_>>(),
        "revoked": one.certificates.iter().map(certificate).collect::<Vec<_>>(),
        "deleted": one.paths,
    })
}
