//! Certificates and CRLs between their encoding and their signature.
//!
//! rcgen encodes them with a placeholder for the signature. The encoded TBS ("to be signed") is checked first, and then
//! signed by a [`super::signing_key::SigningKey`].

use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::der::{Encode, Tag};

use super::der::{Der, SEQUENCE};

/// A certificate or CRL that is not signed yet.
#[derive(Debug)]
pub(super) struct Unsigned {
    /// tbsCertificate or tbsCertList, DER.
    tbs: Vec<u8>,
    /// AlgorithmIdentifier of the signature, DER.
    algorithm: Vec<u8>,
}

impl Unsigned {
    /// Parses the output of rcgen; `None` if it is not a signed structure of X.509.
    pub(super) fn read(encoded: &[u8]) -> Option<Self> {
        let mut outer = Der::new(encoded).inside(SEQUENCE)?;
        let (tbs, algorithm) = (outer.element(SEQUENCE)?, outer.element(SEQUENCE)?);
        Some(Self { tbs: tbs.whole.to_vec(), algorithm: algorithm.whole.to_vec() })
    }

    /// Replaces the issuer's name by this one, DER.
    ///
    /// rcgen re-encodes names. The issuer of a certificate must be, byte for byte, the subject of its CA, which another
    /// tool may have encoded in its own way (RFC 5280 § 4.1.2.4).
    pub(super) fn with_issuer(self, name: &[u8]) -> Option<Self> {
        let mut fields = Der::new(&self.tbs).inside(SEQUENCE)?;
        let mut content = Vec::with_capacity(self.tbs.len() + name.len());
        // The signature's algorithm and the issuer's name are the first two sequences of certificates and of CRLs.
        let mut sequences = 0;
        while !fields.is_empty() {
            let field = fields.any()?;
            sequences += usize::from(field.tag == SEQUENCE);
            let is_issuer = field.tag == SEQUENCE && sequences == 2;
            content.extend_from_slice(if is_issuer { name } else { field.whole });
        }
        Some(Self { tbs: sequence(&content)?, ..self })
    }

    /// Returns the bytes to be signed, DER.
    pub(super) fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// Returns the whole structure with this signature, DER.
    pub(super) fn signed(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let signature = BitStringRef::from_bytes(signature).ok()?.to_der().ok()?;
        sequence(&[&*self.tbs, &*self.algorithm, &*signature].concat())
    }
}

fn sequence(content: &[u8]) -> Option<Vec<u8>> {
    AnyRef::new(Tag::Sequence, content).ok()?.to_der().ok()
}
