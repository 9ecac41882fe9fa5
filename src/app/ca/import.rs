//! Imports a CA of another tool into the cluster directory.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::create::{
    CreateCaError, CreatedCa, KeyProtection, KeyStorage, check_passphrase, created, in_the_way, role_with_key,
};
use super::import_warning::{self, CaWarning, CaWarningKind};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::input;
use crate::app::remedy::Remedy;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::{CaCertificate, CaCertificateError, Origin};
use crate::pki::ca_key::CaKey;
use crate::pki::certificate::{Certificate, CertificateError, PublicKeyKind};
use crate::pki::issuer::{IssueError, Issuer};
use crate::pki::key::KeyError;
use crate::pki::lint::ca_violations;
use crate::pki::material::{self, MaterialError};
use crate::pki::passphrase::Passphrase;
use crate::pki::signing_key::SigningKey;
use crate::pki::violation::Violation;
use crate::sanitize::sanitized;
use crate::store::ca::{self, CaError};
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;

/// The largest size of a file that is read, in bytes.
const LIMIT: u64 = 256 * 1024;
/// The longest RSA key that ring signs with, in bits.
const LONGEST_RSA: usize = 4096;

/// The options of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// The file with the CA's certificate, optionally followed by the certificates above it.
    pub certificate: PathBuf,
    /// The file of its private key; `None` if the cluster file names the key's holder.
    pub key: Option<PathBuf>,
    /// A file with the certificates above it, including the root.
    pub chain: Option<PathBuf>,
    /// The role of the CA.
    pub role: CaRole,
}

/// Errors of importing a CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportCaError {
    /// A file has no certificates in a form that is read.
    #[error("{} has no usable certificates", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: MaterialError,
    },
    /// A certificate cannot be parsed.
    #[error("{} has a malformed certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: CertificateError,
    },
    /// The certificate and those above it are not the path of a CA.
    #[error("{} cannot be a CA of a cluster", path.display())]
    Path {
        /// The file of the certificate.
        path: PathBuf,
        /// The reason.
        source: CaCertificateError,
    },
    /// The CA must not sign, or not at this time.
    #[error("{} cannot sign: {}", path.display(), listed(violations))]
    CannotSign {
        /// The file of the certificate.
        path: PathBuf,
        /// The rules that it breaks.
        violations: Vec<Violation>,
    },
    /// The CA's key is in a file, and longer than clusterctl signs with.
    #[error("{} has a key that is too long for clusterctl to sign with: {kind}", path.display())]
    LongKey {
        /// The file of the certificate.
        path: PathBuf,
        /// The kind of its key.
        kind: String,
    },
    /// The private key cannot be read or decrypted.
    #[error("{} has no usable key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: KeyError,
    },
    /// The cluster's CA has to be imported first, because the ledger is created with it.
    #[error("{0} has no CA of the cluster yet")]
    ClusterFirst(PathBuf),
    /// The CA, or one above it, has the key of one of another role.
    #[error("{} leads to {subject}, whose key is also that of the {}", path.display(), other.as_str())]
    SharedKey {
        /// The file of the certificate.
        path: PathBuf,
        /// The subject of the certificate with the key, safe to show.
        subject: String,
        /// The role of the other CA that has the key, or is below one that has it.
        other: CaRole,
    },
    /// There is neither a file of the key nor a holder.
    #[error("there is no key for {}", path.display())]
    NoKey {
        /// The file of the certificate.
        path: PathBuf,
        /// The role of the CA.
        role: CaRole,
    },
    /// A file of the key was given, and the cluster file names a holder, which would sign instead.
    #[error("the cluster file names another holder of the key than {}", path.display())]
    KeyIsHeld {
        /// The file of the key.
        path: PathBuf,
        /// The role of the CA.
        role: CaRole,
    },
    /// The key that signs service account tokens cannot be used.
    #[error("{} has no key that signs service accounts' tokens", path.display())]
    ServiceAccountKey {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: KeyError,
    },
    /// The ledger already has the certificate, with another profile.
    #[error("{} is in the ledger already, as {profile}", path.display())]
    OtherRole {
        /// The file of the certificate.
        path: PathBuf,
        /// The certificate's profile in the ledger.
        profile: String,
    },
}

fn listed(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl ImportCaError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        Some(Remedy::OfImport(self.clone()))
    }
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The CA.
    pub ca: CreatedCa,
    /// The kind of its key.
    pub key: String,
    /// The subject of its root.
    pub root: String,
    /// The subjects of the intermediates that are sent after every certificate, the CA's own first; empty for a root.
    pub chain: Vec<String>,
    /// The differences from CAs that clusterctl generates.
    pub warnings: Vec<CaWarning>,
    /// The roles that have no CA yet.
    pub missing: Vec<CaRole>,
}

/// A CA that passed all checks except those of its key.
#[derive(Debug)]
pub struct ImportPlan<'e> {
    env: &'e Env,
    options: ImportOptions,
    ca: CaCertificate,
    /// The content of the key's file; `None` if a holder has the key.
    key: Option<Zeroizing<Vec<u8>>>,
    cluster: &'e Cluster,
}

/// The key of a CA that is imported, opened.
#[derive(Debug)]
pub enum ImportedKey {
    /// It will be stored in the cluster directory.
    File(CaKey),
    /// Its holder keeps it.
    Held,
}

/// Reads a CA and checks everything but its key. Nothing is written.
///
/// The caller has the directory's lock.
///
/// # Errors
/// Returns an error if the role has a CA already, a file cannot be read, or the certificate cannot sign for the role.
pub fn plan<'e>(options: ImportOptions, cluster: &'e Cluster, env: &'e Env) -> Result<ImportPlan<'e>, Error> {
    check_key(&options, cluster)?;
    check_role(&env.layout, options.role)?;
    let path = &options.certificate;
    let ca = read_ca(path, options.chain.as_deref(), options.role, Usage::Any, env)?;
    if options.role != CaRole::Cluster {
        let ledger = Ledger::open_read_only(&env.layout.ledger())?;
        let known = ledger.by_fingerprint(ca.certificate().fingerprint())?;
        if let Some(known) = known.filter(|known| known.profile != options.role.as_str()) {
            return Err(ImportCaError::OtherRole { path: path.clone(), profile: known.profile }.into());
        }
    }
    // Trust files have only roots. With a root above the CAs of two roles, each role would accept certificates of the
    // other.
    let shared =
        |one: &Certificate| Some((one.subject.text.clone(), role_with_key(&env.layout, options.role, &one.spki)?));
    if let Some((subject, other)) = ca.path().find_map(shared) {
        return Err(ImportCaError::SharedKey { path: path.clone(), subject: sanitized(&subject), other }.into());
    }
    let read = |path: &PathBuf| input::read_named(path, LIMIT, "key of the CA").map(Zeroizing::new);
    let key = options.key.as_ref().map(read).transpose()?;
    Ok(ImportPlan { env, options, ca, key, cluster })
}

/// Refuses a CA without a key, and one with two.
fn check_key(options: &ImportOptions, cluster: &Cluster) -> Result<(), ImportCaError> {
    let role = options.role;
    match (&options.key, cluster.signer(role)) {
        (None, None) => Err(ImportCaError::NoKey { path: options.certificate.clone(), role }),
        (Some(path), Some(_)) => Err(ImportCaError::KeyIsHeld { path: path.clone(), role }),
        (Some(_), None) | (None, Some(_)) => Ok(()),
    }
}

impl ImportPlan<'_> {
    /// Opens the key's file, with a passphrase if it is encrypted, and checks that the key is the certificate's.
    ///
    /// # Errors
    /// Returns an error if it cannot be opened, or belongs to another certificate.
    pub fn open(&self, passphrase: Option<&Passphrase>) -> Result<ImportedKey, ImportCaError> {
        let path = self.options.key.as_ref().unwrap_or(&self.options.certificate);
        let failed = |source| ImportCaError::Key { path: path.clone(), source };
        let text = self.key.as_ref().ok_or_else(|| failed(KeyError::NoKey))?;
        let key = open_key(&self.ca, (&self.options.certificate, path), text, passphrase, self.env)?;
        Ok(ImportedKey::File(key))
    }

    /// Returns true if the key is with a holder that the cluster file names.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.key.is_none()
    }

    /// Takes the key from its holder, and checks that it is the certificate's.
    ///
    /// # Errors
    /// Returns an error if it belongs to another certificate.
    pub fn hold(&self, key: Box<dyn SigningKey>) -> Result<ImportedKey, ImportCaError> {
        self.check(key).map(|()| ImportedKey::Held)
    }

    fn check(&self, key: Box<dyn SigningKey>) -> Result<(), ImportCaError> {
        check_key_of(&self.ca, &self.options.certificate, key, self.env)
    }

    /// Writes the CA, and its key unless a holder has it.
    ///
    /// # Errors
    /// Returns an error if the key cannot be encrypted, or a file cannot be written. In that case, no file remains.
    pub fn apply(self, key: &ImportedKey, protection: &KeyProtection) -> Result<ImportReport, Error> {
        let Self { env, ca, cluster, .. } = self;
        let pem = match key {
            ImportedKey::Held => None,
            ImportedKey::File(key) => {
                check_passphrase(&env.layout, protection)?;
                Some(key_file(key, protection)?)
            }
        };
        ca::add(&env.layout, &ca, pem.as_ref().map(|pem| pem.as_str()), &env.audit())?;
        let key = match key {
            ImportedKey::Held => None,
            ImportedKey::File(key) => Some(key),
        };
        Ok(report(&ca, key, cluster, protection, env))
    }
}

/// The certificates that an imported CA is trusted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// All certificates of its role.
    Any,
    /// Only certificates of clients.
    Clients,
}

/// Reads a CA, and checks that it may sign for `role`.
///
/// # Errors
/// Returns an error if a file cannot be read, or the certificate cannot sign.
pub(super) fn read_ca(
    path: &Path,
    chain: Option<&Path>,
    role: CaRole,
    usage: Usage,
    env: &Env,
) -> Result<CaCertificate, Error> {
    let mut certificates = read(path, "certificate of the CA")?.into_iter();
    let Some(certificate) = certificates.next() else {
        return Err(ImportCaError::Form { path: path.to_owned(), source: MaterialError::NoCertificate }.into());
    };
    let mut others: Vec<Certificate> = certificates.collect();
    if let Some(chain) = chain {
        others.extend(read(chain, "chain of the CA")?);
    }
    let ca = CaCertificate::new(role, Origin::Imported, certificate, &others)
        .map_err(|source| ImportCaError::Path { path: path.to_owned(), source })?;
    let mut violations = ca.violations(env.now);
    // Go requires the extended key usages of every certificate of a path, including the root.
    if role != CaRole::FrontProxy && usage == Usage::Any {
        let all = ca.path().flat_map(|certificate| ca_violations(certificate, env.now));
        violations.extend(all.filter(|violation| matches!(violation, Violation::RootUsage(_))));
    }
    // Serving certificates name the service `kubernetes` and loopback addresses, which name constraints do not permit
    // in practice.
    let is_constrained = ca.path().any(|certificate| certificate.has_name_constraints);
    violations.extend(is_constrained.then_some(Violation::NameConstraints));
    if !violations.is_empty() {
        return Err(ImportCaError::CannotSign { path: path.to_owned(), violations }.into());
    }
    Ok(ca)
}

/// Opens a CA's key, with a passphrase if it is encrypted, and checks that it is the certificate's.
///
/// # Errors
/// Returns an error if it cannot be opened, or belongs to another certificate.
pub(super) fn open_key(
    ca: &CaCertificate,
    (certificate, key): (&Path, &Path),
    text: &[u8],
    passphrase: Option<&Passphrase>,
    env: &Env,
) -> Result<CaKey, ImportCaError> {
    if let kind @ PublicKeyKind::Rsa(bits) = &ca.certificate().key
        && *bits > LONGEST_RSA
    {
        return Err(ImportCaError::LongKey { path: certificate.to_owned(), kind: kind.to_string() });
    }
    let failed = |source| ImportCaError::Key { path: key.to_owned(), source };
    let read = CaKey::read(text, passphrase).map_err(failed)?;
    let opened = read.open().map_err(failed)?;
    check_key_of(ca, certificate, Box::new(opened), env)?;
    Ok(read)
}

/// Checks that a key is that of a CA's certificate, which is in the file at `path`.
fn check_key_of(ca: &CaCertificate, path: &Path, key: Box<dyn SigningKey>, env: &Env) -> Result<(), ImportCaError> {
    let path = path.to_owned();
    match Issuer::new(ca.clone(), key, env.now) {
        Ok(_) => Ok(()),
        Err(IssueError::Violations { violations }) => Err(ImportCaError::CannotSign { path, violations }),
        Err(_) => Err(ImportCaError::Key { path, source: KeyError::Foreign }),
    }
}

/// Returns the content of a key's file.
///
/// # Errors
/// Returns an error if the key cannot be encrypted.
pub(in crate::app) fn key_file(key: &CaKey, protection: &KeyProtection) -> Result<Zeroizing<String>, CreateCaError> {
    match protection {
        KeyProtection::Passphrase(passphrase) => {
            key.to_encrypted_pem(passphrase).map(Zeroizing::new).map_err(CreateCaError::Encryption)
        }
        KeyProtection::None => Ok(key.to_pem()),
    }
}

/// The files of a CA of another tool that will replace one of the cluster's. Its key is not opened yet.
pub(in crate::app) struct ReadCa {
    pub(in crate::app) ca: CaCertificate,
    certificate: PathBuf,
    key: PathBuf,
    text: Zeroizing<Vec<u8>>,
}

/// Reads a CA and its key, and checks that it may sign for `role`.
///
/// # Errors
/// Returns an error if a file cannot be read, or the certificate cannot sign.
pub(in crate::app) fn read_for_rotation(
    (certificate, key, chain): (&Path, &Path, Option<&Path>),
    role: CaRole,
    env: &Env,
) -> Result<ReadCa, Error> {
    let ca = read_ca(certificate, chain, role, Usage::Any, env)?;
    let text = Zeroizing::new(input::read_or_wait(key, LIMIT, "key of the CA")?);
    Ok(ReadCa { ca, certificate: certificate.to_owned(), key: key.to_owned(), text })
}

impl ReadCa {
    /// Opens the key, with a passphrase if it is encrypted, and checks that it is the certificate's.
    ///
    /// # Errors
    /// Returns an error if it cannot be opened, or belongs to another certificate.
    pub(in crate::app) fn open(&self, passphrase: Option<&Passphrase>, env: &Env) -> Result<CaKey, ImportCaError> {
        open_key(&self.ca, (&self.certificate, &self.key), &self.text, passphrase, env)
    }

    /// Returns the differences from CAs that clusterctl generates. When the CA expires is left to the caller.
    pub(in crate::app) fn warnings(&self, key: &CaKey, cluster: &Cluster, env: &Env) -> Vec<CaWarning> {
        let mut warnings = import_warning::warnings(&self.ca, Some(key), cluster, env);
        warnings.retain(|warning| !matches!(warning.kind, CaWarningKind::ExpiresSoon { .. }));
        warnings
    }
}

/// Describes a CA that was imported.
pub(super) fn report(
    ca: &CaCertificate,
    key: Option<&CaKey>,
    cluster: &Cluster,
    protection: &KeyProtection,
    env: &Env,
) -> ImportReport {
    let storage = KeyStorage::of(cluster, ca.role(), protection);
    ImportReport {
        ca: created(&env.layout, ca.role(), ca.certificate(), storage),
        key: ca.certificate().key.to_string(),
        root: ca.root().subject.text.clone(),
        chain: ca.chain().iter().map(|certificate| certificate.subject.text.clone()).collect(),
        warnings: import_warning::warnings(ca, key, cluster, env),
        missing: CaRole::ALL.into_iter().filter(|role| !files::exists(&env.layout.root_certificate(*role))).collect(),
    }
}

/// Refuses a role that has a CA, and any other role before the cluster's CA exists.
fn check_role(layout: &Layout, role: CaRole) -> Result<(), Error> {
    let folder = layout.root_folder(role);
    if files::exists(&folder) {
        return Err(in_the_way(layout, folder).into());
    }
    if role == CaRole::Cluster {
        return Ok(());
    }
    match ca::trust(layout, CaRole::Cluster) {
        Ok(_) => Ok(()),
        Err(CaError::None(_)) => Err(ImportCaError::ClusterFirst(layout.dir().to_owned()).into()),
        Err(error) => Err(error.into()),
    }
}

fn read(path: &Path, what: &'static str) -> Result<Vec<Certificate>, Error> {
    let text = input::read_named(path, LIMIT, what)?;
    let ders = material::certificates(&text).map_err(|source| ImportCaError::Form { path: path.to_owned(), source })?;
    let parse =
        |der| Certificate::from_der(der).map_err(|source| ImportCaError::Certificate { path: path.to_owned(), source });
    Ok(ders.into_iter().map(parse).collect::<Result<_, _>>()?)
}
