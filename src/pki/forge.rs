//! Certificates that are wrong on purpose: untrusted clients, and the faults of the simulated cluster.
//! Nothing made here passes the check of what is issued, and nothing made here is ever written to a cluster directory.

use rcgen::{
    BasicConstraints, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};
use time::OffsetDateTime;

use super::authority::{Credential, MintError, encode_error, extended_key_usages, params, san};
use super::certificate::{Certificate, Serial};
use super::key::{PrivateKey, Signer};
use crate::cluster::account::Account;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::{Leaf, Usage};

/// A client certificate that says everything right and proves nothing: it carries `subject`, names `root` as its issuer,
/// has the root's key identifier, and is signed by a key that is thrown away. Valid as long as the root, so that whoever
/// refuses it does not do so for its dates.
///
/// # Errors
/// When no key can be made, or the certificate cannot be encoded.
pub fn untrusted(root: &Certificate, subject: &Account) -> Result<Credential, MintError> {
    let throw_away = PrivateKey::generate(KeyKind::EcdsaP256)?;
    let issuer = issuer(root, &throw_away)?;
    mint(&issuer, subject, &[], Usage::Client, (root.not_before, root.not_after))
}

/// A client certificate that carries `subject` and is good in all but one thing: nobody knows the root that signed it,
/// which is returned with it. Valid as long as `root`.
///
/// # Errors
/// When no key can be made, or the certificates cannot be encoded.
pub fn outsider(root: &Certificate, subject: &Account) -> Result<(Credential, Certificate), MintError> {
    let key = PrivateKey::generate(KeyKind::EcdsaP256)?;
    let validity = (root.not_before, root.not_after);
    let itself = Account { user: "root of nobody here".to_owned(), group: None };
    let mut own = params(&itself, validity.0, validity.1)?;
    own.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = Certificate::from_der(own.self_signed(&key.signer()?).map_err(encode_error)?.der().to_vec())?;
    let issuer = issuer(&certificate, &key)?;
    Ok((mint(&issuer, subject, &[], Usage::Client, validity)?, certificate))
}

/// A credential for `leaf`, signed by `root` and valid from `not_before` to `not_after`, whatever that means today.
///
/// # Errors
/// When no key can be made, or the certificate cannot be encoded.
pub fn dated(
    root: &Credential,
    leaf: &Leaf,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<Credential, MintError> {
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
) -> Result<Vec<u8>, MintError> {
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

fn issuer<'a>(root: &'a Certificate, key: &'a PrivateKey) -> Result<Issuer<'a, Signer<'a>>, MintError> {
    Issuer::from_ca_cert_der(&root.der().into(), key.signer()?).map_err(encode_error)
}

fn mint(
    issuer: &Issuer<'_, Signer<'_>>,
    subject: &Account,
    names: &[rcgen::SanType],
    usage: Usage,
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<Credential, MintError> {
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
    use crate::cluster::profile::RootKind;
    use crate::pki::authority::create_root;
    use crate::pki::chain::verify_chain;
    use time::macros::datetime;

    #[test]
    fn an_untrusted_client_says_everything_right_and_chains_to_nothing() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let name = ClusterName::parse("prod").expect("a name");
        let root = create_root(RootKind::Cluster, &name, KeyKind::EcdsaP256, Lifetime::ONE_YEAR, now).expect("a root");
        let root = &root.get().certificate;
        let subject = Account { user: "kubelet:n1".into(), group: Some("kubelets".into()) };
        let made = untrusted(root, &subject).expect("an untrusted client").certificate;
        assert_eq!(made.account(), subject);
        assert!(made.not_before <= root.not_before && made.not_after == root.not_after);
        assert_eq!(made.issuer.der, root.subject.der);
        assert_eq!(made.authority_key_id, root.subject_key_id);
        assert!(verify_chain(&made, &[], std::slice::from_ref(root)).is_err());
        let (made, other) = outsider(root, &subject).expect("an untrusted client");
        let made = made.certificate;
        assert_eq!((made.account(), made.not_after), (subject, root.not_after));
        assert_ne!(other.subject.der, root.subject.der);
        assert!(verify_chain(&made, &[], std::slice::from_ref(&other)).is_ok());
        assert!(verify_chain(&made, std::slice::from_ref(&other), std::slice::from_ref(root)).is_err());
    }
}
