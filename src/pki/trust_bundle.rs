//! The CAs of one role: the active one, which signs, those that are only trusted, and those that are retired.

use super::ca_certificate::CaCertificate;
use super::certificate::Certificate;
use super::fingerprint::Fingerprint;
use crate::cluster::profile::CaRole;

/// The state of a CA of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaState {
    /// It signs; its root is in the trust files.
    Active,
    /// It does not sign any more, or not yet. Its root is in the trust files.
    Trusted,
    /// Its root is not in the trust files, so its certificates are rejected.
    Retired,
}

impl CaState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Active, Self::Trusted, Self::Retired];

    /// Returns the state as files name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Trusted => "trusted",
            Self::Retired => "retired",
        }
    }

    /// Reads a state as files name it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Errors of assembling a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustBundleError {
    /// Not exactly one of them is active.
    #[error("{0} CAs are active; it must be one")]
    Active(usize),
    /// One of them is of another role.
    #[error("{0} is the CA of another role")]
    OtherRole(String),
    /// One of them is duplicated.
    #[error("{0} is duplicated")]
    Twice(String),
}

/// The CAs of one role, of which exactly one is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    active: CaCertificate,
    /// The other CAs, none of which is active, in the order in which they are stored.
    others: Vec<(CaCertificate, CaState)>,
}

impl TrustBundle {
    /// Creates the bundle of a single, active CA.
    #[must_use]
    pub fn single(active: CaCertificate) -> Self {
        Self { active, others: Vec::new() }
    }

    /// Creates the bundle of several CAs.
    ///
    /// # Errors
    /// Returns an error if not exactly one is active, one is of another role, or one is duplicated.
    pub fn new(role: CaRole, cas: Vec<(CaCertificate, CaState)>) -> Result<Self, TrustBundleError> {
        let subject = |ca: &CaCertificate| ca.certificate().subject.text.clone();
        if let Some((other, _)) = cas.iter().find(|(ca, _)| ca.role() != role) {
            return Err(TrustBundleError::OtherRole(subject(other)));
        }
        for (i, (ca, _)) in cas.iter().enumerate() {
            if cas[..i].iter().any(|(earlier, _)| earlier.certificate() == ca.certificate()) {
                return Err(TrustBundleError::Twice(subject(ca)));
            }
        }
        let (mut active, others): (Vec<_>, Vec<_>) = cas.into_iter().partition(|(_, state)| *state == CaState::Active);
        let count = active.len();
        match (active.pop(), count) {
            (Some((active, _)), 1) => Ok(Self { active, others }),
            _ => Err(TrustBundleError::Active(count)),
        }
    }

    /// Returns the role.
    #[must_use]
    pub fn role(&self) -> CaRole {
        self.active.role()
    }

    /// Returns the CA that signs.
    #[must_use]
    pub fn active(&self) -> &CaCertificate {
        &self.active
    }

    /// Returns the active CA by value.
    #[must_use]
    pub fn into_active(self) -> CaCertificate {
        self.active
    }

    /// Returns every CA with its state, the active one first.
    pub fn all(&self) -> impl Iterator<Item = (&CaCertificate, CaState)> {
        let others = self.others.iter().map(|(ca, state)| (ca, *state));
        [(&self.active, CaState::Active)].into_iter().chain(others)
    }

    /// Returns the CAs whose certificates are accepted, the active one first.
    pub fn accepted(&self) -> impl Iterator<Item = &CaCertificate> {
        self.all().filter(|(_, state)| *state != CaState::Retired).map(|(ca, _)| ca)
    }

    /// Returns the trust anchors, each once: the active CA's root first.
    #[must_use]
    pub fn anchors(&self) -> Vec<&Certificate> {
        let mut anchors: Vec<&Certificate> = Vec::new();
        for ca in self.accepted() {
            if !anchors.contains(&ca.root()) {
                anchors.push(ca.root());
            }
        }
        anchors
    }

    /// Returns the trust anchors as PEM, which every `ca.crt` and kubeconfig contains.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.anchors().into_iter().map(Certificate::to_pem).collect()
    }

    /// Returns the pin of the active CA's root: SHA-256 of its SubjectPublicKeyInfo.
    #[must_use]
    pub fn pin(&self) -> Fingerprint {
        self.active.root().spki_fingerprint()
    }

    /// Returns the pins of all trust anchors, the active CA's first.
    #[must_use]
    pub fn pins(&self) -> Vec<Fingerprint> {
        self.anchors().into_iter().map(Certificate::spki_fingerprint).collect()
    }

    /// Returns the accepted CA against which a certificate is checked: the one that it names as its issuer, or else the
    /// active CA.
    ///
    /// The signature is not verified here, because that is a part of the check.
    #[must_use]
    pub fn ca_of(&self, certificate: &Certificate) -> &CaCertificate {
        let names = |ca: &&CaCertificate| ca.certificate().subject.der == certificate.issuer.der;
        let key_id = &certificate.authority_key_id;
        let is_meant = |ca: &&CaCertificate| names(ca) && ca.certificate().subject_key_id == *key_id;
        self.accepted().find(is_meant).or_else(|| self.accepted().find(names)).unwrap_or(&self.active)
    }

    /// Returns the CA whose key signed a certificate; the CA may be in any state.
    #[must_use]
    pub fn signer_of(&self, certificate: &Certificate) -> Option<&CaCertificate> {
        self.all().map(|(ca, _)| ca).find(|ca| certificate.is_signed_by(ca.certificate()))
    }

    /// Returns a digest of the CAs and their states, by which caches detect a change.
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        let parts = self.all().map(|(ca, state)| format!("{} {}\n", ca.certificate().fingerprint(), state.as_str()));
        Fingerprint::of(parts.collect::<String>().as_bytes())
    }

    /// Returns true if this fingerprint is that of a CA's certificate; the CA may be in any state.
    #[must_use]
    pub fn has(&self, fingerprint: Fingerprint) -> bool {
        self.all().any(|(ca, _)| ca.certificate().fingerprint() == fingerprint)
    }
}
