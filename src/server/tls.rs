//! TLS of the server. It asks for a client certificate without requiring one; [`super::trust`] judges it at each
//! request, so that a revocation applies to open connections.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

use super::credential::TlsError;
use super::site::Site;
use crate::pki::certificate::Certificate;

/// The largest chain that a client sends.
const MAX_CHAIN: usize = 5;

/// Presents the present credential of the site, which may change.
#[derive(Debug)]
struct Present(Arc<dyn Site>);

impl ResolvesServerCert for Present {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.credential().key())
    }
}

/// The only protocol in TLS (ALPN, RFC 7301): clients that offer HTTP/2 as well choose it, and others are refused in the
/// handshake.
pub(super) const PROTOCOL: &[u8] = b"http/1.1";

/// Returns the configuration of TLS: 1.2 or later, HTTP/1.1.
pub(super) fn configuration(site: Arc<dyn Site>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new(&error))?
        .with_client_cert_verifier(Arc::new(AnyCertificate { provider }))
        .with_cert_resolver(Arc::new(Present(site)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // A resumed session would keep the certificate of the first one; clients keep their connections.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_fragment_size = None;
    Ok(config)
}

/// Parses the chain that a client presented; `None` if it presented none.
///
/// A chain that is too long or cannot be parsed is `Some` of an empty one, which no trust accepts.
pub(super) fn presented(chain: Option<&[CertificateDer<'_>]>) -> Option<Vec<Certificate>> {
    let chain = chain.filter(|chain| !chain.is_empty())?;
    if chain.len() > MAX_CHAIN {
        return Some(Vec::new());
    }
    let parsed: Result<Vec<_>, _> = chain.iter().map(|der| Certificate::from_der(der.to_vec())).collect();
    Some(parsed.unwrap_or_default())
}

/// Asks for a client certificate, accepts any or none, and only verifies the possession of its key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
