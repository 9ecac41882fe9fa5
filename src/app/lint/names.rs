//! Subjects and subject alternative names.

use super::finding::Findings;
use super::material::{Entry, Material};
use super::purpose::{NODE, Purpose};
use super::rules::name::{
    ADDRESS_AS_DNS, ADDRESS_MISSING, COMMON_NAME_LENGTH, HOST_MISSING, KUBELET_SERVING, NO_SUBJECT_ALTERNATIVE,
    UPPER_CASE,
};
use crate::cluster::account::MAX_COMMON_NAME;
use crate::cluster::address::Address;
use crate::cluster::profile::Profile;
use crate::cluster::spec::{Cluster, Host};
use crate::pki::certificate::SubjectAltName;

pub(super) fn check(material: &Material<'_>, cluster: Option<&Cluster>, findings: &mut Findings) {
    for entry in &material.entries {
        common_name(entry, findings);
        if !entry.is_ca {
            alternative(entry, findings);
            kubelet(entry, findings);
        }
        if let Some(cluster) = cluster {
            addresses(material, entry, cluster, findings);
        }
    }
}

fn common_name(entry: &Entry<'_>, findings: &mut Findings) {
    let (certificate, place) = (entry.found.certificate, &entry.found.place);
    for name in &certificate.subject.common_names {
        let length = name.chars().count();
        if length > MAX_COMMON_NAME {
            findings.add(&COMMON_NAME_LENGTH, place, format!("{name}: {length} characters"));
        }
        let host = name.strip_prefix(NODE).or_else(|| name.strip_prefix("kubelet:"));
        if let Some(host) = host.filter(|host| has_upper_case(host)) {
            findings.add(&UPPER_CASE, place, format!("{host} in the common name {name}"));
        }
    }
}

fn has_upper_case(text: &str) -> bool {
    text.chars().any(char::is_uppercase)
}

fn alternative(entry: &Entry<'_>, findings: &mut Findings) {
    let (certificate, place) = (entry.found.certificate, &entry.found.place);
    let serves = entry.purpose.serves()
        || (entry.purpose == Purpose::Unknown
            && certificate.has_extended_usage("serverAuth")
            && !certificate.has_extended_usage("clientAuth"));
    if serves && certificate.names.is_empty() {
        findings.add(&NO_SUBJECT_ALTERNATIVE, place, certificate.subject.text.as_str());
    }
    for name in &certificate.names {
        if name.address_in_a_dns_name().is_some() {
            findings.add(&ADDRESS_AS_DNS, place, name.to_string());
        }
        if let SubjectAltName::Dns(name) = name
            && has_upper_case(name)
        {
            findings.add(&UPPER_CASE, place, name.as_str());
        }
    }
}

fn kubelet(entry: &Entry<'_>, findings: &mut Findings) {
    if entry.purpose != Purpose::KubeletServer {
        return;
    }
    let (certificate, place) = (entry.found.certificate, &entry.found.place);
    let user = certificate.account().user;
    let Some(host) = user.strip_prefix(NODE) else {
        return findings.add(&KUBELET_SERVING, place, user);
    };
    let Ok(address) = Address::parse(&host.to_lowercase()) else { return };
    // A certificate without any name is reported by NO_SUBJECT_ALTERNATIVE.
    if !certificate.names.is_empty() && !certificate.names_address(&address) {
        let names: Vec<String> = certificate.names.iter().map(ToString::to_string).collect();
        findings.add(&HOST_MISSING, place, format!("{host} is not among {}", names.join(", ")));
    }
}

/// Compares a server's certificate with the cluster file.
fn addresses(material: &Material<'_>, entry: &Entry<'_>, cluster: &Cluster, findings: &mut Findings) {
    let (certificate, place) = (entry.found.certificate, &entry.found.place);
    if certificate.names.is_empty() || entry.is_ca {
        return;
    }
    let profile = match entry.purpose {
        Purpose::ApiServer => Profile::Apiserver,
        Purpose::KubeletServer => Profile::KubeletServer,
        Purpose::EtcdMember => Profile::EtcdServer,
        Purpose::Server | Purpose::Client | Purpose::Unknown => return,
    };
    let named = |host: &&Host| is_of_host(material, entry, host.name.as_str());
    let specs = match profile {
        Profile::KubeletServer => cluster.nodes.iter().find(named).map(|node| cluster.node_specs(node)),
        _ => cluster.masters.iter().find(named).map(|master| cluster.master_specs(master)),
    };
    let Some(spec) = specs.and_then(|specs| specs.into_iter().find(|spec| spec.profile == profile)) else { return };
    let missing: Vec<String> =
        spec.names.iter().filter(|name| !certificate.names_address(name)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        findings.add(&ADDRESS_MISSING, place, format!("{} is not in it", missing.join(", ")));
    }
}

/// Returns true if a certificate is that of a host: by its common name, or by a folder of that name.
fn is_of_host(material: &Material<'_>, entry: &Entry<'_>, host: &str) -> bool {
    let user = entry.found.certificate.account().user;
    let name = user.strip_prefix(NODE).unwrap_or(&user);
    let is_in_folder = |path: &std::path::Path| path.iter().any(|part| part.to_str() == Some(host));
    let fingerprint = entry.found.certificate.fingerprint();
    let mut places = material.places.iter().filter(|(_, one)| one.certificate.fingerprint() == fingerprint);
    name == host || places.any(|(_, one)| is_in_folder(one.path))
}
