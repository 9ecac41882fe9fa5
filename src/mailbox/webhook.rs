//! Sends a review of a request to a service (webhook) over mutual TLS.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::sanitize::sanitized;

/// The files of a connection to a service, PEM.
pub struct WebhookFiles {
    /// The CAs of the service's certificate.
    pub ca: Vec<u8>,
    /// The client certificate.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for WebhookFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookFiles(…)")
    }
}

/// Reasons why a service gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A file cannot be used.
    #[error("{file} cannot be used: {reason}")]
    File {
        /// Which of the files.
        file: &'static str,
        /// The reason.
        reason: String,
    },
    /// It does not answer.
    #[error("it does not answer: {0}")]
    NoAnswer(String),
    /// Its answer has another status than 200.
    #[error("it answers {0}")]
    Status(u16),
    /// Its answer is too long.
    #[error("its answer has more than {0} bytes")]
    TooLong(usize),
}

/// Sends a body by POST, and returns the answer.
///
/// # Errors
/// Returns an error if a file cannot be used, or the service does not answer with 200 in time, within the limit.
pub fn post(
    url: &str,
    files: &WebhookFiles,
    body: Vec<u8>,
    timeout: Duration,
    limit: usize,
) -> Result<Vec<u8>, WebhookError> {
    let no_answer = |error: &dyn std::fmt::Display| WebhookError::NoAnswer(sanitized(&error.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| no_answer(&error))?;
    let client = client(files, timeout)?;
    runtime.block_on(async {
        let sent = client.post(url).header("content-type", "application/json").body(body).send().await;
        let mut answer = sent.map_err(|error| no_answer(&with_causes(&error)))?;
        if answer.status().as_u16() != 200 {
            return Err(WebhookError::Status(answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| no_answer(&with_causes(&error)))? {
            if bytes.len() + chunk.len() > limit {
                return Err(WebhookError::TooLong(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    })
}

fn client(files: &WebhookFiles, timeout: Duration) -> Result<Client, WebhookError> {
    let wrong = |file: &'static str| {
        move |error: &dyn std::error::Error| WebhookError::File { file, reason: with_causes(error) }
    };
    let certificates = |bytes: &[u8], file| {
        CertificateDer::pem_slice_iter(bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(file)(&error))
            .map(|all| all.into_iter().map(CertificateDer::into_owned).collect::<Vec<_>>())
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(&files.ca, "ca")? {
        roots.add(root).map_err(|error| wrong("ca")(&error))?;
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|error| wrong("key")(&error))?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("ca")(&error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&files.certificate, "certificate")?, key)
        .map_err(|error| wrong("certificate or key")(&error))?;
    let builder = Client::builder()
        .use_preconfigured_tls(config)
        .https_only(true)
        .redirect(Policy::none())
        .no_proxy()
        .timeout(timeout);
    builder.build().map_err(|error| wrong("ca")(&error))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
