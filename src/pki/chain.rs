//! Path building and validation for certificates as a peer sent them, by rustls-webpki (RFC 5280 § 6).

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath, anchor_from_trusted_cert, ring,
};

use super::certificate::Certificate;

/// Why no chain leads from a leaf to a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The root itself cannot be read as a trust anchor.
    #[error("the root is no usable trust anchor: {0}")]
    Anchor(String),
    /// No path, or one that breaks a rule.
    #[error("{0}")]
    Path(String),
}

/// The signatures that a chain may bear: SHA-256 or better, RSA from 2048 bits. SHA-1 is not among them.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::ED25519,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Checks that a path leads from `leaf` over `intermediates` to one of `roots`: signatures, path length, CA bits, name
/// constraints, critical extensions. Dates and the leaf's extended key usage are judged elsewhere, so that a chain that
/// is merely expired is not called broken: the path is validated at a moment at which all of it is in date, if there is
/// one.
///
/// # Errors
/// Why there is no such path.
pub fn verify_chain(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
) -> Result<(), ChainError> {
    let root_ders: Vec<CertificateDer<'_>> = roots.iter().map(|root| root.der().into()).collect();
    let anchors: Vec<TrustAnchor<'_>> = root_ders
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<_, _>>()
        .map_err(|error| ChainError::Anchor(explain(&error)))?;
    let between: Vec<CertificateDer<'_>> = intermediates.iter().map(|cert| cert.der().into()).collect();
    let der = CertificateDer::from(leaf.der());
    let end = EndEntityCert::try_from(&der).map_err(|error| ChainError::Path(explain(&error)))?;
    let start = intermediates.iter().map(|cert| cert.not_before).fold(leaf.not_before, std::cmp::max);
    let moment = Duration::from_secs(u64::try_from(start.unix_timestamp()).unwrap_or(0));
    let time = UnixTime::since_unix_epoch(moment);
    // webpki keeps of a root its name, key and name constraints. How many intermediates it allows is forgotten, and Go
    // refuses what exceeds it.
    let within_the_roots_limit = |path: &VerifiedPath<'_>| {
        let limit = anchors.iter().position(|anchor| anchor == path.anchor()).and_then(|at| {
            let constraints = roots.get(at)?.basic_constraints?;
            usize::try_from(constraints.path_len?).ok()
        });
        let used = path.intermediate_certificates().count();
        if limit.is_some_and(|limit| used > limit) { Err(webpki::Error::PathLenConstraintViolated) } else { Ok(()) }
    };
    end.verify_for_usage(ALGORITHMS, &anchors, &between, time, AnyUsage, None, Some(&within_the_roots_limit))
        .map(|_| ())
        .map_err(|error| ChainError::Path(explain(&error)))
}

/// The leaf's extended key usage is a check of its own; a chain does not depend on it.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn explain(error: &webpki::Error) -> String {
    use webpki::Error;
    match error {
        Error::UnknownIssuer => "no path leads to this root: it was signed by somebody else".to_owned(),
        Error::InvalidSignatureForPublicKey => {
            "a signature is not by the key of the issuer that it names (a twin with the same name?)".to_owned()
        }
        Error::CaUsedAsEndEntity => "a CA's certificate is used as a server's".to_owned(),
        Error::EndEntityUsedAsCa => "a certificate that is no CA was used to sign another".to_owned(),
        Error::PathLenConstraintViolated => "there are more intermediates than the path length allows".to_owned(),
        Error::NameConstraintViolation => "a name is outside its issuer's name constraints".to_owned(),
        Error::UnsupportedCriticalExtension => "a critical extension is not understood".to_owned(),
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => {
            "there is no moment at which the whole chain is in date".to_owned()
        }
        other => format!("{other:?}"),
    }
}
