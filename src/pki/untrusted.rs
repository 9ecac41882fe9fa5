//! Certificates that are wrong on purpose: untrusted clients, and the faults of the simulated cluster.
//! Nothing made here passes the check of what is issued, and nothing made here is ever written to a cluster directory.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData, RevokedCertParams, SerialNumber, SignatureAlgorithm, SigningKey,
};
use time::OffsetDateTime;

use super::certificate::{Certificate, Serial};
use super::issuer::{Credential, IssueError, encode_error, extended_key_usages, params, san};
use super::key::{PrivateKey, Signer};
use crate::cluster::account::Account;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::{CertificateSpec, Usage};

/// A way to make a client certificate that no server of the cluster may accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// It names our root as its issuer, with the root's key identifier; another key signed it.
    OurIssuer,
    /// As `OurIssuer`, and a root of our root's subject is sent with it, whose key did sign it.
    OurIssuerSent,
    /// Another CA signed it, which is sent with it.
    OtherCaSent,
    /// Another CA signed it, which is not sent.
    OtherCa,
    /// Its own key signed it.
    SelfSigned,
}

/// The kind of key that a forged certificate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgedKey {
    /// A new key of a kind that clusterctl makes.
    New(KeyKind),
    /// RSA, which ring cannot generate: keys that are published with the source.
    Rsa,
}

/// A forged client certificate with what is sent behind it and its key, as PKCS#8.
#[derive(Debug)]
pub struct Forged {
    /// The certificates as sent, leaf first.
    pub chain: Vec<Certificate>,
    key: ThrowAway,
}

impl Forged {
    /// The private key as PKCS#8 DER.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        match &self.key {
            ThrowAway::New(key) => key.expose_pkcs8(),
            ThrowAway::Published(key) => key.serialized_der(),
        }
    }
}

/// Makes a client certificate that carries `subject` and is valid as long as `root`, so that nobody refuses it for its dates.
///
/// # Errors
/// When no key can be made, or a certificate cannot be encoded.
pub fn untrusted(
    forgery: Forgery,
    root: &Certificate,
    subject: &Account,
    kind: ForgedKey,
) -> Result<Forged, IssueError> {
    let validity = (root.not_before, root.not_after);
    let key = ThrowAway::leaf(kind)?;
    let leaf = client_params(subject, validity)?;
    if forgery == Forgery::SelfSigned {
        let made = leaf.self_signed(&key).map_err(encode_error)?;
        return Ok(Forged { chain: vec![Certificate::from_der(made.der().to_vec())?], key });
    }
    let ca_key = ThrowAway::ca(kind)?;
    let ca = match forgery {
        Forgery::OurIssuer => root.clone(),
        Forgery::OurIssuerSent => ca_certificate(&root.account(), &ca_key, validity)?,
        _ => ca_certificate(&Account { user: "untrusted CA".to_owned(), group: None }, &ca_key, validity)?,
    };
    let issuer = rcgen::Issuer::from_ca_cert_der(&ca.der().into(), ca_key).map_err(encode_error)?;
    let made = leaf.signed_by(&key, &issuer).map_err(encode_error)?;
    let mut chain = vec![Certificate::from_der(made.der().to_vec())?];
    if matches!(forgery, Forgery::OurIssuerSent | Forgery::OtherCaSent) {
        chain.push(ca);
    }
    Ok(Forged { chain, key })
}

fn client_params(
    subject: &Account,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<CertificateParams, IssueError> {
    let mut params = params(subject, not_before, not_after)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = extended_key_usages(Usage::Client);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn ca_certificate(
    subject: &Account,
    key: &ThrowAway,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<Certificate, IssueError> {
    let mut own = params(subject, not_before, not_after)?;
    own.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(Certificate::from_der(own.self_signed(key).map_err(encode_error)?.der().to_vec())?)
}

/// The key of a certificate that is worth nothing.
#[derive(Debug)]
enum ThrowAway {
    New(PrivateKey),
    Published(Box<KeyPair>),
}

impl ThrowAway {
    fn leaf(kind: ForgedKey) -> Result<Self, IssueError> {
        Self::make(kind, include_str!("untrusted_keys/leaf.pem"))
    }

    fn ca(kind: ForgedKey) -> Result<Self, IssueError> {
        Self::make(kind, include_str!("untrusted_keys/ca.pem"))
    }

    fn make(kind: ForgedKey, published: &str) -> Result<Self, IssueError> {
        match kind {
            ForgedKey::New(kind) => Ok(Self::New(PrivateKey::generate(kind)?)),
            ForgedKey::Rsa => KeyPair::from_pem(published).map(Box::new).map(Self::Published).map_err(encode_error),
        }
    }
}

impl PublicKeyData for ThrowAway {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::New(key) => key.der_bytes(),
            Self::Published(key) => key.der_bytes(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::New(key) => key.algorithm(),
            Self::Published(key) => key.algorithm(),
        }
    }
}

impl SigningKey for ThrowAway {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::New(key) => key.signer().map_err(|_| rcgen::Error::RingUnspecified)?.sign(message),
            Self::Published(key) => key.sign(message),
        }
    }
}

/// A credential for `leaf`, signed by `root` and valid from `not_before` to `not_after`, whatever that means today.
///
/// # Errors
/// When no key can be made, or the certificate cannot be encoded.
pub fn dated(
    root: &Credential,
    leaf: &CertificateSpec,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<Credential, IssueError> {
    let issuer = issuer(&root.certificate, &root.key)?;
    let names: Vec<_> = leaf.names.iter().map(san).collect::<Result<_, _>>()?;
    mint(&issuer, &leaf.subject, &names, leaf.policy().usage, (not_before, not_after))
}

/// A revocation list by `root` (DER) that names `serials`, from `this_update` to `next_update`, whatever that means today.
///
/// # Errors
/// When it cannot be encoded.
pub fn revocation_list(
    root: &Credential,
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
    let issuer = issuer(&root.certificate, &root.key)?;
    Ok(params.signed_by(&issuer).map_err(encode_error)?.der().to_vec())
}

fn issuer<'a>(root: &'a Certificate, key: &'a PrivateKey) -> Result<rcgen::Issuer<'a, Signer<'a>>, IssueError> {
    rcgen::Issuer::from_ca_cert_der(&root.der().into(), key.signer()?).map_err(encode_error)
}

fn mint(
    issuer: &rcgen::Issuer<'_, Signer<'_>>,
    subject: &Account,
    names: &[rcgen::SanType],
    usage: Usage,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<Credential, IssueError> {
    let key = PrivateKey::generate(KeyKind::EcdsaP256)?;
    let mut params = params(subject, not_before, not_after)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = extended_key_usages(usage);
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = names.to_vec();
    let made = params.signed_by(&key, issuer).map_err(encode_error)?;
    Ok(Credential { certificate: Certificate::from_der(made.der().to_vec())?, key })
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
    fn an_untrusted_client_says_everything_right_and_chains_to_nothing() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let name = ClusterName::parse("prod").expect("a name");
        let root = create_root(CaRole::Cluster, &name, KeyKind::EcdsaP256, Lifetime::ONE_YEAR, now).expect("a root");
        let root = &root.get().certificate;
        let subject = Account { user: "kubelet:n1".into(), group: Some("kubelets".into()) };
        let forgeries =
            [Forgery::OurIssuer, Forgery::OurIssuerSent, Forgery::OtherCaSent, Forgery::OtherCa, Forgery::SelfSigned];
        for kind in [ForgedKey::New(KeyKind::EcdsaP256), ForgedKey::New(KeyKind::EcdsaP384), ForgedKey::Rsa] {
            for forgery in forgeries {
                let forged = untrusted(forgery, root, &subject, kind).expect("an untrusted client");
                let (leaf, sent) = forged.chain.split_first().expect("a leaf");
                assert_eq!(leaf.account(), subject, "{forgery:?}");
                assert!(leaf.not_before <= root.not_before && leaf.not_after == root.not_after, "{forgery:?}");
                let ours = matches!(forgery, Forgery::OurIssuer | Forgery::OurIssuerSent);
                assert_eq!(leaf.issuer.der == root.subject.der, ours, "{forgery:?}");
                let complete = matches!(forgery, Forgery::OurIssuerSent | Forgery::OtherCaSent);
                assert_eq!(sent.len(), usize::from(complete), "{forgery:?}");
                assert!(verify_chain(leaf, sent, std::slice::from_ref(root)).is_err(), "{forgery:?} {kind:?}");
                // Who believes the CA that is sent with it finds nothing wrong.
                if let [ca] = sent {
                    assert!(verify_chain(leaf, &[], std::slice::from_ref(ca)).is_ok(), "{forgery:?} {kind:?}");
                }
            }
        }
    }
}
