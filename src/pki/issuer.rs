//! A root with its key: the only place where certificates come from. What it makes is checked as a stranger would
//! before anybody gets it.

use std::collections::BTreeSet;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;

use super::certificate::{Certificate, CertificateError, Serial};
use super::crl::{Crl, CrlError, Revoked};
use super::key::{KeyError, PrivateKey, Signer};
use super::lint::{BACKDATED, leaf_violations, own_root_violations};
use super::verified::Verified;
use super::violation::Violation;
use crate::cluster::account::Account;
use crate::cluster::address::Address;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::{CaRole, CertificateSpec, Usage};

/// A certificate with its key.
#[derive(Debug)]
pub struct Credential {
    /// The certificate.
    pub certificate: Certificate,
    /// Its private key.
    pub key: PrivateKey,
}

/// Why nothing was minted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The key could not be made or opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What was made cannot be read back.
    #[error("what was made is no certificate")]
    Certificate(#[from] CertificateError),
    /// The library refused.
    #[error("the certificate could not be encoded: {0}")]
    Encode(String),
    /// The revocation list cannot be read back.
    #[error("what was made is no revocation list")]
    List(#[from] CrlError),
    /// The revocation list that was made is not the one that was asked for.
    #[error("the revocation list that was made is not the one that was asked for")]
    OtherList,
    /// What was made, or the root that should sign it, did not pass the stranger's check.
    #[error("{}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Violations {
        /// All rules that are broken.
        violations: Vec<Violation>,
    },
}

/// Makes a root: self-signed, pathlen 0, valid from five minutes before `now`.
///
/// # Errors
/// When no key can be made, or what was made does not pass the stranger's check.
pub fn create_root(
    kind: CaRole,
    cluster: &ClusterName,
    keys: KeyKind,
    lifetime: Lifetime,
    now: OffsetDateTime,
) -> Result<Verified<Credential>, IssueError> {
    let key = PrivateKey::generate(keys)?;
    let mut params = params(&kind.subject(cluster), now, now + lifetime.duration())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let made = params.self_signed(&key.signer()?).map_err(encode_error)?;
    let certificate = Certificate::from_der(made.der().to_vec())?;
    check_root(Credential { certificate, key }, now).map_err(|violations| IssueError::Violations { violations })
}

/// A root opened for signing.
pub struct Issuer<'a> {
    root: &'a Certificate,
    issuer: rcgen::Issuer<'a, Signer<'a>>,
    now: OffsetDateTime,
}

impl<'a> Issuer<'a> {
    /// Opens a root for signing at `now`.
    ///
    /// # Errors
    /// When the root is not fit to sign: expired, not a CA, or its key belongs to another.
    pub fn open(root: &'a Credential, now: OffsetDateTime) -> Result<Self, IssueError> {
        let mut violations = own_root_violations(&root.certificate, now);
        if root.key.spki() != root.certificate.spki {
            violations.insert(0, Violation::KeyDoesNotFit);
        }
        if !violations.is_empty() {
            return Err(IssueError::Violations { violations });
        }
        let issuer = rcgen::Issuer::from_ca_cert_der(&root.certificate.der().into(), root.key.signer()?)
            .map_err(encode_error)?;
        Ok(Self { root: &root.certificate, issuer, now })
    }

    /// The root's certificate.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        self.root
    }

    /// Makes the credential that `leaf` asks for, with a new key. It ends with its root at the latest.
    ///
    /// # Errors
    /// When no key can be made, or what was made does not pass the stranger's check.
    pub fn issue(&self, leaf: &CertificateSpec, keys: KeyKind) -> Result<Verified<Credential>, IssueError> {
        let key = PrivateKey::generate(keys)?;
        let not_after = (self.now + leaf.lifetime.duration()).min(self.root().not_after);
        let mut params = params(&leaf.subject, self.now, not_after)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = extended_key_usages(leaf.policy().usage);
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = leaf.names.iter().map(san).collect::<Result<_, _>>()?;
        let made = params.signed_by(&key, &self.issuer).map_err(encode_error)?;
        let certificate = Certificate::from_der(made.der().to_vec())?;
        check_leaf(Credential { certificate, key }, leaf, keys, self.root, self.now)
            .map_err(|violations| IssueError::Violations { violations })
    }
}

impl Issuer<'_> {
    /// Signs the list of all that this root has revoked (RFC 5280 § 5), with a number that the caller lets grow, due again at
    /// `next_update`. Checked as a stranger would before anybody gets it.
    ///
    /// # Errors
    /// When it cannot be encoded, or what was made is not the list that was asked for.
    pub fn revocation_list(
        &self,
        revoked: &[Revoked],
        number: u64,
        next_update: OffsetDateTime,
    ) -> Result<Crl, IssueError> {
        let entry = |revoked: &Revoked| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&revoked.serial.0),
            revocation_time: whole_seconds(revoked.at),
            reason_code: revoked.reason.code(),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: whole_seconds(self.now),
            next_update: whole_seconds(next_update),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let made = params.signed_by(&self.issuer).map_err(encode_error)?;
        let list = Crl::from_der(made.der().to_vec())?;
        let wanted: BTreeSet<&Serial> = revoked.iter().map(|revoked| &revoked.serial).collect();
        let same = list.serials.iter().collect::<BTreeSet<_>>() == wanted;
        if !same || list.issuer.der != self.root().subject.der || !list.is_signed_by(self.root()) {
            return Err(IssueError::OtherList);
        }
        Ok(list)
    }
}

fn check_leaf(
    credential: Credential,
    wanted: &CertificateSpec,
    keys: KeyKind,
    root: &Certificate,
    now: OffsetDateTime,
) -> Result<Verified<Credential>, Vec<Violation>> {
    let mut violations = leaf_violations(&credential.certificate, wanted, keys, root, now);
    violations.extend(key_violation(&credential));
    if violations.is_empty() { Ok(Verified::new(credential)) } else { Err(violations) }
}

fn check_root(credential: Credential, now: OffsetDateTime) -> Result<Verified<Credential>, Vec<Violation>> {
    let mut violations = own_root_violations(&credential.certificate, now);
    violations.extend(key_violation(&credential));
    if violations.is_empty() { Ok(Verified::new(credential)) } else { Err(violations) }
}

fn key_violation(credential: &Credential) -> Option<Violation> {
    (credential.key.spki() != credential.certificate.spki).then_some(Violation::KeyDoesNotFit)
}

pub(super) fn params(
    subject: &Account,
    now: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(group) = &subject.group {
        params.distinguished_name.push(DnType::OrganizationName, group.clone());
    }
    params.distinguished_name.push(DnType::CommonName, subject.user.clone());
    params.serial_number = Some(serial()?);
    params.not_before = whole_seconds(now - BACKDATED);
    params.not_after = whole_seconds(not_after);
    Ok(params)
}

/// X.509 has no fractions of a second (RFC 5280 § 4.1.2.5).
fn whole_seconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

/// 128 random bits, never zero; DER adds the sign octet that keeps them positive.
fn serial() -> Result<SerialNumber, IssueError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    // A leading zero octet would be lost in DER; one bit keeps the length, and with it "128 bits", true.
    if bytes[0] == 0 {
        bytes[0] = 1;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

pub(super) fn extended_key_usages(usage: Usage) -> Vec<ExtendedKeyUsagePurpose> {
    match usage {
        Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Usage::ServerAndClient => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    }
}

pub(super) fn san(address: &Address) -> Result<SanType, IssueError> {
    Ok(match address {
        Address::Ip(ip) => SanType::IpAddress(*ip),
        Address::Dns(name) => SanType::DnsName(name.as_str().try_into().map_err(encode_error)?),
    })
}

pub(super) fn encode_error(error: rcgen::Error) -> IssueError {
    IssueError::Encode(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::spec::{Cluster, RawCluster, RawHost};
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00.5 UTC);

    fn cluster(keys: KeyKind) -> Cluster {
        let host = |name: &str, address: &str| RawHost {
            name: Some(name.into()),
            addresses: vec![address.into()],
            ..RawHost::default()
        };
        let draft = RawCluster {
            name: Some("prod".into()),
            keys: Some(keys.as_str().into()),
            masters: vec![host("m1", "10.0.0.1")],
            nodes: vec![host("on", "10.0.1.1"), host("42", "fd00::2"), host("10.0.1.9", "10.0.1.9")],
            ..RawCluster::default()
        };
        draft.check().expect("a good draft")
    }

    fn root(keys: KeyKind, lifetime: &str, now: OffsetDateTime) -> Credential {
        let cluster = cluster(keys);
        let lifetime = Lifetime::parse(lifetime).expect("a lifetime");
        create_root(CaRole::Cluster, &cluster.name, keys, lifetime, now).expect("a root").into_inner()
    }

    #[test]
    fn every_leaf_of_every_kind_of_key_passes_the_strangers_check() {
        for keys in KeyKind::ALL {
            let cluster = cluster(keys);
            let root = root(keys, "10y", NOW);
            let authority = Issuer::open(&root, NOW).expect("a fit root");
            let masters = cluster.masters.iter().flat_map(|m| cluster.master_leaves(m));
            let nodes = cluster.nodes.iter().flat_map(|n| cluster.node_leaves(n));
            let admin = cluster.admin_leaf(&cluster.nodes[0].name, Lifetime::ONE_YEAR);
            for leaf in masters.chain(nodes).chain([cluster.verifier_leaf(), admin]) {
                let made = authority.issue(&leaf, keys).expect("a credential").into_inner();
                assert_eq!(made.certificate.serial.0.len(), 16);
                assert_eq!(made.certificate.not_before, datetime!(2026-11-23 11:55:00 UTC));
                assert_eq!(made.certificate.not_after, datetime!(2027-11-23 12:00:00 UTC));
            }
        }
    }

    #[test]
    fn a_leaf_ends_with_its_root() {
        let keys = KeyKind::EcdsaP256;
        let root = root(keys, "30d", NOW);
        let later = NOW + Duration::days(20);
        let cluster = cluster(keys);
        let leaf = cluster.verifier_leaf();
        let made = Issuer::open(&root, later).expect("a fit root").issue(&leaf, keys).expect("a leaf");
        assert_eq!(made.get().certificate.not_after, root.certificate.not_after);
    }

    #[test]
    fn an_expired_root_and_a_foreign_key_sign_nothing() {
        let keys = KeyKind::EcdsaP256;
        let old = root(keys, "1d", NOW);
        let now = NOW + Duration::days(2);
        let not_after = old.certificate.not_after;
        let refused = Issuer::open(&old, now).map(|_| ()).expect_err("refused");
        assert_eq!(refused, IssueError::Violations { violations: vec![Violation::Expired { not_after, now }] });
        let mixed = Credential { certificate: old.certificate, key: root(keys, "1d", NOW).key };
        let refused = Issuer::open(&mixed, NOW).map(|_| ()).expect_err("refused");
        assert_eq!(refused, IssueError::Violations { violations: vec![Violation::KeyDoesNotFit] });
    }

    #[test]
    fn the_strangers_check_finds_a_twin_root_and_every_change_of_the_cluster_file() {
        use crate::pki::lint::leaf_violations;
        let keys = KeyKind::EcdsaP256;
        let (ours, twin) = (root(keys, "10y", NOW), root(keys, "10y", NOW));
        let before = cluster(keys);
        let leaf = before.node_leaves(&before.nodes[0])[1].clone();
        let made = Issuer::open(&ours, NOW).expect("fit").issue(&leaf, keys).expect("a leaf").into_inner();
        let violations = |leaf: &CertificateSpec, root: &Credential, now| {
            leaf_violations(&made.certificate, leaf, keys, &root.certificate, now)
        };
        assert_eq!(violations(&leaf, &ours, NOW), []);
        assert_eq!(violations(&leaf, &twin, NOW)[..2], [Violation::OtherKeyId, Violation::BadSignature]);
        let copy = Issuer::open(&ours, NOW).expect("fit").issue(&leaf, keys).expect("a leaf").into_inner();
        let refused = check_leaf(copy, &leaf, keys, &twin.certificate, NOW).expect_err("another root's");
        assert_eq!(refused[..2], [Violation::OtherKeyId, Violation::BadSignature]);
        let mut after = leaf;
        after.names[1] = Address::parse("10.20.1.12").expect("an address");
        let changed = violations(&after, &ours, NOW);
        assert_eq!(changed, [Violation::NameMissing("10.20.1.12".into()), Violation::NameTooMany("10.0.1.1".into())]);
        assert_eq!(changed[0].to_string(), "10.20.1.12 is not in the certificate");
        let client = before.node_leaves(&before.nodes[0])[0].clone();
        assert!(
            violations(&client, &ours, NOW)
                .contains(&Violation::OtherUsage { found: "serverAuth".into(), wanted: &["clientAuth"] })
        );
    }
}
