//! Reads, opens and writes the files of CAs in a cluster directory.

use std::fmt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

pub use super::ca_error::CaError;
use super::error::StoreError;
use super::files;
use super::layout::{Layout, PENDING_TRUST_FILE, TRUST_FILE};
use super::ledger::certificates::Entry;
use super::ledger::{AuditContext, Ledger};
use super::staged::StagedFolder;
use super::trust_file;
use crate::cluster::profile::CaRole;
use crate::pki::ca_certificate::{CaCertificate, Origin};
use crate::pki::certificate::Certificate;
use crate::pki::issuer::{IssueError, Issuer};
use crate::pki::local_key::LocalKey;
use crate::pki::passphrase::Passphrase;
use crate::pki::pem;
use crate::pki::service_account_key::ServiceAccountKey;
use crate::pki::signing_key::SigningKey;
use crate::pki::trust_bundle::TrustBundle;
use crate::pki::verified::Verified;

/// The largest size of a CA's certificate or key, in bytes.
const LIMIT: u64 = 256 * 1024;

/// Reads the CAs of a role with their states: those of `trust.json`, else the one root in `ca.crt`.
///
/// While [`write_trust`] replaces both files, and after it was killed, this returns either the old or the new CAs.
///
/// # Errors
/// Returns an error if a file is missing or damaged, or `ca.crt` does not contain the roots that `trust.json` trusts.
pub fn trust(layout: &Layout, role: CaRole) -> Result<TrustBundle, CaError> {
    match read_trust(layout, role) {
        // Another process may have replaced one of the files between the two reads.
        Err(CaError::OtherRoots { .. } | CaError::Several { .. }) => read_trust(layout, role),
        other => other,
    }
}

fn read_trust(layout: &Layout, role: CaRole) -> Result<TrustBundle, CaError> {
    let roots = certificates(layout, role)?;
    if let Some(pending) = pending(layout, role, &roots)? {
        return Ok(pending);
    }
    let path = layout.trust_file(role);
    let text = match files::read(&path, LIMIT) {
        Ok(text) => text,
        Err(StoreError::Missing(_)) => return single(layout, role, roots),
        Err(error) => return Err(error.into()),
    };
    let shown = path.display().to_string();
    let trust = trust_file::parse(role, &text).map_err(|source| CaError::TrustFile { path: shown, source })?;
    if roots.iter().ne(trust.anchors_of_files()) {
        let path = layout.root_certificate(role).display().to_string();
        return Err(CaError::OtherRoots { path });
    }
    Ok(trust)
}

/// Returns the CAs that are being written, if `ca.crt` already contains their roots.
fn pending(layout: &Layout, role: CaRole, roots: &[Certificate]) -> Result<Option<TrustBundle>, StoreError> {
    let text = match files::read(&layout.pending_trust_file(role), LIMIT) {
        Err(StoreError::Missing(_)) => return Ok(None),
        other => other?,
    };
    let pending = trust_file::parse(role, &text).ok();
    Ok(pending.filter(|pending| roots.iter().eq(pending.anchors_of_files())))
}

fn single(layout: &Layout, role: CaRole, mut roots: Vec<Certificate>) -> Result<TrustBundle, CaError> {
    let count = roots.len();
    match (roots.pop(), count) {
        (Some(root), 1) => Ok(TrustBundle::single(CaCertificate::own_root(role, root))),
        _ => Err(CaError::Several { path: layout.root_certificate(role).display().to_string(), count }),
    }
}

/// A step of writing the CAs of a role. Each step replaces or removes one file atomically.
#[derive(Debug, Clone, Copy)]
enum TrustStep {
    /// Writes the CAs into a pending file. From now on, a changed `ca.crt` belongs to them.
    Pending,
    /// Writes `ca.crt`.
    Roots,
    /// Writes `trust.json`, or removes it if it is not needed.
    TrustFile,
    /// Removes the file of the first step.
    Done,
}

impl TrustStep {
    const ALL: [Self; 4] = [Self::Pending, Self::Roots, Self::TrustFile, Self::Done];

    fn run(self, layout: &Layout, trust: &TrustBundle) -> Result<(), StoreError> {
        let role = trust.role();
        let write = |path: &Path, text: &str| files::replace(path, text.as_bytes(), files::PUBLIC);
        let remove = |name: &str| files::remove_all(&layout.root_folder(role), &[name.into()]);
        match self {
            Self::Pending => write(&layout.pending_trust_file(role), &trust_file::format_in_full(trust)),
            Self::Roots => write(&layout.root_certificate(role), &trust.to_pem()),
            Self::TrustFile => match trust_file::format(trust) {
                Some(text) => write(&layout.trust_file(role), &text),
                None if files::exists(&layout.trust_file(role)) => remove(TRUST_FILE),
                None => Ok(()),
            },
            Self::Done => remove(PENDING_TRUST_FILE),
        }
    }
}

/// Writes the CAs of a role: `ca.crt` and, if needed, `trust.json`.
///
/// The caller holds the directory's lock. If the process is killed at any time, [`trust`] returns either the old or the
/// new CAs, and [`complete_trust`] completes the files.
///
/// # Errors
/// Returns the system's error.
pub fn write_trust(layout: &Layout, trust: &TrustBundle) -> Result<(), StoreError> {
    TrustStep::ALL.iter().try_for_each(|step| step.run(layout, trust))
}

/// Completes an interrupted [`write_trust`], or reverts it if `ca.crt` is unchanged.
///
/// The caller holds the directory's lock.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn complete_trust(layout: &Layout, role: CaRole) -> Result<(), StoreError> {
    if !files::exists(&layout.pending_trust_file(role)) {
        return Ok(());
    }
    let roots = certificates(layout, role).unwrap_or_default();
    match pending(layout, role, &roots)? {
        Some(trust) => [TrustStep::TrustFile, TrustStep::Done].iter().try_for_each(|step| step.run(layout, &trust)),
        None => files::remove_all(&layout.root_folder(role), &[PENDING_TRUST_FILE.into()]),
    }
}

/// Reads the certificates in `ca.crt`, in its order.
fn certificates(layout: &Layout, role: CaRole) -> Result<Vec<Certificate>, CaError> {
    let path = layout.root_certificate(role);
    let shown = path.display().to_string();
    let text = match files::read(&path, LIMIT) {
        Err(StoreError::Missing(_)) if files::exists(&layout.pki()) => {
            return Err(CaError::CertificateMissing(shown));
        }
        Err(StoreError::Missing(_)) => return Err(CaError::None(layout.dir().display().to_string())),
        other => other?,
    };
    let found = pem::certificates(&text).map_err(|source| CaError::Pem { path: shown.clone(), source })?;
    let read = |der| Certificate::from_der(der).map_err(|source| CaError::Certificate { path: shown.clone(), source });
    found.into_iter().map(read).collect()
}

/// Returns the file of a CA's key: that of the role, or that of the CA which replaces another.
#[must_use]
pub fn key_path(layout: &Layout, trust: &TrustBundle, ca: &CaCertificate) -> PathBuf {
    let is_new = trust.rotation().is_some_and(|rotation| rotation.new == ca.certificate().fingerprint());
    let own = layout.rotation_key(ca.role());
    // At the end of a rotation it becomes the key of the role.
    if is_new && files::exists(&own) { own } else { layout.root_key(ca.role()) }
}

/// Reads the text of a key file, encrypted or not; `None` if there is no such file.
///
/// # Errors
/// Returns the system's error.
pub fn key_text(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    match files::read(path, LIMIT) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A CA with its key, opened for signing.
pub struct OpenedCa {
    /// The active CA of a role.
    pub ca: CaCertificate,
    /// Its key.
    pub key: Box<dyn SigningKey>,
    /// The key's file, if its encryption is so weak that passphrases are tried quickly.
    pub weakly_encrypted: Option<PathBuf>,
}

impl fmt::Debug for OpenedCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedCa").field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl OpenedCa {
    /// Creates the issuer.
    ///
    /// # Errors
    /// Returns an error if the CA must not sign at `now`, or the key belongs to another certificate.
    pub fn into_issuer(self, now: OffsetDateTime) -> Result<Issuer, IssueError> {
        Issuer::new(self.ca, self.key, now)
    }
}

/// Opens the active CA of a role for signing, with a passphrase if its key is encrypted.
///
/// # Errors
/// Returns an error if a certificate or the key is missing, unreadable, or the passphrase is wrong. That the two belong
/// together is checked by [`OpenedCa::into_issuer`].
pub fn open(layout: &Layout, role: CaRole, passphrase: Option<&Passphrase>) -> Result<OpenedCa, CaError> {
    let trust = trust(layout, role)?;
    let (path, ca) = (key_path(layout, &trust, trust.active()), trust.active().clone());
    let shown = path.display().to_string();
    let text = key_text(&path)?.ok_or_else(|| CaError::KeyMissing(shown.clone()))?;
    let key = LocalKey::from_pem_with(&text, passphrase).map_err(|source| CaError::Key { path: shown, source })?;
    Ok(OpenedCa { ca, weakly_encrypted: key.is_weakly_encrypted().then_some(path), key: Box::new(key) })
}

/// A CA to be written.
#[derive(Debug)]
pub struct NewCa {
    /// Its certificate.
    pub ca: Verified<CaCertificate>,
    /// The content of the key's file, encrypted or not; `None` if the key is elsewhere.
    pub key_pem: Option<Zeroizing<String>>,
}

/// The root of an intermediate, which is kept elsewhere.
#[derive(Debug)]
pub struct OfflineRoot {
    /// Its certificate.
    pub root: Verified<CaCertificate>,
    /// The content of its key's file, encrypted or not.
    pub key_pem: Zeroizing<String>,
}

/// Writes offline roots and their keys into a new folder: `cluster/root.crt`, `cluster/root.key` and so on. It appears
/// complete, or not at all.
///
/// # Errors
/// Returns [`StoreError::Exists`] if the folder exists already, or the system's error.
pub fn write_offline_roots(folder: &Path, roots: &[OfflineRoot]) -> Result<(), StoreError> {
    if files::exists(folder) {
        return Err(StoreError::Exists(folder.to_owned()));
    }
    let staged = StagedFolder::begin(folder)?;
    let write = |OfflineRoot { root, key_pem }: &OfflineRoot| {
        let role = root.get().role();
        let (certificate, key) = offline_root_files(staged.path(), role);
        files::create_folder(&staged.path().join(role.name()))?;
        files::write_new(&key, key_pem.as_bytes(), files::PRIVATE)?;
        files::write_new(&certificate, root.get().certificate().to_pem().as_bytes(), files::PUBLIC)
    };
    staged.at_place(roots.iter().try_for_each(write))?;
    staged.sync()?;
    staged.publish_new()
}

/// Returns the files of the certificate and of the key of a role's root in a folder of offline roots.
#[must_use]
pub fn offline_root_files(folder: &Path, role: CaRole) -> (PathBuf, PathBuf) {
    let folder = folder.join(role.name());
    (folder.join("root.crt"), folder.join("root.key"))
}

/// Records the active CA of `trust`, which is new, and writes the CAs and its key, if the key is not elsewhere.
///
/// The caller holds the directory's lock. If the process is killed before the key is written, the CA cannot sign: the same command
/// makes another one.
///
/// # Errors
/// Returns the ledger's or the system's error.
pub fn replace_active(
    layout: &Layout,
    trust: &TrustBundle,
    key: Option<&str>,
    audit: &AuditContext<'_>,
) -> Result<(), StoreError> {
    let (role, certificate) = (trust.role(), trust.active().certificate());
    let mut ledger = Ledger::open(&layout.ledger())?;
    ledger.record(&[Entry { certificate, profile: role.as_str(), host: None, issuer: certificate }], audit)?;
    ledger.log_event("renew-ca", role.as_str(), &certificate.fingerprint().to_string(), audit)?;
    write_trust(layout, trust)?;
    key.map_or(Ok(()), |key| files::replace(&layout.root_key(role), key.as_bytes(), files::PRIVATE))
}

/// Removes what [`write_offline_roots`] wrote, where the CAs below the roots could not be written.
pub fn remove_offline_roots(folder: &Path) {
    if let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) {
        // What stays is named by the error of a second try.
        let _ = files::remove_all(parent, &[name.into()]);
    }
}

/// Writes the folder `pki` with all CAs and a new ledger that records them. It appears complete, or not at all.
///
/// # Errors
/// Returns [`StoreError::Exists`] if `pki` already exists, even as an empty folder, or the system's error.
pub fn create_all(layout: &Layout, roots: &[NewCa], audit: &AuditContext<'_>) -> Result<(), StoreError> {
    let pki = layout.pki();
    if files::exists(&pki) {
        return Err(StoreError::Exists(pki));
    }
    files::sweep(layout.dir())?;
    let staged = StagedFolder::begin(&pki)?;
    let inside = |path: PathBuf| path.strip_prefix(&pki).map(|path| staged.path().join(path)).unwrap_or(path);
    let mut ledger = Ledger::create_as(&inside(layout.ledger()), &layout.ledger())?;
    let entries: Vec<Entry<'_>> = roots
        .iter()
        .map(|root| {
            let certificate = root.ca.get().certificate();
            Entry { certificate, profile: root.ca.get().role().as_str(), host: None, issuer: certificate }
        })
        .collect();
    ledger.record(&entries, audit)?;
    ledger.log_event("init-ca", "roots", &format!("{} roots created", roots.len()), audit)?;
    drop(ledger);
    for root in roots {
        let folder = inside(layout.root_folder(root.ca.get().role()));
        staged.at_place(files::create_folder(&folder))?;
        staged.at_place(write_ca(&folder, root.ca.get(), root.key_pem.as_ref().map(|key| key.as_str())))?;
    }
    files::sync_all(layout.dir())?;
    staged.publish_new()
}

/// The CAs of a role to be written, and the key of the one that signs.
#[derive(Debug)]
pub struct NewRole {
    /// The CAs.
    pub trust: TrustBundle,
    /// The content of the key's file, encrypted or not.
    pub key_pem: Zeroizing<String>,
}

/// Writes the folder `pki` with the CAs of all roles that another tool made, the key of its service accounts, and a new
/// ledger: it appears complete, or not at all.
///
/// # Errors
/// Returns [`StoreError::Exists`] if `pki` already exists, even as an empty folder, or the system's error.
pub fn import_all(
    layout: &Layout,
    roles: &[NewRole],
    service_account_key: &ServiceAccountKey,
    audit: &AuditContext<'_>,
) -> Result<(), StoreError> {
    let pki = layout.pki();
    if files::exists(&pki) {
        return Err(StoreError::Exists(pki));
    }
    files::sweep(layout.dir())?;
    let staged = StagedFolder::begin(&pki)?;
    let inside = |path: PathBuf| path.strip_prefix(&pki).map(|path| staged.path().join(path)).unwrap_or(path);
    let mut ledger = Ledger::create_as(&inside(layout.ledger()), &layout.ledger())?;
    for NewRole { trust, .. } in roles {
        let role = trust.role();
        let entries: Vec<Entry<'_>> = trust
            .all()
            .map(|(ca, _)| ca.certificate())
            .map(|certificate| Entry { certificate, profile: role.as_str(), host: None, issuer: certificate })
            .collect();
        ledger.record(&entries, audit)?;
        ledger.log_event("import-ca", role.as_str(), &trust.active().certificate().fingerprint().to_string(), audit)?;
    }
    let detail = format!("{} imported", service_account_key.fingerprint().as_pin());
    ledger.log_event("service-account", "key pair", &detail, audit)?;
    drop(ledger);
    for NewRole { trust, key_pem } in roles {
        let role = trust.role();
        let folder = inside(layout.root_folder(role));
        staged.at_place(files::create_folder(&folder))?;
        staged.at_place(write_role(&folder, trust, Some(key_pem)))?;
    }
    let (key, public) = (layout.service_account_key(), layout.service_account_public());
    let write = |path, text: &str, mode| staged.at_place(files::write_new(&inside(path), text.as_bytes(), mode));
    write(key, &service_account_key.to_pem(), files::PRIVATE)?;
    write(public, &service_account_key.public_pem(), files::PUBLIC)?;
    files::sync_all(layout.dir())?;
    staged.publish_new()
}

/// Writes the CA of a role that has none, and its key where it is not elsewhere: the role's folder appears complete, or not at all.
///
/// For the cluster's role the folder is `pki`, with a new ledger.
///
/// # Errors
/// Returns [`StoreError::Exists`] if the folder already exists, even if it is empty, or the system's error.
pub fn add(layout: &Layout, ca: &CaCertificate, key: Option<&str>, audit: &AuditContext<'_>) -> Result<(), StoreError> {
    let (role, place) = (ca.role(), layout.root_folder(ca.role()));
    if files::exists(&place) {
        return Err(StoreError::Exists(place));
    }
    files::sweep(layout.dir())?;
    let staged = StagedFolder::begin(&place)?;
    let ledger = layout.ledger();
    let mut ledger = match (role, ledger.strip_prefix(layout.pki())) {
        (CaRole::Cluster, Ok(below)) => Ledger::create_as(&staged.path().join(below), &ledger)?,
        _ => Ledger::open(&ledger)?,
    };
    let certificate = ca.certificate();
    // A killed process may already have recorded it.
    if !ledger.has_ca(certificate.fingerprint(), role)? {
        let entry = Entry { certificate, profile: role.as_str(), host: None, issuer: certificate };
        ledger.record(&[entry], audit)?;
    }
    let (event, subject) = match ca.origin() {
        Origin::Generated => ("init-ca", "roots"),
        Origin::Imported => ("import-ca", role.as_str()),
    };
    ledger.log_event(event, subject, &certificate.fingerprint().to_string(), audit)?;
    drop(ledger);
    staged.at_place(write_ca(staged.path(), ca, key))?;
    files::sync_all(layout.dir())?;
    staged.publish_new()
}

/// Writes the files of a CA into a folder that has none of them.
fn write_ca(folder: &Path, ca: &CaCertificate, key: Option<&str>) -> Result<(), StoreError> {
    write_role(folder, &TrustBundle::single(ca.clone()), key)
}

/// Writes the files of a role's CAs into its folder.
fn write_role(folder: &Path, trust: &TrustBundle, key: Option<&str>) -> Result<(), StoreError> {
    let write = |name: &str, text: &str, mode| files::write_new(&folder.join(name), text.as_bytes(), mode);
    if let Some(key) = key {
        write("ca.key", key, files::PRIVATE)?;
    }
    write("ca.crt", &trust.to_pem(), files::PUBLIC)?;
    match trust_file::format(trust) {
        Some(text) => write(TRUST_FILE, &text, files::PUBLIC),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
