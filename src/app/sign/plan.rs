//! Plans which requests are signed, and signs them.

use super::error::SignError;
use super::judge::{self, Accepted, Records};
use super::options::SignOptions;
use super::read;
use super::report::{SignReport, SignedCertificate};
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::issue::IssuanceError;
use crate::app::observer::Observer;
use crate::app::revoke::check_ledger_is_current;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::issuer::{Issued, Issuer, SubjectKey};
use crate::pki::verified::Verified;
use crate::store::credentials;
use crate::store::issuance::{self, IssuanceContext};
use crate::store::ledger::Ledger;
use crate::store::lock::Lock;
use crate::store::service_account;
use crate::store::signed::{self, SignedHost};

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
    let records = Records {
        ledger: &ledger,
        layout: &env.layout,
        discarded: ledger.discarded_keys()?,
        service_accounts: service_account::public_key(&env.layout),
    };
    let (accepted, others) = judge::judge(found, options, cluster, &records, &cas)?;
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
        let (mut rows, mut hosts): (Vec<SignedCertificate>, Vec<SignedHost>) = (Vec::new(), Vec::new());
        let mut deleted_keys = Vec::new();
        for accepted in preview.accepted {
            let (mut row, profile) = (accepted.row.clone(), accepted.spec.profile);
            if let (Some(_), Ok(old)) = (&row.replaced_key, credentials::read_certificate(&env.layout, &accepted.spec))
            {
                deleted_keys.push((row.host.to_string(), old.fingerprint()));
            }
            let Some(made) = sign(accepted, issuers, env)? else { continue };
            let certificate = made.get();
            row.signed = Some((certificate.serial.clone(), certificate.fingerprint(), certificate.not_after));
            match hosts.iter_mut().find(|one| one.host == row.host) {
                Some(host) => host.certificates.push((profile, made)),
                None => hosts.push(SignedHost { host: row.host.clone(), certificates: vec![(profile, made)] }),
            }
            rows.push(row);
        }
        issuance::prepare(&env.layout)?;
        issuance::sweep(&env.layout)?;
        let context = IssuanceContext { cas: &cas, now: env.now, by: &env.actor };
        ledger.record_discarded_keys(&deleted_keys, &env.audit())?;
        signed::write(&env.layout, &mut ledger, &hosts, &context)?;
        Ok(SignReport { certificates: rows })
    }
}

fn sign(accepted: Accepted, issuers: &[Issuer], env: &Env) -> Result<Option<Verified<Certificate>>, IssuanceError> {
    let Accepted { spec, request, .. } = accepted;
    let role = spec.policy().signed_by;
    let issuer = issuers.iter().find(|issuer| issuer.ca().role() == role);
    let issuer = issuer.ok_or_else(|| IssuanceError::NoIssuer { role, credential: (&spec).into() })?;
    let issued = issuer
        .prepare(&spec, SubjectKey::FromRequest(Box::new(request)), env.now)
        .and_then(|token| issuer.issue(token))
        .map_err(|source| IssuanceError::Certificate { credential: (&spec).into(), source })?;
    Ok(match issued {
        Issued::Certificate(certificate) => Some(certificate),
        Issued::Credential(_) => None,
    })
}
