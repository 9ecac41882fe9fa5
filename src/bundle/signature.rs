//! Signs a bundle's manifest with an SSH key, and verifies signatures. `ssh-keygen -Y verify` can also verify them.

use super::model::{Bundle, BundleFile, MANIFEST, SIGNATURE};
use crate::pki::allowed_signers::AllowedSigners;
use crate::pki::ssh::{SshError, SshKey, SshSignature};
use time::OffsetDateTime;

/// The signature's namespace, so that one made for mail or Git is not accepted (OpenSSH `PROTOCOL.sshsig`).
pub const NAMESPACE: &str = "clusterctl-bundle";

/// Errors of verifying a bundle's signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The bundle is not signed.
    #[error("it is not signed: there is no {SIGNATURE} in it")]
    Unsigned,
    /// It is not valid, or its key is not allowed.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

/// Adds the signature of `key` to a bundle, or replaces the one that it has.
///
/// # Errors
/// Returns an error if the key cannot sign.
pub fn sign(bundle: &mut Bundle, key: &SshKey) -> Result<(), SshError> {
    let signature = key.sign(NAMESPACE, &manifest(bundle))?;
    bundle.files.retain(|file| file.path != SIGNATURE);
    let bytes = signature.into_bytes().into();
    bundle.files.push(BundleFile { path: SIGNATURE.to_owned(), mode: 0o644, bytes });
    bundle.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(())
}

/// Returns the bundle's signature if it is valid. The owner of the key is not checked.
///
/// # Errors
/// Returns an error if it does not exist or is not valid.
pub fn found(bundle: &Bundle) -> Result<SshSignature, SignatureError> {
    let file = bundle.file(SIGNATURE).ok_or(SignatureError::Unsigned)?;
    let signature = SshSignature::from_pem(&file.bytes)?;
    signature.verify(NAMESPACE, &manifest(bundle))?;
    Ok(signature)
}

/// Verifies the bundle's signature, and returns the name of its signer among `signers`.
///
/// # Errors
/// Returns an error if there is no signature, or it is not valid, or not of one of them.
pub fn verify(bundle: &Bundle, signers: &AllowedSigners, now: OffsetDateTime) -> Result<String, SignatureError> {
    let signature = found(bundle)?;
    Ok(signers.verify(&signature, NAMESPACE, &manifest(bundle), now)?)
}

/// Returns the manifest's bytes, which the signature covers.
fn manifest(bundle: &Bundle) -> Vec<u8> {
    bundle.file(MANIFEST).map(|file| file.bytes.to_vec()).unwrap_or_default()
}
