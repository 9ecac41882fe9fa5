//! Takes any chain and remembers it; checks the handshake's signature as every client does. No trust is decided here.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::error::words;
use super::observation::Signature;
use super::target::Identity;
use crate::pki::fingerprint::Fingerprint;

/// Which keys a server's certificate may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Whatever Kubernetes's clients take.
    Any,
    /// RSA alone.
    Rsa,
    /// Anything but RSA.
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

/// Takes any chain and remembers it; checks the handshake's signature as every client does.
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
    /// The client certificate that was presented, where the peer asked for one; `None` in it where no key of ours would do.
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

    /// Returns one that a server with no such key has nothing to show.
    pub(super) fn of(provider: &Arc<CryptoProvider>, keys: Keys) -> Self {
        Self { provider: provider.clone(), keys, seen: Mutex::new(Seen::nothing()) }
    }

    /// Returns whether a server has no reason of ours to show nothing.
    pub(super) fn takes_every_key(&self) -> bool {
        self.keys == Keys::Any
    }

    pub(super) fn take(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, Seen::nothing())
    }

    /// Whether both saw one chain.
    pub(super) fn saw_the_same_as(&self, other: &Self) -> bool {
        let chain = |witness: &Self| witness.seen.lock().unwrap_or_else(PoisonError::into_inner).chain.clone();
        chain(self) == chain(other)
    }

    pub(super) fn signed(
        &self,
        result: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.signature = match &result {
            Ok(_) => Signature::Valid,
            Err(error) => Signature::Invalid(words(error)),
        };
        result
    }
}

/// Presents an identity, with whichever of its keys the server takes, and notes which certificate that was.
#[derive(Debug)]
pub(super) struct Presenter {
    pub(super) identity: Identity,
    pub(super) witness: Arc<CapturingVerifier>,
}

impl ResolvesClientCert for Presenter {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let chosen = self.identity.for_schemes(schemes);
        let mut seen = self.witness.seen.lock().unwrap_or_else(PoisonError::into_inner);
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
        // Go offers P-521 too. ring cannot verify with it, but a server that has nothing else is seen then, and named.
        let ours = self.provider.signature_verification_algorithms.supported_schemes();
        let all = ours.into_iter().chain([SignatureScheme::ECDSA_NISTP521_SHA512]);
        all.filter(|scheme| self.keys.allow(*scheme)).collect()
    }
}
