//! Signed bundles: an SSH signature over the manifest, which lists everything else. `ssh-keygen -Y verify` reads it, too.

use super::model::{Bundle, BundleFile, MANIFEST, SIGNATURE};
use crate::pki::allowed_signers::AllowedSigners;
use crate::pki::ssh::{SshError, SshKey, SshSignature};
use time::OffsetDateTime;

/// What the signature is made for, so that none made for mail or Git passes for it (OpenSSH `PROTOCOL.sshsig`).
pub const NAMESPACE: &str = "clusterctl-bundle";

/// Why a bundle's signature is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It has none.
    #[error("it is not signed: there is no {SIGNATURE} in it")]
    Unsigned,
    /// It has one.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

/// Adds the signature of `key` to a bundle, in place of one that may be there.
///
/// # Errors
/// When the key cannot sign.
pub fn sign(bundle: &mut Bundle, key: &SshKey) -> Result<(), SshError> {
    let signature = key.sign(NAMESPACE, &manifest(bundle))?;
    bundle.files.retain(|file| file.path != SIGNATURE);
    let bytes = signature.into_bytes().into();
    bundle.files.push(BundleFile { path: SIGNATURE.to_owned(), mode: 0o644, bytes });
    bundle.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(())
}

/// The signature that a bundle carries and that fits it; whose it is, nobody has judged.
///
/// # Errors
/// When there is none, or it does not fit.
pub fn found(bundle: &Bundle) -> Result<SshSignature, SignatureError> {
    let file = bundle.file(SIGNATURE).ok_or(SignatureError::Unsigned)?;
    let signature = SshSignature::from_pem(&file.bytes)?;
    signature.fits(NAMESPACE, &manifest(bundle))?;
    Ok(signature)
}

/// The name of the signer, who is one of `signers`.
///
/// # Errors
/// When there is no signature, or it is not good, or not by one of them.
pub fn judge(bundle: &Bundle, signers: &AllowedSigners, now: OffsetDateTime) -> Result<String, SignatureError> {
    let signature = found(bundle)?;
    Ok(signers.judge(&signature, NAMESPACE, &manifest(bundle), now)?)
}

/// As it lies in the bundle: a reader has to judge the very bytes.
fn manifest(bundle: &Bundle) -> Vec<u8> {
    bundle.file(MANIFEST).map(|file| file.bytes.to_vec()).unwrap_or_default()
}
