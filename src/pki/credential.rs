//! A certificate with its private key, and the certificates that are sent with it.

use super::certificate::Certificate;
use super::key::PrivateKey;

/// A certificate, its chain and its private key.
#[derive(Debug)]
pub struct Credential {
    /// The end-entity certificate, or a root's own.
    pub certificate: Certificate,
    /// The intermediates that are sent after it: its issuer first, without the root. Empty if the issuer is a root.
    pub chain: Vec<Certificate>,
    /// The private key.
    pub key: PrivateKey,
}

impl Credential {
    /// Returns the certificate and its chain as PEM, as TLS servers and clients read it.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.certificates().map(Certificate::to_pem).collect()
    }

    /// Returns the certificate and those that are sent after it.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        [&self.certificate].into_iter().chain(&self.chain)
    }

    /// Returns true if the private key belongs to the certificate.
    #[must_use]
    pub fn key_fits(&self) -> bool {
        self.key.spki() == self.certificate.spki
    }
}
