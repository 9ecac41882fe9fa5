//! Imports all CAs of a kubeadm or k3s control plane into the cluster directory, and the key of its service accounts.
//!
//! [`DirectoryPlan::certificate_files`] returns the files with the certificates that these CAs issued.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::create::KeyProtection;
use super::import::{ImportCaError, ImportReport, Usage, key_file, open_key, read_ca, report};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::input::{self, InputError};
use crate::app::inspect::InputFile;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::ca_key::CaKey;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::passphrase::Passphrase;
use crate::pki::service_account_key::ServiceAccountKey;
use crate::pki::trust_bundle::{CaState, TrustBundle};
use crate::sanitize::sanitized;
use crate::store::ca::{self, NewRole};
use crate::store::error::StoreError;
use crate::store::files;

/// The largest size of a key's file, in bytes.
const LIMIT: u64 = 256 * 1024;

/// The tool that made a control plane's PKI, by which its files are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolLayout {
    /// kubeadm's `/etc/kubernetes/pki`, or the folder above it.
    Kubeadm,
    /// k3s's `/var/lib/rancher/k3s/server/tls`, or the folder above it.
    K3s,
}

/// A CA of a folder: its role, the name of its files without ending, and whether it signs from now on.
struct CaFile(CaRole, &'static str, CaState);

impl ToolLayout {
    /// Returns the name of the folder of CAs in the folder above it.
    fn folder(self) -> &'static str {
        match self {
            Self::Kubeadm => "pki",
            Self::K3s => "tls",
        }
    }

    /// Returns the folders, and the ending of kubeconfigs, with certificates that the CAs issued.
    ///
    /// Other folders are not searched, because etcd's database and backups are beside them.
    fn of_certificates(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Kubeadm => (&["pki"], ".conf"),
            Self::K3s => (&["tls", "cred"], ".kubeconfig"),
        }
    }

    /// Returns the CAs. k3s has separate CAs for servers and clients, and for etcd's servers and peers. Those for
    /// clients and peers stay trusted, but do not sign.
    fn cas(self) -> &'static [CaFile] {
        match self {
            Self::Kubeadm => &[
                CaFile(CaRole::Cluster, "ca", CaState::Active),
                CaFile(CaRole::Etcd, "etcd/ca", CaState::Active),
                CaFile(CaRole::FrontProxy, "front-proxy-ca", CaState::Active),
            ],
            Self::K3s => &[
                CaFile(CaRole::Cluster, "server-ca", CaState::Active),
                CaFile(CaRole::Cluster, "client-ca", CaState::Trusted),
                CaFile(CaRole::Etcd, "etcd/server-ca", CaState::Active),
                CaFile(CaRole::Etcd, "etcd/peer-ca", CaState::Trusted),
                CaFile(CaRole::FrontProxy, "request-header-ca", CaState::Active),
            ],
        }
    }

    /// Returns the files that may have the key that signs tokens, the preferred one first.
    fn token_keys(self) -> &'static [&'static str] {
        match self {
            Self::Kubeadm => &["sa.key"],
            Self::K3s => &["service.current.key", "service.key"],
        }
    }
}

/// CAs that passed all checks except those of their keys.
#[derive(Debug)]
pub struct DirectoryPlan<'e> {
    env: &'e Env,
    cluster: &'e Cluster,
    cas: Vec<FoundCa>,
    service_account_key: ServiceAccountKey,
    certificate_files: Vec<InputFile>,
}

#[derive(Debug)]
struct FoundCa {
    ca: CaCertificate,
    state: CaState,
    certificate: PathBuf,
    key: PathBuf,
    /// The content of the key's file; `None` for a CA that does not sign.
    text: Option<Zeroizing<Vec<u8>>>,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryReport {
    /// The CAs that sign, one for each role.
    pub cas: Vec<ImportReport>,
    /// The subjects of the CAs that are trusted, but do not sign.
    pub trusted: Vec<String>,
    /// SHA-256 of the public key that verifies service account tokens.
    pub service_account_key: Fingerprint,
}

/// Reads the CAs of a control plane, and checks everything but their keys. Nothing is written.
///
/// The caller has the directory's lock.
///
/// # Errors
/// Returns an error if the cluster directory already has CAs, a file is missing or cannot be read, a certificate cannot
/// sign for its role, or two roles have the same CA.
pub fn plan_directory<'e>(
    tool: ToolLayout,
    folder: &Path,
    cluster: &'e Cluster,
    env: &'e Env,
) -> Result<DirectoryPlan<'e>, Error> {
    if files::exists(&env.layout.pki()) {
        return Err(StoreError::Exists(env.layout.pki()).into());
    }
    if !files::is_folder(folder) {
        return Err(InputError::Missing { what: "folder of a control plane", path: folder.to_owned() }.into());
    }
    let certificate_files = certificate_files(tool, folder)?;
    let below = folder.join(tool.folder());
    let folder = if files::is_folder(&below) { below } else { folder.to_owned() };
    let mut cas: Vec<FoundCa> = Vec::new();
    for CaFile(role, name, state) in tool.cas() {
        let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        let usage = if *state == CaState::Trusted { Usage::Clients } else { Usage::Any };
        let ca = read_ca(&certificate, None, *role, usage, env)?;
        let has_key_of = |other: &&FoundCa| other.ca.certificate().spki == ca.certificate().spki;
        // A folder of k3s may have the same CA for servers and clients.
        if cas.iter().any(|other| other.ca.role() == *role && has_key_of(&other)) {
            continue;
        }
        if let Some((subject, other)) = shared(&ca, &cas) {
            return Err(ImportCaError::SharedKey { path: certificate, subject, other }.into());
        }
        if *state == CaState::Active && cluster.signer(*role).is_some() {
            return Err(ImportCaError::KeyIsHeld { path: key, role: *role }.into());
        }
        let text = match state {
            CaState::Active => Some(Zeroizing::new(input::read(&key, LIMIT, "key of the CA")?)),
            CaState::Trusted | CaState::Prepared | CaState::Retired => None,
        };
        cas.push(FoundCa { ca, state: *state, certificate, key, text });
    }
    let mut names = tool.token_keys().iter().map(|name| folder.join(name));
    let last = names.next_back().unwrap_or_default();
    let path = names.find(|path| files::exists(path)).unwrap_or(last);
    let text = Zeroizing::new(input::read(&path, LIMIT, "key of service accounts")?);
    let service_account_key =
        ServiceAccountKey::from_pem(&text).map_err(|source| ImportCaError::ServiceAccountKey { path, source })?;
    Ok(DirectoryPlan { env, cluster, cas, service_account_key, certificate_files })
}

/// Returns the files and folders that may have certificates which the CAs issued.
fn certificate_files(tool: ToolLayout, named: &Path) -> Result<Vec<InputFile>, StoreError> {
    let input = |path: PathBuf| InputFile { label: path.display().to_string(), path };
    if !files::is_folder(&named.join(tool.folder())) {
        return Ok(vec![input(named.to_owned())]);
    }
    let (folders, ending) = tool.of_certificates();
    let folders = folders.iter().map(|name| named.join(name)).filter(|path| files::is_folder(path));
    let names = files::names_in(named)?;
    let kubeconfigs = names.iter().filter(|name| name.ends_with(ending)).map(|name| named.join(name));
    Ok(folders.chain(kubeconfigs.filter(|path| files::is_plain_file(path))).map(input).collect())
}

/// Returns the subject of the CA, or of one above it, whose key a CA of another role has, and that role.
fn shared(ca: &CaCertificate, cas: &[FoundCa]) -> Option<(String, CaRole)> {
    let others = || cas.iter().filter(|other| other.ca.role() != ca.role());
    ca.path().find_map(|one| {
        let has_its_key = |other: &&FoundCa| other.ca.path().any(|certificate| certificate.spki == one.spki);
        Some((sanitized(&one.subject.text), others().find(has_its_key)?.ca.role()))
    })
}

impl DirectoryPlan<'_> {
    /// Returns the files and folders that may have certificates which the CAs issued.
    #[must_use]
    pub fn certificate_files(&self) -> &[InputFile] {
        &self.certificate_files
    }

    /// Opens the CAs' keys, with a passphrase if they are encrypted, and checks that each is its certificate's.
    ///
    /// # Errors
    /// Returns an error if one cannot be opened, or belongs to another certificate.
    pub fn open(&self, passphrase: Option<&Passphrase>) -> Result<Vec<CaKey>, ImportCaError> {
        let signing = self.cas.iter().filter_map(|found| Some((found, found.text.as_ref()?)));
        signing
            .map(|(found, text)| open_key(&found.ca, (&found.certificate, &found.key), text, passphrase, self.env))
            .collect()
    }

    /// Writes the CAs, their keys, and the key of service accounts: all files or none.
    ///
    /// # Errors
    /// Returns an error if a key cannot be encrypted, or a file cannot be written. In that case, no file remains.
    pub fn apply(self, keys: &[CaKey], protection: &KeyProtection) -> Result<DirectoryReport, Error> {
        let Self { env, cluster, cas, service_account_key, .. } = self;
        let mut roles = Vec::new();
        let active: Vec<&FoundCa> = cas.iter().filter(|found| found.state == CaState::Active).collect();
        for (found, key) in active.iter().zip(keys) {
            let role = found.ca.role();
            let of_role = cas.iter().filter(|other| other.ca.role() == role);
            let trust = TrustBundle::new(role, of_role.map(|other| (other.ca.clone(), other.state)).collect());
            let trust = trust.map_err(|_| ImportCaError::SharedKey {
                path: found.certificate.clone(),
                subject: sanitized(&found.ca.certificate().subject.text),
                other: role,
            })?;
            roles.push(NewRole { trust, key_pem: key_file(key, protection)? });
        }
        ca::import_all(&env.layout, &roles, &service_account_key, &env.audit())?;
        let trusted = cas.iter().filter(|found| found.state == CaState::Trusted);
        Ok(DirectoryReport {
            cas: (active.iter().zip(keys))
                .map(|(found, key)| report(&found.ca, Some(key), cluster, protection, env))
                .collect(),
            trusted: trusted.map(|found| found.ca.certificate().subject.text.clone()).collect(),
            service_account_key: service_account_key.fingerprint(),
        })
    }
}
