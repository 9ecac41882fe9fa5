//! Signed cluster records: the endpoints of a cluster, and the roots to trust. Bootstrap endpoints give them to hosts.
//!
//! A cluster's id is the pin of a root. A record is signed by an announcer whose certificate leads to that root, or to one that
//! replaces it by a handover in the record. So the endpoint, its operator, and anyone on the network can withhold a record, and
//! cannot forge one.

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::handover::{self, Handover};
use super::record_rotation::{RecordRotation, RotationFields};
use crate::cluster::account::AccountScheme;
use crate::cluster::duration::stamp;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::name::ClusterName;
pub use crate::cluster::profile::ANNOUNCERS;
use crate::pki::certificate::Certificate;
use crate::pki::chain::{Purpose, ViolationKind, best_path};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::pki::public_key::PublicKey;
use crate::pki::signing_key::{SigningError, SigningKey};

/// The largest signed record, in bytes.
pub const MAX_RECORD: usize = 64 * 1024;
/// How far in the future the time of a record may be, by the clock of the host.
pub const SKEW: Duration = Duration::minutes(5);
/// The largest number of roots, of enrolment endpoints, and of certificates in the announcer's chain.
const MOST: usize = 8;
/// Precedes the signed bytes, so that a signature made for other purposes is not accepted.
const CONTEXT: &[u8] = b"clusterctl-record 1\n";
const API_VERSION: &str = "clusterctl/v1";
const KIND: &str = "ClusterRecord";

/// The record of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The cluster's id: the pin of one of `roots`, or of a root that was replaced.
    pub id: Fingerprint,
    /// The cluster's name.
    pub name: ClusterName,
    /// The endpoint of the API servers.
    pub endpoint: Endpoint,
    /// The enrolment endpoints, in the order in which a host tries them.
    pub enrolment: Vec<Endpoint>,
    /// The naming scheme of kubelets' accounts.
    pub accounts: AccountScheme,
    /// The roots that hosts trust; two during a rotation.
    pub roots: Vec<Certificate>,
    /// The rotation that is under way.
    pub rotation: Option<RecordRotation>,
    /// The number of the record, which grows.
    pub seq: u64,
    /// The time at which it was signed.
    pub issued: OffsetDateTime,
    /// The end of its validity.
    pub expires: OffsetDateTime,
}

/// The signed fields.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    id: String,
    name: String,
    endpoint: String,
    enrolment: Vec<String>,
    accounts: String,
    roots: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationFields>,
    seq: u64,
    issued: String,
    expires: String,
}

/// A record as it is sent and stored: the signed bytes, the signature, and the announcer's chain.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope {
    api_version: String,
    kind: String,
    /// Base64 of the fields as JSON.
    record: String,
    /// Base64 of the signature.
    signature: String,
    /// The announcer's certificate, PEM, and the intermediates above it.
    chain: Vec<String>,
    /// The handovers from earlier roots, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    handovers: Vec<Handover>,
}

/// A record that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRecord {
    /// The record.
    pub record: Record,
    /// The pin of the newest root of the record to which handovers lead from the known pin. Hosts that know this pin need no
    /// handover.
    pub newest: Fingerprint,
}

/// Errors of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is larger than [`MAX_RECORD`].
    #[error("it has {0} bytes, at most {MAX_RECORD} are read")]
    TooLarge(usize),
    /// It is not a record.
    #[error("it is not a cluster's record: {0}")]
    Malformed(String),
    /// It is the record of another cluster.
    #[error("it is the record of another cluster, {0}")]
    OtherCluster(Fingerprint),
    /// None of its roots has the pin, or is reached from it by handovers.
    #[error("none of its roots has the pin {0}, or replaces one that has")]
    NoRoot(Fingerprint),
    /// The announcer's certificate does not lead to the root.
    #[error("the certificate of its announcer is not valid under this root: {0}")]
    Chain(String),
    /// The announcer's certificate, or one above it, is not valid at this time.
    #[error(
        "the certificate of its announcer is valid from {} until {}, and it is {} here",
        stamp(*.not_before), stamp(*.not_after), stamp(*.now)
    )]
    Dates {
        /// The time from which the whole path is valid.
        not_before: OffsetDateTime,
        /// The time until which the whole path is valid.
        not_after: OffsetDateTime,
        /// The time.
        now: OffsetDateTime,
    },
    /// The certificate is not an announcer's.
    #[error("the certificate that signed it is for {0:?}, which is not in the group of announcers")]
    NotAnAnnouncer(String),
    /// The signature is not the announcer's.
    #[error("it was changed after it was signed, or another key signed it")]
    Signature,
    /// It has expired.
    #[error("it expired at {}, and it is {} here", stamp(*.expires), stamp(*.now))]
    Expired {
        /// The end of its validity.
        expires: OffsetDateTime,
        /// The time.
        now: OffsetDateTime,
    },
    /// It was signed in the future.
    #[error("it was signed at {}, and it is only {} here", stamp(*.issued), stamp(*.now))]
    Early {
        /// The time at which it was signed.
        issued: OffsetDateTime,
        /// The time.
        now: OffsetDateTime,
    },
    /// It is older than one that is known.
    #[error("it is an old record: its number is {found}, and {known} was seen before")]
    Stale {
        /// The known number.
        known: u64,
        /// Its number.
        found: u64,
    },
}

impl Record {
    /// Signs the record, and returns it as it is sent.
    ///
    /// # Errors
    /// Returns an error if the key cannot sign.
    pub fn sign(
        &self,
        key: &dyn SigningKey,
        chain: &[Certificate],
        handovers: &[Handover],
    ) -> Result<String, SigningError> {
        let fields = serde_json::to_string(&self.fields()).map_err(|_| SigningError::Failed)?;
        let signature = key.sign(&[CONTEXT, fields.as_bytes()].concat())?;
        let envelope = Envelope {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            record: Base64::encode_string(fields.as_bytes()),
            signature: Base64::encode_string(&signature),
            chain: chain.iter().map(Certificate::to_pem).collect(),
            handovers: handovers.to_vec(),
        };
        let mut text = serde_json::to_string_pretty(&envelope).map_err(|_| SigningError::Failed)?;
        text.push('\n');
        Ok(text)
    }

    fn fields(&self) -> Fields {
        Fields {
            id: self.id.as_pin(),
            name: self.name.to_string(),
            endpoint: self.endpoint.to_string(),
            enrolment: self.enrolment.iter().map(ToString::to_string).collect(),
            accounts: self.accounts.as_str().to_owned(),
            roots: self.roots.iter().map(Certificate::to_pem).collect(),
            rotation: self.rotation.as_ref().map(RecordRotation::fields),
            seq: self.seq,
            issued: stamp(self.issued),
            expires: stamp(self.expires),
        }
    }

    /// Reads the record of the cluster `id`, and verifies it: the pin, the announcer's chain and signature, and the dates.
    ///
    /// # Errors
    /// Returns the first reason why it is not accepted.
    pub fn verify(bytes: &[u8], id: Fingerprint, now: OffsetDateTime) -> Result<Self, RecordError> {
        Self::verify_from(bytes, id, id, now).map(|verified| verified.record)
    }

    /// Like [`Self::verify`], for a host that knows the pin `known`: that of the id, or that of a root that replaced it.
    ///
    /// # Errors
    /// Returns the first reason why it is not accepted.
    pub fn verify_from(
        bytes: &[u8],
        id: Fingerprint,
        known: Fingerprint,
        now: OffsetDateTime,
    ) -> Result<VerifiedRecord, RecordError> {
        let (record, signed, envelope) = Self::read(bytes)?;
        if record.id != id {
            return Err(RecordError::OtherCluster(record.id));
        }
        let anchors = handover::reached(known, &record.roots, &envelope.handovers, now);
        let newest = anchors.iter().rev().find(|root| record.roots.contains(root));
        let newest = newest.ok_or(RecordError::NoRoot(known))?.spki_fingerprint();
        let chain = certificates(&envelope.chain)?;
        let (leaf, others) = chain.split_first().ok_or_else(|| RecordError::Chain("there is none".to_owned()))?;
        let path = best_path(leaf, others, &anchors, Purpose::Client, now)
            .map_err(|error| RecordError::Chain(error.to_string()))?;
        if let Some(violation) = path.violations.iter().find(|violation| violation.kind != ViolationKind::Dates) {
            return Err(RecordError::Chain(violation.reason.clone()));
        }
        let account = leaf.account();
        if account.group.as_deref() != Some(ANNOUNCERS) || path.is_anchored_in_leaf() {
            return Err(RecordError::NotAnAnnouncer(account.user));
        }
        let signature = Base64::decode_vec(&envelope.signature).map_err(|_| RecordError::Signature)?;
        let key = PublicKey::read(&leaf.spki).map_err(|_| RecordError::Signature)?;
        if !key.verifies(&[CONTEXT, &signed].concat(), &signature) {
            return Err(RecordError::Signature);
        }
        // Last: only if the signature is valid may wrong dates be due to a clock.
        if !path.violations.is_empty() {
            let not_before = path.certificates().map(|one| one.not_before).fold(OffsetDateTime::UNIX_EPOCH, Ord::max);
            let not_after = path.certificates().map(|one| one.not_after).fold(leaf.not_after, Ord::min);
            return Err(RecordError::Dates { not_before, not_after, now });
        }
        if record.issued > now + SKEW {
            return Err(RecordError::Early { issued: record.issued, now });
        }
        if record.expires <= now {
            return Err(RecordError::Expired { expires: record.expires, now });
        }
        Ok(VerifiedRecord { record, newest })
    }

    /// Reads a record and verifies it as of the time of its signature, so that it may have expired since; `None` if it is not
    /// valid.
    #[must_use]
    pub fn known(bytes: &[u8], id: Fingerprint) -> Option<Self> {
        Self::known_from(bytes, id, id)
    }

    /// Like [`Self::known`], for a host that knows the pin `known`.
    #[must_use]
    pub fn known_from(bytes: &[u8], id: Fingerprint, known: Fingerprint) -> Option<Self> {
        let (record, ..) = Self::read(bytes).ok()?;
        Self::verify_from(bytes, id, known, record.issued).ok().map(|verified| verified.record)
    }

    /// Checks that this record is not older than the known one.
    ///
    /// # Errors
    /// Returns [`RecordError::Stale`].
    pub fn check_sequence(&self, known: Option<u64>) -> Result<(), RecordError> {
        match known {
            Some(known) if self.seq < known => Err(RecordError::Stale { known, found: self.seq }),
            _ => Ok(()),
        }
    }

    /// Reads a record without any verification: its fields, the signed bytes, and the envelope.
    fn read(bytes: &[u8]) -> Result<(Self, Vec<u8>, Envelope), RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLarge(bytes.len()));
        }
        let malformed = |what: &str| RecordError::Malformed(what.to_owned());
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_| malformed("it is not its JSON"))?;
        if envelope.api_version != API_VERSION || envelope.kind != KIND {
            return Err(malformed("it has another kind or version"));
        }
        let signed = Base64::decode_vec(&envelope.record).map_err(|_| malformed("its record is not base64"))?;
        let fields: Fields = serde_json::from_slice(&signed).map_err(|_| malformed("its record is not JSON"))?;
        let id = fields.id.strip_prefix("sha256:").and_then(Fingerprint::parse).ok_or_else(|| malformed("id"))?;
        let endpoint = |text: &String| Endpoint::parse(text).map_err(|_| malformed("an endpoint"));
        if fields.roots.len() > MOST || fields.enrolment.len() > MOST || fields.enrolment.is_empty() {
            return Err(malformed("the number of roots or endpoints"));
        }
        let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).map_err(|_| malformed("a time"));
        let accounts = AccountScheme::ALL.into_iter().find(|scheme| scheme.as_str() == fields.accounts);
        let record = Self {
            id,
            name: ClusterName::parse(&fields.name).map_err(|_| malformed("name"))?,
            endpoint: endpoint(&fields.endpoint)?,
            enrolment: fields.enrolment.iter().map(endpoint).collect::<Result<_, _>>()?,
            accounts: accounts.ok_or_else(|| malformed("accounts"))?,
            roots: certificates(&fields.roots)?,
            rotation: fields.rotation.map(|one| one.parse().ok_or_else(|| malformed("rotation"))).transpose()?,
            seq: fields.seq,
            issued: time(&fields.issued)?,
            expires: time(&fields.expires)?,
        };
        Ok((record, signed, envelope))
    }
}

/// Returns the message that a registration token signs to register a cluster.
#[must_use]
pub fn registration_message(id: Fingerprint, body: &[u8]) -> Vec<u8> {
    [b"clusterctl-registration 1\n", id.as_pin().as_bytes(), b"\n", body].concat()
}

/// Reads a list of certificates, one PEM text each.
fn certificates(texts: &[String]) -> Result<Vec<Certificate>, RecordError> {
    let malformed = || RecordError::Malformed("a certificate".to_owned());
    let read = |text: &String| {
        let mut ders = pem::certificates(text.as_bytes()).map_err(|_| malformed())?.into_iter();
        let (Some(der), None) = (ders.next(), ders.next()) else { return Err(malformed()) };
        Certificate::from_der(der).map_err(|_| malformed())
    };
    if texts.len() > MOST { Err(malformed()) } else { texts.iter().map(read).collect() }
}
