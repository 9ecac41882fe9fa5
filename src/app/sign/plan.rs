//! Checks requests and signs them.

use super::certify::{self, Made};
use super::error::SignError;
use super::judge::{self, Accepted, Records};
use super::options::SignOptions;
use super::read;
use super::report::{SignReport, SignedCertificate};
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::revoke::check_ledger_is_current;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::issuer::Issuer;
use crate::store::ledger::Ledger;
use crate::store::lock::Lock;
use crate::store::service_account;

/// A preview of the certificates that would be signed.
#[derive(Debug)]
pub struct SignPreview {
    accepted: Vec<Accepted>,
}

impl SignPreview {
    /// Returns the requested and the granted content of each certificate.
    pub fn certificates(&self) -> impl Iterator<Item = &SignedCertificate> {
        self.accepted.iter().map(|one| &one.row)
    }
}

/// Reads and checks requests, and changes nothing.
///
/// # Errors
/// Returns [`SignError::Refused`] with all requests that are refused, or an error if there is no CA, or the ledger is
/// not current.
pub fn preview(options: &SignOptions, cluster: &Cluster, env: &Env) -> Result<SignPreview, Error> {
    judged(options, cluster, env).map(|(preview, ..)| preview)
}

fn judged(options: &SignOptions, cluster: &Cluster, env: &Env) -> Result<(SignPreview, Ledger, CaSet), Error> {
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    check_ledger_is_current(&env.layout, &cas, &ledger, env.now)?;
    let (found, mut refused) = read::read(&options.files)?;
    let discarded = ledger.discarded_keys()?;
    let service_accounts = service_account::public_keys(&env.layout)?;
    let records =
        Records { ledger: &ledger, layout: &env.layout, discarded: &discarded, service_accounts: &service_accounts };
    let (accepted, others) = judge::judge(found, options, (cluster, env.now), &records, &cas)?;
    refused.extend(others);
    if !refused.is_empty() {
        return Err(SignError::Refused(refused).into());
    }
    Ok((SignPreview { accepted }, ledger, cas))
}

/// The plan for signing requests. It holds the lock of the cluster directory.
#[derive(Debug)]
pub struct SignPlan<'a> {
    preview: SignPreview,
    env: &'a Env,
    ledger: Ledger,
    cas: CaSet,
    _lock: Lock,
}

/// Locks the cluster directory, and reads and checks requests.
///
/// # Errors
/// Returns the errors of [`preview`], or an error if the directory cannot be locked.
pub fn plan<'a>(
    options: &SignOptions,
    cluster: &Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<SignPlan<'a>, Error> {
    let lock = directory::lock(env, "sign", observer)?;
    let (preview, ledger, cas) = judged(options, cluster, env)?;
    Ok(SignPlan { preview, env, ledger, cas, _lock: lock })
}

impl SignPlan<'_> {
    /// Returns the preview of the plan.
    #[must_use]
    pub fn preview(&self) -> &SignPreview {
        &self.preview
    }

    /// Returns the CAs whose keys are needed.
    #[must_use]
    pub fn signers(&self) -> Vec<CaRole> {
        let mut roles: Vec<CaRole> = self.preview.accepted.iter().map(|one| one.spec.policy().signed_by).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// Signs all requests, records the certificates, and writes each host's folder without keys.
    ///
    /// `issuers` are the CAs of [`Self::signers`].
    ///
    /// # Errors
    /// Returns an error if a certificate cannot be issued, or the ledger or a file cannot be written.
    pub fn apply(self, issuers: &[Issuer]) -> Result<SignReport, Error> {
        let Self { preview, env, mut ledger, cas, _lock } = self;
        let (mut rows, mut made): (Vec<SignedCertificate>, Vec<Made>) = (Vec::new(), Vec::new());
        for accepted in preview.accepted {
            let mut row = accepted.row.clone();
            let certificate = certify::make(&accepted.spec, accepted.request, issuers, env.now)?;
            let signed = certificate.get();
            row.signed = Some((signed.serial.clone(), signed.fingerprint(), signed.not_after));
            made.push(Made { host: row.host.clone(), spec: accepted.spec, certificate });
            rows.push(row);
        }
        certify::write(made, &[], env, &mut ledger, &cas, true)?;
        Ok(SignReport { certificates: rows })
    }
}
