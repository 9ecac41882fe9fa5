//! Creates the CAs and the ledger, once.

use std::path::PathBuf;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::remedy::Remedy;
use crate::cluster::profile::{CaRole, TABLE};
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::{CaCertificate, Origin};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::{Credential, create_root};
use crate::pki::key::KeyError;
use crate::pki::passphrase::Passphrase;
use crate::store::ca::{self, CaError, NewCa};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;

/// How the private keys of new CAs are stored.
#[derive(Debug)]
pub enum KeyProtection {
    /// Encrypted with a passphrase (PKCS#8, scrypt).
    Passphrase(Passphrase),
    /// Not encrypted: protected by the mode of their files alone.
    None,
}

/// Errors of creating CAs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateCaError {
    /// A private key cannot be encrypted.
    #[error("the key could not be encrypted")]
    Encryption(#[source] KeyError),
}

impl CreateCaError {
    #[expect(clippy::unused_self, reason = "every error of a use case is asked for its remedy")]
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        None
    }
}

/// What was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaReport {
    /// The CAs, in the order of [`CaRole::ALL`].
    pub created: Vec<CreatedCa>,
    /// Whether their keys are encrypted.
    pub encrypted: bool,
}

/// One CA that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedCa {
    /// Its role.
    pub role: CaRole,
    /// Its common name.
    pub name: String,
    /// The file of its certificate.
    pub certificate: PathBuf,
    /// Its certificate expires at this time.
    pub not_after: OffsetDateTime,
    /// SHA-256 of its public key.
    pub pin: Fingerprint,
    /// SHA-256 of its certificate.
    pub fingerprint: Fingerprint,
}

/// Returns the roles that have no CA: all of them, or those that were not imported beside the cluster's.
///
/// # Errors
/// [`StoreError::Exists`] when no role is without a CA, or the cluster's was not imported; when a CA was lost, of which
/// the ledger has certificates.
pub fn missing(layout: &Layout) -> Result<Vec<CaRole>, Error> {
    let pki = layout.pki();
    if !files::exists(&pki) {
        return Ok(CaRole::ALL.to_vec());
    }
    let is_imported = ca::trust(layout, CaRole::Cluster).is_ok_and(|cas| cas.active().origin() == Origin::Imported);
    let absent = |role: &CaRole| is_imported && !files::exists(&layout.root_folder(*role));
    let missing: Vec<CaRole> = CaRole::ALL.into_iter().filter(absent).collect();
    if missing.is_empty() {
        return Err(StoreError::Exists(pki).into());
    }
    let ledger = Ledger::open_read_only(&layout.ledger())?;
    for row in TABLE.iter().filter(|row| missing.contains(&row.signed_by)) {
        if !ledger.accounts_of(row.name)?.is_empty() {
            let path = layout.root_certificate(row.signed_by);
            return Err(CaError::CertificateMissing(path.display().to_string()).into());
        }
    }
    Ok(missing)
}

/// Creates the CAs of all roles and the ledger of what they will sign; all of it appears, or nothing. Beside an imported
/// CA of the cluster, creates those of the other roles that have none.
///
/// The caller has the directory's lock.
///
/// # Errors
/// The errors of [`missing`]; when a key cannot be made or encrypted, or a file cannot be written.
pub fn create(env: &Env, cluster: &Cluster, protection: &KeyProtection) -> Result<CaReport, Error> {
    let roles = missing(&env.layout)?;
    let mut new = Vec::new();
    for role in &roles {
        let made = create_root(*role, &cluster.name, cluster.keys, cluster.validity.ca, env.now)?;
        let key_pem = key_pem(made.get(), protection)?;
        new.push(NewCa { kind: *role, made, key_pem });
    }
    if roles.contains(&CaRole::Cluster) {
        ca::create_all(&env.layout, &new, &env.audit())?;
    } else {
        for one in &new {
            let ca = CaCertificate::own_root(one.kind, one.made.get().certificate.clone());
            ca::add(&env.layout, &ca, &one.key_pem, &env.audit())?;
        }
    }
    let encrypted = matches!(protection, KeyProtection::Passphrase(_));
    let created = new.iter().map(|new| created(&env.layout, new.kind, &new.made.get().certificate)).collect();
    Ok(CaReport { created, encrypted })
}

pub(super) fn created(layout: &Layout, role: CaRole, certificate: &Certificate) -> CreatedCa {
    CreatedCa {
        role,
        name: certificate.account().user,
        certificate: layout.root_certificate(role),
        not_after: certificate.not_after,
        pin: certificate.spki_fingerprint(),
        fingerprint: certificate.fingerprint(),
    }
}

fn key_pem(ca: &Credential, protection: &KeyProtection) -> Result<Zeroizing<String>, CreateCaError> {
    match protection {
        KeyProtection::Passphrase(passphrase) => {
            ca.key.to_encrypted_pem(passphrase).map(Zeroizing::new).map_err(CreateCaError::Encryption)
        }
        KeyProtection::None => Ok(ca.key.to_pem()),
    }
}
