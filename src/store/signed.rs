//! Writes certificates for keys that only their hosts have: first the ledger, then each host's folder atomically.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::error::StoreError;
use super::files::{self, PUBLIC};
use super::issuance::IssuanceContext;
use super::layout::Layout;
use super::ledger::AuditContext;
use super::ledger::Ledger;
use super::ledger::certificates::Entry;
use super::ledger::enrolments::EnrolmentRecord;
use super::staged::StagedFolder;
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::pki::certificate::Certificate;
use crate::pki::verified::Verified;

/// The certificates that were signed for one host.
#[derive(Debug)]
pub struct SignedHost {
    /// The host.
    pub host: HostName,
    /// The certificates, each profile once, at least one.
    pub certificates: Vec<(Profile, Verified<Certificate>)>,
}

/// Records certificates, all or none, and then writes each host's folder without keys.
///
/// `requests` are the hosts' requests for these certificates, if there were any.
///
/// Keys of earlier certificates of the same profiles are removed: they no longer match the new certificates.
///
/// # Errors
/// Returns the ledger's or the system's error. The ledger may then have certificates that are in no file.
pub fn write(
    layout: &Layout,
    ledger: &mut Ledger,
    signed: &[SignedHost],
    requests: &[EnrolmentRecord],
    context: &IssuanceContext<'_>,
) -> Result<(), StoreError> {
    let entry = |host, profile: Profile, certificate| Entry {
        certificate,
        profile: profile.policy().name,
        host: Some(host),
        issuer: context.cas.of(profile.policy().signed_by).ca_of(certificate).certificate(),
    };
    let entries: Vec<Entry<'_>> = signed
        .iter()
        .flat_map(|one| one.certificates.iter().map(|(profile, made)| entry(one.host.as_str(), *profile, made.get())))
        .collect();
    ledger.record_signed(&entries, requests, &AuditContext { at: context.now, by: context.by })?;
    let signed = signed.iter().filter_map(|one| Some((one, one.certificates.first()?.0)));
    // Sequentially, because the kernel creates only one folder at a time in a parent folder, and waiting threads would
    // only spin.
    let begin = |(one, first): (_, Profile)| {
        let one: &SignedHost = one;
        StagedFolder::begin(&layout.holder_folder(first, Some(&one.host))).map(|folder| (folder, one))
    };
    let created: Vec<(StagedFolder, &SignedHost)> = signed.map(begin).collect::<Result<_, _>>()?;
    let staged = created.into_par_iter().map(|(folder, one)| fill(folder, one, context));
    let staged: Vec<StagedFolder> = staged.collect::<Result<_, _>>()?;
    // The content is durable before the names change.
    files::sync_all(&layout.pki())?;
    staged.into_iter().try_for_each(StagedFolder::publish)?;
    files::sync_all(&layout.pki())
}

/// Writes a host's certificates into its folder, which has a temporary name.
fn fill(staged: StagedFolder, signed: &SignedHost, context: &IssuanceContext<'_>) -> Result<StagedFolder, StoreError> {
    for (profile, made) in &signed.certificates {
        let certificate = made.get();
        let chain = context.cas.of(profile.policy().signed_by).ca_of(certificate).chain();
        let pem: String = [certificate].into_iter().chain(chain).map(Certificate::to_pem).collect();
        staged.add(&format!("{}.crt", profile.policy().name), pem.as_bytes(), PUBLIC)?;
    }
    let is_replaced = |name: &str| {
        let name = name.strip_suffix(".crt").or_else(|| name.strip_suffix(".key"));
        name.is_some_and(|name| signed.certificates.iter().any(|(profile, _)| profile.policy().name == name))
    };
    staged.keep_others(is_replaced)?;
    Ok(staged)
}
