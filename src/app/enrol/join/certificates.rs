//! Checks issued certificates, and writes them to their paths on the host.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::error::JoinError;
use crate::app::error::Error;
use crate::bundle::model::folder_mode;
use crate::bundle::paths;
use crate::cluster::account::AccountScheme;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Profile, Usage};
use crate::enrol::record::Record;
use crate::pki::certificate::Certificate;
use crate::pki::chain::{Purpose, ViolationKind, best_path};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::store::error::StoreError;
use crate::store::files;

/// The largest file of a certificate with its intermediates, in bytes.
const LIMIT: u64 = 256 * 1024;

/// A checked certificate with the intermediates above it.
#[derive(Debug, Clone)]
pub(super) struct IssuedChain {
    pub(super) profile: Profile,
    pub(super) chain: Vec<Certificate>,
}

impl IssuedChain {
    /// Returns the fingerprint of the certificate itself.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.chain.first().map_or_else(|| Fingerprint::of(&[]), Certificate::fingerprint)
    }

    pub(super) fn to_pem(&self) -> String {
        self.chain.iter().map(Certificate::to_pem).collect()
    }
}

/// Checks a certificate from an endpoint: it must be for the host's own key, for its account or name, chain to a root of the
/// record, and be valid now.
///
/// # Errors
/// Returns [`JoinError::WrongCertificate`] with the reason.
pub(super) fn check(
    pem: &[u8],
    profile: Profile,
    key: Fingerprint,
    host: &HostName,
    record: &Record,
    now: OffsetDateTime,
) -> Result<IssuedChain, JoinError> {
    let wrong = |reason: String| JoinError::WrongCertificate { profile, reason };
    let ders = pem::certificates(pem).map_err(|error| wrong(error.to_string()))?;
    let chain: Result<Vec<Certificate>, _> = ders.into_iter().map(Certificate::from_der).collect();
    let chain = chain.map_err(|error| wrong(error.to_string()))?;
    let Some((leaf, others)) = chain.split_first() else { return Err(wrong("there is none".to_owned())) };
    if leaf.spki_fingerprint() != key {
        return Err(wrong("it is for another key".to_owned()));
    }
    let usage = profile.policy().usage;
    let purpose = if usage == Usage::Server { Purpose::Server } else { Purpose::Client };
    let path = best_path(leaf, others, &record.roots, purpose, now).map_err(|error| wrong(error.to_string()))?;
    if let Some(violation) = path.violations.first() {
        let times = || {
            format!(
                "; it is valid from {} until {}, and it is {} here",
                stamp(leaf.not_before),
                stamp(leaf.not_after),
                stamp(now)
            )
        };
        let times = if violation.kind == ViolationKind::Dates { times() } else { String::new() };
        return Err(wrong(format!("{}{times}", violation.reason)));
    }
    let account = leaf.account();
    match usage {
        Usage::Server if !leaf.names_address(&host.to_address()) => {
            return Err(wrong(format!("it does not name {host}")));
        }
        Usage::Server => {}
        Usage::Client | Usage::ServerAndClient => {
            let is_ours = AccountScheme::ALL.iter().any(|scheme| scheme.account(host).user == account.user);
            if !is_ours {
                return Err(wrong(format!("its account is {:?}", account.user)));
            }
        }
    }
    Ok(IssuedChain { profile, chain })
}

/// Returns the path of a certificate, relative to the host's root; `None` for profiles that hosts do not have.
pub(super) fn certificate_path(profile: Profile) -> Option<String> {
    paths::key_of(profile).map(|key| format!("{}.crt", key.trim_end_matches(".key")))
}

/// Returns the installed certificate of a profile; `None` if there is none.
///
/// # Errors
/// Returns an error if the file exists and has no certificate.
pub(super) fn present(root: &Path, profile: Profile) -> Result<Option<Certificate>, Error> {
    Ok(present_chain(root, profile)?.and_then(|chain| chain.into_iter().next()))
}

/// Like [`present`], with the intermediates above it.
///
/// # Errors
/// Returns an error if the file exists and has no certificate.
pub(super) fn present_chain(root: &Path, profile: Profile) -> Result<Option<Vec<Certificate>>, Error> {
    let Some(below) = certificate_path(profile) else { return Ok(None) };
    let path = root.join(below);
    let bytes = match files::read(&path, LIMIT) {
        Ok(bytes) => bytes,
        Err(StoreError::Missing(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let ders = pem::certificates(&bytes).unwrap_or_default();
    let chain: Option<Vec<Certificate>> = ders.into_iter().map(|der| Certificate::from_der(der).ok()).collect();
    match chain.filter(|chain| !chain.is_empty()) {
        Some(chain) => Ok(Some(chain)),
        None => Err(JoinError::NoCertificate(path).into()),
    }
}

/// Returns the pin of the root that a chain leads to; `None` if it leads to none of `roots`. Dates are not checked.
pub(super) fn root_of(profile: Profile, chain: &[Certificate], roots: &[Certificate]) -> Option<Fingerprint> {
    let (leaf, others) = chain.split_first()?;
    let purpose = if profile.policy().usage == Usage::Server { Purpose::Server } else { Purpose::Client };
    let path = best_path(leaf, others, roots, purpose, leaf.not_before).ok()?;
    Some(path.anchor.spki_fingerprint())
}

/// Installs a certificate atomically, unless it is installed already. Returns its path if it was written.
///
/// # Errors
/// Returns an error if it cannot be written.
pub(super) fn put(root: &Path, issued: &IssuedChain) -> Result<Option<PathBuf>, Error> {
    let Some(below) = certificate_path(issued.profile) else { return Ok(None) };
    put_file(root, &below, issued.to_pem().as_bytes())
}

/// Installs the roots atomically, unless they are installed already. Returns the path if they were written.
///
/// # Errors
/// Returns an error if they cannot be written.
pub(super) fn put_roots(root: &Path, roots: &[Certificate]) -> Result<Option<PathBuf>, Error> {
    let pem: String = roots.iter().map(Certificate::to_pem).collect();
    put_file(root, paths::CA, pem.as_bytes())
}

/// Returns the roots that are installed; none if the file is missing or damaged.
pub(super) fn installed_roots(root: &Path) -> Vec<Certificate> {
    let bytes = files::read(&root.join(paths::CA), LIMIT).unwrap_or_default();
    let ders = pem::certificates(&bytes).unwrap_or_default();
    ders.into_iter().filter_map(|der| Certificate::from_der(der).ok()).collect()
}

/// Writes a file atomically, unless its content is there already. Returns its path if it was written.
///
/// # Errors
/// Returns an error if it cannot be written.
pub(super) fn put_file(root: &Path, below: &str, bytes: &[u8]) -> Result<Option<PathBuf>, Error> {
    let path = root.join(below);
    if files::holds(&path, bytes) {
        return Ok(None);
    }
    files::create_folders_below(root, below, folder_mode)?;
    files::sweep(path.parent().unwrap_or(root))?;
    files::replace(&path, bytes, files::PUBLIC)?;
    Ok(Some(path))
}
