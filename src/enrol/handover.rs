//! Handovers: signed statements that one root replaces another.
//!
//! A rotation of the cluster's CA makes one, so that hosts that were off during the rotation can get from the id that they know to
//! the new root. It is signed with a certificate of the old CA whose key is deleted at the end of the rotation.

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cluster::profile::CANARY;
use crate::pki::certificate::Certificate;
use crate::pki::chain::{Purpose, best_path};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::pki::public_key::PublicKey;
use crate::pki::signing_key::{SigningError, SigningKey};

/// The largest number of handovers in a list, and of certificates in a chain.
pub const MOST: usize = 8;
/// Precedes the signed bytes, so that a signature made for other purposes is not accepted.
const CONTEXT: &[u8] = b"clusterctl-handover 1\n";

/// A signed statement that a new root replaces an old one, as it is in files and records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Handover {
    /// Base64 of the two roots as JSON.
    statement: String,
    /// Base64 of the signature.
    signature: String,
    /// The certificate that signed it, PEM, and the intermediates above it.
    chain: Vec<String>,
}

/// The signed fields.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Statement {
    /// The old root, PEM.
    old: String,
    /// The new one.
    new: String,
}

/// The roots of a verified handover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// The root that is replaced.
    pub old: Certificate,
    /// The root that replaces it.
    pub new: Certificate,
}

/// Errors of a handover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// It is not a handover.
    #[error("it is not a handover")]
    Malformed,
    /// The certificate that signed it does not lead to the old root.
    #[error("the certificate that signed it is not valid under the old root: {0}")]
    Chain(String),
    /// The certificate that signed it is not that of a rotation.
    #[error("the certificate that signed it is for {0:?}, which may not sign handovers")]
    OtherAccount(String),
    /// The signature is not that of the certificate's key.
    #[error("it was changed after it was signed")]
    Signature,
}

impl Handover {
    /// Signs a handover, with a certificate of the old CA and its key.
    ///
    /// # Errors
    /// Returns an error if the key cannot sign.
    pub fn sign(roots: &HandedOver, key: &dyn SigningKey, chain: &[&Certificate]) -> Result<Self, SigningError> {
        let statement = Statement { old: roots.old.to_pem(), new: roots.new.to_pem() };
        let statement = serde_json::to_string(&statement).map_err(|_| SigningError::Failed)?;
        let signature = key.sign(&[CONTEXT, statement.as_bytes()].concat())?;
        Ok(Self {
            statement: Base64::encode_string(statement.as_bytes()),
            signature: Base64::encode_string(&signature),
            chain: chain.iter().map(|certificate| certificate.to_pem()).collect(),
        })
    }

    /// Verifies the chain and the signature, and returns the roots. The caller must check that it trusts the old one.
    ///
    /// # Errors
    /// Returns the first reason why it is not accepted.
    pub fn verify(&self, now: OffsetDateTime) -> Result<HandedOver, HandoverError> {
        let (roots, statement) = self.read()?;
        let chain: Option<Vec<Certificate>> = self.chain.iter().map(|text| certificate(text)).collect();
        let chain = chain.filter(|chain| chain.len() <= MOST).ok_or(HandoverError::Malformed)?;
        let (leaf, others) = chain.split_first().ok_or(HandoverError::Malformed)?;
        let anchors = [roots.old.clone()];
        let path = best_path(leaf, others, &anchors, Purpose::Client, now)
            .map_err(|error| HandoverError::Chain(error.to_string()))?;
        if let Some(violation) = path.violations.first() {
            return Err(HandoverError::Chain(violation.reason.clone()));
        }
        let account = leaf.account();
        if account.user != CANARY || path.is_anchored_in_leaf() {
            return Err(HandoverError::OtherAccount(account.user));
        }
        let signature = Base64::decode_vec(&self.signature).map_err(|_| HandoverError::Signature)?;
        let key = PublicKey::read(&leaf.spki).map_err(|_| HandoverError::Signature)?;
        match key.verifies(&[CONTEXT, &statement].concat(), &signature) {
            true => Ok(roots),
            false => Err(HandoverError::Signature),
        }
    }

    /// Returns the roots without verifying anything.
    ///
    /// # Errors
    /// Returns [`HandoverError::Malformed`].
    pub fn unverified(&self) -> Result<HandedOver, HandoverError> {
        Ok(self.read()?.0)
    }

    fn read(&self) -> Result<(HandedOver, Vec<u8>), HandoverError> {
        let bytes = Base64::decode_vec(&self.statement).map_err(|_| HandoverError::Malformed)?;
        let statement: Statement = serde_json::from_slice(&bytes).map_err(|_| HandoverError::Malformed)?;
        let roots = certificate(&statement.old).zip(certificate(&statement.new));
        let (old, new) = roots.ok_or(HandoverError::Malformed)?;
        Ok((HandedOver { old, new }, bytes))
    }
}

/// Returns the roots that a host may trust that knows the pin `known`: those of `given` with this pin, then those to which valid
/// handovers lead, the newest last. Handovers that cannot be verified are ignored.
#[must_use]
pub fn reached(
    known: Fingerprint,
    given: &[Certificate],
    handovers: &[Handover],
    now: OffsetDateTime,
) -> Vec<Certificate> {
    let mut roots: Vec<Certificate> = given.iter().filter(|root| root.spki_fingerprint() == known).cloned().collect();
    let mut pins = vec![known];
    for handed in handovers.iter().take(MOST).filter_map(|handover| handover.verify(now).ok()) {
        if !pins.contains(&handed.old.spki_fingerprint()) {
            continue;
        }
        pins.push(handed.new.spki_fingerprint());
        for root in [handed.old, handed.new] {
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
    }
    roots
}

fn certificate(text: &str) -> Option<Certificate> {
    let mut ders = pem::certificates(text.as_bytes()).ok()?.into_iter();
    let (Some(der), None) = (ders.next(), ders.next()) else { return None };
    Certificate::from_der(der).ok()
}
