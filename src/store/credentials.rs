//! The credentials of control-plane nodes, nodes and the verifier in the directory, and the problems of each.

use std::fmt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::error::StoreError;
use super::files;
use super::layout::Layout;
use super::ledger::inventory::Inventory;
use super::ledger::revocations::Revocation;
use super::ledger::{AuditContext, Ledger};
use crate::cluster::duration::stamp;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CertificateSpec, Profile};
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::issuer::Credential;
use crate::pki::key::{KeyError, PrivateKey};
use crate::pki::lint::{leaf_violations, violations_except_signature};
use crate::pki::pem::{self, PemError};
use crate::pki::reason::Reason;
use crate::pki::trust_bundle::TrustBundle;
use crate::pki::violation::Violation;

/// The largest size of a certificate or key, in bytes; ten thousand names would fit.
const LIMIT: u64 = 1024 * 1024;

/// A problem of a credential in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialProblem {
    /// It was never issued, or its folder was removed.
    NotThere,
    /// One of its files is missing.
    Missing(PathBuf),
    /// Its key was deleted on purpose after its host's encrypted bundle contained it. There is no other problem.
    KeyDiscarded {
        /// When the certificate expires.
        not_after: OffsetDateTime,
    },
    /// Its key is only on its host, which requested the certificate. There is no other problem.
    KeyOnHost {
        /// When the certificate expires.
        not_after: OffsetDateTime,
    },
    /// A file cannot be read.
    Unreadable(StoreError),
    /// The certificate's file is not PEM.
    NotPem(PathBuf, PemError),
    /// The certificate cannot be parsed.
    NotACertificate(PathBuf, CertificateError),
    /// The certificate's file has this number of certificates instead of one.
    Several(PathBuf, usize),
    /// The certificate's file does not contain the chain of its issuer.
    OtherChain(PathBuf),
    /// The key cannot be read.
    BadKey(PathBuf, KeyError),
    /// The key is readable by users other than its owner.
    Mode(PathBuf, u32),
    /// The certificate violates a rule.
    Violation(Violation),
    /// The ledger does not have it.
    NotInLedger,
    /// It was revoked.
    Revoked(Revocation),
    /// Another host has the same key.
    SharedKey(String),
}

impl CredentialProblem {
    /// Returns the error of reading the file, if that is the problem. The credential may be valid.
    #[must_use]
    pub fn unreadable(&self) -> Option<&StoreError> {
        match self {
            Self::Unreadable(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::NotThere => "not-issued",
            Self::Missing(_) => "file-missing",
            Self::KeyDiscarded { .. } => "key-discarded",
            Self::KeyOnHost { .. } => "key-on-host",
            Self::Unreadable(_) => "unreadable",
            Self::NotPem(..) | Self::NotACertificate(..) | Self::Several(..) | Self::BadKey(..) => "damaged",
            Self::OtherChain(_) => "other-chain",
            Self::Mode(..) => "readable-by-others",
            Self::Violation(violation) => violation.id(),
            Self::NotInLedger => "not-in-ledger",
            Self::Revoked(_) => "revoked",
            Self::SharedKey(_) => "shared-key",
        }
    }

    /// Returns true if the certificate is not valid yet.
    #[must_use]
    pub fn is_early(&self) -> bool {
        matches!(self, Self::Violation(violation) if violation.is_early())
    }
}

impl fmt::Display for CredentialProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere => f.write_str("not issued yet"),
            Self::Missing(path) => write!(f, "{} is missing", path.display()),
            Self::KeyDiscarded { not_after } => {
                let expiry = stamp(*not_after);
                write!(
                    f,
                    "its key was deleted on purpose, only its host's encrypted bundle has it; valid until {expiry}"
                )
            }
            Self::KeyOnHost { not_after } => {
                write!(f, "only its host has its key; valid until {}", stamp(*not_after))
            }
            Self::Unreadable(error) => error.fmt(f),
            Self::NotPem(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NotACertificate(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Several(path, count) => write!(f, "{} holds {count} certificates instead of one", path.display()),
            Self::OtherChain(path) => write!(f, "{} does not hold the chain of its issuer", path.display()),
            Self::BadKey(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Mode(path, mode) => write!(f, "{} has mode {mode:04o}, others can read it", path.display()),
            Self::Violation(violation) => violation.fmt(f),
            Self::NotInLedger => f.write_str("it is not in the ledger"),
            Self::Revoked(Revocation { reason: Reason::Unspecified, at }) => {
                write!(f, "it was revoked at {}", stamp(*at))
            }
            Self::Revoked(Revocation { reason, at }) => write!(f, "it was revoked at {} ({reason})", stamp(*at)),
            Self::SharedKey(other) => write!(f, "its key is also {other}'s"),
        }
    }
}

/// A credential that was read, with the bytes of its files.
#[derive(Debug)]
pub struct LoadedCredential {
    /// Certificate and key.
    pub credential: Credential,
    /// The certificate's file.
    pub certificate_pem: Vec<u8>,
    /// The key's file.
    pub key_pem: Zeroizing<Vec<u8>>,
    /// The permission bits of the key's file.
    key_mode: u32,
}

/// Returns true if there is no folder that the credential could be in.
#[must_use]
pub fn lacks_folder(layout: &Layout, leaf: &CertificateSpec) -> bool {
    files::is_missing(&layout.holder_folder(leaf.profile, leaf.host.as_ref()))
}

fn file(path: &Path) -> Result<(Vec<u8>, u32), CredentialProblem> {
    files::read_one_of_many(path, LIMIT).map_err(|error| match error {
        StoreError::Missing(path) => CredentialProblem::Missing(path),
        error => CredentialProblem::Unreadable(error),
    })
}

fn paths(layout: &Layout, leaf: &CertificateSpec) -> (PathBuf, PathBuf) {
    paths_of(layout, leaf.profile, leaf.host.as_ref())
}

fn paths_of(layout: &Layout, profile: Profile, host: Option<&HostName>) -> (PathBuf, PathBuf) {
    let mut certificate = layout.holder_folder(profile, host);
    certificate.push([profile.policy().name, ".crt"].concat());
    let key = certificate.with_extension("key");
    (certificate, key)
}

/// Returns the file of the private key of a credential, if it exists.
#[must_use]
pub fn key_file(layout: &Layout, leaf: &CertificateSpec) -> Option<PathBuf> {
    Some(paths(layout, leaf).1).filter(|path| files::exists(path))
}

/// Reads the credential that `leaf` describes.
///
/// # Errors
/// Returns the problem that prevents reading it.
pub fn read(layout: &Layout, leaf: &CertificateSpec) -> Result<LoadedCredential, CredentialProblem> {
    let (certificate_path, key_path) = paths(layout, leaf);
    let key = file(&key_path).map(|(pem, mode)| (Zeroizing::new(pem), mode));
    let (certificate_pem, key_pem, key_mode) = match (file(&certificate_path), key) {
        (Err(CredentialProblem::Missing(_)), Err(CredentialProblem::Missing(_))) => {
            return Err(CredentialProblem::NotThere);
        }
        (certificate, key) => {
            let ((certificate, _), (key, mode)) = (certificate?, key?);
            (certificate, key, mode)
        }
    };
    let (certificate, chain) = certificates_in(certificate_path, &certificate_pem)?;
    let key = PrivateKey::from_pem(&key_pem).map_err(|error| CredentialProblem::BadKey(key_path, error))?;
    Ok(LoadedCredential { credential: Credential { certificate, chain, key }, certificate_pem, key_pem, key_mode })
}

/// Reads and verifies the credential that `leaf` describes.
///
/// A good credential exists, matches the cluster file, chains to a CA of `trust`, is valid, is in the ledger, and is
/// not revoked. [`mode_problem`] checks the mode of its files.
///
/// # Errors
/// Returns the problems of the credential, at least one.
pub fn read_good(
    layout: &Layout,
    leaf: &CertificateSpec,
    keys: KeyKind,
    trust: &TrustBundle,
    known: &Inventory,
    now: OffsetDateTime,
) -> Result<LoadedCredential, Vec<CredentialProblem>> {
    judge(layout, leaf, trust, known, |certificate, ca| leaf_violations(certificate, leaf, keys, ca, now))
}

/// Like [`read_good`], but does not verify the CA's signature again if the ledger has the certificate.
///
/// The signature was verified before the certificate was recorded, and this is the same certificate byte for byte, with
/// a CA of the same key.
///
/// # Errors
/// Returns the problems of the credential, at least one.
pub fn read_issued(
    layout: &Layout,
    leaf: &CertificateSpec,
    keys: KeyKind,
    trust: &TrustBundle,
    known: &Inventory,
    now: OffsetDateTime,
) -> Result<LoadedCredential, Vec<CredentialProblem>> {
    let violations = |certificate: &Certificate, ca: &Certificate| {
        violations_except_signature(certificate, leaf, Some(keys), ca, now)
    };
    judge(layout, leaf, trust, known, violations)
}

fn judge(
    layout: &Layout,
    leaf: &CertificateSpec,
    trust: &TrustBundle,
    known: &Inventory,
    violations: impl Fn(&Certificate, &Certificate) -> Vec<Violation>,
) -> Result<LoadedCredential, Vec<CredentialProblem>> {
    let of_certificate = |certificate: &Certificate| {
        let ca = trust.ca_of(certificate).certificate();
        let violations = violations(certificate, ca).into_iter().map(CredentialProblem::Violation);
        let fingerprint = certificate.fingerprint();
        let unknown = known.sequence(fingerprint).is_none().then_some(CredentialProblem::NotInLedger);
        violations.chain(unknown).chain(known.revocation(fingerprint).cloned().map(CredentialProblem::Revoked))
    };
    let stored = match read(layout, leaf) {
        Ok(stored) => stored,
        Err(CredentialProblem::Missing(path)) => {
            // A certificate without its key is only useful if only its host has the key.
            let Ok((certificate, chain)) = read_certificates(layout, leaf) else {
                return Err(vec![CredentialProblem::Missing(path)]);
            };
            let not_after = certificate.not_after;
            let elsewhere = match certificate.fingerprint() {
                one if known.is_key_on_host(one) => CredentialProblem::KeyOnHost { not_after },
                one if known.is_key_discarded(one) => CredentialProblem::KeyDiscarded { not_after },
                _ => return Err(vec![CredentialProblem::Missing(path)]),
            };
            let mut problems: Vec<CredentialProblem> = of_certificate(&certificate).collect();
            if matches!(elsewhere, CredentialProblem::KeyOnHost { .. }) {
                // The host that made the key chose its kind.
                let is_of_kind = |one: &CredentialProblem| {
                    matches!(one, CredentialProblem::Violation(Violation::OtherKeyKind { .. }))
                };
                problems.retain(|one| !is_of_kind(one));
                problems.extend(other_chain(layout, leaf, &certificate, &chain, trust));
            }
            return Err(if problems.is_empty() { vec![elsewhere] } else { problems });
        }
        Err(problem) => return Err(vec![problem]),
    };
    let Credential { certificate, key, .. } = &stored.credential;
    let mut problems = Vec::new();
    if key.spki() != certificate.spki {
        problems.push(CredentialProblem::Violation(Violation::KeyDoesNotFit));
    }
    problems.extend(of_certificate(certificate));
    problems.extend(chain_problem(layout, leaf, &stored.credential, trust));
    if problems.is_empty() { Ok(stored) } else { Err(problems) }
}

/// Returns the problem of the certificates after a credential's own: they must be exactly its issuer's chain.
///
/// Programs that read only the first certificate and programs that read all must get the same result.
#[must_use]
pub fn chain_problem(
    layout: &Layout,
    leaf: &CertificateSpec,
    credential: &Credential,
    trust: &TrustBundle,
) -> Option<CredentialProblem> {
    other_chain(layout, leaf, &credential.certificate, &credential.chain, trust)
}

fn other_chain(
    layout: &Layout,
    leaf: &CertificateSpec,
    certificate: &Certificate,
    chain: &[Certificate],
    trust: &TrustBundle,
) -> Option<CredentialProblem> {
    let expected = trust.ca_of(certificate).chain();
    let (path, _) = paths(layout, leaf);
    match chain.len() {
        _ if chain == expected => None,
        others if expected.is_empty() => Some(CredentialProblem::Several(path, others + 1)),
        _ => Some(CredentialProblem::OtherChain(path)),
    }
}

/// Reads only the certificate of the credential that `leaf` describes.
///
/// # Errors
/// Returns the problem that prevents reading it.
pub fn read_certificate(layout: &Layout, leaf: &CertificateSpec) -> Result<Certificate, CredentialProblem> {
    read_certificates(layout, leaf).map(|(certificate, _)| certificate)
}

/// Returns the certificate of a profile in the folder of a host, or of the cluster; `None` if it cannot be read.
#[must_use]
pub fn certificate_of(layout: &Layout, profile: Profile, host: Option<&HostName>) -> Option<Certificate> {
    let (path, _) = paths_of(layout, profile, host);
    let (pem, _) = file(&path).ok()?;
    certificates_in(path, &pem).ok().map(|(certificate, _)| certificate)
}

/// Reads the certificate of the credential that `leaf` describes, and its issuer's chain.
///
/// # Errors
/// Returns the problem that prevents reading it.
pub fn read_certificates(
    layout: &Layout,
    leaf: &CertificateSpec,
) -> Result<(Certificate, Vec<Certificate>), CredentialProblem> {
    let (path, _) = paths(layout, leaf);
    let (pem, _) = file(&path)?;
    certificates_in(path, &pem)
}

/// Returns true if the certificate of the credential was signed for a key that only its host has, whether the
/// certificate is valid or not.
#[must_use]
pub fn is_key_on_host(layout: &Layout, leaf: &CertificateSpec, known: &Inventory) -> bool {
    let (_, key) = paths(layout, leaf);
    !files::exists(&key)
        && read_certificate(layout, leaf).is_ok_and(|certificate| known.is_key_on_host(certificate.fingerprint()))
}

/// Returns the first certificate of a file, and those after it.
fn certificates_in(path: PathBuf, pem: &[u8]) -> Result<(Certificate, Vec<Certificate>), CredentialProblem> {
    let ders = match pem::certificates(pem) {
        Ok(ders) => ders,
        Err(error) => return Err(CredentialProblem::NotPem(path, error)),
    };
    let read =
        |der| Certificate::from_der(der).map_err(|error| CredentialProblem::NotACertificate(path.clone(), error));
    let mut all = ders.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let chain = all.split_off(1.min(all.len()));
    match all.pop() {
        Some(certificate) => Ok((certificate, chain)),
        None => Err(CredentialProblem::NotPem(path, PemError::Nothing)),
    }
}

/// Returns true if the key of the credential exists.
#[must_use]
pub fn has_key(layout: &Layout, leaf: &CertificateSpec) -> bool {
    files::exists(&paths(layout, leaf).1)
}

/// Returns true if the key of the credential exists although the ledger says that it was deleted.
#[must_use]
pub fn has_discarded_key(layout: &Layout, leaf: &CertificateSpec, known: &Inventory) -> bool {
    let (_, path) = paths(layout, leaf);
    files::exists(&path)
        && read_certificate(layout, leaf).is_ok_and(|certificate| known.is_key_discarded(certificate.fingerprint()))
}

/// Deletes the keys of the credentials that `leaves` describe. The deletion is recorded first.
///
/// A crash in between leaves keys that are still usable; no key is deleted without a record. The bundles with these
/// keys must already be on the disk.
///
/// # Errors
/// Returns the ledger's or the system's error.
pub fn discard_keys(
    layout: &Layout,
    ledger: &mut Ledger,
    leaves: &[CertificateSpec],
    audit: &AuditContext<'_>,
) -> Result<usize, StoreError> {
    let (mut keys, mut names) = (Vec::new(), Vec::new());
    for leaf in leaves {
        let (_, path) = paths(layout, leaf);
        if let (Ok(certificate), true) = (read_certificate(layout, leaf), files::exists(&path)) {
            let host = leaf.host.as_ref().map(ToString::to_string).unwrap_or_default();
            keys.push((host, certificate.fingerprint()));
            names.push(path.strip_prefix(layout.pki()).unwrap_or(&path).to_owned());
        }
    }
    ledger.record_discarded_keys(&keys, audit)?;
    files::remove_all(&layout.pki(), &names)?;
    Ok(keys.len())
}

/// Returns a problem if users other than the owner may read a credential's key file.
///
/// `stored` is the credential, if it was read; otherwise the mode is read from the file.
#[must_use]
pub fn mode_problem(
    layout: &Layout,
    leaf: &CertificateSpec,
    stored: Option<&LoadedCredential>,
) -> Option<CredentialProblem> {
    if stored.is_some_and(|stored| is_private(stored.key_mode)) {
        return None;
    }
    let (_, path) = paths(layout, leaf);
    let mode = match stored {
        Some(stored) => stored.key_mode,
        None => files::mode_of_file(&path)?,
    };
    (!is_private(mode)).then_some(CredentialProblem::Mode(path, mode))
}

/// Returns a problem if users other than the owner may read a private file or folder; `None` if it does not exist.
#[must_use]
pub fn readable_by_others(path: &Path) -> Option<CredentialProblem> {
    let mode = files::mode(path).ok()?;
    (!is_private(mode)).then(|| CredentialProblem::Mode(path.to_owned(), mode))
}

/// Like [`readable_by_others`], for a path from the command line: `/dev/stdin` and pipes belong to the process.
#[must_use]
pub fn file_readable_by_others(path: &Path) -> Option<CredentialProblem> {
    path.is_file().then(|| readable_by_others(path)).flatten()
}

fn is_private(mode: u32) -> bool {
    mode & 0o077 == 0
}
