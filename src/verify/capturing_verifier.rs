//! A verifier that captures any chain, and checks the handshake's signature as every client does. It makes no trust
//! decision.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::error::describe_tls_error;
use super::observation::Signature;
use super::target::Identity;
use crate::pki::fingerprint::Fingerprint;

/// The kinds of keys that are offered for a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// All kinds that Kubernetes's clients accept.
    Any,
    /// Only RSA.
    Rsa,
    /// All kinds except RSA.
    NotRsa,
}

impl Keys {
    fn allow(self, scheme: SignatureScheme) -> bool {
        let name = scheme.as_str().unwrap_or_default();
        match self {
            Self::Any => true,
            Self::Rsa => name.starts_with("RSA"),
            Self::NotRsa => !name.starts_with("RSA"),
        }
    }
}

/// Captures any chain, and checks the handshake's signature as every client does.
#[derive(Debug)]
pub(super) struct CapturingVerifier {
    provider: Arc<CryptoProvider>,
    keys: Keys,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) signature: Signature,
    /// The client certificate that was presented, if the server requested one; the inner `None` means that the server
    /// accepts no key of the client.
    pub(super) presented: Option<Option<Fingerprint>>,
}

impl Seen {
    fn nothing() -> Self {
        Self { chain: Vec::new(), signature: Signature::None, presented: None }
    }
}

impl CapturingVerifier {
    pub(super) fn new(provider: &Arc<CryptoProvider>) -> Self {
        Self::of(provider, Keys::Any)
    }

    /// Creates a verifier that offers only these kinds of keys.
    pub(super) fn of(provider: &Arc<CryptoProvider>, keys: Keys) -> Self {
        Self { provider: provider.clone(), keys, seen: Mutex::new(Seen::nothing()) }
    }

    /// Returns true if every kind of key is offered.
    pub(super) fn takes_every_key(&self) -> bool {
        self.keys == Keys::Any
    }

    pub(super) fn take(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, Seen::nothing())
    }

    /// Returns true if both captured the same chain.
    pub(super) fn saw_same_chain_as(&self, other: &Self) -> bool {
        let chain = |verifier: &Self| verifier.seen.lock().unwrap_or_else(PoisonError::into_inner).chain.clone();
        chain(self) == chain(other)
    }

    pub(super) fn signed(
        &self,
        result: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.signature = match &result {
            Ok(_) => Signature::Valid,
            Err(error) => Signature::Invalid(describe_tls_error(error)),
        };
        result
    }
}

/// Presents an identity, with a key that the server accepts, and records which certificate that was.
#[derive(Debug)]
pub(super) struct ClientCertificateResolver {
    pub(super) identity: Identity,
    pub(super) verifier: Arc<CapturingVerifier>,
}

impl ResolvesClientCert for ClientCertificateResolver {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let chosen = self.identity.for_schemes(schemes);
        let mut seen = self.verifier.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.presented = Some(chosen.map(|identity| identity.certificate.fingerprint()));
        chosen.map(|identity| identity.key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ServerCertVerifier for CapturingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.clone().into_owned()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed(verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed(verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // Go also offers P-521. ring cannot verify it, but the offer finds a server that has only such a key.
        let ours = self.provider.signature_verification_algorithms.supported_schemes();
        let all = ours.into_iter().chain([SignatureScheme::ECDSA_NISTP521_SHA512]);
        all.filter(|scheme| self.keys.allow(*scheme)).collect()
    }
}
