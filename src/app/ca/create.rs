//! Creates the CAs and the ledger, once.

use std::fmt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::remedy::Remedy;
use crate::cluster::profile::{CaRole, TABLE};
use crate::cluster::signer::Signer;
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::{CaCertificate, Origin};
use crate::pki::ca_key::CaKey;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::pki::key::{KeyError, PrivateKey};
use crate::pki::local_key::LocalKey;
use crate::pki::new_ca;
use crate::pki::passphrase::Passphrase;
use crate::pki::signing_key::SigningKey;
use crate::pki::verified::Verified;
use crate::store::ca::{self, CaError, NewCa, OfflineRoot};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;

/// How the private keys of new CAs are stored.
#[derive(Debug, Default)]
pub enum KeyProtection {
    /// Encrypted with a passphrase (PKCS#8, scrypt).
    Passphrase(Passphrase),
    /// Not encrypted. Only the mode of the files protects them.
    #[default]
    None,
}

/// Options of creating CAs.
#[derive(Default)]
pub struct CreateOptions {
    /// How keys in files are stored.
    pub protection: KeyProtection,
    /// The keys of the roles for which the cluster file names a holder ([`super::KeyHolder::key`]).
    pub held_keys: Vec<(CaRole, Box<dyn SigningKey>)>,
    /// The folder to create for offline roots and their keys, below which the CAs are intermediates; `None` creates roots
    /// instead.
    pub root_out: Option<PathBuf>,
}

impl fmt::Debug for CreateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateOptions").field("root_out", &self.root_out).finish_non_exhaustive()
    }
}

/// Errors of creating CAs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateCaError {
    /// A private key cannot be encrypted.
    #[error("the key could not be encrypted")]
    Encryption(#[source] KeyError),
    /// The cluster file names a holder of the key, and the options have no key of it.
    #[error("the key of the {} is with its holder, and was not opened", _0.as_str())]
    NotOpened(CaRole),
    /// The folder for the roots' keys is in the cluster directory.
    #[error("{} is in the cluster directory, where the roots' keys must not be", _0.display())]
    RootsInside(PathBuf),
    /// The key of an existing CA has another passphrase.
    #[error("{} has another passphrase", .0.display())]
    OtherPassphrase(PathBuf),
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
        match self {
            Self::SharedKey { .. } => Some(Remedy::GiveEachCaItsKey),
            Self::OtherPassphrase(_) => Some(Remedy::UseTheSamePassphrase),
            Self::RootsInside(_) => Some(Remedy::NameAnotherRootFolder),
            Self::Encryption(_) | Self::NotOpened(_) => None,
        }
    }
}

/// The result of creating CAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaReport {
    /// The CAs, in the order of [`CaRole::ALL`].
    pub created: Vec<CreatedCa>,
    /// The folder with the offline roots and their keys, where the CAs are intermediates.
    pub offline_roots: Option<PathBuf>,
}

/// Where the private key of a CA is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStorage {
    /// In a file, encrypted with a passphrase.
    Encrypted,
    /// In a file, protected only by its mode.
    Plaintext,
    /// With the holder that the cluster file names.
    Held(Box<Signer>),
}

impl KeyStorage {
    pub(super) fn of(cluster: &Cluster, role: CaRole, protection: &KeyProtection) -> Self {
        match (cluster.signer(role), protection) {
            (Some(signer), _) => Self::Held(Box::new(signer.clone())),
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

/// Returns the roles that have no CA: all roles, or those that were not imported.
///
/// # Errors
/// Returns [`StoreError::Exists`] if every role has a CA, or the cluster's CA was not imported, or
/// [`StoreError::LedgerMissing`] if the ledger is lost as well; returns another error if the ledger has certificates of a
/// CA that is missing.
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

/// Returns the error for CAs that already exist: [`StoreError::LedgerMissing`] if their ledger is lost, because it has to
/// be rebuilt.
pub(super) fn in_the_way(layout: &Layout, folder: PathBuf) -> StoreError {
    match files::exists(&layout.root_certificate(CaRole::Cluster)) && !files::exists(&layout.ledger()) {
        true => StoreError::LedgerMissing(layout.ledger()),
        false => StoreError::Exists(folder),
    }
}

/// Checks that the folder for offline roots can be created. Callers do this before they ask for a passphrase.
///
/// # Errors
/// Returns an error if it exists, or is in the cluster directory.
pub fn check_root_out(layout: &Layout, folder: &Path) -> Result<(), Error> {
    if files::is_inside(folder, layout.dir()) {
        return Err(CreateCaError::RootsInside(folder.to_owned()).into());
    }
    if files::exists(folder) {
        return Err(StoreError::Exists(folder.to_owned()).into());
    }
    Ok(())
}

/// Creates the CAs of all roles and the ledger, all or none. If the cluster's CA was imported, creates only the missing
/// CAs of the other roles.
///
/// The caller has the directory's lock.
///
/// # Errors
/// Returns the errors of [`missing`] and [`check_root_out`], or an error if a key cannot be made, encrypted or signed
/// with, or a file cannot be written.
pub fn create(env: &Env, cluster: &Cluster, options: &CreateOptions) -> Result<CaReport, Error> {
    let roles = missing(&env.layout)?;
    if let Some(folder) = &options.root_out {
        check_root_out(&env.layout, folder)?;
    }
    check_passphrase(&env.layout, &options.protection)?;
    let (mut new, mut offline) = (Vec::new(), Vec::new());
    for role in roles.iter().copied() {
        let made = make(role, env, cluster, options)?;
        new.push(made.ca);
        offline.extend(made.offline_root);
    }
    // The roots' keys are written first, because they are stored nowhere else.
    if let Some(folder) = &options.root_out {
        ca::write_offline_roots(folder, &offline)?;
    }
    let written = write(&new, roles.contains(&CaRole::Cluster), env);
    if let (Err(_), Some(folder)) = (&written, &options.root_out) {
        ca::remove_offline_roots(folder);
    }
    written?;
    let created = new.iter().map(|new| {
        let (ca, role) = (new.ca.get(), new.ca.get().role());
        created(&env.layout, role, ca.certificate(), KeyStorage::of(cluster, role, &options.protection))
    });
    Ok(CaReport { created: created.collect(), offline_roots: options.root_out.clone() })
}

/// A CA that was made, with the offline root that signed it, if any.
struct Made {
    ca: NewCa,
    offline_root: Option<OfflineRoot>,
}

fn make(role: CaRole, env: &Env, cluster: &Cluster, options: &CreateOptions) -> Result<Made, Error> {
    let CreateOptions { protection, held_keys, root_out } = options;
    if cluster.signer(role).is_none() {
        let (key, signing) = generate(cluster)?;
        let (ca, offline_root) = sign(role, &signing, root_out.is_some(), env, cluster, protection)?;
        return Ok(Made { ca: NewCa { ca, key_pem: Some(key_pem(&key, protection)?) }, offline_root });
    }
    let held = held_keys.iter().find(|(of, _)| *of == role);
    let (_, key) = held.ok_or(CreateCaError::NotOpened(role))?;
    let sharing = held_keys.iter().find(|(of, other)| *of != role && other.public_key() == key.public_key());
    let other = sharing.map(|(of, _)| *of).or_else(|| role_with_key(&env.layout, role, key.public_key()));
    if let Some(other) = other {
        return Err(CreateCaError::SharedKey { role, other }.into());
    }
    let (ca, offline_root) = sign(role, &**key, root_out.is_some(), env, cluster, protection)?;
    Ok(Made { ca: NewCa { ca, key_pem: None }, offline_root })
}

/// Creates the certificate of a CA: a root, or an intermediate below a new root.
fn sign(
    role: CaRole,
    key: &dyn SigningKey,
    below_a_root: bool,
    env: &Env,
    cluster: &Cluster,
    protection: &KeyProtection,
) -> Result<(Verified<CaCertificate>, Option<OfflineRoot>), Error> {
    let (name, lifetime, now) = (&cluster.name, cluster.validity.ca, env.now);
    if !below_a_root {
        return Ok((new_ca::root(role, name, key, lifetime, now)?, None));
    }
    let (root_key, signing) = generate(cluster)?;
    let root = new_ca::offline_root(role, name, &signing, lifetime, now)?;
    let ca = new_ca::intermediate(name, key, root.get(), &signing, now)?;
    Ok((ca, Some(OfflineRoot { root, key_pem: key_pem(&root_key, protection)? })))
}

pub(super) fn generate(cluster: &Cluster) -> Result<(PrivateKey, LocalKey), IssueError> {
    let key = PrivateKey::generate(cluster.keys)?;
    let signing = LocalKey::open(&key)?;
    Ok((key, signing))
}

fn write(new: &[NewCa], all: bool, env: &Env) -> Result<(), StoreError> {
    if all {
        return ca::create_all(&env.layout, new, &env.audit());
    }
    new.iter().try_for_each(|one| {
        let key = one.key_pem.as_ref().map(|key| key.as_str());
        ca::add(&env.layout, one.ca.get(), key, &env.audit())
    })
}

/// Returns another role in whose CA, or in a CA above it, this public key is.
///
/// With a shared key, each role would accept the certificates of the other role.
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

/// Returns the problem with the key of a CA in the directory, as far as it can be checked without a passphrase.
pub(in crate::app) fn stored_key_problem(layout: &Layout, ca: &CaCertificate) -> Option<KeyError> {
    let trust = ca::trust(layout, ca.role()).ok()?;
    let text = ca::key_text(&ca::key_path(layout, &trust, ca)).ok().flatten()?;
    match LocalKey::from_pem_with(&text, None) {
        Ok(key) => (key.public_key() != ca.certificate().spki).then_some(KeyError::Foreign),
        Err(KeyError::PassphraseNeeded) => None,
        Err(error) => Some(error),
    }
}

/// Checks that a new key gets the passphrase of the keys in the directory, because commands ask for a passphrase once.
///
/// # Errors
/// Returns [`CreateCaError::OtherPassphrase`] if the passphrase does not open one of them, or an error if one cannot be
/// read.
pub(super) fn check_passphrase(layout: &Layout, protection: &KeyProtection) -> Result<(), Error> {
    let KeyProtection::Passphrase(passphrase) = protection else { return Ok(()) };
    for role in CaRole::ALL {
        let Some(text) = ca::key_text(&layout.root_key(role))? else { continue };
        if matches!(CaKey::read(&text, Some(passphrase)), Err(KeyError::WrongPassphrase)) {
            return Err(CreateCaError::OtherPassphrase(layout.root_key(role)).into());
        }
    }
    Ok(())
}

/// Returns the content of the file of a new key.
pub(in crate::app) fn key_pem(
    key: &PrivateKey,
    protection: &KeyProtection,
) -> Result<Zeroizing<String>, CreateCaError> {
    match protection {
        KeyProtection::Passphrase(passphrase) => {
            key.to_encrypted_pem(passphrase).map(Zeroizing::new).map_err(CreateCaError::Encryption)
        }
        KeyProtection::None => Ok(key.to_pem()),
    }
}
