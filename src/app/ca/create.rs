//! Creates the CAs and the ledger, once.

use std::path::PathBuf;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::remedy::Remedy;
use crate::cluster::profile::{CaRole, TABLE};
use crate::cluster::signer::Signer;
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::Origin;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::pki::key::{KeyError, PrivateKey};
use crate::pki::local_key::LocalKey;
use crate::pki::new_ca;
use crate::pki::passphrase::Passphrase;
use crate::pki::signing_key::SigningKey;
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
    /// The cluster file names a holder of a key, and it was not opened.
    #[error("the key of the {} is elsewhere, and was not opened", _0.as_str())]
    NotOpened(CaRole),
    /// Two CAs would have the same key.
    #[error("the {} would have the key of the {}", role.as_str(), other.as_str())]
    SharedKey {
        /// The role of the new CA.
        role: CaRole,
        /// The role of the CA that has the key.
        other: CaRole,
    },
}

impl CreateCaError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        matches!(self, Self::SharedKey { .. }).then_some(Remedy::GiveEachCaItsKey)
    }
}

/// What was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaReport {
    /// The CAs, in the order of [`CaRole::ALL`].
    pub created: Vec<CreatedCa>,
}

/// Where the private key of a CA is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStorage {
    /// In a file, encrypted with a passphrase.
    Encrypted,
    /// In a file, protected by its mode alone.
    Plaintext,
    /// With the holder that the cluster file names.
    Elsewhere(Box<Signer>),
}

impl KeyStorage {
    pub(super) fn of(cluster: &Cluster, role: CaRole, protection: &KeyProtection) -> Self {
        match (cluster.signer(role), protection) {
            (Some(signer), _) => Self::Elsewhere(Box::new(signer.clone())),
            (None, KeyProtection::Passphrase(_)) => Self::Encrypted,
            (None, KeyProtection::None) => Self::Plaintext,
        }
    }
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
    /// Where its key is.
    pub key: KeyStorage,
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
        return Err(in_the_way(layout, pki).into());
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

/// Returns the error for CAs that exist already: without their ledger, that is what has to be made anew.
pub(super) fn in_the_way(layout: &Layout, folder: PathBuf) -> StoreError {
    match files::exists(&layout.root_certificate(CaRole::Cluster)) && !files::exists(&layout.ledger()) {
        true => StoreError::LedgerMissing(layout.ledger()),
        false => StoreError::Exists(folder),
    }
}

/// Creates the CAs of all roles and the ledger of what they will sign; all of it appears, or nothing. Beside an imported
/// CA of the cluster, creates those of the other roles that have none.
///
/// `elsewhere` has the keys of the roles for which the cluster file names a holder ([`super::Holder::key`]).
///
/// The caller has the directory's lock.
///
/// # Errors
/// The errors of [`missing`]; when a key cannot be made, encrypted or signed with, or a file cannot be written.
pub fn create(
    env: &Env,
    cluster: &Cluster,
    protection: &KeyProtection,
    elsewhere: &[(CaRole, Box<dyn SigningKey>)],
) -> Result<CaReport, Error> {
    let roles = missing(&env.layout)?;
    let mut new = Vec::new();
    for role in roles.iter().copied() {
        let root = |key: &dyn SigningKey| new_ca::root(role, &cluster.name, key, cluster.validity.ca, env.now);
        new.push(match cluster.signer(role) {
            Some(_) => {
                let held = elsewhere.iter().find(|(of, _)| *of == role);
                let (_, key) = held.ok_or(CreateCaError::NotOpened(role))?;
                let of_another =
                    elsewhere.iter().find(|(of, other)| *of != role && other.public_key() == key.public_key());
                let other =
                    of_another.map(|(of, _)| *of).or_else(|| role_with_key(&env.layout, role, key.public_key()));
                if let Some(other) = other {
                    return Err(CreateCaError::SharedKey { role, other }.into());
                }
                NewCa { ca: root(&**key)?, key_pem: None }
            }
            None => {
                let key = PrivateKey::generate(cluster.keys).map_err(IssueError::from)?;
                let signing = LocalKey::open(&key).map_err(IssueError::from)?;
                NewCa { ca: root(&signing)?, key_pem: Some(key_pem(&key, protection)?) }
            }
        });
    }
    if roles.contains(&CaRole::Cluster) {
        ca::create_all(&env.layout, &new, &env.audit())?;
    } else {
        for one in &new {
            ca::add(&env.layout, one.ca.get(), one.key_pem.as_ref().map(|key| key.as_str()), &env.audit())?;
        }
    }
    let created = new.iter().map(|new| {
        let (ca, role) = (new.ca.get(), new.ca.get().role());
        created(&env.layout, role, ca.certificate(), KeyStorage::of(cluster, role, protection))
    });
    Ok(CaReport { created: created.collect() })
}

/// Returns another role whose CA has this public key: what one CA signs must not pass for another's.
pub(in crate::app) fn role_with_key(layout: &Layout, role: CaRole, spki: &[u8]) -> Option<CaRole> {
    let has_it = |other: &CaRole| {
        ca::trust(layout, *other).is_ok_and(|cas| cas.all().any(|(ca, _)| ca.path().any(|one| one.spki == spki)))
    };
    CaRole::ALL.into_iter().filter(|other| *other != role).find(has_it)
}

pub(super) fn created(layout: &Layout, role: CaRole, certificate: &Certificate, key: KeyStorage) -> CreatedCa {
    CreatedCa {
        role,
        name: certificate.account().user,
        certificate: layout.root_certificate(role),
        not_after: certificate.not_after,
        pin: certificate.spki_fingerprint(),
        fingerprint: certificate.fingerprint(),
        key,
    }
}

fn key_pem(key: &PrivateKey, protection: &KeyProtection) -> Result<Zeroizing<String>, CreateCaError> {
    match protection {
        KeyProtection::Passphrase(passphrase) => {
            key.to_encrypted_pem(passphrase).map(Zeroizing::new).map_err(CreateCaError::Encryption)
        }
        KeyProtection::None => Ok(key.to_pem()),
    }
}
