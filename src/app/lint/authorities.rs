//! CAs: whether they may sign, and whether each has a name and a role of its own.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use time::OffsetDateTime;

use super::finding::Findings;
use super::material::{Entry, LONGEST_PATH, Material, distinct};
use super::rules::ca::{
    BASIC_CONSTRAINTS, CRL_SIGN, EXTENDED_USAGE, IDENTIFIER_MISSING, KEY_USAGE, NO_KEY_USAGE, NOT_CRITICAL,
    PATH_LENGTH, SAME_NAME, SEVERAL_ROLES,
};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::lint::ca_violations;
use crate::pki::violation::Violation;

pub(super) fn check(material: &Material<'_>, now: OffsetDateTime, findings: &mut Findings) {
    for ca in material.entries.iter().filter(|entry| entry.is_ca) {
        form(ca, now, findings);
    }
    for entry in &material.entries {
        path_length(material, entry, findings);
        usages(material, entry, findings);
    }
    names(material, findings);
    roles(material, findings);
}

/// Reports what keeps a CA from signing, or makes it unusual.
fn form(ca: &Entry<'_>, now: OffsetDateTime, findings: &mut Findings) {
    let (certificate, place) = (ca.found.certificate, &ca.found.place);
    let subject = &certificate.subject.text;
    for violation in ca_violations(certificate, now) {
        let rule = match violation {
            Violation::OldVersion(_) | Violation::NoBasicConstraints | Violation::NotACa => &BASIC_CONSTRAINTS,
            Violation::NotCritical(_) => &NOT_CRITICAL,
            Violation::NoCertSign => &KEY_USAGE,
            Violation::NoKeyUsage => &NO_KEY_USAGE,
            _ => continue,
        };
        findings.add(rule, place, format!("{subject}: {violation}"));
    }
    if certificate.version < 3 {
        return;
    }
    if certificate.key_usage.is_some_and(|usage| usage.cert_sign) && !certificate.can_sign_crls() {
        findings.add(&CRL_SIGN, place, subject.as_str());
    }
    if certificate.subject_key_id.is_none() {
        findings.add(&IDENTIFIER_MISSING, place, subject.as_str());
    }
}

/// Returns the CAs above a certificate, from its issuer on.
fn above<'m, 's>(material: &'m Material<'s>, entry: &'m Entry<'s>) -> Vec<&'m Entry<'s>> {
    let mut path: Vec<&Entry<'_>> = Vec::new();
    let mut at = entry;
    while let Some(issuer) = material.issuer_of(at).filter(|_| path.len() < LONGEST_PATH) {
        path.push(issuer);
        at = issuer;
    }
    path
}

/// Reports a CA whose path length is less than the number of CAs below it.
fn path_length(material: &Material<'_>, entry: &Entry<'_>, findings: &mut Findings) {
    if entry.is_ca && entry.issuer.is_none() {
        return;
    }
    // An intermediate counts, too: certificates of servers and clients are issued below it.
    let between = usize::from(entry.is_ca);
    for (below, ca) in above(material, entry).into_iter().enumerate() {
        let allowed = ca.found.certificate.basic_constraints.and_then(|constraints| constraints.path_len);
        let below = below + between;
        if let Some(allowed) = allowed.filter(|allowed| below as u64 > u64::from(*allowed)) {
            let observed =
                format!("{} allows {allowed} CAs below it, and has {below}", ca.found.certificate.subject.text);
            findings.add(&PATH_LENGTH, &ca.found.place, observed);
        }
    }
}

/// Reports a CA whose extended key usages exclude one of a certificate below it.
fn usages(material: &Material<'_>, entry: &Entry<'_>, findings: &mut Findings) {
    if entry.is_ca {
        return;
    }
    for ca in above(material, entry) {
        let allowed = ca.found.certificate.extended_key_usage.as_deref().unwrap_or_default();
        if allowed.is_empty() || allowed.iter().any(|usage| usage == "anyExtendedKeyUsage") {
            continue;
        }
        let excluded = entry.found.certificate.extended_key_usage.iter().flatten();
        for usage in excluded.filter(|usage| !allowed.contains(usage)) {
            let name = &ca.found.certificate.subject.text;
            findings.add(
                &EXTENDED_USAGE,
                &ca.found.place,
                format!("{name} allows {}, not {usage}", allowed.join(" + ")),
            );
        }
    }
}

/// Reports CAs with the same subject and different keys.
fn names(material: &Material<'_>, findings: &mut Findings) {
    let mut by_name: BTreeMap<&[u8], Vec<&Entry<'_>>> = BTreeMap::new();
    let cas = material.entries.iter().filter(|entry| entry.is_ca);
    cas.for_each(|ca| by_name.entry(&ca.found.certificate.subject.der).or_default().push(ca));
    for cas in by_name.into_values() {
        let keys = distinct(cas.iter().map(|ca| ca.found.certificate.spki_fingerprint()));
        if keys.len() < 2 {
            continue;
        }
        let first = cas[0].found.certificate.spki_fingerprint();
        for other in cas.iter().filter(|ca| ca.found.certificate.spki_fingerprint() != first) {
            let name = &other.found.certificate.subject.text;
            let observed = format!("{name} is the subject of the CA in {}, too", cas[0].found.place.file);
            findings.add(&SAME_NAME, &other.found.place, observed);
        }
    }
}

/// The role of a CA, recognized by the path of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileRole {
    Cluster,
    Etcd,
    FrontProxy,
}

fn role_of(path: &Path) -> Option<FileRole> {
    let stem = path.file_stem()?.to_string_lossy().to_lowercase();
    let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().to_lowercase());
    let is_ca = stem == "ca" || stem.ends_with("-ca");
    Some(match (folder.as_deref(), stem.as_str()) {
        _ if !is_ca => return None,
        (_, "front-proxy-ca" | "request-header-ca" | "aggregator-ca") | (Some("front-proxy"), "ca") => {
            FileRole::FrontProxy
        }
        (Some("etcd"), _) => FileRole::Etcd,
        (_, stem) if stem.contains("etcd") => FileRole::Etcd,
        (_, "ca" | "client-ca" | "server-ca" | "kubernetes-ca") => FileRole::Cluster,
        _ => return None,
    })
}

/// Reports a CA whose key is in files of several roles.
fn roles(material: &Material<'_>, findings: &mut Findings) {
    let mut of_cluster: HashMap<Fingerprint, &str> = HashMap::new();
    let key = |index: usize| material.entries[index].found.certificate.spki_fingerprint();
    // A user's certificate in a kubeconfig is at the path of the kubeconfig, which says nothing of its role.
    let cas = || {
        material.places.iter().filter(|(index, one)| material.entries[*index].is_ca && one.is_first && !one.is_of_user)
    };
    for (index, one) in cas().filter(|(_, one)| role_of(one.path) == Some(FileRole::Cluster)) {
        of_cluster.entry(key(*index)).or_insert(&one.place.file);
    }
    for (index, one) in cas() {
        let Some(role @ (FileRole::Etcd | FileRole::FrontProxy)) = role_of(one.path) else { continue };
        if let Some(other) = of_cluster.get(&key(*index)) {
            let role = if role == FileRole::Etcd { "etcd" } else { "the front proxy" };
            findings.add(&SEVERAL_ROLES, &one.place, format!("the CA of {role} is that of the cluster in {other}"));
        }
    }
}
