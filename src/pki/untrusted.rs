//! Certificates that are invalid on purpose: those of untrusted clients, and the injected faults of the simulated
//! cluster.
//!
//! They never become [`super::verified::Verified`], so they cannot be written to a cluster directory.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, KeyIdMethod, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::certificate::{Certificate, Serial};
use super::credential::Credential;
use super::issue_error::IssueError;
use super::issuer::Issuer;
use super::key::{KeyError, PrivateKey};
use super::local_key::LocalKey;
use super::params::{certificate_params, encode_error, extended_key_usages, san};
use super::pem::{self, Item, Secret};
use super::rcgen_keys::Immediate;
use super::signing_key::SigningKey;
use crate::cluster::account::Account;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::{CertificateSpec, Usage};

/// A way to make a client certificate that no server of the cluster may accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UntrustedKind {
    /// It names the cluster's root as its issuer, with the root's key identifier; another key signed it.
    ForgedIssuer,
    /// Like `ForgedIssuer`, but sent with a root of the same subject whose key did sign it.
    ForgedIssuerSent,
    /// Another CA signed it, which is sent with it.
    OtherCaSent,
    /// Another CA signed it, which is not sent.
    OtherCa,
    /// Its own key signed it.
    SelfSigned,
}

/// The kind of key of an untrusted certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UntrustedKey {
    /// A new key of a kind that clusterctl generates.
    New(KeyKind),
    /// An RSA key. ring cannot generate RSA, so these keys are published with the source.
    Rsa,
}

/// An untrusted client's certificates and its key.
#[derive(Debug)]
pub struct UntrustedClient {
    /// The certificates as sent, leaf first.
    pub chain: Vec<Certificate>,
    key: EphemeralKey,
}

impl UntrustedClient {
    /// The private key as PKCS#8 DER.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.key.pkcs8
    }
}

/// Creates a client certificate of `subject` with the validity of `root`, so that no server rejects it because of its
/// dates.
///
/// # Errors
/// Returns an error if no key can be generated, or a certificate cannot be encoded.
pub fn untrusted(
    how: UntrustedKind,
    root: &Certificate,
    subject: &Account,
    key: UntrustedKey,
) -> Result<UntrustedClient, IssueError> {
    let validity = (root.not_before, root.not_after);
    let own_key = EphemeralKey::leaf(key)?;
    let leaf = client_params(subject, validity)?;
    if how == UntrustedKind::SelfSigned {
        let made = leaf.self_signed(&immediate(&own_key.signing)?).map_err(encode_error)?;
        return Ok(UntrustedClient { chain: vec![Certificate::from_der(made.der().to_vec())?], key: own_key });
    }
    let ca_key = EphemeralKey::ca(key)?;
    let ca = match how {
        UntrustedKind::ForgedIssuer => root.clone(),
        UntrustedKind::ForgedIssuerSent => ca_certificate(&root.account(), &ca_key, validity)?,
        _ => ca_certificate(&Account { user: "untrusted CA".to_owned(), group: None }, &ca_key, validity)?,
    };
    let issuer = issuer(&ca, &ca_key.signing)?;
    let made = leaf.signed_by(&immediate(&own_key.signing)?, &issuer).map_err(encode_error)?;
    let mut chain = vec![Certificate::from_der(made.der().to_vec())?];
    if matches!(how, UntrustedKind::ForgedIssuerSent | UntrustedKind::OtherCaSent) {
        chain.push(ca);
    }
    Ok(UntrustedClient { chain, key: own_key })
}

fn client_params(
    subject: &Account,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<CertificateParams, IssueError> {
    let mut params = certificate_params(subject, not_before, not_after)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = extended_key_usages(Usage::Client);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn ca_certificate(
    subject: &Account,
    key: &EphemeralKey,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<Certificate, IssueError> {
    let mut own = certificate_params(subject, not_before, not_after)?;
    own.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(Certificate::from_der(own.self_signed(&immediate(&key.signing)?).map_err(encode_error)?.der().to_vec())?)
}

/// The key of an untrusted certificate.
#[derive(Debug)]
struct EphemeralKey {
    pkcs8: Zeroizing<Vec<u8>>,
    signing: LocalKey,
}

impl EphemeralKey {
    fn leaf(kind: UntrustedKey) -> Result<Self, IssueError> {
        Self::make(kind, include_bytes!("untrusted_keys/leaf.pem"))
    }

    fn ca(kind: UntrustedKey) -> Result<Self, IssueError> {
        Self::make(kind, include_bytes!("untrusted_keys/ca.pem"))
    }

    fn make(kind: UntrustedKey, published: &[u8]) -> Result<Self, IssueError> {
        match kind {
            UntrustedKey::New(kind) => {
                let key = PrivateKey::generate(kind)?;
                Ok(Self { pkcs8: Zeroizing::new(key.expose_pkcs8().to_vec()), signing: LocalKey::open(&key)? })
            }
            UntrustedKey::Rsa => {
                let items = pem::read_all(published).map_err(KeyError::Pem)?;
                let pkcs8 = items.into_iter().find_map(|item| match item {
                    Item::Key(_, Secret(der)) => Some(der),
                    _ => None,
                });
                let pkcs8 = pkcs8.ok_or(KeyError::NoKey)?;
                Ok(Self { pkcs8, signing: LocalKey::from_pem_with(published, None)? })
            }
        }
    }
}

/// Creates a credential for `leaf`, signed by this issuer and valid from `not_before` to `not_after`, without any
/// checks.
///
/// # Errors
/// Returns an error if no key can be generated, or the certificate cannot be encoded.
pub fn dated(
    by: &Issuer,
    leaf: &CertificateSpec,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<Credential, IssueError> {
    let issuer = issuer(by.ca().certificate(), by.key())?;
    let names: Vec<_> = leaf.names.iter().map(san).collect::<Result<_, _>>()?;
    mint(&issuer, &leaf.subject, &names, leaf.policy().usage, (not_before, not_after))
}

/// Creates a CRL of `serials` (DER), signed by this issuer, from `this_update` to `next_update`, without any checks.
///
/// # Errors
/// Returns an error if it cannot be encoded.
pub fn revocation_list(
    by: &Issuer,
    serials: &[Serial],
    this_update: OffsetDateTime,
    next_update: OffsetDateTime,
) -> Result<Vec<u8>, IssueError> {
    let revoked = |serial: &Serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&serial.0),
        revocation_time: this_update,
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update,
        next_update,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let issuer = issuer(by.ca().certificate(), by.key())?;
    Ok(params.signed_by(&issuer).map_err(encode_error)?.der().to_vec())
}

fn issuer<'a>(
    root: &Certificate,
    key: &'a dyn SigningKey,
) -> Result<rcgen::Issuer<'static, Immediate<'a>>, IssueError> {
    rcgen::Issuer::from_ca_cert_der(&root.der().into(), immediate(key)?).map_err(encode_error)
}

fn immediate(key: &dyn SigningKey) -> Result<Immediate<'_>, IssueError> {
    Immediate::new(key).ok_or(IssueError::Key(KeyError::Damaged))
}

fn mint(
    issuer: &rcgen::Issuer<'_, Immediate<'_>>,
    subject: &Account,
    names: &[rcgen::SanType],
    usage: Usage,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<Credential, IssueError> {
    let key = PrivateKey::generate(KeyKind::EcdsaP256)?;
    let mut params = certificate_params(subject, not_before, not_after)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = extended_key_usages(usage);
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = names.to_vec();
    let made = params.signed_by(&immediate(&LocalKey::open(&key)?)?, issuer).map_err(encode_error)?;
    Ok(Credential { certificate: Certificate::from_der(made.der().to_vec())?, chain: Vec::new(), key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lifetime::Lifetime;
    use crate::cluster::name::ClusterName;
    use crate::cluster::profile::CaRole;
    use crate::pki::chain::verify_chain;
    use crate::pki::issuer::create_root;
    use time::macros::datetime;

    #[test]
    fn untrusted_certificates_copy_the_identity_and_do_not_verify() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let name = ClusterName::parse("prod").expect("a name");
        let root = create_root(CaRole::Cluster, &name, KeyKind::EcdsaP256, Lifetime::ONE_YEAR, now).expect("a root");
        let root = &root.get().certificate;
        let subject = Account { user: "kubelet:n1".into(), group: Some("kubelets".into()) };
        let ways = [
            UntrustedKind::ForgedIssuer,
            UntrustedKind::ForgedIssuerSent,
            UntrustedKind::OtherCaSent,
            UntrustedKind::OtherCa,
            UntrustedKind::SelfSigned,
        ];
        for kind in [UntrustedKey::New(KeyKind::EcdsaP256), UntrustedKey::New(KeyKind::EcdsaP384), UntrustedKey::Rsa] {
            for how in ways {
                let client = untrusted(how, root, &subject, kind).expect("an untrusted client");
                let (leaf, sent) = client.chain.split_first().expect("a leaf");
                assert_eq!(leaf.account(), subject, "{how:?}");
                assert!(leaf.not_before <= root.not_before && leaf.not_after == root.not_after, "{how:?}");
                let ours = matches!(how, UntrustedKind::ForgedIssuer | UntrustedKind::ForgedIssuerSent);
                assert_eq!(leaf.issuer.der == root.subject.der, ours, "{how:?}");
                let complete = matches!(how, UntrustedKind::ForgedIssuerSent | UntrustedKind::OtherCaSent);
                assert_eq!(sent.len(), usize::from(complete), "{how:?}");
                assert!(verify_chain(leaf, sent, std::slice::from_ref(root)).is_err(), "{how:?} {kind:?}");
                // A verifier that trusted the CA that is sent with it would accept it.
                if let [ca] = sent {
                    assert!(verify_chain(leaf, &[], std::slice::from_ref(ca)).is_ok(), "{how:?} {kind:?}");
                }
            }
        }
    }
}
