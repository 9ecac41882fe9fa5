//! The issuer: a CA's certificate with its signing key. All certificates and CRLs are issued here.
//!
//! A certificate is issued in two steps, as in boulder. [`Issuer::prepare`] encodes it and checks exactly the bytes that
//! would be signed; [`Issuer::issue`] signs them and verifies the signature under the CA's public key.

use std::collections::BTreeSet;

use rcgen::{
    CertificateParams, CertificateRevocationListParams, IsCa, KeyIdMethod, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};
use time::OffsetDateTime;

use super::ca_certificate::CaCertificate;
use super::certificate::{Certificate, Serial, SignatureStatus};
use super::crl::{Crl, Revoked};
use super::fingerprint::Fingerprint;
use super::key::{KeyError, PrivateKey};
use super::lint::violations_except_signature;
use super::local_key::LocalKey;
use super::new_ca;
use super::params::{certificate_params, encode_error, extended_key_usages, san, whole_seconds};
use super::rcgen_keys::PublicKey;
use super::request::VerifiedRequest;
use super::signing_key::{SignatureAlgorithm, SigningKey};
use super::unsigned::Unsigned;
use super::verified::Verified;
use super::violation::Violation;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::{CaRole, CertificateSpec};

pub use super::credential::Credential;
pub use super::issue_error::IssueError;

/// Stands for the signature while a certificate is checked.
const PLACEHOLDER: [u8; 1] = [0];

/// The source of the key of a certificate's subject.
#[derive(Debug)]
pub enum SubjectKey {
    /// It is generated here, and returned with the certificate.
    Generate(KeyKind),
    /// The subject has the key, as its request proves. Nothing else is taken from the request.
    FromRequest(Box<VerifiedRequest>),
}

/// A certificate that passed all checks and may be signed, once, by the issuer that prepared it.
#[derive(Debug)]
pub struct IssuanceToken {
    issuer: Fingerprint,
    unsigned: Unsigned,
    /// The certificate as it will be, with a placeholder for its signature.
    draft: Certificate,
    key: Option<PrivateKey>,
}

impl IssuanceToken {
    /// Returns the certificate as it will be; its signature is a placeholder.
    #[must_use]
    pub fn draft(&self) -> &Certificate {
        &self.draft
    }
}

/// The result of issuing.
#[derive(Debug)]
pub enum Issued {
    /// A certificate for a key that the subject has.
    Certificate(Verified<Certificate>),
    /// A certificate with the key that was generated for it.
    Credential(Verified<Credential>),
}

impl Issued {
    /// Returns the certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        match self {
            Self::Certificate(certificate) => certificate.get(),
            Self::Credential(credential) => &credential.get().certificate,
        }
    }
}

/// Creates a root for the cluster: self-signed, path length 0, valid from five minutes before `now`.
///
/// # Errors
/// Returns an error if no key can be generated, or the root breaks a rule of its profile.
pub fn create_root(
    role: CaRole,
    cluster: &ClusterName,
    keys: KeyKind,
    lifetime: Lifetime,
    now: OffsetDateTime,
) -> Result<Verified<Credential>, IssueError> {
    let key = PrivateKey::generate(keys)?;
    let signing = LocalKey::open(&key)?;
    let certificate = new_ca::root(role, cluster, &signing, lifetime, now)?.into_inner().certificate().clone();
    Ok(Verified::new(Credential { certificate, chain: Vec::new(), key }))
}

/// A CA's certificate with its signing key.
pub struct Issuer {
    ca: CaCertificate,
    key: Box<dyn SigningKey>,
    /// The public key in the form that rcgen needs for encoding.
    public: PublicKey,
}

impl Issuer {
    /// Creates an issuer from a CA's certificate and its key.
    ///
    /// # Errors
    /// Returns an error if the CA must not sign at `now`: it is expired, breaks another rule, or the key belongs to
    /// another certificate.
    pub fn new(ca: CaCertificate, key: Box<dyn SigningKey>, now: OffsetDateTime) -> Result<Self, IssueError> {
        let mut violations = ca.violations(now);
        let algorithm = SignatureAlgorithm::of_key(&ca.certificate().key);
        let fits = key.public_key() == ca.certificate().spki;
        if !fits || algorithm != Some(key.algorithm()) {
            violations.insert(0, Violation::KeyDoesNotFit);
        }
        if !violations.is_empty() {
            return Err(IssueError::Violations { violations });
        }
        let public = PublicKey::read(key.public_key()).ok_or_else(unsupported_key)?;
        Ok(Self { ca, key, public })
    }

    /// Creates an issuer from a root of [`create_root`].
    ///
    /// # Errors
    /// Returns the errors of [`Issuer::new`].
    pub fn open(role: CaRole, root: &Credential, now: OffsetDateTime) -> Result<Self, IssueError> {
        let ca = CaCertificate::own_root(role, root.certificate.clone());
        Self::new(ca, Box::new(LocalKey::open(&root.key)?), now)
    }

    /// Returns the CA's certificate with its path.
    #[must_use]
    pub fn ca(&self) -> &CaCertificate {
        &self.ca
    }

    /// Returns the signing key, for certificates that are invalid on purpose.
    pub(super) fn key(&self) -> &dyn SigningKey {
        &*self.key
    }

    /// Encodes and checks the certificate that `spec` describes, without signing it.
    ///
    /// It does not outlive any certificate of the CA's path. Subject and names come only from `spec`.
    ///
    /// # Errors
    /// Returns an error if no key can be generated, the role does not sign such certificates, or the certificate breaks
    /// a rule.
    pub fn prepare(
        &self,
        spec: &CertificateSpec,
        subject: SubjectKey,
        now: OffsetDateTime,
    ) -> Result<IssuanceToken, IssueError> {
        match subject {
            SubjectKey::Generate(kind) => {
                let key = PrivateKey::generate(kind)?;
                let token = self.encode(spec, &key.spki(), Some(kind), now)?;
                Ok(IssuanceToken { key: Some(key), ..token })
            }
            SubjectKey::FromRequest(request) => self.encode(spec, request.public_key(), None, now),
        }
    }

    /// Signs a certificate that [`Issuer::prepare`] checked.
    ///
    /// # Errors
    /// Returns an error if the token is another issuer's, the key returns no signature, or the signature does not
    /// verify.
    pub fn issue(&self, token: IssuanceToken) -> Result<Issued, IssueError> {
        let (certificate, key) = self.sign(token)?;
        Ok(match key {
            None => Issued::Certificate(Verified::new(certificate)),
            Some(key) => Issued::Credential(Verified::new(self.credential(certificate, key))),
        })
    }

    /// Issues the certificate that `spec` describes with a new key: prepares and signs it.
    ///
    /// # Errors
    /// Returns the errors of [`Issuer::prepare`] and [`Issuer::issue`].
    pub fn issue_credential(
        &self,
        spec: &CertificateSpec,
        kind: KeyKind,
        now: OffsetDateTime,
    ) -> Result<Verified<Credential>, IssueError> {
        let key = PrivateKey::generate(kind)?;
        let (certificate, _) = self.sign(self.encode(spec, &key.spki(), Some(kind), now)?)?;
        Ok(Verified::new(self.credential(certificate, key)))
    }

    /// Signs the CRL of all certificates that this CA revoked (RFC 5280 § 5).
    ///
    /// The caller increases `number` for each CRL. The CRL is checked before it is signed.
    ///
    /// # Errors
    /// Returns an error if the CA must not sign CRLs, the list cannot be encoded, or the signature does not verify.
    pub fn revocation_list(
        &self,
        revoked: &[Revoked],
        number: u64,
        this_update: OffsetDateTime,
        next_update: OffsetDateTime,
    ) -> Result<Crl, IssueError> {
        let ca = self.ca.certificate();
        if !ca.can_sign_crls() {
            return Err(IssueError::NoCrlSign);
        }
        let entry = |revoked: &Revoked| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&revoked.serial.0),
            revocation_time: whole_seconds(revoked.at),
            reason_code: revoked.reason.code(),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: whole_seconds(this_update),
            next_update: whole_seconds(next_update),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: self.key_id(),
        };
        let encoded = params.signed_by(&self.for_rcgen()).map_err(encode_error)?;
        let unsigned = self.unsigned(encoded.der())?;
        let draft = Crl::from_der(unsigned.signed(&PLACEHOLDER).ok_or_else(not_encodable)?)?;
        let wanted: BTreeSet<&Serial> = revoked.iter().map(|revoked| &revoked.serial).collect();
        let same = draft.serials.iter().collect::<BTreeSet<_>>() == wanted;
        if !same || draft.issuer.der != ca.subject.der {
            return Err(IssueError::OtherCrl);
        }
        let list = Crl::from_der(self.signed(&unsigned)?)?;
        if list.is_signed_by(ca) { Ok(list) } else { Err(IssueError::WrongSignature) }
    }

    /// Encodes a certificate for the key `spki`, and checks it.
    fn encode(
        &self,
        spec: &CertificateSpec,
        spki: &[u8],
        kind: Option<KeyKind>,
        now: OffsetDateTime,
    ) -> Result<IssuanceToken, IssueError> {
        let (ca, policy) = (self.ca.certificate(), spec.policy());
        if policy.signed_by != self.ca.role() {
            let (name, wanted, found) = (policy.name, policy.signed_by, self.ca.role());
            return Err(IssueError::OtherRole { name, wanted, found });
        }
        let not_after = (now + spec.lifetime.duration()).min(self.ca.not_after());
        let mut params = certificate_params(&spec.subject, now, not_after)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = extended_key_usages(policy.usage);
        // A CA's certificate without a key identifier cannot be referred to by one.
        params.use_authority_key_identifier_extension = ca.subject_key_id.is_some();
        params.subject_alt_names = spec.names.iter().map(san).collect::<Result<_, _>>()?;
        let subject = PublicKey::read(spki).ok_or_else(unsupported_key)?;
        let encoded = params.signed_by(&subject, &self.for_rcgen()).map_err(encode_error)?;
        let unsigned = self.unsigned(encoded.der())?;
        let draft = Certificate::from_der(unsigned.signed(&PLACEHOLDER).ok_or_else(not_encodable)?)?;
        let mut violations = violations_except_signature(&draft, spec, kind, ca, now);
        violations.extend((draft.spki != spki).then_some(Violation::KeyDoesNotFit));
        if !violations.is_empty() {
            return Err(IssueError::Violations { violations });
        }
        Ok(IssuanceToken { issuer: ca.fingerprint(), unsigned, draft, key: None })
    }

    fn sign(&self, token: IssuanceToken) -> Result<(Certificate, Option<PrivateKey>), IssueError> {
        let ca = self.ca.certificate();
        if token.issuer != ca.fingerprint() {
            return Err(IssueError::OtherIssuer);
        }
        let certificate = token.draft.with_signature(self.signed(&token.unsigned)?)?;
        match certificate.signed_by(ca) {
            SignatureStatus::Valid => Ok((certificate, token.key)),
            SignatureStatus::Invalid | SignatureStatus::Unverifiable(_) => Err(IssueError::WrongSignature),
        }
    }

    fn credential(&self, certificate: Certificate, key: PrivateKey) -> Credential {
        Credential { certificate, chain: self.ca.chain().to_vec(), key }
    }

    fn unsigned(&self, encoded: &[u8]) -> Result<Unsigned, IssueError> {
        let name = &self.ca.certificate().subject.der;
        Unsigned::read(encoded).and_then(|unsigned| unsigned.with_issuer(name)).ok_or_else(not_encodable)
    }

    fn signed(&self, unsigned: &Unsigned) -> Result<Vec<u8>, IssueError> {
        let signature = self.key.sign(unsigned.tbs())?;
        unsigned.signed(&signature).ok_or_else(not_encodable)
    }

    /// Returns the issuer in the form that rcgen needs for encoding. Its name is later replaced by the CA's.
    fn for_rcgen(&self) -> rcgen::Issuer<'static, &PublicKey> {
        let mut params = CertificateParams::default();
        params.key_identifier_method = self.key_id();
        rcgen::Issuer::new(params, &self.public)
    }

    fn key_id(&self) -> KeyIdMethod {
        let own = self.ca.certificate().subject_key_id.clone();
        own.map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified)
    }
}

fn unsupported_key() -> IssueError {
    IssueError::Key(KeyError::Foreign)
}

fn not_encodable() -> IssueError {
    IssueError::Encode("its structure is not X.509's".to_owned())
}

#[cfg(test)]
mod tests;
