//! The CAs of one role: the active one, which signs, those that are only trusted, and those that are retired.

use super::ca_certificate::CaCertificate;
use super::certificate::Certificate;
use super::fingerprint::Fingerprint;
use super::rotation::{Phase, Rotation};
use crate::cluster::profile::{CaRole, CertificateSpec};

/// The state of a CA of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaState {
    /// It signs; its root is in the trust files.
    Active,
    /// It does not sign any more, or not yet. Its root is in the trust files.
    Trusted,
    /// It was made to replace the active one. Its root is not in the trust files yet.
    Prepared,
    /// Its root is not in the trust files, so its certificates are rejected.
    Retired,
}

impl CaState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Active, Self::Trusted, Self::Prepared, Self::Retired];

    /// Returns the states of the old and of the new CA in a phase of a rotation.
    #[must_use]
    pub fn in_phase(phase: Phase) -> (Self, Self) {
        match phase {
            Phase::Prepare => (Self::Active, Self::Prepared),
            Phase::TrustBoth => (Self::Active, Self::Trusted),
            Phase::Canary | Phase::Servers | Phase::Clients => (Self::Trusted, Self::Active),
            Phase::DropOld => (Self::Retired, Self::Active),
        }
    }

    /// Returns true if the root is in the trust files.
    #[must_use]
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Active | Self::Trusted)
    }

    /// Returns the state as files name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Trusted => "trusted",
            Self::Prepared => "prepared",
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
    /// The states of the CAs are not those of the rotation's phase.
    #[error("the states of the CAs are not those of the phase {} of the rotation", .0.as_str())]
    OtherPhase(Phase),
}

/// The CAs of one role, of which exactly one is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    active: CaCertificate,
    /// The other CAs, none of which is active, in the order in which they are stored.
    others: Vec<(CaCertificate, CaState)>,
    rotation: Option<Rotation>,
}

impl TrustBundle {
    /// Creates the bundle of a single, active CA.
    #[must_use]
    pub fn single(active: CaCertificate) -> Self {
        Self { active, others: Vec::new(), rotation: None }
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
            (Some((active, _)), 1) => Ok(Self { active, others, rotation: None }),
            _ => Err(TrustBundleError::Active(count)),
        }
    }

    /// Adds the rotation that is under way.
    ///
    /// # Errors
    /// Returns an error if the states of the old and the new CA are not those of the phase.
    pub fn rotating(self, rotation: Rotation) -> Result<Self, TrustBundleError> {
        let (old, new) = CaState::in_phase(rotation.phase);
        let state = |fingerprint| self.find(fingerprint).map(|(_, state)| state);
        if rotation.old == rotation.new || state(rotation.old) != Some(old) || state(rotation.new) != Some(new) {
            return Err(TrustBundleError::OtherPhase(rotation.phase));
        }
        Ok(Self { rotation: Some(rotation), ..self })
    }

    /// Returns the bundle with other states of the old and the new CA, and without a rotation.
    ///
    /// The other CAs keep their states, and all keep their order.
    ///
    /// # Errors
    /// Returns an error if not exactly one CA would be active.
    pub fn with_states(
        &self,
        (old, new): (Fingerprint, Fingerprint),
        (state_of_old, state_of_new): (CaState, CaState),
    ) -> Result<Self, TrustBundleError> {
        let moved = self.all().map(|(ca, state)| {
            let fingerprint = ca.certificate().fingerprint();
            let state = match fingerprint {
                one if one == old => state_of_old,
                one if one == new => state_of_new,
                _ => state,
            };
            (ca.clone(), state)
        });
        Self::new(self.role(), moved.collect())
    }

    /// Returns the rotation that is under way.
    #[must_use]
    pub fn rotation(&self) -> Option<&Rotation> {
        self.rotation.as_ref()
    }

    /// Returns the CA that a rotation replaces, once the new one signs: it still signs its own CRL.
    #[must_use]
    pub fn outgoing(&self) -> Option<&CaCertificate> {
        let rotation = self.rotation.as_ref().filter(|rotation| rotation.phase.new_ca_signs())?;
        self.find(rotation.old).map(|(ca, _)| ca)
    }

    /// Returns true for the CAs that sign their CRLs: the active one, and the one that a rotation replaces.
    #[must_use]
    pub fn signs_crl_of(&self, ca: Fingerprint) -> bool {
        let is_meant = |one: &CaCertificate| one.certificate().fingerprint() == ca;
        is_meant(&self.active) || self.outgoing().is_some_and(is_meant)
    }

    /// Returns true for a CA that signs nothing and is trusted for what it signed before, outside of a rotation.
    #[must_use]
    pub fn is_only_trusted(&self, ca: &CaCertificate) -> bool {
        self.rotation.is_none() && ca != &self.active
    }

    /// Returns the CA whose certificate has this SHA-256, with its state.
    #[must_use]
    pub fn find(&self, fingerprint: Fingerprint) -> Option<(&CaCertificate, CaState)> {
        self.all().find(|(ca, _)| ca.certificate().fingerprint() == fingerprint)
    }

    /// Returns true if the phase of the rotation requires another certificate in place of this one.
    ///
    /// `sequence` is its sequence number in the ledger.
    #[must_use]
    pub fn replaces(&self, spec: &CertificateSpec, certificate: &Certificate, sequence: Option<u64>) -> bool {
        self.rotation.as_ref().is_some_and(|rotation| {
            let is_new = self.ca_of(certificate).certificate().fingerprint() == rotation.new;
            rotation.replaces(spec, is_new, sequence)
        })
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
        self.all().filter(|(_, state)| state.is_accepted()).map(|(ca, _)| ca)
    }

    /// Returns the fingerprints of the CAs whose certificates are not accepted.
    pub fn untrusted(&self) -> impl Iterator<Item = Fingerprint> {
        self.all().filter(|(_, state)| !state.is_accepted()).map(|(ca, _)| ca.certificate().fingerprint())
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

    /// Returns the trust anchors in the order of trust files, each once: as [`Self::anchors`], but the old root of a rotation
    /// first, until it is dropped.
    ///
    /// So a phase in which another CA signs, and the same roots are trusted, leaves the files as they are. Programs that read
    /// them only when they start do not have to be restarted.
    #[must_use]
    pub fn anchors_of_files(&self) -> Vec<&Certificate> {
        let old = self.rotation.as_ref().and_then(|rotation| self.find(rotation.old)).map(|(ca, _)| ca.root());
        let mut anchors = self.anchors();
        anchors.sort_by_key(|anchor| Some(*anchor) != old);
        anchors
    }

    /// Returns the trust anchors of accounts' kubeconfigs: those of trust files, but without the old root of a rotation as soon as all
    /// servers present certificates of the new one.
    ///
    /// No later step replaces the kubeconfig when the rotation ends, so it would trust the old root for as long as it is used.
    #[must_use]
    pub fn anchors_of_accounts(&self) -> Vec<&Certificate> {
        let over = self.rotation.as_ref().filter(|rotation| rotation.phase >= Phase::Clients);
        let old = over.and_then(|rotation| self.find(rotation.old)).map(|(ca, _)| ca.root());
        let old = old.filter(|old| *old != self.active.root());
        self.anchors_of_files().into_iter().filter(|anchor| Some(*anchor) != old).collect()
    }

    /// Returns the trust anchors as PEM, which every `ca.crt` contains.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.anchors_of_files().into_iter().map(Certificate::to_pem).collect()
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

    /// Returns a digest of the CAs, their states and the phase of a rotation, by which caches detect a change.
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        let parts = self.all().map(|(ca, state)| format!("{} {}\n", ca.certificate().fingerprint(), state.as_str()));
        let mut text: String = parts.collect();
        if let Some(Rotation { phase, after_sequence, canaries, .. }) = &self.rotation {
            text.push_str(&format!("{} {after_sequence} {}\n", phase.as_str(), canaries.join(",")));
        }
        Fingerprint::of(text.as_bytes())
    }

    /// Returns true if this fingerprint is that of a CA's certificate; the CA may be in any state.
    #[must_use]
    pub fn has(&self, fingerprint: Fingerprint) -> bool {
        self.all().any(|(ca, _)| ca.certificate().fingerprint() == fingerprint)
    }
}
