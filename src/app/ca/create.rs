//! Creates the CAs and the ledger, once.

use std::path::PathBuf;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::remedy::Remedy;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::{Credential, create_root};
use crate::pki::key::KeyError;
use crate::pki::passphrase::Passphrase;
use crate::store::ca::{self, NewCa};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;

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

/// Refuses to create CAs where there are some already.
///
/// # Errors
/// [`StoreError::Exists`]
pub fn check_absent(layout: &Layout) -> Result<(), StoreError> {
    let pki = layout.pki();
    if files::exists(&pki) { Err(StoreError::Exists(pki)) } else { Ok(()) }
}

/// Creates the CAs of all roles and the ledger of what they will sign; all of it appears, or nothing.
///
/// The caller has the directory's lock.
///
/// # Errors
/// [`StoreError::Exists`] when there are CAs already; when a key cannot be made or encrypted, or a file cannot be
/// written.
pub fn create(env: &Env, cluster: &Cluster, protection: &KeyProtection) -> Result<CaReport, Error> {
    check_absent(&env.layout)?;
    let mut new = Vec::new();
    for role in CaRole::ALL {
        let made = create_root(role, &cluster.name, cluster.keys, cluster.validity.ca, env.now)?;
        let key_pem = key_pem(made.get(), protection)?;
        new.push(NewCa { kind: role, made, key_pem });
    }
    ca::create_all(&env.layout, &new, &env.audit())?;
    let created = |new: &NewCa| {
        let certificate = &new.made.get().certificate;
        CreatedCa {
            role: new.kind,
            name: certificate.account().user,
            certificate: env.layout.root_certificate(new.kind),
            not_after: certificate.not_after,
            pin: certificate.spki_fingerprint(),
            fingerprint: certificate.fingerprint(),
        }
    };
    let encrypted = matches!(protection, KeyProtection::Passphrase(_));
    Ok(CaReport { created: new.iter().map(created).collect(), encrypted })
}

fn key_pem(ca: &Credential, protection: &KeyProtection) -> Result<Zeroizing<String>, CreateCaError> {
    match protection {
        KeyProtection::Passphrase(passphrase) => {
            ca.key.to_encrypted_pem(passphrase).map(Zeroizing::new).map_err(CreateCaError::Encryption)
        }
        KeyProtection::None => Ok(ca.key.to_pem()),
    }
}
