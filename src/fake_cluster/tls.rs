//! TLS of the simulated servers: they request a client certificate without requiring one (Go's `RequestClientCert`).

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tokio_rustls::TlsAcceptor;

use super::error::FakeClusterError;
use crate::pki::issuer::Credential;

/// Returns the TLS acceptor of each of `hosts`; the one at `rsa_only` only accepts RSA signatures of clients.
pub(super) fn serving(
    credentials: &[Credential],
    hosts: &[String],
    rsa_only: Option<usize>,
) -> Result<Vec<TlsAcceptor>, FakeClusterError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let make = |(i, (credential, host)): (usize, (&Credential, &String))| {
        let failed =
            |error: rustls::Error| FakeClusterError::Credential { host: host.clone(), reason: error.to_string() };
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.key.expose_pkcs8()));
        let key = any_supported_type(&der).map_err(failed)?;
        let chain: Vec<_> = credential.certificates().map(|sent| CertificateDer::from(sent.der().to_vec())).collect();
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_client_cert_verifier(Arc::new(AcceptAnyCertificate {
                provider: provider.clone(),
                rsa_only: rsa_only == Some(i),
            }))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    };
    credentials.iter().zip(hosts).enumerate().map(make).collect()
}

/// Requests a client certificate, accepts any or none, and only verifies the possession of its key.
#[derive(Debug)]
struct AcceptAnyCertificate {
    provider: Arc<CryptoProvider>,
    rsa_only: bool,
}

impl ClientCertVerifier for AcceptAnyCertificate {
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
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        if self.rsa_only {
            schemes.retain(|scheme| format!("{scheme:?}").starts_with("RSA_"));
        }
        schemes
    }
}
