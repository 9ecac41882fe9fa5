//! Errors of parsing DER, as text, because some of x509-parser's messages are the names of its types.

use x509_parser::error::X509Error;
use x509_parser::nom::Err;

/// Returns why a structure of X.509 cannot be read.
pub(super) fn reason(error: &Err<X509Error>) -> String {
    let error = match error {
        Err::Incomplete(_) => return "its end is missing".to_owned(),
        Err::Error(error) | Err::Failure(error) => error,
    };
    match error {
        X509Error::Der(_) | X509Error::NomError(_) | X509Error::Generic => "its DER is damaged".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::certificate::X509Certificate;
    use x509_parser::prelude::FromDer;

    use super::*;
    use crate::pki::certificate::Certificate;

    #[test]
    fn errors_of_damaged_input_do_not_name_parser_types() {
        let pem = include_bytes!("../../tests/data/trust/good.crt");
        let der = crate::pki::pem::certificates(pem).expect("PEM").remove(0);
        assert!(Certificate::from_der(der.clone()).is_ok());
        let mut reasons = 0;
        for at in 0..der.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = der.clone();
                damaged[at] ^= change;
                for text in [&damaged[..], &damaged[..at]] {
                    let Err(error) = X509Certificate::from_der(text).map(drop) else { continue };
                    let said = reason(&error);
                    reasons += 1;
                    assert!(
                        !said.contains(['{', '(', '"']) && !said.contains("::") && !said.contains("Error"),
                        "{said}"
                    );
                }
            }
        }
        assert!(reasons > 1000, "{reasons}");
    }
}
