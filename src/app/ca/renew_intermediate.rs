//! Replaces intermediates by new ones below the same offline roots.
//!
//! An intermediate is valid as long as its root, so it is never renewed because it expires, but because its key was
//! lost or may be compromised. The new one has a new key and the subject of the old one. The old one stays trusted,
//! because its certificates are in use, but does not sign any more. Trust files have only the root, and do not change.

use std::fmt;
use std::path::{Path, PathBuf};

use super::create::{
    CreatedCa, KeyProtection, KeyStorage, check_passphrase, created, generate, key_pem, role_with_key,
};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::input;
use crate::app::rotate::RotateError;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::key::KeyError;
use crate::pki::local_key::LocalKey;
use crate::pki::new_ca;
use crate::pki::passphrase::Passphrase;
use crate::pki::pem::{self, PemError};
use crate::pki::signing_key::SigningKey;
use crate::pki::trust_bundle::{CaState, TrustBundle, TrustBundleError};
use crate::store::ca;
use crate::store::files;

/// The largest size of a root's file, in bytes.
const LIMIT: u64 = 256 * 1024;

/// Options of replacing intermediates.
pub struct RenewCaOptions<'o> {
    /// The folder with the offline roots, as [`super::create()`] wrote it. The intermediates below the roots in it are
    /// replaced.
    pub root_in: PathBuf,
    /// The passphrase of the roots' keys, if they are encrypted.
    pub root_passphrase: Option<&'o Passphrase>,
    /// How new keys in files are stored.
    pub protection: &'o KeyProtection,
    /// The new keys of the roles for which the cluster file names a holder ([`super::KeyHolder::key`]).
    pub held_keys: Vec<(CaRole, Box<dyn SigningKey>)>,
}

impl fmt::Debug for RenewCaOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewCaOptions").field("root_in", &self.root_in).finish_non_exhaustive()
    }
}

/// The result of replacing intermediates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewCaReport {
    /// The new intermediates.
    pub created: Vec<CreatedCa>,
    /// The files of roots' keys whose encryption is so weak that passphrases are tried quickly.
    pub weakly_encrypted: Vec<PathBuf>,
}

/// Errors of replacing intermediates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenewCaError {
    /// The folder has no root.
    #[error("{} has no roots: there is none of cluster/root.crt, etcd/root.crt and front-proxy/root.crt in it", .0.display())]
    NoRoots(PathBuf),
    /// The CA of the role is a root itself.
    #[error("the {} is no intermediate, so no root can renew it", .0.as_str())]
    NotIntermediate(CaRole),
    /// The file has another root than the one above the CA.
    #[error("{} is not the root above the {}", path.display(), role.as_str())]
    OtherRoot {
        /// The file.
        path: PathBuf,
        /// The role.
        role: CaRole,
    },
    /// A root's certificate is not PEM.
    #[error("{} has no usable certificate", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: PemError,
    },
    /// A root's certificate cannot be parsed.
    #[error("{} has a malformed certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: CertificateError,
    },
    /// A root's key cannot be read or decrypted, or belongs to another certificate.
    #[error("{} has no usable key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: KeyError,
    },
    /// The holder that the cluster file names still has a previous key.
    #[error("the holder of the key of the {} still has a previous key", .0.as_str())]
    SameKey(CaRole),
    /// The new CAs are not a valid trust bundle.
    #[error(transparent)]
    Trust(#[from] TrustBundleError),
}

/// Returns the roles whose roots are in a folder. The active CA of each is an intermediate below that root.
///
/// # Errors
/// Returns an error if there is no root, one is not the root above the CA of its role, or that CA is being rotated.
pub fn renewable(root_in: &Path, env: &Env) -> Result<Vec<CaRole>, Error> {
    let has_root = |role: &CaRole| files::exists(&ca::offline_root_files(root_in, *role).0);
    let roles: Vec<CaRole> = CaRole::ALL.into_iter().filter(has_root).collect();
    if roles.is_empty() {
        return Err(RenewCaError::NoRoots(root_in.to_owned()).into());
    }
    for role in &roles {
        let trust = ca::trust(&env.layout, *role)?;
        if let Some(rotation) = trust.rotation() {
            return Err(RotateError::UnderWay { role: *role, phase: rotation.phase }.into());
        }
        root_above(root_in, *role, &trust)?;
    }
    Ok(roles)
}

/// Replaces the intermediates below the roots in a folder by new ones with new keys.
///
/// The caller has the directory's lock.
///
/// # Errors
/// Returns the errors of [`renewable`], or an error if a root's key cannot be opened, a key cannot be made or
/// encrypted, or a file cannot be written.
pub fn renew(options: &RenewCaOptions<'_>, cluster: &Cluster, env: &Env) -> Result<RenewCaReport, Error> {
    let roles = renewable(&options.root_in, env)?;
    check_passphrase(&env.layout, options.protection)?;
    // Everything is signed before the first file is written.
    let mut renewed = Vec::new();
    for role in roles {
        renewed.push(sign(role, options, cluster, env)?);
    }
    let mut report = RenewCaReport { created: Vec::new(), weakly_encrypted: Vec::new() };
    for Renewed { trust, key_pem, weakly_encrypted } in renewed {
        let role = trust.role();
        let key = key_pem.as_ref().map(|key| key.as_str());
        ca::replace_active(&env.layout, &trust, key, &env.audit())?;
        let storage = KeyStorage::of(cluster, role, options.protection);
        report.created.push(created(&env.layout, role, trust.active().certificate(), storage));
        report.weakly_encrypted.extend(weakly_encrypted);
    }
    Ok(report)
}

/// The CAs of a role with a new one that signs.
struct Renewed {
    trust: TrustBundle,
    key_pem: Option<zeroize::Zeroizing<String>>,
    /// The file of the root's key, if its encryption is weak.
    weakly_encrypted: Option<PathBuf>,
}

fn sign(role: CaRole, options: &RenewCaOptions<'_>, cluster: &Cluster, env: &Env) -> Result<Renewed, Error> {
    let trust = ca::trust(&env.layout, role)?;
    let root = root_above(&options.root_in, role, &trust)?;
    let path = ca::offline_root_files(&options.root_in, role).1;
    let failed = |source| RenewCaError::Key { path: path.clone(), source };
    let text = zeroize::Zeroizing::new(input::read(&path, LIMIT, "key of the root")?);
    let root_key = LocalKey::from_pem_with(&text, options.root_passphrase).map_err(failed)?;
    if root_key.public_key() != root.certificate().spki {
        return Err(failed(KeyError::Foreign).into());
    }
    let sign = |key: &dyn SigningKey| new_ca::intermediate(&cluster.name, key, &root, &root_key, env.now);
    let (new, key_pem) = match cluster.signer(role) {
        None => {
            let (key, signing) = generate(cluster)?;
            (sign(&signing)?, Some(key_pem(&key, options.protection)?))
        }
        Some(_) => {
            let held = options.held_keys.iter().find(|(of, _)| *of == role);
            let (_, key) = held.ok_or(super::CreateCaError::NotOpened(role))?;
            if trust.all().any(|(ca, _)| ca.certificate().spki == key.public_key()) {
                return Err(RenewCaError::SameKey(role).into());
            }
            if let Some(other) = role_with_key(&env.layout, role, key.public_key()) {
                return Err(super::CreateCaError::SharedKey { role, other }.into());
            }
            (sign(&**key)?, None)
        }
    };
    let former = trust.all().map(|(ca, state)| match state {
        CaState::Active => (ca.clone(), CaState::Trusted),
        CaState::Trusted | CaState::Prepared | CaState::Retired => (ca.clone(), state),
    });
    let cas = [(new.get().clone(), CaState::Active)].into_iter().chain(former).collect();
    let trust = TrustBundle::new(role, cas).map_err(RenewCaError::Trust)?;
    Ok(Renewed { trust, key_pem, weakly_encrypted: root_key.is_weakly_encrypted().then_some(path) })
}

/// Reads the root of a role, which is the one above its active CA.
fn root_above(root_in: &Path, role: CaRole, trust: &TrustBundle) -> Result<CaCertificate, Error> {
    if trust.active().chain().is_empty() {
        return Err(RenewCaError::NotIntermediate(role).into());
    }
    let path = ca::offline_root_files(root_in, role).0;
    let text = input::read(&path, LIMIT, "root")?;
    let pem = |source| RenewCaError::Pem { path: path.clone(), source };
    let der = pem::certificates(&text).map_err(pem)?.into_iter().next().ok_or_else(|| pem(PemError::Nothing))?;
    let parsed = Certificate::from_der(der);
    let root = parsed.map_err(|source| RenewCaError::Certificate { path: path.clone(), source })?;
    match root == *trust.active().root() {
        true => Ok(CaCertificate::own_root(role, root)),
        false => Err(RenewCaError::OtherRoot { path, role }.into()),
    }
}
