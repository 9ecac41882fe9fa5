//! The state of all connections of a run, and their TLS configuration.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, SupportedCipherSuite};

use super::socket::Offer;
use crate::pki::fingerprint::Fingerprint;
use crate::verify::capturing_verifier::{CapturingVerifier, ClientCertificateResolver};
use crate::verify::identity::Identity;
use crate::verify::observation::{Access, AccessDecision, Der, MAX_CHAIN};
use crate::verify::shared::Shared;

/// The connections of a run.
pub(in crate::verify) struct Dialer {
    pub(super) provider: Arc<CryptoProvider>,
    anonymous: ClientConfig,
    pub(super) limit: Duration,
    pub(super) certificates: Mutex<BTreeMap<Fingerprint, Der>>,
    chains: Shared<[Fingerprint]>,
    pub(super) texts: Shared<str>,
    pub(super) decisions: Shared<[(Access, AccessDecision)]>,
}

impl Dialer {
    pub(in crate::verify) fn new(limit: Duration) -> Result<Self, rustls::Error> {
        let provider = Arc::new(provider());
        let verifier = Arc::new(CapturingVerifier::new(&provider));
        let mut anonymous = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        anonymous.resumption = Resumption::disabled();
        anonymous.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            provider,
            anonymous,
            limit,
            certificates: Mutex::default(),
            chains: Shared::default(),
            texts: Shared::default(),
            decisions: Shared::default(),
        })
    }

    /// Takes every certificate that was captured.
    pub(in crate::verify) fn certificates(&self) -> BTreeMap<Fingerprint, Der> {
        std::mem::take(&mut self.certificates.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn verifier(&self) -> Arc<CapturingVerifier> {
        Arc::new(CapturingVerifier::new(&self.provider))
    }

    pub(super) fn config(&self, identity: Option<&Identity>, verifier: &Arc<CapturingVerifier>) -> ClientConfig {
        let mut config = self.anonymous.clone();
        config.dangerous().set_certificate_verifier(verifier.clone());
        if let Some(identity) = identity {
            let resolver = ClientCertificateResolver { identity: identity.clone(), verifier: verifier.clone() };
            config.client_auth_cert_resolver = Arc::new(resolver);
        }
        config
    }

    pub(super) fn config_for(
        &self,
        identity: Option<&Identity>,
        verifier: &Arc<CapturingVerifier>,
        offer: Offer,
    ) -> ClientConfig {
        let mut config = self.config(identity, verifier);
        if offer == Offer::Http1 {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        config
    }

    /// Stores each distinct certificate and chain once.
    pub(super) fn keep(&self, chain: Vec<CertificateDer<'static>>) -> Arc<[Fingerprint]> {
        let mut kept = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = |der: CertificateDer<'static>| {
            let fingerprint = Fingerprint::of(&der);
            kept.entry(fingerprint).or_insert_with(|| Der(der.to_vec()));
            fingerprint
        };
        let chain: Vec<Fingerprint> = chain.into_iter().take(MAX_CHAIN).map(keep).collect();
        self.chains.of(&chain)
    }
}

/// Returns ring's cipher suites in the order of Go's clients, AES with 128 bits first: servers that follow the client's
/// order behave as with Kubernetes.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    let with_128_bits =
        |suite: &SupportedCipherSuite| suite.suite().as_str().is_some_and(|name| name.contains("AES_128"));
    provider.cipher_suites.sort_by_key(|suite| (suite.tls13().is_none(), !with_128_bits(suite)));
    provider
}
