//! Errors of issuing a certificate or CRL.

use super::certificate::CertificateError;
use super::crl::CrlError;
use super::key::KeyError;
use super::signing_key::SigningError;
use super::violation::Violation;
use crate::cluster::profile::CaRole;

/// Errors of issuing a certificate or CRL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// A key cannot be generated or opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The CA's key returned no signature.
    #[error("the CA's key made no signature")]
    Signing(#[from] SigningError),
    /// The CA's key returned a signature that does not verify with the public key of its certificate.
    #[error("the signature that the CA's key made does not verify under the CA's certificate")]
    WrongSignature,
    /// The encoded certificate cannot be parsed.
    #[error("the encoded certificate cannot be parsed")]
    Certificate(#[from] CertificateError),
    /// The certificate or CRL cannot be encoded.
    #[error("it could not be encoded: {0}")]
    Encode(String),
    /// The encoded CRL cannot be parsed.
    #[error("the encoded CRL cannot be parsed")]
    Crl(#[from] CrlError),
    /// The encoded CRL is not the requested one.
    #[error("the encoded CRL is not the one that was asked for")]
    OtherCrl,
    /// The CA must not sign CRLs.
    #[error("the CA's key usage lacks cRLSign, so it cannot sign CRLs")]
    NoCrlSign,
    /// The CA has another role than the policy requires for this certificate.
    #[error("{name} is signed by the {}, and this CA is the {}", wanted.as_str(), found.as_str())]
    OtherRole {
        /// The profile.
        name: &'static str,
        /// The role that signs it.
        wanted: CaRole,
        /// The issuer's role.
        found: CaRole,
    },
    /// The token was prepared by another issuer.
    #[error("the token was prepared by another issuer")]
    OtherIssuer,
    /// The certificate, or the CA that should sign it, breaks rules.
    #[error("{}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Violations {
        /// All rules that are broken.
        violations: Vec<Violation>,
    },
}
