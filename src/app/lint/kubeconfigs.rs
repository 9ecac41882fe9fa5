//! Kubeconfigs: whether client-go accepts them, which CA they trust, and whether both fit the API servers' certificates
//! among the files.

use std::path::Path;

use super::finding::Findings;
use super::material::{Entry, FoundConfig, LONGEST_PATH, Material};
use super::purpose::Purpose;
use super::rules::kubeconfig::{CA, CREDENTIAL, EMBEDDED, INSECURE, REFERENCE, REFUSED, SERVER};
use super::sources::{followed, named_file};
use crate::cluster::address::Address;
use crate::config::kubeconfig::{ContextError, KubeCluster};
use crate::explain::file_item::FileItem;
use crate::explain::kubeconfig::{Field, PartError, ReadKubeconfig, unusable};
use crate::pki::certificate::Certificate;

pub(super) fn check(material: &Material<'_>, findings: &mut Findings) {
    let servers: Vec<&Entry<'_>> =
        material.entries.iter().filter(|entry| entry.purpose == Purpose::ApiServer && !entry.is_ca).collect();
    for config in &material.configs {
        refused(config, findings);
        credentials(material, config, findings);
        anonymous(config, findings);
        embedded(config, findings);
        for cluster in &config.config.config().clusters {
            insecure(config, cluster, findings);
            server(material, config, cluster, &servers, findings);
        }
    }
}

fn refused(one: &FoundConfig<'_>, findings: &mut Findings) {
    let config = one.config.config();
    // kubectl accepts a file without a current context: `--context` names one.
    if let Err(error) = config.resolve(None)
        && !matches!(error, ContextError::NoneChosen)
    {
        findings.add(&REFUSED, &one.source.place(None), error.to_string());
    }
    let clusters = config.clusters.iter().map(|cluster| (format!("cluster {}", cluster.name), &cluster.contradictions));
    let users = config.users.iter().map(|user| (format!("user {}", user.name), &user.contradictions));
    for (name, contradictions) in clusters.chain(users) {
        for contradiction in contradictions {
            findings.add(&REFUSED, &one.source.place(Some(name.clone())), *contradiction);
        }
    }
}

/// Reports certificates and keys, embedded or in files, that client-go cannot use.
fn credentials(material: &Material<'_>, one: &FoundConfig<'_>, findings: &mut Findings) {
    for part in one.config.parts() {
        let of = if part.field == Field::Ca { "cluster" } else { "user" };
        let place = one.source.place(Some(format!("{of} {}", part.of)));
        let field = part.field.name(part.is_embedded);
        let of_file = if part.is_embedded { String::new() } else { format!(" {}", part.place) };
        // The file beside a copy of a kubeconfig is in the copy, too; that at an absolute path need not be.
        let is_beside = named_file(part, one.config).is_some_and(Path::is_relative);
        let (rule, reason) = match followed(part, one.config, material.sources) {
            Ok(items) => match unusable(part.field, items) {
                Some(problem) => (&CREDENTIAL, problem),
                None => continue,
            },
            Err(PartError::Content(reason)) => (&CREDENTIAL, reason.clone()),
            Err(PartError::Missing(reason)) if is_beside => (&CREDENTIAL, reason.clone()),
            Err(PartError::Missing(reason) | PartError::Unreadable(reason)) => (&REFERENCE, reason.clone()),
        };
        findings.add(rule, &place, format!("{field}{of_file}: {reason}"));
    }
}

/// Reports users without a credential.
fn anonymous(one: &FoundConfig<'_>, findings: &mut Findings) {
    for user in &one.config.config().users {
        if let Some(reason) = ReadKubeconfig::anonymous(user) {
            findings.add(&CREDENTIAL, &one.source.place(Some(format!("user {}", user.name))), reason);
        }
    }
}

/// Reports the embedded certificate of a component, which has to be restarted after a renewal.
fn embedded(one: &FoundConfig<'_>, findings: &mut Findings) {
    for part in one.config.parts().iter().filter(|part| part.is_embedded && part.field == Field::Certificate) {
        let certificate = part.items.iter().flatten().find_map(|item| match item {
            FileItem::Certificate(certificate, _) => Some(certificate),
            _ => None,
        });
        let Some(account) = certificate.map(|certificate| certificate.account().user) else { continue };
        if account.starts_with("system:") || account.starts_with("kubelet:") {
            findings.add(&EMBEDDED, &one.source.place(Some(format!("user {}", part.of))), account);
        }
    }
}

fn insecure(one: &FoundConfig<'_>, cluster: &KubeCluster, findings: &mut Findings) {
    let place = one.source.place(Some(format!("cluster {}", cluster.name)));
    if !cluster.location().starts_with("https://") {
        findings.add(&INSECURE, &place, format!("{} is not https", cluster.server));
    } else if cluster.insecure {
        findings.add(&INSECURE, &place, "insecure-skip-tls-verify is set");
    } else if cluster.ca.is_none() {
        findings.add(&INSECURE, &place, "it names no CA");
    }
}

/// Compares a cluster's server and CA with the certificates of API servers among the files.
fn server(
    material: &Material<'_>,
    one: &FoundConfig<'_>,
    cluster: &KubeCluster,
    servers: &[&Entry<'_>],
    findings: &mut Findings,
) {
    let part = one.config.parts().iter().find(|part| part.field == Field::Ca && part.of == cluster.name);
    let Some(Ok(items)) = part.map(|part| followed(part, one.config, material.sources)) else { return };
    let trusted: Vec<&Certificate> = items
        .iter()
        .filter_map(|item| match item {
            FileItem::Certificate(certificate, _) => Some(&**certificate),
            _ => None,
        })
        .collect();
    let Some(host) = cluster.tls_server_name.clone().or_else(|| host_of(&cluster.location())) else { return };
    let Ok(address) = Address::parse(&host) else { return };
    let is_signed = |server: &&&Entry<'_>| is_below(material, server, &trusted);
    let is_named = |server: &&&Entry<'_>| server.found.certificate.names_address(&address);
    let place = one.source.place(Some(format!("cluster {}", cluster.name)));
    if servers.iter().any(|server| is_signed(&server) && is_named(&server)) {
        return;
    }
    if let Some(named) = servers.iter().find(is_named) {
        let file = &named.found.place.file;
        findings.add(&CA, &place, format!("{file} is the certificate of {host}, and another CA signed it"));
    } else if let Some(signed) = servers.iter().find(is_signed) {
        findings.add(&SERVER, &place, format!("{host} is not in {}", signed.found.place.file));
    }
}

/// Returns true if one of the trusted CAs signed a certificate or one of the CAs above it.
fn is_below(material: &Material<'_>, server: &Entry<'_>, trusted: &[&Certificate]) -> bool {
    let mut at = server;
    for _ in 0..LONGEST_PATH {
        if trusted
            .iter()
            .any(|ca| ca.subject.der == at.found.certificate.issuer.der && at.found.certificate.is_signed_by(ca))
        {
            return true;
        }
        match material.issuer_of(at) {
            Some(issuer) => at = issuer,
            None => return false,
        }
    }
    false
}

/// Returns the host of a URL.
fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_owned())
}
