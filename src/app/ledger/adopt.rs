//! Records certificates in the ledger that a CA of the directory issued without clusterctl.

use std::collections::HashSet;

use super::adopt_files::{self, FoundCertificate, SkipReason, Skipped};
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::inspect::InputFile;
use crate::app::revoke::certificates::{OwnCertificate, UNKNOWN_PROFILE};
use crate::cluster::address::Address;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Holder, Policy, Profile, TABLE};
use crate::cluster::spec::{Cluster, Host};
use crate::pki::certificate::{Certificate, Serial, SubjectAltName};
use crate::pki::fingerprint::Fingerprint;
use crate::store::ledger::certificates::IssuedCertificate;

/// The file names of etcd's certificates in kubeadm and k3s. Their subjects do not identify the profile.
const FILE_NAMES: [(&str, Profile); 5] = [
    ("server", Profile::EtcdServer),
    ("server-client", Profile::EtcdServer),
    ("peer", Profile::EtcdPeer),
    ("peer-server-client", Profile::EtcdPeer),
    ("healthcheck-client", Profile::EtcdHealthcheckClient),
];

/// Options of recording certificates that were issued elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptOptions {
    /// Files and folders: PEM, DER, kubeconfigs, the output of `kubectl get csr -o json`, recordings of `verify`.
    pub files: Vec<InputFile>,
    /// The host, for certificates of hosts that do not name their host.
    pub host: Option<HostName>,
}

/// A certificate that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedCertificate {
    /// The file that it was read from.
    pub file: String,
    /// Its record in the ledger.
    pub issued: IssuedCertificate,
}

/// The certificates that were recorded, and those that were not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptReport {
    /// The certificates that were recorded.
    pub adopted: Vec<AdoptedCertificate>,
    /// The number of certificates that the ledger had already.
    pub known: usize,
    /// The certificates and files that were not recorded, and why.
    pub skipped: Vec<Skipped>,
}

impl AdoptReport {
    /// Returns true if no file has a certificate that can be recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.adopted.is_empty() && self.known == 0
    }
}

/// Records the certificates in files that a CA of the directory signed. Records that the ledger already has do not
/// change.
///
/// The caller has the directory's lock.
///
/// # Errors
/// Returns an error if a file that was named does not exist or cannot be read, or the directory or the ledger cannot be
/// used. In that case, nothing is recorded.
pub fn adopt(options: &AdoptOptions, env: &Env) -> Result<AdoptReport, Error> {
    let cluster = directory::cluster(&env.layout)?;
    let (mut ledger, cas) = directory::cas(&env.layout, &cluster)?;
    let (found, mut skipped) = adopt_files::read(&options.files)?;
    let of_directory: HashSet<Fingerprint> = CaRole::ALL
        .into_iter()
        .flat_map(|role| cas.of(role).all())
        .flat_map(|(ca, _)| ca.path())
        .map(Certificate::fingerprint)
        .collect();
    let mut seen = HashSet::new();
    let mut serials: HashSet<(Fingerprint, Serial)> = HashSet::new();
    let (mut own, mut known) = (Vec::new(), 0);
    for FoundCertificate { file, certificate, host } in found {
        let fingerprint = certificate.fingerprint();
        // Many files have the CA after the certificates that it signed.
        if of_directory.contains(&fingerprint) || !seen.insert(fingerprint) {
            continue;
        }
        let skip = |certificate: &Certificate, reason| Skipped {
            file: file.clone(),
            subject: Some(certificate.subject.text.clone()),
            serial: Some(certificate.serial.clone()),
            reason,
        };
        let issuer = certificate.issuer.text.clone();
        if certificate.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca) {
            skipped.push(skip(&certificate, SkipReason::Ca));
            continue;
        }
        let not_ours = skip(&certificate, SkipReason::OtherIssuer { issuer });
        let Some(mut one) = OwnCertificate::look_up(certificate, None, &cas, &ledger)? else {
            skipped.push(not_ours);
            continue;
        };
        if one.recorded {
            known += 1;
            continue;
        }
        complete(&mut one, &file, host, options, &cluster);
        let number = (one.issued.issuer, one.issued.serial.clone());
        if ledger.by_issuer_and_serial(number.0, &number.1)?.is_some() || !serials.insert(number) {
            skipped.push(skip(&one.certificate, SkipReason::SerialTaken));
            continue;
        }
        own.push((file, one));
    }
    // The ledger's order is that of issue.
    own.sort_by_key(|(_, one)| one.certificate.not_before);
    if !own.is_empty() {
        let entries: Vec<_> = own.iter().map(|(_, one)| one.entry(&cas)).collect();
        ledger.adopt(&entries, &env.audit())?;
    }
    let adopted = own.into_iter().map(|(file, one)| AdoptedCertificate { file, issued: one.issued }).collect();
    Ok(AdoptReport { adopted, known, skipped })
}

/// Completes the record of a certificate: its profile by the file's name, and its host.
fn complete(
    own: &mut OwnCertificate,
    file: &str,
    presented_by: Option<String>,
    options: &AdoptOptions,
    cluster: &Cluster,
) {
    if own.issued.profile == UNKNOWN_PROFILE
        && let Some(policy) = by_file_name(file, own)
    {
        policy.name.clone_into(&mut own.issued.profile);
    }
    let is_of_host = TABLE
        .iter()
        .find(|policy| policy.name == own.issued.profile)
        .is_some_and(|policy| matches!(policy.holder, Holder::Master | Holder::Node));
    if own.issued.host.is_none() && is_of_host {
        own.issued.host = named_host(&own.certificate, cluster)
            .map(ToString::to_string)
            .or(presented_by)
            .or_else(|| options.host.as_ref().map(ToString::to_string));
    }
}

/// Returns the profile that a file is named after, if the certificate has the profile's CA and usages.
fn by_file_name(file: &str, own: &OwnCertificate) -> Option<&'static Policy> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let alias = FILE_NAMES.iter().find(|(name, _)| *name == stem).map(|(_, profile)| profile.policy().name);
    let named = alias.unwrap_or(stem);
    let has = |usage: &&str| own.certificate.has_extended_usage(usage);
    TABLE.iter().find(|policy| {
        policy.name == named && policy.signed_by == own.signed_by && policy.usage.names().iter().all(has)
    })
}

/// Returns the host of the cluster file whose name or address is in a certificate, if it is exactly one.
fn named_host<'c>(certificate: &Certificate, cluster: &'c Cluster) -> Option<&'c HostName> {
    let is_in = |host: &Host| {
        certificate.names.iter().any(|name| match name {
            SubjectAltName::Dns(dns) => {
                *dns == *host.name.as_str()
                    || host.addresses.iter().any(|one| matches!(one, Address::Dns(one) if one.as_str() == dns))
            }
            SubjectAltName::Ip(ip) => host.addresses.iter().any(|one| one.ip() == Some(*ip)),
            SubjectAltName::Other(_) => false,
        })
    };
    let mut names: Vec<&HostName> =
        cluster.masters.iter().chain(&cluster.nodes).filter(|host| is_in(host)).map(|host| &host.name).collect();
    names.sort_unstable();
    names.dedup();
    match names[..] {
        [name] => Some(name),
        _ => None,
    }
}
