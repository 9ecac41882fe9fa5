//! Checks requests against the cluster file and the ledger.

use std::collections::HashSet;

use time::OffsetDateTime;

use super::error::{RefusedRequest, RequestProblem};
use super::host_key;
use super::options::SignOptions;
use super::read::ParsedRequest;
use super::report::{Asked, EarlierCertificate, Granted, SignedCertificate};
use crate::app::issue::CredentialName;
use crate::app::renewal;
use crate::cluster::account::AccountScheme;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CertificateSpec, Holder, Profile, TABLE};
use crate::cluster::similar::nearest;
use crate::cluster::spec::{Cluster, Host};
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;
use crate::pki::request::{CertificateRequest, VerifiedRequest};
use crate::sanitize::sanitized;
use crate::store::credentials;
use crate::store::error::StoreError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;

/// A request that may be signed.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) row: SignedCertificate,
    pub(super) spec: CertificateSpec,
    pub(super) request: VerifiedRequest,
}

/// Checks all requests, and returns those that may be signed and those that are refused.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn judge(
    found: Vec<ParsedRequest>,
    options: &SignOptions,
    (cluster, now): (&Cluster, OffsetDateTime),
    records: &Records<'_>,
    cas: &CaSet,
) -> Result<(Vec<Accepted>, Vec<RefusedRequest>), StoreError> {
    let (mut accepted, mut refused): (Vec<Accepted>, Vec<RefusedRequest>) = (Vec::new(), Vec::new());
    for ParsedRequest { file, number, request, signed } in found {
        let mut host_key = None;
        let (spec, mut problems) = target(&request, options, cluster);
        if let Some(spec) = &spec {
            problems.extend(problems_of(&request, spec, cluster, records)?);
            if let Some(host) = spec.host.as_ref().and_then(|host| cluster.node(host.as_str())) {
                match host_key::compare(signed.as_ref(), host, options, cluster, cas) {
                    Ok(evidence) => host_key = evidence,
                    Err(found) => problems.extend(found),
                }
            }
        }
        let earlier = || accepted.iter();
        if earlier().any(|one| one.row.asked.public_key == request.spki_fingerprint) {
            problems.push(RequestProblem::KeyTwice);
        }
        if let Some(spec) = spec.as_ref().filter(|spec| earlier().any(|one| same(&one.spec, spec))) {
            problems.push(RequestProblem::Twice(CredentialName::from(spec)));
        }
        let asked = Asked::of(&request);
        match (VerifiedRequest::verify(request), spec) {
            (Ok(request), Some(spec)) if problems.is_empty() => {
                let Some(host) = spec.host.clone() else { continue };
                let (profile, granted) = (spec.profile, Granted::of(&spec));
                let replaced_key = credentials::key_file(records.layout, &spec);
                let earlier = records.earlier(asked.public_key, &spec, (cluster, now))?;
                let row = SignedCertificate {
                    file,
                    host,
                    profile,
                    asked,
                    granted,
                    host_key,
                    earlier,
                    replaced_key,
                    signed: None,
                };
                accepted.push(Accepted { row, spec, request });
            }
            (verified, _) => {
                let unproven = verified.err().map(RequestProblem::Unproven);
                let problems = unproven.into_iter().chain(problems).collect();
                refused.push(RefusedRequest { file, number: Some(number), problems });
            }
        }
    }
    Ok((accepted, refused))
}

fn same(one: &CertificateSpec, other: &CertificateSpec) -> bool {
    one.host == other.host && one.profile == other.profile
}

/// Returns the specification of the certificate that a request is for, according to the cluster file.
fn target(
    request: &CertificateRequest,
    options: &SignOptions,
    cluster: &Cluster,
) -> (Option<CertificateSpec>, Vec<RequestProblem>) {
    let mut problems = Vec::new();
    let host = match options.host.as_ref().map(ToString::to_string).or_else(|| named_host(request)) {
        None => Err(RequestProblem::NoHost),
        Some(name) => cluster.node(&name).ok_or_else(|| unknown(&name, cluster)),
    };
    let profile = options.profile.or_else(|| named_profile(request)).ok_or(RequestProblem::NoProfile);
    match (host, profile) {
        (Ok(host), Ok(profile)) => (spec_of(cluster, host, profile), problems),
        (host, profile) => {
            problems.extend(host.err());
            problems.extend(profile.err());
            (None, problems)
        }
    }
}

pub(in crate::app) fn spec_of(cluster: &Cluster, host: &Host, profile: Profile) -> Option<CertificateSpec> {
    cluster.node_specs(host).into_iter().find(|spec| spec.profile == profile)
}

/// Returns the host in the common name, with or without the prefix of an account.
fn named_host(request: &CertificateRequest) -> Option<String> {
    let [name] = request.subject.common_names.as_slice() else { return None };
    let bare = AccountScheme::ALL.iter().find_map(|scheme| name.strip_prefix(scheme.prefix()));
    Some(bare.unwrap_or(name).to_owned())
}

/// Returns why a request of a host that is no node of the cluster file is refused.
pub(in crate::app) fn unknown(name: &str, cluster: &Cluster) -> RequestProblem {
    if let Some(master) = cluster.masters.iter().find(|master| master.name.as_str() == name) {
        return RequestProblem::Master(master.name.clone());
    }
    let similar = nearest(name, cluster.nodes.iter().map(|host| host.name.as_str())).map(str::to_owned);
    RequestProblem::UnknownHost { name: sanitized(name), similar }
}

/// Returns the node profile with the usage that a request asks for.
fn named_profile(request: &CertificateRequest) -> Option<Profile> {
    let [usage] = request.extended_key_usage.as_slice() else { return None };
    let row = TABLE.iter().find(|row| row.holder == Holder::Node && row.usage.names() == [usage.as_str()])?;
    Some(row.profile)
}

/// Returns a problem for everything that a request asks for and the cluster file does not grant to its host.
fn more_than_granted(request: &CertificateRequest, spec: &CertificateSpec, cluster: &Cluster) -> Vec<RequestProblem> {
    let Some(host) = spec.host.as_ref() else { return Vec::new() };
    let accounts = AccountScheme::ALL.map(|scheme| scheme.account(host));
    let is_own = |user: &str| user == host.as_str() || accounts.iter().any(|account| account.user == user);
    let is_own_group = |group: &str| accounts.iter().any(|account| account.group.as_deref() == Some(group));
    let users = request.subject.common_names.iter().filter(|user| !user.is_empty() && !is_own(user));
    let groups = request.subject.organizations.iter().filter(|group| !is_own_group(group));
    let known = names_of(cluster, host);
    let names = request.names.iter().map(ToString::to_string);
    let usages = request.extended_key_usage.iter().filter(|one| !spec.policy().usage.names().contains(&one.as_str()));
    let usage = |usage: &String| RequestProblem::OtherUsage { usage: usage.clone(), profile: spec.profile };
    let mut problems: Vec<RequestProblem> = users.map(|user| RequestProblem::OtherUser(sanitized(user))).collect();
    problems.extend(groups.map(|group| RequestProblem::OtherGroup(sanitized(group))));
    let others = names.filter(|name| !known.contains(&name.to_ascii_lowercase()));
    problems.extend(others.map(|name| RequestProblem::OtherName(sanitized(&name))));
    problems.extend(usages.map(usage));
    problems.extend(request.asks_for_ca.then_some(RequestProblem::Ca));
    problems
}

/// Returns the names and addresses of a node's serving certificate.
fn names_of(cluster: &Cluster, host: &HostName) -> Vec<String> {
    let spec = cluster.node(host.as_str()).and_then(|host| spec_of(cluster, host, Profile::KubeletServer));
    spec.map(|spec| spec.names.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

/// Compares a request with the certificate that its host may have for a purpose, and its key with the ledger.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn problems_of(
    request: &CertificateRequest,
    spec: &CertificateSpec,
    cluster: &Cluster,
    records: &Records<'_>,
) -> Result<Vec<RequestProblem>, StoreError> {
    let mut problems = more_than_granted(request, spec, cluster);
    problems.extend(records.problems(request, spec)?);
    Ok(problems)
}

/// The records that determine the owner of a public key.
pub(in crate::app) struct Records<'a> {
    pub(in crate::app) ledger: &'a Ledger,
    pub(in crate::app) layout: &'a Layout,
    /// The certificates whose keys were generated in the directory and deleted on purpose.
    pub(in crate::app) discarded: &'a HashSet<Fingerprint>,
    /// The keys that sign or verify service account tokens, by their public keys.
    pub(in crate::app) service_accounts: &'a [Fingerprint],
}

impl Records<'_> {
    /// Returns the newest certificate of this key and purpose that is neither expired nor revoked.
    fn earlier(
        &self,
        key: Fingerprint,
        spec: &CertificateSpec,
        (cluster, now): (&Cluster, OffsetDateTime),
    ) -> Result<Option<EarlierCertificate>, StoreError> {
        let is_earlier = |issued: &IssuedCertificate| {
            let is_own = issued.host.as_deref() == spec.host.as_ref().map(HostName::as_str);
            is_own && issued.profile == spec.policy().name && issued.revocation.is_none() && issued.not_after > now
        };
        let Some(issued) = self.ledger.by_public_key(key)?.into_iter().rev().find(is_earlier) else { return Ok(None) };
        let Some(record) = self.ledger.certificate_record(issued.fingerprint)? else { return Ok(None) };
        let not_before = Certificate::from_der(record.der).map_or(record.issued_at, |one| one.not_before);
        let renewed_from = renewal::starts(cluster, spec.lifetime.duration(), not_before, issued.not_after);
        Ok(Some(EarlierCertificate {
            serial: issued.serial,
            issued_at: record.issued_at,
            not_after: issued.not_after,
            is_due: renewed_from <= now,
        }))
    }

    /// Returns a problem for each certificate with the same public key that was revoked, belongs to another holder, or
    /// whose key was generated in the directory.
    fn problems(
        &self,
        request: &CertificateRequest,
        spec: &CertificateSpec,
    ) -> Result<Vec<RequestProblem>, StoreError> {
        let host = spec.host.as_ref().map(HostName::as_str);
        let is_stored = || {
            let stored = credentials::read(self.layout, spec).ok();
            stored.is_some_and(|stored| stored.credential.key.fingerprint() == request.spki_fingerprint)
        };
        let mut problems = Vec::new();
        if self.service_accounts.contains(&request.spki_fingerprint) {
            problems.push(RequestProblem::KeyOfServiceAccounts);
        }
        for issued in self.ledger.by_public_key(request.spki_fingerprint)? {
            let is_own = issued.host.as_deref() == host && issued.profile == spec.policy().name;
            let serial = issued.serial;
            match issued.revocation {
                // Another certificate of the same key replaced it.
                Some(Revocation { reason: Reason::Superseded, .. }) if is_own => {}
                Some(Revocation { reason, .. }) => problems.push(RequestProblem::KeyRevoked { serial, reason }),
                None if !is_own => {
                    let (host, profile) = (issued.host, issued.profile);
                    problems.push(RequestProblem::KeyOfAnother { host, profile, serial });
                }
                None if self.discarded.contains(&issued.fingerprint) || is_stored() => {
                    problems.push(RequestProblem::KeyMadeHere { serial });
                }
                None => {}
            }
        }
        Ok(problems)
    }
}
