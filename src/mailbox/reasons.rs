//! Explains why the API does not answer: the messages of kube and hyper are about their own types and modules.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError};

use crate::sanitize::sanitized;

/// Returns why a call failed.
pub(super) fn of(error: &(dyn StdError + 'static)) -> String {
    let mut link = Some(error);
    let mut last = error.to_string();
    while let Some(cause) = link {
        if let Some(tls) = of_tls(cause) {
            return sanitized(&of_handshake(tls));
        }
        if cause.downcast_ref::<serde_json::Error>().is_some() {
            return sanitized(&format!("its answer is not that of an API server: {cause}"));
        }
        if let Some(system) = cause.downcast_ref::<io::Error>() {
            last = of_system(system);
        } else {
            last = cause.to_string();
        }
        link = cause.source();
    }
    sanitized(&last)
}

/// Returns the TLS error inside of an I/O error, which may be nested.
fn of_tls<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    of_tls(error.downcast_ref::<io::Error>()?.get_ref()?)
}

fn of_handshake(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the CA in the kubeconfig did not sign its certificate".to_owned()
        }
        // For example a self-signed certificate: webpki finds that it is a CA before it looks for its issuer.
        rustls::Error::InvalidCertificate(CertificateError::Other(problem)) => format!(
            "its certificate is not that of an API server or of the enrolment CA of this cluster: {}",
            of_webpki(&problem.0.to_string())
        ),
        rustls::Error::InvalidCertificate(problem) => format!("its certificate is not accepted: {problem}"),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => format!("it does not accept the certificate in the kubeconfig ({error})"),
        other => format!("no TLS connection: {other}"),
    }
}

/// Returns words for the name of an error of webpki.
fn of_webpki(name: &str) -> &str {
    if name == "CaUsedAsEndEntity" { "it is the certificate of a CA" } else { name }
}

fn of_system(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof => {
            "the connection was closed".to_owned()
        }
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no way to this address".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[test]
    fn an_error_is_told_by_its_cause() {
        let refused = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(of(&io::Error::from(io::ErrorKind::ConnectionRefused)).contains("nothing listens"));
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(unknown));
        assert!(of(&wrapped).contains("the CA in the kubeconfig"), "{}", of(&wrapped));
        let ca = CertificateError::Other(OtherError(Arc::new(io::Error::other("CaUsedAsEndEntity"))));
        let ca = of(&io::Error::other(rustls::Error::InvalidCertificate(ca)));
        assert!(!ca.contains("OtherError") && !ca.contains("EndEntity"), "{ca}");
        let alert = io::Error::other(rustls::Error::AlertReceived(AlertDescription::CertificateExpired));
        assert!(of(&alert).contains("the certificate in the kubeconfig"));
        assert!(!of(&refused).is_empty());
    }
}
