//! Checks the name constraints of a path by verifying it with rustls-webpki (RFC 5280 § 4.2.1.10 and § 6).

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert, ring};

use super::path::{Path, ViolationKind};

/// The accepted signature algorithms: at least SHA-256, and RSA keys of at least 2048 bits.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::ED25519,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    ring::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    ring::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Verifies the path with webpki, because no other rule checks name constraints.
///
/// webpki also rejects paths that Kubernetes accepts, for example if a server presents a CA certificate or one of X.509
/// version 1. These errors only count for paths with name constraints, which then remain unchecked.
pub(super) fn check(path: &mut Path<'_>, now: OffsetDateTime) {
    use webpki::Error;
    // Dates are checked elsewhere. A path that is not in date is verified at a time at which it may have been.
    let is_outdated = path.violations_of(ViolationKind::Dates).next().is_some();
    let Err(error) = verify_by_webpki(path, if is_outdated { latest_not_before(path) } else { now }) else { return };
    let reason = match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity if is_outdated => return,
        Error::NameConstraintViolation
            if path.certificates().any(|certificate| certificate.constrains_uris_or_mail) =>
        {
            "name constraints on URIs or email addresses cannot be checked here"
        }
        Error::NameConstraintViolation => {
            path.push(ViolationKind::Chain, 0, "a name is outside its issuer's name constraints");
            return;
        }
        Error::CaUsedAsEndEntity
        | Error::EmptyEkuExtension
        | Error::UnsupportedCertVersion
        | Error::UnsupportedCriticalExtension
        | Error::MaximumPathDepthExceeded => {
            if path.certificates().any(|certificate| certificate.has_name_constraints) {
                "its issuers' name constraints cannot be checked: the path is too long, or a certificate is unsupported"
            } else {
                return;
            }
        }
        Error::InvalidSignatureForPublicKey => "a certificate is not signed by the key of the issuer that it names",
        Error::SignatureAlgorithmMismatch => "a certificate names two different algorithms for its signature",
        Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => {
            "the name constraints of an issuer are malformed"
        }
        Error::UnknownIssuer => "rustls-webpki, which checks name constraints, finds no path to a trusted root",
        _ => "the path cannot be verified here: the encoding of one of its certificates is not supported",
    };
    path.push(ViolationKind::Unproven, 0, reason);
}

fn verify_by_webpki(path: &Path<'_>, at: OffsetDateTime) -> Result<(), webpki::Error> {
    let anchor = CertificateDer::from(path.anchor.der());
    let anchors = [anchor_from_trusted_cert(&anchor)?];
    let intermediates: Vec<CertificateDer<'_>> =
        path.leaf_and_intermediates[1..].iter().map(|certificate| certificate.der().into()).collect();
    let leaf = CertificateDer::from(path.leaf_and_intermediates[0].der());
    let leaf = EndEntityCert::try_from(&leaf)?;
    let since_epoch = Duration::from_secs(u64::try_from(at.unix_timestamp()).unwrap_or(0));
    let time = UnixTime::since_unix_epoch(since_epoch);
    leaf.verify_for_usage(ALGORITHMS, &anchors, &intermediates, time, AnyUsage, None, None).map(drop)
}

fn latest_not_before(path: &Path<'_>) -> OffsetDateTime {
    path.leaf_and_intermediates
        .iter()
        .map(|certificate| certificate.not_before)
        .max()
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Accepts all extended key usages, because another rule checks those of every certificate, including the anchor.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}
