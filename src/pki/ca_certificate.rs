//! The certificate of a CA with its path to the root: a root that clusterctl generated, an imported root, or an
//! intermediate.

use time::OffsetDateTime;

use super::certificate::{Certificate, PublicKeyKind, SignatureStatus};
use super::lint::{ca_violations, own_root_violations};
use super::signing_key::SignatureAlgorithm;
use super::violation::Violation;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CaRole;

/// The origin of a CA, which determines the rules for its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `init-ca` generated it: a root of clusterctl's own profile, with path length 0.
    Generated,
    /// Another tool created it. Everything that Kubernetes accepts is accepted.
    Imported,
}

impl Origin {
    /// Returns the origin as files name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Imported => "imported",
        }
    }

    /// Reads an origin as files name it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Generated, Self::Imported].into_iter().find(|origin| origin.as_str() == text)
    }
}

/// Errors of parsing the certificates of a CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaCertificateError {
    /// An intermediate's issuer is not among the certificates.
    #[error("the certificate that signed {subject} is missing: {issuer}")]
    NoParent {
        /// The subject of the intermediate.
        subject: String,
        /// The issuer that it names.
        issuer: String,
    },
    /// The root's self-signature is invalid.
    #[error("{0} names itself as its issuer, but its own key did not sign it")]
    NotSelfSigned(String),
    /// A certificate of the path must not sign certificates.
    #[error("{subject} cannot be a CA: {violation}")]
    NotACa {
        /// Its subject.
        subject: String,
        /// The rule that it breaks.
        violation: Violation,
    },
    /// A certificate of the path allows fewer intermediates than follow it.
    #[error("{subject} allows {allowed} intermediates below it, and there are {found}")]
    PathLength {
        /// Its subject.
        subject: String,
        /// Its path length.
        allowed: u32,
        /// The number of intermediates.
        found: usize,
    },
    /// The CA's key is of a kind that clusterctl cannot sign with.
    #[error("its key is {0}; supported are RSA of 2048 to 8192 bits, P-256, P-384 and Ed25519")]
    UnsupportedKey(String),
}

/// The certificate of a CA that signs end-entity certificates, with its path to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificate {
    role: CaRole,
    origin: Origin,
    /// The signing certificate and the intermediates above it; empty if the CA is a root.
    chain: Vec<Certificate>,
    root: Certificate,
}

impl CaCertificate {
    /// Converts a root that `init-ca` generated. Its profile is checked when it signs and when it is audited.
    #[must_use]
    pub fn own_root(role: CaRole, root: Certificate) -> Self {
        Self { role, origin: Origin::Generated, chain: Vec::new(), root }
    }

    /// Builds the path from a CA's certificate over some of `others` to a root, and checks that it may sign.
    ///
    /// Dates are not checked here. A single root of [`Origin::Generated`] is checked by its profile instead.
    ///
    /// # Errors
    /// Returns an error if a signature of the path is missing or wrong, a certificate of it is not a CA, a path length
    /// is too short, or the key is of a kind that cannot sign here.
    pub fn new(
        role: CaRole,
        origin: Origin,
        certificate: Certificate,
        others: &[Certificate],
    ) -> Result<Self, CaCertificateError> {
        let (mut chain, mut top) = (Vec::new(), certificate);
        while !top.is_self_issued() {
            let is_parent = |other: &&Certificate| {
                other.subject.der == top.issuer.der && !chain.contains(*other) && top.is_signed_by(other)
            };
            let Some(parent) = others.iter().find(is_parent) else {
                let (subject, issuer) = (top.subject.text, top.issuer.text);
                return Err(CaCertificateError::NoParent { subject, issuer });
            };
            chain.push(std::mem::replace(&mut top, parent.clone()));
        }
        if top.signed_by(&top) == SignatureStatus::Invalid {
            return Err(CaCertificateError::NotSelfSigned(top.subject.text));
        }
        let ca = Self { role, origin, chain, root: top };
        ca.check_path()?;
        Ok(ca)
    }

    fn check_path(&self) -> Result<(), CaCertificateError> {
        for (below, certificate) in self.path().enumerate() {
            let subject = || certificate.subject.text.clone();
            let violations = ca_violations(certificate, certificate.not_before);
            // A root of version 1 or without basicConstraints is accepted as an anchor, and must not sign anything new.
            if let Some(violation) = violations.into_iter().find(Violation::invalidates_anchor) {
                return Err(CaCertificateError::NotACa { subject: subject(), violation });
            }
            let allowed = certificate.basic_constraints.and_then(|constraints| constraints.path_len);
            if let Some(allowed) = allowed.filter(|allowed| below as u64 > u64::from(*allowed)) {
                return Err(CaCertificateError::PathLength { subject: subject(), allowed, found: below });
            }
        }
        let key = &self.certificate().key;
        let signs = SignatureAlgorithm::of_key(key).is_some();
        let too_short = matches!(key, PublicKeyKind::Rsa(bits) if !(2048..=8192).contains(bits));
        if !signs || too_short {
            return Err(CaCertificateError::UnsupportedKey(key.to_string()));
        }
        Ok(())
    }

    /// Returns the role of the CA.
    #[must_use]
    pub fn role(&self) -> CaRole {
        self.role
    }

    /// Returns the origin of the CA.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns the certificate whose key signs.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        self.chain.first().unwrap_or(&self.root)
    }

    /// Returns the certificates that are sent after an end-entity certificate: all but the root.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Returns the trust anchor.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    /// Returns every certificate from the one that signs to the root.
    pub fn path(&self) -> impl Iterator<Item = &Certificate> {
        self.chain.iter().chain([&self.root])
    }

    /// Returns the time at which the first certificate of the path expires.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.path().map(|certificate| certificate.not_after).min().unwrap_or(self.root.not_after)
    }

    /// Returns a violation if a root that clusterctl generated has another subject than `cluster`'s; an imported CA may
    /// have any subject.
    #[must_use]
    pub fn is_of_another_cluster(&self, cluster: &ClusterName) -> Option<Violation> {
        if self.origin == Origin::Imported {
            return None;
        }
        let (found, wanted) = (self.root.account(), self.role.subject(cluster));
        self.role.number_of(cluster, &found).is_none().then_some(Violation::OtherAccount { found, wanted })
    }

    /// Returns the rules that keep the CA from signing at `now`.
    ///
    /// A root that clusterctl generated must match its profile. For other certificates, only violations count for which
    /// Kubernetes rejects them.
    #[must_use]
    pub fn violations(&self, now: OffsetDateTime) -> Vec<Violation> {
        if self.origin == Origin::Generated && self.chain.is_empty() {
            return own_root_violations(&self.root, now);
        }
        self.path()
            .flat_map(|certificate| ca_violations(certificate, now))
            .filter(Violation::invalidates_anchor)
            .collect()
    }
}
