//! TLS of the client: the roots that it trusts, and its certificate.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use time::OffsetDateTime;

use crate::pki::certificate::Certificate;
use crate::pki::pem::{self, Item};

/// What a server has to prove.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Nothing: its answers are signed by themselves.
    SignedAnswers,
    /// A certificate for its name under one of these roots.
    Roots(&'a [Certificate]),
}

/// The certificate that the client presents.
#[derive(Clone, Copy)]
pub struct ClientCertificate<'a> {
    /// PEM, the leaf first.
    pub chain: &'a [u8],
    /// The private key, PEM.
    pub key: &'a [u8],
}

/// The time of the caller, so that certificates are judged at it.
#[derive(Debug)]
struct FixedTime(UnixTime);

impl TimeProvider for FixedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// Returns the configuration of TLS, or the reason why there is none.
pub(super) fn config(
    trust: Trust<'_>,
    certificate: Option<ClientCertificate<'_>>,
    now: OffsetDateTime,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let time = Arc::new(FixedTime(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))));
    let builder = ClientConfig::builder_with_details(provider.clone(), time)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        Trust::SignedAnswers => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer { provider })),
        Trust::Roots(roots) => {
            let mut store = RootCertStore::empty();
            for root in roots {
                store.add(CertificateDer::from(root.der().to_vec())).map_err(|error| error.to_string())?;
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
            builder.with_webpki_verifier(verifier.map_err(|error| error.to_string())?)
        }
    };
    let Some(ClientCertificate { chain, key }) = certificate else { return Ok(builder.with_no_client_auth()) };
    let chain = pem::certificates(chain).map_err(|error| error.to_string())?;
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = pem::read_all(key).map_err(|error| error.to_string())?.into_iter().find_map(|item| match item {
        Item::Key(_, secret) => Some(secret),
        _ => None,
    });
    let key = key.ok_or_else(|| "there is no unencrypted private key".to_owned())?;
    let der = PrivateKeyDer::try_from(key.expose()).map_err(ToOwned::to_owned)?;
    builder.with_client_auth_cert(chain, der.clone_key()).map_err(|error| error.to_string())
}

/// Accepts any server's certificate, and only verifies the possession of its key.
#[derive(Debug)]
struct AnyServer {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
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
