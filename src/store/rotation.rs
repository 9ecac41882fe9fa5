//! The folder of a role's rotation: the new CA with its key, a client certificate of each of the two CAs by which a run of
//! `verify` tells whom servers trust, and the hosts' credentials of before.
//!
//! `trust.json` says whether a rotation is under way. The folder appears complete, before that, and goes last.

use std::fs;
use std::path::{Path, PathBuf};

use super::ca::{self, CaError, OpenedCa};
use super::error::StoreError;
use super::files::{self, PRIVATE, PUBLIC};
use super::layout::Layout;
use super::staged::StagedFolder;
use super::trust_file;
use crate::cluster::profile::CaRole;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::certificate::Certificate;
use crate::pki::issuer::Credential;
use crate::pki::key::PrivateKey;
use crate::pki::local_key::LocalKey;
use crate::pki::passphrase::Passphrase;
use crate::pki::pem;
use crate::pki::trust_bundle::TrustBundle;

/// The largest size of a file, in bytes.
const LIMIT: u64 = 1024 * 1024;
/// The file of the new CA, in the form of `trust.json`.
const CA: &str = "ca.json";
/// The file of the new CA's key.
const KEY: &str = "ca.key";
/// Marks a folder whose CA has its key elsewhere.
const KEY_ELSEWHERE: &str = "key-elsewhere";
/// The folder of the credentials of before.
const BEFORE: &str = "before";
/// The folders below `pki` that are saved there.
const SAVED: [&str; 3] = ["masters", "nodes", "verifier"];

/// The CA that signed a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryOf {
    /// The CA that is replaced.
    Old,
    /// The CA that replaces it.
    New,
}

impl CanaryOf {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Old, Self::New];

    fn name(self) -> &'static str {
        match self {
            Self::Old => "canary-old",
            Self::New => "canary-new",
        }
    }
}

/// Writes the folder of a rotation with the new CA, the content of its key's file, if it is in one, and the two canaries, in
/// the order of [`CanaryOf::ALL`]. It appears complete, or not at all.
///
/// # Errors
/// Returns [`StoreError::Exists`] if the folder exists, or the system's error.
pub fn create(
    layout: &Layout,
    ca: &CaCertificate,
    key: Option<&str>,
    canaries: [&Credential; 2],
) -> Result<(), StoreError> {
    let place = layout.rotation(ca.role());
    files::sweep(&layout.root_folder(ca.role()))?;
    let staged = StagedFolder::begin(&place)?;
    let json = trust_file::format_in_full(&TrustBundle::single(ca.clone()));
    staged.add(CA, json.as_bytes(), PUBLIC)?;
    match key {
        Some(key) => staged.add(KEY, key.as_bytes(), PRIVATE)?,
        None => staged.add(KEY_ELSEWHERE, b"", PUBLIC)?,
    };
    for (of, canary) in CanaryOf::ALL.into_iter().zip(canaries) {
        staged.add(&format!("{}.crt", of.name()), canary.certificate_pem().as_bytes(), PUBLIC)?;
        staged.add(&format!("{}.key", of.name()), canary.key.to_pem().as_bytes(), PRIVATE)?;
    }
    files::sync_all(&layout.root_folder(ca.role()))?;
    staged.publish_new()
}

/// Returns the new CA of the folder; `None` if there is no folder.
///
/// # Errors
/// Returns an error if it cannot be read.
pub fn new_ca(layout: &Layout, role: CaRole) -> Result<Option<CaCertificate>, CaError> {
    let path = layout.rotation(role).join(CA);
    let text = match files::read(&path, LIMIT) {
        Err(StoreError::Missing(_)) => return Ok(None),
        other => other?,
    };
    let trust = trust_file::parse(role, &text)
        .map_err(|source| CaError::TrustFile { path: path.display().to_string(), source })?;
    Ok(Some(trust.into_active()))
}

/// Returns true if the key of the new CA is not in the folder, but with a holder.
#[must_use]
pub fn is_key_elsewhere(layout: &Layout, role: CaRole) -> bool {
    files::exists(&layout.rotation(role).join(KEY_ELSEWHERE))
}

/// Returns true if the key of the new CA is in the folder, or with a holder.
#[must_use]
pub fn has_new_key(layout: &Layout, role: CaRole) -> bool {
    files::exists(&layout.rotation_key(role)) || is_key_elsewhere(layout, role)
}

/// Returns a canary; `None` if it cannot be read.
#[must_use]
pub fn canary(layout: &Layout, role: CaRole, of: CanaryOf) -> Option<Credential> {
    let read = |ending: &str| files::read(&layout.rotation(role).join(format!("{}.{ending}", of.name())), LIMIT).ok();
    let mut certificates = pem::certificates(&read("crt")?).ok()?.into_iter().map(Certificate::from_der);
    let certificate = certificates.next()?.ok()?;
    let chain = certificates.collect::<Result<_, _>>().ok()?;
    let key = PrivateKey::from_pem(&zeroize::Zeroizing::new(read("key")?)).ok()?;
    Some(Credential { certificate, chain, key })
}

/// Saves the credentials of all hosts and of the verifier as they are, in place of what was saved before.
///
/// # Errors
/// Returns the system's error.
pub fn save_credentials(layout: &Layout, role: CaRole) -> Result<(), StoreError> {
    let place = layout.rotation(role).join(BEFORE);
    files::sweep(&layout.rotation(role))?;
    let staged = StagedFolder::begin(&place)?;
    for top in SAVED {
        staged.at_place(link_tree(&layout.pki().join(top), &staged.path().join(top)))?;
    }
    files::sync_all(&layout.rotation(role))?;
    staged.publish()
}

/// Returns true if credentials are saved: hosts may have had certificates of the new CA.
#[must_use]
pub fn has_saved(layout: &Layout, role: CaRole) -> bool {
    files::exists(&layout.rotation(role).join(BEFORE))
}

/// Links every file of a folder into another one, which is created. Files of credentials are never changed in place.
fn link_tree(from: &Path, to: &Path) -> Result<(), StoreError> {
    if !files::is_folder(from) {
        return Ok(());
    }
    files::create_folder(to)?;
    for name in files::names_in(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        match files::is_folder(&from) {
            true => link_tree(&from, &to)?,
            false => fs::hard_link(&from, &to).map_err(|error| StoreError::io("keep", &from, &error))?,
        }
    }
    Ok(())
}

/// Puts back the saved folders of credentials in which the present ones have a certificate for which `is_new` is true, and
/// returns their names below `pki`.
///
/// A folder stays as it is if a saved certificate is for a key that no longer exists: the host has replaced it.
///
/// # Errors
/// Returns the system's error. Each folder is either the present or the saved one.
pub fn restore_credentials(
    layout: &Layout,
    role: CaRole,
    is_new: &dyn Fn(&Certificate) -> bool,
) -> Result<Vec<String>, StoreError> {
    let before = layout.rotation(role).join(BEFORE);
    let mut restored = Vec::new();
    for top in SAVED {
        let folder = before.join(top);
        let names: Vec<String> = match top {
            "verifier" if files::is_folder(&folder) => vec![top.to_owned()],
            "verifier" => Vec::new(),
            _ => files::names_in(&folder)?.into_iter().map(|host| format!("{top}/{host}")).collect(),
        };
        for name in names {
            let present = layout.pki().join(&name);
            if !has_certificate(&present, is_new)? || !has_keys(&before.join(&name), &present)? {
                continue;
            }
            let staged = StagedFolder::begin(&present)?;
            for file in files::names_in(&before.join(&name))? {
                let from = before.join(&name).join(&file);
                fs::hard_link(&from, staged.path().join(&file))
                    .map_err(|error| StoreError::io("keep", &from, &error))?;
            }
            files::sync_all(&layout.pki())?;
            staged.publish()?;
            restored.push(name);
        }
    }
    Ok(restored)
}

/// Returns true if the key of every saved certificate exists: it is saved, too, or only the host has it and the present
/// certificate is for the same key.
fn has_keys(saved: &Path, present: &Path) -> Result<bool, StoreError> {
    for name in files::names_in(saved)?.iter().filter(|name| name.ends_with(".crt")) {
        if files::exists(&saved.join(name).with_extension("key")) {
            continue;
        }
        let of_saved = leaf(&saved.join(name))?;
        let of_present = if files::exists(&present.join(name)) { leaf(&present.join(name))? } else { None };
        let is_same = of_saved.zip(of_present).is_some_and(|(saved, present)| saved.spki == present.spki);
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_certificate(folder: &Path, is_wanted: &dyn Fn(&Certificate) -> bool) -> Result<bool, StoreError> {
    for name in files::names_in(folder)?.iter().filter(|name| name.ends_with(".crt")) {
        if leaf(&folder.join(name))?.is_some_and(|leaf| is_wanted(&leaf)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the first certificate of a file; `None` if it cannot be parsed.
fn leaf(path: &Path) -> Result<Option<Certificate>, StoreError> {
    let text = files::read(path, LIMIT)?;
    Ok(pem::certificates(&text).ok().and_then(|ders| Certificate::from_der(ders.into_iter().next()?).ok()))
}

/// Makes the new CA's key the key of the role, if it is in the folder. The old key's file is kept at `keep`, or deleted.
///
/// The caller has recorded that the rotation ends. A killed process is continued by the same call.
///
/// # Errors
/// Returns the system's error.
pub fn adopt_key(layout: &Layout, role: CaRole, keep: Option<&str>) -> Result<(), StoreError> {
    let (new, old) = (layout.rotation_key(role), layout.root_key(role));
    let is_elsewhere = is_key_elsewhere(layout, role);
    let has_key = files::exists(&new) || is_elsewhere && files::exists(&old);
    if !has_key {
        return Ok(());
    }
    if let Some(name) = keep {
        let kept: PathBuf = layout.root_folder(role).join(name);
        if !files::exists(&kept) && files::exists(&old) {
            fs::hard_link(&old, &kept).map_err(|error| StoreError::io("keep", &old, &error))?;
            files::sync_all(&layout.root_folder(role))?;
        }
    }
    if is_elsewhere {
        let name = old.file_name().unwrap_or_default().to_owned();
        return files::remove_all(&layout.root_folder(role), &[name.into()]);
    }
    fs::rename(&new, &old).map_err(|error| StoreError::io("rename", &new, &error))?;
    files::sync_all(&layout.root_folder(role))
}

/// Removes the folder of a rotation in one step, if there is one.
///
/// # Errors
/// Returns the system's error.
pub fn remove(layout: &Layout, role: CaRole) -> Result<(), StoreError> {
    files::remove_folder(&layout.rotation(role))
}

/// Opens the CA that a rotation replaces, which still signs its own CRL; `None` if there is none, or its key is not here.
///
/// # Errors
/// Returns an error if a certificate or the key cannot be read, or the passphrase is wrong.
pub fn open_outgoing(
    layout: &Layout,
    role: CaRole,
    passphrase: Option<&Passphrase>,
) -> Result<Option<OpenedCa>, CaError> {
    let trust = ca::trust(layout, role)?;
    let Some(old) = trust.outgoing().filter(|old| old.certificate().can_sign_crls()) else { return Ok(None) };
    let path = ca::key_path(layout, &trust, old);
    let Some(text) = ca::key_text(&path)? else { return Ok(None) };
    let shown = path.display().to_string();
    let key = LocalKey::from_pem_with(&text, passphrase).map_err(|source| CaError::Key { path: shown, source })?;
    let weakly_encrypted = key.is_weakly_encrypted().then_some(path);
    Ok(Some(OpenedCa { ca: old.clone(), key: Box::new(key), weakly_encrypted }))
}
