//! Extended key usages, compared with the purpose of a certificate, and the group `system:masters`.

use super::finding::Findings;
use super::material::{Entry, Material};
use super::purpose::Purpose;
use super::rules::name::{
    SYSTEM_MASTERS, USAGE_ANY, USAGE_BOTH, USAGE_ETCD, USAGE_MISSING, USAGE_NOT_CLIENT, USAGE_NOT_SERVER,
};
use crate::cluster::profile;

pub(super) fn check(material: &Material<'_>, findings: &mut Findings) {
    for entry in material.entries.iter().filter(|entry| !entry.is_ca) {
        usage(entry, findings);
        let certificate = entry.found.certificate;
        let is_client = entry.purpose == Purpose::Client
            || certificate.extended_key_usage.is_none()
            || ["clientAuth", "anyExtendedKeyUsage"].iter().any(|usage| certificate.has_extended_usage(usage));
        let is_master = certificate.subject.organizations.iter().any(|group| group == profile::SYSTEM_MASTERS);
        if is_client && is_master {
            findings.add(&SYSTEM_MASTERS, &entry.found.place, certificate.subject.text.as_str());
        }
    }
}

fn usage(entry: &Entry<'_>, findings: &mut Findings) {
    let (certificate, place) = (entry.found.certificate, &entry.found.place);
    let name = certificate.subject.text.as_str();
    let Some(usages) = &certificate.extended_key_usage else {
        return findings.add(&USAGE_MISSING, place, name);
    };
    let has = |usage: &str| certificate.has_extended_usage(usage);
    let observed = format!("{name}: {}", usages.join(" + "));
    if has("anyExtendedKeyUsage") {
        return findings.add(&USAGE_ANY, place, observed);
    }
    match (entry.purpose, has("serverAuth"), has("clientAuth")) {
        (Purpose::EtcdMember, true, true) => {}
        (Purpose::EtcdMember, _, _) => findings.add(&USAGE_ETCD, place, observed),
        (_, true, true) => findings.add(&USAGE_BOTH, place, observed),
        (purpose, false, _) if purpose.serves() => findings.add(&USAGE_NOT_SERVER, place, observed),
        (Purpose::Client, _, false) => findings.add(&USAGE_NOT_CLIENT, place, observed),
        _ => {}
    }
}
