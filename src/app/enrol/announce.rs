//! Registers a cluster at a bootstrap endpoint, and sends signed records of it to bootstrap endpoints.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

pub use super::announce_error::AnnounceError;
use super::join::record_path;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::input;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;
use crate::config::kubeconfig::{self, Credential};
use crate::enrol::handover::Handover;
use crate::enrol::record::{ANNOUNCERS, MAX_RECORD, Record, registration_message};
use crate::enrol::record_rotation::RecordRotation;
use crate::enrol::token::Token;
use crate::https::{Answer, Client, ClientOptions, Request, Trust};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::pki::local_key::LocalKey;
use crate::pki::pem;
use crate::pki::rotation::Phase;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::handovers;

/// The header with the id of a registration token.
pub const TOKEN_HEADER: &str = "x-clusterctl-token";
/// The header with the signature by a registration token.
pub const SIGNATURE_HEADER: &str = "x-clusterctl-signature";
/// The time limit of a request.
const LIMIT: Duration = Duration::from_secs(15);
/// The HTTP status with which an endpoint responds if the cluster is not registered there.
const NOT_FOUND: u16 = 404;
/// The largest kubeconfig, certificate or key, in bytes.
const MAX_KUBECONFIG: u64 = 1 << 20;

/// The result of registering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterReport {
    /// The cluster's id.
    pub id: Fingerprint,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Registers the cluster at a bootstrap endpoint. The token's secret signs the registration, and is not sent.
///
/// # Errors
/// Returns an error if there is no CA, or the endpoint cannot be reached or refuses.
pub fn register(endpoint: &Endpoint, token: &Token, cluster: &Cluster, env: &Env) -> Result<RegisterReport, Error> {
    let trust = directory::cluster_ca(&env.layout, cluster)?;
    let id = registered_id(&trust);
    let body = json!({"name": cluster.name.as_str(), "roots": trust.to_pem()}).to_string();
    let signature = token.secret.sign(&registration_message(id, body.as_bytes())).map_err(AnnounceError::Token)?;
    let signature = Base64::encode_string(&signature);
    let url = format!("{endpoint}{}/registration", record_path(id));
    let headers = [(TOKEN_HEADER, token.id.as_str()), (SIGNATURE_HEADER, signature.as_str())];
    let request = Request {
        method: "PUT",
        url: &url,
        body: Some(("application/json", body.as_bytes())),
        headers: &headers,
        limit: MAX_RECORD,
    };
    let answer = client(env.now)?.send(&request).map_err(AnnounceError::from)?;
    check_accepted(endpoint, &answer)?;
    Ok(RegisterReport { id, endpoint: endpoint.clone() })
}

/// Returns the id by which bootstrap endpoints know the cluster: the pin of its root. Until a rotation has ended, it is the pin of
/// the old root.
fn registered_id(trust: &TrustBundle) -> Fingerprint {
    let old = trust.rotation().and_then(|rotation| trust.find(rotation.old));
    old.map_or_else(|| trust.pin(), |(ca, _)| ca.root().spki_fingerprint())
}

/// Returns the ids by which hosts may know the cluster: the current one, and those from which valid handovers lead to it.
fn ids(trust: &TrustBundle, handovers: &[Handover], now: OffsetDateTime) -> Vec<Fingerprint> {
    let mut ids = vec![registered_id(trust)];
    for handed in handovers.iter().rev().filter_map(|handover| handover.verify(now).ok()) {
        let (old, new) = (handed.old.spki_fingerprint(), handed.new.spki_fingerprint());
        if ids.contains(&new) && !ids.contains(&old) {
            ids.push(old);
        }
    }
    ids
}

/// The options of announcing.
#[derive(Debug, Clone)]
pub struct AnnounceOptions {
    /// The bootstrap endpoints.
    pub bootstrap: Vec<Endpoint>,
    /// The enrolment endpoints.
    pub enrolment: Vec<Endpoint>,
    /// The kubeconfig with the announcer's certificate and key.
    pub kubeconfig: PathBuf,
    /// The validity of the record.
    pub validity: Lifetime,
}

/// The result of announcing.
#[derive(Debug, Clone)]
pub struct AnnounceReport {
    /// The record.
    pub record: Record,
    /// The endpoints that accepted it.
    pub accepted: Vec<Endpoint>,
}

/// Signs a record of the cluster with the announcer's key, and sends it to the bootstrap endpoints.
///
/// Its number is greater than those of the records at the endpoints. An endpoint at which the cluster is registered by the
/// id of an earlier root gets a record with that id, with the handovers to the present root.
///
/// # Errors
/// Returns an error if the announcer's credential cannot be used, or an endpoint cannot be reached or refuses.
pub fn announce(options: &AnnounceOptions, cluster: &Cluster, env: &Env) -> Result<AnnounceReport, Error> {
    let trust = directory::cluster_ca(&env.layout, cluster)?;
    if options.bootstrap.is_empty() {
        return Err(AnnounceError::NoEndpoint.into());
    }
    if options.enrolment.is_empty() {
        return Err(AnnounceError::NoEnrolment.into());
    }
    let (chain, key) = credential(&options.kubeconfig)?;
    let client = client(env.now)?;
    let mut handovers = handovers::read(&env.layout)?;
    let rotation = trust.rotation();
    // In this phase hosts do not have the new root yet, so the record has no handover to it.
    if let Some(rotation) = rotation.filter(|rotation| rotation.phase == Phase::Prepare) {
        handovers.retain(|one| one.unverified().is_ok_and(|found| found.new.fingerprint() != rotation.new));
    }
    let ids = ids(&trust, &handovers, env.now);
    let record = Record {
        id: registered_id(&trust),
        name: cluster.name.clone(),
        endpoint: cluster.endpoint.clone(),
        enrolment: options.enrolment.clone(),
        accounts: cluster.accounts,
        roots: trust.anchors().into_iter().cloned().collect(),
        rotation: record_rotation(&trust),
        seq: next_seq(&client, &options.bootstrap, &ids, env.now),
        issued: env.now,
        // Hosts refuse a record whose announcer's certificate has expired.
        expires: chain.iter().map(|one| one.not_after).fold(env.now + options.validity.duration(), Ord::min),
    };
    let sign = |id: &Fingerprint| {
        let signed = Record { id: *id, ..record.clone() }.sign(&key, &chain, &handovers);
        signed.map(|signed| (*id, signed)).map_err(AnnounceError::Sign)
    };
    let signed: Vec<(Fingerprint, String)> = ids.iter().map(sign).collect::<Result<_, _>>()?;
    let (mut accepted_by, mut first_error) = (Vec::new(), None);
    for endpoint in &options.bootstrap {
        match send(&client, endpoint, &signed) {
            Ok(()) => accepted_by.push(endpoint.clone()),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match first_error {
        None => Ok(AnnounceReport { record, accepted: accepted_by }),
        Some(error) if accepted_by.is_empty() => Err(error.into()),
        Some(error) => Err(AnnounceError::Partly { accepted: accepted_by, source: Box::new(error) }.into()),
    }
}

/// Returns the part of the record about a rotation; `None` without one, and in the phase before hosts get the new root.
fn record_rotation(trust: &TrustBundle) -> Option<RecordRotation> {
    let rotation = trust.rotation().filter(|rotation| rotation.phase != Phase::Prepare)?;
    let (new, _) = trust.find(rotation.new)?;
    let canaries = rotation.canaries.iter().filter_map(|name| HostName::parse(name).ok()).collect();
    Some(RecordRotation { phase: rotation.phase, new: new.root().spki_fingerprint(), canaries })
}

/// Returns a number that is greater than those of the records that the endpoints have.
fn next_seq(client: &Client, endpoints: &[Endpoint], ids: &[Fingerprint], now: OffsetDateTime) -> u64 {
    let mut seq = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    for (endpoint, id) in endpoints.iter().flat_map(|endpoint| ids.iter().map(move |id| (endpoint, *id))) {
        let url = format!("{endpoint}{}", record_path(id));
        // An endpoint that does not answer is reported later, by `send`; the others still get the record.
        let Ok(answer) = client.send(&Request::get(&url, MAX_RECORD)) else { continue };
        // Only a record that is signed under this root counts, because the endpoint can invent any other.
        if let Some(known) = Record::known(&answer.body, id).filter(|_| answer.is_success()) {
            seq = seq.max(known.seq + 1);
        }
    }
    seq
}

/// Sends the records to an endpoint. Succeeds if at least one of the ids is registered there.
fn send(client: &Client, endpoint: &Endpoint, signed: &[(Fingerprint, String)]) -> Result<(), AnnounceError> {
    let (mut is_accepted, mut unregistered) = (false, None);
    for (id, signed) in signed {
        let url = format!("{endpoint}{}", record_path(*id));
        let body = Some(("application/json", signed.as_bytes()));
        let answer = client.send(&Request { method: "PUT", url: &url, body, headers: &[], limit: MAX_RECORD })?;
        match check_accepted(endpoint, &answer) {
            Ok(()) => is_accepted = true,
            Err(error) if answer.status == NOT_FOUND => unregistered = unregistered.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match unregistered {
        Some(error) if !is_accepted => Err(error),
        _ => Ok(()),
    }
}

/// Returns a client that does not verify the endpoint's certificate, because requests and records have their own signatures.
fn client(now: OffsetDateTime) -> Result<Client, AnnounceError> {
    let options = ClientOptions { trust: Trust::SignedAnswers, certificate: None, now, limit: LIMIT };
    Ok(Client::new(&options)?)
}

fn check_accepted(endpoint: &Endpoint, answer: &Answer) -> Result<(), AnnounceError> {
    if answer.is_success() {
        return Ok(());
    }
    Err(AnnounceError::Refused { endpoint: endpoint.clone(), status: answer.status, message: answer.message() })
}

/// Returns the chain and the key of an announcer's kubeconfig.
fn credential(path: &Path) -> Result<(Vec<Certificate>, LocalKey), Error> {
    let unusable = |reason: String| AnnounceError::Credential { path: path.to_owned(), reason };
    let bytes = Zeroizing::new(input::read_or_wait(path, MAX_KUBECONFIG, "kubeconfig")?);
    let config = kubeconfig::read(&bytes).map_err(|error| unusable(error.to_string()))?;
    let used = config.resolve(None).map_err(|error| unusable(error.to_string()))?;
    let missing = || unusable("one of them is missing".to_owned());
    let user = used.user.ok_or_else(missing)?;
    let content = |credential: &Option<Credential>| -> Result<Zeroizing<Vec<u8>>, Error> {
        match credential {
            Some(Credential::Data(bytes)) => Ok(bytes.clone()),
            Some(Credential::File(file)) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                Ok(Zeroizing::new(input::read(&folder.join(file), MAX_KUBECONFIG, "file")?))
            }
            None => Err(missing().into()),
        }
    };
    let ders = pem::certificates(&content(&user.certificate)?).map_err(|error| unusable(error.to_string()))?;
    let chain: Result<Vec<Certificate>, _> = ders.into_iter().map(Certificate::from_der).collect();
    let chain = chain.map_err(|error| unusable(error.to_string()))?;
    let key = LocalKey::from_pem_with(&content(&user.key)?, None).map_err(IssueError::from)?;
    let account = chain.first().map(Certificate::account).ok_or_else(missing)?;
    if account.group.as_deref() != Some(ANNOUNCERS) {
        return Err(AnnounceError::NotAnAnnouncer { path: path.to_owned(), user: account.user }.into());
    }
    Ok((chain, key))
}
