//! The input of a host's bundle: its roles, the CAs that it trusts, and its credentials, checked before they are
//! packed.
//!
//! Credentials of another host, damaged ones, and CA certificates are refused here.

use std::fmt;

use zeroize::Zeroizing;

use super::images::Settings;
use super::manifest::RotationMark;
use super::restarts::ReadAtStart;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Profile, TABLE};
use crate::cluster::spec::{Cluster, Host, Role};
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::issuer::Credential;
use crate::pki::key::{KeyError, PrivateKey};
use crate::pki::pem::{self, PemError};
use crate::pki::service_account_key::ServiceAccountKey;
use crate::pki::trust_bundle::TrustBundle;
use crate::rbac::denials::Denials;

/// The input of one host's bundle.
#[derive(Debug)]
pub struct BundleInput<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The host and its roles.
    pub roles: Roles<'a>,
    /// The CAs: a node gets the roots of the cluster's, a master those of all three roles.
    pub cas: &'a CaSet,
    /// The key that signs service account tokens, PKCS#8 PEM: the same on every master, and on no node.
    pub service_account: Option<&'a Zeroizing<Vec<u8>>>,
    /// The public keys, as PEM, of which API servers also accept tokens, while that key is rotated.
    pub other_token_keys: &'a [String],
    /// The images in a master's static pods.
    pub settings: &'a Settings,
    /// The revoked certificates that API servers deny.
    pub denials: &'a Denials,
    /// The host's credentials: one for every profile of its roles, and no others.
    pub credentials: &'a [HostCredential],
    /// The generation, greater than that of every earlier bundle of this host with other contents. `install.sh` refuses
    /// a smaller one.
    pub generation: u64,
    /// The phase of a rotation for which the bundle is packed.
    pub rotation: Option<&'a RotationMark>,
    /// The CAs and certificates that the stated version reads only when it starts.
    pub read_at_start: &'a [ReadAtStart],
}

/// A host's roles, at least one, with its entry in each list of the cluster file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles<'a> {
    /// Only a master.
    Master(&'a Host),
    /// Only a node.
    Node(&'a Host),
    /// Both, with the same name.
    Both {
        /// Its entry among the masters.
        master: &'a Host,
        /// Its entry among the nodes.
        node: &'a Host,
    },
}

impl<'a> Roles<'a> {
    /// Returns the roles of the host `name`; `None` if it is in neither list.
    ///
    /// This searches both lists. For many hosts, index the lists and use [`Self::from_entries`].
    #[must_use]
    pub fn of(cluster: &'a Cluster, name: &HostName) -> Option<Self> {
        Self::from_entries(cluster.master(name.as_str()), cluster.node(name.as_str()))
    }

    /// Returns the roles for a host's entries; `None` if it has no entry.
    #[must_use]
    pub fn from_entries(master: Option<&'a Host>, node: Option<&'a Host>) -> Option<Self> {
        match (master, node) {
            (Some(master), Some(node)) => Some(Self::Both { master, node }),
            (Some(master), None) => Some(Self::Master(master)),
            (None, Some(node)) => Some(Self::Node(node)),
            (None, None) => None,
        }
    }

    /// Returns the host's name.
    #[must_use]
    pub fn host(&self) -> &'a HostName {
        match self {
            Self::Master(host) | Self::Node(host) | Self::Both { master: host, .. } => &host.name,
        }
    }

    /// Returns its entry among the masters.
    #[must_use]
    pub fn master(&self) -> Option<&'a Host> {
        match *self {
            Self::Master(master) | Self::Both { master, .. } => Some(master),
            Self::Node(_) => None,
        }
    }

    /// Returns its entry among the nodes.
    #[must_use]
    pub fn node(&self) -> Option<&'a Host> {
        match *self {
            Self::Node(node) | Self::Both { node, .. } => Some(node),
            Self::Master(_) => None,
        }
    }

    /// Returns the roles, master first.
    #[must_use]
    pub fn list(&self) -> Vec<Role> {
        self.master().map(|_| Role::Master).into_iter().chain(self.node().map(|_| Role::Node)).collect()
    }

    /// Returns the profiles of the host's credentials, in the table's order.
    pub fn profiles(&self) -> impl Iterator<Item = Profile> {
        let (master, node) = (self.master().is_some(), self.node().is_some());
        TABLE
            .iter()
            .filter(move |row| match row.holder {
                Holder::Master => master,
                Holder::Node => node,
                Holder::Cluster | Holder::Person => false,
            })
            .map(|row| row.profile)
    }
}

/// A credential as PEM, as in the cluster directory. `Debug` shows no key.
pub struct CredentialPem {
    /// The purpose.
    pub profile: Profile,
    /// One certificate, PEM.
    pub certificate: Vec<u8>,
    /// Its key, not encrypted, PKCS#8 PEM.
    pub key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for CredentialPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialPem({})", self.profile.policy().name)
    }
}

/// Errors of assembling a bundle's credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// A credential is missing.
    #[error("there is no {name} certificate", name = profile.policy().name)]
    Missing {
        /// The purpose.
        profile: Profile,
    },
    /// A credential is not this host's, or is duplicated.
    #[error("the credential {name} does not belong in this host's bundle, or is duplicated", name = profile.policy().name)]
    NotTheHosts {
        /// The purpose.
        profile: Profile,
    },
    /// A master has no key that signs service account tokens.
    #[error("there is no service-account key")]
    NoServiceAccount,
    /// A node would get the key that signs service account tokens.
    #[error("the service-account key belongs on masters only")]
    ServiceAccountOfANode,
    /// The key that signs service account tokens cannot be read.
    #[error("the service-account key cannot be read")]
    ServiceAccount(#[source] KeyError),
    /// The certificate's file is not PEM.
    #[error("the {name} certificate cannot be read", name = profile.policy().name)]
    Pem {
        /// The purpose.
        profile: Profile,
        /// The reason.
        #[source]
        reason: PemError,
    },
    /// The file does not contain exactly the certificate and its issuer's chain, which is empty if the issuer is a
    /// root.
    #[error("the {name} certificate's file has {count} certificates, not its own and its issuer's chain", name = profile.policy().name)]
    Count {
        /// The purpose.
        profile: Profile,
        /// The number of certificates.
        count: usize,
    },
    /// The certificate cannot be parsed.
    #[error("the {name} certificate cannot be read", name = profile.policy().name)]
    Certificate {
        /// The purpose.
        profile: Profile,
        /// The reason.
        #[source]
        reason: CertificateError,
    },
    /// The key cannot be read.
    #[error("the {name} key cannot be read", name = profile.policy().name)]
    Key {
        /// The purpose.
        profile: Profile,
        /// The reason.
        #[source]
        reason: KeyError,
    },
    /// The key belongs to another certificate.
    #[error("the {name} key does not belong to the {name} certificate", name = profile.policy().name)]
    KeyDoesNotFit {
        /// The purpose.
        profile: Profile,
    },
    /// It is a CA certificate. A bundle must never contain a CA's key.
    #[error("the {name} certificate may sign certificates (CA:TRUE); a CA's key never goes into a bundle", name = profile.policy().name)]
    IsCa {
        /// The purpose.
        profile: Profile,
    },
    /// It was signed by a CA other than the bundle's.
    #[error("the {name} certificate was signed by another root ({issuer})", name = profile.policy().name)]
    OtherRoot {
        /// The purpose.
        profile: Profile,
        /// Its issuer.
        issuer: String,
    },
}

/// A host's credential: a certificate and its key, unless only the host has the key.
#[derive(Debug)]
pub struct HostCredential {
    /// The purpose.
    pub profile: Profile,
    /// The certificate.
    pub certificate: Certificate,
    /// The certificates that are sent after it.
    pub chain: Vec<Certificate>,
    /// The key; `None` if only the host has it.
    pub key: Option<PrivateKey>,
}

impl HostCredential {
    /// Converts a credential with its key.
    #[must_use]
    pub fn with_key(profile: Profile, credential: Credential) -> Self {
        let Credential { certificate, chain, key } = credential;
        Self { profile, certificate, chain, key: Some(key) }
    }

    /// Returns the certificate and those that are sent after it.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        [&self.certificate].into_iter().chain(&self.chain)
    }
}

impl CredentialPem {
    /// Parses certificate and key.
    ///
    /// # Errors
    /// Returns an error if one of them is damaged, or there is no certificate.
    pub fn read(&self) -> Result<HostCredential, InputError> {
        let profile = self.profile;
        let ders = pem::certificates(&self.certificate).map_err(|reason| InputError::Pem { profile, reason })?;
        let read = |der| Certificate::from_der(der).map_err(|reason| InputError::Certificate { profile, reason });
        let mut all = ders.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let chain = all.split_off(1.min(all.len()));
        let certificate = all.pop().ok_or(InputError::Count { profile, count: 0 })?;
        let key = PrivateKey::from_pem(&self.key).map_err(|reason| InputError::Key { profile, reason })?;
        Ok(HostCredential { profile, certificate, chain, key: Some(key) })
    }
}

impl BundleInput<'_> {
    /// Returns the host's credentials in the table's order, checked against the CAs.
    ///
    /// [`crate::pki::lint`] checks the names and the validity of the certificates.
    pub(super) fn checked(&self) -> Result<Vec<&HostCredential>, InputError> {
        let has = |profile: &Profile| self.cluster.has_profile(*profile);
        let wanted: Vec<Profile> = self.roles.profiles().filter(has).collect();
        for (i, credential) in self.credentials.iter().enumerate() {
            let twice = self.credentials[..i].iter().any(|earlier| earlier.profile == credential.profile);
            if twice || !wanted.contains(&credential.profile) {
                return Err(InputError::NotTheHosts { profile: credential.profile });
            }
        }
        let find = |profile: Profile| {
            let found = self.credentials.iter().find(|credential| credential.profile == profile);
            found.ok_or(InputError::Missing { profile })
        };
        wanted.into_iter().map(|profile| check(find(profile)?, self.cas.of(profile.policy().signed_by))).collect()
    }

    /// Returns the key that signs service account tokens, where the host is a master.
    pub(super) fn checked_service_account(&self) -> Result<Option<ServiceAccountKey>, InputError> {
        match (self.roles.master(), self.service_account) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(InputError::ServiceAccountOfANode),
            (Some(_), None) => Err(InputError::NoServiceAccount),
            (Some(_), Some(pem)) => ServiceAccountKey::from_pem(pem).map(Some).map_err(InputError::ServiceAccount),
        }
    }
}

/// Checks that a credential may go into a bundle whose trust file holds the roots of `trust`.
pub(super) fn check<'a>(held: &'a HostCredential, trust: &TrustBundle) -> Result<&'a HostCredential, InputError> {
    let HostCredential { profile, certificate, chain, key } = held;
    let profile = *profile;
    if certificate.basic_constraints.is_some_and(|constraints| constraints.ca) {
        return Err(InputError::IsCa { profile });
    }
    let ca = trust.ca_of(certificate);
    let same_key_id = certificate.authority_key_id == ca.certificate().subject_key_id;
    if certificate.issuer.der != ca.certificate().subject.der || !same_key_id {
        return Err(InputError::OtherRoot { profile, issuer: certificate.issuer.text.clone() });
    }
    if chain != ca.chain() {
        return Err(InputError::Count { profile, count: 1 + chain.len() });
    }
    if key.as_ref().is_some_and(|key| key.spki() != certificate.spki) {
        return Err(InputError::KeyDoesNotFit { profile });
    }
    Ok(held)
}
